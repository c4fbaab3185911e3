//! Wrapping numbers (RFC 1982 serial arithmetic) and the plain identifiers beside them.
//!
//! None of the wrapping numbers has `Ord`: which of two is "newer" is only defined within half the
//! number space, so the comparison has a name of its own and cannot slip into a sort or a `max`.

use std::fmt;

macro_rules! serial_number {
    ($(#[$doc:meta])* $name:ident($int:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
        pub struct $name(pub $int);

        impl $name {
            /// The number after this one.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.wrapping_add(1))
            }

            /// The number before this one.
            #[must_use]
            pub const fn previous(self) -> Self {
                Self(self.0.wrapping_sub(1))
            }

            /// The number `count` steps after this one.
            #[must_use]
            pub const fn plus(self, count: $int) -> Self {
                Self(self.0.wrapping_add(count))
            }

            /// The number `count` steps before this one.
            #[must_use]
            pub const fn minus(self, count: $int) -> Self {
                Self(self.0.wrapping_sub(count))
            }

            /// Whether this number comes after `other`. Two numbers exactly half the space apart
            /// are newer than each other in neither direction, as in RFC 1982.
            #[must_use]
            pub const fn is_newer_than(self, other: Self) -> bool {
                let ahead = self.0.wrapping_sub(other.0);
                ahead != 0 && ahead < 1 << (<$int>::BITS - 1)
            }

            /// Whether this number is `other` or comes after it.
            #[must_use]
            pub const fn is_at_least(self, other: Self) -> bool {
                self.0 == other.0 || self.is_newer_than(other)
            }

            /// Steps from `earlier` up to this number, modulo the number space. Only a length if
            /// this number is at least `earlier`.
            #[must_use]
            pub const fn distance_from(self, earlier: Self) -> $int {
                self.0.wrapping_sub(earlier.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

serial_number! {
    /// Transmission sequence number of a DATA chunk (RFC 9260 §3.3.1).
    Tsn(u32)
}
serial_number! {
    /// Stream sequence number of an ordered message (RFC 9260 §3.3.1).
    Ssn(u16)
}
serial_number! {
    /// Message identifier of an I-DATA chunk (RFC 8260 §2.1).
    Mid(u32)
}
serial_number! {
    /// Fragment sequence number of an I-DATA chunk within its message (RFC 8260 §2.1).
    Fsn(u32)
}
serial_number! {
    /// Request or response sequence number of a RE-CONFIG parameter (RFC 6525 §4).
    ReconfigSeq(u32)
}

/// Stream identifier (RFC 9260 §3.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct StreamId(pub u16);

/// Payload protocol identifier: opaque to SCTP, meaningful to the user (RFC 9260 §3.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Ppid(pub u32);

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 1982 §5.1: `s = 2^n - 1` and 0 compare across the wrap.
    #[test]
    fn newer_across_the_wrap() {
        assert!(Tsn(0).is_newer_than(Tsn(u32::MAX)));
        assert!(!Tsn(u32::MAX).is_newer_than(Tsn(0)));
        assert!(Ssn(3).is_newer_than(Ssn(65_530)));
        assert!(Tsn(5).is_at_least(Tsn(5)) && !Tsn(5).is_newer_than(Tsn(5)));
        assert_eq!(Tsn(2).distance_from(Tsn(u32::MAX)), 3);
        assert_eq!(Ssn(2).distance_from(Ssn(65_535)), 3);
        assert_eq!(Tsn(0).previous(), Tsn(u32::MAX));
        assert_eq!(Tsn(u32::MAX).next(), Tsn(0));
    }

    /// The comparison at half the space is false both ways, so that no loop sees a cycle.
    #[test]
    fn half_apart_is_newer_in_neither_direction() {
        assert!(!Tsn(1 << 31).is_newer_than(Tsn(0)) && !Tsn(0).is_newer_than(Tsn(1 << 31)));
        assert!(!Ssn(1 << 15).is_newer_than(Ssn(0)) && !Ssn(0).is_newer_than(Ssn(1 << 15)));
        assert!(Tsn((1 << 31) - 1).is_newer_than(Tsn(0)));
    }
}
