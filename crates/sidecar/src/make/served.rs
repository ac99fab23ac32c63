//! Whether what the settings want made can be made of a revision, before it is served: owns asking once for
//! each, and again only when something it used has changed. It must not deliver.

use std::collections::BTreeMap;
use std::sync::Arc;

use strongroom_core::id::{EntryId, Hash, Revision};
use strongroom_core::name::{EntryPath, EnvironmentName};
use strongroom_core::policy::Decisions;
use strongroom_core::snapshot::Snapshot;

use super::{Making, Names, Opener, Unmade};
use crate::asker::Asker;
use crate::change;
use crate::settings::{Made, Settings};
use crate::state::State;
use crate::unserved::Unserved;

/// What an entry is made of, each part by the revision that made it; of a flag its set too.
type Parts = Option<(EntryId, Revision, Vec<u64>, Option<(EntryId, Revision)>)>;

/// What one consumer has made.
#[derive(Debug)]
struct Plan {
    asker: Arc<Asker>,
    made: Vec<Made>,
    names: Names,
    /// What was used when it was made last.
    used: Option<BTreeMap<EntryPath, Parts>>,
    /// It cannot be made of what is served: then no newer revision makes it worse.
    is_lost: bool,
}

/// What the settings have made of each revision.
#[derive(Debug, Default)]
pub struct Makings {
    plans: Vec<Plan>,
    /// The snapshot that was refused last, and why.
    refused: Option<(Hash, Vec<String>)>,
}

impl Makings {
    /// Asks for what `settings` want.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        let files = settings.files.iter().map(|files| {
            let asker = Asker::injection(&files.directory.display().to_string());
            (asker, &files.made, Names::Files)
        });
        let process = settings.process.iter().map(|process| {
            let asker = Asker::injection(process.command.first().map_or("", String::as_str));
            (asker, &process.made, Names::Variables)
        });
        let plans = files.chain(process).filter(|(_, made, _)| !made.is_empty());
        let plans = plans.map(|(asker, made, names)| Plan {
            asker: Arc::new(asker),
            made: made.clone(),
            names,
            used: None,
            is_lost: false,
        });
        Self {
            plans: plans.collect(),
            refused: None,
        }
    }

    /// What is served is served although not everything could be made of it: what could not be made then holds
    /// nothing newer back.
    pub fn lose(&mut self) {
        for plan in &mut self.plans {
            plan.is_lost = plan.used.is_none();
        }
        self.refused = None;
    }

    /// Refuses `snapshot` when not everything can be made of it.
    ///
    /// # Errors
    /// [`Unserved::Unmade`].
    pub fn check(
        &mut self,
        state: &Arc<State>,
        decisions: &Arc<Decisions>,
        snapshot: &Arc<Snapshot>,
    ) -> Result<(), Unserved> {
        let unmade = |problems, is_temporary| Unserved::Unmade {
            problems,
            is_temporary,
        };
        if let Some((hash, problems)) = &self.refused
            && *hash == snapshot.hash()
        {
            return Err(unmade(problems.clone(), false));
        }
        let mut problems = Vec::new();
        let mut is_temporary = false;
        for plan in &mut self.plans {
            if let Err(error) = plan.check(state, decisions, snapshot)
                && !plan.is_lost
            {
                is_temporary |= error.is_temporary();
                problems.push(error.to_string());
            }
        }
        if problems.is_empty() {
            return Ok(());
        }
        if !is_temporary {
            self.refused = Some((snapshot.hash(), problems.clone()));
        }
        Err(unmade(problems, is_temporary))
    }
}

impl Plan {
    fn check(
        &mut self,
        state: &Arc<State>,
        decisions: &Arc<Decisions>,
        snapshot: &Arc<Snapshot>,
    ) -> Result<(), Unmade> {
        let environment = state.environment();
        if let Some(used) = &self.used
            && used
                .iter()
                .all(|(path, before)| parts(snapshot, environment, path) == *before)
        {
            return Ok(());
        }
        let opener = Opener::new(state, decisions, snapshot, &self.asker);
        // only whether it can be: what is delivered is made again by whoever delivers
        let making = Making::of(&opener, &self.made, self.names)?;
        let used = making.used.into_iter().map(|path| {
            let parts = parts(snapshot, environment, &path);
            (path, parts)
        });
        self.used = Some(used.collect());
        self.is_lost = false;
        Ok(())
    }
}

fn parts(snapshot: &Snapshot, environment: &EnvironmentName, path: &EntryPath) -> Parts {
    let entry = snapshot.entry(environment, path).ok()?;
    // a nearer one may come, which nobody used yet
    let set = snapshot
        .flag_entry(environment, path)
        .ok()
        .and_then(|flag| flag.set);
    Some((
        entry.id,
        entry.revision,
        change::parts(snapshot, environment, path),
        set.map(|set| (set.id, set.revision)),
    ))
}
