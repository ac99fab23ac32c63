//! Bad input, as people meet it: each has a clear error, the right exit code, and loses nothing.
//! What only one program can meet is tested beside that program; here is what goes through the
//! command line, the store file and the sidecar together.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Output;

use strongroom_tests::http;
use strongroom_tests::program;
use strongroom_tests::scene::Scene;
use strongroom_tests::sidecar::{Settings, Sidecar};

/// What the rejected input carries: no error may repeat it.
const CANARY: &str = "canary-in-the-wrong-place";

/// `output` is a refusal with `code` that says something, and does not repeat the canary.
fn refused(output: &Output, code: i32, says: &str) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{error}");
    assert!(error.contains(says), "{error:?} does not say {says:?}");
    assert!(!error.contains(CANARY), "{error}");
    assert!(
        output.stdout.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

fn revision(scene: &Scene) -> String {
    let status: serde_json::Value = serde_json::from_str(&scene.ok(&["status", "--json"])).unwrap();
    status["revision"].to_string()
}

#[test]
fn names_off_the_grammar_are_refused_and_not_repeated() {
    let scene = Scene::with(&["prod"]);
    let before = revision(&scene);
    for path in [
        format!("{CANARY}//x"),
        format!("/{CANARY}"),
        format!("{CANARY}/"),
        format!("{CANARY}/../x"),
        format!("./{CANARY}"),
        format!("{CANARY}\u{7}"),
        format!("{CANARY}e\u{301}"),
        CANARY.repeat(100),
        String::new(),
    ] {
        let mut put = scene.strongroom(&["put", "prod", &path]);
        refused(&strongroom_tests::scene::feed(&mut put, b"x"), 2, "");
    }
    refused(&scene.run(&["environment", "add", "Prod"]), 2, "upper-case");
    assert_eq!(revision(&scene), before);
}

#[test]
fn values_of_every_kind_come_back_as_they_went_in() {
    let scene = Scene::with(&["prod"]);
    let binary: Vec<u8> = (0..=255).collect();
    let largest = vec![b'x'; 1 << 20];
    for (path, value) in [
        ("v/empty", Vec::new()),
        ("v/binary", binary),
        ("v/largest", largest),
    ] {
        scene.ok_with(&["put", "prod", path], &value);
        assert_eq!(scene.run(&["get", "prod", path]).stdout, value, "{path}");
    }
    let before = revision(&scene);
    let mut put = scene.strongroom(&["put", "prod", "v/over"]);
    let output = strongroom_tests::scene::feed(&mut put, &vec![b'x'; (1 << 20) + 1]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("1 MiB"));
    assert_eq!(revision(&scene), before);

    let identity = scene.reader("web", "prod");
    let sidecar = Sidecar::start(&scene, &Settings::new(&scene, "web", &identity, "prod"));
    assert_eq!(sidecar.secret("v/empty").as_deref(), Some(""));
    let json = sidecar.get("secrets/v/binary").json();
    assert!(
        json["value_base64"].as_str().unwrap().starts_with("AAECAwQF"),
        "{json}"
    );
    assert_eq!(
        sidecar.get("secrets/v/largest").json()["value"]
            .as_str()
            .unwrap()
            .len(),
        1 << 20
    );
}

#[test]
fn an_identity_with_a_passphrase_opens_with_it_alone() {
    let scene = Scene::bare();
    for (file, passphrase) in [("right", "a long right passphrase\n"), ("wrong", CANARY)] {
        fs::write(scene.file(file), passphrase).unwrap();
        fs::set_permissions(scene.file(file), fs::Permissions::from_mode(0o600)).unwrap();
    }
    let run = |passphrase: &str, arguments: &[&str], input: &[u8]| {
        let mut command = scene.strongroom(arguments);
        command.env("STRONGROOM_PASSPHRASE_FILE", scene.file(passphrase));
        strongroom_tests::scene::feed(&mut command, input)
    };
    let made = run(
        "right",
        &[
            "init",
            &scene.store(),
            "--admin",
            "alice",
            "--identity",
            "alice.identity",
        ],
        b"",
    );
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    assert!(
        run("right", &["environment", "add", "prod"], b"")
            .status
            .success()
    );
    assert!(
        run("right", &["put", "prod", "web/token"], b"one")
            .status
            .success()
    );
    assert_eq!(run("right", &["get", "prod", "web/token"], b"").stdout, b"one");
    refused(&run("wrong", &["get", "prod", "web/token"], b""), 3, "passphrase");
    // without a terminal and without the file nobody can be asked
    let output = scene.run(&["get", "prod", "web/token"]);
    assert!(!output.status.success() && output.stdout.is_empty());
    assert!(String::from_utf8_lossy(&output.stderr).contains("passphrase"));
}

#[test]
fn a_wrong_or_careless_identity_is_refused() {
    let scene = Scene::with(&["prod"]);
    scene.put("prod", "web/token", CANARY);
    let stranger = scene.file("stranger.identity");
    scene.ok(&["identity", "new", stranger.to_str().unwrap(), "--no-passphrase"]);
    let get = |identity: &str| {
        let mut get = scene.strongroom(&["get", "prod", "web/token"]);
        get.env("STRONGROOM_IDENTITY", scene.file(identity))
            .output()
            .unwrap()
    };
    refused(&get("stranger.identity"), 3, "not a member");

    fs::set_permissions(&stranger, fs::Permissions::from_mode(0o644)).unwrap();
    let careless = get("stranger.identity");
    assert!(!careless.status.success());
    assert!(String::from_utf8_lossy(&careless.stderr).contains("chmod 600"));

    fs::write(scene.file("noise"), CANARY).unwrap();
    fs::set_permissions(scene.file("noise"), fs::Permissions::from_mode(0o600)).unwrap();
    let noise = get("noise");
    assert!(!noise.status.success());
    assert!(!String::from_utf8_lossy(&noise.stderr).contains(CANARY));
    assert!(!get("absent").status.success());
}

#[test]
fn a_reader_may_not_write_and_a_removed_member_reads_nothing_new() {
    let scene = Scene::with(&["prod"]);
    scene.put("prod", "web/token", "one");
    let web = scene.reader("web", "prod");
    let as_web = |arguments: &[&str], input: &[u8]| {
        let mut command = scene.strongroom(arguments);
        command.env("STRONGROOM_IDENTITY", &web);
        strongroom_tests::scene::feed(&mut command, input)
    };
    refused(
        &as_web(&["put", "prod", "web/token"], CANARY.as_bytes()),
        3,
        "may not",
    );
    assert_eq!(as_web(&["get", "prod", "web/token"], b"").stdout, b"one");

    let removed = scene.ok(&["member", "remove", "web", "--yes"]);
    assert!(
        removed.contains("web/token"),
        "what it could have read is named: {removed}"
    );
    scene.put("prod", "web/token", "two");
    let output = as_web(&["get", "prod", "web/token"], b"");
    assert_eq!(
        output.status.code(),
        Some(3),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.stdout.is_empty());
}

#[test]
fn a_store_of_a_newer_format_is_not_touched() {
    let scene = Scene::with(&["prod"]);
    let file = rusqlite::Connection::open(scene.file("store.db")).unwrap();
    file.execute_batch("PRAGMA user_version = 99").unwrap();
    drop(file);
    let output = scene.run(&["list", "prod"]);
    refused(&output, 4, "format 99");
}

#[test]
fn a_locked_store_is_read_and_waited_for() {
    let scene = Scene::with(&["prod"]);
    scene.put("prod", "web/token", "one");
    let file = rusqlite::Connection::open(scene.file("store.db")).unwrap();
    file.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(
        scene.ok(&["get", "prod", "web/token"]),
        "one",
        "a writer does not stop readers"
    );
    let mut put = scene.strongroom(&["put", "prod", "web/token"]);
    let output = strongroom_tests::scene::feed(&mut put, b"two");
    refused(&output, 5, "");
    file.execute_batch("ROLLBACK").unwrap();
    assert_eq!(scene.ok(&["get", "prod", "web/token"]), "one");
    scene.put("prod", "web/token", "two");
}

#[test]
fn settings_that_are_wrong_are_all_named() {
    let scene = Scene::with(&["prod"]);
    fs::write(
        scene.file("bad.toml"),
        format!("store = \"sqlite:store.db\"\nsotre = \"{CANARY}\"\nenvironment = \"{CANARY}/\"\n[socket]\nmode = \"{CANARY}\"\n"),
    )
    .unwrap();
    let output = scene
        .command(program::path("strongroom-sidecar"))
        .args(["--settings", "bad.toml", "--check"])
        .output()
        .unwrap();
    refused(&output, 2, "sotre");
    let error = String::from_utf8_lossy(&output.stderr);
    for key in ["identity", "environment", "socket.path", "socket.mode"] {
        assert!(error.contains(key), "{key} is not named: {error}");
    }
}

/// Starts a sidecar that must refuse: its exit code and log.
fn refuses_to_start(scene: &Scene, settings: &Settings) -> (Option<i32>, String) {
    let mut sidecar = Sidecar::launch(scene, settings);
    let code = strongroom_tests::wait::until("the sidecar gives up", || sidecar.ended());
    (code, sidecar.log())
}

#[test]
fn a_socket_path_that_is_too_long_is_refused() {
    let scene = Scene::with(&["prod"]);
    let identity = scene.reader("web", "prod");
    let long = "x".repeat(108);
    let settings = Settings::new(&scene, &long, &identity, "prod");
    let (code, log) = refuses_to_start(&scene, &settings);
    assert_eq!(code, Some(2), "{log}");
    assert!(log.contains("107"), "{log}");
}

#[test]
fn two_sidecars_do_not_share_a_socket() {
    let scene = Scene::with(&["prod"]);
    scene.put("prod", "web/token", "one");
    let identity = scene.reader("web", "prod");
    let settings = Settings::new(&scene, "web", &identity, "prod");
    let first = Sidecar::start(&scene, &settings);
    let (code, log) = refuses_to_start(&scene, &settings);
    assert!(matches!(code, Some(code) if code != 0), "{log}");
    assert_eq!(
        first.secret("web/token").as_deref(),
        Some("one"),
        "the first one goes on"
    );
}

#[test]
fn a_directory_that_is_not_ours_gets_no_values() {
    let scene = Scene::with(&["prod"]);
    scene.put("prod", "web/token", CANARY);
    let identity = scene.reader("web", "prod");
    let elsewhere = scene.file("elsewhere");
    fs::create_dir(&elsewhere).unwrap();

    for hostile in ["symlink", "world"] {
        let name = format!("web-{hostile}");
        fs::create_dir(scene.file(&name)).unwrap();
        let files = scene.file(&name).join("files");
        if hostile == "symlink" {
            symlink(&elsewhere, &files).unwrap();
        } else {
            fs::create_dir(&files).unwrap();
            fs::set_permissions(&files, fs::Permissions::from_mode(0o777)).unwrap();
        }
        let settings = Settings::new(&scene, &name, &identity, "prod").files("web");
        let mut sidecar = Sidecar::launch(&scene, &settings);
        strongroom_tests::wait::until("the refusal is reported", || {
            let said = sidecar.log().contains(&format!("{name}/files"));
            said.then_some(())
        });
        assert_ne!(sidecar.ended(), Some(Some(0)));
        assert_eq!(
            fs::read_dir(&elsewhere).unwrap().count(),
            0,
            "written through a symbolic link"
        );
        assert!(
            !files.join("token").exists(),
            "{hostile}: a value was written; {}",
            sidecar.log()
        );
        assert!(!sidecar.log().contains(CANARY));
    }
}

#[test]
fn another_user_is_refused_at_the_socket() {
    if !rustix::process::geteuid().is_root() {
        strongroom_tests::component::lacking("root, to become another user,", "another user at the socket");
        return;
    }
    let scene = Scene::with(&["prod"]);
    scene.put("prod", "web/token", CANARY);
    let identity = scene.reader("web", "prod");
    let sidecar = Sidecar::start(&scene, &Settings::new(&scene, "web", &identity, "prod"));
    // open every permission on the way: only the kernel's word about the peer is left
    for path in [scene.path(), sidecar.directory()] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::set_permissions(sidecar.socket(), fs::Permissions::from_mode(0o666)).unwrap();
    let output = scene
        .command("setpriv")
        .args([
            "--reuid",
            "2003",
            "--regid",
            "2003",
            "--clear-groups",
            "curl",
            "-s",
            "-i",
            "--unix-socket",
        ])
        .arg(sidecar.socket())
        .arg("http://localhost/api/v1/secrets/web/token")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains(" 403 "),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(!text.contains(CANARY), "{text}");
    assert_eq!(
        http::get(&sidecar.socket(), "/api/v1/secrets/web/token", &[])
            .unwrap()
            .status,
        200
    );
}
