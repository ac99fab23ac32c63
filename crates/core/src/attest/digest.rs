//! Digests of programs: owns hashing a file once for as long as it does not change, and what is
//! too large to be hashed. It must not know processes.

use std::fs::File;
use std::io::{self, Read as _};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::Stat;

use super::bounded::Bounded;
use crate::id::{Hash, Hasher};

/// The largest program that is hashed, in bytes: 256 MiB.
const MOST: u64 = 256 * 1024 * 1024;

/// How many programs are remembered.
const REMEMBERED: usize = 256;

/// A file that changed within a tick of the clock has the same change time before and after. So
/// only a digest that was made this long after the file was first met is good for the next time.
const SETTLED: Duration = Duration::from_secs(1);

/// A file as it was at one time. A change of its bytes changes its change time, which only root
/// can choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct State {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, u64),
}

impl State {
    #[allow(clippy::useless_conversion, reason = "the types differ between architectures")]
    fn of(file: &File) -> io::Result<Self> {
        let stat: Stat = rustix::fs::fstat(file)?;
        Ok(Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            size: u64::try_from(stat.st_size).unwrap_or(u64::MAX),
            changed: (stat.st_ctime.into(), stat.st_ctime_nsec.into()),
        })
    }
}

/// A program that was met.
#[derive(Clone, Copy, Debug)]
struct Met {
    first: Instant,
    hash: Option<Hash>,
}

/// The digests of programs that were met.
#[derive(Debug)]
pub struct Digests(Mutex<Bounded<State, Met>>);

impl Default for Digests {
    fn default() -> Self {
        Self(Mutex::new(Bounded::new(REMEMBERED)))
    }
}

impl Digests {
    /// The SHA-256 of `file`, read from its beginning; `None` when it is larger than 256 MiB or
    /// changed while it was read.
    ///
    /// # Errors
    /// The system's.
    pub fn of(&self, file: &mut File) -> io::Result<Option<Hash>> {
        let before = State::of(file)?;
        if before.size > MOST {
            return Ok(None);
        }
        let now = Instant::now();
        let met = self.lock().get(&before);
        if let Some(known) = met.and_then(|met| met.hash) {
            return Ok(Some(known));
        }
        let first = met.map_or(now, |met| met.first);
        let mut hasher = Hasher::default();
        let mut buffer = vec![0; 64 * 1024];
        let mut left = MOST;
        loop {
            let read = match file.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            let bytes = buffer.get(..read).unwrap_or_default();
            if bytes.is_empty() {
                break;
            }
            // it grew under the reading
            let Some(rest) = left.checked_sub(read as u64) else {
                return Ok(None);
            };
            left = rest;
            hasher.update(bytes);
        }
        if State::of(file)? != before {
            return Ok(None);
        }
        let hash = hasher.finish();
        let is_settled = now.saturating_duration_since(first) >= SETTLED;
        let met = Met {
            first,
            hash: is_settled.then_some(hash),
        };
        self.lock().insert(before, met);
        Ok(Some(hash))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Bounded<State, Met>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
