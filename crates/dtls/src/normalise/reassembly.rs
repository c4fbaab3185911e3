//! One handshake message put together from fragments, which may overlap and come in any order
//! (RFC 6347 section 4.2.3).

use super::message::Fragment;

/// A message of which some bytes may be missing.
#[derive(Debug)]
pub(crate) struct Partial {
    kind: u8,
    body: Vec<u8>,
    /// One bit a byte of the body.
    present: Vec<u64>,
    missing: usize,
}

impl Partial {
    /// For the message that `fragment` belongs to.
    pub(crate) fn new(fragment: &Fragment<'_>) -> Self {
        Self {
            kind: fragment.kind,
            body: vec![0; fragment.length],
            present: vec![0; fragment.length.div_ceil(64)],
            missing: fragment.length,
        }
    }

    /// Whether the fragment is of a message with this type and length.
    pub(crate) fn agrees(&self, fragment: &Fragment<'_>) -> bool {
        self.kind == fragment.kind && self.body.len() == fragment.length
    }

    /// Adds what is missing; the first copy of a byte stays. The fragment must agree and fit.
    /// Returns whether anything was new.
    pub(crate) fn add(&mut self, fragment: &Fragment<'_>) -> bool {
        let before = self.missing;
        for (at, byte) in (fragment.offset..).zip(fragment.data) {
            let (word, bit) = (at / 64, 1 << (at % 64));
            if self.present[word] & bit == 0 {
                self.present[word] |= bit;
                self.body[at] = *byte;
                self.missing -= 1;
            }
        }
        self.missing < before || self.body.is_empty()
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.missing == 0
    }

    pub(crate) fn into_parts(self) -> (u8, Vec<u8>) {
        (self.kind, self.body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Any cover of the message by overlapping pieces in any order gives the message.
        #[test]
        fn any_cover_completes(
            body in prop::collection::vec(any::<u8>(), 1..300),
            pieces in prop::collection::vec((0usize..300, 1usize..120), 0..60),
            last in prop::sample::select(vec![1usize, 7, 64, 500]),
        ) {
            let fragment = |offset: usize, end: usize| Fragment {
                kind: 1,
                length: body.len(),
                sequence: 0,
                offset,
                data: &body[offset..end],
            };
            let mut partial = Partial::new(&fragment(0, 1));
            for (offset, len) in pieces {
                let offset = offset % body.len();
                partial.add(&fragment(offset, body.len().min(offset + len)));
            }
            for offset in (0..body.len()).step_by(last).rev() {
                partial.add(&fragment(offset, body.len().min(offset + last)));
            }
            prop_assert!(partial.is_complete());
            prop_assert!(!partial.add(&fragment(0, 1)));
            prop_assert_eq!(partial.into_parts(), (1, body));
        }
    }
}
