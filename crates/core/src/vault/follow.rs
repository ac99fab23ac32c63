//! Following a store: owns the thread that waits for other processes' commits. It holds the vault
//! only weakly, so that a dropped vault ends it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::Vault;
use crate::store::{StoreError, StoreWatch, Wake, Waker};

/// Longest wait between two looks at whether the vault still exists; wakes come at once.
const WAIT: Duration = Duration::from_secs(30);
/// Pause before a refused store is looked at again.
const AGAIN: Duration = Duration::from_secs(5);
/// Pause before a lost store is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// A running thread; dropped, it is asked to end.
pub(super) struct Follower(Box<dyn Waker>);

impl Drop for Follower {
    fn drop(&mut self) {
        self.0.wake();
    }
}

/// Starts the thread. The watch begins before the first look at the store: nothing is missed.
pub(super) fn start(vault: &Arc<Vault>) -> Result<Follower, StoreError> {
    let watch = vault.store.watch()?;
    let follower = Follower(watch.waker());
    let weak = Arc::downgrade(vault);
    std::thread::Builder::new()
        .name("strongroom-follow".into())
        // documents, schemas and the types of LiveConfig nest; what is not touched costs nothing
        .stack_size(4 << 20)
        .spawn(move || run(&weak, watch))
        .map_err(|error| StoreError::Unreachable {
            location: vault.location(),
            reason: format!("no thread to follow it: {error}"),
        })?;
    Ok(follower)
}

fn run(vault: &Weak<Vault>, mut watch: Box<dyn StoreWatch>) {
    let mut look = true;
    loop {
        {
            let Some(vault) = vault.upgrade() else { return };
            if look {
                // What goes wrong is in the vault's freshness and events.
                let _ = vault.refresh();
            }
        }
        let freshness = vault.upgrade().map(|vault| vault.freshness()).unwrap_or_default();
        let (lost, refused) = (freshness.stale_since.is_some(), freshness.refused.is_some());
        let wait = match (lost, refused) {
            (true, _) => RETRY,
            (_, true) => AGAIN,
            _ => WAIT,
        };
        look = match watch.wait(wait) {
            Ok(Wake::Changed) => true,
            // What was repaired in place changes no head.
            Ok(Wake::Idle) => lost || refused,
            Err(error) => {
                if let Some(vault) = vault.upgrade() {
                    vault.lost(&error);
                }
                std::thread::sleep(RETRY);
                true
            }
        };
    }
}
