//! Chance in tests: owns a small generator whose seed is printed, so that a failure can be
//! repeated with `STRONGROOM_TEST_SEED`. It must not be used for anything secret.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A splitmix64 generator.
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    /// Seeded by `STRONGROOM_TEST_SEED`, else by the clock. The seed is printed, which the harness
    /// shows when the test fails.
    #[must_use]
    pub fn new() -> Self {
        Self::seeded(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            now.as_secs() ^ u64::from(now.subsec_nanos()) << 20
        })
    }

    /// The same, but alike in every run of CI: there a comparison with foreign programs is to show what a change
    /// broke, and not what nobody came upon yet.
    #[must_use]
    pub fn steady() -> Self {
        match std::env::var_os("CI") {
            Some(_) => Self::seeded(|| 1),
            None => Self::new(),
        }
    }

    fn seeded(otherwise: impl FnOnce() -> u64) -> Self {
        let given = std::env::var("STRONGROOM_TEST_SEED")
            .ok()
            .and_then(|text| text.parse().ok());
        let seed = given.unwrap_or_else(otherwise);
        #[allow(clippy::print_stdout, reason = "the harness shows it when the test fails")]
        {
            println!("STRONGROOM_TEST_SEED={seed}");
        }
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Sleeps for some microseconds below `longest`.
    pub fn pause(&mut self, longest: Duration) {
        let micros = u64::try_from(longest.as_micros()).unwrap_or(u64::MAX).max(1);
        std::thread::sleep(Duration::from_micros(self.below(micros)));
    }
}

impl Default for Dice {
    fn default() -> Self {
        Self::new()
    }
}
