//! Leaks: a value with a mark is put, served, changed, refused and removed, with every program at
//! its most talkative. The mark may be found where it was asked for, and nowhere else: not in a
//! log, a message, an argument, an environment, or any file off the tmpfs that was asked for.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::fs;
use std::path::Path;

use strongroom_tests::http;
use strongroom_tests::scene::{Scene, feed};
use strongroom_tests::sidecar::{Settings, Sidecar};
use strongroom_tests::wait;

const MARK: &str = "kanarienvogel";

/// The value, and the forms in which it could hide: base64 of each alignment (cut where it stays
/// the same whatever surrounds it), hexadecimal, and UTF-16.
fn forms() -> Vec<(&'static str, Vec<u8>)> {
    let hex: String = MARK.bytes().map(|byte| format!("{byte:02x}")).collect();
    let wide = MARK.bytes().flat_map(|byte| [byte, 0]).collect();
    vec![
        ("as it is", MARK.into()),
        ("in base64, first alignment", "a2FuYXJpZW52b2dl".into()),
        ("in base64, second alignment", "thbmFyaWVudm9nZW".into()),
        ("in base64, third alignment", "rYW5hcmllbnZvZ2Vs".into()),
        ("in hexadecimal", hex.into_bytes()),
        ("in UTF-16", wide),
    ]
}

fn clean(what: &str, bytes: &[u8]) {
    for (form, needle) in forms() {
        let found = bytes.windows(needle.len()).any(|window| window == needle);
        assert!(
            !found,
            "{what} holds a value {form}:\n{}",
            String::from_utf8_lossy(bytes)
        );
    }
}

#[test]
fn a_leak_would_be_found_in_every_form() {
    for text in [
        "x kanarienvogel x",
        // printf 'kanarienvogel-1' and with one and two bytes before it
        "a2FuYXJpZW52b2dlbC0x",
        "eGthbmFyaWVudm9nZWwtMQ==",
        "eHhrYW5hcmllbnZvZ2VsLTE=",
        "6b616e617269656e766f67656c",
    ] {
        let caught = std::panic::catch_unwind(|| clean("a sample", text.as_bytes()));
        assert!(caught.is_err(), "{text} was not noticed");
    }
    clean("another sample", b"kanarien vogel a2FuYXJ");
}

fn process(sidecar: &Sidecar, file: &str) -> Vec<u8> {
    fs::read(format!("/proc/{}/{file}", sidecar.pid())).unwrap()
}

/// Every file below `directory`.
fn files(directory: &Path, each: &mut dyn FnMut(&Path, Vec<u8>)) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, each);
        } else if let Ok(bytes) = fs::read(&path) {
            each(&path, bytes);
        }
    }
}

#[test]
fn a_value_is_found_where_it_was_asked_for_and_nowhere_else() {
    let scene = Scene::with(&["prod"]);
    let value = |version: u32| format!("{MARK}-{version}");
    scene.put("prod", "web/token", &value(1));
    let identity = scene.reader("web", "prod");
    let settings = Settings::new(&scene, "web", &identity, "prod").log("trace");
    let sidecar = Sidecar::start(&scene, &settings);

    // asked for, in every way the socket has
    assert_eq!(sidecar.secret("web/token").as_deref(), Some(value(1).as_str()));
    assert_eq!(sidecar.get("secrets/web/token").json()["value"], value(1));
    assert_eq!(sidecar.get("values").json()["values"][0]["value"], value(1));
    let mut events = http::events(&sidecar.socket(), "/api/v1/watch", &[]).unwrap();
    events.next().unwrap().unwrap();
    scene.put("prod", "web/token", &value(2));
    let event = events.next().unwrap().unwrap();
    clean("an event", event.data.as_bytes());
    wait::until("the second value", || {
        sidecar.secret("web/token").filter(|text| *text == value(2))
    });

    // what describes, and what fails, on the socket
    for target in [
        "entries",
        "status",
        "openapi.json",
        &format!("secrets/{MARK}//x"),
        &format!("flags/{MARK}//x"),
        &format!("secrets/web/token?at={MARK}"),
        &format!("values?kind={MARK}"),
        "configs/web/token",
        "secrets/web/token?at=999999",
    ] {
        clean(target, &sidecar.get(target).body);
    }

    clean(
        "metrics",
        &http::get(&sidecar.socket(), "/metrics", &[]).unwrap().body,
    );

    // what describes, and what fails, on the command line
    for arguments in [
        &["list", "prod"][..],
        &["list", "prod", "--json"],
        &["show", "prod", "web/token"],
        &["history"],
        &["diff", "4"],
        &["status"],
        &["verify"],
        &["member", "list"],
        &["put", "prod", MARK, "--kind", MARK],
        &["put", MARK, "web//token"],
        &["get", "prod", &format!("{MARK}/")],
        &["rollback", "prod", "web/token", "--to", MARK],
        &[MARK],
    ] {
        let output = scene.run(arguments);
        clean(&format!("{arguments:?}"), &output.stdout);
        clean(&format!("{arguments:?}, errors"), &output.stderr);
    }
    // a secret that was taken for a flag, and one that is too long
    for (arguments, input) in [
        (&["put", "prod", "web/flag", "--kind", "flag"][..], value(3)),
        (
            &["put", "prod", "web/doc", "--kind", "config", "--format", "toml"],
            value(3),
        ),
        (&["put", "prod", "web/long"], value(3).repeat(100_000)),
    ] {
        let output = feed(&mut scene.strongroom(arguments), input.as_bytes());
        assert!(!output.status.success(), "{arguments:?}");
        clean(&format!("{arguments:?}"), &output.stdout);
        clean(&format!("{arguments:?}, errors"), &output.stderr);
    }

    clean("the sidecar's arguments", &process(&sidecar, "cmdline"));
    clean("the sidecar's environment", &process(&sidecar, "environ"));
    let limits = String::from_utf8(process(&sidecar, "limits")).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    assert_eq!(
        core.split_whitespace().nth(4),
        Some("0"),
        "a crash would write a core: {core}"
    );
    assert!(
        sidecar.log().contains("TRACE") || sidecar.log().contains("DEBUG"),
        "{}",
        sidecar.log()
    );
    clean("the sidecar's log", sidecar.log().as_bytes());

    sidecar.kept();
    assert_eq!(sidecar.terminate(), Some(0));
    let mut looked = 0;
    files(scene.path(), &mut |path, bytes| {
        looked += 1;
        clean(&path.display().to_string(), &bytes);
    });
    assert!(looked > 5, "the files were not found");
}
