//! Signals: owns their names and the thread that hears them. It must not know what they are for.

use std::fmt;
use std::io;
use std::str::FromStr;

use rustix::process::Signal as Raw;
use signal_hook::iterator::{Handle, Signals};

use super::channel::Sender;

const NAMES: [(&str, Raw); 13] = [
    ("ALRM", Raw::ALARM),
    ("CONT", Raw::CONT),
    ("HUP", Raw::HUP),
    ("INT", Raw::INT),
    ("KILL", Raw::KILL),
    ("PIPE", Raw::PIPE),
    ("QUIT", Raw::QUIT),
    ("STOP", Raw::STOP),
    ("TERM", Raw::TERM),
    ("TSTP", Raw::TSTP),
    ("USR1", Raw::USR1),
    ("USR2", Raw::USR2),
    ("WINCH", Raw::WINCH),
];

/// A signal to send, written `HUP`, `SIGHUP` or `1`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signal(Raw);

/// The word is not a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a signal is one of ALRM, CONT, HUP, INT, KILL, PIPE, QUIT, STOP, TERM, TSTP, USR1, USR2, WINCH")]
pub struct SignalError;

impl Signal {
    /// Reload, by convention.
    pub const HUP: Self = Self(Raw::HUP);
    /// Interrupt, as Ctrl-C does.
    pub const INT: Self = Self(Raw::INT);
    /// End at once; cannot be ignored.
    pub const KILL: Self = Self(Raw::KILL);
    /// End in good order.
    pub const TERM: Self = Self(Raw::TERM);
    /// For the program to define.
    pub const USR1: Self = Self(Raw::USR1);

    pub(super) fn raw(self) -> Raw {
        self.0
    }

    /// Its number, 1 to 64.
    #[must_use]
    pub fn number(self) -> i32 {
        self.0.as_raw()
    }
}

impl From<Raw> for Signal {
    fn from(raw: Raw) -> Self {
        Self(raw)
    }
}

impl FromStr for Signal {
    type Err = SignalError;
    fn from_str(text: &str) -> Result<Self, SignalError> {
        let word = text.strip_prefix("SIG").unwrap_or(text);
        let number = text.parse::<i32>().ok();
        NAMES
            .into_iter()
            .find(|(name, raw)| *name == word || number == Some(raw.as_raw()))
            .map(|(_, raw)| Self(raw))
            .ok_or(SignalError)
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(_, raw)| *raw == self.0) {
            Some((name, _)) => write!(f, "SIG{name}"),
            None => write!(f, "signal {}", self.number()),
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A thread that turns this process's signals into events, until it is dropped.
pub(super) struct Listener(Handle);

impl Listener {
    /// Listens for `wanted`, but not for those that this process was started to ignore (`nohup`).
    pub(super) fn start(wanted: &[Raw], events: Sender) -> io::Result<Self> {
        let ignored = ignored();
        let numbers = wanted
            .iter()
            .map(|signal| signal.as_raw())
            .filter(|number| *number == Raw::CHILD.as_raw() || (ignored >> (number - 1)) & 1 == 0);
        let mut signals = Signals::new(numbers)?;
        let handle = signals.handle();
        std::thread::Builder::new()
            .name("signals".into())
            .spawn(move || {
                for number in signals.forever() {
                    let signal = Raw::from_named_raw(number);
                    if signal.is_some_and(|signal| !events.signal(Signal(signal))) {
                        break;
                    }
                }
            })?;
        Ok(Self(handle))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// The signals that are ignored now, as a bit set; none where /proc is not mounted.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok())
        .unwrap_or(0)
}
