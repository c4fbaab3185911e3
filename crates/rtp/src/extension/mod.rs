//! Typed values of header extensions, and which id stands for which.

mod audio_level;
mod color_space;
mod dependency;
mod layers_allocation;
mod map;
mod sdes;
mod time;
mod transport;
mod video;

pub use audio_level::{AudioLevel, CsrcAudioLevels};
pub use color_space::{Chromaticity, ColorSpace, HdrMetadata};
pub use dependency::{
    DecodeTargetIndication, DependencyDescriptor, DependencyReader, FrameDependencies, Template,
    TemplateStructure,
};
pub use layers_allocation::{LayerAllocation, LayerVideo, VideoLayersAllocation};
pub use map::{ExtensionKind, ExtensionMap};
pub use sdes::{Mid, RepairedRid, Rid};
pub use time::{AbsoluteCaptureTime, AbsoluteSendTime, TransmissionOffset};
pub use transport::{FeedbackRequest, TransportSequence, TransportSequenceV2};
pub use video::{PlayoutDelay, Rotation, VideoContentType, VideoOrientation, VideoTiming};

use crate::{DecodeError, WriteError};

/// A value carried in one header extension element. The dependency descriptor is not one of them:
/// it cannot be read without state, see [`DependencyReader`].
pub trait HeaderExtension<'a>: Sized {
    /// Which extension this is.
    const KIND: ExtensionKind;

    /// Reads an element's data.
    ///
    /// # Errors
    /// The data has the wrong length or a value that is not allowed.
    fn decode(data: &'a [u8]) -> Result<Self, DecodeError>;

    /// Bytes that [`Self::encode`] fills.
    fn encoded_len(&self) -> usize;

    /// Fills `out`, which is [`Self::encoded_len`] bytes long.
    ///
    /// # Errors
    /// A value out of the range of its field, or `out` of another length.
    fn encode(&self, out: &mut [u8]) -> Result<(), WriteError>;
}

/// The data as an array, or the error for a wrong length.
fn exact<const N: usize>(data: &[u8]) -> Result<[u8; N], DecodeError> {
    match data.try_into() {
        Ok(bytes) => Ok(bytes),
        Err(_) if data.len() < N => Err(DecodeError::Truncated),
        Err(_) => Err(DecodeError::Malformed("length of a header extension")),
    }
}

/// Copies a value into the element made for it.
fn put(out: &mut [u8], bytes: &[u8]) -> Result<(), WriteError> {
    if out.len() != bytes.len() {
        return Err(WriteError::BufferTooSmall {
            needed: bytes.len(),
            available: out.len(),
        });
    }
    out.copy_from_slice(bytes);
    Ok(())
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// Encodes, decodes, and checks that every other length of the same data is noticed or at
    /// least harmless.
    pub(crate) fn comes_back<E>(value: &E, expected: &[u8])
    where
        E: for<'a> HeaderExtension<'a> + PartialEq + std::fmt::Debug,
    {
        let mut bytes = vec![0xaa; value.encoded_len()];
        value.encode(&mut bytes).unwrap();
        assert_eq!(bytes, expected);
        assert_eq!(&E::decode(&bytes).unwrap(), value);
        for len in 0..bytes.len() {
            assert_ne!(E::decode(&bytes[..len]).as_ref(), Ok(value), "{len}");
            assert!(value.encode(&mut vec![0; len]).is_err());
        }
    }
}
