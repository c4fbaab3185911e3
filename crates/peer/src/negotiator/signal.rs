//! What two negotiators say to each other.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::signaling::{IceCandidate, SessionDescription};

/// A message between two ends that negotiate perfectly, in the JSON form of the W3C's example
/// (W3C WebRTC §10.7): `{"description":…}` or `{"candidate":…}`. A page that runs the example's code
/// and sends it as JSON talks to a [`Negotiator`](crate::Negotiator).
///
/// ```
/// # use peerloom::Signal;
/// let json = r#"{"candidate":{"candidate":"","sdpMid":"0"}}"#;
/// let Signal::Candidate(Some(candidate)) = serde_json::from_str(json)? else { unreachable!() };
/// assert!(candidate.is_end_of_candidates());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Signal {
    /// An offer or answer.
    Description(SessionDescription),
    /// A candidate; `None` (`null`) when there are no more, as a page's last `icecandidate` event
    /// has it.
    Candidate(Option<IceCandidate>),
}

impl<'de> Deserialize<'de> for Signal {
    /// Pages send either member, or both of them with the other one `null`; further ones are the
    /// application's.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Wire {
            #[serde(default)]
            description: Option<SessionDescription>,
            #[serde(default, deserialize_with = "present")]
            candidate: Option<Option<IceCandidate>>,
        }

        /// Tells `null` from a member that is not there.
        fn present<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<Option<IceCandidate>>, D::Error> {
            Option::deserialize(deserializer).map(Some)
        }

        match Wire::deserialize(deserializer)? {
            Wire {
                description: Some(description),
                ..
            } => Ok(Self::Description(description)),
            Wire {
                candidate: Some(candidate),
                ..
            } => Ok(Self::Candidate(candidate)),
            Wire { .. } => Err(D::Error::custom("neither a description nor a candidate")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Signal {
        serde_json::from_str(json).unwrap()
    }

    /// What `signaling.send({description: pc.localDescription})` and `({candidate}) =>
    /// signaling.send({candidate})` make, read and written.
    #[test]
    fn signals_have_the_form_of_the_w3c_example() {
        let description = r#"{"description":{"type":"offer","sdp":"v=0\r\n"}}"#;
        assert_eq!(
            read(description),
            Signal::Description(SessionDescription::offer("v=0\r\n"))
        );
        assert_eq!(
            serde_json::to_string(&read(description)).unwrap(),
            description
        );
        let last = r#"{"candidate":null}"#;
        assert_eq!(read(last), Signal::Candidate(None));
        assert_eq!(serde_json::to_string(&read(last)).unwrap(), last);
        let candidate = r#"{"candidate":{"candidate":"candidate:1","sdpMid":"0","sdpMLineIndex":0,"usernameFragment":"jG37"}}"#;
        assert!(matches!(read(candidate), Signal::Candidate(Some(_))));
        assert_eq!(serde_json::to_string(&read(candidate)).unwrap(), candidate);
    }

    #[test]
    fn the_other_member_may_be_null_and_one_must_be_there() {
        let both = r#"{"description":{"type":"answer","sdp":""},"candidate":null,"from":"x"}"#;
        assert!(matches!(read(both), Signal::Description(_)));
        let null = r#"{"description":null,"candidate":{"candidate":""}}"#;
        assert!(matches!(read(null), Signal::Candidate(Some(_))));
        for neither in ["{}", r#"{"description":null}"#, r#"{"bye":1}"#, "[]"] {
            assert!(
                serde_json::from_str::<Signal>(neither).is_err(),
                "{neither}"
            );
        }
    }
}
