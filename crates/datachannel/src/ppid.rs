//! Payload protocol identifiers (RFC 8831 §8, §6.6).

use peerloom_sctp::Ppid;

/// Whether a message is text or bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// "WebRTC String". The session does not look into the bytes: the sender hands in UTF-8, and
    /// the receiver of text from a peer checks or replaces as it likes.
    Text,
    /// "WebRTC Binary".
    Binary,
}

/// What a message of a given PPID is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Dcep,
    Message(MessageKind),
    /// SCTP has no empty messages: one byte stands for none (RFC 8831 §6.6).
    Empty(MessageKind),
    /// A part of a message other than the last, which has the ordinary PPID. Deprecated by
    /// RFC 8831 §6.6, still sent by old stacks.
    Partial(MessageKind),
    Unknown,
}

impl Content {
    pub(crate) fn from_ppid(ppid: Ppid) -> Self {
        match ppid.0 {
            50 => Self::Dcep,
            51 => Self::Message(MessageKind::Text),
            52 => Self::Partial(MessageKind::Binary),
            53 => Self::Message(MessageKind::Binary),
            54 => Self::Partial(MessageKind::Text),
            56 => Self::Empty(MessageKind::Text),
            57 => Self::Empty(MessageKind::Binary),
            _ => Self::Unknown,
        }
    }
}

/// The PPID under which a message is sent.
pub(crate) fn ppid(kind: MessageKind, is_empty: bool) -> Ppid {
    Ppid(match (kind, is_empty) {
        (MessageKind::Text, false) => 51,
        (MessageKind::Binary, false) => 53,
        (MessageKind::Text, true) => 56,
        (MessageKind::Binary, true) => 57,
    })
}

/// "WebRTC DCEP".
pub(crate) const DCEP: Ppid = Ppid(50);
/// The byte that stands for an empty message.
pub(crate) const EMPTY: &[u8] = &[0];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_comes_back_as_it_was_sent() {
        for kind in [MessageKind::Text, MessageKind::Binary] {
            assert_eq!(
                Content::from_ppid(ppid(kind, false)),
                Content::Message(kind)
            );
            assert_eq!(Content::from_ppid(ppid(kind, true)), Content::Empty(kind));
        }
        assert_eq!(Content::from_ppid(DCEP), Content::Dcep);
        for unknown in [0, 49, 55, 58, 50 << 24, u32::MAX] {
            assert_eq!(Content::from_ppid(Ppid(unknown)), Content::Unknown);
        }
    }
}
