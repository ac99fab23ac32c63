//! What outlives the process: owns writing down the highest verified revision and keeping the
//! sealed copy up to it, in a thread of its own so that nobody waits for a disk.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use strongroom_core::vault::Trust;

use crate::bell::Bell;
use crate::mirror::{Mirror, MirrorError};
use crate::source::Source;
use crate::state::State;

/// When something failed it is tried again after this.
const AGAIN: Duration = Duration::from_secs(10);
/// A copy farther behind than this is filled after the revision was written down.
const FAR: u64 = 64;

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

impl Keeper {
    /// Keeps for as long as the process lives; woken by `bell`.
    ///
    /// # Errors
    /// The system's, when there is no thread.
    pub fn start(mut self, bell: Arc<Bell<()>>) -> std::io::Result<()> {
        std::thread::Builder::new().name("keep".into()).stack_size(512 * 1024).spawn(move || {
            let mut problem = None;
            loop {
                let before = problem.take();
                problem = self.keep().err();
                if let Some(problem) = &problem
                    && before.as_ref() != Some(problem)
                {
                    tracing::warn!(%problem, "the verified revision was not written down and copied; trying again");
                }
                bell.wait(problem.as_ref().map(|_| AGAIN));
            }
        })?;
        Ok(())
    }

    /// The copy first: a copy behind what is written down would not be accepted by anyone.
    fn keep(&mut self) -> Result<(), String> {
        let verified = self.state.vault().trust();
        if self
            .mirror
            .as_ref()
            .is_some_and(|mirror| mirror.revision().saturating_add(FAR) < verified.revision.0)
        {
            save(&verified, &self.trust)?;
        }
        let copied = self.copy(&verified);
        save(&verified, &self.trust)?;
        copied.map_err(|error| error.to_string())
    }

    fn copy(&mut self, verified: &Trust) -> Result<(), MirrorError> {
        let Some(mirror) = &mut self.mirror else {
            return Ok(());
        };
        // a vault that came from the copy is no news for it
        if self.state.current().stale_since.is_some() {
            return Ok(());
        }
        let source = self.source.store()?;
        mirror.bring_up_to(&*source, verified)
    }
}

fn save(verified: &Trust, file: &std::path::Path) -> Result<(), String> {
    verified.save(file).map_err(|error| error.to_string())
}
