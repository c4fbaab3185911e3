//! What travels over the application's signalling: descriptions and candidates, in the JSON form
//! of a browser's `RTCSessionDescriptionInit` and `RTCIceCandidateInit`, so that either end can be
//! a page.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An offer or answer: SDP text and what it is (W3C WebRTC §4.6).
///
/// ```
/// let offer: peerloom::SessionDescription =
///     serde_json::from_str(r#"{"type":"offer","sdp":"v=0\r\n"}"#).unwrap();
/// assert_eq!(offer.kind, peerloom::SdpType::Offer);
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SessionDescription {
    /// `type` in JSON.
    #[serde(rename = "type")]
    pub kind: SdpType,
    /// The description itself; empty for a rollback, and for a local description that the
    /// connection is to make itself.
    #[serde(default, deserialize_with = "null_as_default")]
    pub sdp: String,
}

impl SessionDescription {
    /// An offer.
    pub fn offer(sdp: impl Into<String>) -> Self {
        Self {
            kind: SdpType::Offer,
            sdp: sdp.into(),
        }
    }

    /// A final answer.
    pub fn answer(sdp: impl Into<String>) -> Self {
        Self {
            kind: SdpType::Answer,
            sdp: sdp.into(),
        }
    }

    /// An answer that a final one may replace.
    pub fn pranswer(sdp: impl Into<String>) -> Self {
        Self {
            kind: SdpType::Pranswer,
            sdp: sdp.into(),
        }
    }

    /// Takes back the offer that is pending.
    pub fn rollback() -> Self {
        Self {
            kind: SdpType::Rollback,
            sdp: String::new(),
        }
    }
}

impl fmt::Debug for SessionDescription {
    /// Without the text: it holds the ICE password, and pages of codecs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionDescription")
            .field("kind", &self.kind)
            .field("len", &self.sdp.len())
            .finish_non_exhaustive()
    }
}

/// What a description is (W3C `RTCSdpType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SdpType {
    /// A proposal.
    Offer,
    /// A provisional answer: starts the transport, and may still be replaced.
    Pranswer,
    /// A final answer.
    Answer,
    /// Takes back a pending offer.
    Rollback,
}

impl fmt::Display for SdpType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Offer => "offer",
            Self::Pranswer => "pranswer",
            Self::Answer => "answer",
            Self::Rollback => "rollback",
        })
    }
}

/// An ICE candidate on its way through signalling (W3C `RTCIceCandidateInit`).
///
/// Members that are missing or `null` are `None`; members that only `RTCIceCandidate.toJSON` of
/// some browsers adds are ignored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IceCandidate {
    /// `candidate:…` as in RFC 8839 §5.1; empty: no more candidates will come.
    #[serde(default, deserialize_with = "null_as_default")]
    pub candidate: String,
    /// Media identification of the m-section it belongs to.
    #[serde(default)]
    pub sdp_mid: Option<String>,
    /// Index of that m-section, counted from 0.
    #[serde(default, rename = "sdpMLineIndex")]
    pub sdp_m_line_index: Option<u16>,
    /// Tells the candidates of one ICE generation from those of the next.
    #[serde(default)]
    pub username_fragment: Option<String>,
}

impl IceCandidate {
    /// Whether this is the mark after the last candidate.
    pub fn is_end_of_candidates(&self) -> bool {
        self.candidate.is_empty()
    }
}

fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_have_the_browsers_json_form() {
        let json = r#"{"type":"pranswer","sdp":"v=0\r\n"}"#;
        let description: SessionDescription = serde_json::from_str(json).unwrap();
        assert_eq!(description, SessionDescription::pranswer("v=0\r\n"));
        assert_eq!(serde_json::to_string(&description).unwrap(), json);
    }

    #[test]
    fn a_rollback_needs_no_sdp() {
        for json in [
            r#"{"type":"rollback"}"#,
            r#"{"type":"rollback","sdp":null}"#,
            r#"{"sdp":"","type":"rollback"}"#,
        ] {
            let description: SessionDescription = serde_json::from_str(json).unwrap();
            assert_eq!(description, SessionDescription::rollback());
        }
        let json = r#"{"type":"maybe","sdp":""}"#;
        assert!(serde_json::from_str::<SessionDescription>(json).is_err());
    }

    #[test]
    fn debug_does_not_print_passwords() {
        let text = format!("{:?}", SessionDescription::offer("a=ice-pwd:secret"));
        assert!(!text.contains("secret"), "{text}");
    }

    /// `JSON.stringify(event.candidate)` in Chromium and Firefox, and what applications make of it.
    #[test]
    fn candidates_have_the_browsers_json_form() {
        let chromium = r#"{"candidate":"candidate:1 1 udp 2122 192.0.2.1 5000 typ host ufrag jG37","sdpMid":"0","sdpMLineIndex":0,"usernameFragment":"jG37"}"#;
        let candidate: IceCandidate = serde_json::from_str(chromium).unwrap();
        assert_eq!(candidate.sdp_mid.as_deref(), Some("0"));
        assert_eq!(candidate.sdp_m_line_index, Some(0));
        assert_eq!(candidate.username_fragment.as_deref(), Some("jG37"));
        assert_eq!(serde_json::to_string(&candidate).unwrap(), chromium);

        let nulls =
            r#"{"candidate":"","sdpMid":null,"sdpMLineIndex":null,"usernameFragment":null}"#;
        let candidate: IceCandidate = serde_json::from_str(nulls).unwrap();
        assert!(candidate.is_end_of_candidates());
        assert_eq!(serde_json::to_string(&candidate).unwrap(), nulls);

        for bare in [
            "{}",
            r#"{"candidate":null}"#,
            r#"{"relayProtocol":"udp","url":"stun:x"}"#,
        ] {
            assert_eq!(
                serde_json::from_str::<IceCandidate>(bare).unwrap(),
                IceCandidate::default()
            );
        }
    }
}
