//! What descriptions amount to, in one value: a rollback puts an earlier one back.

use std::sync::Arc;

use super::remote::RemoteTransport;
use super::{Credentials, Transport};
use crate::sdp::{Description, Formats, Media, MediaKind, Protocol, Text, Token};
use crate::{SdpType, Transceiver};

/// The m-sections and the transport, pending changes included.
#[derive(Debug, Clone, Default)]
pub(super) struct Session {
    pub(super) sections: Vec<Section>,
    pub(super) transceivers: Vec<Transceiver>,
    /// Of the last exchange that was completed.
    pub(super) current: Descriptions,
    /// Of the one under way.
    pub(super) pending: Descriptions,
    /// In our last description.
    pub(super) local_credentials: Option<Credentials>,
    /// In their last description; `None` without a data section.
    pub(super) remote: Option<RemoteTransport>,
    /// In effect.
    pub(super) agreed: Option<Transport>,
    /// Mids are not used twice, not even after their m-line was. Those of an offer that was taken
    /// back are: should the other side have answered it, it knows the m-line by that name.
    pub(super) next_mid: u32,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Descriptions {
    pub(super) local: Option<Kept>,
    pub(super) remote: Option<Kept>,
}

#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) kind: SdpType,
    pub(super) description: Arc<Description>,
}

/// One m-line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) mid: Option<Token>,
    pub(super) kind: MediaKind,
    pub(super) protocol: Protocol,
    pub(super) formats: Formats,
    /// Whether the last offer had it in a BUNDLE group.
    pub(super) bundled: bool,
    pub(super) purpose: Purpose,
}

/// What an m-line is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Data channels.
    Data,
    /// Nothing: it has port 0, or gets it in our answer.
    Rejected,
}

impl Session {
    /// The section that carries data channels, and thereby the transport.
    pub(super) fn data_section(&self) -> Option<(usize, &Section)> {
        self.sections
            .iter()
            .enumerate()
            .find(|(_, section)| section.is_data())
    }

    /// Numbers that either side used are not used again.
    pub(super) fn note_mids(&mut self, description: &Description) {
        for media in &description.media {
            // Nine digits cannot be counted up to, and cannot overflow either.
            let number = media.mid().filter(|mid| mid.len() <= 9);
            if let Some(number) = number.and_then(|mid| mid.parse::<u32>().ok()) {
                self.next_mid = self.next_mid.max(number + 1);
            }
        }
    }

    pub(super) fn local(&self) -> Option<&Kept> {
        self.pending.local.as_ref().or(self.current.local.as_ref())
    }

    pub(super) fn remote_description(&self) -> Option<&Kept> {
        self.pending
            .remote
            .as_ref()
            .or(self.current.remote.as_ref())
    }
}

impl Section {
    pub(super) fn data(mid: Token) -> Self {
        Self {
            mid: Some(mid),
            kind: MediaKind::Application,
            protocol: Protocol::UdpDtlsSctp,
            formats: Formats::Other(
                Text::new(crate::sdp::DATA_CHANNEL).expect("a constant without line ends"),
            ),
            bundled: true,
            purpose: Purpose::Data,
        }
    }

    pub(super) fn of(media: &Media, bundled: bool, purpose: Purpose) -> Self {
        Self {
            mid: media.mid().cloned(),
            kind: media.kind.clone(),
            protocol: media.protocol.clone(),
            formats: media.formats.clone(),
            bundled,
            purpose,
        }
    }

    pub(super) fn is_data(&self) -> bool {
        self.purpose == Purpose::Data
    }
}
