//! What a command is started with, and why it is not started.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;

use strongroom_tests::component;
use strongroom_tests::sidecar::Sidecar;

use crate::copied;
use crate::stage::{CANARY, Ran, Stage};

fn lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn a_command_gets_the_sidecars_values_as_environment() {
    let stage = Stage::new();
    let _sidecar = stage.sidecar();
    let ran = stage.run(&["--clean-env", "--", "/usr/bin/env"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.err, "");
    let password = format!("WEB_DATABASE_PASSWORD={CANARY}");
    assert_eq!(lines(&ran.out), ["SHARED_CA=ca-1", &password, "WEB_EMPTY="]);

    let ran = stage.run(&[
        "--prefix",
        "web",
        "--map",
        "CA=shared/ca",
        "--clean-env",
        "/usr/bin/env",
    ]);
    assert_eq!(
        lines(&ran.out),
        ["CA=ca-1", &format!("DATABASE_PASSWORD={CANARY}"), "EMPTY="]
    );

    let ran = stage.run(&[
        "--map",
        "CA=shared/ca",
        "--only-mapped",
        "--clean-env",
        "--",
        "/usr/bin/env",
    ]);
    assert_eq!(ran.out, "CA=ca-1\n");

    // its own environment is passed on, what is meant for this program is not
    let ran = stage.run(&["--", "env"]);
    assert!(
        ran.out.contains("HOME=") && !ran.out.contains("STRONGROOM_"),
        "{}",
        ran.out
    );
}

#[test]
fn the_socket_can_be_named_by_the_environment() {
    let stage = Stage::new();
    let sidecar = stage.sidecar();
    let mut command = stage.scene.command(env!("CARGO_BIN_EXE_strongroom-run"));
    command.env("STRONGROOM_SOCKET", sidecar.socket());
    let ran = Ran::of(
        command
            .args(["--", "sh", "-c", "echo $SHARED_CA"])
            .output()
            .unwrap(),
    );
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "ca-1\n"), "{}", ran.err);
}

#[test]
fn config_and_flags_come_as_they_are_injected() {
    let stage = Stage::new();
    let config = ["put", "prod", "web/app", "--kind", "config", "--format", "json"];
    stage.scene.ok_with(&config, br#"{"a":1}"#);
    let flag = br#"{"state":"ENABLED","variants":{"on":true,"off":false},"defaultVariant":"on"}"#;
    stage
        .scene
        .ok_with(&["put", "prod", "web/beta", "--kind", "flag"], flag);
    stage.scene.ok_with(&["put", "prod", "web/binary"], b"\xff\xfe\n");
    let _sidecar = stage.sidecar();
    let script = "echo $APP $BETA; printf %s \"$BINARY\" | od -An -tx1";
    let ran = stage.run(&["--prefix", "web", "--", "sh", "-c", script]);
    assert_eq!(ran.out, "{\"a\":1} true\n ff fe 0a\n", "{}", ran.err);
}

#[test]
fn files_are_there_while_the_command_runs() {
    let stage = Stage::new();
    let _sidecar = stage.sidecar();
    let script = "ls -A files; cat files/database/password files/empty; stat -c %a files/database/password";
    let ran = stage.run(&[
        "--prefix",
        "web",
        "--files",
        "files",
        "--file-mode",
        "440",
        "--",
        "sh",
        "-c",
        script,
    ]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let (listed, rest) = ran.out.split_once(CANARY).unwrap();
    let names: Vec<_> = listed.lines().filter(|name| !name.starts_with("..")).collect();
    assert_eq!(names, [".revision", "database", "empty"]);
    assert_eq!(rest, "440\n");
    assert_eq!(fs::read_dir(stage.file("files")).unwrap().count(), 0);
    // the directory of this test is on a disk
    assert!(
        ran.err.contains("tmpfs") || stage.scene.path().starts_with("/dev/shm"),
        "{}",
        ran.err
    );

    let ran = stage.run(&[
        "--files",
        "files",
        "--file",
        "tls/ca.pem=shared/ca",
        "--",
        "cat",
        "files/tls/ca.pem",
    ]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "ca-1"), "{}", ran.err);
}

#[test]
fn the_exit_code_is_the_commands() {
    let stage = Stage::new();
    let _sidecar = stage.sidecar();
    let code = |command: &[&str]| stage.run(&[&["--"], command].concat()).code;
    assert_eq!(code(&["true"]), Some(0));
    assert_eq!(code(&["sh", "-c", "exit 77"]), Some(77));
    assert_eq!(code(&["sh", "-c", "kill -9 $$"]), Some(137));
    stage
        .run(&["--", "no-such-program"])
        .failed(127, &["no-such-program", "PATH"]);
    stage
        .run(&["--", "/etc/hostname"])
        .failed(126, &["/etc/hostname"]);
}

#[test]
fn all_that_is_missing_is_listed_and_nothing_starts() {
    let stage = Stage::new();
    let _sidecar = stage.sidecar();
    let ran = stage.run(&[
        "--prefix",
        "web",
        "--require",
        "no/one",
        "--require",
        "web/empty",
        "--map",
        "TWO=no/two",
        "--files",
        "files",
        "--file",
        "three=no/three",
        "--",
        "touch",
        "started",
    ]);
    ran.failed(1, &["no/one, no/two and no/three"]);
    assert!(!ran.err.contains("web/empty"), "{}", ran.err);
    assert!(!stage.file("started").exists() && !stage.file("files").exists());
}

#[test]
fn a_value_that_cannot_be_a_variable_is_named_and_not_shown() {
    let stage = Stage::new();
    stage
        .scene
        .ok_with(&["put", "prod", "web/nul"], format!("{CANARY}\0").as_bytes());
    stage.put("web/database-password", CANARY);
    let _sidecar = stage.sidecar();
    let ran = stage.run(&["--prefix", "web", "--", "touch", "started"]);
    ran.failed(
        1,
        &[
            "web/nul",
            "NUL",
            "web/database-password",
            "web/database/password",
            "$DATABASE_PASSWORD",
        ],
    );
    assert!(!stage.file("started").exists());
}

#[test]
fn wrong_usage_is_code_2_and_repeats_nothing() {
    let stage = Stage::new();
    let wrong: [&[&str]; 12] = [
        &[],
        &["--"],
        &["--prefix"],
        &["--prefix", "/web", "--", "true"],
        &["--map", CANARY, "--", "true"],
        &["--on-change", CANARY, "--", "true"],
        &["--wait", "soon", "--", "true"],
        &["--file", "a=b", "--", "true"],
        &["--file-mode", "999", "--files", "f", "--", "true"],
        &["--restart", "maybe", "--", "true"],
        &["--canary-5d1f0c", "--", "true"],
        &["--verbose=canary-5d1f0c", "--", "true"],
    ];
    for arguments in wrong {
        let ran = stage.run(arguments);
        ran.failed(2, &["strongroom-run: ", "--help"]);
        assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
    }
    let ran = stage.run(&["--help"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    for word in ["--socket", "--on-change", "Exits with", "--require"] {
        assert!(ran.out.contains(word), "{}", ran.out);
    }
    let ran = stage.run(&["-V"]);
    assert_eq!(
        ran.out,
        concat!("strongroom-run ", env!("CARGO_PKG_VERSION"), "\n")
    );
    // what follows the command is the command's
    let _sidecar = stage.sidecar();
    assert_eq!(stage.run(&["echo", "--help", "-v"]).out, "--help -v\n");
}

#[test]
fn a_sidecar_that_is_not_there_is_code_5() {
    let stage = Stage::new();
    stage
        .run(&["--wait", "0", "--", "touch", "started"])
        .failed(5, &["web/sidecar.sock", "directory of its socket is mounted"]);
    fs::create_dir(stage.file("web")).unwrap();
    drop(std::os::unix::net::UnixListener::bind(stage.file("web/sidecar.sock")).unwrap());
    stage
        .run(&["--wait", "0.2", "--", "touch", "started"])
        .failed(5, &["web/sidecar.sock"]);
    fs::remove_file(stage.file("web/sidecar.sock")).unwrap();
    fs::write(stage.file("web/sidecar.sock"), "").unwrap();
    stage
        .run(&["--wait", "0", "--", "touch", "started"])
        .failed(5, &["web/sidecar.sock"]);
    let long = "x/".repeat(60);
    stage
        .run(&["--socket", &long, "--", "touch", "started"])
        .failed(1, &["107 bytes"]);
    assert!(!stage.file("started").exists());
}

#[test]
fn it_waits_for_a_sidecar_that_starts_later() {
    let stage = Stage::new();
    let waiting = stage.start(&["--wait", "60", "--", "sh", "-c", "echo $SHARED_CA > seen"]);
    std::thread::sleep(std::time::Duration::from_millis(200));
    let _sidecar = stage.sidecar();
    stage.reads("seen", "ca-1\n");
    drop(waiting);
}

#[test]
fn another_user_is_denied_with_code_3() {
    if !rustix::process::geteuid().is_root() {
        component::lacking("root, to become another user,", "another user at the socket");
        return;
    }
    let stage = Stage::new();
    // a user that may connect and is on no list
    let settings = stage.settings().for_user(23456);
    let sidecar = Sidecar::start(&stage.scene, &settings);
    for directory in [stage.scene.path(), sidecar.directory()] {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::set_permissions(sidecar.socket(), fs::Permissions::from_mode(0o666)).unwrap();
    let program = stage.file("strongroom-run");
    copied::copy(env!("CARGO_BIN_EXE_strongroom-run"), &program);
    let run_as = |id: u32| {
        let mut command = stage.scene.command(&program);
        command.args([
            "--socket",
            "web/sidecar.sock",
            "--",
            "sh",
            "-c",
            "echo $SHARED_CA",
        ]);
        Ran::of(command.uid(id).gid(id).output().unwrap())
    };
    run_as(34567).failed(3, &[]);
    let ran = run_as(23456);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "ca-1\n"), "{}", ran.err);
    // and one that may not even connect
    fs::set_permissions(sidecar.socket(), fs::Permissions::from_mode(0o600)).unwrap();
    run_as(34567).failed(3, &["owner and mode of the socket"]);
}
