//! Which protocol a datagram belongs to (RFC 7983 §7, RFC 9443).

/// The class of a datagram, by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Stun,
    Dtls,
    /// RTP and RTCP. Kept apart from unknown classes: they are expected of a peer that sends media
    /// although none was negotiated.
    Media,
    Unknown,
}

impl Class {
    /// The class of a datagram; an empty one has none.
    pub(crate) fn of(datagram: &[u8]) -> Self {
        match datagram.first() {
            Some(0..=3) => Class::Stun,
            Some(20..=63) => Class::Dtls,
            Some(128..=191) => Class::Media,
            Some(_) | None => Class::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The boundaries of RFC 7983, one value to either side.
    #[test]
    fn boundaries() {
        for (first, class) in [
            (0, Class::Stun),
            (3, Class::Stun),
            (4, Class::Unknown),
            (19, Class::Unknown),
            (20, Class::Dtls),
            (63, Class::Dtls),
            (64, Class::Unknown),
            (127, Class::Unknown),
            (128, Class::Media),
            (191, Class::Media),
            (192, Class::Unknown),
            (255, Class::Unknown),
        ] {
            assert_eq!(Class::of(&[first]), class, "{first}");
        }
        assert_eq!(Class::of(&[]), Class::Unknown);
    }
}
