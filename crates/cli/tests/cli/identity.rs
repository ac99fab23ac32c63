//! Identities: who cannot open, and how that is said. Exit code 3.

use std::os::unix::fs::PermissionsExt;

use crate::desk::{CANARY, Desk, Ran};

fn chmod(file: &std::path::Path, mode: u32) {
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_stranger_is_refused() {
    let desk = Desk::new();
    desk.ok(["identity", "new", "stranger", "--no-passphrase"]);
    desk.run(["--identity", "stranger", "list"])
        .refused(3, "not a member of the store");
    desk.run(["--identity", "stranger", "put", "prod", "a", "--value", "x"])
        .refused(3, "not a member");
}

#[test]
fn a_file_that_others_may_read_is_refused() {
    let desk = Desk::new();
    chmod(&desk.file("alice.identity"), 0o640);
    desk.run(["list"])
        .refused(3, "may be read by others (mode 0640): run `chmod 600` on it");
    chmod(&desk.file("alice.identity"), 0o600);
    desk.ok(["list"]);
}

#[test]
fn what_is_no_identity_is_said_to_be_none() {
    let desk = Desk::new();
    let file = desk.write("notes", CANARY);
    chmod(&file, 0o600);
    desk.run(["--identity", "notes", "list"])
        .refused(1, "is not an identity file");
    desk.run(["--identity", "nowhere", "list"])
        .refused(1, "identity new");
    desk.run(["identity", "new", "notes", "--no-passphrase"])
        .refused(1, "never overwritten");
    assert_eq!(std::fs::read(file).unwrap(), CANARY.as_bytes());
}

#[test]
fn a_passphrase_is_taken_from_a_file_and_never_from_a_variable() {
    let desk = Desk::bare();
    let file = desk.write("passphrase", format!("{CANARY} correct horse\n"));
    chmod(&file, 0o600);
    let with = |arguments: &[&str]| desk.run([&["--passphrase-file", "passphrase"], arguments].concat());
    with(&["init", "--admin", "alice"]).ok();
    with(&["environment", "add", "prod"]).ok();
    with(&["list"]).ok();
    let sealed = std::fs::read_to_string(desk.file("alice.identity")).unwrap();
    assert!(!sealed.contains("AGE-SECRET-KEY"), "the identity lies in clear");
    desk.run(["list"]).refused(3, "needs its passphrase");
    let by_variable = desk
        .command(["list"])
        .env("STRONGROOM_PASSPHRASE_FILE", &file)
        .output()
        .unwrap();
    Ran::of(by_variable).ok();
    let value = desk
        .command(["list"])
        .env("STRONGROOM_PASSPHRASE", format!("{CANARY} correct horse"))
        .output()
        .unwrap();
    Ran::of(value).refused(3, "needs its passphrase");
    std::fs::write(&file, format!("{CANARY} wrong\n")).unwrap();
    with(&["list"]).refused(3, "the passphrase does not open");
    chmod(&file, 0o644);
    with(&["list"]).refused(3, "may be read by others (mode 0644)");
    with(&["--passphrase-file", "nowhere", "list"]).refused(2, "cannot be used multiple times");
    desk.run(["--passphrase-file", "nowhere", "list"])
        .refused(1, "passphrase file nowhere");
}

#[test]
fn show_prints_the_public_half_alone() {
    let desk = Desk::new();
    let shown = desk.ok(["identity", "show"]);
    assert_eq!(shown.lines().count(), 1);
    assert!(shown.starts_with("age1") && shown.contains(':'), "{shown}");
    let json = desk.json(["identity", "show", "alice.identity"]);
    assert_eq!(json["public"].as_str().unwrap(), shown.trim());
    // `new` prints it too, so that it can be handed on at once.
    let made = desk.ok(["identity", "new", "deep/er/web", "--no-passphrase"]);
    assert_eq!(made, desk.ok(["identity", "show", "deep/er/web"]));
}
