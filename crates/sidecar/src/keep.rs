//! What outlives the process: owns writing down the highest revision that was served and keeping the
//! sealed copy up to it, in a thread of its own so that nobody waits for a disk.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use strongroom_core::vault::Trust;

use crate::bell::Bell;
use crate::error::StartError;
use crate::mirror::{Mirror, MirrorError};
use crate::source::Source;
use crate::state::State;

/// When something failed it is tried again after this.
const AGAIN: Duration = Duration::from_secs(10);
/// A copy that lacks more commits than this is filled while the sidecar serves already.
const MANY: u64 = 16;

/// What keeps.
#[derive(Debug)]
pub struct Keeper {
    /// What is served.
    pub state: Arc<State>,
    /// How to reach the store.
    pub source: Arc<Source>,
    /// The file of the highest verified revision.
    pub trust: PathBuf,
    /// The copy, unless the settings want none.
    pub mirror: Option<Mirror>,
}

/// What keeps on.
#[derive(Debug)]
pub struct Kept {
    keeper: Keeper,
    problem: Option<String>,
}

impl Kept {
    /// Keeps for as long as the process lives, in a thread that `bell` wakes.
    ///
    /// # Errors
    /// The system's, when there is no thread.
    pub fn start(self, bell: Arc<Bell<()>>) -> Result<(), StartError> {
        let Self {
            mut keeper,
            mut problem,
        } = self;
        std::thread::Builder::new()
            .name("keep".into())
            .stack_size(512 * 1024)
            .spawn(move || {
                loop {
                    bell.wait(problem.as_ref().map(|_| AGAIN));
                    problem = keeper.keep_again(problem.as_ref());
                }
            })
            .map_err(|source| StartError::System {
                action: "start the keeping thread",
                source,
            })?;
        Ok(())
    }
}

impl Keeper {
    /// Writes down what is about to be served, with `is_away` from the copy.
    ///
    /// # Errors
    /// [`StartError`]: without the file, a rollback would go unseen at the next start.
    pub fn first(mut self, bell: &Bell<()>, is_away: bool) -> Result<Kept, StartError> {
        let problem = self.keep_first(bell, is_away)?;
        Ok(Kept {
            keeper: self,
            problem,
        })
    }

    /// What is served: the vault may have verified more, whose policies do not hold.
    fn served(&self) -> Trust {
        let current = self.state.current();
        Trust {
            revision: current.snapshot.revision(),
            hash: current.snapshot.hash(),
            ..self.state.vault().trust()
        }
    }

    /// The copy first, for one behind what is written down would not be accepted by anyone; but
    /// nobody waits for a long copy.
    fn keep_first(&mut self, bell: &Bell<()>, is_away: bool) -> Result<Option<String>, StartError> {
        let verified = self.served();
        let missing = self
            .mirror
            .as_ref()
            .map_or(0, |mirror| verified.revision.0.saturating_sub(mirror.revision()));
        if missing > MANY {
            verified.save(&self.trust)?;
            bell.ring();
            return Ok(None);
        }
        let copied = self.copy(&verified, is_away).map_err(|error| error.to_string());
        verified.save(&self.trust)?;
        Ok(copied.inspect_err(|problem| warn(problem)).err())
    }

    fn keep_again(&mut self, before: Option<&String>) -> Option<String> {
        let problem = self.keep().err()?;
        if before != Some(&problem) {
            warn(&problem);
        }
        Some(problem)
    }

    fn keep(&mut self) -> Result<(), String> {
        let verified = self.served();
        let is_away = self.state.current().stale_since.is_some();
        let copied = self.copy(&verified, is_away).map_err(|error| error.to_string());
        verified.save(&self.trust).map_err(|error| error.to_string())?;
        copied
    }

    fn copy(&mut self, verified: &Trust, is_away: bool) -> Result<(), MirrorError> {
        let Some(mirror) = &mut self.mirror else {
            return Ok(());
        };
        if is_away {
            // what came from the copy is no news for it; what it lacks waits for the store
            return if mirror.revision() < verified.revision.0 {
                Err(MirrorError::Away)
            } else {
                Ok(())
            };
        }
        let source = self.source.store()?;
        mirror.bring_up_to(&*source, verified)
    }
}

fn warn(problem: &str) {
    tracing::warn!(%problem, "the verified revision was not written down and copied; trying again");
}
