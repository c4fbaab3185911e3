//! Ids and URIs (RFC 8285 §5).

use crate::WriteError;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $uri:literal,)*) => {
        /// A header extension this crate knows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ExtensionKind {
            $($(#[$doc])* $name,)*
        }

        impl ExtensionKind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The URI that names it in SDP.
            #[must_use]
            pub const fn uri(self) -> &'static str {
                match self {
                    $(Self::$name => $uri,)*
                }
            }

            /// The extension with this URI.
            #[must_use]
            pub fn from_uri(uri: &str) -> Option<Self> {
                match uri {
                    $($uri => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

kinds! {
    /// Media identification (RFC 9143 §15).
    Mid = "urn:ietf:params:rtp-hdrext:sdes:mid",
    /// RTP stream id (RFC 8852 §3.1).
    Rid = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
    /// The stream id that an RTX packet repairs (RFC 8852 §3.2).
    RepairedRid = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
    /// Client-to-mixer audio level (RFC 6464).
    AudioLevel = "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
    /// Mixer-to-client audio level (RFC 6465).
    CsrcAudioLevels = "urn:ietf:params:rtp-hdrext:csrc-audio-level",
    /// Transmission time offset (RFC 5450).
    TransmissionOffset = "urn:ietf:params:rtp-hdrext:toffset",
    /// Absolute send time.
    AbsoluteSendTime = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
    /// Transport-wide sequence number (draft-holmer-rmcat-transport-wide-cc-extensions-01).
    TransportSequence = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
    /// The same with feedback on request.
    TransportSequenceV2 = "http://www.webrtc.org/experiments/rtp-hdrext/transport-wide-cc-02",
    /// Absolute capture time.
    AbsoluteCaptureTime = "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time",
    /// Bounds of the playout delay.
    PlayoutDelay = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
    /// Coordination of video orientation (3GPP TS 26.114 §7.4.5).
    VideoOrientation = "urn:3gpp:video-orientation",
    /// What the video shows.
    VideoContentType = "http://www.webrtc.org/experiments/rtp-hdrext/video-content-type",
    /// Where a frame spent its time.
    VideoTiming = "http://www.webrtc.org/experiments/rtp-hdrext/video-timing",
    /// Color space and HDR metadata.
    ColorSpace = "http://www.webrtc.org/experiments/rtp-hdrext/color-space",
    /// Bit rates and sizes of the layers sent.
    VideoLayersAllocation = "http://www.webrtc.org/experiments/rtp-hdrext/video-layers-allocation00",
    /// Dependency descriptor (AV1 RTP specification, appendix A).
    DependencyDescriptor = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension",
}

/// Which id stands for which extension on one transport; both directions are O(1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtensionMap {
    /// By kind; 0 is none, since no element has the id 0.
    ids: [u8; ExtensionKind::ALL.len()],
    kinds: [Option<ExtensionKind>; 256],
}

impl ExtensionMap {
    /// Nothing negotiated.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            ids: [0; ExtensionKind::ALL.len()],
            kinds: [None; 256],
        }
    }

    /// Maps `id` to `kind`, in place of what either stood for before.
    ///
    /// # Errors
    /// Ids 0 and 15 are reserved: 0 is padding, 15 ends the one-byte form (RFC 8285 §4.2).
    pub fn insert(&mut self, id: u8, kind: ExtensionKind) -> Result<(), WriteError> {
        if matches!(id, 0 | 15) {
            return Err(WriteError::Invalid("extension id 0 or 15"));
        }
        if let Some(previous) = self.kinds[usize::from(id)] {
            self.ids[previous as usize] = 0;
        }
        self.kinds[usize::from(self.ids[kind as usize])] = None;
        self.ids[kind as usize] = id;
        self.kinds[usize::from(id)] = Some(kind);
        Ok(())
    }

    /// Maps `id` to the extension with this URI; says whether it is known.
    ///
    /// # Errors
    /// As [`Self::insert`].
    pub fn insert_uri(&mut self, id: u8, uri: &str) -> Result<bool, WriteError> {
        match ExtensionKind::from_uri(uri) {
            Some(kind) => self.insert(id, kind).map(|()| true),
            None => Ok(false),
        }
    }

    /// The id of an extension.
    #[must_use]
    pub const fn id(&self, kind: ExtensionKind) -> Option<u8> {
        match self.ids[kind as usize] {
            0 => None,
            id => Some(id),
        }
    }

    /// The extension with this id.
    #[must_use]
    pub const fn kind(&self, id: u8) -> Option<ExtensionKind> {
        self.kinds[id as usize]
    }

    /// All pairs, by kind.
    pub fn iter(&self) -> impl Iterator<Item = (u8, ExtensionKind)> + '_ {
        ExtensionKind::ALL
            .iter()
            .filter_map(|kind| Some((self.id(*kind)?, *kind)))
    }
}

impl Default for ExtensionMap {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A URI or id that is given twice leaves no half of the old pair behind.
    #[test]
    fn both_directions_agree() {
        let mut map = ExtensionMap::new();
        map.insert(1, ExtensionKind::Mid).unwrap();
        map.insert(2, ExtensionKind::Rid).unwrap();
        map.insert(1, ExtensionKind::AudioLevel).unwrap();
        map.insert(3, ExtensionKind::Rid).unwrap();
        assert!(
            map.insert_uri(255, ExtensionKind::ColorSpace.uri())
                .unwrap()
        );
        assert!(!map.insert_uri(9, "urn:nobody:knows").unwrap());
        let pairs: Vec<_> = map.iter().collect();
        assert_eq!(
            pairs,
            [
                (3, ExtensionKind::Rid),
                (1, ExtensionKind::AudioLevel),
                (255, ExtensionKind::ColorSpace)
            ]
        );
        for id in 0..=255 {
            let pair = map.kind(id).map(|kind| (id, kind));
            assert_eq!(
                pair.is_some(),
                pairs.contains(&(id, pair.map_or(ExtensionKind::Mid, |p| p.1)))
            );
        }
        assert!(map.insert(0, ExtensionKind::Mid).is_err());
        assert!(map.insert(15, ExtensionKind::Mid).is_err());
        for kind in ExtensionKind::ALL {
            assert_eq!(ExtensionKind::from_uri(kind.uri()), Some(*kind));
        }
    }
}
