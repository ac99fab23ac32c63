//! nginx as a process: owns finding its master, telling it to read its files, and the program that tells
//! whether it would. It must not know what changed.

use std::io;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::rotator::Trouble;

/// The master, by the file it keeps. Another process that has its number is not taken for it.
pub(super) fn master(file: &str) -> Result<Pid, Trouble> {
    let down = || Trouble::Later(format!("nginx does not run, by {file}"));
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(down()),
        Err(error) => return Err(Trouble::Failed(format!("{file}: {error}"))),
    };
    let number = text.trim().parse().ok().filter(|number| *number > 1);
    let pid = number
        .and_then(Pid::from_raw)
        .ok_or_else(|| Trouble::Failed(format!("{file} has no number of a process")))?;
    let name = std::fs::read_to_string(format!("/proc/{}/comm", pid.as_raw_nonzero()));
    match name {
        Ok(name) if name.trim_end() == "nginx" => Ok(pid),
        Ok(_) => Err(Trouble::Failed(format!(
            "{file} has the number of a process that is not nginx"
        ))),
        Err(_) => Err(down()),
    }
}

/// Has it read its files again.
pub(super) fn reload(file: &str) -> Result<(), Trouble> {
    kill_process(master(file)?, Signal::HUP)
        .map_err(|error| Trouble::Failed(format!("nginx cannot be told to reload: {error}")))
}

/// Runs the program that tells whether nginx would take its configuration.
pub(super) fn test(words: &[String], limit: Duration) -> Result<(), Trouble> {
    let Some((program, arguments)) = words.split_first() else {
        return Ok(());
    };
    let failed = |problem: String| Trouble::Failed(format!("{}: {problem}", words.join(" ")));
    let began = Instant::now();
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| failed(format!("it could not be run: {error}")))?;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => {
                return Err(failed(format!(
                    "nginx would not take its configuration ({status})"
                )));
            }
            Ok(None) if began.elapsed() < limit => std::thread::sleep(Duration::from_millis(10)),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(failed("it was not done in time and was ended".into()));
            }
            Err(error) => return Err(failed(error.to_string())),
        }
    }
}
