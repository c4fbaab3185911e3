//! Whether a frame can be decoded, from what the payloads say about layers.

use super::{AssembledFrame, FrameStatus};
use crate::payload::BaseLayer;

/// Whether what the next frame refers to has been delivered.
#[derive(Clone, Copy, Debug)]
pub(super) struct References {
    /// The latest base-layer frame delivered.
    base: Option<u8>,
    /// Nothing but a key frame, or a base-layer frame with the right number, helps.
    is_lost: bool,
    /// The lowest temporal layer of which a frame may be missing.
    broken_from: u8,
}

impl Default for References {
    fn default() -> Self {
        Self {
            base: None,
            is_lost: true,
            broken_from: u8::MAX,
        }
    }
}

impl References {
    /// A frame that others may refer to is missing: whose layer is not known.
    pub(super) fn lose(&mut self) {
        self.is_lost = true;
        self.broken_from = 1;
    }

    pub(super) fn follow(
        &mut self,
        frame: &AssembledFrame,
        base_layer: Option<BaseLayer>,
    ) -> FrameStatus {
        if frame.key_frame {
            *self = Self {
                base: base_layer.map(|layer| layer.index),
                is_lost: false,
                broken_from: u8::MAX,
            };
            return FrameStatus::Complete;
        }
        let is_sound = match (base_layer, self.base) {
            // Base-layer frames are numbered: the right number means that none is missing, and
            // what is missing was of a higher layer.
            (Some(layer), Some(base)) if frame.temporal == 0 => {
                let follows = layer.index == base.wrapping_add(1);
                if follows {
                    self.base = Some(layer.index);
                    self.is_lost = false;
                }
                follows
            }
            (Some(layer), Some(base)) => {
                let has_base = layer.index == base;
                if has_base && layer.layer_sync && frame.temporal <= self.broken_from {
                    self.broken_from = u8::MAX;
                }
                has_base && (frame.temporal < self.broken_from || layer.layer_sync)
            }
            _ => !self.is_lost,
        };
        if is_sound {
            FrameStatus::Complete
        } else {
            FrameStatus::Undecodable
        }
    }
}
