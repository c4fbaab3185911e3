//! The session description format (RFC 8866) as a typed model.
//!
//! [`Description::parse`] reads what a peer sent, [`Display`](std::fmt::Display) writes it again.
//! Every attribute that WebRTC gives a meaning (RFC 9429 and the documents it cites) has a variant
//! of [`Attribute`]; the others are kept as they came, in their place. What a browser writes comes
//! out byte for byte; elsewhere only line ends, letter case of hexadecimal digits and repeated
//! blanks change.
//!
//! It is not a validator of whole descriptions: whether an offer makes sense is for
//! [`jsep`](crate::jsep) to say. Text cannot smuggle lines in: [`Text`] and [`Token`] hold no line
//! ends, so nothing built from them can either.
//!
//! ```
//! use peerloom::sdp::{Attribute, Description};
//!
//! let text = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=ice-lite\r\n";
//! let description = Description::parse(text)?;
//! assert_eq!(description.attributes, [Attribute::IceLite]);
//! assert_eq!(description.to_string(), text);
//!
//! let error = Description::parse(&text.replace("v=0", "v=1")).unwrap_err();
//! assert_eq!(error.to_string(), r#"line 1: the version must be 0: "1""#);
//! # Ok::<(), peerloom::sdp::ParseError>(())
//! ```

mod attribute;
mod description;
mod error;
mod media;
mod parse;
mod rtp;
mod text;
mod transport;

pub use attribute::{Attribute, Group};
pub use description::{Description, Line, Origin};
pub(crate) use error::shown;
pub use error::{ParseError, ParseErrorKind};
pub(crate) use media::DATA_CHANNEL;
pub use media::{Formats, Media, MediaKind, Protocol};
pub use parse::Limits;
pub use peerloom_dtls::Setup;
pub use rtp::{Direction, ExtMap, Fmtp, Msid, Rid, RidDirection, RtcpFb, RtpMap, Ssrc, SsrcGroup};
pub use text::{InvalidText, Text, Token};
pub use transport::{Fingerprint, IceText, SctpMap};
