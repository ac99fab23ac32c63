//! Whether policy allowed the authors of commits what they changed: owns the check that every
//! reader makes of the commits it passes, by the policies as they were before each of them. Who
//! writes to the storage around the vault's own check is refused here. It must not know what
//! policies say.

use std::collections::HashMap;
use std::sync::Arc;

use super::error::OpenError;
use super::guard::{Asked, Guard};
use super::known::Known;
use super::load::Objects;
use crate::ambient::Timestamp;
use crate::commit::{Break, Checked, Commit, EntryChange, IntegrityError, Role, State};
use crate::crypto::keyring::Keyring;
use crate::crypto::seal::Context;
use crate::id::{CompartmentId, EntryId, Hash, MemberId, Revision};
use crate::name::CompartmentName;
use crate::policy::{PolicyError, Resource};
use crate::snapshot::{Delta, Directory, Fetch, Meta, Snapshot};

/// What members changed whom policies may hold back, in order. Admins are not among them: they
/// make the policies.
#[derive(Default)]
pub(super) struct Authored {
    eras: Vec<Era>,
}

/// Commits before which policies, members and environments were the same.
struct Era {
    /// The state before the first of them, with nothing but its policies.
    state: State,
    commits: Vec<Made>,
}

/// One commit.
struct Made {
    revision: Revision,
    author: MemberId,
    role: Role,
    /// When it counts as made.
    time: Timestamp,
    changes: Vec<Touched>,
}

/// One changed entry, by its descriptions before and after.
struct Touched {
    id: EntryId,
    compartment: CompartmentId,
    before: Option<Hash>,
    after: Option<Hash>,
}

impl Authored {
    /// Remembers what is to be checked of `commit`, which was made on `before`.
    pub(super) fn note(&mut self, before: &State, commit: &Commit) {
        let role = before
            .admin()
            .members()
            .get(&commit.author)
            .map(|author| author.role);
        let Some(role) = role.filter(|role| *role != Role::Admin && before.has_policies()) else {
            return;
        };
        let same = self.eras.last().is_some_and(|era| era.state.governs_like(before));
        if !same {
            self.eras.push(Era {
                state: before.policies_alone(),
                commits: Vec::new(),
            });
        }
        let touched = |change: &EntryChange| Touched {
            id: change.id,
            compartment: change.compartment,
            before: before.entry(change.id).map(|live| live.meta),
            after: (!change.deletes()).then_some(change.meta),
        };
        if let Some(era) = self.eras.last_mut() {
            era.commits.push(Made {
                revision: commit.revision,
                author: commit.author,
                role,
                time: before.clock(role, commit.time),
                changes: commit.entries.iter().map(touched).collect(),
            });
        }
    }

    /// Checks everything that was noted, as far as `keyring` opens it: whoever opens a
    /// compartment checks who changed its entries. `old` is a snapshot that is at hand already:
    /// mostly its policies are the ones in question, and none have to be opened.
    pub(super) fn check(
        &self,
        me: MemberId,
        keyring: &Arc<Keyring>,
        fetch: &mut Objects<'_>,
        known: &Known,
        old: Option<&Snapshot>,
    ) -> Result<(), OpenError> {
        for era in &self.eras {
            let built;
            let base = match old.filter(|old| era.state.governs_like(old.state())) {
                Some(old) => old,
                None => {
                    let (state, none) = (era.state.clone(), Delta::default());
                    built = Snapshot::build(state, me, Arc::clone(keyring), &none, fetch)?;
                    &built
                }
            };
            let metas = era.metas(base.directory(), keyring, fetch)?;
            for made in &era.commits {
                made.check(base, &metas, known)
                    .map_err(|what| what.at(made.revision))?;
            }
        }
        Ok(())
    }
}

impl Era {
    /// The opened descriptions of everything it touches that `keyring` opens.
    fn metas(
        &self,
        directory: &Directory,
        keyring: &Keyring,
        fetch: &mut Objects<'_>,
    ) -> Result<HashMap<Hash, Meta>, OpenError> {
        let mut wanted: HashMap<Hash, (CompartmentId, EntryId, Revision)> = HashMap::new();
        for made in &self.commits {
            let opened = made
                .changes
                .iter()
                .filter(|change| keyring.opens(change.compartment));
            for change in opened {
                for hash in [change.before, change.after].into_iter().flatten() {
                    let whose = (change.compartment, change.id);
                    let (compartment, id, _) =
                        *wanted.entry(hash).or_insert((whose.0, whose.1, made.revision));
                    // A record describes one entry.
                    if (compartment, id) != whose {
                        return Err(Break::Contradiction.at(made.revision).into());
                    }
                }
            }
        }
        let store = self.state.store();
        let hashes: Vec<_> = wanted.keys().copied().collect();
        let mut metas = HashMap::new();
        fetch.fetch(&hashes, &mut |hash, bytes| -> Result<(), IntegrityError> {
            let Some((compartment, id, revision)) = wanted.remove(&hash) else {
                return Ok(());
            };
            let meta = Checked::object(hash, bytes).and_then(|record| {
                let open = |context: &Context| record.open(keyring, context);
                directory.description(store, compartment, id, open)
            });
            metas.insert(hash, meta.map_err(|what| what.at(revision))?);
            Ok(())
        })?;
        match wanted.into_values().map(|(.., revision)| revision).min() {
            Some(revision) => Err(Break::MissingObject.at(revision).into()),
            None => Ok(metas),
        }
    }
}

impl Made {
    fn check(&self, base: &Snapshot, metas: &HashMap<Hash, Meta>, known: &Known) -> Result<(), Break> {
        let directory = base.directory();
        let name = directory.members.get(&self.author).ok_or(Break::Unauthorised)?;
        // Policies that do not hold allow nothing.
        let unsound = |_: PolicyError| Break::Unauthorised;
        let guard = Guard::new(known, name, self.role, self.time).map_err(unsound)?;
        for change in &self.changes {
            // Both are of this entry, and so of one environment and path.
            let meta = |hash: Option<Hash>| metas.get(&hash?);
            let (before, after) = (meta(change.before), meta(change.after));
            let Some(described) = after.or(before) else {
                // Not open here: others check it.
                continue;
            };
            let environment = directory.environment_names.get(&described.environment);
            let environment = environment.ok_or(Break::Contradiction)?;
            let compartment = directory.compartments.get(&change.compartment);
            let compartment = compartment.ok_or(Break::Contradiction)?;
            let asked = Asked {
                layers: directory.layers(environment),
                before: before.map(|meta| described_by(meta, compartment)),
                after: after.map(|meta| described_by(meta, compartment)),
                only_value: change.before.is_some() && change.before == change.after,
            };
            if guard.refusal(base, &asked).map_err(unsound)?.is_some() {
                return Err(Break::Unauthorised);
            }
        }
        Ok(())
    }
}

fn described_by<'a>(meta: &'a Meta, compartment: &'a CompartmentName) -> Resource<'a> {
    Resource {
        path: &meta.path,
        kind: meta.kind,
        compartment,
        labels: &meta.labels,
    }
}
