//! One run of a program: owns its group, its time, its input and that nothing of it is left behind. It
//! must not know what it is asked.

use std::ffi::OsString;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use crate::rotator::lock::Lock;
use crate::secret::Secret;

/// How it ended.
pub(super) enum Ended {
    Code(i32),
    Signal(i32),
    TimedOut,
}

/// What a program is run with.
pub(super) struct Start<'a, A> {
    pub(super) program: &'a str,
    pub(super) arguments: A,
    pub(super) variables: &'a [(OsString, OsString)],
    pub(super) input: &'a Secret,
    pub(super) limit: Duration,
    pub(super) lock: &'a Lock,
}

impl<'a, A: Iterator<Item = &'a str>> Start<'a, A> {
    /// Runs it to its end, or ends it. `says` is given what it writes to stderr.
    pub(super) fn run(self, says: &mut dyn FnMut(&[u8])) -> io::Result<Ended> {
        let until = Instant::now()
            .checked_add(self.limit)
            .unwrap_or_else(Instant::now);
        let mut child = Command::new(self.program)
            .args(self.arguments)
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let _ = self.lock.note(child.id());
        let in_time = self.input.expose(|input| attend(&mut child, input, until, says));
        // The leader is not reaped yet, so that its group's number is nobody else's.
        let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
        let status = child.wait()?;
        let _ = self.lock.note(std::process::id());
        Ok(match (in_time?, status.code(), status.signal()) {
            (false, ..) => Ended::TimedOut,
            (true, Some(code), _) => Ended::Code(code),
            (true, None, signal) => Ended::Signal(signal.unwrap_or_default()),
        })
    }
}

/// Feeds it and listens until it has ended; false when its time is over.
fn attend(
    child: &mut Child,
    mut input: &[u8],
    until: Instant,
    says: &mut dyn FnMut(&[u8]),
) -> io::Result<bool> {
    let process = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    let mut stdin = child.stdin.take();
    let mut stderr = child.stderr.take();
    if let Some(stdin) = &stdin {
        rustix::io::ioctl_fionbio(stdin, true)?;
    }
    if let Some(stderr) = &stderr {
        rustix::io::ioctl_fionbio(stderr, true)?;
    }
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        let ended = {
            let mut waited = vec![PollFd::new(&process, PollFlags::IN)];
            waited.extend(stdin.iter().map(|fd| PollFd::new(fd, PollFlags::OUT)));
            waited.extend(stderr.iter().map(|fd| PollFd::new(fd, PollFlags::IN)));
            let left = Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            };
            match poll(&mut waited, Some(&left)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            waited.first().is_some_and(|fd| !fd.revents().is_empty())
        };
        if let Some(to) = &mut stdin {
            match to.write(input) {
                Ok(count) => input = input.get(count..).unwrap_or_default(),
                Err(error) if is_later(&error) => {}
                // It does not want to know.
                Err(_) => input = &[],
            }
        }
        if input.is_empty() {
            stdin = None;
        }
        if let Some(from) = &mut stderr
            && is_over(from, says)
        {
            stderr = None;
        }
        if ended {
            return Ok(true);
        }
    }
}

/// Reads what is there; true when no more comes.
fn is_over(from: &mut ChildStderr, says: &mut dyn FnMut(&[u8])) -> bool {
    let mut buffer = [0; 4_096];
    // Bounded, so that a program that writes without end does not keep us from its time.
    for _ in 0..16 {
        match from.read(&mut buffer) {
            Ok(0) => return true,
            Ok(count) => says(buffer.get(..count).unwrap_or_default()),
            Err(error) => return !is_later(&error),
        }
    }
    false
}

fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
