//! Waiting for a record that another thread writes: owns one caller's place, in a future or in a
//! blocked thread, and that it waits no longer than it may. It must not know the log.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::trouble::Troubles;
use super::{AuditError, Written};
use crate::timer::{self, Sleep};

/// The place of one caller.
#[derive(Debug, Default)]
pub(super) struct Ticket {
    state: Mutex<State>,
    done: Condvar,
}

#[derive(Debug, Default)]
enum State {
    /// Nobody writes it yet.
    #[default]
    Queued,
    /// As before, and a future waits.
    Polled(Waker),
    Done(Result<u64, AuditError>),
    /// Nobody waits any more.
    Abandoned,
}

impl Ticket {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True when somebody still waits: otherwise its record need not be written.
    pub(super) fn is_wanted(&self) -> bool {
        !matches!(*self.state(), State::Abandoned)
    }

    /// Tells the caller.
    pub(super) fn complete(&self, result: Result<u64, AuditError>) {
        let mut state = self.state();
        if matches!(*state, State::Abandoned) {
            return;
        }
        let before = std::mem::replace(&mut *state, State::Done(result));
        drop(state);
        self.done.notify_all();
        if let State::Polled(waker) = before {
            waker.wake();
        }
    }
}

/// A record that is being written by another thread.
pub struct Pending {
    ticket: Arc<Ticket>,
    troubles: Arc<Troubles>,
    until: Instant,
    sleep: Option<Sleep>,
    /// Nobody waits, and the record is written all the same.
    is_detached: bool,
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pending")
    }
}

impl Pending {
    pub(super) fn new(ticket: Arc<Ticket>, troubles: Arc<Troubles>, timeout: Duration) -> Self {
        Self {
            ticket,
            troubles,
            until: Instant::now() + timeout,
            sleep: None,
            is_detached: false,
        }
    }

    /// The result, if it is there.
    pub(super) fn result(&self) -> Option<Result<Written, AuditError>> {
        match *self.ticket.state() {
            State::Done(result) => Some(result.map(|seq| Written { seq })),
            _ => None,
        }
    }

    /// Waits in this thread.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn wait(self) -> Result<Written, AuditError> {
        let ticket = Arc::clone(&self.ticket);
        let mut state = ticket.state();
        loop {
            if let State::Done(result) = *state {
                return result.map(|seq| Written { seq });
            }
            let left = self.until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                drop(state);
                return self.late();
            }
            let waited = ticket.done.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Lets the record be written without anybody waiting for it. Dropped, it is withdrawn instead:
    /// nothing came of what it would record.
    pub fn detach(mut self) {
        self.is_detached = true;
    }

    fn late(&self) -> Result<Written, AuditError> {
        // it may have come at the last moment
        let mut state = self.ticket.state();
        if let State::Done(result) = *state {
            return result.map(|seq| Written { seq });
        }
        *state = State::Abandoned;
        drop(state);
        self.troubles.late();
        Err(AuditError::Late)
    }
}

impl Future for Pending {
    type Output = Result<Written, AuditError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        {
            let mut state = self.ticket.state();
            if let State::Done(result) = *state {
                return Poll::Ready(result.map(|seq| Written { seq }));
            }
            *state = State::Polled(context.waker().clone());
        }
        if self.sleep.is_none() {
            self.sleep = timer::sleep_until(self.until);
        }
        match self.sleep.as_mut().map(|sleep| sleep.as_mut().poll(context)) {
            Some(Poll::Pending) => Poll::Pending,
            // also when nobody counts the time
            Some(Poll::Ready(())) | None => Poll::Ready(self.late()),
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let mut state = self.ticket.state();
        if !self.is_detached && !matches!(*state, State::Done(_)) {
            *state = State::Abandoned;
        }
    }
}
