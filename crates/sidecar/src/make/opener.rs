//! Values for templates and documents: owns asking the gate for each of them, and remembering which were
//! opened. It must not know what is made of them.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use strongroom_core::config::{self, Format};
use strongroom_core::flag::Flag;
use strongroom_core::kind::Kind;
use strongroom_core::name::EntryPath;
use strongroom_core::policy::Decisions;
use strongroom_core::secret::Secret;
use strongroom_core::snapshot::{Entry, ReadError, Snapshot};
use strongroom_core::template::{Source, Unavailable};

use crate::asker::Asker;
use crate::grant::Refused;
use crate::read::{self, Form, Unread};
use crate::state::State;

/// Opens what one consumer asks for, of one revision.
pub struct Opener {
    state: Arc<State>,
    decisions: Arc<Decisions>,
    snapshot: Arc<Snapshot>,
    asker: Arc<Asker>,
    used: Mutex<BTreeSet<EntryPath>>,
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opener(revision {})", self.snapshot.revision().0)
    }
}

impl Opener {
    /// Opens of `snapshot`, by `decisions`, for `asker`.
    #[must_use]
    pub fn new(
        state: &Arc<State>,
        decisions: &Arc<Decisions>,
        snapshot: &Arc<Snapshot>,
        asker: &Arc<Asker>,
    ) -> Arc<Self> {
        Arc::new(Self {
            state: Arc::clone(state),
            decisions: Arc::clone(decisions),
            snapshot: Arc::clone(snapshot),
            asker: Arc::clone(asker),
            used: Mutex::default(),
        })
    }

    /// What was opened so far.
    pub(super) fn used(&self) -> BTreeSet<EntryPath> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The text of a template.
    pub(super) fn template(&self, path: &EntryPath) -> Result<Secret, Unavailable> {
        self.open(path, Kind::Config, |entry, bytes| match entry.format {
            Format::Text => Ok(Secret::new(bytes.to_vec())),
            Format::Json | Format::Toml => Err(Unavailable::Other("it is no text".to_owned())),
        })
    }

    fn open<R>(
        &self,
        path: &EntryPath,
        wanted: Kind,
        f: impl FnOnce(&Entry, &[u8]) -> Result<R, Unavailable>,
    ) -> Result<R, Unavailable> {
        let environment = self.state.environment();
        let entry = match self.snapshot.entry(environment, path) {
            Ok(entry) => entry,
            Err(ReadError::NoEntry { .. }) => return Err(Unavailable::Missing),
            Err(error) => return Err(Unavailable::Other(error.to_string())),
        };
        if entry.kind != wanted {
            return Err(Unavailable::Kind(entry.kind));
        }
        let question = self
            .state
            .question_by(&self.decisions, &self.asker, &self.snapshot);
        let item = read::item(&question, &self.snapshot, &entry);
        let item = item.map_err(|error| Unavailable::Other(error.to_string()))?;
        let secrets = item.secrets.clone();
        let asked = self.state.gate().ask(&question, item);
        let grant = asked
            .and_then(|verdict| verdict.wait())
            .map_err(|refused| match refused {
                Refused::Denied { .. } => Unavailable::Denied,
                Refused::Unrecorded(error) => Unavailable::Now(error.to_string()),
            })?;
        let opened = read::open(grant, &self.snapshot, environment, Form::Whole, f);
        let opened = opened.map_err(|error: Unread| Unavailable::Other(error.to_string()))?;
        let opened = opened.ok_or(Unavailable::Missing)??;
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.insert(path.clone());
        used.extend(secrets.iter().map(|secret| secret.path.clone()));
        Ok(opened)
    }
}

impl Source for Opener {
    fn secret(&self, path: &EntryPath) -> Result<Secret, Unavailable> {
        self.open(path, Kind::Secret, |_, bytes| Ok(Secret::new(bytes.to_vec())))
    }

    fn config(&self, path: &EntryPath) -> Result<Value, Unavailable> {
        self.open(path, Kind::Config, |entry, bytes| match entry.format {
            Format::Text => Err(Unavailable::Unstructured),
            format => config::delivered(format, bytes).map_err(|error| Unavailable::Other(error.to_string())),
        })
    }

    fn flag(&self, key: &EntryPath) -> Result<Flag, Unavailable> {
        self.snapshot.flag_opened(self.state.environment(), key, |path| {
            self.open(path, Kind::Flag, |_, bytes| Ok(Secret::new(bytes.to_vec())))
        })
    }

    fn now(&self) -> u64 {
        self.state.now().0 / 1000
    }
}
