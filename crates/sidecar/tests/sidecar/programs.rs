//! What a client runs: another file is another program, and reading programs that are large or change
//! all the time keeps only their own user waiting.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use strongroom_core::attest::{Lost, Process};
use strongroom_sidecar::peer::{Attestor, Hold, NotAttested, Peer};

use crate::copied;
use crate::process::until;

/// Runs a shell at `path`, which goes on as what is there by then when it gets a line.
fn at(path: &Path) -> Child {
    copy("bash", path);
    Command::new(path)
        .args(["-c", "read -r; exec \"$0\" 60", path.to_str().unwrap()])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Puts a copy of `program` in the place of what is at `path`.
fn copy(program: &str, path: &Path) {
    let found = ["/usr/bin", "/bin"].map(|directory| Path::new(directory).join(program));
    let new = path.with_extension("new");
    copied::copy(found.iter().find(|path| path.exists()).unwrap(), &new);
    std::fs::rename(new, path).unwrap();
}

/// What `process` is seen to be, held by its directory.
fn hold(process: &Child, uid: u32, attestor: &std::sync::Arc<Attestor>) -> Peer {
    let pid = i32::try_from(process.id()).unwrap();
    let own = rustix::process::geteuid().as_raw();
    Peer::held(uid, uid, pid, Hold::directory(pid, own).unwrap(), attestor)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

#[test]
fn another_file_at_the_same_path_is_another_program() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x");
    let attestor = Attestor::start(None).unwrap();
    let mut child = at(&path);
    let pid = i32::try_from(child.id()).unwrap();
    let peer = hold(&child, 0, &attestor);
    runtime().block_on(async {
        peer.noted().await.unwrap();
        let before = Process::open(pid).unwrap().program();
        copy("sleep", &path);
        // the file was replaced, but it still runs the old one
        assert_eq!(peer.recheck().await, Ok(()));
        child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        until("it runs the other file", || {
            (Process::open(pid).ok()?.program() != before).then_some(())
        });
        let changed = NotAttested::Lost(Lost::Changed);
        assert_eq!(peer.recheck().await, Err(changed));
        assert_eq!(peer.workload().await.unwrap_err(), changed);
    });
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_uid_that_keeps_readers_busy_does_not_keep_another_waiting() {
    // more than all readers get through in the time that one waits, however fast the machine is
    const MANY: usize = 2000;
    use rustix::process::{Resource, Rlimit};
    let files = rustix::process::getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: files.maximum,
        ..files
    };
    rustix::process::setrlimit(Resource::Nofile, most).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x");
    let attestor = Attestor::start(None).unwrap();
    copy("bash", &path);
    // the largest that is hashed
    let large = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    large.set_len(256 * 1024 * 1024).unwrap();
    drop(large);
    let mut busy = Command::new(&path)
        .args(["-c", "read -r"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut other = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // no reading of it is good for the next one
        scope.spawn(|| {
            let touched = std::fs::File::open(&path).unwrap();
            while !done.load(Ordering::SeqCst) {
                touched.set_modified(std::time::SystemTime::now()).unwrap();
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
        });
        let (seen, ended) = runtime().block_on(async {
            let mut many = tokio::task::JoinSet::new();
            for _ in 0..MANY {
                let peer = hold(&busy, 1001, &attestor);
                many.spawn(async move { peer.workload().await.map(drop) });
            }
            // a runtime begins some of what waits at a time: all are before the other one
            for _ in 0..MANY {
                tokio::task::yield_now().await;
            }
            let seen = hold(&other, 1002, &attestor).workload().await;
            let mut ended = 0;
            for _ in 0..MANY {
                tokio::task::yield_now().await;
                ended += usize::from(many.try_join_next().is_some());
            }
            (seen, ended)
        });
        done.store(true, Ordering::SeqCst);
        assert_eq!(seen.map(|seen| seen.kernel.uid), Ok(1002));
        // without a share of its own it would have come after all who asked before, or gave up
        assert!(ended < MANY / 2, "{ended} ended first");
    });
    for child in [&mut busy, &mut other] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
