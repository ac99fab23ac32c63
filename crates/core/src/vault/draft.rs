//! From edits to a commit: owns planning and sealing. A draft starts at a snapshot, takes edits
//! one after the other and ends as a signed commit with its objects; nothing is written here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::change::{Change, Edit, Expect, Planned, Put};
use super::check::{self, denied, invalid};
use super::error::{CommitError, OpenError};
use super::guard::{Asked, Guard};
use super::known::Known;
use super::rotation;
use crate::ambient::{Ambient, Timestamp};
use crate::commit::{Admin, AdminChange, Commit, EntryChange, Rewrap, Role};
use crate::config::Format;
use crate::crypto::identity::Identity;
use crate::crypto::keyring::{self, Keyring};
use crate::crypto::seal::{self, Context, Kek};
use crate::id::{CompartmentId, EntryId, Hash, MemberId, StoreId, Term, Version};
use crate::name::{CompartmentName, EntryPath, EnvironmentName};
use crate::policy::Resource;
use crate::snapshot::{
    Action, Changed, Directory, Entry, Kind, Label, Meta, ReadError, Snapshot, is_in_place, message_context,
    meta_context, value_context,
};
use crate::store::{Head, StoredCommit, StoredObject};

/// A change on its way to a commit.
pub(super) struct Draft<'a> {
    pub(super) base: &'a Snapshot,
    pub(super) me: MemberId,
    pub(super) role: Role,
    pub(super) store: StoreId,
    pub(super) ambient: &'a Ambient,
    /// Shared with the snapshot until an administrative edit changes them.
    pub(super) directory: Arc<Directory>,
    pub(super) admin: Arc<Admin>,
    pub(super) keyring: Keyring,
    /// Key files to write: new terms, and old ones for new members.
    pub(super) wrap: BTreeSet<(CompartmentId, Term)>,
    pub(super) changes: Vec<AdminChange>,
    pub(super) exposed: Vec<Changed>,
    /// When it is made, by this clock.
    pub(super) time: Timestamp,
    pub(super) guard: Guard<'a>,
    objects: Vec<StoredObject>,
    pub(super) entries: BTreeMap<EntryId, EntryChange>,
    pub(super) rewraps: BTreeMap<EntryId, Rewrap>,
    /// Entries that could not be wrapped anew: one of their records does not open.
    pub(super) broken: Vec<Arc<Entry>>,
    planned: Vec<Planned>,
}

/// A draft that is ready to be stored.
pub(super) struct Ready {
    pub(super) commit: StoredCommit,
    pub(super) objects: Vec<StoredObject>,
}

impl<'a> Draft<'a> {
    /// Takes all edits of `change` on top of `base`.
    pub(super) fn make(
        base: &'a Snapshot,
        change: &Change,
        ambient: &'a Ambient,
        known: &'a Known,
    ) -> Result<Self, CommitError> {
        let me = base.me();
        let admin = Arc::clone(base.state().admin());
        let role = admin
            .members()
            .get(&me)
            .map_or(Role::Reader, |member| member.role);
        let name = base.directory().members.get(&me).ok_or(OpenError::NotMember)?;
        let time = ambient.now();
        let mut draft = Self {
            base,
            me,
            role,
            store: base.state().store(),
            ambient,
            directory: Arc::clone(base.directory()),
            admin,
            keyring: Keyring::clone(base.keyring()),
            wrap: BTreeSet::new(),
            changes: Vec::new(),
            exposed: Vec::new(),
            time,
            guard: Guard::new(known, name, role, base.state().clock(role, time))?,
            objects: Vec::new(),
            entries: BTreeMap::new(),
            rewraps: BTreeMap::new(),
            broken: Vec::new(),
            planned: Vec::new(),
        };
        check::message(&change.message)?;
        for edit in &change.edits {
            match edit {
                Edit::Put(put) => draft.put(put)?,
                Edit::Delete {
                    environment,
                    path,
                    expect,
                } => draft.delete(environment, path, *expect)?,
                Edit::Label(label) => draft.label(label)?,
                Edit::Rotate(rotation) => draft.rotate(rotation)?,
                Edit::Rewrap(rewrap) => draft.rewrap(rewrap)?,
                administrative => draft.administer(administrative)?,
            }
        }
        Ok(draft)
    }

    /// What would be done to entries.
    pub(super) fn planned(&self) -> Vec<Planned> {
        self.planned.clone()
    }

    /// True when everything is as asked already.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.rewraps.is_empty() && self.changes.is_empty() && self.wrap.is_empty()
    }

    /// Wraps keys, seals the message, signs.
    pub(super) fn finish(
        mut self,
        message: &str,
        identity: &Identity,
    ) -> Result<(Ready, Guard<'a>), CommitError> {
        self.write_key_files()?;
        let state = self.base.state();
        let revision = state.revision().next();
        let message = if message.is_empty() {
            Vec::new()
        } else {
            let context = message_context(self.store, self.admin.common(), revision);
            self.record(&context, message.as_bytes())?
        };
        let commit = Commit {
            store: self.store,
            revision,
            previous: state.hash(),
            authority: state.admin().last(),
            author: self.me,
            time: self.time,
            message,
            admin: self.changes,
            entries: self.entries.into_values().collect(),
            rewraps: self.rewraps.into_values().collect(),
        };
        let bytes = commit.sign(identity.signing_key());
        let hash = Hash::of(&bytes);
        let ready = Ready {
            commit: StoredCommit {
                head: Head { revision, hash },
                bytes,
            },
            objects: self.objects,
        };
        Ok((ready, self.guard))
    }

    fn write_key_files(&mut self) -> Result<(), CommitError> {
        for (compartment, term) in std::mem::take(&mut self.wrap) {
            let kek = self.key(compartment, term)?;
            let recipients: Vec<_> = self
                .admin
                .recipients(compartment)
                .map(|(_, member)| &member.public)
                .collect();
            let file = keyring::wrap(&kek, &recipients).map_err(|error| invalid(error.to_string()))?;
            let file = self.object(file);
            self.changes.push(AdminChange::KeyFile {
                compartment,
                term,
                file,
            });
        }
        Ok(())
    }

    fn key(&self, compartment: CompartmentId, term: Term) -> Result<Arc<Kek>, CommitError> {
        self.keyring
            .get(compartment, term)
            .cloned()
            .ok_or_else(|| denied("it does not open every key of that compartment"))
    }

    /// Keeps bytes as an object of this commit.
    pub(super) fn object(&mut self, bytes: Vec<u8>) -> Hash {
        let hash = Hash::of(&bytes);
        self.objects.push(StoredObject { hash, bytes });
        hash
    }

    /// Seals under the newest key of the context's compartment.
    pub(super) fn record(&self, context: &Context, plain: &[u8]) -> Result<Vec<u8>, CommitError> {
        let (term, kek) = self
            .keyring
            .newest(context.compartment)
            .ok_or_else(|| denied("it does not open the compartment"))?;
        Ok(seal::seal(kek, term, context, plain, self.ambient.entropy())?)
    }

    fn put(&mut self, put: &Put) -> Result<(), CommitError> {
        check::put(put)?;
        let environment = self.environment(&put.environment)?;
        let default = if put.kind == Kind::Policy {
            self.admin.common()
        } else {
            environment.compartment
        };
        let environment_id = environment.id;
        let id = self.directory.entry_id(environment_id, &put.path);
        self.once(id)?;
        let old = self.base.own(&put.environment, &put.path).cloned();
        let found = old.as_ref().map_or(Version(0), |old| old.version);
        check::expect(put.expect, old.as_deref(), &put.environment, &put.path)?;
        rotation::at_rest(self.base, old.as_deref())?;
        if old.is_none() && self.base.state().entry(id).is_some() {
            return Err(denied("the path is taken by an entry it does not open"));
        }
        let compartment = self.compartment_for(put, old.as_deref(), default)?;
        self.may_write(compartment, put, old.as_deref())?;
        if !is_in_place(put.kind, compartment, &self.admin) {
            return Err(invalid(format!(
                "{:?}: policies lie in compartment `common`, and nothing else does",
                put.path
            )));
        }
        let format = if put.kind == Kind::Config {
            put.format
        } else {
            Format::Text
        };
        let meta = Meta {
            environment: environment_id,
            kind: put.kind,
            format,
            path: put.path.clone(),
            labels: match (&put.labels, &old) {
                (Some(labels), _) => labels.clone(),
                (None, Some(old)) => old.labels.clone(),
                (None, None) => BTreeMap::new(),
            },
        };
        let same_meta = old.as_ref().and_then(|old| self.base.meta_of(old)).as_ref() == Some(&meta);
        let unchanged = match &old {
            // One that does not open is not the same: it has to be replaced.
            Some(old) if same_meta => self.base.is_value(old, &put.value).unwrap_or(false),
            _ => false,
        };
        let live = self.base.state().entry(id);
        let next = live.map_or(Some(Version(1)), |live| live.next_version());
        let version = if unchanged { Some(found) } else { next };
        let version = version.ok_or_else(|| invalid(format!("{:?} has no version left", put.path)))?;
        self.planned.push(Planned {
            change: Changed {
                environment: put.environment.clone(),
                path: put.path.clone(),
                kind: put.kind,
                action: if old.is_some() {
                    Action::Updated
                } else {
                    Action::Created
                },
                version,
            },
            before: old.as_ref().map(|old| old.version),
            unchanged,
        });
        if unchanged {
            return Ok(());
        }
        if let Some(old) = &old {
            self.has_no_label(old, &put.value, &[Label::Pending, Label::Previous])?;
        }
        let compartment_name = self.directory.compartments.get(&compartment);
        let compartment_name = compartment_name.ok_or_else(|| denied("it does not open the compartment"))?;
        let asked = Asked {
            layers: self.directory.layers(&put.environment),
            before: old.as_deref().map(Resource::from),
            after: Some(Resource {
                path: &meta.path,
                kind: meta.kind,
                compartment: compartment_name,
                labels: &meta.labels,
            }),
            only_value: same_meta,
        };
        self.guard.check(self.base, &put.path, &asked)?;
        let meta = match live.filter(|_| same_meta) {
            Some(live) => live.meta,
            None => {
                let record = self.record(&meta_context(self.store, compartment, id), &meta.encode())?;
                self.object(record)
            }
        };
        let context = value_context(self.store, compartment, id, version, put.kind);
        let value = put.value.expose(|plain| self.record(&context, plain))?;
        let value = self.object(value);
        self.entries.insert(
            id,
            EntryChange {
                id,
                compartment,
                version,
                meta,
                value: Some(value),
                labels: None,
            },
        );
        Ok(())
    }

    fn compartment_for(
        &self,
        put: &Put,
        old: Option<&Entry>,
        default: CompartmentId,
    ) -> Result<CompartmentId, CommitError> {
        let asked = match &put.compartment {
            Some(name) => Some(self.compartment(name)?),
            None => None,
        };
        match (asked, old) {
            (Some(asked), Some(old)) if asked != old.sealed_in => Err(invalid(format!(
                "{:?} lies in compartment {:?} and stays there: delete it first to move it",
                put.path, old.compartment
            ))),
            (_, Some(old)) if old.kind != put.kind => Err(invalid(format!(
                "{:?} is a {}: delete it first to make it a {}",
                put.path, old.kind, put.kind
            ))),
            (_, Some(old)) => Ok(old.sealed_in),
            (asked, None) => Ok(asked.unwrap_or(default)),
        }
    }

    /// The author's role, as every reader will check it.
    fn may_write(
        &self,
        compartment: CompartmentId,
        put: &Put,
        old: Option<&Entry>,
    ) -> Result<(), CommitError> {
        match self.role {
            Role::Reader => return Err(denied("its role is reader")),
            Role::Rotator => {
                let rotates = old.is_some_and(|old| {
                    old.kind == Kind::Secret && put.labels.as_ref().is_none_or(|labels| *labels == old.labels)
                });
                if !rotates {
                    return Err(denied("a rotator may only give secrets new versions"));
                }
            }
            Role::Admin | Role::Writer => {}
        }
        if self.admin.may_change(self.me, compartment) {
            Ok(())
        } else {
            Err(denied("it may not change entries of that compartment"))
        }
    }

    fn delete(
        &mut self,
        environment: &EnvironmentName,
        path: &EntryPath,
        expected: Expect,
    ) -> Result<(), CommitError> {
        let id = self.directory.entry_id(self.environment(environment)?.id, path);
        self.once(id)?;
        check::expect(
            expected,
            self.base.own(environment, path).map(AsRef::as_ref),
            environment,
            path,
        )?;
        let (Some(old), Some(live)) = (self.base.own(environment, path), self.base.state().entry(id)) else {
            return Err(CommitError::Read(ReadError::NoEntry {
                environment: environment.clone(),
                path: path.clone(),
            }));
        };
        rotation::at_rest(self.base, Some(old))?;
        if self.role == Role::Rotator || !self.admin.may_change(self.me, live.compartment) {
            return Err(denied(format!(
                "as {} it may not delete entries of that compartment",
                self.role
            )));
        }
        let asked = Asked {
            layers: self.directory.layers(environment),
            before: Some(Resource::from(&**old)),
            after: None,
            only_value: false,
        };
        self.guard.check(self.base, path, &asked)?;
        self.planned.push(Planned {
            change: Changed {
                environment: environment.clone(),
                path: path.clone(),
                kind: old.kind,
                action: Action::Deleted,
                version: old.version,
            },
            before: Some(old.version),
            unchanged: false,
        });
        let change = EntryChange {
            id,
            compartment: live.compartment,
            version: live.version,
            meta: live.meta,
            value: None,
            labels: None,
        };
        self.entries.insert(id, change);
        Ok(())
    }

    pub(super) fn once(&self, id: EntryId) -> Result<(), CommitError> {
        if self.entries.contains_key(&id) || self.rewraps.contains_key(&id) {
            Err(invalid("the change names one entry twice"))
        } else {
            Ok(())
        }
    }

    pub(super) fn environment(
        &self,
        name: &EnvironmentName,
    ) -> Result<&crate::snapshot::EnvironmentInfo, CommitError> {
        self.directory.environments.get(name).ok_or_else(|| {
            CommitError::Read(ReadError::NoEnvironment {
                environment: name.clone(),
            })
        })
    }

    pub(super) fn compartment(&self, name: &CompartmentName) -> Result<CompartmentId, CommitError> {
        self.directory.compartment(name).ok_or_else(|| {
            invalid(format!(
                "there is no compartment {name:?}: `strongroom compartment list` shows them"
            ))
        })
    }
}
