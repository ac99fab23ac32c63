//! What follows a switch of files: owns signalling the process of a pidfile and running a
//! program for a bounded time.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Pid;
use strongroom_core::inject::process::Signal;

/// A program that takes longer is killed: the next revision must not wait for it.
const LONGEST: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(10);

/// Signals the process whose number is in `pidfile`.
pub(super) fn signal(signal: Signal, pidfile: &Path) -> Result<(), String> {
    let failed = |problem: &str| format!("the files are in place, but {} {problem}", pidfile.display());
    let text =
        std::fs::read_to_string(pidfile).map_err(|error| failed(&format!("cannot be read: {error}")))?;
    // 1 is whoever runs the machine or container: never what a pidfile means
    // more lines than one are PostgreSQL's
    let first = text.lines().next().unwrap_or_default();
    let number = first.trim().parse().ok().filter(|number: &i32| *number > 1);
    let pid = number
        .and_then(Pid::from_raw)
        .ok_or_else(|| failed("holds no process number"))?;
    let raw = rustix::process::Signal::from_named_raw(signal.number());
    let raw = raw.ok_or_else(|| failed("cannot be sent that signal"))?;
    rustix::process::kill_process(pid, raw)
        .map_err(|errno| failed(&format!("names a process that was not signalled: {errno}")))
}

/// Runs a program and waits for it.
pub(super) fn run(command: &[String]) -> Result<(), String> {
    let (program, arguments) = command.split_first().ok_or("there is no program")?;
    let failed = |problem: String| format!("the files are in place, but {program} {problem}");
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .map_err(|error| failed(format!("was not started: {error}")))?;
    let start = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(failed(format!("failed: {status}"))),
            Ok(None) if start.elapsed() < LONGEST => std::thread::sleep(LOOK),
            Ok(None) => {
                // it may end by itself in between
                let _ = child.kill();
                let _ = child.wait();
                return Err(failed(format!(
                    "did not end in {} s and was killed",
                    LONGEST.as_secs()
                )));
            }
            Err(error) => return Err(failed(format!("was lost: {error}"))),
        }
    }
}
