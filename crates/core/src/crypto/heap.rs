//! Whether memory that is freed is wiped: owns the program's own word on its allocator, which a
//! library cannot see. It must not know what lies there.

use std::sync::atomic::{AtomicBool, Ordering};

static IS_WIPED: AtomicBool = AtomicBool::new(false);

/// Says that this program's global allocator wipes what is freed, as those of Strongroom's own
/// programs do. Key schedules of ring, which cannot be wiped otherwise, are then kept for as long
/// as their keys are; else they are made for each use, on a stack that is wiped after it.
pub fn is_wiped_when_freed() {
    IS_WIPED.store(true, Ordering::Relaxed);
}

pub(super) fn is_wiped() -> bool {
    IS_WIPED.load(Ordering::Relaxed)
}
