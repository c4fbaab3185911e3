//! Header extension elements (RFC 8285 §4).

/// How elements are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ElementForm {
    /// 4 bits of id (1–14) and 4 bits of length (1–16 bytes), RFC 8285 §4.2.
    OneByte,
    /// 8 bits of id (1–255) and 8 bits of length (0–255 bytes), RFC 8285 §4.3.
    TwoByte,
}

impl ElementForm {
    /// The form that a "defined by profile" field announces.
    #[must_use]
    pub const fn of_profile(profile: u16) -> Option<Self> {
        match profile {
            ONE_BYTE_PROFILE => Some(Self::OneByte),
            // The low four bits are for the application and ignored on receipt.
            0x1000..=0x100f => Some(Self::TwoByte),
            _ => None,
        }
    }

    /// The "defined by profile" field.
    #[must_use]
    pub const fn profile(self) -> u16 {
        match self {
            Self::OneByte => ONE_BYTE_PROFILE,
            Self::TwoByte => 0x1000,
        }
    }

    /// Whether the form can carry `len` bytes under `id`.
    #[must_use]
    pub const fn fits(self, id: u8, len: usize) -> bool {
        match self {
            Self::OneByte => id >= 1 && id <= 14 && len >= 1 && len <= 16,
            Self::TwoByte => id >= 1 && len <= 255,
        }
    }
}

/// Iterates elements as `(id, data)`. Ends early at an element that claims more than is there.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    rest: &'a [u8],
    form: ElementForm,
}

impl<'a> Elements<'a> {
    #[inline]
    pub(super) fn new(profile: u16, data: &'a [u8]) -> Self {
        match ElementForm::of_profile(profile) {
            Some(form) => Self { rest: data, form },
            None => Self {
                rest: &[],
                form: ElementForm::OneByte,
            },
        }
    }

    /// Bytes that were not looked at yet.
    pub(super) const fn remaining(&self) -> usize {
        self.rest.len()
    }

    fn end(&mut self) -> Option<(u8, &'a [u8])> {
        self.rest = &[];
        None
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = (u8, &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (&first, rest) = self.rest.split_first()?;
            if first == 0 {
                // One byte of padding in both forms.
                self.rest = rest;
                continue;
            }
            let (id, len, rest) = match self.form {
                // §4.2: id 15 stops the processing of the whole extension; id 0 with a length is
                // as good as that.
                ElementForm::OneByte if matches!(first >> 4, 0 | 15) => return self.end(),
                ElementForm::OneByte => (first >> 4, usize::from(first & 0xf) + 1, rest),
                ElementForm::TwoByte => match rest.split_first() {
                    Some((&len, rest)) => (first, usize::from(len), rest),
                    None => return self.end(),
                },
            };
            let Some((data, rest)) = rest.split_at_checked(len) else {
                return self.end();
            };
            self.rest = rest;
            return Some((id, data));
        }
    }
}

const ONE_BYTE_PROFILE: u16 = 0xbede;

#[cfg(test)]
mod tests {
    use super::*;

    fn all(profile: u16, data: &[u8]) -> Vec<(u8, Vec<u8>)> {
        Elements::new(profile, data)
            .map(|(id, data)| (id, data.to_vec()))
            .collect()
    }

    /// The example of RFC 8285 §4.2: padding between elements is skipped.
    #[test]
    fn one_byte_with_padding() {
        let data = [0x10, 1, 0x21, 2, 3, 0, 0, 0x33, 4, 5, 6, 7];
        let expected = vec![(1, vec![1]), (2, vec![2, 3]), (3, vec![4, 5, 6, 7])];
        assert_eq!(all(0xbede, &data), expected);
    }

    /// Ids over 14, empty elements and application bits exist only in the two-byte form.
    #[test]
    fn two_byte() {
        let data = [1, 0, 200, 2, 8, 9, 0, 0];
        let expected = vec![(1, vec![]), (200, vec![8, 9])];
        assert_eq!(all(0x1000, &data), expected);
        assert_eq!(all(0x100f, &data), expected);
        assert_eq!(all(0x1010, &data), []);
    }

    /// What cannot be believed ends the iteration and keeps what came before.
    #[test]
    fn malformed_ends() {
        assert_eq!(all(0xbede, &[0x10, 1, 0xf0, 2, 0x20, 3]), [(1, vec![1])]);
        assert_eq!(all(0xbede, &[0x10, 1, 0x2f, 2]), [(1, vec![1])]);
        assert_eq!(all(0xbede, &[0x10, 1, 0x05, 2]), [(1, vec![1])]);
        assert_eq!(all(0x1000, &[1, 1, 1, 2]), [(1, vec![1])]);
        assert_eq!(all(0x1000, &[1, 9, 1, 2]), []);
    }
}
