//! What is made for one consumer: owns making it of a revision once, and which entries that used. It must
//! not know how it is delivered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use strongroom_core::id::{EntryId, Version};
use strongroom_core::inject::{self, Wanted};
use strongroom_core::name::{EntryPath, EnvironmentName};
use strongroom_core::snapshot::Snapshot;

use crate::asker::Asker;
use crate::make::{Making, Names, Opener};
use crate::read;
use crate::settings::Made;
use crate::state::State;

/// What is made for a consumer, and of what it was made last.
#[derive(Debug)]
pub(super) struct Makes {
    names: Names,
    used: BTreeSet<EntryPath>,
    /// Whether it was ever made: before, nobody knows what a consumer of an earlier run uses.
    has_made: bool,
    /// The revision of which it cannot be made, and why: asking again would say the same.
    failed: Option<(u64, String)>,
}

impl Makes {
    pub(super) fn new(names: Names) -> Self {
        Self {
            names,
            used: BTreeSet::new(),
            has_made: false,
            failed: None,
        }
    }

    /// Why it cannot be made of `snapshot`, where that is known.
    pub(super) fn known(&self, snapshot: &Snapshot) -> Result<(), String> {
        match &self.failed {
            Some((revision, problem)) if *revision == snapshot.revision().0 => Err(problem.clone()),
            _ => Ok(()),
        }
    }

    /// Asks again, whatever was said: what this machine says has changed.
    pub(super) fn forget(&mut self) {
        self.failed = None;
    }

    /// Whether what it lists is all that the consumer may use.
    pub(super) fn is_whole(&self, wanted: &[Made]) -> bool {
        wanted.is_empty() || self.has_made
    }

    /// Makes `wanted` of `snapshot`.
    pub(super) fn make(
        &mut self,
        (state, asker): (&Arc<State>, &Arc<Asker>),
        snapshot: &Arc<Snapshot>,
        wanted: &[Made],
    ) -> Result<Vec<inject::Made>, String> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let decisions = Arc::clone(&state.current().decisions);
        let opener = Opener::new(state, &decisions, snapshot, asker);
        match Making::of(&opener, wanted, self.names) {
            Ok(Making { made, used }) => {
                self.used = used;
                self.has_made = true;
                Ok(made)
            }
            Err(error) => {
                let problem = error.to_string();
                if !error.is_temporary() {
                    self.failed = Some((snapshot.revision().0, problem.clone()));
                }
                Err(problem)
            }
        }
    }

    /// The versions of all that the consumer is to have: what it wants as it is, and what was used.
    pub(super) fn listed(
        &self,
        environment: &EnvironmentName,
        snapshot: &Snapshot,
        wanted: &Wanted,
    ) -> Vec<(EntryId, Version)> {
        let listed = read::listed(snapshot, environment, wanted).unwrap_or_default();
        let used = self.used.iter().filter_map(|path| {
            let entry = snapshot.entry(environment, path).ok()?;
            Some((entry.id, entry.version))
        });
        let all: BTreeMap<EntryId, Version> = listed.into_iter().chain(used).collect();
        all.into_iter().collect()
    }
}
