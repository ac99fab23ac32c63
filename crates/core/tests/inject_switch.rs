//! Readers never see half a revision: they read as fast as they can while files are switched as
//! fast as they can.
#![cfg(feature = "inject")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod inject_kit;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use inject_kit::{Tmpfs, material};
use rustix::fs::{Mode, OFlags};
use strongroom_core::inject::files::{Directory, FilesSettings};

const SWITCHES: u64 = 500;
/// A reader finds everything of the revision it began with until so many switches later.
const KEPT: u64 = 8;

/// The names of a revision; some come and go.
fn expected(revision: u64) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = ["always", "dir/one", "dir/two"]
        .into_iter()
        .map(str::to_owned)
        .collect();
    if revision.is_multiple_of(2) {
        names.insert("even".to_owned());
    }
    names.insert(format!("turn/{}", revision % 3));
    names
}

fn switch(directory: &mut Directory, revision: u64) {
    let names = expected(revision);
    // long enough that a write in two steps would show
    let text = format!("{revision} ").repeat(1500);
    let values: Vec<(&str, &[u8])> = names
        .iter()
        .map(|name| (name.as_str(), text.as_bytes()))
        .collect();
    assert!(directory.apply(&material(revision, &values)).unwrap().switched);
}

/// Opens `..data` once and reads everything below it. `None` when something of it was gone.
fn snapshot(directory: &Path) -> Option<u64> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fd = rustix::fs::open(directory.join("..data"), flags, Mode::empty()).ok()?;
    let root = PathBuf::from(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&fd)));
    let read = |name: &str| fs::read_to_string(root.join(name)).ok();
    let revision: u64 = read(".revision")?.trim_end().parse().unwrap();
    let whole = format!("{revision} ").repeat(1500);
    for name in expected(revision) {
        assert!(
            read(&name)? == whole,
            "{name} of revision {revision} is not of that revision"
        );
    }
    let mut found = BTreeSet::new();
    walk(&root, "", &mut found)?;
    found.remove(".revision");
    // a directory that is being removed has lost names, and then the first one too
    if !root.join(".revision").exists() {
        return None;
    }
    assert_eq!(found, expected(revision), "names of revision {revision}");
    Some(revision)
}

fn walk(directory: &Path, prefix: &str, found: &mut BTreeSet<String>) -> Option<()> {
    for entry in fs::read_dir(directory).ok()? {
        let entry = entry.ok()?;
        let name = format!("{prefix}{}", entry.file_name().to_str()?);
        if entry.file_type().ok()?.is_dir() {
            walk(&entry.path(), &format!("{name}/"), found)?;
        } else {
            found.insert(name);
        }
    }
    Some(())
}

/// Reads one file by its plain name, as most programs do; it is whole whenever it is there.
fn plain(directory: &Path) -> Option<()> {
    let text = fs::read_to_string(directory.join("dir/one")).ok()?;
    let first = text.split(' ').next().unwrap();
    assert!(text == format!("{first} ").repeat(1500), "half a file");
    Some(())
}

fn race(directory: &Path) {
    let (done, begun) = (AtomicBool::new(false), AtomicU64::new(0));
    let (whole, files) = (AtomicUsize::new(0), AtomicUsize::new(0));
    // kept to the end: dropping it removes at once what was replaced
    let mut target = Directory::open(FilesSettings::new(directory)).unwrap();
    switch(&mut target, 0);
    // what is gone may only be so because the reader was overtaken by far
    let read = |count: &AtomicUsize, look: &dyn Fn() -> Option<()>| {
        while !done.load(Ordering::SeqCst) {
            let before = begun.load(Ordering::SeqCst);
            match look() {
                Some(()) => drop(count.fetch_add(1, Ordering::Relaxed)),
                None => {
                    let overtaken = begun.load(Ordering::SeqCst) - before;
                    assert!(overtaken >= KEPT, "gone after {overtaken} switches");
                }
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for revision in 1..=SWITCHES {
                begun.store(revision, Ordering::SeqCst);
                switch(&mut target, revision);
            }
            done.store(true, Ordering::SeqCst);
        });
        scope.spawn(|| read(&files, &|| plain(directory)));
        scope.spawn(|| read(&whole, &|| snapshot(directory).map(drop)));
    });
    let (whole, files) = (whole.into_inner(), files.into_inner());
    assert!(
        whole >= 20 && files >= 20,
        "{whole} and {files} reads show nothing"
    );
    assert_eq!(snapshot(directory), Some(SWITCHES));
    println!("{SWITCHES} switches, meanwhile {whole} whole revisions and {files} single files read");
}

#[test]
fn no_half_revision_is_seen_on_tmpfs() {
    if let Some(tmpfs) = Tmpfs::mount("mode=0700") {
        race(tmpfs.path());
    }
}

#[test]
fn no_half_revision_is_seen_on_disk() {
    let disk = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    race(disk.path());
}
