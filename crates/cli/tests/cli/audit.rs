//! Reading an audit log: what was done to it is found, and its records are shown as they are asked for.

use std::path::PathBuf;
use std::process::Child;

use strongroom_core::ambient::{Ambient, Timestamp};
use strongroom_core::audit::{
    Chain, Decision, Head, Name, Names, Note, Position, Record, Subject, file_name,
};
use strongroom_core::crypto::identity::Identity;
use strongroom_core::id::Revision;
use strongroom_core::name::{EntryPath, EnvironmentName};
use strongroom_core::workload::{Kernel, Workload};

use crate::desk::{BINARY, Desk};

/// A log of its own in a directory of the desk.
struct Log {
    identity: Identity,
    directory: PathBuf,
    chain: Chain,
    file: PathBuf,
}

impl Log {
    fn new(desk: &Desk) -> Self {
        let directory = desk.file("log");
        std::fs::create_dir(&directory).unwrap();
        let mut log = Self {
            identity: Identity::generate(&Ambient::system()).unwrap(),
            file: directory.join(file_name(1)),
            directory,
            chain: Chain::after(Position::START),
        };
        log.head();
        log
    }

    fn line(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        let (mut body, mut line) = (Vec::new(), std::fs::read(&self.file).unwrap_or_default());
        encode(&mut body);
        // one second a line, from noon on
        let at = 1_764_417_600_000 + self.chain.next_seq() * 1000;
        self.chain.append(Timestamp(at), &body, &mut line);
        std::fs::write(&self.file, line).unwrap();
    }

    fn head(&mut self) {
        let head = Head::sign(self.chain.last(), self.identity.signing_key());
        self.line(|out| head.encode(out));
    }

    fn rotate(&mut self) {
        self.file = self.directory.join(file_name(self.chain.next_seq()));
        self.head();
    }

    fn record(&mut self, uid: u32, path: &str, decision: Decision) {
        let workload = Workload {
            kernel: Kernel {
                uid,
                gid: 5,
                groups: Vec::new(),
                pid: Some(7),
                executable: None,
                cgroup: None,
                container: None,
                unit: Some("web.service".to_owned()),
                user_unit: None,
            },
            engine: None,
        };
        let subject = Subject::workload(&workload);
        let environment = EnvironmentName::new("prod").unwrap();
        let path = EntryPath::new(path).unwrap();
        self.line(|out| {
            Record {
                revision: Revision(3),
                subject: &subject,
                action: "readSecret",
                entry: None,
                name: Some(Name {
                    environment: &environment,
                    path: Some(&path),
                }),
                decision,
                reason: None,
                policies: &["web-reads".into()],
                request: None,
            }
            .encode(&Names::Clear, out);
        });
    }
}

fn filled(desk: &Desk) -> Log {
    let mut log = Log::new(desk);
    for uid in 0..4 {
        log.record(uid, "web/token", Decision::Allow);
    }
    log.record(9, "web/other", Decision::Deny);
    log.head();
    log
}

#[test]
fn a_whole_log_is_verified_against_a_key_and_a_noted_head() {
    let desk = Desk::bare();
    let mut log = filled(&desk);
    let text = desk.ok(["audit", "verify", "log"]);
    let end = log.chain.last();
    assert!(text.starts_with("log is whole\n7 records in 1 files\n"), "{text}");
    assert!(text.ends_with(&format!("head {end}\n")), "{text}");
    let public = log.identity.public().to_string();
    let noted = desk.json(["audit", "verify", "log", "--public", &public]);
    let noted = noted["head"].as_str().unwrap().to_owned();
    log.rotate();
    desk.ok(["audit", "verify", "log", "--public", &public, "--since", &noted]);
    let stranger = Identity::generate(&Ambient::system())
        .unwrap()
        .public()
        .to_string();
    desk.run(["--json", "audit", "verify", "log", "--public", &stranger]);
    let refused = desk.run(["audit", "verify", "log", "--public", &stranger]);
    assert_eq!(refused.code, 4);
    assert!(
        refused.stderr.contains("audit-0000000000000001.jsonl:1: "),
        "{}",
        refused.stderr
    );
    // the newest file is gone, and the end of the other
    std::fs::remove_file(&log.file).unwrap();
    let first = log.directory.join(file_name(1));
    let bytes = std::fs::read_to_string(&first).unwrap();
    let cut: String = bytes.lines().take(5).map(|line| format!("{line}\n")).collect();
    std::fs::write(&first, cut).unwrap();
    desk.ok(["audit", "verify", "log"]);
    let refused = desk.run(["audit", "verify", "log", "--since", &noted]);
    assert_eq!(refused.code, 4);
    assert!(
        refused.stderr.contains("its end was removed"),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_changed_record_ends_with_4_and_its_place() {
    let desk = Desk::bare();
    let log = filled(&desk);
    let text = std::fs::read_to_string(&log.file).unwrap();
    std::fs::write(&log.file, text.replace("\"uid\":2", "\"uid\":3")).unwrap();
    let ran = desk.run(["audit", "verify", "log", "--json"]);
    assert_eq!(ran.code, 4);
    let json: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!((&json["whole"], &json["faults"]), (&false.into(), &1.into()));
    assert_eq!(json["problems"][0]["line"], 4);
    assert!(ran.stderr.contains("\"exit\":4"), "{}", ran.stderr);
    desk.run(["audit", "verify", "nowhere"]).refused(1, "nowhere");
    desk.run(["audit", "show", "home"])
        .refused(1, "holds no audit log");
}

#[test]
fn records_are_shown_by_entry_user_decision_and_time() {
    let desk = Desk::bare();
    let mut log = filled(&desk);
    log.line(|out| {
        Note {
            what: "stopped",
            count: None,
            about: None,
        }
        .encode(out);
    });
    let show = |arguments: &[&str]| desk.ok([&["audit", "show", "log"], arguments].concat());
    assert_eq!(show(&[]).lines().count(), 5);
    assert_eq!(
        show(&["--decision", "deny"]),
        "2025-11-29T12:00:06.000Z  deny   readSecret  prod/web/other  uid=9 pid=7 unit=web.service  r3  by web-reads\n"
    );
    assert_eq!(show(&["--uid", "2"]).lines().count(), 1);
    assert_eq!(show(&["--entry", "prod/web/token"]).lines().count(), 4);
    let between = [
        "--since",
        "2025-11-29T12:00:03Z",
        "--until",
        "2025-11-29T12:00:05Z",
    ];
    assert_eq!(show(&between).lines().count(), 2);
    assert_eq!(show(&["--all"]).lines().count(), 8);
    let line = show(&["--decision", "deny", "--json"]);
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["workload"]["uid"], 9);
    desk.run(["audit", "show", "log", "--entry", "token"])
        .refused(2, "ENV/PATH");
}

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn tail_shows_the_newest_and_follows_into_the_next_file() {
    use std::io::BufRead as _;
    let desk = Desk::bare();
    let mut log = filled(&desk);
    let text = desk.ok(["audit", "tail", "log", "-n", "2"]);
    assert!(text.lines().count() == 2 && text.contains("uid=9"), "{text}");
    let mut tail = desk.other(BINARY);
    let mut tail = Ended(
        tail.args(["audit", "tail", "log", "-n", "1", "-f"])
            .spawn()
            .unwrap(),
    );
    let mut lines = std::io::BufReader::new(tail.0.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains("uid=9"));
    log.record(11, "web/token", Decision::Allow);
    assert!(lines.next().unwrap().unwrap().contains("uid=11"));
    log.rotate();
    log.record(12, "web/token", Decision::Allow);
    assert!(lines.next().unwrap().unwrap().contains("uid=12"));
}
