//! The face for embedding: owns opening a store with an identity, reads, commits and the watch.
//! It must not know sockets, terminals or files other than the trust file it is told of.
//!
//! Reads of a snapshot never block. Everything that talks to the store does: from async code call
//! `open`, `commit`, `plan`, `refresh`, `at`, `history` and `verify` where blocking is allowed.

mod administer;
mod author;
mod change;
mod check;
mod commit;
mod draft;
mod error;
mod event;
mod fit;
mod flag_fit;
mod flags;
mod follow;
mod genesis;
mod guard;
mod known;
mod label;
mod live;
mod load;
mod origin;
mod past;
mod rewrap;
mod rotate;
mod rotation;
mod scope;
mod trust;
mod unwrapped;
mod uptake;
mod verify;
mod watched;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use arc_swap::ArcSwap;
use tokio::sync::broadcast;

pub use crate::commit::{Break, IntegrityError};
pub use change::{Change, Edit, Expect, LabelEdit, Planned, Put, Receipt, Relabel};
pub use error::{CommitError, OpenError};
pub use event::{Event, Freshness, Revised, Watch};
pub use flags::Flags;
pub use live::LiveConfig;
pub use origin::{KeyOrigin, OriginError, PastValue};
pub use past::{Past, PastLabels};
pub use rewrap::{RewrapEdit, Rewrapped};
pub use rotation::{MAX_LEASE, Rotate, Rotation, RotationEdit, SKEW};
pub use scope::{Paths, Scope};
pub use trust::{OpenOptions, Trust, TrustError};
pub use uptake::ReportError;
pub use verify::Verification;
pub use watched::ConfigWatch;

use crate::ambient::Ambient;
use crate::commit::{Role, encode_checkpoint};
use crate::crypto::identity::Identity;
use crate::id::Revision;
use crate::name::{EntryPath, EnvironmentName, MemberName};
use crate::secret::Secret;
use crate::snapshot::{ReadError, Reading, Snapshot};
use crate::store::{Store, StoreError};
use load::Next;

/// Snapshots kept for reads at a recent revision; they share what did not change.
const RECENT: usize = 64;
/// A checkpoint is due when it spares at least this many commits and entry changes, or one in
/// `CHECKPOINT_SHARE` of what is live, whichever is more.
const CHECKPOINT_MIN: usize = 256;
const CHECKPOINT_SHARE: usize = 32;

/// A store opened by an identity. Reads never block; commits and refreshes take turns.
pub struct Vault {
    store: Arc<dyn Store>,
    identity: Arc<Identity>,
    ambient: Ambient,
    current: ArcSwap<Snapshot>,
    turn: Mutex<Turn>,
    recent: Mutex<VecDeque<Arc<Snapshot>>>,
    known: known::Known,
    tables: flags::Tables,
    freshness: Mutex<Freshness>,
    events: broadcast::Sender<Event>,
    follower: Mutex<Option<follow::Follower>>,
    lives: Mutex<Vec<Weak<dyn live::Live>>>,
}

/// What commits and refreshes share, one at a time.
struct Turn {
    /// Commits and entry changes since the last checkpoint.
    since_checkpoint: usize,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Vault({}, {:?})", self.location(), self.snapshot())
    }
}

/// A lock whose holder panicked still guards data that is replaced whole, never half.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Vault {
    /// Makes the first commit of an empty store: `admin` is its first member.
    ///
    /// # Errors
    /// [`CommitError`].
    pub fn create(
        store: Arc<dyn Store>,
        admin: &MemberName,
        identity: Arc<Identity>,
        ambient: Ambient,
    ) -> Result<Self, CommitError> {
        genesis::create(&*store, admin, &identity, &ambient)?;
        let options = OpenOptions {
            ambient,
            ..OpenOptions::default()
        };
        Ok(Self::open(store, identity, options)?)
    }

    /// Verifies a store and opens what the identity may.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(
        store: Arc<dyn Store>,
        identity: Arc<Identity>,
        options: OpenOptions,
    ) -> Result<Self, OpenError> {
        let known = known::Known::default();
        let (snapshot, since_checkpoint) = load::open(&*store, &identity, &options, &known)?;
        Ok(Self {
            store,
            identity,
            ambient: options.ambient,
            current: ArcSwap::from_pointee(snapshot),
            turn: Mutex::new(Turn { since_checkpoint }),
            recent: Mutex::default(),
            known,
            tables: flags::Tables::default(),
            freshness: Mutex::default(),
            events: broadcast::channel(event::BACKLOG).0,
            follower: Mutex::new(None),
            lives: Mutex::default(),
        })
    }

    /// The current snapshot.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Where the store lies.
    #[must_use]
    pub fn location(&self) -> String {
        self.store.location()
    }

    /// What to remember outside the store.
    #[must_use]
    pub fn trust(&self) -> Trust {
        let snapshot = self.current.load();
        Trust {
            fingerprint: snapshot.fingerprint(),
            revision: snapshot.revision(),
            hash: snapshot.hash(),
        }
    }

    /// Opens a secret of the current snapshot.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn secret(&self, environment: &EnvironmentName, path: &EntryPath) -> Result<Secret, ReadError> {
        self.current.load().secret(environment, path)
    }

    /// Opens an entry of any kind of the current snapshot.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn read(&self, environment: &EnvironmentName, path: &EntryPath) -> Result<Reading, ReadError> {
        self.current.load().read(environment, path)
    }

    /// A config document of the current snapshot, merged and deserialised.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn config<T: serde::de::DeserializeOwned>(
        &self,
        environment: &EnvironmentName,
        path: &EntryPath,
    ) -> Result<T, ReadError> {
        self.current.load().config(environment, path)
    }

    /// Reads and verifies what is new in the store and swaps the snapshot. Blocks.
    ///
    /// # Errors
    /// [`OpenError`]; the last good snapshot stays.
    pub fn refresh(&self) -> Result<Arc<Snapshot>, OpenError> {
        self.refresh_in(&mut lock(&self.turn))
    }

    fn refresh_in(&self, turn: &mut Turn) -> Result<Arc<Snapshot>, OpenError> {
        let old = self.snapshot();
        match load::catch_up(&*self.store, &self.identity, &old, &self.known) {
            Ok(None) => self.good(),
            Ok(Some(next)) => {
                self.good();
                self.swap(turn, next);
            }
            Err(error) => {
                match &error {
                    OpenError::Store(error) => self.lost(error),
                    refused => self.refused(&refused.to_string()),
                }
                return Err(error);
            }
        }
        Ok(self.snapshot())
    }

    fn swap(&self, turn: &mut Turn, next: Next) {
        let snapshot = Arc::new(next.snapshot);
        let old = self.current.swap(Arc::clone(&snapshot));
        let revised = Revised {
            revision: snapshot.revision(),
            from: old.revision(),
            changes: next.changes,
        };
        self.tell_live(&snapshot, &revised.changes);
        turn.since_checkpoint += next.passed;
        let mut recent = lock(&self.recent);
        if next.has_rewraps {
            // Those before share hardly a record with those after.
            recent.clear();
        } else {
            recent.push_back(old);
        }
        if recent.len() > RECENT {
            recent.pop_front();
        }
        drop(recent);
        // Without watchers there is nobody to tell.
        let _ = self.events.send(Event::Revised(Arc::new(revised)));
    }

    /// A snapshot that was current not long ago.
    fn recent(&self, revision: Revision) -> Option<Arc<Snapshot>> {
        lock(&self.recent)
            .iter()
            .find(|snapshot| snapshot.revision() == revision)
            .cloned()
    }

    /// Writes a checkpoint when it spares readers enough. It only spares work, so that a failure
    /// is no failure of the commit; the next commit tries again.
    fn checkpoint_if_due(&self, turn: &mut Turn, needed: bool) {
        let live = self.current.load().state().entries().len();
        if needed || turn.since_checkpoint >= CHECKPOINT_MIN.max(live / CHECKPOINT_SHARE) {
            let _ = self.write_checkpoint(turn);
        }
    }

    /// Writes a checkpoint of the current snapshot, so that the next opening verifies no commit
    /// before it. Commits by admins do so by themselves now and then; this is for stores that only
    /// writers change. False when this identity is no admin. Blocks.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn checkpoint(&self) -> Result<bool, OpenError> {
        let mut turn = lock(&self.turn);
        self.refresh_in(&mut turn)?;
        Ok(self.write_checkpoint(&mut turn)?)
    }

    fn write_checkpoint(&self, turn: &mut Turn) -> Result<bool, StoreError> {
        let snapshot = self.snapshot();
        let state = snapshot.state();
        let member = state.admin().members().get(&snapshot.me());
        if member.is_none_or(|member| member.role != Role::Admin) {
            return Ok(false);
        }
        let bytes = encode_checkpoint(state, snapshot.me(), self.identity.signing_key());
        self.store.put_checkpoint(state.revision(), &bytes)?;
        turn.since_checkpoint = 0;
        Ok(true)
    }

    /// Follows the store from a thread of its own until the vault is dropped: every commit of
    /// any process is verified, swapped in and sent to the watchers. Calling it again is harmless.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be watched.
    pub fn follow(self: &Arc<Self>) -> Result<(), StoreError> {
        let mut follower = lock(&self.follower);
        if follower.is_none() {
            *follower = Some(follow::start(self).inspect_err(|error| self.lost(error))?);
        }
        Ok(())
    }

    /// Events from now on; needs [`Vault::follow`] to see other processes' commits.
    #[must_use]
    pub fn watch(&self) -> Watch {
        Watch(self.events.subscribe())
    }

    /// How current the snapshot is.
    #[must_use]
    pub fn freshness(&self) -> Freshness {
        lock(&self.freshness).clone()
    }

    fn good(&self) {
        let mut freshness = lock(&self.freshness);
        let was_bad = freshness.stale_since.is_some() || freshness.refused.is_some();
        *freshness = Freshness::default();
        drop(freshness);
        if was_bad {
            let _ = self.events.send(Event::StoreBack);
        }
    }

    fn refused(&self, reason: &str) {
        let reason: Arc<str> = Arc::from(reason);
        let mut freshness = lock(&self.freshness);
        let was_lost = freshness.stale_since.take().is_some();
        let known = freshness.refused.as_ref() == Some(&reason);
        freshness.refused = Some(Arc::clone(&reason));
        drop(freshness);
        if was_lost {
            let _ = self.events.send(Event::StoreBack);
        }
        if !known {
            let _ = self.events.send(Event::Refused { reason });
        }
    }

    /// Notes that the store is out of reach; the first time says since when.
    fn lost(&self, error: &StoreError) {
        let since = self.ambient.now();
        let mut freshness = lock(&self.freshness);
        if freshness.stale_since.is_none() {
            freshness.stale_since = Some(since);
            drop(freshness);
            let reason = Arc::from(error.to_string().as_str());
            let _ = self.events.send(Event::StoreLost { since, reason });
        }
    }
}
