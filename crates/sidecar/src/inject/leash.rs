//! The one process that may run, from outside of the injecting thread: owns ending it at once when
//! that thread is busy, and that none is started after that. It must not know what is run.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use strongroom_core::inject::process::Handle;

/// What is held.
#[derive(Debug, Default)]
pub(super) struct Leash {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    process: Option<Handle>,
    is_over: bool,
}

impl Leash {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds what is about to be started; false when nothing may be any more.
    pub(super) fn hold(&self, process: &Handle) -> bool {
        let mut state = self.state();
        if !state.is_over {
            state.process = Some(process.clone());
        }
        !state.is_over
    }

    /// It has ended.
    pub(super) fn release(&self) {
        self.state().process = None;
        self.ended.notify_all();
    }

    /// Kills what is held, and waits until it has ended, at most `patience`.
    pub(super) fn kill(&self, patience: Duration) {
        let mut state = self.state();
        state.is_over = true;
        state.process.iter().for_each(Handle::kill);
        let lives = |state: &mut State| state.process.is_some();
        drop(self.ended.wait_timeout_while(state, patience, lives));
    }
}
