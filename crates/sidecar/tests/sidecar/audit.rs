//! The audit sink: every record is in the log or refused in bounded time, whatever happens to the
//! disk, and the log goes on by itself.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use strongroom_core::ambient::Ambient;
use strongroom_core::audit::{
    Body, Decision, Fault, Line, Name, Position, Record, Report, RequestId, Subject, Verifier, files,
    verify_directory,
};
use strongroom_core::crypto::identity::Identity;
use strongroom_core::id::Revision;
use strongroom_core::name::MemberName;
use strongroom_sidecar::audit::{Attempt, AuditError, Durability, Files, Medium, Options, Sink};

use crate::scene::{Scene, environment, path};

struct Desk {
    scene: Scene,
    identity: Arc<Identity>,
    subject: Subject,
}

impl Desk {
    fn new() -> Self {
        Self {
            scene: Scene::new(),
            identity: Arc::new(Identity::generate(&Ambient::system()).unwrap()),
            subject: Subject::member(&MemberName::new("web").unwrap()),
        }
    }

    fn directory(&self) -> std::path::PathBuf {
        self.scene.file("audit")
    }

    fn options(&self) -> Options {
        Options::new(self.directory())
    }

    fn open(&self, options: Options) -> Sink {
        let snapshot = self.scene.vault.snapshot();
        Sink::open(options, &snapshot, Arc::clone(&self.identity), Ambient::system()).unwrap()
    }

    fn on(&self, medium: impl Medium + 'static, timeout: Duration) -> Sink {
        let options = Options {
            timeout,
            ..self.options()
        };
        Sink::on(
            Box::new(medium),
            options,
            Arc::clone(&self.identity),
            Ambient::system(),
        )
        .unwrap()
    }

    fn record(&self, request: u64) -> Record<'_> {
        Record {
            revision: Revision(1),
            subject: &self.subject,
            action: "readSecret",
            entry: None,
            name: None,
            decision: Decision::Allow,
            reason: None,
            policies: &[],
            request: Some(RequestId(request)),
        }
    }

    fn write(&self, sink: &Sink, request: u64) -> Result<u64, AuditError> {
        sink.try_write(&self.record(request))
            .wait()
            .map(|written| written.seq())
    }

    fn verify(&self, since: Option<Position>) -> Report {
        let key = self.identity.signing_key().verify_key();
        verify_directory(&self.directory(), Verifier::new(vec![key], since)).unwrap()
    }

    fn whole(&self) -> Report {
        let report = self.verify(None);
        assert!(report.is_whole(), "{:?}", report.problems);
        report
    }
}

/// The numbers of the requests in the log, and the words of its notes.
fn told(directory: &Path) -> (Vec<u64>, Vec<String>) {
    let (mut requests, mut notes) = (Vec::new(), Vec::new());
    for file in files(directory).unwrap() {
        for line in std::fs::read(&file.path).unwrap().split(|byte| *byte == b'\n') {
            match Line::parse(line).map(|line| line.body) {
                Ok(Body::Record(record)) => requests.push(record.request.unwrap().0),
                Ok(Body::Note(note)) => notes.push(note.what.get().into_owned()),
                _ => {}
            }
        }
    }
    (requests, notes)
}

fn until(mut f: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !f() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it does not happen");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_log_goes_on_after_a_restart_and_is_signed_to_its_end() {
    let desk = Desk::new();
    for round in 0..3 {
        let sink = desk.open(desk.options());
        for request in 0..5 {
            assert!(matches!(
                sink.try_write(&desk.record(round * 5 + request)),
                Attempt::Done(_)
            ));
        }
        sink.stop();
        let refused = sink.try_write(&desk.record(99)).wait();
        assert!(matches!(refused, Err(AuditError::Stopped)));
        let report = desk.whole();
        assert!(report.closed);
        assert_eq!(report.unsigned(), 1, "the last head alone");
    }
    let (requests, notes) = told(&desk.directory());
    assert_eq!(requests, (0..15).collect::<Vec<_>>());
    assert_eq!(
        notes,
        ["started", "stopped", "started", "stopped", "started", "stopped"]
    );
    assert_eq!(desk.whole().files, 1);
    let mode = |path: &Path| std::os::unix::fs::MetadataExt::mode(&path.metadata().unwrap()) & 0o777;
    assert_eq!(mode(&desk.directory()), 0o700);
    assert_eq!(mode(&files(&desk.directory()).unwrap()[0].path), 0o600);
}

#[test]
fn many_threads_write_while_files_rotate() {
    const EACH: u64 = 3000;
    for durability in [Durability::Written, Durability::Fsync] {
        let each = if durability == Durability::Fsync {
            EACH / 10
        } else {
            EACH
        };
        let desk = Desk::new();
        let sink = desk.open(Options {
            rotate_bytes: 65_536,
            head_every_records: 100,
            timeout: Duration::from_secs(20),
            durability,
            ..desk.options()
        });
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (desk, sink) = (&desk, &sink);
                scope.spawn(move || {
                    let mut before = 0;
                    for at in 0..each {
                        let seq = desk.write(sink, thread * each + at).unwrap();
                        assert!(seq > before, "in order for each thread");
                        before = seq;
                    }
                });
            }
        });
        sink.stop();
        let report = desk.whole();
        let (requests, _) = told(&desk.directory());
        assert_eq!(requests.len() as u64, 4 * each);
        assert_eq!(
            requests.into_iter().collect::<BTreeSet<_>>().len() as u64,
            4 * each
        );
        if durability == Durability::Written {
            assert!(report.files > 5, "{}", report.files);
        }
    }
}

#[test]
fn an_answer_of_many_values_is_recorded_whole() {
    let desk = Desk::new();
    let sink = desk.open(desk.options());
    let records: Vec<_> = (0..500).map(|at| desk.record(at)).collect();
    drop(sink.try_write_all(&records).wait().unwrap());
    assert!(matches!(
        sink.try_write_all(&[]),
        Attempt::Failed(AuditError::Nothing)
    ));
    drop(sink);
    assert_eq!(told(&desk.directory()).0.len(), 500);
    desk.whole();
}

#[test]
fn hashed_names_can_be_tested_by_a_member_and_read_by_nobody() {
    let desk = Desk::new();
    let sink = desk.open(Options {
        hashed_names: true,
        ..desk.options()
    });
    let (environment, path) = (environment("prod"), path("web/database/password"));
    let name = Name {
        environment: &environment,
        path: Some(&path),
    };
    let record = Record {
        name: Some(name),
        ..desk.record(1)
    };
    drop(sink.try_write(&record).wait().unwrap());
    drop(sink);
    let text = std::fs::read_to_string(&files(&desk.directory()).unwrap()[0].path).unwrap();
    assert!(!text.contains("database"));
    let snapshot = desk.scene.vault.snapshot();
    let names = strongroom_core::audit::Names::Hashed(strongroom_core::audit::NameKey::of(&snapshot));
    assert!(text.contains(&names.text(name)));
}

/// Files that fail or take long when told to.
struct Broken {
    files: Files,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    error: Mutex<Option<io::ErrorKind>>,
    delay: AtomicU64,
    writes: AtomicU64,
}

impl State {
    fn set(&self, error: Option<io::ErrorKind>) {
        *self.error.lock().unwrap() = error;
    }
}

impl Medium for Broken {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.state.writes.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(self.state.delay.load(Ordering::SeqCst)));
        match *self.state.error.lock().unwrap() {
            Some(kind) => Err(kind.into()),
            None => self.files.append(bytes),
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        self.files.flush()
    }
    fn check(&mut self) -> io::Result<()> {
        self.files.check()
    }
    fn begin(&mut self, first: u64, bytes: &[u8]) -> io::Result<Option<File>> {
        self.files.begin(first, bytes)
    }
    fn length(&self) -> Option<u64> {
        self.files.length()
    }
    fn name(&self) -> String {
        self.files.name()
    }
    fn prune(&mut self, keep: usize) -> io::Result<Vec<String>> {
        self.files.prune(keep)
    }
}

fn broken(desk: &Desk) -> (Broken, Arc<State>) {
    let state: Arc<State> = Arc::default();
    let (files, _) = Files::open(&desk.directory()).unwrap();
    let medium = Broken {
        files,
        state: Arc::clone(&state),
    };
    (medium, state)
}

#[test]
fn an_error_refuses_at_once_and_is_over_when_its_cause_is() {
    let desk = Desk::new();
    let (medium, state) = broken(&desk);
    let sink = desk.on(medium, Duration::from_secs(10));
    desk.write(&sink, 1).unwrap();
    assert_eq!(sink.trouble(), None);
    state.set(Some(io::ErrorKind::StorageFull));
    let begun = Instant::now();
    for request in 10..20 {
        let refused = desk.write(&sink, request);
        assert_eq!(refused, Err(AuditError::Io(io::ErrorKind::StorageFull)));
    }
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "nobody waited for the timeout"
    );
    assert!(sink.trouble().is_some());
    state.set(None);
    // without anybody asking
    until(|| sink.trouble().is_none());
    desk.write(&sink, 2).unwrap();
    drop(sink);
    desk.whole();
    let (requests, notes) = told(&desk.directory());
    assert_eq!(requests, [1, 2], "what was refused is not there");
    assert_eq!(notes, ["resumed", "stopped"]);
}

#[test]
fn a_slow_disk_refuses_in_bounded_time_and_only_one_caller_is_held_up() {
    let desk = Desk::new();
    let (medium, state) = broken(&desk);
    let sink = desk.on(medium, Duration::from_millis(100));
    desk.write(&sink, 1).unwrap();
    state.delay.store(1500, Ordering::SeqCst);
    std::thread::scope(|scope| {
        let before = state.writes.load(Ordering::SeqCst);
        // whoever finds the lock free is in the write, and comes back with it
        let first = scope.spawn(|| desk.write(&sink, 2));
        until(|| state.writes.load(Ordering::SeqCst) > before);
        let begun = Instant::now();
        for request in 10..14 {
            assert_eq!(desk.write(&sink, request), Err(AuditError::Late));
        }
        assert!(
            begun.elapsed() < Duration::from_millis(1400),
            "{:?}",
            begun.elapsed()
        );
        assert!(sink.trouble().is_some());
        first.join().unwrap().unwrap();
    });
    // from then on nobody is in a write, and all are answered in time
    let begun = Instant::now();
    for request in 20..24 {
        assert_eq!(desk.write(&sink, request), Err(AuditError::Late));
    }
    assert!(
        begun.elapsed() < Duration::from_millis(1400),
        "{:?}",
        begun.elapsed()
    );
    state.delay.store(0, Ordering::SeqCst);
    until(|| desk.write(&sink, 3).is_ok() && sink.trouble().is_none());
    drop(sink);
    desk.whole();
}

#[tokio::test]
async fn a_future_is_woken_or_late() {
    let desk = Desk::new();
    let (medium, state) = broken(&desk);
    let sink = desk.on(medium, Duration::from_millis(200));
    state.set(Some(io::ErrorKind::Other));
    assert!(matches!(sink.try_write(&desk.record(1)), Attempt::Failed(_)));
    state.set(None);
    state.delay.store(60, Ordering::SeqCst);
    let Attempt::Pending(pending) = sink.try_write(&desk.record(2)) else {
        panic!("only the sink's thread writes after an error")
    };
    drop(pending.await.unwrap());
    state.delay.store(1000, Ordering::SeqCst);
    let Attempt::Pending(pending) = sink.try_write(&desk.record(3)) else {
        panic!("and until writes were quick again")
    };
    assert_eq!(pending.await.unwrap_err(), AuditError::Late);
    state.delay.store(0, Ordering::SeqCst);
    drop(sink);
    desk.whole();
}

#[test]
fn a_deleted_file_and_a_removed_directory_are_noticed_and_gone_on_after() {
    let desk = Desk::new();
    let sink = desk.open(desk.options());
    desk.write(&sink, 1).unwrap();
    let file = files(&desk.directory()).unwrap()[0].path.clone();
    std::fs::remove_file(&file).unwrap();
    // noticed within a tenth of a second, by whoever writes then
    until(|| desk.write(&sink, 2) == Err(AuditError::Io(io::ErrorKind::NotFound)));
    until(|| desk.write(&sink, 3).is_ok());
    assert!(sink.trouble().is_none());
    std::fs::remove_dir_all(desk.directory()).unwrap();
    until(|| desk.write(&sink, 4).is_err());
    until(|| desk.write(&sink, 5).is_ok());
    // another file in its place
    let file = files(&desk.directory()).unwrap()[0].path.clone();
    let other = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&file, other).unwrap();
    until(|| desk.write(&sink, 6).is_err());
    until(|| desk.write(&sink, 7).is_ok());
    drop(sink);
    let (requests, notes) = told(&desk.directory());
    assert_eq!(requests.last(), Some(&7));
    assert_eq!(
        notes.iter().filter(|note| *note == "gone").count(),
        2,
        "{notes:?}"
    );
    // what was written to the replaced file is missing, and that is found
    let report = desk.verify(None);
    assert!(
        matches!(report.problems[0].fault, Fault::Missing { .. }),
        "{:?}",
        report.problems
    );
    assert_eq!(report.problems[0].line, 1);
}

#[test]
fn a_torn_line_is_cut_off_and_a_damaged_file_put_aside() {
    let desk = Desk::new();
    drop(desk.open(desk.options()));
    let file = files(&desk.directory()).unwrap()[0].path.clone();
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, [&whole[..], b"{\"seq\":5,\"ti"].concat()).unwrap();
    let sink = desk.open(desk.options());
    desk.write(&sink, 1).unwrap();
    drop(sink);
    let report = desk.whole();
    assert_eq!(report.files, 1);
    let (_, notes) = told(&desk.directory());
    assert_eq!(notes, ["started", "stopped", "cut", "started", "stopped"]);

    // a byte in its middle is another one
    let mut bytes = std::fs::read(&file).unwrap();
    let at = whole.len() - 200;
    bytes[at] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let before = desk.verify(None);
    let sink = desk.open(desk.options());
    desk.write(&sink, 2).unwrap();
    drop(sink);
    let report = desk.verify(None);
    assert_eq!(report.files, 2);
    assert_eq!(report.problems[0].fault, Fault::PutAside);
    assert_eq!(report.problems[1].line, before.problems[0].line);
    // and the log goes on
    drop(desk.open(desk.options()));
    assert_eq!(desk.verify(None).faults, report.faults);
}

#[test]
fn one_directory_is_one_sidecars_and_nobody_elses_to_write() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new();
    let sink = desk.open(desk.options());
    let again = |desk: &Desk| {
        let snapshot = desk.scene.vault.snapshot();
        Sink::open(
            desk.options(),
            &snapshot,
            Arc::clone(&desk.identity),
            Ambient::system(),
        )
        .unwrap_err()
        .to_string()
    };
    assert!(again(&desk).contains("another sidecar"));
    drop(sink);
    std::fs::set_permissions(desk.directory(), PermissionsExt::from_mode(0o770)).unwrap();
    assert!(again(&desk).contains("chmod go-w"));
}

#[test]
fn old_files_are_removed_when_so_many_are_kept_and_the_log_says_so() {
    let desk = Desk::new();
    let sink = desk.open(Options {
        rotate_bytes: 65_536,
        keep: Some(2),
        ..desk.options()
    });
    for request in 0..2000 {
        desk.write(&sink, request).unwrap();
    }
    drop(sink);
    let report = desk.whole();
    assert!(report.files <= 3, "{}", report.files);
    assert!(report.first.unwrap().seq > 0);
    assert!(told(&desk.directory()).1.contains(&"removed".to_owned()));
}

#[test]
fn syslog_gets_every_line_and_what_it_does_not_take_is_counted() {
    let desk = Desk::new();
    let socket = desk.scene.file("log.sock");
    let daemon = UnixDatagram::bind(&socket).unwrap();
    let sink = desk.open(Options {
        syslog: Some(socket.clone()),
        head_every: Duration::from_millis(50),
        ..desk.options()
    });
    desk.write(&sink, 77).unwrap();
    let mut buffer = [0; 65536];
    daemon.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    loop {
        let length = daemon.recv(&mut buffer).unwrap();
        let text = std::str::from_utf8(&buffer[..length]).unwrap();
        assert!(text.starts_with("<86>strongroom-audit["), "{text}");
        let (_, line) = text.split_once(": ").unwrap();
        let line = Line::parse(line.as_bytes()).unwrap();
        if matches!(line.body, Body::Record(record) if record.request == Some(RequestId(77))) {
            break;
        }
    }
    drop(daemon);
    std::fs::remove_file(&socket).unwrap();
    desk.write(&sink, 78).unwrap();
    until(|| told(&desk.directory()).1.contains(&"dropped".to_owned()));
    drop(sink);
    desk.whole();
}
