//! The audit log: a record encoded and chained, and a million of them verified beside bare hashing
//! of the same files, by turns in one run. `cargo bench -p strongroom-core --bench audit`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod kit;

use std::fs::File;
use std::hint::black_box;
use std::io::{BufWriter, Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kit::{head, line, pair, per_call, rate, resident, show, time};
use ring::digest::{Context, SHA256};
use strongroom_core::ambient::{Ambient, Timestamp};
use strongroom_core::audit::{
    Chain, Decision, Head, Name, Names, Position, Record, RequestId, Subject, Verifier, file_name, files,
    verify_directory,
};
use strongroom_core::crypto::identity::Identity;
use strongroom_core::id::{EntryId, Revision};
use strongroom_core::name::{EntryPath, EnvironmentName};
use strongroom_core::workload::{Container, Executable, Kernel, Runtime, Workload};

const RECORDS: u64 = 1_000_000;
const A_HEAD: u64 = 1000;
const A_FILE: u64 = 150_000;
const ROUNDS: usize = 3;
/// More than this, and verifying would depend on the length of the log.
const MEMORY: u64 = 8 << 20;

fn main() {
    head("Audit");
    let world = World::new();
    let each = world.recording();
    line(
        "a record encoded and chained",
        &show(each),
        "under 1 µs",
        each < Duration::from_micros(1),
    );
    let directory = tempfile::tempdir().unwrap();
    world.fill(directory.path());
    let before = resident();
    let (ours, bare) = pair(
        ROUNDS,
        || time(|| verify(directory.path())),
        || time(|| hash(directory.path())),
    );
    let grown = resident().saturating_sub(before);
    let each = |total: Duration| RECORDS as f64 / total.as_secs_f64();
    rate(
        "a million records verified, in files that rotate",
        "the same bytes hashed",
        each(ours),
        each(bare),
        0.5,
    );
    line(
        "memory that verifying them took",
        &format!("{:.1} MiB", grown as f64 / f64::from(1 << 20)),
        "under 8 MiB",
        grown < MEMORY,
    );
}

struct World {
    identity: Identity,
    subject: Subject,
    environment: EnvironmentName,
    path: EntryPath,
    policies: [Arc<str>; 1],
}

impl World {
    fn new() -> Self {
        let workload = Workload {
            kernel: Kernel {
                uid: 1000,
                gid: 1000,
                groups: Vec::new(),
                pid: Some(12_345),
                executable: Some(Executable {
                    path: "/usr/local/bin/web".to_owned(),
                    sha256: None,
                }),
                cgroup: None,
                container: Some(Container {
                    runtime: Runtime::Docker,
                    id: "c".repeat(64),
                    pod: None,
                    user: None,
                }),
                unit: Some("docker.service".to_owned()),
                user_unit: None,
            },
            engine: None,
        };
        Self {
            identity: Identity::generate(&Ambient::system()).unwrap(),
            subject: Subject::workload(&workload),
            environment: EnvironmentName::new("prod").unwrap(),
            path: EntryPath::new("web/database/password").unwrap(),
            policies: ["policies/web-reads".into()],
        }
    }

    fn encode(&self, request: u64, out: &mut Vec<u8>) {
        let name = Name {
            environment: &self.environment,
            path: Some(&self.path),
        };
        let record = Record {
            revision: Revision(42),
            subject: &self.subject,
            action: "readSecret",
            entry: Some(EntryId([0xab; 16])),
            name: Some(name),
            decision: Decision::Allow,
            reason: None,
            policies: &self.policies,
            request: Some(RequestId(request)),
        };
        record.encode(&Names::Clear, out);
    }

    fn recording(&self) -> Duration {
        let mut chain = Chain::after(Position::START);
        let (mut body, mut lines) = (Vec::new(), Vec::new());
        per_call(200_000, || {
            body.clear();
            lines.clear();
            self.encode(7, &mut body);
            chain.append(Timestamp(1_764_381_247_123), &body, &mut lines);
            black_box(&lines);
        })
    }

    fn fill(&self, directory: &Path) {
        let mut chain = Chain::after(Position::START);
        let (mut body, mut lines) = (Vec::new(), Vec::new());
        let mut file = None;
        for at in 0..RECORDS {
            lines.clear();
            if at % A_FILE == 0 {
                let path = directory.join(file_name(chain.next_seq()));
                file = Some(BufWriter::new(File::create(path).unwrap()));
            }
            if at % A_FILE == 0 || at % A_HEAD == 0 {
                body.clear();
                Head::sign(chain.last(), self.identity.signing_key()).encode(&mut body);
                chain.append(Timestamp(at), &body, &mut lines);
            }
            body.clear();
            self.encode(at, &mut body);
            chain.append(Timestamp(at), &body, &mut lines);
            file.as_mut().unwrap().write_all(&lines).unwrap();
        }
        file.unwrap().flush().unwrap();
    }
}

fn verify(directory: &Path) {
    let report = verify_directory(directory, Verifier::default()).unwrap();
    assert!(report.is_whole() && report.lines > RECORDS);
}

fn hash(directory: &Path) {
    let mut buffer = vec![0; 128 << 10];
    for file in files(directory).unwrap() {
        let mut context = Context::new(&SHA256);
        let mut file = File::open(file.path).unwrap();
        loop {
            match file.read(&mut buffer).unwrap() {
                0 => break,
                read => context.update(&buffer[..read]),
            }
        }
        black_box(context.finish());
    }
}
