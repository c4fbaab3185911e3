//! Where packets go at the moment.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::socket::UdpSocket;

/// A pair that ICE selected: published by the driver, read by the writer when it sends.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    pub(crate) socket: Arc<UdpSocket>,
    pub(crate) destination: SocketAddr,
}

/// The current path; `None` before ICE has selected one and after consent is lost.
#[derive(Debug, Default)]
pub(crate) struct CurrentPath(Mutex<Option<Path>>);

impl CurrentPath {
    pub(crate) fn publish(&self, path: Option<Path>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = path;
    }

    pub(crate) fn load(&self) -> Option<Path> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
