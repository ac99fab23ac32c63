//! What a supervisor is told, and by whom: owns what waits for it. However much arrives, only the
//! newest of each kind waits. It must not know what the supervisor does about it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::Signal;
use crate::inject::Material;

/// What arrived since the supervisor looked last.
#[derive(Debug, Default)]
pub(super) struct News {
    /// The newest revision; those it replaced are wiped.
    pub(super) newest: Option<Material>,
    /// The values delivered last are of this revision, too.
    pub(super) revised: Option<u64>,
    /// In the order they came; one that waits already is not kept twice, as in the kernel.
    pub(super) signals: Vec<Signal>,
    pub(super) stop: bool,
    pub(super) kill: bool,
}

#[derive(Debug, Default)]
struct Inbox {
    state: Mutex<State>,
    bell: Condvar,
}

#[derive(Debug, Default)]
struct State {
    news: News,
    /// There is something to look at, if only that a child ended.
    rung: bool,
    /// Nobody listens any more.
    closed: bool,
}

impl Inbox {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where everything for one supervisor goes.
#[derive(Clone, Debug)]
pub(super) struct Sender(Arc<Inbox>);

impl Sender {
    /// False when supervision has ended.
    fn send(&self, add: impl FnOnce(&mut News)) -> bool {
        let mut state = self.0.state();
        if state.closed {
            return false;
        }
        add(&mut state.news);
        state.rung = true;
        drop(state);
        self.0.bell.notify_one();
        true
    }

    pub(super) fn signal(&self, signal: Signal) -> bool {
        self.send(|news| {
            if !news.signals.contains(&signal) {
                news.signals.push(signal);
            }
        })
    }

    /// Says that some child ended.
    pub(super) fn ended(&self) {
        self.send(|_| {});
    }
}

/// Delivers revisions to a supervisor from any thread.
#[derive(Clone, Debug)]
pub struct Handle(Sender);

impl Handle {
    /// Hands over a revision; a newer one replaces it if the supervisor is still busy. False when
    /// supervision has ended.
    #[must_use]
    pub fn deliver(&self, material: Material) -> bool {
        self.0.send(|news| {
            news.newest = Some(material);
            news.revised = None;
        })
    }

    /// Tells that the values delivered last are those of a later revision too. False when
    /// supervision has ended.
    #[must_use]
    pub fn revised(&self, revision: u64) -> bool {
        self.0.send(|news| news.revised = Some(revision))
    }

    /// Ends the process in good order and then the supervision.
    pub fn stop(&self) {
        // it has ended already when nobody listens
        self.0.send(|news| news.stop = true);
    }

    /// Ends the process and its group at once, and then the supervision.
    pub fn kill(&self) {
        self.0.send(|news| news.kill = true);
    }
}

/// The supervisor's end of [`channel`].
#[derive(Debug)]
pub struct Updates {
    pub(super) sender: Sender,
}

impl Updates {
    /// What arrived; waits for something, at most until then.
    pub(super) fn wait(&self, until: Option<Instant>) -> News {
        let inbox = &self.sender.0;
        let mut state = inbox.state();
        while !state.rung {
            let waited = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                None => inbox.bell.wait(state),
                Some(left) if left.is_zero() => break,
                Some(left) => match inbox.bell.wait_timeout(state, left) {
                    Ok((state, _)) => Ok(state),
                    Err(poisoned) => Ok(poisoned.into_inner().0),
                },
            };
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
        state.rung = false;
        std::mem::take(&mut state.news)
    }
}

impl Drop for Updates {
    fn drop(&mut self) {
        let mut state = self.sender.0.state();
        state.closed = true;
        state.news = News::default();
    }
}

/// Makes the two ends that join a source of revisions and a supervisor.
#[must_use]
pub fn channel() -> (Handle, Updates) {
    let sender = Sender(Arc::default());
    (Handle(sender.clone()), Updates { sender })
}
