//! The invocations that scripts and documentation rely on, word for word.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::desk::{BINARY, Desk, Ran};

#[test]
fn the_canonical_invocations_work_as_written() {
    let desk = Desk::bare();
    let script = r#"
set -e
strongroom init sqlite:./store.db --admin alice --identity ./alice.identity --no-passphrase
export STRONGROOM_STORE=sqlite:./store.db STRONGROOM_IDENTITY=./alice.identity
strongroom environment add prod
printf s3cret | strongroom put prod web/database/password
strongroom get prod web/database/password > got
strongroom verify
strongroom identity new ./web.identity --no-passphrase
strongroom member add web --public "$(strongroom identity show ./web.identity)" --role reader --compartment prod
strongroom run prod --prefix web -- env > env
"#;
    let bin = Path::new(BINARY).parent().unwrap().display().to_string();
    let mut shell = desk.other("sh");
    let output = shell
        .args(["-c", script])
        .env("PATH", format!("{bin}:{}", std::env::var("PATH").unwrap()))
        .env_remove("STRONGROOM_STORE")
        .env_remove("STRONGROOM_IDENTITY")
        .output()
        .unwrap();
    Ran::of(output).ok();
    // The value alone, no newline.
    assert_eq!(std::fs::read(desk.file("got")).unwrap(), b"s3cret");
    let env = std::fs::read_to_string(desk.file("env")).unwrap();
    assert!(
        env.lines().any(|line| line == "DATABASE_PASSWORD=s3cret"),
        "{env}"
    );
    assert!(!env.contains("STRONGROOM_"), "the child sees our settings: {env}");
    let mode = |name: &str| std::fs::metadata(desk.file(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("alice.identity"), mode("web.identity")), (0o600, 0o600));
    assert_eq!(mode("store.db") & 0o007, 0, "others may read the store");
}

#[test]
fn init_takes_an_identity_that_is_there_and_never_a_store() {
    let desk = Desk::bare();
    desk.ok(["identity", "new", "--no-passphrase"]);
    let before = std::fs::read(desk.file("alice.identity")).unwrap();
    let made = desk.json(["init", "--admin", "alice"]);
    assert_eq!(made["identity_created"], false);
    assert_eq!(made["revision"], 1);
    assert_eq!(std::fs::read(desk.file("alice.identity")).unwrap(), before);
    desk.run(["init", "--admin", "mallory"])
        .refused(1, "a store is here already");
    assert_eq!(desk.json(["status"])["member"], "alice");
}

#[test]
fn init_goes_on_where_an_interrupted_one_stopped() {
    let desk = Desk::bare();
    // Without a passphrase, a terminal or --no-passphrase there is no identity, and so no admin.
    desk.run(["init", "--admin", "alice"])
        .refused(2, "no terminal to ask at");
    desk.ok(["init", "--admin", "alice", "--no-passphrase"]);
    desk.ok(["verify"]);
}

#[test]
fn a_store_made_anew_at_the_same_place_is_trusted_anew() {
    let desk = Desk::new();
    for name in ["store.db", "store.db-wal", "store.db-shm"] {
        let _ = std::fs::remove_file(desk.file(name));
    }
    let again = desk.run(["init", "--admin", "alice"]);
    assert!(
        again.stderr.contains("another store was trusted at this place"),
        "{}",
        again.stderr
    );
    again.ok();
    assert_eq!(desk.json(["status"])["revision"], 1);
}

#[test]
fn man_and_completions_need_no_settings() {
    let desk = Desk::bare();
    let alone = |arguments: &[&str]| {
        let mut command = desk.command(arguments);
        command
            .env_remove("HOME")
            .env_remove("STRONGROOM_STORE")
            .env_remove("STRONGROOM_IDENTITY");
        Ran::of(command.output().unwrap()).ok()
    };
    assert!(alone(&["man"]).contains(".TH strongroom 1"));
    for shell in ["bash", "zsh", "fish"] {
        assert!(alone(&["completions", shell]).contains("rollback"), "{shell}");
    }
    alone(&["man", "--to", "pages"]);
    assert!(desk.file("pages/strongroom-put.1").exists());
    assert!(alone(&["--version"]).starts_with("strongroom "));
    assert!(alone(&["put", "--help"]).contains("Examples:"));
}
