//! The past: owns history, the state at an earlier revision, and rolling back to it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::Vault;
use super::change::{Change, Edit, Expect, Put};
use super::error::{CommitError, OpenError};
use super::load::{self, Objects, Walk};
use super::scope::{Paths, Scope};
use crate::ambient::Timestamp;
use crate::commit::{Break, Checked, Commit, EntryChange, IntegrityError, Link, State, decode};
use crate::crypto::seal::Context;
use crate::id::{Hash, MemberId, Revision, Version};
use crate::name::{EntryPath, EnvironmentName};
use crate::snapshot::{Action, Changed, Entry, Fetch, Meta, Snapshot, message_context};

/// One past commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// The revision that made it.
    pub revision: Revision,
    /// When.
    pub at: Timestamp,
    /// Who, by name, or the id of a removed member.
    pub author: String,
    /// The message.
    pub message: String,
    /// What happened to entries this identity opens.
    pub changes: Vec<Changed>,
    /// Where labels of secrets this identity opens were put, also where nothing was delivered.
    pub labels: Vec<PastLabels>,
}

/// Where the labels of a secret point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastLabels {
    /// The environment.
    pub environment: EnvironmentName,
    /// The path.
    pub path: EntryPath,
    /// The version that is delivered.
    pub current: Version,
    /// The one that is not yet.
    pub pending: Option<Version>,
    /// The one from before.
    pub previous: Option<Version>,
    /// Whether a rotation is at work on it.
    pub rotating: bool,
}

/// Commits read at a time.
pub(super) const BATCH: usize = 256;

impl Vault {
    /// The verified state at a past revision. Recent ones are at hand; older ones are replayed from
    /// the first commit. Blocks.
    ///
    /// # Errors
    /// [`OpenError`]; [`Break::MissingCommit`] when the revision is not there.
    pub fn at(&self, revision: Revision) -> Result<Snapshot, OpenError> {
        let now = self.snapshot();
        if revision == now.revision() {
            return Ok(Snapshot::clone(&now));
        }
        if let Some(recent) = self.recent(revision) {
            return Ok(Snapshot::clone(&recent));
        }
        if revision > now.revision() || revision.0 == 0 {
            return Err(Break::MissingCommit.at(revision).into());
        }
        let first = load::commit_at(&*self.store, Revision(1))?;
        let mut walk = Walk::again(State::genesis(&first)?);
        if walk.state.fingerprint() != now.fingerprint() {
            return Err(Break::Fingerprint.at(Revision(1)).into());
        }
        walk.run(&*self.store, revision, None)?;
        if walk.state.revision() != revision {
            return Err(Break::MissingCommit.at(walk.state.revision().next()).into());
        }
        // A past that verifies may still be another one: it must lead to what is known.
        let head = Link {
            revision: now.revision(),
            hash: now.hash(),
        };
        let then = Link {
            revision,
            hash: walk.state.hash(),
        };
        load::descends(&*self.store, head, then, &mut |_, _| Ok(()))?;
        let mut fetch = Objects::of(&*self.store);
        // The keys of now open what was sealed then.
        let keyring = Arc::clone(now.keyring());
        Snapshot::build(walk.state, now.me(), keyring, &walk.delta, &mut fetch)
    }

    /// Commits, newest first, at most `limit`, each with what it did to entries this identity
    /// opens; with `entry` only those that changed that environment's path. Blocks.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn history(
        &self,
        entry: Option<(&EnvironmentName, &EntryPath)>,
        limit: usize,
    ) -> Result<Vec<Past>, OpenError> {
        let now = self.snapshot();
        let only = match entry {
            None => None,
            Some((environment, path)) => match now.directory().environments.get(environment) {
                None => return Ok(Vec::new()),
                Some(info) => Some(now.directory().entry_id(info.id, path)),
            },
        };
        let mut commits = Vec::new();
        self.back(&now, &mut |commit| {
            let concerns = match only {
                None => true,
                Some(id) => {
                    commit.entries.iter().any(|change| change.id == id)
                        || commit.rewraps.iter().any(|rewrap| rewrap.id == id)
                }
            };
            if concerns && commits.len() < limit {
                commits.push(commit);
            }
            commits.len() < limit
        })?;
        let mut past = Vec::with_capacity(commits.len());
        for batch in commits.chunks(BATCH) {
            past.extend(self.describe(&now, batch)?);
        }
        Ok(past)
    }

    /// When each commit was made, from that of `oldest` on, by its author's word. Blocks.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn times(&self, oldest: Revision) -> Result<BTreeMap<Revision, Timestamp>, OpenError> {
        let mut times = BTreeMap::new();
        self.back(&self.snapshot(), &mut |commit| {
            times.insert(commit.revision, commit.time);
            commit.revision > oldest
        })?;
        Ok(times)
    }

    /// Who signed the commit of a revision. Blocks.
    ///
    /// # Errors
    /// [`OpenError`]; [`Break::MissingCommit`] when the revision is not there.
    pub fn author(&self, revision: Revision) -> Result<MemberId, OpenError> {
        let mut author = None;
        self.back(&self.snapshot(), &mut |commit| {
            if commit.revision == revision {
                author = Some(commit.author);
            }
            commit.revision > revision
        })?;
        author.ok_or_else(|| Break::MissingCommit.at(revision).into())
    }

    /// Walks the commits before `now`, newest first, for as long as `each` wants more.
    pub(super) fn back(&self, now: &Snapshot, each: &mut dyn FnMut(Commit) -> bool) -> Result<(), OpenError> {
        let mut expected = Link {
            revision: now.revision(),
            hash: now.hash(),
        };
        while expected.revision.0 > 0 {
            let from = expected.revision.0.saturating_sub(BATCH as u64 - 1).max(1);
            let count = usize::try_from(expected.revision.0 - from + 1).unwrap_or(1);
            let batch = self.store.commits(Revision(from), count)?;
            for stored in batch.iter().rev() {
                // Backwards by hashes from a verified head: no signature needs a second look.
                let at = expected.revision;
                if stored.head.revision != at || Hash::of(&stored.bytes) != expected.hash {
                    return Err(Break::BrokenChain.at(at).into());
                }
                let (commit, ..) = decode(&stored.bytes).map_err(|what| what.at(at))?;
                expected = Link {
                    revision: Revision(at.0.saturating_sub(1)),
                    hash: commit.previous,
                };
                if !each(commit) {
                    return Ok(());
                }
            }
            if batch.is_empty() {
                return Err(Break::MissingCommit.at(expected.revision).into());
            }
        }
        Ok(())
    }

    /// Opens the names in commits.
    pub(super) fn describe(&self, now: &Snapshot, commits: &[Commit]) -> Result<Vec<Past>, OpenError> {
        let keyring = now.keyring();
        let store = now.state().store();
        let mut wanted: HashMap<Hash, (EntryChange, Revision)> = HashMap::new();
        for commit in commits {
            let opened = commit
                .entries
                .iter()
                .filter(|change| keyring.opens(change.compartment));
            wanted.extend(opened.map(|change| (change.meta, (*change, commit.revision))));
        }
        let hashes: Vec<_> = wanted.keys().copied().collect();
        let mut metas: HashMap<Hash, Meta> = HashMap::new();
        Objects::of(&*self.store).fetch(&hashes, &mut |hash, bytes| -> Result<(), IntegrityError> {
            let Some((change, revision)) = wanted.remove(&hash) else {
                return Ok(());
            };
            let meta = Checked::object(hash, bytes).and_then(|sealed| {
                let open = |context: &Context| sealed.open(keyring, context);
                now.directory()
                    .description(store, change.compartment, change.id, open)
            });
            metas.insert(hash, meta.map_err(|what| what.at(revision))?);
            Ok(())
        })?;
        if let Some(revision) = wanted.into_values().map(|(_, revision)| revision).min() {
            return Err(Break::MissingObject.at(revision).into());
        }
        let changed = |change: &EntryChange| {
            // Nothing was delivered: the labels besides the current version moved.
            if change.labels.is_some_and(|labels| !labels.moves) {
                return None;
            }
            let meta = metas.get(&change.meta)?;
            Some(Changed {
                environment: now.directory().environment_names.get(&meta.environment)?.clone(),
                path: meta.path.clone(),
                kind: meta.kind,
                action: match change.version {
                    _ if change.deletes() => Action::Deleted,
                    Version(1) if change.labels.is_none() => Action::Created,
                    _ => Action::Updated,
                },
                version: change.version,
            })
        };
        let labelled = |change: &EntryChange| {
            let (labels, meta) = (change.labels?, metas.get(&change.meta)?);
            Some(PastLabels {
                environment: now.directory().environment_names.get(&meta.environment)?.clone(),
                path: meta.path.clone(),
                current: change.version,
                pending: labels.pending,
                previous: labels.previous,
                rotating: labels.rotation.is_some(),
            })
        };
        let past = commits.iter().map(|commit| Past {
            revision: commit.revision,
            at: commit.time,
            author: match now.directory().members.get(&commit.author) {
                Some(name) => name.to_string(),
                None => commit.author.to_string(),
            },
            message: self.message(now, commit),
            changes: commit.entries.iter().filter_map(changed).collect(),
            labels: commit.entries.iter().filter_map(labelled).collect(),
        });
        Ok(past.collect())
    }

    /// A commit's message, empty when it has none or its key is not open.
    fn message(&self, now: &Snapshot, commit: &Commit) -> String {
        let context = message_context(now.state().store(), now.state().admin().common(), commit.revision);
        Checked::message(commit)
            .open(now.keyring(), &context)
            .map(|plain| plain.expose(|bytes| String::from_utf8_lossy(bytes).into_owned()))
            .unwrap_or_default()
    }

    /// The change that sets the entries of `scope` that this identity opens back to what they were at
    /// `revision`, for [`Vault::commit`]. What was not there then is deleted.
    ///
    /// # Errors
    /// [`CommitError`], also where nothing of `scope` is there, now or then.
    pub fn rollback(&self, scope: &Scope, revision: Revision) -> Result<Change, CommitError> {
        let now = self.snapshot();
        let then = self.at(revision)?;
        let mut change = Change {
            message: format!("rollback to revision {revision}"),
            edits: Vec::new(),
        };
        let concerns = |each: &Entry| scope.names(&each.environment, &each.path);
        let is_meant = |each: &Entry| !scope.without.contains(&each.kind);
        let known = |snapshot: &Snapshot| snapshot.all_entries().any(|entry| concerns(entry));
        if *scope != Scope::default() && !known(&now) && !known(&then) {
            // For its error: the environment or the entry is not there.
            if let Some(environment) = &scope.environment {
                now.layers(environment)?;
                if let Paths::One(path) = &scope.paths {
                    now.entry(environment, path)?;
                }
            }
            return Err(CommitError::Invalid {
                problem: format!("nothing of that is there, neither now nor at revision {revision}"),
            });
        }
        let mut before: BTreeMap<_, _> = now
            .all_entries()
            .filter(|entry| concerns(entry))
            .map(|entry| (entry.id, entry))
            .collect();
        for old in then.all_entries().filter(|entry| concerns(entry)) {
            let current = before.remove(&old.id);
            if !is_meant(old) && current.is_none_or(|current| !is_meant(current)) {
                continue;
            }
            if current.is_some_and(|current| is_as_then(&now, current, &then, old)) {
                continue;
            }
            if let Some(current) = current.filter(|current| current.kind != old.kind) {
                return Err(CommitError::Invalid {
                    problem: format!(
                        "{:?} in {:?} was a {} then and is a {} now: delete it, then roll back",
                        old.path, old.environment, old.kind, current.kind
                    ),
                });
            }
            change.edits.push(Edit::Put(Put {
                environment: old.environment.clone(),
                path: old.path.clone(),
                kind: old.kind,
                value: then.own_value(old)?,
                format: old.format,
                labels: Some(old.labels.clone()),
                // Never to another audience than it had.
                compartment: Some(old.compartment.clone()),
                expect: current.map_or(Expect::Absent, |current| Expect::Revision(current.changed_at())),
            }));
        }
        let gone = before.into_values().filter(|entry| is_meant(entry));
        change.edits.extend(gone.map(|gone| Edit::Delete {
            environment: gone.environment.clone(),
            path: gone.path.clone(),
            expect: Expect::Revision(gone.changed_at()),
        }));
        Ok(change)
    }

    /// What [`Vault::rollback`] would set back or delete too, were no kinds left out of `scope`; by names, as
    /// it is now or, where it is gone, was then. Nothing is opened.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn left_out(&self, scope: &Scope, revision: Revision) -> Result<Vec<Entry>, OpenError> {
        let now = self.snapshot();
        let then = self.at(revision)?;
        let concerns =
            |each: &Entry| scope.names(&each.environment, &each.path) && scope.without.contains(&each.kind);
        let of = |snapshot: &Snapshot| -> BTreeMap<_, _> {
            let entries = snapshot.all_entries().filter(|entry| concerns(entry));
            let entries = entries.map(|entry| {
                (
                    (entry.environment.clone(), entry.path.clone()),
                    Entry::clone(entry),
                )
            });
            entries.collect()
        };
        let (mut left, was) = (of(&now), of(&then));
        for (name, old) in was {
            match left.get(&name) {
                Some(current) if current.revision == old.revision => drop(left.remove(&name)),
                Some(_) => {}
                None => drop(left.insert(name, old)),
            }
        }
        Ok(left.into_values().collect())
    }
}

/// Whether an entry is what it was: made by the same revision and, where its records were wrapped anew
/// since, by what they hold. What does not open is not what it was.
fn is_as_then(now: &Snapshot, current: &Entry, then: &Snapshot, old: &Entry) -> bool {
    let live = |snapshot: &Snapshot| snapshot.state().entry(old.id).map(|live| (live.meta, live.value));
    let same = || {
        let described =
            (current.kind, current.format, &current.labels) == (old.kind, old.format, &old.labels);
        let value = then.own_value(old);
        described && value.is_ok_and(|value| now.is_value(current, &value).unwrap_or(false))
    };
    current.revision == old.revision && (live(now) == live(then) || same())
}
