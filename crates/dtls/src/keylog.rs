//! The key log: secrets for a packet analyser, in NSS format.

use std::fmt;
use std::io::Write;
use std::sync::Mutex;

/// Receives the secrets of connections. Whoever reads them can read all traffic: debugging only.
pub trait KeyLog: Send + Sync {
    /// A secret by its NSS label (`CLIENT_RANDOM` with the master secret in DTLS 1.2), called once
    /// per connection, when the handshake is complete and the peer's fingerprint matched.
    fn log(&self, label: &str, client_random: &[u8; 32], secret: &[u8]);
}

/// Writes lines in NSS format (`SSLKEYLOGFILE`), as Wireshark reads them. Write errors are ignored.
pub struct KeyLogLines<W>(Mutex<W>);

impl<W: Write + Send> KeyLogLines<W> {
    /// Lines to `writer`.
    pub fn new(writer: W) -> Self {
        Self(Mutex::new(writer))
    }

    /// Gives the writer back.
    pub fn into_inner(self) -> W {
        self.0
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl<W: Write + Send> KeyLog for KeyLogLines<W> {
    fn log(&self, label: &str, client_random: &[u8; 32], secret: &[u8]) {
        let line = format!("{label} {} {}\n", Hex(client_random), Hex(secret));
        let mut writer = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        // A full disk must not end a call.
        let _ = writer
            .write_all(line.as_bytes())
            .and_then(|()| writer.flush());
    }
}

impl<W> fmt::Debug for KeyLogLines<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyLogLines").finish_non_exhaustive()
    }
}

pub(crate) const CLIENT_RANDOM: &str = "CLIENT_RANDOM";

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line has the form that Wireshark and NSS agree on.
    #[test]
    fn nss_line() {
        let log = KeyLogLines::new(Vec::new());
        log.log(CLIENT_RANDOM, &[0xab; 32], &[1, 2]);
        let line = String::from_utf8(log.into_inner()).unwrap();
        assert_eq!(line, format!("CLIENT_RANDOM {} 0102\n", "ab".repeat(32)));
    }
}
