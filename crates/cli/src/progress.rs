//! A bar for what takes long: owns when it is shown. It must not know what takes long.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A shorter run shows no bar.
const QUIET: Duration = Duration::from_millis(700);

/// A bar on a terminal's stderr; elsewhere nothing.
pub(crate) struct Progress {
    bar: ProgressBar,
    started: Instant,
}

impl Progress {
    /// `doing` is said in front of it.
    pub(crate) fn new(doing: &str) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len}  {eta}") {
            bar.set_style(style);
        }
        bar.set_message(doing.to_owned());
        Self {
            bar,
            started: Instant::now(),
        }
    }

    pub(crate) fn show(&self, done: u64, total: u64) {
        // Hidden unless stderr is a terminal; the draw target looks.
        if self.bar.is_hidden() && self.started.elapsed() > QUIET {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.set_length(total);
        self.bar.set_position(done);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
