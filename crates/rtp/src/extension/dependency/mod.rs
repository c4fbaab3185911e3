//! Dependency descriptor (AV1 RTP specification, appendix A): which frame this is, which layers it
//! belongs to and which frames it needs, for forwarding without looking into the payload.

mod structure;

pub use structure::{DecodeTargetIndication, Template, TemplateStructure};

use smallvec::SmallVec;

use crate::wire::{BitReader, BitWriter};
use crate::{DecodeError, SequenceNumber, WriteError};
use structure::{Dtis, Fdiffs, MAX_FDIFFS};

/// One descriptor as it is on the wire: a reference to a template, and what differs from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DependencyDescriptor {
    /// Whether the packet is the first of its frame.
    pub start_of_frame: bool,
    /// Whether the packet is the last of its frame.
    pub end_of_frame: bool,
    /// The template as numbered on the wire, 0–63, relative to the structure's offset.
    pub template_id: u8,
    /// Counts frames in decode order, all layers together.
    pub frame_number: SequenceNumber,
    /// A new structure; sent with the first packet of a key frame.
    pub structure: Option<Box<TemplateStructure>>,
    /// Decode targets that are being produced, one bit each, when that changes.
    pub active_decode_targets: Option<u32>,
    /// In place of the template's indications, one for each decode target.
    pub custom_dtis: Option<Dtis>,
    /// In place of the template's frame differences, each 1–4,096.
    pub custom_fdiffs: Option<Fdiffs>,
    /// In place of the template's chain differences, one for each chain.
    pub custom_chains: Option<SmallVec<[u8; 4]>>,
}

/// What a descriptor says about its frame once the template is filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameDependencies<'a> {
    /// Spatial layer.
    pub spatial: u8,
    /// Temporal layer.
    pub temporal: u8,
    /// What the frame is to each decode target.
    pub dtis: &'a [DecodeTargetIndication],
    /// The frames it refers to, as differences of frame numbers.
    pub fdiffs: &'a [u16],
    /// For each chain the difference to the chain's previous frame; 0 for none.
    pub chains: &'a [u8],
    /// Largest width and height of the frame in pixels, if the structure says.
    pub resolution: Option<(u32, u32)>,
}

impl DependencyDescriptor {
    /// Reads a descriptor that refers to `structure`, the latest one received, unless it brings a
    /// new one.
    ///
    /// # Errors
    /// Cut short, malformed, or in need of a structure that is not there.
    pub fn decode(data: &[u8], structure: Option<&TemplateStructure>) -> Result<Self, DecodeError> {
        let mut bits = BitReader::new(data);
        let mut descriptor = Self {
            start_of_frame: bits.bit()?,
            end_of_frame: bits.bit()?,
            template_id: bits.bits(6)? as u8,
            frame_number: SequenceNumber(bits.bits(16)? as u16),
            structure: None,
            active_decode_targets: None,
            custom_dtis: None,
            custom_fdiffs: None,
            custom_chains: None,
        };
        let mut flags = 0;
        if data.len() > 3 {
            flags = bits.bits(5)?;
            if flags & STRUCTURE != 0 {
                descriptor.structure = Some(Box::new(TemplateStructure::decode(&mut bits)?));
            }
        }
        let structure = match descriptor.structure.as_deref() {
            Some(new) => new,
            None => structure.ok_or(DecodeError::MissingState("template structure"))?,
        };
        if structure.template(descriptor.template_id).is_none() {
            return Err(DecodeError::Malformed("template id"));
        }
        let (targets, chains) = (structure.decode_targets(), structure.chains());
        if flags & ACTIVE_TARGETS != 0 {
            descriptor.active_decode_targets = Some(bits.bits(targets.into())?);
        }
        if flags & CUSTOM_DTIS != 0 {
            let dtis = (0..targets).map(|_| DecodeTargetIndication::decode(&mut bits));
            descriptor.custom_dtis = Some(dtis.collect::<Result<_, _>>()?);
        }
        if flags & CUSTOM_FDIFFS != 0 {
            descriptor.custom_fdiffs = Some(decode_fdiffs(&mut bits)?);
        }
        if flags & CUSTOM_CHAINS != 0 {
            let diffs = (0..chains).map(|_| Ok(bits.bits(8)? as u8));
            descriptor.custom_chains = Some(diffs.collect::<Result<_, DecodeError>>()?);
        }
        if !bits.rest_is_zero() {
            return Err(DecodeError::Malformed("dependency descriptor padding"));
        }
        Ok(descriptor)
    }

    /// Bytes of [`Self::encode`] with the same `structure`.
    #[must_use]
    pub fn encoded_len(&self, structure: Option<&TemplateStructure>) -> usize {
        if !self.is_extended() {
            return 3;
        }
        let width = self
            .structure
            .as_deref()
            .or(structure)
            .map_or(0, TemplateStructure::decode_targets);
        let targets = self.active_decode_targets.map_or(0, |_| usize::from(width));
        let structure = self
            .structure
            .as_ref()
            .map_or(0, |structure| structure.bits());
        let dtis = self.custom_dtis.as_ref().map_or(0, |dtis| dtis.len() * 2);
        let fdiffs = self.custom_fdiffs.as_ref().map_or(0, |fdiffs| {
            2 + fdiffs
                .iter()
                .map(|fdiff| 2 + 4 * nibbles(*fdiff) as usize)
                .sum::<usize>()
        });
        let chains = self
            .custom_chains
            .as_ref()
            .map_or(0, |chains| chains.len() * 8);
        (24 + 5 + structure + targets + dtis + fdiffs + chains).div_ceil(8)
    }

    /// Fills `out`, [`Self::encoded_len`] bytes long. `structure` is the one in force, as
    /// for [`Self::decode`].
    ///
    /// # Errors
    /// The buffer is too small, or the parts do not fit the structure.
    pub fn encode(
        &self,
        out: &mut [u8],
        structure: Option<&TemplateStructure>,
    ) -> Result<(), WriteError> {
        let structure = self.structure.as_deref().or(structure);
        let structure = structure.ok_or(WriteError::Invalid("no template structure"))?;
        self.check(structure)?;
        let mut bits = BitWriter::new(out);
        bits.bit(self.start_of_frame)?;
        bits.bit(self.end_of_frame)?;
        bits.bits(self.template_id.into(), 6)?;
        bits.bits(self.frame_number.0.into(), 16)?;
        if !self.is_extended() {
            return Ok(());
        }
        bits.bit(self.structure.is_some())?;
        bits.bit(self.active_decode_targets.is_some())?;
        bits.bit(self.custom_dtis.is_some())?;
        bits.bit(self.custom_fdiffs.is_some())?;
        bits.bit(self.custom_chains.is_some())?;
        if let Some(structure) = &self.structure {
            structure.encode(&mut bits)?;
        }
        if let Some(targets) = self.active_decode_targets {
            bits.bits(targets, structure.decode_targets().into())?;
        }
        for dti in self.custom_dtis.iter().flatten() {
            dti.encode(&mut bits)?;
        }
        if let Some(fdiffs) = &self.custom_fdiffs {
            for fdiff in fdiffs {
                let nibbles = nibbles(*fdiff);
                bits.bits(nibbles, 2)?;
                bits.bits(u32::from(*fdiff) - 1, nibbles * 4)?;
            }
            bits.bits(0, 2)?;
        }
        for diff in self.custom_chains.iter().flatten() {
            bits.bits((*diff).into(), 8)?;
        }
        Ok(())
    }

    /// Fills in the template. `structure` is the one in force, as for [`Self::decode`].
    #[must_use]
    pub fn resolve<'a>(
        &'a self,
        structure: Option<&'a TemplateStructure>,
    ) -> Option<FrameDependencies<'a>> {
        let structure = self.structure.as_deref().or(structure)?;
        let template = structure.template(self.template_id)?;
        Some(FrameDependencies {
            spatial: template.spatial,
            temporal: template.temporal,
            dtis: self.custom_dtis.as_ref().unwrap_or(&template.dtis),
            fdiffs: self.custom_fdiffs.as_ref().unwrap_or(&template.fdiffs),
            chains: self.custom_chains.as_ref().unwrap_or(&template.chain_diffs),
            resolution: structure
                .resolutions()
                .get(usize::from(template.spatial))
                .copied(),
        })
    }

    fn is_extended(&self) -> bool {
        self.structure.is_some()
            || self.active_decode_targets.is_some()
            || self.custom_dtis.is_some()
            || self.custom_fdiffs.is_some()
            || self.custom_chains.is_some()
    }

    fn check(&self, structure: &TemplateStructure) -> Result<(), WriteError> {
        let targets = usize::from(structure.decode_targets());
        let unfit = structure.template(self.template_id).is_none()
            || self
                .active_decode_targets
                .is_some_and(|mask| u64::from(mask) >> targets != 0)
            || self
                .custom_dtis
                .as_ref()
                .is_some_and(|dtis| dtis.len() != targets)
            || self.custom_fdiffs.as_ref().is_some_and(|fdiffs| {
                fdiffs.len() > MAX_FDIFFS || fdiffs.iter().any(|fdiff| !(1..=4096).contains(fdiff))
            })
            || self
                .custom_chains
                .as_ref()
                .is_some_and(|c| c.len() != structure.chains().into());
        if unfit {
            Err(WriteError::Invalid("descriptor does not fit its structure"))
        } else {
            Ok(())
        }
    }
}

/// The receiver's side: remembers the structure between descriptors.
#[derive(Clone, Debug, Default)]
pub struct DependencyReader {
    structure: Option<Box<TemplateStructure>>,
    active_decode_targets: u32,
}

impl DependencyReader {
    /// No structure yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            structure: None,
            active_decode_targets: 0,
        }
    }

    /// Reads the descriptor of a packet; a structure that it brings replaces the one kept. To be
    /// given descriptors in the order of their frames: an old structure would replace a new one.
    ///
    /// # Errors
    /// As [`DependencyDescriptor::decode`]; nothing changes then.
    pub fn read(&mut self, data: &[u8]) -> Result<DependencyDescriptor, DecodeError> {
        let descriptor = DependencyDescriptor::decode(data, self.structure.as_deref())?;
        if let Some(structure) = &descriptor.structure {
            self.active_decode_targets = structure.all_targets();
            self.structure = Some(structure.clone());
        }
        if let Some(targets) = descriptor.active_decode_targets {
            self.active_decode_targets = targets;
        }
        Ok(descriptor)
    }

    /// The structure in force.
    #[must_use]
    pub fn structure(&self) -> Option<&TemplateStructure> {
        self.structure.as_deref()
    }

    /// Decode targets being produced, one bit each.
    #[must_use]
    pub const fn active_decode_targets(&self) -> u32 {
        self.active_decode_targets
    }
}

fn decode_fdiffs(bits: &mut BitReader<'_>) -> Result<Fdiffs, DecodeError> {
    let mut fdiffs = Fdiffs::new();
    loop {
        let nibbles = bits.bits(2)?;
        if nibbles == 0 {
            return Ok(fdiffs);
        }
        if fdiffs.len() == MAX_FDIFFS {
            return Err(DecodeError::TooMany("frame differences"));
        }
        fdiffs.push(bits.bits(nibbles * 4)? as u16 + 1);
    }
}

/// Nibbles that `fdiff` − 1 takes.
const fn nibbles(fdiff: u16) -> u32 {
    match fdiff {
        0..=16 => 1,
        17..=256 => 2,
        _ => 3,
    }
}

const STRUCTURE: u32 = 0x10;
const ACTIVE_TARGETS: u32 = 0x08;
const CUSTOM_DTIS: u32 = 0x04;
const CUSTOM_FDIFFS: u32 = 0x02;
const CUSTOM_CHAINS: u32 = 0x01;

#[cfg(test)]
mod tests;
