//! One change of an entry as data: owns its fields and canonical bytes (`docs/format.md`, "Commit").
//! It must not know what a change means; `live` decides that.

use super::codec::{Malformed, Reader, Writer};
use crate::id::{CompartmentId, EntryId, Hash, Version};

/// Fewest bytes of a change.
pub(super) const MIN: usize = 69;

/// One change of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryChange {
    /// The entry.
    pub id: EntryId,
    /// The compartment its records are sealed in.
    pub compartment: CompartmentId,
    /// The new version; the last one of an entry that is deleted; the current one after a change
    /// of labels.
    pub version: Version,
    /// The record of its metadata.
    pub meta: Hash,
    /// The record of a new value: of `version`, or of a new pending version. Without labels `None`
    /// deletes the entry.
    pub value: Option<Hash>,
    /// Where the labels point after it; `None` for a put and a delete, which leave them.
    pub labels: Option<Labels>,
}

/// Where the labels of an entry point, all of them together; `current` is the change's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Labels {
    /// True when `current` points at another version than before.
    pub moves: bool,
    /// The version that is pending.
    pub pending: Option<Version>,
    /// The version that was current before and is kept.
    pub previous: Option<Version>,
    /// The record of the rotation that runs.
    pub rotation: Option<Hash>,
}

impl EntryChange {
    /// True when the entry goes.
    #[must_use]
    pub fn deletes(&self) -> bool {
        self.value.is_none() && self.labels.is_none()
    }

    /// The objects it lists: metadata, value, the rotation's record.
    pub fn objects(&self) -> impl Iterator<Item = Hash> {
        let rotation = self.labels.and_then(|labels| labels.rotation);
        [Some(self.meta), self.value, rotation].into_iter().flatten()
    }

    pub(super) fn encode(&self, w: &mut Writer) {
        w.u8(match (&self.labels, self.value) {
            (None, Some(_)) => 1,
            (None, None) => 2,
            (Some(labels), _) if labels.moves => 4,
            (Some(_), _) => 3,
        });
        w.fixed(&self.id.0);
        w.fixed(&self.compartment.0);
        w.u32(self.version.0);
        w.fixed(&self.meta.0);
        match (&self.labels, self.value) {
            (None, Some(value)) => w.fixed(&value.0),
            (None, None) => {}
            (Some(labels), value) => {
                w.u32(labels.pending.unwrap_or_default().0);
                w.u32(labels.previous.unwrap_or_default().0);
                optional(w, value);
                optional(w, labels.rotation);
            }
        }
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        let tag = r.u8()?;
        let change = Self {
            id: EntryId(r.fixed()?),
            compartment: CompartmentId(r.fixed()?),
            version: Version(r.u32()?),
            meta: Hash(r.fixed()?),
            value: None,
            labels: None,
        };
        match tag {
            1 => Ok(Self {
                value: Some(Hash(r.fixed()?)),
                ..change
            }),
            2 => Ok(change),
            3 | 4 => {
                let label = |version| (version != 0).then_some(Version(version));
                let (pending, previous) = (label(r.u32()?), label(r.u32()?));
                let value = option(r)?;
                let labels = Labels {
                    moves: tag == 4,
                    pending,
                    previous,
                    rotation: option(r)?,
                };
                Ok(Self {
                    value,
                    labels: Some(labels),
                    ..change
                })
            }
            _ => Err(Malformed),
        }
    }
}

/// A hash that may be absent: `0`, or `1` and the hash.
pub(super) fn optional(w: &mut Writer, hash: Option<Hash>) {
    w.u8(u8::from(hash.is_some()));
    if let Some(hash) = hash {
        w.fixed(&hash.0);
    }
}

pub(super) fn option(r: &mut Reader<'_>) -> Result<Option<Hash>, Malformed> {
    match r.u8()? {
        0 => Ok(None),
        1 => r.fixed().map(|hash| Some(Hash(hash))),
        _ => Err(Malformed),
    }
}
