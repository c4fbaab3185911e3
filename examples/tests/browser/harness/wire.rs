//! A wire that can be cut: a UDP relay between browser and native end.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use peerloom::SessionDescription;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::net::UdpSocket;

/// All datagrams, as a loss in per mille.
pub(crate) const ALL: u32 = 1000;

/// One way between the browser and one socket of the native end.
pub(crate) struct Wire {
    /// Where it leads.
    pub(crate) native: SocketAddr,
    /// Where the browser finds the native end.
    address: SocketAddr,
    loss: Arc<AtomicU32>,
}

impl Wire {
    /// A wire to `native`, which is on loopback. It lasts as long as the runtime.
    pub(crate) async fn to(native: SocketAddr) -> Self {
        let front = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let loss = Arc::new(AtomicU32::new(0));
        let address = front.local_addr().unwrap();
        tokio::spawn(up(front, native, loss.clone()));
        Self {
            native,
            address,
            loss,
        }
    }

    /// Loses so many of a thousand datagrams in each direction.
    pub(crate) fn lose(&self, per_mille: u32) {
        self.loss.store(per_mille, Relaxed);
    }

    /// The native end's description with this wire's address in place of its own.
    pub(crate) fn here(&self, mut description: SessionDescription) -> SessionDescription {
        description.sdp = lines(&description.sdp, |line| {
            let mut words: Vec<&str> = line.split(' ').collect();
            let (ip, port) = (
                self.address.ip().to_string(),
                self.address.port().to_string(),
            );
            if line.starts_with("a=candidate:") {
                (words[4], words[5]) = (&ip, &port);
            }
            Some(words.join(" "))
        });
        description
    }

    /// The page's description without its addresses, which lead around the wire.
    pub(crate) fn nowhere(mut description: SessionDescription) -> SessionDescription {
        description.sdp = lines(&description.sdp, |line| {
            let address = line.starts_with("a=candidate:") || line == "a=end-of-candidates";
            (!address).then(|| line.to_owned())
        });
        description
    }
}

/// From the browser's sockets, each of which gets one of its own towards the native end.
async fn up(front: Arc<UdpSocket>, native: SocketAddr, loss: Arc<AtomicU32>) {
    let mut backs: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
    let mut random = StdRng::seed_from_u64(1);
    let mut buffer = vec![0; 65_536];
    while let Ok((length, from)) = front.recv_from(&mut buffer).await {
        let back = match backs.entry(from) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let back = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
                back.connect(native).await.unwrap();
                tokio::spawn(down(back.clone(), front.clone(), from, loss.clone()));
                new.insert(back)
            }
        };
        if random.random_range(0..ALL) >= loss.load(Relaxed) {
            // What a socket refuses is lost, too.
            let _ = back.send(&buffer[..length]).await;
        }
    }
}

async fn down(back: Arc<UdpSocket>, front: Arc<UdpSocket>, to: SocketAddr, loss: Arc<AtomicU32>) {
    let mut random = StdRng::seed_from_u64(2);
    let mut buffer = vec![0; 65_536];
    loop {
        match back.recv(&mut buffer).await {
            Ok(length) if random.random_range(0..ALL) >= loss.load(Relaxed) => {
                let _ = front.send_to(&buffer[..length], to).await;
            }
            Ok(_) => {}
            // The native end is gone: so is everything that was on its way.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {}
            Err(_) => return,
        }
    }
}

fn lines(sdp: &str, each: impl FnMut(&str) -> Option<String>) -> String {
    sdp.lines()
        .filter_map(each)
        .flat_map(|line| [line, "\r\n".into()])
        .collect()
}
