//! A bell between threads: owns waking one thread that does slow work, however often it is rung
//! meanwhile.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// What the thread finds when it wakes.
#[derive(Debug)]
struct State<T> {
    rung: bool,
    message: Option<T>,
}

/// A bell, with at most one message beside it: a newer one replaces it.
#[derive(Debug)]
pub struct Bell<T> {
    state: Mutex<State<T>>,
    bell: Condvar,
}

impl<T> Default for Bell<T> {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                rung: false,
                message: None,
            }),
            bell: Condvar::new(),
        }
    }
}

impl<T> Bell<T> {
    /// Wakes the thread.
    pub fn ring(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // who was woken already need not be woken out of a rest each time
        let is_first = !std::mem::replace(&mut state.rung, true);
        drop(state);
        if is_first {
            self.bell.notify_one();
        }
    }

    /// Wakes the thread with a message.
    pub fn send(&self, message: T) {
        self.send_after(|_| message);
    }

    /// The same with what `message` makes of one that the thread has not taken yet.
    pub fn send_after(&self, message: impl FnOnce(Option<T>) -> T) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.rung = true;
        state.message = Some(message(state.message.take()));
        drop(state);
        self.bell.notify_one();
    }

    /// Waits until the bell rings, at most `most` if given, and takes the message.
    pub fn wait(&self, most: Option<Duration>) -> Option<T> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let silent = |state: &mut State<T>| !state.rung;
        let mut state = match most {
            None => self
                .bell
                .wait_while(state, silent)
                .unwrap_or_else(PoisonError::into_inner),
            Some(most) => {
                let waited = self.bell.wait_timeout_while(state, most, silent);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        state.rung = false;
        state.message.take()
    }

    /// Waits for `time`, rung or not; a message ends that. What rang until the end is answered by what
    /// follows.
    pub fn rest(&self, time: Duration) -> Option<T> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .bell
            .wait_timeout_while(state, time, |state| state.message.is_none());
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        state.rung = false;
        state.message.take()
    }
}
