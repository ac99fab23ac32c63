//! The reporting thread: owns when is written, and trying again. A store that does not take it is
//! tried again; nobody who reads waits for that. It must not know what is found.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::budget::Budget;
use super::reports::Reports;
use crate::state::State;

/// What belongs together is written together: so long from the first news to the write, and twice as long
/// for each write that was made lately, so that those who come one by one do not use up all writes.
const GATHER: Duration = Duration::from_millis(1);
/// How often is looked without news: at who ended, and whether the reports still lie there.
const LOOK: Duration = Duration::from_secs(2);
/// How often this sidecar says that it lives; readers miss it after three times as long.
pub(super) const BEAT: Duration = Duration::from_secs(30);
/// When something failed it is tried again after this.
const AGAIN: Duration = Duration::from_secs(10);
/// In the long run there is one write in so much time, and a few may come at once after a pause.
const WRITE: Duration = Duration::from_secs(1);
const WRITES_SAVED: u32 = 7;
/// In the long run looking and writing take one part in so many of the time, and a few looks may come at
/// once after a pause: so much of that time is saved.
const SHARE: u32 = 20;
const LOOKS_SAVED: Duration = Duration::from_millis(100);

/// What writes.
#[derive(Debug)]
pub struct Writer {
    state: Arc<State>,
    reports: Reports,
}

impl Writer {
    /// Reports for the sidecar that listens at `socket`, into the store at `location`.
    #[must_use]
    pub fn new(state: Arc<State>, location: String, socket: String) -> Self {
        Self {
            reports: Reports::new(&state, location, socket),
            state,
        }
    }

    /// Writes for as long as the process lives, in a thread of its own.
    ///
    /// # Errors
    /// The system's, when there is no thread.
    pub fn start(mut self) -> std::io::Result<()> {
        let state = Arc::clone(&self.state);
        std::thread::Builder::new()
            .name("uptake".into())
            .stack_size(512 * 1024)
            .spawn(move || self.run())?;
        state.uptake().has_writer.store(true, Ordering::Release);
        Ok(())
    }

    fn run(&mut self) {
        let state = Arc::clone(&self.state);
        let table = state.uptake();
        let now = Instant::now();
        let mut writes = Budget::new(now, WRITE * WRITES_SAVED);
        let mut looks = Budget::new(now, LOOKS_SAVED * SHARE);
        let mut wait = Duration::ZERO;
        loop {
            let stop = table.bell.wait(Some(wait)).or_else(|| {
                let now = Instant::now();
                let pause = looks.pause(now).max(writes.pause(now));
                table.bell.rest(pause.max(gather(&writes, now)))
            });
            if let Some(done) = stop {
                let _ = self.reports.write(&state, true);
                let _ = done.send(());
                return;
            }
            let begin = Instant::now();
            let written = self.reports.write(&state, false);
            let now = Instant::now();
            looks.spend(now, begin.elapsed().saturating_mul(SHARE).min(BEAT));
            if matches!(written, Ok(true)) {
                writes.spend(now, WRITE);
            }
            wait = if written.is_ok() { LOOK } else { AGAIN };
            let problem = written.err();
            if table.set_problem(problem.clone()) {
                match problem {
                    Some(problem) => tracing::warn!(
                        %problem,
                        "it is not reported who uses which version; it is tried again"
                    ),
                    None => tracing::info!("it is reported again who uses which version"),
                }
            }
        }
    }
}

/// How long news are gathered.
fn gather(writes: &Budget, now: Instant) -> Duration {
    let made = writes.used(now).as_secs().min(WRITES_SAVED.into());
    GATHER * 2_u32.pow(u32::try_from(made).unwrap_or(WRITES_SAVED))
}
