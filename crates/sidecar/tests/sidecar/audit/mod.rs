//! The audit sink: every record is in the log or refused in bounded time. Here is what its tests share.

mod disks;
mod faults;
mod log;
mod media;
mod troubles;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use strongroom_core::ambient::Ambient;
use strongroom_core::audit::{
    Body, Decision, Line, Position, Record, Report, RequestId, Subject, Verifier, files, verify_directory,
};
use strongroom_core::crypto::identity::Identity;
use strongroom_core::id::Revision;
use strongroom_sidecar::audit::{AuditError, Medium, Options, Sink};

use crate::scene::Scene;

pub(super) struct Desk {
    pub(super) scene: Scene,
    pub(super) identity: Arc<Identity>,
    subject: Subject,
}

impl Desk {
    pub(super) fn new() -> Self {
        Self {
            scene: Scene::new(),
            identity: Arc::new(Identity::generate(&Ambient::system()).unwrap()),
            subject: Subject::member("web"),
        }
    }

    pub(super) fn directory(&self) -> std::path::PathBuf {
        self.scene.file("audit")
    }

    pub(super) fn options(&self) -> Options {
        Options::new(self.directory())
    }

    pub(super) fn open(&self, options: Options) -> Sink {
        let snapshot = self.scene.vault.snapshot();
        Sink::open(options, &snapshot, Arc::clone(&self.identity), Ambient::system()).unwrap()
    }

    pub(super) fn on(&self, medium: impl Medium + 'static, timeout: Duration) -> Sink {
        let options = Options {
            timeout,
            ..self.options()
        };
        self.with(medium, options)
    }

    pub(super) fn with(&self, medium: impl Medium + 'static, options: Options) -> Sink {
        Sink::on(
            Box::new(medium),
            options,
            Arc::clone(&self.identity),
            Ambient::system(),
        )
        .unwrap()
    }

    pub(super) fn record(&self, request: u64) -> Record<'_> {
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

    pub(super) fn write(&self, sink: &Sink, request: u64) -> Result<u64, AuditError> {
        sink.try_write(&self.record(request))
            .wait()
            .map(|written| written.seq())
    }

    pub(super) fn verify(&self, since: Option<Position>) -> Report {
        let key = self.identity.signing_key().verify_key();
        verify_directory(&self.directory(), Verifier::new(vec![key], since)).unwrap()
    }

    pub(super) fn whole(&self) -> Report {
        let report = self.verify(None);
        assert!(report.is_whole(), "{:?}", report.problems);
        report
    }
}

/// The numbers of the requests in the log, and the words of its notes.
pub(super) fn told(directory: &Path) -> (Vec<u64>, Vec<String>) {
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

pub(super) fn until(mut f: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !f() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it does not happen");
        std::thread::sleep(Duration::from_millis(5));
    }
}
