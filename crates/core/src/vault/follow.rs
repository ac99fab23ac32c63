//! Following a store: owns the thread that waits for other processes' commits. It holds the vault
//! only weakly, so that a dropped vault ends it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::Vault;
use super::error::OpenError;
use crate::store::{StoreError, StoreWatch, Wake, Waker};

/// Longest wait between two looks at whether the vault still exists; wakes come at once.
const WAIT: Duration = Duration::from_secs(30);
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
                match vault.refresh() {
                    // What is wrong with the contents is reported once and waits for a next commit.
                    Ok(_) | Err(OpenError::Integrity(_) | OpenError::NotMember | OpenError::Empty { .. }) => {
                    }
                    Err(OpenError::Store(error)) => vault.lost(&error),
                }
            }
        }
        let lost = vault
            .upgrade()
            .is_some_and(|vault| vault.freshness().stale_since.is_some());
        look = match watch.wait(if lost { RETRY } else { WAIT }) {
            Ok(Wake::Changed) => true,
            Ok(Wake::Idle) => lost,
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
