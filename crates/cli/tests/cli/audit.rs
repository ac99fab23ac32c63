//! Reading an audit log: what was done to it is found, and its records are shown as they are asked for.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Child;

use strongroom_core::ambient::{Ambient, Timestamp};
use strongroom_core::audit::{
    Chain, Decision, Head, Name, Names, Note, Position, Record, Subject, file_name,
};
use strongroom_core::crypto::identity::Identity;
use strongroom_core::id::Revision;
use strongroom_core::name::{EntryPath, EnvironmentName};
use strongroom_core::workload::{Kernel, Workload};

use crate::desk::{BINARY, Desk, Ran};

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
        let line = self.next(encode);
        append(&self.file, &line);
    }

    /// The next line, which is not written.
    fn next(&mut self, encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let (mut body, mut line) = (Vec::new(), Vec::new());
        encode(&mut body);
        // one second a line, from noon on
        let at = 1_764_417_600_000 + self.chain.next_seq() * 1000;
        self.chain.append(Timestamp(at), &body, &mut line);
        line
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
        let line = self.made(uid, path, decision);
        append(&self.file, &line);
    }

    fn made(&mut self, uid: u32, path: &str, decision: Decision) -> Vec<u8> {
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
        self.next(|out| {
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
        })
    }
}

fn append(file: &Path, bytes: &[u8]) {
    let mut options = std::fs::File::options();
    let mut file = options.append(true).create(true).open(file).unwrap();
    file.write_all(bytes).unwrap();
}

fn cut(file: &Path, length: u64) {
    let file = std::fs::File::options().write(true).open(file).unwrap();
    file.set_len(length).unwrap();
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
    let desk = Desk::bare();
    let mut log = filled(&desk);
    let text = desk.ok(["audit", "tail", "log", "-n", "2"]);
    assert!(text.lines().count() == 2 && text.contains("uid=9"), "{text}");
    let (_tail, mut lines) = following(&desk);
    log.record(11, "web/token", Decision::Allow);
    assert!(lines.next().unwrap().contains("uid=11"));
    log.rotate();
    log.record(12, "web/token", Decision::Allow);
    assert!(lines.next().unwrap().contains("uid=12"));
}

/// `audit tail -f` of the log, and its lines after the newest.
fn following(desk: &Desk) -> (Ended, impl Iterator<Item = String>) {
    use std::io::BufRead as _;
    let mut tail = desk.other(BINARY);
    let mut tail = Ended(
        tail.args(["audit", "tail", "log", "-n", "1", "-f"])
            .spawn()
            .unwrap(),
    );
    let lines = std::io::BufReader::new(tail.0.stdout.take().unwrap()).lines();
    let (sender, receiver) = std::sync::mpsc::channel();
    // it ends with the process
    std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
    let patience = std::time::Duration::from_secs(30);
    let mut lines = std::iter::from_fn(move || receiver.recv_timeout(patience).ok());
    assert!(lines.next().unwrap().contains("uid=9"));
    (tail, lines)
}

/// Waits until a process has read a file up to `length`.
fn has_read(child: &Child, file: &Path, length: u64) {
    let proc = format!("/proc/{}", child.id());
    let is_read = |fd: &std::ffi::OsStr| {
        let (link, info) = (format!("{proc}/fd"), format!("{proc}/fdinfo"));
        std::fs::read_link(Path::new(&link).join(fd)).is_ok_and(|open| open == file)
            && std::fs::read_to_string(Path::new(&info).join(fd)).is_ok_and(|info| {
                info.lines()
                    .any(|line| line.split_whitespace().collect::<Vec<_>>() == ["pos:", &length.to_string()])
            })
    };
    for _ in 0..1000 {
        let fds = std::fs::read_dir(format!("{proc}/fd")).unwrap();
        if fds.flatten().any(|fd| is_read(&fd.file_name())) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("the end was never read");
}

#[test]
fn tail_goes_on_after_a_torn_line_that_was_cut_off_or_finished() {
    let desk = Desk::bare();
    let mut log = filled(&desk);
    let (tail, mut lines) = following(&desk);
    let file = std::fs::canonicalize(&log.file).unwrap();
    let length = || std::fs::metadata(&file).unwrap().len();
    // a sidecar is killed within a line, and the next cuts it off
    let whole = length();
    append(&file, b"{\"seq\":8,\"torn\":");
    has_read(&tail.0, &file, length());
    cut(&file, whole);
    log.record(11, "web/token", Decision::Allow);
    assert!(lines.next().unwrap().contains("uid=11"));
    // a line comes in two parts
    let line = log.made(12, "web/token", Decision::Allow);
    let (one, two) = line.split_at(20);
    append(&file, one);
    has_read(&tail.0, &file, length());
    append(&file, two);
    assert!(lines.next().unwrap().contains("uid=12"));
    // one is no line, and longer than any
    append(&file, &vec![b'x'; 200_000]);
    append(&file, b"\n");
    log.record(13, "web/token", Decision::Allow);
    assert!(lines.next().unwrap().contains("uid=13"));
}

/// A torn line is at the end when `tail` begins.
#[test]
fn tail_begins_at_a_torn_line() {
    let desk = Desk::bare();
    let mut log = filled(&desk);
    let whole = std::fs::metadata(&log.file).unwrap().len();
    append(&log.file, b"{\"seq\":8,\"torn\":");
    let file = std::fs::canonicalize(&log.file).unwrap();
    let (tail, mut lines) = following(&desk);
    has_read(&tail.0, &file, std::fs::metadata(&file).unwrap().len());
    cut(&file, whole);
    log.record(11, "web/token", Decision::Allow);
    assert!(lines.next().unwrap().contains("uid=11"));
}

#[test]
fn records_behind_the_last_head_are_told_and_with_signed_a_fault() {
    let desk = Desk::bare();
    let mut log = filled(&desk);
    desk.ok(["audit", "verify", "log", "--signed"]);
    assert_eq!(desk.json(["audit", "verify", "log"])["unsigned"], 0);
    log.record(10, "web/token", Decision::Allow);
    log.record(11, "web/token", Decision::Allow);
    let text = desk.ok(["audit", "verify", "log"]);
    assert!(text.contains("; unsigned: 2 records after it"), "{text}");
    let json = desk.json(["audit", "verify", "log"]);
    assert_eq!((&json["whole"], &json["unsigned"]), (&true.into(), &2.into()));
    let ran = desk.run(["audit", "verify", "log", "--signed", "--json"]);
    assert_eq!(ran.code, 4);
    let json: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!((&json["whole"], &json["unsigned"]), (&false.into(), &2.into()));
    assert!(
        ran.stderr.contains("2 records at the end") && ran.stderr.contains("\"exit\":4"),
        "{}",
        ran.stderr
    );
    log.head();
    desk.ok(["audit", "verify", "log", "--signed"]);
}

#[test]
fn a_pipe_among_the_files_is_told_and_not_waited_for() {
    let desk = Desk::bare();
    let log = filled(&desk);
    let pipe = log.directory.join(file_name(9999));
    assert!(desk.other("mkfifo").arg(&pipe).status().unwrap().success());
    let ran = |command: &str| {
        let mut timed = desk.other("timeout");
        Ran::of(
            timed
                .args(["60", BINARY, "audit", command, "log"])
                .output()
                .unwrap(),
        )
    };
    let verified = ran("verify");
    assert_eq!(verified.code, 4, "{}", verified.stderr);
    assert!(verified.stderr.contains("no regular file"), "{}", verified.stderr);
    for command in ["show", "tail"] {
        let ran = ran(command);
        assert_eq!(ran.code, 0, "{command}: {}", ran.stderr);
        assert!(ran.stderr.contains("no regular file"), "{}", ran.stderr);
        assert_eq!(String::from_utf8(ran.stdout).unwrap().lines().count(), 5);
    }
}
