//! A store that is not what was signed, or is out of reach: exit codes 4 and 5, and nothing used.

use rusqlite::Connection;

use crate::desk::{CANARY, Desk, Ran};

/// A store at rest: one file, nothing in its log.
fn settled(desk: &Desk) -> Vec<u8> {
    let database = Connection::open(desk.file("store.db")).unwrap();
    database.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    drop(database);
    std::fs::read(desk.file("store.db")).unwrap()
}

fn replace(desk: &Desk, bytes: &[u8]) {
    for log in ["store.db-wal", "store.db-shm"] {
        let _ = std::fs::remove_file(desk.file(log));
    }
    std::fs::write(desk.file("store.db"), bytes).unwrap();
}

fn desk() -> Desk {
    let desk = Desk::new();
    desk.put("prod", "a", format!("{CANARY}{}", "x".repeat(3000)));
    desk.put("prod", "b", CANARY);
    desk
}

#[test]
fn a_store_put_back_to_yesterday_is_refused() {
    let desk = desk();
    let yesterday = settled(&desk);
    desk.put("prod", "a", "newer");
    replace(&desk, &yesterday);
    desk.run(["get", "prod", "a"]).refused(4, "rolled back");
    desk.run(["put", "prod", "a", "--value", "x"])
        .refused(4, "rolled back");
    let status = desk.run(["status"]);
    assert_eq!(status.code, 4);
    assert!(String::from_utf8(status.stdout).unwrap().contains("trust file"));
    // A person who did that on purpose removes the trust file, as the hint says.
    std::fs::remove_dir_all(desk.file("home/.local/state/strongroom/trust")).unwrap();
    desk.ok(["verify"]);
}

#[test]
fn a_history_that_was_replaced_is_refused() {
    let desk = desk();
    let base = settled(&desk);
    let trust = desk.file("trust-of-the-other");
    desk.put("prod", "a", "one way");
    replace(&desk, &base);
    let elsewhere = |arguments: &[&str]| {
        let mut command = desk.command(arguments);
        Ran::of(command.env("STRONGROOM_TRUST_DIR", &trust).output().unwrap())
    };
    elsewhere(&["put", "prod", "a", "--value", "another way"]).ok();
    desk.run(["get", "prod", "a"]).refused(4, "replaced");
}

#[test]
fn another_store_than_the_pinned_one_is_refused() {
    let desk = desk();
    let other = Desk::new();
    let fingerprint = |desk: &Desk| desk.json(["status"])["fingerprint"].as_str().unwrap().to_owned();
    desk.ok(["--fingerprint", &fingerprint(&desk), "get", "prod", "b"]);
    desk.run(["--fingerprint", &fingerprint(&other), "get", "prod", "b"])
        .refused(4, "fingerprint is not the pinned one");
    // What was seen at a place is remembered without a pin as well.
    replace(&desk, &settled(&other));
    std::fs::copy(other.file("alice.identity"), desk.file("alice.identity")).unwrap();
    desk.run(["list"]).refused(4, "fingerprint is not the pinned one");
}

#[test]
fn a_pin_that_comes_later_keeps_the_memory() {
    let desk = desk();
    let yesterday = settled(&desk);
    desk.put("prod", "a", "newer");
    let fingerprint = desk.json(["status"])["fingerprint"].as_str().unwrap().to_owned();
    replace(&desk, &yesterday);
    desk.run(["--fingerprint", &fingerprint, "list"])
        .refused(4, "rolled back");
}

#[test]
fn a_flipped_bit_is_found() {
    let desk = desk();
    let whole = settled(&desk);
    // In every part of the file; a flip in unused space of a page is no harm and may pass.
    let mut refused = 0;
    for at in (120..whole.len()).step_by(whole.len() / 40) {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        replace(&desk, &flipped);
        let ran = desk.run(["verify"]);
        match ran.code {
            0 => assert_eq!(desk.ok(["get", "prod", "b"]), CANARY, "byte {at}"),
            4 => {
                refused += 1;
                assert!(ran.stderr.starts_with("error: "), "{}", ran.stderr);
            }
            code => panic!("byte {at}: exit code {code}: {}", ran.stderr),
        }
    }
    assert!(refused >= 5, "only {refused} flips were found");
    replace(&desk, &whole);
    desk.ok(["verify"]);
}

#[test]
fn a_forged_object_is_named() {
    let desk = desk();
    settled(&desk);
    let database = Connection::open(desk.file("store.db")).unwrap();
    let tables: Vec<String> = database
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let table = tables
        .iter()
        .find(|table| table.starts_with("object"))
        .expect("a table of objects");
    // The longest object is the value of 3000 bytes.
    let column = "bytes";
    database
        .execute(
            &format!(
                "UPDATE {table} SET {column} = zeroblob(length({column})) \
                 WHERE length({column}) = (SELECT max(length({column})) FROM {table})"
            ),
            [],
        )
        .unwrap();
    drop(database);
    desk.run(["verify"]).refused(4, "is not the one that was signed");
}

#[test]
fn a_cut_off_file_is_refused() {
    let desk = desk();
    let whole = settled(&desk);
    for length in [0, 10, 100, 4096, whole.len() / 2, whole.len() - 4096] {
        replace(&desk, &whole[..length]);
        let ran = desk.run(["list"]);
        assert!(
            matches!(ran.code, 4 | 5 | 1),
            "{length} bytes: exit code {}: {}",
            ran.code,
            ran.stderr
        );
        assert!(
            ran.stdout.is_empty() && ran.stderr.starts_with("error: "),
            "{}",
            ran.stderr
        );
        if length > 100 {
            assert_eq!(ran.code, 4, "{length} bytes: {}", ran.stderr);
        }
    }
    replace(&desk, &whole);
    desk.ok(["verify"]);
}

#[test]
fn a_store_of_a_newer_format_is_said_to_be_newer() {
    let desk = desk();
    settled(&desk);
    let database = Connection::open(desk.file("store.db")).unwrap();
    database.pragma_update(None, "user_version", 999).unwrap();
    drop(database);
    desk.run(["list"]).refused(4, "has format 999");
}

#[test]
fn what_is_no_store_is_out_of_reach_or_refused() {
    let desk = desk();
    desk.run(["--store", "sqlite:./nowhere.db", "list"])
        .refused(5, "there is no store here");
    desk.run(["--store", "sqlite:", "list"])
        .refused(2, "the path is empty");
    desk.run(["--store", "file.db", "list"])
        .refused(2, "a store is given as `sqlite:PATH`");
    desk.write(
        "text.db",
        "this is no database, whatever it is named, and longer than a header ".repeat(20),
    );
    let ran = desk.run(["--store", "sqlite:./text.db", "list"]);
    assert!(ran.code == 4 || ran.code == 5, "{}: {}", ran.code, ran.stderr);
    std::fs::create_dir(desk.file("dir.db")).unwrap();
    let ran = desk.run(["--store", "sqlite:./dir.db", "list"]);
    assert!(ran.code == 5 || ran.code == 4, "{}: {}", ran.code, ran.stderr);
}

#[test]
fn a_locked_store_is_out_of_reach_and_unharmed() {
    let desk = desk();
    let database = Connection::open(desk.file("store.db")).unwrap();
    database.execute_batch("BEGIN IMMEDIATE").unwrap();
    // Readers are not in the way of a writer.
    assert_eq!(desk.ok(["get", "prod", "b"]), CANARY);
    desk.run(["put", "prod", "b", "--value", "x"])
        .refused(5, "cannot be reached");
    database.execute_batch("ROLLBACK").unwrap();
    drop(database);
    desk.put("prod", "b", "later");
    assert_eq!(desk.ok(["get", "prod", "b"]), "later");
}

#[test]
fn verify_counts_what_it_checked() {
    let desk = desk();
    let verified = desk.json(["verify"]);
    assert_eq!(verified["commits"], 4);
    assert!(
        verified["objects"].as_u64().unwrap() >= 6 && verified["opened"].as_u64().unwrap() >= 4,
        "{verified}"
    );
    assert_eq!(verified["hash"], desk.json(["status"])["hash"]);
    assert!(desk.ok(["verify"]).contains("is whole"));
}

#[test]
fn an_admins_verification_leaves_a_checkpoint_and_a_readers_cannot() {
    let desk = desk();
    let checkpoints = || {
        let db = rusqlite::Connection::open(desk.file("store.db")).unwrap();
        db.query_row("SELECT count(*) FROM checkpoint", [], |row| row.get::<_, i64>(0))
            .unwrap()
    };
    assert_eq!(checkpoints(), 0);
    desk.ok(["verify", "--checkpoint"]);
    assert_eq!(checkpoints(), 1);
    desk.ok(["verify"]);
    let web = desk.member("web", "reader", &["prod"]);
    let identity = web.to_str().unwrap();
    desk.run(["--identity", identity, "verify", "--checkpoint"])
        .refused(3, "only an admin's checkpoint counts");
}

#[test]
fn a_state_directory_that_cannot_be_written_is_a_warning() {
    let desk = desk();
    let mut command = desk.command(["get", "prod", "b"]);
    // Nobody makes a directory there, root neither.
    command.env("STRONGROOM_TRUST_DIR", "/proc/none");
    let ran = Ran::of(command.output().unwrap());
    assert!(
        ran.stderr.starts_with("warning: ") && ran.stderr.contains("could not be remembered"),
        "{}",
        ran.stderr
    );
    assert_eq!(ran.ok(), CANARY);
}
