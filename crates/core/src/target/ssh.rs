//! Logins by SSH: owns running the system's `ssh` for one. The key is handed over in memory, nothing runs at
//! the other side, and nothing that `ssh` says is passed on.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::fs::{MemfdFlags, Mode, fchmod, memfd_create};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::rotation::plan::LoginPlan;
use crate::rotator::Trouble;
use crate::secret::Secret;

const PROGRAM: &str = "/usr/bin/ssh";
/// Ends `ssh` also where this program was killed.
const TIMER: &str = "/usr/bin/timeout";

/// Whether there is an `ssh`.
pub(super) fn check() -> Result<(), Trouble> {
    let is_absent = |program: &&&str| !Path::new(program).exists();
    match [PROGRAM, TIMER].iter().find(is_absent) {
        None => Ok(()),
        Some(program) => Err(Trouble::Failed(format!(
            "{program} is not there: a login needs it"
        ))),
    }
}

/// What `ssh` says of itself that tells how it went.
enum Said {
    In,
    Refused(&'static str),
}

/// Logs in with a key, and out again.
pub(super) fn login(plan: &LoginPlan, key: &Secret, limit: Duration) -> Result<(), Trouble> {
    let began = Instant::now();
    let place = format!("{}@{}:{}", plan.user, plan.host, plan.port);
    let failed = |problem: String| Trouble::Failed(format!("a login at {place}: {problem}"));
    let later = |problem: &str| Trouble::Later(format!("a login at {place}: {problem}"));
    let key = handed(key).map_err(|error| failed(format!("the key cannot be handed to ssh: {error}")))?;
    let mut child = command(plan, limit)
        .stdin(key)
        .spawn()
        .map_err(|error| failed(format!("{PROGRAM} cannot be run: {error}")))?;
    let said = listen(&mut child, limit.saturating_sub(began.elapsed()));
    // The leader is not reaped yet, so that its group's number is nobody else's.
    let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
    let _ = child.wait();
    match said {
        Ok(Said::In) => Ok(()),
        Ok(Said::Refused(why)) => Err(failed(why.into())),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            Err(later("ssh ended before it was in: is the server there?"))
        }
        Err(mpsc::RecvTimeoutError::Timeout) => {
            Err(failed(format!("it was not done after {} s", limit.as_secs())))
        }
    }
}

/// A file that has no name and is nobody else's.
fn handed(key: &Secret) -> std::io::Result<File> {
    let memory = memfd_create("key", MemfdFlags::CLOEXEC)?;
    fchmod(&memory, Mode::RUSR | Mode::WUSR)?;
    let mut file = File::from(memory);
    key.expose(|bytes| file.write_all(bytes))?;
    Ok(file)
}

fn command(plan: &LoginPlan, limit: Duration) -> Command {
    let known = plan.known_hosts.as_deref().unwrap_or("/etc/ssh/ssh_known_hosts");
    let mut command = Command::new(TIMER);
    command
        .args(["--foreground", "--signal=KILL", &limit.as_secs().max(1).to_string(), PROGRAM])
        // No session: no command runs there, and what is on stdin is not sent.
        .args(["-F", "none", "-N", "-T", "-v", "-i", "/proc/self/fd/0"])
        .args(["-l", &plan.user, "-p", &plan.port.to_string()]);
    for option in [
        "BatchMode=yes",
        "ClearAllForwardings=yes",
        "ConnectTimeout=10",
        "ControlPath=none",
        "IdentitiesOnly=yes",
        "IdentityAgent=none",
        "PreferredAuthentications=publickey",
        "StrictHostKeyChecking=yes",
        "UpdateHostKeys=no",
        "UserKnownHostsFile=none",
    ] {
        command.args(["-o", option]);
    }
    command
        .arg("-o")
        .arg(format!("GlobalKnownHostsFile={known}"))
        .args(["--", &plan.host])
        .env_clear()
        .current_dir("/")
        .process_group(0)
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

fn listen(child: &mut Child, limit: Duration) -> Result<Said, mpsc::RecvTimeoutError> {
    let (tell, told) = mpsc::channel();
    if let Some(stderr) = child.stderr.take() {
        // It ends with ssh, which is ended in any case.
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line);
                let said = if line.starts_with("Authenticated to ") {
                    Said::In
                } else if line.contains("Permission denied (") || line.contains("Too many authentication") {
                    Said::Refused("the key is refused")
                } else if line.starts_with("Host key verification failed") {
                    Said::Refused("the server is not known by its key: see `known_hosts`")
                } else {
                    continue;
                };
                let _ = tell.send(said);
            }
        });
    }
    told.recv_timeout(limit)
}
