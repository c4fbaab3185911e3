//! Limits that can be changed while a connection is in use.

use crate::config::check_receive_window;
use crate::connection::PeerConnection;
use crate::error::Error;

impl PeerConnection {
    /// Bytes that may wait to be sent in all channels together.
    pub fn send_buffer_limit(&self) -> usize {
        self.shared().budget.limit()
    }

    /// Changes how many bytes may wait to be sent in all channels together, at once: a `send` that
    /// waits goes on if there is room now; what is queued beyond a smaller limit is sent all the same.
    ///
    /// # Errors
    /// [`Error::Closed`] after the end.
    pub fn set_send_buffer_limit(&self, bytes: usize) -> Result<(), Error> {
        self.shared().set_send_buffer_limit(bytes)
    }

    /// Bytes that may wait to be sent in each channel that is created from now on, here or by the
    /// other end. For one that exists: [`DataChannel::set_send_buffer_limit`].
    ///
    /// [`DataChannel::set_send_buffer_limit`]: crate::DataChannel::set_send_buffer_limit
    pub fn set_channel_send_buffer_limit(&self, bytes: usize) {
        self.shared().set_channel_send_buffer_limit(bytes);
    }

    /// Bytes of received messages, overhead included, that may wait for the application.
    pub fn receive_window(&self) -> usize {
        self.shared().receive_window()
    }

    /// Changes how many bytes of received messages may wait for the application, in all channels
    /// together. A wider window is told to the other end at once. A narrower one holds from then on:
    /// what has arrived is kept, and of what is on its way a part may be refused, which the other end
    /// sends again when there is room.
    ///
    /// # Errors
    /// [`Error::Option`] below the smallest of the builder's
    /// [`receive_window`](crate::PeerConnectionBuilder::receive_window); [`Error::Closed`] after the
    /// end.
    pub fn set_receive_window(&self, bytes: usize) -> Result<(), Error> {
        check_receive_window(bytes)?;
        self.shared().set_receive_window(bytes)
    }
}
