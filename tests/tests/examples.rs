//! The examples work: the embedding program follows a store, the service in Python its config, the settings are valid and those of the
//! units, the composed service follows its values, the scripts are shell.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use strongroom_tests::program::{self, workspace};
use strongroom_tests::scene::Scene;
use strongroom_tests::sidecar::{Settings, Sidecar};
use strongroom_tests::{component, http, wait};

#[test]
fn the_embedding_example_reads_a_secret_and_follows_it() {
    let embed = program::example("embed");
    let scene = Scene::with(&["prod"]);
    scene.put("prod", "web/token", "four");
    let identity = scene.reader("web", "prod");
    let mut child = scene
        .command(embed)
        .args([&scene.store(), identity.to_str().unwrap(), "prod", "web/token"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    assert!(lines.next().unwrap().ends_with("a secret of 4 bytes"));
    scene.put("prod", "web/token", "eleven.....");
    assert!(lines.next().unwrap().ends_with("a secret of 11 bytes"));
    child.kill().unwrap();
    child.wait().unwrap();
}

/// The service in Python that follows `path`, and what it prints.
fn service(scene: &Scene, socket: &Path, path: &str) -> (Child, impl Iterator<Item = String> + use<>) {
    let mut child = scene
        .command("python3")
        .arg(workspace().join("examples/config.py"))
        .arg(socket)
        .arg(path)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines.map_while(Result::ok))
}

#[test]
fn a_python_service_reads_its_config_and_follows_it() {
    if !component::present("python3", "the example in Python") {
        return;
    }
    let scene = Scene::with(&["prod"]);
    scene.put("prod", "web/password", "s3cret");
    let set = |words: &str| scene.ok(&["config", "set", "prod", "web", words]);
    set("pool.size=10");
    set("password={ secret = 'web/password' }");
    let identity = scene.reader("web", "prod");
    let settings = Settings::new(&scene, "web", &identity, "prod");
    let sidecar = Sidecar::start(&scene, &settings.tables("[limits]\nidle_timeout = \"100ms\""));
    let (child, mut lines) = service(&scene, &sidecar.socket(), "web");
    let mut next = |keys: &str, document: &str| {
        let line = lines.next().unwrap();
        let (_, rest) = line.split_once(' ').unwrap();
        assert_eq!(rest, format!("{keys} {document}"));
    };
    next("-", r#"{"password": "s3cret", "pool": {"size": 10}}"#);
    wait::until("only its watch and who asks here have a connection", || {
        let metrics = http::get(&sidecar.socket(), "/metrics", &[]).unwrap().text();
        metrics.contains("\nstrongroom_connections 2\n").then_some(())
    });
    set("pool.size=20");
    next("pool.size", r#"{"password": "s3cret", "pool": {"size": 20}}"#);
    // a secret that it refers to, and something that is none of its business
    scene.put("prod", "other", "x");
    scene.put("prod", "web/password", "another");
    next("password", r#"{"password": "another", "pool": {"size": 20}}"#);
    // a watch that is refused, and one that ends with its sidecar
    let (refused, _) = service(&scene, &sidecar.socket(), "a//b");
    let refused = refused.wait_with_output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(
        !refused.status.success() && said.contains("RuntimeError: "),
        "{said}"
    );
    assert_eq!(sidecar.terminate(), Some(0));
    let ended = child.wait_with_output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(ended.status.success(), "{said}");
}

#[test]
fn a_python_service_that_was_too_slow_reads_again() {
    if !component::present("python3", "the example in Python") {
        return;
    }
    let scene = Scene::bare();
    let socket = scene.file("s.sock");
    let sidecar = UnixListener::bind(&socket).unwrap();
    sidecar.set_nonblocking(true).unwrap();
    let (child, lines) = service(&scene, &socket, "web");
    // what api.md says of a client that is too slow
    let answer = |wanted: &str, body: &str| {
        let (mut stream, _) = wait::until("it asks", || sidecar.accept().ok());
        let mut request = String::new();
        BufReader::new(&stream).read_line(&mut request).unwrap();
        assert!(request.contains(wanted), "{request}");
        let head = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    };
    answer(
        "watch",
        "event: lagged\ndata: {\"missed\":9}\n\n\
         event: revision\nid: 7\ndata: {\"revision\":7,\"from\":null,\"resync\":true,\"changes\":[]}\n\n",
    );
    answer("configs", r#"{"value":"{\"size\":1}"}"#);
    assert_eq!(lines.collect::<Vec<_>>(), [r#"7 - {"size": 1}"#]);
    let ended = child.wait_with_output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(ended.status.success(), "{said}");
}

#[test]
fn the_settings_are_valid() {
    let scene = Scene::bare();
    let output = scene
        .command(program::path("strongroom-sidecar"))
        .args(["--check", "--settings"])
        .arg(workspace().join("examples/web.toml"))
        .env("CREDENTIALS_DIRECTORY", scene.path())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_settings_and_the_units_agree() {
    let text = |name: &str| fs::read_to_string(workspace().join("examples").join(name)).unwrap();
    let settings: toml::Table = text("web.toml").parse().unwrap();
    let value = |unit: &str, key: &str| {
        let text = text(&format!("systemd/strongroom-sidecar@.{unit}"));
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{key}=")));
        line.unwrap_or_else(|| panic!("the {unit} has no {key}"))
            .replace("%i", "web")
    };
    let (name, _) = value("service", "LoadCredentialEncrypted")
        .split_once(':')
        .map(|(name, file)| (name.to_owned(), file.to_owned()))
        .unwrap();
    assert_eq!(
        settings["identity"].as_str(),
        Some(&*format!("credential:{name}"))
    );
    let state = format!("/var/lib/{}", value("service", "StateDirectory"));
    assert_eq!(settings["state"].as_str(), Some(&*state));
    let logs = format!("/var/log/{}", value("service", "LogsDirectory"));
    assert_eq!(settings["audit"]["directory"].as_str(), Some(&*logs));
    assert_eq!(value("service", "LogsDirectoryMode"), "0700");
    let socket = value("socket", "ListenStream");
    assert_eq!(settings["socket"]["path"].as_str(), Some(&*socket));
    let runtime = format!("/run/{}/", value("service", "RuntimeDirectory"));
    assert!(socket.starts_with(&runtime), "{socket} is not in {runtime}");
    // the directories above the socket are root's: whoever connects must get through them
    assert_eq!(value("socket", "DirectoryMode"), "0755");
}

#[test]
fn the_composed_service_is_started_again_with_a_new_value() {
    let compose = fs::read_to_string(workspace().join("examples/compose.yaml")).unwrap();
    let entrypoint = compose
        .lines()
        .find_map(|line| line.trim().strip_prefix("entrypoint: "));
    let entrypoint: Vec<String> = serde_json::from_str(entrypoint.unwrap()).unwrap();
    let scene = Scene::with(&["prod"]);
    scene.put("prod", "web/token", "one");
    let identity = scene.reader("web", "prod");
    let sidecar = Sidecar::start(&scene, &Settings::new(&scene, "web", &identity, "prod"));
    let outside = |argument: &String| {
        argument.replace(
            "/run/strongroom/sidecar.sock",
            &sidecar.socket().display().to_string(),
        )
    };
    assert_eq!(entrypoint[0], "/strongroom-run");
    let mut child = scene
        .command(program::path("strongroom-run"))
        .args(entrypoint[1..].iter().map(outside))
        .args(["sh", "-c", "echo $WEB_TOKEN; exec sleep 30"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    assert_eq!(lines.next().as_deref(), Some("one"));
    scene.put("prod", "web/token", "two");
    assert_eq!(lines.next().as_deref(), Some("two"));
    // strongroom-run takes its program along
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    child.wait().unwrap();
}

#[test]
fn the_scripts_are_shell() {
    let mut checked = 0;
    for directory in ["scripts", ".ci"] {
        for entry in fs::read_dir(workspace().join(directory)).unwrap() {
            let path = entry.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            let shell = if text.starts_with("#!/bin/sh") {
                "sh"
            } else {
                "bash"
            };
            let status = Command::new(shell).arg("-n").arg(&path).status().unwrap();
            assert!(status.success(), "{} does not parse", path.display());
            checked += 1;
        }
    }
    assert!(checked > 4, "the scripts were not found");
}
