//! Wrapping numbers (RFC 3550 §5.1) and the plain identifier beside them.
//!
//! None of the wrapping numbers has `Ord`: which of two is newer is only defined within half the
//! number space. Where an order is needed, an unwrapper turns them into `u64` first.

use std::fmt;

macro_rules! wrapping_number {
    ($(#[$doc:meta])* $name:ident($int:ty, $signed:ty), $(#[$unwrapper_doc:meta])* $unwrapper:ident) => {
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
            /// are newer than each other in neither direction.
            #[must_use]
            pub const fn is_newer_than(self, other: Self) -> bool {
                self.offset_from(other) > 0
            }

            /// Whether this number is `other` or comes after it.
            #[must_use]
            pub const fn is_at_least(self, other: Self) -> bool {
                self.offset_from(other) >= 0
            }

            /// Steps from `earlier` up to this number, modulo the number space. Only a length if
            /// this number is at least `earlier`.
            #[must_use]
            pub const fn distance_from(self, earlier: Self) -> $int {
                self.0.wrapping_sub(earlier.0)
            }

            /// Signed steps from `other` to this number by the shorter way round; exactly half the
            /// space counts as backwards.
            #[must_use]
            pub const fn offset_from(self, other: Self) -> $signed {
                self.0.wrapping_sub(other.0) as $signed
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

        $(#[$unwrapper_doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $unwrapper {
            highest: Option<u64>,
        }

        impl $unwrapper {
            /// Nothing seen yet.
            #[must_use]
            pub const fn new() -> Self {
                Self { highest: None }
            }

            /// The number's place in the endless count; remembers it if it is the newest.
            pub fn unwrap(&mut self, number: $name) -> u64 {
                let unwrapped = self.peek(number);
                if self.highest.is_none_or(|highest| unwrapped > highest) {
                    self.highest = Some(unwrapped);
                }
                unwrapped
            }

            /// The same without remembering: for numbers that are not trusted yet.
            #[must_use]
            pub fn peek(&self, number: $name) -> u64 {
                let Some(highest) = self.highest else {
                    return FIRST_CYCLE + u64::from(number.0);
                };
                // Relative to the newest only, so an endless run of old numbers cannot walk
                // backwards below the first cycle.
                let offset = number.offset_from($name(highest as $int));
                highest.wrapping_add_signed(i64::from(offset))
            }

            /// The newest number seen.
            #[must_use]
            pub const fn highest(&self) -> Option<u64> {
                self.highest
            }
        }
    };
}

wrapping_number! {
    /// Sequence number of an RTP packet (RFC 3550 §5.1). Also used for the transport-wide count.
    SequenceNumber(u16, i16),
    /// Turns sequence numbers into an endless count whose low 16 bits are the number. The count
    /// starts one cycle above zero, so that packets older than the first have a place as well.
    SequenceUnwrapper
}
wrapping_number! {
    /// RTP timestamp, in units of the payload's clock rate (RFC 3550 §5.1).
    Timestamp(u32, i32),
    /// Turns timestamps into an endless count whose low 32 bits are the timestamp. The count
    /// starts one cycle above zero, so that timestamps older than the first have a place as well.
    TimestampUnwrapper
}

/// Synchronization source (RFC 3550 §3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ssrc(pub u32);

impl fmt::Debug for Ssrc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ssrc({:08x})", self.0)
    }
}

impl fmt::Display for Ssrc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// Above 2^32, the widest number space, so that half a space below the first number is still ≥ 0.
const FIRST_CYCLE: u64 = 1 << 32;

#[cfg(test)]
mod tests {
    use super::*;

    /// A wrap must not look like a step back of 65,535.
    #[test]
    fn comparison_survives_the_wrap() {
        assert!(SequenceNumber(0).is_newer_than(SequenceNumber(65_535)));
        assert!(!SequenceNumber(65_535).is_newer_than(SequenceNumber(0)));
        assert!(SequenceNumber(5).is_at_least(SequenceNumber(5)));
        assert!(!SequenceNumber(0x8000).is_newer_than(SequenceNumber(0)));
        assert!(!SequenceNumber(0).is_newer_than(SequenceNumber(0x8000)));
        assert_eq!(SequenceNumber(2).offset_from(SequenceNumber(65_534)), 4);
        assert_eq!(Timestamp(2).offset_from(Timestamp(u32::MAX)), 3);
    }

    /// Order and low bits are kept over wraps, reordering around a wrap and before the first.
    #[test]
    fn unwrapping_keeps_order() {
        let mut unwrapper = SequenceUnwrapper::new();
        let first = unwrapper.unwrap(SequenceNumber(1));
        assert_eq!(unwrapper.unwrap(SequenceNumber(65_535)), first - 2);
        assert_eq!(unwrapper.highest(), Some(first));
        let mut previous = first;
        for step in 1..200_000u32 {
            let now = unwrapper.unwrap(SequenceNumber(1u16.wrapping_add(step as u16)));
            assert_eq!(now, previous + 1);
            assert_eq!(now as u16, 1u16.wrapping_add(step as u16));
            previous = now;
        }
        let mut unwrapper = TimestampUnwrapper::new();
        let first = unwrapper.unwrap(Timestamp(u32::MAX - 100));
        assert_eq!(unwrapper.unwrap(Timestamp(900)), first + 1001);
        assert_eq!(unwrapper.peek(Timestamp(u32::MAX)), first + 100);
    }

    /// A hostile run of ever older numbers stays above zero.
    #[test]
    fn unwrapping_never_underflows() {
        let mut unwrapper = SequenceUnwrapper::new();
        unwrapper.unwrap(SequenceNumber(0));
        let mut number = SequenceNumber(0);
        for _ in 0..1000 {
            number = number.minus(32_767);
            assert!(unwrapper.unwrap(number) >= 32_768);
        }
    }
}
