//! The names behind the ids: owns the opened names of members, compartments and environments.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::meta::{EnvironmentRecord, Meta, index_context, meta_context, name_context};
use crate::commit::{Admin, Break, Sealed, State};
use crate::crypto::index::IndexKey;
use crate::crypto::keyring::Keyring;
use crate::crypto::seal::Context;
use crate::id::{CompartmentId, EntryId, EnvironmentId, Hash, MemberId, StoreId};
use crate::name::{CompartmentName, EntryPath, EnvironmentName, MemberName};
use crate::secret::Secret;

/// More levels of inheritance than this are refused.
pub(crate) const MAX_DEPTH: usize = 16;

/// An environment, resolved.
#[derive(Clone, Debug)]
pub(crate) struct EnvironmentInfo {
    pub(crate) id: EnvironmentId,
    pub(crate) parent: Option<EnvironmentName>,
    pub(crate) compartment: CompartmentId,
}

/// All names of one administrative state.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    pub(crate) members: BTreeMap<MemberId, MemberName>,
    pub(crate) compartments: BTreeMap<CompartmentId, CompartmentName>,
    pub(crate) environments: BTreeMap<EnvironmentName, EnvironmentInfo>,
    pub(crate) environment_names: BTreeMap<EnvironmentId, EnvironmentName>,
    /// What entry ids are made with.
    pub(crate) index: Arc<IndexKey>,
}

/// The records a directory is opened from.
pub(crate) fn wanted(admin: &Admin) -> Vec<Hash> {
    let members = admin.members().values().map(|member| member.name);
    let compartments = admin.compartments().values().map(|compartment| compartment.name);
    let environments = admin.environments().values().copied();
    members
        .chain(compartments)
        .chain(environments)
        .chain([admin.index()])
        .collect()
}

impl Directory {
    /// Opens all names of `state`; two of one name contradict.
    pub(crate) fn open(
        state: &State,
        keyring: &Keyring,
        records: &HashMap<Hash, Sealed>,
    ) -> Result<Self, Break> {
        let admin = state.admin();
        let open = |hash: &Hash, subject: [u8; 16]| {
            let record = records.get(hash).ok_or(Break::MissingObject)?;
            record.open(keyring, &name_context(state.store(), admin.common(), subject))
        };
        let text = |hash: &Hash, subject: [u8; 16]| {
            open(hash, subject)?
                .expose(|bytes| std::str::from_utf8(bytes).map(str::to_owned))
                .map_err(|_| Break::Record)
        };
        let index = records.get(&admin.index()).ok_or(Break::MissingObject)?;
        let index = index.open(keyring, &index_context(state.store(), admin.common()))?;
        let mut directory = Self {
            members: BTreeMap::new(),
            compartments: BTreeMap::new(),
            environments: BTreeMap::new(),
            environment_names: BTreeMap::new(),
            index: Arc::new(IndexKey::new(&index).ok_or(Break::Record)?),
        };
        for (id, member) in admin.members() {
            let name = MemberName::new(&text(&member.name, id.0)?).map_err(|_| Break::Record)?;
            directory.members.insert(*id, name);
        }
        for (id, compartment) in admin.compartments() {
            let name = CompartmentName::new(&text(&compartment.name, id.0)?).map_err(|_| Break::Record)?;
            directory.compartments.insert(*id, name);
        }
        let mut records = Vec::new();
        for (id, hash) in admin.environments() {
            let record = open(hash, id.0)?
                .expose(EnvironmentRecord::decode)
                .map_err(|_| Break::Record)?;
            directory.environment_names.insert(*id, record.name.clone());
            records.push((*id, record));
        }
        for (id, record) in records {
            let parent = match record.parent {
                None => None,
                Some(parent) => Some(
                    directory
                        .environment_names
                        .get(&parent)
                        .cloned()
                        .ok_or(Break::Contradiction)?,
                ),
            };
            let info = EnvironmentInfo {
                id,
                parent,
                compartment: record.compartment,
            };
            directory.environments.insert(record.name, info);
        }
        let unique = |len: usize, names: &mut dyn Iterator<Item = &str>| {
            names.collect::<std::collections::BTreeSet<_>>().len() == len
        };
        let consistent = unique(
            directory.members.len(),
            &mut directory.members.values().map(MemberName::as_str),
        ) && unique(
            directory.compartments.len(),
            &mut directory.compartments.values().map(CompartmentName::as_str),
        ) && directory.environments.len() == directory.environment_names.len()
            && directory.environments.iter().all(|(name, info)| {
                directory.compartments.contains_key(&info.compartment)
                    && directory.layers(name).len() <= MAX_DEPTH
            });
        if consistent {
            Ok(directory)
        } else {
            Err(Break::Contradiction)
        }
    }

    /// `environment` and its ancestors, nearest first; one more than [`MAX_DEPTH`] at most.
    pub(crate) fn layers(&self, environment: &EnvironmentName) -> Vec<EnvironmentName> {
        let parent = |name: &EnvironmentName| self.environments.get(name)?.parent.clone();
        std::iter::successors(Some(environment.clone()), parent)
            .take(MAX_DEPTH + 1)
            .collect()
    }

    /// The id of the entry at `path` of an environment, whether there is one or not.
    pub(crate) fn entry_id(&self, environment: EnvironmentId, path: &EntryPath) -> EntryId {
        EntryId(self.index.entry_id(&environment.0, path.as_str().as_bytes()))
    }

    /// What a record that is listed for `entry` says of it. An entry can only be what its id says:
    /// one path is one entry, whoever put it. `open` opens the record under a context.
    pub(crate) fn description(
        &self,
        store: StoreId,
        compartment: CompartmentId,
        entry: EntryId,
        open: impl FnOnce(&Context) -> Result<Secret, Break>,
    ) -> Result<Meta, Break> {
        let plain = open(&meta_context(store, compartment, entry))?;
        let meta = plain.expose(Meta::decode).map_err(|_| Break::Record)?;
        if self.entry_id(meta.environment, &meta.path) == entry {
            Ok(meta)
        } else {
            Err(Break::Contradiction)
        }
    }

    /// The id of a compartment by its name.
    pub(crate) fn compartment(&self, name: &CompartmentName) -> Option<CompartmentId> {
        find(&self.compartments, name)
    }

    /// The id of a member by its name.
    pub(crate) fn member(&self, name: &MemberName) -> Option<MemberId> {
        find(&self.members, name)
    }
}

fn find<K: Copy, V: PartialEq>(map: &BTreeMap<K, V>, value: &V) -> Option<K> {
    map.iter().find(|(_, each)| *each == value).map(|(id, _)| *id)
}
