//! What holds values cannot be read by other processes of the same user: no environment, no memory,
//! no core dump. The sidecar and strongroom-run run as a user of their own, who then looks at them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../crates/core/tests/copied/mod.rs"]
mod copied;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use strongroom_tests::scene::Scene;
use strongroom_tests::{component, program, wait};

/// A user who has nothing to do with the tests; 65534 stands for nobody known, and is refused.
const USER: u32 = 65_533;

/// Ended when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.0);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.0.wait();
    }
}

fn as_user(command: &mut Command) -> &mut Command {
    command.uid(USER).gid(USER).stdin(Stdio::null())
}

/// What that user is told who reads `name` of a process.
fn look(pid: u32, name: &str) -> Result<(), String> {
    // one byte is enough, and of memory the first is not mapped: only opening it is of interest
    let mut command = Command::new("dd");
    command.args([&format!("if=/proc/{pid}/{name}"), "of=/dev/null", "count=0"]);
    let output = as_user(&mut command).output().unwrap();
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

fn give_away(path: &Path) {
    std::os::unix::fs::lchown(path, Some(USER), Some(USER)).unwrap();
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            give_away(&entry.unwrap().path());
        }
    }
}

/// A copy that anybody may read: the kernel protects what is not readable by itself.
fn readable(scene: &Scene, name: &str) -> PathBuf {
    let copy = scene.file(name);
    copied::copy(program::path(name), &copy);
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    copy
}

#[test]
fn the_same_user_cannot_look_into_what_holds_values() {
    if !rustix::process::geteuid().is_root() {
        component::lacking("root, to become another user,", "looking into other processes");
        return;
    }
    let scene = Scene::with(&["prod"]);
    scene.put("prod", "web/token", "a value");
    let identity = scene.reader("web", "prod");
    let settings = format!(
        "store = \"{}\"\nidentity = \"{}\"\nenvironment = \"prod\"\n\n[socket]\npath = \"web/sidecar.sock\"\n",
        scene.store(),
        identity.display()
    );
    fs::write(scene.file("web.toml"), settings).unwrap();
    let programs = ["strongroom-sidecar", "strongroom-run"].map(|name| readable(&scene, name));
    give_away(scene.path());

    let mut command = scene.command(&programs[0]);
    command.args(["--settings", "web.toml"]).stdout(Stdio::null());
    let sidecar = Running(as_user(&mut command).spawn().unwrap());
    let mut command = scene.command(&programs[1]);
    command.args(["--socket", "web/sidecar.sock", "--wait", "60", "--"]);
    command.args(["sh", "-c", "echo $$ > pid; exec sleep 614"]);
    let run = Running(as_user(&mut command).spawn().unwrap());
    let started: u32 = wait::until("the command is started", || {
        let text = fs::read_to_string(scene.file("pid")).ok()?;
        text.strip_suffix('\n')?.parse().ok()
    });
    for name in ["environ", "mem"] {
        // what it starts is like any other program
        assert_eq!(look(started, name), Ok(()), "{name} of the command");
        for (program, running) in [("the sidecar", &sidecar), ("strongroom-run", &run)] {
            let told = look(running.0.id(), name).expect_err(program);
            assert!(told.contains("Permission denied"), "{name} of {program}: {told}");
        }
    }
}
