//! Planned packets: what the association decided to send, as values, and the bytes made of them.
//!
//! The association fills a batch under its owner's lock; nothing is marshalled there. The owner
//! then releases the lock and calls [`PacketBatch::encode`] for every packet, into buffers of its
//! own, and [`PacketBatch::clear`], which frees acknowledged messages where no one waits for it.
//! A batch is recycled: once it has grown to its working size it allocates nothing.
//!
//! Nothing happens in here in TSN space: which fragment goes where is the association's choice,
//! this file only keeps the account of bytes.

use crate::send::payload::{Payload, PayloadPool};
use crate::serial::{Fsn, Mid, Ppid, Ssn, StreamId, Tsn};
use crate::wire::{
    Checksum, Chunk, DATA_HEADER_LEN, Data, DataFlags, HEADER_LEN, I_DATA_HEADER_LEN, IData,
    PacketHeader, Writer, encode_header, padded, write_checksum,
};

/// A batch of planned packets; see the [module](self).
#[derive(Debug, Default)]
pub struct PacketBatch {
    packets: Vec<Planned>,
    /// Chunks of all packets, one behind the other.
    chunks: Vec<PlannedChunk>,
    /// What `PlannedChunk::Control` points into.
    control: Vec<Chunk<'static>>,
    /// What `DataPlan::message` points into: one reference per message and batch.
    messages: Vec<Payload>,
    unqueued: Vec<(StreamId, usize)>,
    retired: Vec<Payload>,
    /// What the retired ones have left, for the next messages.
    spare: PayloadPool,
    open: Option<Open>,
}

/// One fragment: the header of its DATA or I-DATA chunk and where its user data lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DataPlan {
    pub(crate) tsn: Tsn,
    pub(crate) stream: StreamId,
    pub(crate) numbering: Numbering,
    pub(crate) ppid: Ppid,
    pub(crate) flags: DataFlags,
    /// From [`PacketBatch::message`].
    pub(crate) message: MessageIndex,
    pub(crate) offset: u32,
    pub(crate) len: u16,
}

/// How the chunk says what it is a fragment of, which makes it DATA or I-DATA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Numbering {
    Data(Ssn),
    IData { mid: Mid, fsn: Fsn },
}

/// A message's place in one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MessageIndex(u32);

impl PacketBatch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets everything, and frees the messages that were acknowledged or abandoned since the
    /// last time. Keeps its memory. Call it without a lock.
    pub fn clear(&mut self) {
        self.packets.clear();
        self.chunks.clear();
        self.control.clear();
        self.messages.clear();
        self.unqueued.clear();
        for payload in self.retired.drain(..) {
            self.spare.retire(payload);
        }
        self.open = None;
    }

    /// Number of packets.
    #[must_use]
    pub fn len(&self) -> usize {
        self.packets.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Bytes of packet `index`.
    ///
    /// # Panics
    /// If there are not so many packets.
    #[must_use]
    pub fn encoded_len(&self, index: usize) -> usize {
        self.packets[index].len as usize
    }

    /// Bytes of all packets.
    #[must_use]
    pub fn total_len(&self) -> usize {
        self.packets.iter().map(|packet| packet.len as usize).sum()
    }

    /// Writes packet `index` with its CRC32c to the front of `out` and returns its
    /// [`PacketBatch::encoded_len`].
    ///
    /// # Panics
    /// If there are not so many packets, or `out` is shorter than that.
    pub fn encode(&self, index: usize, out: &mut [u8]) -> usize {
        let packet = &self.packets[index];
        let out = &mut out[..packet.len as usize];
        let mut writer = Writer::new(out);
        encode_header(packet.header, &mut writer);
        let end = self
            .packets
            .get(index + 1)
            .map_or(self.chunks.len(), |next| next.first_chunk as usize);
        for chunk in &self.chunks[packet.first_chunk as usize..end] {
            match chunk {
                PlannedChunk::Data(plan) => self.encode_data(plan, &mut writer),
                PlannedChunk::Control(index) => self.control[*index as usize].write(&mut writer),
                PlannedChunk::Pad(len) => Chunk::Pad(*len as usize).write(&mut writer),
            }
        }
        if packet.checksum == Checksum::Crc32c {
            write_checksum(out);
        }
        out.len()
    }

    /// Bytes that left the send queue with this batch, by their first transmission or by being
    /// abandoned, summed per stream. A stream can appear again if very many took turns.
    #[must_use]
    pub fn unqueued(&self) -> &[(StreamId, usize)] {
        &self.unqueued
    }

    #[inline]
    fn encode_data(&self, plan: &DataPlan, writer: &mut Writer<'_>) {
        let message = &self.messages[plan.message.0 as usize];
        let offset = plan.offset as usize;
        let payload = &message[offset..offset + usize::from(plan.len)];
        let &DataPlan {
            tsn,
            stream,
            ppid,
            flags,
            ..
        } = plan;
        match plan.numbering {
            Numbering::Data(ssn) => Data {
                tsn,
                stream,
                ssn,
                ppid,
                flags,
                payload,
            }
            .encode(writer),
            Numbering::IData { mid, fsn } => IData {
                tsn,
                stream,
                mid,
                ppid,
                fsn,
                flags,
                payload,
            }
            .encode(writer),
        }
    }
}

/// What the association fills a batch with.
impl PacketBatch {
    /// Starts a packet of at most `max_len` bytes. The one before has ended.
    pub(crate) fn begin_packet(
        &mut self,
        header: PacketHeader,
        checksum: Checksum,
        max_len: usize,
    ) {
        debug_assert!(self.open.is_none(), "packets do not nest");
        self.open = Some(Open {
            header,
            checksum,
            first_chunk: index(self.chunks.len()),
            len: HEADER_LEN,
            max_len: max_len / 4 * 4,
        });
    }

    /// Bytes left in the open packet for chunks with their headers and padding: a multiple of
    /// four; zero if no packet is open.
    #[inline]
    pub(crate) fn remaining(&self) -> usize {
        self.open
            .as_ref()
            .map_or(0, |open| open.max_len.saturating_sub(open.len))
    }

    /// Bytes of the open packet so far; only the common header if nothing was pushed.
    pub(crate) fn open_len(&self) -> usize {
        self.open.as_ref().map_or(0, |open| open.len)
    }

    /// Appends a control chunk to the open packet. It has to fit.
    pub(crate) fn push_control(&mut self, chunk: Chunk<'static>) {
        self.account(chunk.encoded_len());
        self.chunks
            .push(PlannedChunk::Control(index(self.control.len())));
        self.control.push(chunk);
    }

    /// Appends a fragment to the open packet. It has to fit.
    #[inline]
    pub(crate) fn push_data(&mut self, plan: DataPlan) {
        let header = match plan.numbering {
            Numbering::Data(_) => DATA_HEADER_LEN,
            Numbering::IData { .. } => I_DATA_HEADER_LEN,
        };
        self.account(padded(header + usize::from(plan.len)));
        self.chunks.push(PlannedChunk::Data(plan));
    }

    /// The place of a message in this batch, for [`DataPlan::message`]. Takes one reference for
    /// any number of fragments, as long as few messages are interleaved; `first` if this is the first
    /// one of the message, which need not be looked for.
    #[inline]
    pub(crate) fn message(&mut self, message: &Payload, first: bool) -> MessageIndex {
        let same = |other: &Payload| other.is(message);
        let search = if first { 0 } else { MESSAGE_SEARCH };
        let from = self.messages.len().saturating_sub(search);
        let found = self.messages[from..].iter().rposition(same);
        let place = found.map_or(self.messages.len(), |place| from + place);
        if found.is_none() {
            self.messages.push(message.clone());
        }
        MessageIndex(index(place))
    }

    /// Ends the open packet and returns its length; a packet without chunks vanishes, and zero is
    /// returned.
    pub(crate) fn end_packet(&mut self) -> usize {
        let Some(open) = self.open.take() else {
            return 0;
        };
        if open.first_chunk as usize == self.chunks.len() {
            return 0;
        }
        self.packets.push(Planned {
            header: open.header,
            checksum: open.checksum,
            first_chunk: open.first_chunk,
            len: index(open.len),
        });
        open.len
    }

    /// Pads the open packet with a PAD chunk (RFC 4820) to `len` bytes, a multiple of four, so that
    /// it does not break a run of equal segments. Does nothing if it is as long or does not fit.
    pub(crate) fn pad_packet_to(&mut self, len: usize) {
        let Some(open) = &self.open else { return };
        let missing = len.saturating_sub(open.len);
        if missing < CHUNK_HEADER_LEN || missing > self.remaining() || !missing.is_multiple_of(4) {
            return;
        }
        self.account(missing);
        self.chunks
            .push(PlannedChunk::Pad(index(missing - CHUNK_HEADER_LEN)));
    }

    /// `bytes` of a message on `stream` left the send queue.
    #[inline]
    pub(crate) fn note_unqueued(&mut self, stream: StreamId, bytes: usize) {
        match self
            .unqueued
            .iter_mut()
            .rev()
            .take(UNQUEUED_SEARCH)
            .find(|(id, _)| *id == stream)
        {
            Some((_, sum)) => *sum += bytes,
            None => self.unqueued.push((stream, bytes)),
        }
    }

    /// Takes over messages that are acknowledged or abandoned, to free them in
    /// [`PacketBatch::clear`].
    pub(crate) fn retire_all(&mut self, messages: &mut Vec<Payload>) {
        self.retired.append(messages);
    }

    /// What the messages freed by the last [`PacketBatch::clear`] have left.
    pub(crate) fn spare(&mut self) -> &mut PayloadPool {
        &mut self.spare
    }

    fn account(&mut self, len: usize) {
        debug_assert!(
            len <= self.remaining(),
            "{len} bytes pushed into {}",
            self.remaining()
        );
        if let Some(open) = &mut self.open {
            open.len += len;
        }
    }
}

#[derive(Debug)]
struct Open {
    header: PacketHeader,
    checksum: Checksum,
    first_chunk: u32,
    len: usize,
    max_len: usize,
}

#[derive(Debug)]
struct Planned {
    header: PacketHeader,
    checksum: Checksum,
    /// Its chunks end where those of the next packet begin.
    first_chunk: u32,
    len: u32,
}

#[derive(Debug)]
enum PlannedChunk {
    Data(DataPlan),
    Control(u32),
    Pad(u32),
}

const CHUNK_HEADER_LEN: usize = 4;

/// A reference more costs little, but not less than a longer search.
const MESSAGE_SEARCH: usize = 8;

/// Fragments of one stream follow each other, and a few streams take turns; searching further would
/// cost more than the entry saves.
const UNQUEUED_SEARCH: usize = 8;

fn index(value: usize) -> u32 {
    u32::try_from(value).expect("a batch holds far fewer than 4 Gi of anything")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::wire::{Packet, Shutdown};

    const HEADER: PacketHeader = PacketHeader {
        source_port: 5000,
        destination_port: 5001,
        verification_tag: 77,
    };

    fn payload(bytes: Vec<u8>) -> Payload {
        PayloadPool::default().share(bytes.into())
    }

    fn plan(
        batch: &mut PacketBatch,
        tsn: u32,
        message: &Payload,
        offset: u32,
        len: u16,
    ) -> DataPlan {
        DataPlan {
            tsn: Tsn(tsn),
            stream: StreamId(3),
            numbering: Numbering::Data(Ssn(4)),
            ppid: Ppid(53),
            flags: DataFlags::WHOLE,
            message: batch.message(message, offset == 0),
            offset,
            len,
        }
    }

    /// The bytes are those of the wire types, and the lengths what was announced.
    #[test]
    fn planned_is_encoded() {
        let message = payload((0..=255).collect());
        let mut batch = PacketBatch::new();
        batch.begin_packet(HEADER, Checksum::Crc32c, 1162);
        assert_eq!(batch.remaining(), 1148);
        batch.push_control(Chunk::Shutdown(Shutdown {
            cumulative_tsn: Tsn(1),
        }));
        let data = plan(&mut batch, 5, &message, 1, 254);
        batch.push_data(data);
        assert_eq!(batch.remaining(), 1148 - 8 - 272);
        assert_eq!(batch.end_packet(), 292);
        batch.begin_packet(HEADER, Checksum::Zero, 1160);
        let data = plan(&mut batch, 6, &message, 0, 256);
        batch.push_data(data);
        batch.end_packet();
        assert_eq!((batch.len(), batch.total_len()), (2, 292 + 284));

        let mut out = [0xaa; 1200];
        assert_eq!(batch.encode(0, &mut out), batch.encoded_len(0));
        let packet = Packet::decode(&out[..292]).unwrap();
        assert_eq!((packet.header(), packet.chunks.len()), (HEADER, 2));
        let Chunk::Data(data) = &packet.chunks[1] else {
            panic!("{packet:?}")
        };
        assert_eq!(
            (data.tsn, data.stream, data.ssn),
            (Tsn(5), StreamId(3), Ssn(4))
        );
        assert_eq!(data.payload, &message[1..255]);
        drop(packet);
        assert_eq!(out[292], 0xaa);
        assert_eq!(batch.encode(1, &mut out), 284);
        assert!(Packet::decode(&out[..284]).is_err());
        assert!(Packet::decode_with(&out[..284], Checksum::Zero).is_ok());
    }

    /// A full packet is exactly as long as allowed.
    #[test]
    fn a_packet_is_filled() {
        let message = payload(vec![1; 5000]);
        let mut batch = PacketBatch::new();
        batch.begin_packet(HEADER, Checksum::Crc32c, 1160);
        let len = u16::try_from(batch.remaining() - DATA_HEADER_LEN).unwrap();
        let data = plan(&mut batch, 1, &message, 0, len);
        batch.push_data(data);
        assert_eq!((batch.remaining(), batch.end_packet()), (0, 1160));
    }

    /// One packet a few bytes short would end a run of equal segments.
    #[test]
    fn padding_fills_up() {
        let message = payload(vec![1; 5000]);
        for missing in (0..200).step_by(4) {
            let mut batch = PacketBatch::new();
            batch.begin_packet(HEADER, Checksum::Crc32c, 1160);
            let data = plan(&mut batch, 1, &message, 0, 1132 - missing);
            batch.push_data(data);
            batch.pad_packet_to(1164);
            batch.pad_packet_to(1160);
            assert_eq!(batch.end_packet(), 1160);
            let mut out = [0; 1160];
            batch.encode(0, &mut out);
            let packet = Packet::decode(&out).unwrap();
            assert_eq!(packet.chunks.len(), if missing == 0 { 1 } else { 2 });
        }
    }

    /// A packet without chunks is none; so the association may open one before it knows.
    #[test]
    fn an_empty_packet_vanishes() {
        let mut batch = PacketBatch::new();
        batch.begin_packet(HEADER, Checksum::Crc32c, 1160);
        assert_eq!(
            (batch.end_packet(), batch.is_empty(), batch.remaining()),
            (0, true, 0)
        );
    }

    /// One reference per message and batch, however many fragments; messages are freed by `clear`
    /// and not before; the working size stays.
    #[test]
    fn messages_are_referenced_once_and_freed_on_clear() {
        let bytes = Bytes::from(vec![1; 64 << 10]);
        let message = PayloadPool::default().share(bytes.clone());
        let mut batch = PacketBatch::new();
        for index in 0..50 {
            batch.begin_packet(HEADER, Checksum::Crc32c, 1160);
            let data = plan(&mut batch, index, &message, index * 1132, 1132);
            batch.push_data(data);
            batch.note_unqueued(StreamId(1 + (index % 2) as u16), 1132);
            batch.end_packet();
        }
        batch.retire_all(&mut vec![message]);
        assert_eq!((batch.messages.len(), bytes.is_unique()), (1, false));
        assert_eq!(
            batch.unqueued(),
            [(StreamId(1), 25 * 1132), (StreamId(2), 25 * 1132)]
        );
        let capacity = batch.packets.capacity();
        batch.clear();
        assert_eq!(
            (batch.len(), batch.unqueued().len(), batch.retired.len()),
            (0, 0, 0)
        );
        assert!(bytes.is_unique() && batch.packets.capacity() == capacity);
    }
}
