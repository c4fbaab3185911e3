//! Sealing what one end sends.

use std::collections::HashMap;
use std::fmt;
use std::hash::BuildHasherDefault;

use crate::config::{Limits, SenderConfig};
use crate::context::Context;
use crate::cryptex::{self, Region};
use crate::error::{Malformed, SealError};
use crate::header::{RtpHeader, rtcp_ssrc};
use crate::key_derivation::MasterKey;
use crate::replay::Verdict;
use crate::rtcp::{IndexWord, MAX_INDEX};
use crate::ssrc_table::{Slot, SsrcHasher, SsrcTable};
use crate::stats::SenderStats;
use crate::stream::Stream;

/// Seals RTP and RTCP in place, without allocating once a stream is known.
///
/// Refuses to use a nonce twice: a sequence number can be sealed once. Where a retransmission is to be
/// the same packet (no RTX), send the sealed bytes again.
pub struct Sender {
    context: Context,
    cryptex: bool,
    streams: SsrcTable<Stream>,
    /// The highest index of streams that left the table.
    retired: HashMap<u32, u64, BuildHasherDefault<SsrcHasher>>,
    /// Of the next SRTCP packet. One counter for all SSRCs: it is sent explicitly, and the nonce has
    /// the SSRC in it as well.
    rtcp_index: u32,
    limits: Limits,
    stats: SenderStats,
}

/// Bytes to leave free behind a packet that is to be sealed: the longest tag and index, or the longest
/// tag and the extension header that Cryptex may insert.
pub const TAILROOM: usize = 20;

impl Sender {
    /// With this direction's keys. Make one only: two senders with the same keys would use nonces
    /// twice.
    pub fn new(keys: &MasterKey, config: SenderConfig) -> Self {
        Self::with_context(Context::new(keys), config)
    }

    pub(crate) fn with_context(context: Context, config: SenderConfig) -> Self {
        Self {
            context,
            cryptex: config.cryptex,
            streams: SsrcTable::new(config.limits.streams),
            retired: HashMap::default(),
            rtcp_index: 0,
            limits: config.limits,
            stats: SenderStats::default(),
        }
    }

    /// Seals an RTP packet where it lies. `buffer` is the packet and [`TAILROOM`] bytes; what comes
    /// back is the front of it, to be sent.
    #[inline]
    pub fn seal_rtp<'a>(&mut self, buffer: &'a mut [u8]) -> Result<&'a mut [u8], SealError> {
        match self.try_seal_rtp(buffer) {
            Ok(len) => {
                self.stats.rtp += 1;
                Ok(&mut buffer[..len])
            }
            Err(error) => Err(self.refuse(error)),
        }
    }

    /// Puts a packet together in `buffer` and seals it there: the header made for this receiver, and
    /// a payload that others get too. `buffer` has room for both and [`TAILROOM`] bytes, or
    /// [`SealError::NoRoom`].
    #[inline]
    pub fn seal_rtp_parts<'a>(
        &mut self,
        header: &[u8],
        payload: &[u8],
        buffer: &'a mut [u8],
    ) -> Result<&'a mut [u8], SealError> {
        let len = header.len() + payload.len();
        let needed = len + TAILROOM;
        if buffer.len() < needed {
            let len = buffer.len();
            return Err(self.refuse(SealError::NoRoom { len, needed }));
        }
        let buffer = &mut buffer[..needed];
        buffer[..header.len()].copy_from_slice(header);
        buffer[header.len()..len].copy_from_slice(payload);
        self.seal_rtp(buffer)
    }

    /// Seals a compound or reduced-size RTCP packet where it lies. `buffer` is the packet and
    /// [`TAILROOM`] bytes; what comes back is the front of it, to be sent.
    pub fn seal_rtcp<'a>(&mut self, buffer: &'a mut [u8]) -> Result<&'a mut [u8], SealError> {
        match self.try_seal_rtcp(buffer) {
            Ok(len) => {
                self.stats.rtcp += 1;
                Ok(&mut buffer[..len])
            }
            Err(error) => Err(self.refuse(error)),
        }
    }

    /// Says what the rollover counter of the stream's next packet is, e.g. when a stream continues
    /// that others have received from the start. [`SealError::Reused`] if the stream is beyond it, and
    /// possibly [`SealError::TooManyStreams`].
    pub fn seed_rollover(&mut self, ssrc: u32, counter: u32) -> Result<(), SealError> {
        if self.rollover(ssrc).is_some_and(|reached| reached > counter) {
            return Err(self.refuse(SealError::Reused));
        }
        let slot = self.find_or_admit(ssrc)?;
        self.streams.touch(slot).rollover.seed(counter);
        Ok(())
    }

    /// The rollover counter of the highest packet sealed, to be signalled to late receivers.
    pub fn rollover(&self, ssrc: u32) -> Option<u32> {
        let highest = match self.streams.find(ssrc) {
            Some(slot) => self.streams.at(slot).rollover.highest(),
            None => self.retired.get(&ssrc).copied(),
        };
        highest.map(|index| (index >> 16) as u32)
    }

    /// What was done so far.
    pub fn stats(&self) -> SenderStats {
        self.stats
    }

    #[inline]
    fn try_seal_rtp(&mut self, buffer: &mut [u8]) -> Result<usize, SealError> {
        let len = packet_len(buffer)?;
        let header = RtpHeader::parse(&buffer[..len])?;
        if self.cryptex {
            cryptex::check(&header)?;
        }
        let index = self.claim(header.ssrc, header.sequence)?;
        let (region, len) = if self.cryptex {
            cryptex::mark(buffer, len, &header)
        } else {
            (Region::payload(&header), len)
        };
        Ok(self
            .context
            .seal_rtp(buffer, len, region, header.ssrc, index))
    }

    fn try_seal_rtcp(&mut self, buffer: &mut [u8]) -> Result<usize, SealError> {
        let len = packet_len(buffer)?;
        let ssrc = rtcp_ssrc(&buffer[..len])?;
        if self.rtcp_index > MAX_INDEX {
            return Err(SealError::Exhausted);
        }
        let word = IndexWord::encrypted(self.rtcp_index);
        self.rtcp_index += 1;
        Ok(self.context.seal_rtcp(buffer, len, ssrc, word))
    }

    /// The packet's index, which from here on counts as used.
    #[inline]
    fn claim(&mut self, ssrc: u32, sequence: u16) -> Result<u64, SealError> {
        let slot = self.find_or_admit(ssrc)?;
        let stream = self.streams.touch(slot);
        let index = stream
            .rollover
            .estimate(sequence)
            .ok_or(SealError::Exhausted)?;
        match stream.replay.check(index) {
            Verdict::New => {
                stream.accept(index);
                Ok(index)
            }
            Verdict::Seen | Verdict::TooOld => Err(SealError::Reused),
        }
    }

    #[inline]
    fn find_or_admit(&mut self, ssrc: u32) -> Result<Slot, SealError> {
        match self.streams.find(ssrc) {
            Some(slot) => Ok(slot),
            None => self.admit(ssrc),
        }
    }

    /// A stream that leaves the table keeps its highest index: coming back at 0, it would use its
    /// nonces again.
    #[cold]
    fn admit(&mut self, ssrc: u32) -> Result<Slot, SealError> {
        if self.streams.is_full()
            && let Some((oldest, stream)) = self.streams.oldest()
        {
            if let Some(highest) = stream.rollover.highest() {
                let room =
                    self.retired.len() < self.limits.retired || self.retired.contains_key(&ssrc);
                if !room {
                    let max = self.streams.len() + self.limits.retired;
                    return Err(SealError::TooManyStreams { max });
                }
                self.retired.insert(oldest, highest);
            }
            self.stats.evicted += 1;
        }
        let stream = match self.retired.remove(&ssrc) {
            Some(highest) => Stream::resumed(highest),
            None => Stream::new(),
        };
        Ok(self.streams.insert(ssrc, stream))
    }

    #[cold]
    fn refuse(&mut self, error: SealError) -> SealError {
        self.stats.refused += 1;
        error
    }
}

impl fmt::Debug for Sender {
    /// Without the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("profile", &self.context.profile)
            .field("streams", &self.streams.len())
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}

#[inline]
fn packet_len(buffer: &[u8]) -> Result<usize, Malformed> {
    buffer
        .len()
        .checked_sub(TAILROOM)
        .ok_or(Malformed::Truncated)
}

#[cfg(test)]
mod tests;
