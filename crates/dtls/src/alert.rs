//! Alerts (RFC 5246 section 7.2).

use std::fmt;

/// What an alert says, by its number in the TLS registry.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AlertDescription(pub u8);

impl AlertDescription {
    /// The peer will send nothing more.
    pub const CLOSE_NOTIFY: Self = Self(0);
    /// A handshake value did not check out: Finished, or a signature.
    pub const DECRYPT_ERROR: Self = Self(51);

    /// The registry's name, or `unknown`.
    pub fn name(self) -> &'static str {
        match self.0 {
            0 => "close_notify",
            10 => "unexpected_message",
            20 => "bad_record_mac",
            21 => "decryption_failed",
            22 => "record_overflow",
            30 => "decompression_failure",
            40 => "handshake_failure",
            41 => "no_certificate",
            42 => "bad_certificate",
            43 => "unsupported_certificate",
            44 => "certificate_revoked",
            45 => "certificate_expired",
            46 => "certificate_unknown",
            47 => "illegal_parameter",
            48 => "unknown_ca",
            49 => "access_denied",
            50 => "decode_error",
            51 => "decrypt_error",
            60 => "export_restriction",
            70 => "protocol_version",
            71 => "insufficient_security",
            80 => "internal_error",
            86 => "inappropriate_fallback",
            90 => "user_canceled",
            100 => "no_renegotiation",
            109 => "missing_extension",
            110 => "unsupported_extension",
            112 => "unrecognized_name",
            115 => "unknown_psk_identity",
            116 => "certificate_required",
            120 => "no_application_protocol",
            _ => "unknown",
        }
    }
}

impl fmt::Display for AlertDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.0)
    }
}

impl fmt::Debug for AlertDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An alert as it is read: closures and fatal errors end the connection, other warnings do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alert {
    CloseNotify,
    Fatal(AlertDescription),
    Warning,
}

impl Alert {
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        let &[level, description] = body else {
            return None;
        };
        match (level, description) {
            // Some stacks send it as fatal; it is a closure either way.
            (_, 0) => Some(Self::CloseNotify),
            (LEVEL_FATAL, description) => Some(Self::Fatal(AlertDescription(description))),
            (LEVEL_WARNING, _) => Some(Self::Warning),
            _ => None,
        }
    }
}

pub(crate) const ALERT_LEN: usize = 2;
pub(crate) const LEVEL_WARNING: u8 = 1;
pub(crate) const LEVEL_FATAL: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    /// Only two bytes are an alert; the level decides what ends a connection.
    #[test]
    fn parses_by_level_and_length() {
        assert_eq!(Alert::parse(&[1, 0]), Some(Alert::CloseNotify));
        assert_eq!(Alert::parse(&[2, 0]), Some(Alert::CloseNotify));
        assert_eq!(
            Alert::parse(&[2, 40]),
            Some(Alert::Fatal(AlertDescription(40)))
        );
        assert_eq!(Alert::parse(&[1, 100]), Some(Alert::Warning));
        for bad in [&[][..], &[2], &[2, 40, 0], &[0, 40], &[3, 40]] {
            assert_eq!(Alert::parse(bad), None, "{bad:?}");
        }
        assert_eq!(AlertDescription(42).to_string(), "bad_certificate (42)");
    }
}
