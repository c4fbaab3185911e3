//! An async WebRTC peer-connection stack for tokio.
