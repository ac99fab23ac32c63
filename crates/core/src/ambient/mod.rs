//! Time and randomness, passed in: owns the two traits and their system implementation.
//! The rest of core must not read a clock or a random source by any other way, so that tests
//! and replays decide both.

mod time;

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

pub use time::Timestamp;

/// A source of wall-clock time.
pub trait Clock: Send + Sync {
    /// The current time.
    fn now(&self) -> Timestamp;
}

/// A source of cryptographically strong randomness.
pub trait Entropy: Send + Sync {
    /// Fills `out` or fails; a partly filled buffer is never used.
    ///
    /// # Errors
    /// [`EntropyError`] when the source cannot deliver.
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError>;
}

/// The random source failed.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the random source failed: nothing was sealed; check that the system's random source works")]
pub struct EntropyError;

/// The clock and the random source of one vault.
#[derive(Clone)]
pub struct Ambient {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl fmt::Debug for Ambient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ambient")
    }
}

impl Ambient {
    /// The system's clock and random source.
    #[must_use]
    pub fn system() -> Self {
        Self {
            clock: Arc::new(System),
            entropy: Arc::new(System),
        }
    }

    /// A clock and a random source of the caller's.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { clock, entropy }
    }

    /// The current time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The random source.
    #[must_use]
    pub fn entropy(&self) -> &dyn Entropy {
        &*self.entropy
    }

    /// `N` random bytes.
    ///
    /// # Errors
    /// [`EntropyError`] when the source cannot deliver.
    pub fn random<const N: usize>(&self) -> Result<[u8; N], EntropyError> {
        let mut out = [0; N];
        self.entropy.fill(&mut out)?;
        Ok(out)
    }
}

struct System;

impl Clock for System {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

impl Entropy for System {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), out).map_err(|_| EntropyError)
    }
}
