//! What the sealed descriptions say: owns the bytes of an entry's metadata record and of an
//! environment's record (`docs/format.md`, "Metadata"), and the contexts records are bound to.

use std::collections::BTreeMap;

use crate::commit::{Malformed, Reader, Writer};
use crate::config::Format;
use crate::crypto::seal::{Context, Purpose};
use crate::id::{CompartmentId, EntryId, EnvironmentId, Revision, StoreId, Version};
use crate::kind::Kind;
use crate::name::{EntryPath, EnvironmentName};

/// The metadata of an entry. It stays the same record as long as nothing of it changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) environment: EnvironmentId,
    pub(crate) kind: Kind,
    pub(crate) format: Format,
    pub(crate) path: EntryPath,
    pub(crate) labels: BTreeMap<String, String>,
}

impl Meta {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut w = Writer::with_capacity(64 + self.path.as_str().len());
        w.fixed(&self.environment.0);
        w.u8(self.kind as u8);
        w.u8(self.format as u8);
        w.bytes(self.path.as_str().as_bytes());
        w.count(self.labels.len());
        for (key, value) in &self.labels {
            w.bytes(key.as_bytes());
            w.bytes(value.as_bytes());
        }
        w.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let environment = EnvironmentId(r.fixed()?);
        let kind = r.u8()?;
        let format = r.u8()?;
        let path = EntryPath::new(r.text()?).map_err(|_| Malformed)?;
        let mut labels = BTreeMap::new();
        for _ in 0..r.count(8)? {
            let key = r.text()?.to_owned();
            if labels.last_key_value().is_some_and(|(last, _)| *last >= key) {
                return Err(Malformed);
            }
            labels.insert(key, r.text()?.to_owned());
        }
        r.end()?;
        Ok(Self {
            environment,
            kind: Kind::ALL
                .into_iter()
                .find(|known| *known as u8 == kind)
                .ok_or(Malformed)?,
            format: Format::ALL
                .into_iter()
                .find(|known| *known as u8 == format)
                .ok_or(Malformed)?,
            path,
            labels,
        })
    }
}

/// The description of an environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EnvironmentRecord {
    pub(crate) name: EnvironmentName,
    pub(crate) parent: Option<EnvironmentId>,
    pub(crate) compartment: CompartmentId,
}

impl EnvironmentRecord {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.bytes(self.name.as_str().as_bytes());
        w.fixed(&self.compartment.0);
        match self.parent {
            None => w.u8(0),
            Some(parent) => {
                w.u8(1);
                w.fixed(&parent.0);
            }
        }
        w.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let name = EnvironmentName::new(r.text()?).map_err(|_| Malformed)?;
        let compartment = CompartmentId(r.fixed()?);
        let parent = match r.u8()? {
            0 => None,
            1 => Some(EnvironmentId(r.fixed()?)),
            _ => return Err(Malformed),
        };
        r.end()?;
        Ok(Self {
            name,
            parent,
            compartment,
        })
    }
}

/// The context of an entry's metadata record.
pub(crate) fn meta_context(store: StoreId, compartment: CompartmentId, entry: EntryId) -> Context {
    Context {
        store,
        purpose: Purpose::Meta,
        compartment,
        subject: entry.0,
        version: 0,
        kind: 0,
    }
}

/// The context of an entry's value record.
pub(crate) fn value_context(
    store: StoreId,
    compartment: CompartmentId,
    entry: EntryId,
    version: Version,
    kind: Kind,
) -> Context {
    Context {
        store,
        purpose: Purpose::Value,
        compartment,
        subject: entry.0,
        version: version.0,
        kind: kind as u8,
    }
}

/// The context of the record of a rotation that runs.
pub(crate) fn rotation_context(store: StoreId, compartment: CompartmentId, entry: EntryId) -> Context {
    Context {
        store,
        purpose: Purpose::Rotation,
        compartment,
        subject: entry.0,
        version: 0,
        kind: 0,
    }
}

/// The context of a name: of a member, a compartment or an environment, by its id.
pub(crate) fn name_context(store: StoreId, common: CompartmentId, subject: [u8; 16]) -> Context {
    Context {
        store,
        purpose: Purpose::Name,
        compartment: common,
        subject,
        version: 0,
        kind: 0,
    }
}

/// The context of the key that entry ids are made with.
pub(crate) fn index_context(store: StoreId, common: CompartmentId) -> Context {
    Context {
        store,
        purpose: Purpose::Index,
        compartment: common,
        subject: [0; 16],
        version: 0,
        kind: 0,
    }
}

/// The context of a report, by the place that it is for.
pub(crate) fn report_context(store: StoreId, common: CompartmentId, place: [u8; 16]) -> Context {
    Context {
        store,
        purpose: Purpose::Report,
        compartment: common,
        subject: place,
        version: 0,
        kind: 0,
    }
}

/// The context of a commit's message: bound to its revision.
pub(crate) fn message_context(store: StoreId, common: CompartmentId, revision: Revision) -> Context {
    let mut subject = [0; 16];
    let (_, low) = subject.split_at_mut(8);
    low.copy_from_slice(&revision.0.to_be_bytes());
    Context {
        store,
        purpose: Purpose::Message,
        compartment: common,
        subject,
        version: 0,
        kind: 0,
    }
}
