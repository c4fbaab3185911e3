//! DTLS for WebRTC: a handshake engine behind an adapter, and a record layer that seals in place.
