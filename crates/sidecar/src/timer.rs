//! Waiting for a time where a runtime has no timers, as in a worker: owns the thread that has one,
//! which starts when it is first needed. It must not know what is waited for.

use std::pin::Pin;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

/// A future that is over at its time.
pub type Sleep = Pin<Box<tokio::time::Sleep>>;

/// Sleeps until `until`; `None` when the system gives no thread to count the time.
#[must_use]
pub fn sleep_until(until: Instant) -> Option<Sleep> {
    let _entered = handle()?.enter();
    Some(Box::pin(tokio::time::sleep_until(until.into())))
}

/// Sleeps for `time`; `None`, at once, when the system gives no thread to count it.
pub async fn sleep(time: Duration) -> Option<()> {
    sleep_until(Instant::now() + time)?.await;
    Some(())
}

/// What `future` gives, unless it takes longer than `time`, or nobody counts that.
pub async fn timeout<F: Future>(time: Duration, future: F) -> Option<F::Output> {
    let late = sleep_until(Instant::now() + time)?;
    tokio::select! {
        done = future => Some(done),
        () = late => None,
    }
}

fn handle() -> Option<&'static Handle> {
    static TIMER: OnceLock<Option<Handle>> = OnceLock::new();
    TIMER.get_or_init(|| start().ok()).as_ref()
}

fn start() -> std::io::Result<Handle> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    let handle = runtime.handle().clone();
    std::thread::Builder::new()
        .name("timer".to_owned())
        .stack_size(128 * 1024)
        .spawn(move || runtime.block_on(std::future::pending::<()>()))?;
    Ok(handle)
}
