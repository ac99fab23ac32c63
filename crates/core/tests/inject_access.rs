//! Who may read delivered files: mode, owner and group, as asked for and put right again.
#![cfg(feature = "inject")]
#![allow(clippy::unwrap_used)]

mod inject_kit;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;

use inject_kit::{material, root};
use strongroom_core::inject::files::{Directory, FilesSettings};

fn fresh() -> (tempfile::TempDir, FilesSettings) {
    let parent = tempfile::tempdir().unwrap();
    let settings = FilesSettings::new(parent.path().join("files"));
    (parent, settings)
}

#[test]
fn only_the_own_user_reads_files_unless_told_otherwise() {
    let (_parent, settings) = fresh();
    let mode = |at: &Path| fs::metadata(at).unwrap().permissions().mode() & 0o7777;
    let mut directory = Directory::open(settings.clone()).unwrap();
    directory.apply(&material(1, &[("a/b", b"x")])).unwrap();
    let at = |name: &str| settings.directory.join(name);
    assert_eq!(mode(&settings.directory), 0o700);
    assert_eq!(mode(&at("a")), 0o700);
    assert_eq!(mode(&at("a/b")), 0o400);
    assert_eq!(mode(&at(".revision")), 0o400);
    drop(directory);

    let shared = FilesSettings {
        mode: 0o440,
        ..settings.clone()
    };
    let mut directory = Directory::open(shared).unwrap();
    let applied = directory.apply(&material(1, &[("a/b", b"x")])).unwrap();
    assert!(applied.switched, "another mode is a change");
    assert_eq!(mode(&at("a")), 0o750);
    assert_eq!(mode(&at("a/b")), 0o440);
}

#[test]
fn files_get_the_owner_that_is_asked_for() {
    if !root::can("give files away") {
        return;
    }
    let (_parent, settings) = fresh();
    let settings = FilesSettings {
        uid: Some(12345),
        gid: Some(54321),
        ..settings
    };
    let mut directory = Directory::open(settings.clone()).unwrap();
    directory.apply(&material(1, &[("a/b", b"x")])).unwrap();
    for (name, mode) in [("a", 0o500), ("a/b", 0o400), (".revision", 0o400)] {
        let stat = fs::metadata(settings.directory.join(name)).unwrap();
        assert_eq!(
            (stat.uid(), stat.gid(), stat.mode() & 0o7777),
            (12345, 54321, mode),
            "{name}"
        );
    }
    // the directory itself stays this process's, but the owner of the files can reach them
    let stat = fs::metadata(&settings.directory).unwrap();
    assert_eq!((stat.uid(), stat.mode() & 0o7777), (0, 0o755));
    assert!(directory.apply(&material(2, &[("a/b", b"y")])).unwrap().switched);
}

#[test]
fn an_owner_or_group_that_is_not_as_asked_is_put_right() {
    if !root::can("give files away") {
        return;
    }
    let (parent, settings) = fresh();
    let values = || material(1, &[("a", b"1"), ("b/c", b"2")]);
    // a directory that hands its group down
    fs::create_dir(&settings.directory).unwrap();
    chown(&settings.directory, None, Some(4321)).unwrap();
    fs::set_permissions(&settings.directory, fs::Permissions::from_mode(0o2755)).unwrap();
    let data = settings.directory.join("..data");
    let all = ["", "a", "b", "b/c", ".revision"].map(|name| data.join(name));
    let owners = || {
        all.each_ref()
            .map(|at| fs::metadata(at).map(|stat| (stat.uid(), stat.gid())).unwrap())
    };
    let mut directory = Directory::open(settings.clone()).unwrap();
    directory.apply(&values()).unwrap();
    assert_eq!(owners(), [(0, 0); 5]);
    // whatever is given away comes back, although no byte changed
    for at in &all {
        for (uid, gid) in [(Some(1234), None), (None, Some(4321))] {
            chown(at, uid, gid).unwrap();
            assert!(directory.apply(&values()).unwrap().switched, "{}", at.display());
            assert_eq!(owners(), [(0, 0); 5]);
        }
    }
    drop(directory);
    // an owner that is not asked for any more does not stay
    let theirs = FilesSettings {
        uid: Some(1234),
        ..settings.clone()
    };
    Directory::open(theirs).unwrap().apply(&values()).unwrap();
    assert_eq!(owners(), [(1234, 0); 5]);
    let applied = Directory::open(settings).unwrap().apply(&values()).unwrap();
    assert!(applied.switched);
    assert_eq!(owners(), [(0, 0); 5]);
    drop(parent);
}
