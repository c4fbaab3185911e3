//! One payload for many receivers, each with keys and header of its own.

use crate::error::SealError;
use crate::sender::Sender;

/// One receiver of a fan-out.
#[derive(Debug)]
pub struct Leg<'a> {
    /// Its keys.
    pub sender: &'a mut Sender,
    /// The complete RTP header it is to get: SSRC, sequence number and extension may be its own.
    pub header: &'a [u8],
    /// Where its packet goes: room for header, payload and [`TAILROOM`](crate::TAILROOM) bytes. Cut
    /// out of one buffer, equal packets can leave in one system call.
    pub buffer: &'a mut [u8],
}

/// Seals `payload` for each leg, one per step of the iterator, in order. Each item is the packet to be
/// sent, at the front of the leg's buffer, or why there is none; one leg's error does not touch the
/// others. Allocates nothing.
///
/// ```
/// use peerloom_srtp::{Leg, MasterKey, Profile, Sender, TAILROOM, fan_out};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut senders = Vec::new();
/// for receiver in 0..3 {
///     let keys = MasterKey::new(Profile::AeadAes128Gcm, &[receiver; 16], &[7; 12])?;
///     senders.push(Sender::new(&keys, Default::default()));
/// }
/// let header = [0x80, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 42];
/// let payload = [0x55; 1000];
///
/// let stride = header.len() + payload.len() + TAILROOM;
/// let mut batch = vec![0; stride * senders.len()];
/// let legs = senders.iter_mut().zip(batch.chunks_mut(stride)).map(|(sender, buffer)| {
///     Leg { sender, header: &header, buffer }
/// });
/// for sealed in fan_out(&payload, legs) {
///     assert_eq!(sealed?.len(), 12 + 1000 + 16);
/// }
/// # Ok(()) }
/// ```
pub fn fan_out<'a, L>(
    payload: &[u8],
    legs: L,
) -> impl Iterator<Item = Result<&'a mut [u8], SealError>>
where
    L: IntoIterator<Item = Leg<'a>>,
{
    legs.into_iter()
        .map(move |leg| leg.sender.seal_rtp_parts(leg.header, payload, leg.buffer))
}
