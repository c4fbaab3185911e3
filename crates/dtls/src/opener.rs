//! Opening records in place, and what an authentic record means (RFC 6347 section 4.1.2).

use std::fmt;
use std::time::Instant;

use bytes::Bytes;
use ring::aead::{Aad, LessSafeKey, Nonce};

use crate::alert::{Alert, AlertDescription};
use crate::last_flight::LastFlight;
use crate::record::{
    ContentType, EXPLICIT_NONCE_LEN, HEADER_LEN, HEADROOM, Header, MAX_PLAINTEXT, TAG_LEN, VERSION,
};
use crate::replay::Window;
use crate::role::Role;
use crate::sealer::less_safe_key;
use crate::stats::{DropReason, Drops, Usage};

/// Opens what we receive after the handshake. Owned by whoever reads the socket.
pub struct Opener {
    key: LessSafeKey,
    iv: [u8; 4],
    role: Role,
    window: Window,
    last_flight: LastFlight,
    usage: Usage,
    drops: Drops,
}

/// What a record turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub enum Opened<'a> {
    /// Data, decrypted where the record lay.
    ApplicationData(&'a mut [u8]),
    /// The peer sends no more: answer with [`Sealer::close_notify`](crate::Sealer::close_notify)
    /// and close.
    CloseNotify,
    /// The peer gave up; nothing more will come or be taken.
    FatalAlert(AlertDescription),
    /// The peer did not get our last flight: send [`Opener::last_flight`] again.
    RepeatLastFlight,
    /// Nothing. Counted in [`Opener::drops`].
    Ignored(DropReason),
}

impl Opener {
    pub(crate) fn new(key: &[u8; 16], iv: [u8; 4], role: Role) -> Self {
        Self {
            key: less_safe_key(key),
            iv,
            role,
            window: Window::new(),
            last_flight: LastFlight::default(),
            usage: Usage::default(),
            drops: Drops::default(),
        }
    }

    /// Opens one record (of [`records`](crate::records)) in place. Nothing a record says counts
    /// before its tag verified: not its number, not its type.
    pub fn open<'a>(&mut self, record: &'a mut [u8]) -> Opened<'a> {
        match self.authenticate(record) {
            Ok((content, _, plaintext)) => self.read(content, plaintext),
            Err(reason) => self.ignore(reason),
        }
    }

    /// Our last flight, to be sent again verbatim after [`Opened::RepeatLastFlight`]; the same bytes,
    /// so no nonce is used twice. Empty while the last repeat is too recent, and at a client, whose
    /// last flight the peer's Finished acknowledges.
    pub fn last_flight(&mut self, now: Instant) -> &[Bytes] {
        self.last_flight.repeat(now)
    }

    /// How much the peer's key was used, and how many forgeries were seen.
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// What was ignored and why, the handshake included.
    pub fn drops(&self) -> &Drops {
        &self.drops
    }

    pub(crate) fn set_last_flight(&mut self, last_flight: LastFlight) {
        self.last_flight = last_flight;
    }

    pub(crate) fn set_drops(&mut self, drops: Drops) {
        self.drops = drops;
    }

    /// Opens without reading a meaning into it, for the peer's Finished.
    pub(crate) fn authenticate<'a>(
        &mut self,
        record: &'a mut [u8],
    ) -> Result<(u8, u64, &'a mut [u8]), DropReason> {
        let header = Header::parse(record).ok_or(DropReason::Malformed)?;
        if header.epoch != 1 {
            return Err(DropReason::Epoch);
        }
        if header.version != VERSION {
            return Err(DropReason::UnknownRecord);
        }
        if record.len() != HEADER_LEN + usize::from(header.length) {
            return Err(DropReason::Malformed);
        }
        let plaintext = record
            .len()
            .checked_sub(HEADROOM + TAG_LEN)
            .filter(|len| *len <= MAX_PLAINTEXT)
            .ok_or(DropReason::Malformed)?;
        if !self.window.is_fresh(header.sequence) {
            return Err(DropReason::Replay);
        }
        let (head, body) = record.split_at_mut(HEADROOM);
        let mut nonce = [0; 12];
        nonce[..4].copy_from_slice(&self.iv);
        // Not necessarily the record number: a peer may choose it as it likes (RFC 5288 section 3).
        nonce[4..].copy_from_slice(&head[HEADER_LEN..HEADER_LEN + EXPLICIT_NONCE_LEN]);
        let mut aad = [0; 13];
        aad[..8].copy_from_slice(&head[3..11]);
        aad[8..11].copy_from_slice(&head[..3]);
        aad[11..].copy_from_slice(&(plaintext as u16).to_be_bytes());
        let opened =
            self.key
                .open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(aad), body);
        let Ok(plaintext) = opened else {
            self.usage.forged += 1;
            return Err(DropReason::Forged);
        };
        self.window.accept(header.sequence);
        self.usage.records += 1;
        self.usage.bytes += plaintext.len() as u64;
        Ok((header.content_type, header.sequence, plaintext))
    }

    fn read<'a>(&mut self, content: u8, plaintext: &'a mut [u8]) -> Opened<'a> {
        match ContentType::from_wire(content) {
            Some(ContentType::ApplicationData) => Opened::ApplicationData(plaintext),
            Some(ContentType::Alert) => match Alert::parse(plaintext) {
                Some(Alert::CloseNotify) => Opened::CloseNotify,
                Some(Alert::Fatal(description)) => Opened::FatalAlert(description),
                Some(Alert::Warning) => self.ignore(DropReason::Pointless),
                None => self.ignore(DropReason::Malformed),
            },
            // Only the server's flight is the last one (RFC 6347 section 4.2.4). A client that
            // repeated its own on a repeated Finished would start an endless exchange.
            Some(ContentType::Handshake)
                if self.role == Role::Server && plaintext.first() == Some(&FINISHED) =>
            {
                Opened::RepeatLastFlight
            }
            // Renegotiation is not done, so there is nothing to answer.
            Some(ContentType::Handshake | ContentType::ChangeCipherSpec) => {
                self.ignore(DropReason::Pointless)
            }
            None => self.ignore(DropReason::UnknownRecord),
        }
    }

    fn ignore<'a>(&mut self, reason: DropReason) -> Opened<'a> {
        self.drops.add(reason);
        Opened::Ignored(reason)
    }
}

impl fmt::Debug for Opener {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opener")
            .field("role", &self.role)
            .field("usage", &self.usage)
            .finish_non_exhaustive()
    }
}

/// The handshake message type of Finished.
const FINISHED: u8 = 20;
