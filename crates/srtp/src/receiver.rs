//! Opening what one end receives.

use std::fmt;

use crate::config::ReceiverConfig;
use crate::context::Context;
use crate::cryptex::{self, Cryptex, Region};
use crate::error::{Malformed, OpenError};
use crate::header::{RtpHeader, rtcp_ssrc};
use crate::key_derivation::MasterKey;
use crate::replay::{ReplayWindow, Verdict};
use crate::rollover::{Candidates, Rollover};
use crate::ssrc_table::{Slot, SsrcTable};
use crate::stats::ReceiverStats;
use crate::stream::Stream;

/// Opens RTP and RTCP in place, without allocating once a stream is known.
///
/// A packet that is not authentic changes nothing but a counter: no stream is made, no window and no
/// rollover counter moves, nothing becomes more recently used.
pub struct Receiver {
    context: Context,
    cryptex: Cryptex,
    unencrypted_rtcp: bool,
    streams: SsrcTable<Stream>,
    rtcp_streams: SsrcTable<ReplayWindow>,
    stats: ReceiverStats,
}

impl Receiver {
    /// With the keys of the direction from the peer.
    pub fn new(keys: &MasterKey, config: ReceiverConfig) -> Self {
        Self::with_context(Context::new(keys), config)
    }

    pub(crate) fn with_context(context: Context, config: ReceiverConfig) -> Self {
        Self {
            context,
            cryptex: config.cryptex,
            unencrypted_rtcp: config.unencrypted_rtcp,
            streams: SsrcTable::new(config.limits.streams),
            rtcp_streams: SsrcTable::new(config.limits.streams),
            stats: ReceiverStats::default(),
        }
    }

    /// Opens an RTP packet where it lies; what comes back is the front of it. After an error the
    /// bytes are meaningless.
    #[inline]
    pub fn open_rtp<'a>(&mut self, packet: &'a mut [u8]) -> Result<&'a mut [u8], OpenError> {
        match self.try_open_rtp(packet) {
            Ok(len) => {
                self.stats.rtp += 1;
                Ok(&mut packet[..len])
            }
            Err(reason) => Err(self.refuse(reason)),
        }
    }

    /// Opens an RTCP packet where it lies; what comes back is the front of it. After an error the
    /// bytes are meaningless.
    pub fn open_rtcp<'a>(&mut self, packet: &'a mut [u8]) -> Result<&'a mut [u8], OpenError> {
        match self.try_open_rtcp(packet) {
            Ok(len) => {
                self.stats.rtcp += 1;
                Ok(&mut packet[..len])
            }
            Err(reason) => Err(self.refuse(reason)),
        }
    }

    /// Says what the rollover counter of a stream's next packet is, as it was signalled; one more and
    /// one less are tried too. Without it a new stream begins at 0 or 1, and a running one goes on. Packets opened before stay
    /// replays.
    pub fn seed_rollover(&mut self, ssrc: u32, counter: u32) {
        let slot = match self.streams.find(ssrc) {
            Some(slot) => slot,
            None => self.admit(ssrc),
        };
        self.streams.touch(slot).rollover.seed(counter);
    }

    /// The rollover counter of the highest packet opened.
    pub fn rollover(&self, ssrc: u32) -> Option<u32> {
        let highest = self
            .streams
            .at(self.streams.find(ssrc)?)
            .rollover
            .highest()?;
        Some((highest >> 16) as u32)
    }

    /// How many SSRCs are remembered, of RTP and of RTCP.
    pub fn streams(&self) -> (usize, usize) {
        (self.streams.len(), self.rtcp_streams.len())
    }

    /// What was done so far.
    pub fn stats(&self) -> ReceiverStats {
        self.stats
    }

    #[inline]
    fn try_open_rtp(&mut self, packet: &mut [u8]) -> Result<usize, OpenError> {
        let header = RtpHeader::parse(packet)?;
        let len = packet
            .len()
            .checked_sub(self.context.profile.rtp_tag_len())
            .filter(|&len| len >= header.len)
            .ok_or(Malformed::Truncated)?;
        let region = cryptex::received(&header, self.cryptex)?;

        let slot = self.streams.find(header.ssrc);
        let certain = slot.and_then(|slot| {
            let stream = self.streams.at(slot);
            let index = stream.rollover.certain(header.sequence)?;
            Some(refuse_used(&stream.replay, index).map(|()| index))
        });
        let index = match certain {
            Some(index) => {
                let index = index?;
                self.context
                    .open_rtp(packet, region, header.ssrc, &[index])
                    .ok_or(OpenError::NotAuthentic)?
            }
            None => self.open_in_doubt(packet, region, &header, slot)?,
        };
        let slot = slot.unwrap_or_else(|| self.admit(header.ssrc));
        self.streams.touch(slot).accept(index);
        cryptex::unmark(packet, &header);
        Ok(len)
    }

    /// Opens a packet whose rollover counter may be one of several, those that the replay window knows
    /// left out.
    #[cold]
    fn open_in_doubt(
        &mut self,
        packet: &mut [u8],
        region: Region,
        header: &RtpHeader,
        slot: Option<Slot>,
    ) -> Result<u64, OpenError> {
        let stream = slot.map(|slot| self.streams.at(slot));
        let candidates = match stream {
            Some(stream) => stream.rollover.candidates(header.sequence),
            None => Rollover::candidates_of_new_stream(header.sequence),
        };
        let likeliest = candidates.iter().next().ok_or(OpenError::Exhausted)?;
        let (mut tries, mut count) = ([0; Candidates::MAX], 0);
        let mut refusal = None;
        for index in candidates.iter() {
            match stream.map_or(Ok(()), |stream| refuse_used(&stream.replay, index)) {
                Ok(()) => {
                    tries[count] = index;
                    count += 1;
                }
                Err(reason) => refusal = refusal.or(Some(reason)),
            }
        }
        let index = self
            .context
            .open_rtp(packet, region, header.ssrc, &tries[..count])
            .ok_or(refusal.unwrap_or(OpenError::NotAuthentic))?;
        self.stats.recovered += u64::from(index != likeliest);
        Ok(index)
    }

    fn try_open_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, OpenError> {
        let ssrc = rtcp_ssrc(packet)?;
        let (len, word) = self.context.split_rtcp(packet)?;
        if !word.is_encrypted() && !self.unencrypted_rtcp {
            return Err(OpenError::Unencrypted);
        }
        let slot = self.rtcp_streams.find(ssrc);
        if let Some(slot) = slot {
            refuse_used(self.rtcp_streams.at(slot), word.index())?;
        }
        if !self.context.open_rtcp(packet, len, ssrc, word) {
            return Err(OpenError::NotAuthentic);
        }
        let slot = slot.unwrap_or_else(|| {
            self.stats.evicted += u64::from(self.rtcp_streams.is_full());
            self.rtcp_streams.insert(ssrc, ReplayWindow::new())
        });
        self.rtcp_streams.touch(slot).mark(word.index());
        Ok(len)
    }

    #[cold]
    fn admit(&mut self, ssrc: u32) -> Slot {
        self.stats.evicted += u64::from(self.streams.is_full());
        self.streams.insert(ssrc, Stream::new())
    }

    #[cold]
    fn refuse(&mut self, reason: OpenError) -> OpenError {
        self.stats.drops.count(reason);
        reason
    }
}

impl fmt::Debug for Receiver {
    /// Without the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("profile", &self.context.profile)
            .field("streams", &self.streams())
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}

#[inline]
fn refuse_used(window: &ReplayWindow, index: u64) -> Result<(), OpenError> {
    match window.check(index) {
        Verdict::New => Ok(()),
        Verdict::Seen => Err(OpenError::Replayed),
        Verdict::TooOld => Err(OpenError::TooOld),
    }
}

#[cfg(test)]
mod tests;
