//! A supervisor on a thread of its own, and what it reported.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::panic)]

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use strongroom_core::inject::Material;
use strongroom_core::inject::process::{self, Exit, Group, Handle, ProcessError, ProcessSettings, Report};

/// A report that can be kept.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    Started(i32, u64),
    Exited(Exit),
    Waiting(Duration),
    Killed,
    Delivered(u64, bool),
    Signalled,
    Refused(u64, String),
    CommandDone(u64),
    CommandFailed(Option<Exit>),
    CommandKilled,
    Other(String),
}

impl From<&Report<'_>> for Seen {
    fn from(report: &Report<'_>) -> Self {
        match report {
            Report::Started { pid, revision } => Self::Started(*pid, *revision),
            Report::Exited { exit } => Self::Exited(*exit),
            Report::Waiting { pause } => Self::Waiting(*pause),
            Report::Killed { .. } => Self::Killed,
            Report::Delivered { revision, changed } => Self::Delivered(*revision, *changed),
            Report::Signalled { .. } => Self::Signalled,
            Report::Refused { revision, reason } => Self::Refused(*revision, reason.to_string()),
            Report::CommandDone { revision } => Self::CommandDone(*revision),
            Report::CommandFailed { exit } => Self::CommandFailed(*exit),
            Report::CommandKilled { .. } => Self::CommandKilled,
            other => Self::Other(other.to_string()),
        }
    }
}

pub struct Supervised {
    pub handle: Handle,
    reports: Receiver<Seen>,
    thread: JoinHandle<Result<Exit, ProcessError>>,
}

/// A shell script in its own group, with this test's signals left alone.
pub fn script(text: &str) -> ProcessSettings {
    ProcessSettings {
        group: Group::Own,
        pass_signals: false,
        grace: Duration::from_secs(20),
        ..ProcessSettings::new(["sh", "-c", text])
    }
}

impl Supervised {
    pub fn start(settings: ProcessSettings, first: Material) -> Self {
        let (handle, updates) = process::channel();
        let (sender, reports) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            process::supervise(settings, first, updates, &mut |report| {
                let _ = sender.send(Seen::from(&report));
            })
        });
        Self {
            handle,
            reports,
            thread,
        }
    }

    pub fn deliver(&self, material: Material) {
        assert!(self.handle.deliver(material), "the supervisor has ended");
    }

    /// The next report, remarks about the files left out.
    pub fn next(&self) -> Seen {
        loop {
            match self.any() {
                Seen::Other(_) => {}
                seen => return seen,
            }
        }
    }

    fn any(&self) -> Seen {
        match self.reports.recv_timeout(Duration::from_secs(30)) {
            Ok(seen) => seen,
            Err(RecvTimeoutError::Timeout) => panic!("no report came"),
            Err(RecvTimeoutError::Disconnected) => panic!("supervision ended"),
        }
    }

    /// The next start: process id and revision.
    pub fn started(&self) -> (i32, u64) {
        match self.next() {
            Seen::Started(pid, revision) => (pid, revision),
            other => panic!("not started but {other:?}"),
        }
    }

    /// Waits for the end: its result and what was reported until then.
    pub fn end(self) -> (Result<Exit, ProcessError>, Vec<Seen>) {
        let result = self.thread.join().unwrap();
        (result, self.reports.iter().collect())
    }

    /// Asks for the end and waits for it.
    pub fn stop(self) -> (Exit, Vec<Seen>) {
        self.handle.stop();
        let (result, seen) = self.end();
        (result.unwrap(), seen)
    }
}

/// Waits until a file holds `text`.
pub fn reads(file: &Path, text: &str) {
    super::until(&format!("{text:?} in {}", file.display()), || {
        (std::fs::read_to_string(file).ok()? == text).then_some(())
    });
}

/// True while a process is there and not a zombie.
pub fn lives(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(')').next().unwrap_or_default().trim().chars().next();
    !matches!(state, None | Some('Z' | 'X'))
}
