//! RE-CONFIG (RFC 6525).

use smallvec::SmallVec;

use super::DecodeError;
use super::chunk::chunk_type;
use super::tlv::{self, Reader, TLV_HEADER, Writer, padded};
use super::unknown::UnknownParam;
use crate::serial::{ReconfigSeq, StreamId, Tsn};

/// Requests to change the streams, and answers: one or two parameters (§3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconfig<'a> {
    /// The parameters. Whether two go together is the association's business.
    pub params: Vec<ReconfigParam<'a>>,
}

/// One parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReconfigParam<'a> {
    /// 13: Outgoing SSN Reset Request (§4.1): the sender starts `streams` again at SSN 0.
    OutgoingReset {
        /// This request.
        request: ReconfigSeq,
        /// The incoming reset request that this one answers, or the last one seen.
        response: ReconfigSeq,
        /// The last TSN that the sender assigned.
        last_tsn: Tsn,
        /// Which streams; empty means all.
        streams: SmallVec<[StreamId; 4]>,
    },
    /// 14: Incoming SSN Reset Request (§4.2): the receiver is asked to reset `streams`.
    IncomingReset {
        /// This request.
        request: ReconfigSeq,
        /// Which streams; empty means all.
        streams: SmallVec<[StreamId; 4]>,
    },
    /// 15: SSN/TSN Reset Request (§4.3).
    SsnTsnReset {
        /// This request.
        request: ReconfigSeq,
    },
    /// 16: Re-configuration Response (§4.4).
    Response {
        /// The request that is answered.
        response: ReconfigSeq,
        /// The answer.
        result: ReconfigResult,
        /// After a TSN reset: the responder's next TSN, and the next it expects.
        next_tsns: Option<(Tsn, Tsn)>,
    },
    /// 17: Add Outgoing Streams Request (§4.5).
    AddOutgoingStreams {
        /// This request.
        request: ReconfigSeq,
        /// How many.
        count: u16,
    },
    /// 18: Add Incoming Streams Request (§4.6).
    AddIncomingStreams {
        /// This request.
        request: ReconfigSeq,
        /// How many.
        count: u16,
    },
    /// Any other.
    Unknown(UnknownParam<'a>),
}

/// Answer to a re-configuration request (RFC 6525 §4.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReconfigResult {
    /// 0: nothing to do.
    NothingToDo,
    /// 1: performed.
    Performed,
    /// 2: denied.
    Denied,
    /// 3: error: wrong SSN.
    WrongSsn,
    /// 4: error: another request is in progress.
    AlreadyInProgress,
    /// 5: error: bad sequence number.
    BadSequenceNumber,
    /// 6: in progress: ask again.
    InProgress,
    /// Any other.
    Unknown(u32),
}

impl<'a> Reconfig<'a> {
    /// A chunk of one parameter.
    #[must_use]
    pub fn one(param: ReconfigParam<'a>) -> Self {
        Self {
            params: vec![param],
        }
    }

    pub(super) fn decode(mut rest: &'a [u8]) -> Result<Self, DecodeError> {
        let mut params = Vec::new();
        while let Some((kind, value)) =
            tlv::next(&mut rest).map_err(|param_type| DecodeError::ParamLength { param_type })?
        {
            tlv::bounded(params.len(), MAX_PARAMS)?;
            let param = ReconfigParam::decode(kind, value)
                .ok_or(DecodeError::ParamLength { param_type: kind })?;
            let stops = matches!(&param, ReconfigParam::Unknown(p) if p.action().stops());
            params.push(param);
            if stops {
                break;
            }
        }
        if params.is_empty() {
            return Err(DecodeError::MissingParam {
                chunk_type: chunk_type::RECONFIG,
            });
        }
        Ok(Self { params })
    }

    pub(super) fn value_len(&self) -> usize {
        self.params
            .iter()
            .fold(0, |len, param| padded(len) + param.len())
    }

    pub(super) fn encode_value(&self, out: &mut Writer<'_>) {
        for param in &self.params {
            out.pad();
            param.encode(out);
        }
    }

    /// The same without borrowing from a datagram.
    #[must_use]
    pub fn into_owned(self) -> Reconfig<'static> {
        Reconfig {
            params: self
                .params
                .into_iter()
                .map(ReconfigParam::into_owned)
                .collect(),
        }
    }
}

impl<'a> ReconfigParam<'a> {
    fn decode(kind: u16, value: &'a [u8]) -> Option<Self> {
        let mut value = Reader::new(value);
        Some(match kind {
            13 => Self::OutgoingReset {
                request: ReconfigSeq(value.u32()?),
                response: ReconfigSeq(value.u32()?),
                last_tsn: Tsn(value.u32()?),
                streams: decode_streams(value.rest())?,
            },
            14 => Self::IncomingReset {
                request: ReconfigSeq(value.u32()?),
                streams: decode_streams(value.rest())?,
            },
            15 => {
                let request = ReconfigSeq(value.u32()?);
                value.end()?;
                Self::SsnTsnReset { request }
            }
            16 => {
                let response = ReconfigSeq(value.u32()?);
                let result = ReconfigResult::from_wire(value.u32()?);
                let next_tsns = match *value.rest() {
                    [] => None,
                    [s0, s1, s2, s3, r0, r1, r2, r3] => Some((
                        Tsn(u32::from_be_bytes([s0, s1, s2, s3])),
                        Tsn(u32::from_be_bytes([r0, r1, r2, r3])),
                    )),
                    _ => return None,
                };
                Self::Response {
                    response,
                    result,
                    next_tsns,
                }
            }
            17 | 18 => {
                let request = ReconfigSeq(value.u32()?);
                let count = value.u16()?;
                // The two bytes behind it are reserved.
                value.u16()?;
                value.end()?;
                if kind == 17 {
                    Self::AddOutgoingStreams { request, count }
                } else {
                    Self::AddIncomingStreams { request, count }
                }
            }
            _ => Self::Unknown(UnknownParam {
                param_type: kind,
                value: value.rest().into(),
            }),
        })
    }

    /// Bytes with the header, without padding.
    fn len(&self) -> usize {
        TLV_HEADER
            + match self {
                Self::OutgoingReset { streams, .. } => 12 + streams.len() * 2,
                Self::IncomingReset { streams, .. } => 4 + streams.len() * 2,
                Self::SsnTsnReset { .. } => 4,
                Self::Response {
                    next_tsns: None, ..
                } => 8,
                Self::Response {
                    next_tsns: Some(_), ..
                } => 16,
                Self::AddOutgoingStreams { .. } | Self::AddIncomingStreams { .. } => 8,
                Self::Unknown(unknown) => unknown.value.len(),
            }
    }

    fn encode(&self, out: &mut Writer<'_>) {
        let kind = match self {
            Self::OutgoingReset { .. } => 13,
            Self::IncomingReset { .. } => 14,
            Self::SsnTsnReset { .. } => 15,
            Self::Response { .. } => 16,
            Self::AddOutgoingStreams { .. } => 17,
            Self::AddIncomingStreams { .. } => 18,
            Self::Unknown(unknown) => unknown.param_type,
        };
        out.tlv(kind, self.len() - TLV_HEADER);
        match self {
            Self::OutgoingReset {
                request,
                response,
                last_tsn,
                streams,
            } => {
                out.u32(request.0);
                out.u32(response.0);
                out.u32(last_tsn.0);
                streams.iter().for_each(|stream| out.u16(stream.0));
            }
            Self::IncomingReset { request, streams } => {
                out.u32(request.0);
                streams.iter().for_each(|stream| out.u16(stream.0));
            }
            Self::SsnTsnReset { request } => out.u32(request.0),
            Self::Response {
                response,
                result,
                next_tsns,
            } => {
                out.u32(response.0);
                out.u32(result.to_wire());
                if let Some((sender, receiver)) = next_tsns {
                    out.u32(sender.0);
                    out.u32(receiver.0);
                }
            }
            Self::AddOutgoingStreams { request, count }
            | Self::AddIncomingStreams { request, count } => {
                out.u32(request.0);
                out.u16(*count);
                out.u16(0);
            }
            Self::Unknown(unknown) => out.slice(&unknown.value),
        }
    }

    /// The same without borrowing from a datagram.
    #[must_use]
    pub fn into_owned(self) -> ReconfigParam<'static> {
        match self {
            Self::OutgoingReset {
                request,
                response,
                last_tsn,
                streams,
            } => ReconfigParam::OutgoingReset {
                request,
                response,
                last_tsn,
                streams,
            },
            Self::IncomingReset { request, streams } => {
                ReconfigParam::IncomingReset { request, streams }
            }
            Self::SsnTsnReset { request } => ReconfigParam::SsnTsnReset { request },
            Self::Response {
                response,
                result,
                next_tsns,
            } => ReconfigParam::Response {
                response,
                result,
                next_tsns,
            },
            Self::AddOutgoingStreams { request, count } => {
                ReconfigParam::AddOutgoingStreams { request, count }
            }
            Self::AddIncomingStreams { request, count } => {
                ReconfigParam::AddIncomingStreams { request, count }
            }
            Self::Unknown(unknown) => ReconfigParam::Unknown(unknown.into_owned()),
        }
    }
}

impl ReconfigResult {
    fn from_wire(value: u32) -> Self {
        match value {
            0 => Self::NothingToDo,
            1 => Self::Performed,
            2 => Self::Denied,
            3 => Self::WrongSsn,
            4 => Self::AlreadyInProgress,
            5 => Self::BadSequenceNumber,
            6 => Self::InProgress,
            other => Self::Unknown(other),
        }
    }

    fn to_wire(self) -> u32 {
        match self {
            Self::NothingToDo => 0,
            Self::Performed => 1,
            Self::Denied => 2,
            Self::WrongSsn => 3,
            Self::AlreadyInProgress => 4,
            Self::BadSequenceNumber => 5,
            Self::InProgress => 6,
            Self::Unknown(other) => other,
        }
    }
}

fn decode_streams(value: &[u8]) -> Option<SmallVec<[StreamId; 4]>> {
    let (streams, []) = value.as_chunks() else {
        return None;
    };
    Some(
        streams
            .iter()
            .map(|&bytes| StreamId(u16::from_be_bytes(bytes)))
            .collect(),
    )
}

/// §3.1 allows two; a few unknown ones are skipped.
const MAX_PARAMS: usize = 8;
