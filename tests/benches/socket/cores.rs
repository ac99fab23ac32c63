//! Which cores this process and what it starts may use.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Runs `f` with this thread, and every process it starts, on the first core there is: across two
/// cores a single connection measures how long a core takes to wake.
pub fn on_one<R>(f: impl FnOnce() -> R) -> R {
    let all = sched_getaffinity(None).unwrap();
    let first = (0..CpuSet::MAX_CPU).find(|core| all.is_set(*core)).unwrap();
    let mut one = CpuSet::new();
    one.set(first);
    sched_setaffinity(None, &one).unwrap();
    let result = f();
    sched_setaffinity(None, &all).unwrap();
    result
}
