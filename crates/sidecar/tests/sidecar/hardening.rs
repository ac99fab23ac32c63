//! What the process cannot do any more. The fence is put up in a test's own thread, which then
//! tries; and a running sidecar is looked at through `/proc`.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;

use strongroom_sidecar::harden;
use strongroom_sidecar::settings::{Settings, Surroundings};

use crate::process::Sidecar;
use crate::raw;
use crate::scene::Scene;

/// The settings that a sidecar of `scene` would have, with its directories made.
fn settings(scene: &Scene, sandbox: &str) -> (Settings, Surroundings) {
    let around = Surroundings::of_process(&scene.settings(""));
    let text = std::fs::read_to_string(&around.file).unwrap();
    let text = text.replace("sandbox.syscalls = \"kill\"", sandbox);
    for directory in ["web", "web.state"] {
        std::fs::create_dir(scene.file(directory)).unwrap();
    }
    (Settings::parse_in(&text, &around).unwrap(), around)
}

/// Does `work` in a thread of its own, behind the fence.
fn fenced<T: Send>(scene: &Scene, sandbox: &str, work: impl FnOnce(harden::Fence) -> T + Send) -> T {
    let (settings, around) = settings(scene, sandbox);
    std::thread::scope(|threads| {
        threads
            .spawn(|| work(harden::fence(&settings, &around)))
            .join()
            .unwrap()
    })
}

#[test]
fn only_what_the_settings_name_is_reached() {
    let scene = Scene::with_token();
    let own = Scene::new();
    std::fs::write(own.file("elsewhere"), "").unwrap();
    fenced(&scene, "sandbox.syscalls = \"off\"", |fence| {
        assert!(!fence.syscalls);
        if !fence.files {
            return eprintln!("skipped: this kernel has no Landlock");
        }
        let denied = |result: std::io::Result<()>| {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::PermissionDenied);
        };
        // what it needs
        assert!(std::fs::read(scene.file("store.db")).is_ok());
        assert!(std::fs::write(scene.file("web.state/trust"), "x").is_ok());
        assert!(std::fs::remove_file(scene.file("web.state/trust")).is_ok());
        assert!(std::fs::read(scene.file("web.toml")).is_ok());
        assert!(std::fs::read("/etc/passwd").is_ok());
        assert!(std::fs::read("/proc/self/status").is_ok());
        // what it does not
        denied(std::fs::read(own.file("elsewhere")).map(|_| ()));
        denied(std::fs::write(own.file("new"), ""));
        denied(std::fs::remove_file(own.file("elsewhere")));
        denied(std::fs::read("/etc/hosts").map(|_| ()));
        denied(std::fs::write("/proc/self/comm", "x"));
        denied(Command::new("true").status().map(|_| ()));
        denied(TcpListener::bind("127.0.0.1:0").map(|_| ()));
    });
    // the other threads of this process are where they were
    assert!(std::fs::read(own.file("elsewhere")).is_ok());
    assert!(Command::new("true").status().unwrap().success());
}

#[test]
fn system_calls_that_are_not_needed_are_refused() {
    let scene = Scene::with_token();
    let own = rustix::process::getpid();
    let held = rustix::process::pidfd_open(own, rustix::process::PidfdFlags::empty()).unwrap();
    fenced(
        &scene,
        "sandbox.syscalls = \"refuse\"\nsandbox.files = false",
        |fence| {
            assert!(!fence.files && fence.syscalls, "{fence:?}");
            let missing = Some(rustix::io::Errno::NOSYS.raw_os_error());
            let refused = |result: std::io::Result<()>| {
                assert_eq!(result.unwrap_err().raw_os_error(), missing);
            };
            refused(Command::new("true").status().map(|_| ()));
            refused(TcpListener::bind("127.0.0.1:0").map(|_| ()));
            refused(
                rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::Dumpable)
                    .map_err(Into::into),
            );
            let limit = rustix::process::getrlimit(rustix::process::Resource::Core);
            refused(rustix::process::setrlimit(rustix::process::Resource::Core, limit).map_err(Into::into));
            // a process's life is asked about, and not ended
            assert!(rustix::process::test_kill_process(own).is_ok());
            refused(rustix::process::kill_process(own, rustix::process::Signal::CHILD).map_err(Into::into));
            // nor is anybody else's thread sent anything, by whichever call
            raw::tgkill(std::process::id()).unwrap();
            refused(raw::tgkill(std::os::unix::process::parent_id()));
            let signal = rustix::process::Signal::CHILD;
            refused(rustix::process::pidfd_send_signal(&held, signal).map_err(Into::into));
            // threads are started, and no processes
            refused(raw::clone3());
            refused(raw::fork());
            // what it needs
            assert!(std::fs::read("/etc/hosts").is_ok());
            assert!(UnixStream::pair().is_ok());
            assert!(std::thread::spawn(|| vec![0_u8; 1 << 24].len()).join().is_ok());
        },
    );
}

#[test]
#[ignore = "would end its process: another test runs it"]
fn a_thread_that_starts_threads_behind_the_fence() {
    let scene = Scene::with_token();
    fenced(&scene, "sandbox.syscalls = \"kill\"", |fence| {
        assert!(fence.syscalls);
        // what every C library does may not be what ends the process
        let missing = Some(rustix::io::Errno::NOSYS.raw_os_error());
        assert_eq!(raw::clone3().unwrap_err().raw_os_error(), missing);
        std::thread::spawn(|| ()).join().unwrap();
    });
}

#[test]
fn threads_are_started_also_where_a_refused_call_ends_the_process() {
    let started = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact"])
        .arg("hardening::a_thread_that_starts_threads_behind_the_fence")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&started.stdout);
    assert!(started.status.success() && said.contains("1 passed"), "{said}");
}

const DIES: &str = "hardening::a_thread_that_dies_behind_the_fence";

#[test]
#[ignore = "ends its process: another test runs it"]
fn a_thread_that_dies_behind_the_fence() {
    let scene = Scene::with_token();
    fenced(&scene, "sandbox.syscalls = \"kill\"", |_| {
        Command::new("true").status().is_ok()
    });
}

#[test]
fn in_tests_a_call_that_is_not_needed_ends_the_sidecar() {
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", DIES])
        .output()
        .unwrap()
        .status;
    assert_eq!(status.signal(), Some(31), "SIGSYS: {status}");
}

#[test]
fn only_the_threads_that_inject_and_attest_are_outside_the_fence() {
    let scene = Scene::with_token();
    let sidecar = Sidecar::start(&scene, "");
    assert_eq!(sidecar.secret("web/token"), "one");
    let tasks = format!("/proc/{}/task", sidecar.child.id());
    let mut seen = Vec::new();
    for task in std::fs::read_dir(tasks).unwrap() {
        // a thread may end meanwhile
        let Ok(status) = std::fs::read_to_string(task.unwrap().path().join("status")) else {
            continue;
        };
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap().trim().to_owned()
        };
        let held = (field("NoNewPrivs:"), field("Seccomp:"));
        seen.push((field("Name:"), held == ("1".into(), "2".into())));
    }
    let outside: Vec<&str> = seen
        .iter()
        .filter(|(_, held)| !held)
        .map(|(name, _)| name.as_str())
        .collect();
    assert!(outside.contains(&"inject"), "{seen:?}");
    let allowed = |name: &&str| {
        ["inject", "attest", "audit"]
            .iter()
            .any(|one| name.starts_with(one))
    };
    assert!(outside.iter().all(allowed), "{seen:?}");
    assert!(seen.len() > 4, "{seen:?}");
}

#[test]
fn memory_is_locked_where_it_may_be() {
    let scene = Scene::with_token();
    let sidecar = Sidecar::start(&scene, "");
    let status = std::fs::read_to_string(format!("/proc/{}/status", sidecar.child.id())).unwrap();
    let locked = status
        .lines()
        .find_map(|line| line.strip_prefix("VmLck:"))
        .unwrap()
        .trim()
        .to_owned();
    if rustix::process::geteuid().is_root() {
        assert_ne!(locked, "0 kB");
    } else {
        eprintln!("skipped: only root may lock as much as it likes");
    }
}
