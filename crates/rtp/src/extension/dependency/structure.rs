//! The template structure (AV1 RTP specification, appendix A.8.3).

use smallvec::SmallVec;

use crate::wire::{BitReader, BitWriter, non_symmetric_bits};
use crate::{DecodeError, WriteError};

pub(super) type Dtis = SmallVec<[DecodeTargetIndication; 12]>;
pub(super) type Fdiffs = SmallVec<[u16; 4]>;

/// What a frame is to a decode target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DecodeTargetIndication {
    /// `-`: no part of it.
    NotPresent,
    /// `D`: no later frame of the target needs it.
    Discardable,
    /// `S`: the target can be switched to here.
    Switch,
    /// `R`: needed by later frames.
    Required,
}

impl DecodeTargetIndication {
    pub(super) fn decode(bits: &mut BitReader<'_>) -> Result<Self, DecodeError> {
        Ok(match bits.bits(2)? {
            0 => Self::NotPresent,
            1 => Self::Discardable,
            2 => Self::Switch,
            _ => Self::Required,
        })
    }

    pub(super) fn encode(self, bits: &mut BitWriter<'_>) -> Result<(), WriteError> {
        bits.bits(self as u32, 2)
    }
}

/// A kind of frame that recurs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Spatial layer.
    pub spatial: u8,
    /// Temporal layer.
    pub temporal: u8,
    /// What the frame is to each decode target.
    pub dtis: Dtis,
    /// The frames it refers to, as differences of frame numbers, each 1–16.
    pub fdiffs: Fdiffs,
    /// For each chain the difference to the chain's previous frame, each 0–15; 0 for none.
    pub chain_diffs: SmallVec<[u8; 4]>,
}

/// All templates of a coded video sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateStructure {
    id_offset: u8,
    decode_targets: u8,
    chains: u8,
    templates: Vec<Template>,
    protected_by: SmallVec<[u8; 12]>,
    resolutions: SmallVec<[(u32, u32); 4]>,
}

impl TemplateStructure {
    /// Builds a structure.
    ///
    /// `templates` go up by one temporal layer, to the first temporal layer of the next spatial
    /// one, or stay. `protected_by` names for each decode target its chain and is empty without
    /// chains. `resolutions` are width and height for each spatial layer, or empty.
    ///
    /// # Errors
    /// Lists of lengths that contradict each other, or values out of range.
    pub fn new(
        id_offset: u8,
        templates: Vec<Template>,
        protected_by: &[u8],
        resolutions: &[(u32, u32)],
    ) -> Result<Self, WriteError> {
        let first = templates
            .first()
            .ok_or(WriteError::Invalid("no template"))?;
        let structure = Self {
            id_offset,
            decode_targets: first.dtis.len().min(MAX_TARGETS + 1) as u8,
            chains: first.chain_diffs.len().min(MAX_TARGETS + 1) as u8,
            templates,
            protected_by: protected_by.into(),
            resolutions: resolutions.into(),
        };
        if structure.is_sound() {
            Ok(structure)
        } else {
            Err(WriteError::Invalid("template structure"))
        }
    }

    /// Number that the first template has on the wire, 0–63.
    #[must_use]
    pub const fn id_offset(&self) -> u8 {
        self.id_offset
    }

    /// Number of decode targets, 1–32.
    #[must_use]
    pub const fn decode_targets(&self) -> u8 {
        self.decode_targets
    }

    /// Number of chains.
    #[must_use]
    pub const fn chains(&self) -> u8 {
        self.chains
    }

    /// All templates, in order.
    #[must_use]
    pub fn templates(&self) -> &[Template] {
        &self.templates
    }

    /// The template with this number on the wire.
    #[must_use]
    pub fn template(&self, id: u8) -> Option<&Template> {
        let index = id.wrapping_sub(self.id_offset) & (MAX_TEMPLATES as u8 - 1);
        self.templates.get(usize::from(index))
    }

    /// For each decode target the chain that protects it; empty without chains.
    #[must_use]
    pub fn protected_by(&self) -> &[u8] {
        &self.protected_by
    }

    /// Width and height in pixels for each spatial layer, or empty.
    #[must_use]
    pub fn resolutions(&self) -> &[(u32, u32)] {
        &self.resolutions
    }

    /// Highest spatial and temporal layer in a decode target.
    #[must_use]
    pub fn target_layers(&self, target: usize) -> (u8, u8) {
        let present = self.templates.iter().filter(|template| {
            template
                .dtis
                .get(target)
                .is_some_and(|dti| *dti != DecodeTargetIndication::NotPresent)
        });
        present.fold((0, 0), |(spatial, temporal), template| {
            (
                spatial.max(template.spatial),
                temporal.max(template.temporal),
            )
        })
    }

    /// The mask of all decode targets.
    pub(super) const fn all_targets(&self) -> u32 {
        u32::MAX >> (32 - self.decode_targets as u32)
    }

    pub(super) fn decode(bits: &mut BitReader<'_>) -> Result<Self, DecodeError> {
        let id_offset = bits.bits(6)? as u8;
        let decode_targets = bits.bits(5)? as u8 + 1;
        let mut templates = decode_layers(bits)?;
        for template in &mut templates {
            let dtis = (0..decode_targets).map(|_| DecodeTargetIndication::decode(bits));
            template.dtis = dtis.collect::<Result<_, _>>()?;
        }
        for template in &mut templates {
            while bits.bit()? {
                if template.fdiffs.len() == MAX_FDIFFS {
                    return Err(DecodeError::TooMany("frame differences"));
                }
                template.fdiffs.push(bits.bits(4)? as u16 + 1);
            }
        }
        let chains = bits.non_symmetric(u32::from(decode_targets) + 1)?;
        let mut protected_by = SmallVec::new();
        if chains > 0 {
            for _ in 0..decode_targets {
                protected_by.push(bits.non_symmetric(chains)? as u8);
            }
            for template in &mut templates {
                for _ in 0..chains {
                    template.chain_diffs.push(bits.bits(4)? as u8);
                }
            }
        }
        let mut resolutions = SmallVec::new();
        if bits.bit()? {
            for _ in 0..=templates.last().map_or(0, |template| template.spatial) {
                resolutions.push((bits.bits(16)? + 1, bits.bits(16)? + 1));
            }
        }
        let chains = chains as u8;
        Ok(Self {
            id_offset,
            decode_targets,
            chains,
            templates,
            protected_by,
            resolutions,
        })
    }

    pub(super) fn bits(&self) -> usize {
        let count = self.templates.len();
        let targets = usize::from(self.decode_targets);
        let chains = u32::from(self.chains);
        let fdiffs: usize = self
            .templates
            .iter()
            .map(|template| 1 + template.fdiffs.len() * 5)
            .sum();
        let chain_count = non_symmetric_bits(chains, u32::from(self.decode_targets) + 1);
        let protected: usize = self
            .protected_by
            .iter()
            .map(|chain| non_symmetric_bits((*chain).into(), chains))
            .sum();
        let chain_diffs = count * usize::from(self.chains) * 4;
        let resolutions = 1 + self.resolutions.len() * 32;
        11 + count * 2
            + count * targets * 2
            + fdiffs
            + chain_count
            + protected
            + chain_diffs
            + resolutions
    }

    pub(super) fn encode(&self, bits: &mut BitWriter<'_>) -> Result<(), WriteError> {
        bits.bits(self.id_offset.into(), 6)?;
        bits.bits(u32::from(self.decode_targets) - 1, 5)?;
        for pair in self.templates.windows(2) {
            bits.bits(next_layer(&pair[0], &pair[1]).unwrap_or(NO_MORE), 2)?;
        }
        bits.bits(NO_MORE, 2)?;
        for dti in self.templates.iter().flat_map(|template| &template.dtis) {
            dti.encode(bits)?;
        }
        for template in &self.templates {
            for fdiff in &template.fdiffs {
                bits.bit(true)?;
                bits.bits(u32::from(*fdiff) - 1, 4)?;
            }
            bits.bit(false)?;
        }
        let chains = u32::from(self.chains);
        bits.non_symmetric(chains, u32::from(self.decode_targets) + 1)?;
        for chain in &self.protected_by {
            bits.non_symmetric((*chain).into(), chains)?;
        }
        for diff in self
            .templates
            .iter()
            .flat_map(|template| &template.chain_diffs)
        {
            bits.bits((*diff).into(), 4)?;
        }
        bits.bit(!self.resolutions.is_empty())?;
        for (width, height) in &self.resolutions {
            bits.bits(width - 1, 16)?;
            bits.bits(height - 1, 16)?;
        }
        Ok(())
    }

    /// Whether it can be encoded and means something.
    fn is_sound(&self) -> bool {
        let targets = usize::from(self.decode_targets);
        let chains = usize::from(self.chains);
        let layers = usize::from(self.templates.last().map_or(0, |last| last.spatial)) + 1;
        self.id_offset < 64
            && (1..=MAX_TARGETS).contains(&targets)
            && chains <= targets
            && self.templates.len() <= MAX_TEMPLATES
            && self
                .templates
                .first()
                .is_some_and(|first| first.spatial == 0 && first.temporal == 0)
            && self
                .templates
                .windows(2)
                .all(|pair| next_layer(&pair[0], &pair[1]).is_some())
            && self.templates.iter().all(|template| {
                template.spatial < MAX_SPATIAL
                    && template.temporal < MAX_TEMPORAL
                    && template.dtis.len() == targets
                    && template.chain_diffs.len() == chains
                    && template.chain_diffs.iter().all(|diff| *diff < 16)
                    && template.fdiffs.len() <= MAX_FDIFFS
                    && template.fdiffs.iter().all(|fdiff| (1..=16).contains(fdiff))
            })
            && self.protected_by.len() == if chains == 0 { 0 } else { targets }
            && self
                .protected_by
                .iter()
                .all(|chain| usize::from(*chain) < chains)
            && (self.resolutions.is_empty() || self.resolutions.len() == layers)
            && self.resolutions.iter().all(|(width, height)| {
                (1..=65_536).contains(width) && (1..=65_536).contains(height)
            })
    }
}

fn decode_layers(bits: &mut BitReader<'_>) -> Result<Vec<Template>, DecodeError> {
    let mut templates = Vec::new();
    let (mut spatial, mut temporal) = (0, 0);
    loop {
        if templates.len() == MAX_TEMPLATES {
            return Err(DecodeError::TooMany("templates"));
        }
        templates.push(Template {
            spatial,
            temporal,
            dtis: SmallVec::new(),
            fdiffs: SmallVec::new(),
            chain_diffs: SmallVec::new(),
        });
        match bits.bits(2)? {
            SAME_LAYER => {}
            NEXT_TEMPORAL => temporal += 1,
            NEXT_SPATIAL => (spatial, temporal) = (spatial + 1, 0),
            _ => return Ok(templates),
        }
        if spatial >= MAX_SPATIAL || temporal >= MAX_TEMPORAL {
            return Err(DecodeError::Malformed("layer id"));
        }
    }
}

/// `next_layer_idc` between two templates.
fn next_layer(from: &Template, to: &Template) -> Option<u32> {
    let same_spatial = from.spatial == to.spatial;
    if same_spatial && from.temporal == to.temporal {
        Some(SAME_LAYER)
    } else if same_spatial && from.temporal + 1 == to.temporal {
        Some(NEXT_TEMPORAL)
    } else if from.spatial + 1 == to.spatial && to.temporal == 0 {
        Some(NEXT_SPATIAL)
    } else {
        None
    }
}

const SAME_LAYER: u32 = 0;
const NEXT_TEMPORAL: u32 = 1;
const NEXT_SPATIAL: u32 = 2;
const NO_MORE: u32 = 3;

/// Template ids are six bits wide.
const MAX_TEMPLATES: usize = 64;
/// `dt_cnt_minus_one` is five bits wide.
const MAX_TARGETS: usize = 32;
/// Spatial ids are two bits wide in AV1 (§6.2.3), temporal ids three.
const MAX_SPATIAL: u8 = 4;
const MAX_TEMPORAL: u8 = 8;
/// AV1 has seven references; the format itself has no bound.
pub(super) const MAX_FDIFFS: usize = 16;
