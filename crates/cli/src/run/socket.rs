//! A sidecar as the source of revisions: owns waiting for it, following it and reading again what
//! changed. It must not know what is run.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use strongroom_core::api::client::Client;
use strongroom_core::api::error::ClientError;
use strongroom_core::api::watch::{Watch, WatchEvent};
use strongroom_core::api::wire::RevisionEvent;
use strongroom_core::inject::Wanted;
use strongroom_core::name::EntryPath;

use super::{Source, SourceError, Update};

/// How often a socket is looked for that is not there yet.
const LOOK: Duration = Duration::from_millis(50);

/// Follows the sidecar behind a socket.
#[derive(Debug)]
pub struct Sidecar {
    runtime: tokio::runtime::Runtime,
    follower: Follower,
}

#[derive(Debug)]
struct Follower {
    client: Client,
    watch: Watch,
    wanted: Wanted,
    wait: Duration,
    /// The revision that was told last.
    told: Option<u64>,
    /// True while a revision is known whose values were not read yet.
    behind: bool,
    /// True from an error on until it is over.
    lost: bool,
}

impl Sidecar {
    /// A source that reads what is `wanted` and, at first, waits so long for the sidecar to be
    /// there.
    ///
    /// # Errors
    /// [`SourceError`] when the system refuses what an event loop needs.
    pub fn new(socket: impl Into<PathBuf>, wanted: Wanted, wait: Duration) -> Result<Self, SourceError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| SourceError {
                message: format!("could not start an event loop: {error}"),
                exit: 1,
            })?;
        let client = Client::new(socket);
        let watch = client.watch(only_prefix(&wanted));
        let follower = Follower {
            client,
            watch,
            wanted,
            wait,
            told: None,
            behind: true,
            lost: false,
        };
        Ok(Self { runtime, follower })
    }
}

impl Source for Sidecar {
    fn next(&mut self) -> Result<Option<Update>, SourceError> {
        let update = self.runtime.block_on(self.follower.next());
        update.map(Some).map_err(|error| SourceError {
            message: error.to_string(),
            exit: error.exit_code(),
        })
    }
}

impl Follower {
    async fn next(&mut self) -> Result<Update, ClientError> {
        while !self.behind {
            match self.watch.next().await {
                WatchEvent::Revision(event) if self.is_news(&event) => self.behind = true,
                WatchEvent::Revision(event) => {
                    let was_lost = std::mem::take(&mut self.lost);
                    if self.told.replace(event.revision) != Some(event.revision) || was_lost {
                        return Ok(Update::Revision(event.revision));
                    }
                }
                // where things stand is told next
                WatchEvent::Lagged { .. } => {}
                WatchEvent::Lost(error) => {
                    self.lost = true;
                    return Err(error);
                }
            }
        }
        let values = self.read().await?;
        (self.behind, self.lost) = (false, false);
        Ok(values)
    }

    async fn read(&mut self) -> Result<Update, ClientError> {
        let wait = if self.told.is_none() {
            self.wait
        } else {
            Duration::ZERO
        };
        let since = Instant::now();
        loop {
            match self.client.material(&self.wanted).await {
                Err(error) if error.is_temporary() && since.elapsed() < wait => {
                    tokio::time::sleep(LOOK).await;
                }
                Err(error) => return Err(error),
                Ok(material) => {
                    self.told = Some(material.revision);
                    return Ok(Update::Values(material));
                }
            }
        }
    }

    /// True unless the event tells that nothing of what is wanted changed since the last one.
    fn is_news(&self, event: &RevisionEvent) -> bool {
        // what the sidecar's machine says of config changes within a revision: having read that tells nothing
        let is_within = event.resync || event.from == Some(event.revision);
        if Some(event.revision) == self.told && !is_within {
            return false;
        }
        let gap = event.resync || event.from.is_none() || event.from > self.told;
        gap || event
            .changes
            .iter()
            .any(|change| match EntryPath::new(&change.path) {
                Ok(path) => self.wanted.contains(&path),
                Err(_) => true,
            })
    }
}

/// A watch takes one prefix; for more than one everything is watched.
fn only_prefix(wanted: &Wanted) -> Option<EntryPath> {
    match wanted.prefixes() {
        Some([prefix]) => Some(prefix.clone()),
        _ => None,
    }
}
