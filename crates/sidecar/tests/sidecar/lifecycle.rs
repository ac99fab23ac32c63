//! From start to end: the socket file, a second sidecar, crashes, reload, drain, and what the
//! service manager is told.

use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use strongroom_core::audit::{Verifier, verify_directory};
use strongroom_core::crypto::identity::Identity;
use strongroom_core::secret::Secret;

use crate::http::{Client, Events};
use crate::process::{PATIENCE, Sidecar, command, ends, until};
use crate::scene::Scene;

#[test]
fn the_socket_is_made_safely_and_goes_with_the_sidecar() {
    let scene = Scene::with_token();
    let sidecar = Sidecar::start(&scene, "mode = \"0640\"");
    let socket = std::fs::symlink_metadata(&sidecar.socket).unwrap();
    assert!(socket.file_type().is_socket());
    assert_eq!(socket.mode() & 0o777, 0o640);
    assert_eq!(
        std::fs::metadata(scene.file("web")).unwrap().mode() & 0o777,
        0o750
    );
    assert_eq!(
        std::fs::metadata(scene.file("web.state")).unwrap().mode() & 0o777,
        0o700
    );
    sidecar.terminate();
    assert!(!scene.file("web/s.sock").exists());
    assert!(
        scene.file("web").exists(),
        "containers mount the directory: it stays"
    );
}

#[test]
fn the_process_gives_no_core_and_no_traces() {
    let scene = Scene::with_token();
    let sidecar = Sidecar::start(&scene, "");
    let proc = |name: &str| std::fs::read_to_string(format!("/proc/{}/{name}", sidecar.child.id())).unwrap();
    let core = proc("limits")
        .lines()
        .find(|line| line.starts_with("Max core"))
        .unwrap()
        .to_owned();
    assert_eq!(
        core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(),
        ["0", "0"]
    );
    assert!(proc("status").contains("Umask:\t0077"));
    sidecar.secret("web/token");
    assert!(!sidecar.log().contains("one\""));
}

#[test]
fn a_second_sidecar_on_the_same_path_refuses() {
    let scene = Scene::with_token();
    let sidecar = Sidecar::start(&scene, "");
    let (code, said) = ends(&scene.settings(""), &[]);
    assert_eq!(code, Some(1));
    assert!(said.contains("another sidecar serves this socket"), "{said}");
    assert_eq!(sidecar.secret("web/token"), "one");
    // the same state under another socket
    let other = scene.settings_named("web2", "");
    let text = std::fs::read_to_string(&other).unwrap();
    std::fs::write(&other, format!("state = \"web.state\"\n{text}")).unwrap();
    let (code, said) = ends(&other, &[]);
    assert_eq!(code, Some(1));
    assert!(said.contains("another sidecar uses it"), "{said}");
    assert!(!scene.file("web2/s.sock").exists());
}

#[test]
fn what_lies_at_the_path_is_left_unless_it_is_a_stale_socket() {
    let scene = Scene::with_token();
    let settings = scene.settings("");
    std::fs::create_dir(scene.file("web")).unwrap();
    std::fs::write(scene.file("web/s.sock"), "precious").unwrap();
    let (code, said) = ends(&settings, &[]);
    assert_eq!(code, Some(1));
    assert!(said.contains("not a socket"), "{said}");
    assert_eq!(
        std::fs::read_to_string(scene.file("web/s.sock")).unwrap(),
        "precious"
    );
    std::fs::remove_file(scene.file("web/s.sock")).unwrap();
    let foreign = UnixListener::bind(scene.file("web/s.sock")).unwrap();
    let (code, said) = ends(&settings, &[]);
    assert_eq!(code, Some(1));
    assert!(said.contains("another program listens here"), "{said}");
    drop(foreign);
    Sidecar::start(&scene, "").terminate();
    std::fs::set_permissions(scene.file("web"), std::fs::Permissions::from_mode(0o777)).unwrap();
    let (code, said) = ends(&settings, &[]);
    assert_eq!(code, Some(1));
    assert!(said.contains("chmod go-w"), "{said}");
}

#[test]
fn fifty_kills_leave_a_path_that_is_usable_at_once() {
    let scene = Scene::with_token();
    for round in 0..50u64 {
        let value = format!("value-{round}");
        let revision = scene.secret("web/token", &value);
        let sidecar = Sidecar::start(&scene, "");
        assert_eq!(sidecar.status()["revision"], revision);
        assert_eq!(sidecar.secret("web/token"), value);
        // at different points of what it does after a commit
        scene.secret("web/token", "between");
        std::thread::sleep(Duration::from_micros(round * 300));
        sidecar.kill();
        assert!(
            scene.file("web/s.sock").exists(),
            "a killed sidecar leaves its socket"
        );
    }
}

#[test]
fn sighup_and_a_changed_file_reload_without_dropping_connections() {
    let scene = Scene::with_token();
    let sidecar = Sidecar::start(&scene, "");
    let mut client = Client::connect(&sidecar.socket).unwrap();
    let mut events = Events::open(&sidecar.socket, "/api/v1/watch", &[]);
    events.next().unwrap();
    assert_eq!(client.request("GET", "/healthz", &[]).unwrap().status, 200);
    scene.settings("[limits]\nbody_bytes = 0\n[log]\nlevel = \"debug\"");
    sidecar.logs("the settings were reloaded");
    let large = client.request("GET", "/healthz", &["content-length: 1"]).unwrap();
    assert_eq!(large.status, 413);
    // not valid: all of it is told, nothing of it is applied
    scene.settings("mode = \"0999\"\n[limits]\nbody_bytes = -1\nnope = 1");
    sidecar.signal(Signal::HUP);
    sidecar.logs("the settings were not changed");
    for key in ["socket.mode", "limits.body_bytes", "limits.nope"] {
        sidecar.logs(key);
    }
    // what needs a restart is named, the rest is applied
    let settings = scene.settings("[limits]\nworkers = 7\nbody_bytes = 5");
    let text = std::fs::read_to_string(&settings)
        .unwrap()
        .replace("sqlite:store.db", "sqlite:other.db");
    std::fs::write(&settings, text).unwrap();
    sidecar.logs("store, limits.workers");
    let mut client = Client::connect(&sidecar.socket).unwrap();
    until("the rest is applied", || {
        let answer = client
            .request("GET", "/healthz", &["content-length: 5", "x: y"])
            .ok()?;
        let _ = client.send(b"12345");
        (answer.status == 200).then_some(())
    });
    let revision = scene.secret("web/token", "two");
    assert_eq!(
        events.next().unwrap().id,
        Some(revision),
        "the watch went on all the while"
    );
    sidecar.terminate();
}

#[test]
fn a_reload_names_what_it_changes_and_no_values() {
    let scene = Scene::with_token();
    let files =
        |name: &str, prefix: &str| format!("[[files]]\ndirectory = \"{name}\"\nprefix = \"{prefix}\"\n");
    let sidecar = Sidecar::start(
        &scene,
        &(files("one", "web") + &files("two", "web") + "[process]\ncommand = [\"sleep\", \"600\"]\n"),
    );
    scene.settings(
        &("allow_uids = [0, 3987654321]\nmode = \"0666\"\n[limits]\nconnections = 77\n".to_owned()
            + &files("two", "canary")
            + &files("three", "canary")),
    );
    sidecar.logs("the settings were reloaded");
    let log = sidecar.log();
    let line = log.lines().find(|line| line.contains("were reloaded")).unwrap();
    let keys = "socket.mode, socket.allow_uids, limits.connections, files[0].prefix, files[1] (new), files (1 gone), process (gone)";
    assert!(line.contains(keys), "{line}");
    assert!(!log.contains("canary") && !log.contains("3987654321"), "{log}");
    // nothing changed
    sidecar.signal(Signal::HUP);
    sidecar.terminate();
}

#[test]
fn settings_that_changed_while_the_sidecar_started_are_reloaded() {
    let scene = Scene::with_token();
    let identity = Identity::read_file(&scene.file("web.identity"), || None).unwrap();
    std::fs::remove_file(scene.file("web.identity")).unwrap();
    let phrase = Secret::new(b"phrase".to_vec());
    identity
        .write_file(&scene.file("web.identity"), Some(&phrase))
        .unwrap();
    // the sidecar waits for it with the settings read
    let pipe = scene.file("phrase");
    let made = Command::new("mkfifo").args(["-m", "600"]).arg(&pipe).status();
    assert!(made.unwrap().success());
    let settings = scene.settings("");
    let text = std::fs::read_to_string(&settings).unwrap();
    let write = |more: &str| std::fs::write(&settings, format!("passphrase = \"phrase\"\n{text}{more}"));
    write("").unwrap();
    let sidecar = Sidecar::launch(command(&settings), scene.file("web/s.sock"));
    let mut writer = std::fs::File::options().write(true).open(&pipe).unwrap();
    write("mode = \"0600\"\n").unwrap();
    writer.write_all(b"phrase").unwrap();
    drop(writer);
    sidecar.logs("the settings were reloaded");
    let mode = std::fs::metadata(&sidecar.socket).unwrap().mode();
    assert_eq!(mode & 0o777, 0o600);
    sidecar.terminate();
}

#[test]
fn a_directory_of_settings_that_goes_away_is_told() {
    let scene = Scene::with_token();
    let text = std::fs::read_to_string(scene.settings("")).unwrap();
    let here = scene.file("");
    let text = text
        .replace("sqlite:", &format!("sqlite:{}", here.display()))
        .replace("\"web", &format!("\"{}web", here.display()));
    for goes in ["moved", "removed"] {
        let directory = scene.file(goes);
        std::fs::create_dir(&directory).unwrap();
        let settings = directory.join("web.toml");
        std::fs::write(
            &settings,
            format!("state = \"{}web.state\"\n{text}", here.display()),
        )
        .unwrap();
        let sidecar = Sidecar::launch(command(&settings), scene.file("web/s.sock"));
        sidecar.ready();
        if goes == "moved" {
            std::fs::rename(&directory, scene.file("elsewhere")).unwrap();
        } else {
            std::fs::remove_dir_all(&directory).unwrap();
        }
        sidecar.logs("send SIGHUP");
        assert_eq!(sidecar.secret("web/token"), "one");
        sidecar.terminate();
    }
}

#[test]
fn sigterm_ends_watches_and_idle_connections_in_good_order() {
    let scene = Scene::with_token();
    let mut sidecar = Sidecar::start(&scene, "[limits]\ndrain_timeout = \"25s\"");
    let mut events = Events::open(&sidecar.socket, "/api/v1/watch", &[]);
    events.next().unwrap();
    let mut idle = Client::connect(&sidecar.socket).unwrap();
    idle.request("GET", "/healthz", &[]).unwrap();
    let mut silent = Client::connect(&sidecar.socket).unwrap();
    let start = Instant::now();
    sidecar.signal(Signal::TERM);
    assert!(events.next().is_none(), "the stream ends with its last chunk");
    assert!(idle.is_closed() && silent.is_closed());
    assert_eq!(sidecar.ended().code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(20), "nobody was waited for");
}

#[test]
fn the_drain_is_bounded() {
    let scene = Scene::with_token();
    scene.secret("large", &"x".repeat(1024 * 1024));
    let mut sidecar = Sidecar::start(&scene, "[limits]\ndrain_timeout = \"300ms\"");
    let mut stuck = Client::connect(&sidecar.socket).unwrap();
    stuck
        .send(b"GET /api/v1/secrets/large HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .unwrap();
    until("the answer began", || stuck.head().ok());
    sidecar.signal(Signal::TERM);
    assert_eq!(sidecar.ended().code(), Some(0));
    assert!(sidecar.log().contains("did not end in time"), "{}", sidecar.log());
}

#[test]
fn a_second_sigterm_ends_the_drain() {
    let scene = Scene::with_token();
    scene.secret("large", &"x".repeat(1024 * 1024));
    let mut sidecar = Sidecar::start(&scene, "[limits]\ndrain_timeout = \"1h\"\nwrite_timeout = \"1h\"");
    let mut stuck = Client::connect(&sidecar.socket).unwrap();
    stuck
        .send(b"GET /api/v1/secrets/large HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .unwrap();
    until("the answer began", || stuck.head().ok());
    sidecar.signal(Signal::TERM);
    sidecar.logs("draining");
    sidecar.signal(Signal::TERM);
    assert_eq!(sidecar.ended().code(), Some(0));
}

#[test]
fn a_second_sigterm_kills_the_process_and_closes_the_log() {
    let scene = Scene::with_token();
    let program = format!(
        "trap '' TERM; echo $$ > {0}/pid.new; mv {0}/pid.new {0}/pid; exec sleep 600",
        scene.file("").display()
    );
    let mut sidecar = Sidecar::start(
        &scene,
        &format!(
            "[process]\ncommand = [\"sh\", \"-c\", \"{program}\"]\ngrace = \"10m\"\n[audit]\ndirectory = \"audit\""
        ),
    );
    let pid = until("the process runs", || {
        std::fs::read_to_string(scene.file("pid")).ok()
    });
    let pid = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    sidecar.signal(Signal::TERM);
    sidecar.logs("draining");
    sidecar.signal(Signal::TERM);
    let status = sidecar.ended();
    // nobody else would have ended it, or waits for it
    let there = rustix::process::kill_process(pid, Signal::KILL);
    assert!(there.is_err(), "the process outlives its sidecar");
    assert_eq!(status.code(), Some(0));
    let log = verify_directory(&scene.file("audit"), Verifier::default()).unwrap();
    assert!(log.is_whole() && log.closed, "{log:?}");
}

#[test]
fn a_start_that_fails_leaves_no_process_behind() {
    let scene = Scene::with_token();
    let settings = scene.settings(&format!(
        "[process]\ncommand = [\"touch\", \"{}\"]\n[audit]\ndirectory = \"audit\"",
        scene.file("started").display()
    ));
    // what was verified cannot be written down, though there is nothing to be read
    std::fs::create_dir_all(scene.file("web.state/trust.new/x")).unwrap();
    std::fs::set_permissions(scene.file("web.state"), std::fs::Permissions::from_mode(0o700)).unwrap();
    let (code, said) = ends(&settings, &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(!scene.file("started").exists(), "{said}");
    let log = verify_directory(&scene.file("audit"), Verifier::default()).unwrap();
    assert!(log.is_whole() && log.closed, "{log:?}");
}

#[test]
fn the_service_manager_is_told() {
    let scene = Scene::with_token();
    let manager = UnixDatagram::bind(scene.file("notify")).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let hear = |wanted: &str| {
        until(&format!("{wanted} is told"), || {
            let mut told = [0; 1024];
            let count = manager.recv(&mut told).unwrap();
            let told = String::from_utf8_lossy(&told[..count]).into_owned();
            told.lines().any(|line| line == wanted).then_some(told)
        })
    };
    let mut start = command(&scene.settings(""));
    start
        .env("NOTIFY_SOCKET", scene.file("notify"))
        .env("WATCHDOG_USEC", "100000");
    let mut sidecar = Sidecar::launch(start, scene.file("web/s.sock"));
    hear("READY=1");
    sidecar.ready();
    hear("WATCHDOG=1");
    sidecar.signal(Signal::HUP);
    assert!(hear("RELOADING=1").contains("MONOTONIC_USEC="));
    hear("READY=1");
    sidecar.signal(Signal::TERM);
    hear("STOPPING=1");
    assert_eq!(sidecar.ended().code(), Some(0));
}

#[test]
fn a_reload_before_everything_was_delivered_does_not_say_ready() {
    let scene = Scene::with_token();
    let manager = UnixDatagram::bind(scene.file("notify")).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let files = "[[files]]\ndirectory = \"files\"\nrequired = [\"web/late\"]";
    let mut start = command(&scene.settings(files));
    start.env("NOTIFY_SOCKET", scene.file("notify"));
    let sidecar = Sidecar::launch(start, scene.file("web/s.sock"));
    sidecar.logs("not delivered");
    sidecar.logs("serving");
    sidecar.signal(Signal::HUP);
    scene.secret("web/late", "x");
    let mut told = [0; 1024];
    let count = manager.recv(&mut told).unwrap();
    assert_eq!(&told[..count], b"READY=1\nSTATUS=serving");
    sidecar.terminate();
}

#[test]
fn a_socket_of_the_service_manager_is_taken_over_and_left() {
    let scene = Scene::with_token();
    std::fs::create_dir(scene.file("web")).unwrap();
    let listener = UnixListener::bind(scene.file("web/s.sock")).unwrap();
    // a client that came before the sidecar waits and is answered
    let mut early = Client::connect(&scene.file("web/s.sock")).unwrap();
    early
        .send(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .unwrap();
    let mut shell = Command::new("sh");
    shell
        .args([
            "-c",
            "LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" --settings \"$1\" 3<&0 </dev/null",
        ])
        .arg(env!("CARGO_BIN_EXE_strongroom-sidecar"))
        .arg(scene.settings(""))
        .stdin(OwnedFd::from(listener.try_clone().unwrap()));
    let sidecar = Sidecar::launch(shell, scene.file("web/s.sock"));
    assert_eq!(early.answer(false).unwrap().status, 200);
    sidecar.ready();
    assert_eq!(sidecar.secret("web/token"), "one");
    sidecar.terminate();
    assert!(scene.file("web/s.sock").exists(), "the socket is the manager's");
}

#[test]
fn the_command_line_says_what_it_wants() {
    let scene = Scene::with_token();
    let settings = scene.settings("");
    assert_eq!(ends(&settings, &["--check"]).0, Some(0));
    assert!(!scene.file("web.state").exists(), "a check makes nothing");
    let (code, said) = ends(&scene.file("none.toml"), &["--check"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("none.toml"), "{said}");
    let run = |args: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_strongroom-sidecar"))
            .args(args)
            .output()
            .unwrap()
    };
    assert_eq!(run(&[]).status.code(), Some(2));
    assert_eq!(run(&["--settings"]).status.code(), Some(2));
    let example = run(&["--example-settings"]);
    assert_eq!(example.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&example.stdout).contains("allow_uids"));
}
