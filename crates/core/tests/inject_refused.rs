//! Directories that files are not delivered into, and why: each refusal says what to do, and what
//! was there before is untouched.
#![cfg(feature = "inject")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod inject_kit;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;

use inject_kit::{Tmpfs, as_user, data_directories, material, names, root};
use strongroom_core::inject::files::{Directory, FilesError, FilesSettings, Note};

fn refused(directory: &Path) -> FilesError {
    match Directory::open(FilesSettings::new(directory)) {
        Err(error) => error,
        Ok(directory) => panic!("accepted: {directory:?}"),
    }
}

fn make(parent: &Path, name: &str, mode: u32) -> std::path::PathBuf {
    let directory = parent.join(name);
    fs::create_dir(&directory).unwrap();
    fs::set_permissions(&directory, fs::Permissions::from_mode(mode)).unwrap();
    directory
}

/// What an error must say besides the directory: what to do about it.
fn says(error: &FilesError, words: &[&str]) {
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "{word:?} is not in {text:?}");
    }
}

#[test]
fn what_is_not_a_directory_of_its_own() {
    let parent = tempfile::tempdir().unwrap();
    let at = |name: &str| parent.path().join(name);
    let real = make(parent.path(), "real", 0o700);
    symlink(&real, at("link")).unwrap();
    assert!(matches!(refused(&at("link")), FilesError::Symlink { .. }));
    // a slash or dot at the end would make the system follow it
    assert!(matches!(refused(&at("link/")), FilesError::Symlink { .. }));
    assert!(matches!(refused(&at("link/.")), FilesError::Symlink { .. }));
    symlink(at("nowhere"), at("dangling")).unwrap();
    assert!(matches!(refused(&at("dangling")), FilesError::Symlink { .. }));
    fs::write(at("file"), "x").unwrap();
    assert!(matches!(refused(&at("file")), FilesError::NotDirectory { .. }));
    for nothing in ["", "/", "..", "real/.."] {
        assert!(
            matches!(refused(Path::new(nothing)), FilesError::Settings { .. }),
            "{nothing}"
        );
    }
    assert!(matches!(refused(&at("missing/parent")), FilesError::Io { .. }));
    assert_eq!(names(&real), [] as [&str; 0]);
}

#[test]
fn a_symlink_above_it_is_the_operators_business() {
    // /var/run is one on every system
    let parent = tempfile::tempdir().unwrap();
    make(parent.path(), "run", 0o755);
    symlink("run", parent.path().join("var-run")).unwrap();
    let mut directory = Directory::open(FilesSettings::new(parent.path().join("var-run/files"))).unwrap();
    directory.apply(&material(1, &[("a", b"1")])).unwrap();
    assert_eq!(fs::read(parent.path().join("run/files/a")).unwrap(), b"1");
}

#[test]
fn the_permission_matrix() {
    let parent = tempfile::tempdir().unwrap();
    let accepted = [0o700, 0o500, 0o750, 0o755, 0o711, 0o1777, 0o1770, 0o2755];
    let writable = [0o777, 0o770, 0o707, 0o720, 0o702, 0o775, 0o757, 0o2775];
    for mode in accepted {
        let directory = make(parent.path(), &format!("{mode:o}"), mode);
        assert!(
            Directory::open(FilesSettings::new(&directory)).is_ok(),
            "{mode:o}"
        );
    }
    for mode in writable {
        let directory = make(parent.path(), &format!("{mode:o}"), mode);
        let error = refused(&directory);
        assert!(matches!(error, FilesError::Writable { .. }), "{mode:o}: {error}");
        says(&error, &["chmod go-w", directory.to_str().unwrap()]);
    }
}

#[test]
fn a_mode_or_owner_that_makes_no_sense() {
    let parent = tempfile::tempdir().unwrap();
    let settings = FilesSettings::new(parent.path().join("files"));
    for mode in [0o4400, 0o1400, 0o000, 0o040] {
        let settings = FilesSettings {
            mode,
            ..settings.clone()
        };
        let error = Directory::open(settings).unwrap_err();
        assert!(matches!(error, FilesError::Settings { .. }), "{mode:o}: {error}");
    }
    let settings = FilesSettings {
        uid: Some(u32::MAX),
        ..settings
    };
    assert!(matches!(
        Directory::open(settings).unwrap_err(),
        FilesError::Settings { .. }
    ));
    assert_eq!(names(parent.path()), [] as [&str; 0]);
}

#[test]
fn a_directory_of_somebody_else() {
    if !root::can("give files away") {
        return;
    }
    let parent = tempfile::tempdir().unwrap();
    let directory = make(parent.path(), "theirs", 0o700);
    chown(&directory, Some(1234), None).unwrap();
    let error = refused(&directory);
    assert!(
        matches!(
            error,
            FilesError::Owner {
                owner: 1234,
                own: 0,
                ..
            }
        ),
        "{error}"
    );
    says(&error, &["uid 1234", "uid 0"]);
}

#[test]
fn two_processes_on_one_directory() {
    let parent = tempfile::tempdir().unwrap();
    let settings = FilesSettings::new(parent.path().join("files"));
    let first = Directory::open(settings.clone()).unwrap();
    let error = refused(&settings.directory);
    assert!(matches!(error, FilesError::Busy { .. }), "{error}");
    drop(first);
    assert!(Directory::open(settings).is_ok());
}

#[test]
fn a_name_that_something_else_has() {
    let parent = tempfile::tempdir().unwrap();
    let settings = FilesSettings::new(make(parent.path(), "files", 0o700));
    let at = |name: &str| settings.directory.join(name);
    let mut directory = Directory::open(settings.clone()).unwrap();
    directory.apply(&material(1, &[("good", b"1")])).unwrap();
    fs::write(at("file"), "mine").unwrap();
    fs::create_dir(at("directory")).unwrap();
    symlink("/etc/passwd", at("link")).unwrap();
    for taken in ["file", "directory", "link"] {
        let error = directory
            .apply(&material(2, &[("good", b"2"), (taken, b"2")]))
            .unwrap_err();
        assert!(
            matches!(&error, FilesError::Occupied { name, .. } if name == taken),
            "{error}"
        );
        assert_eq!(fs::read(at("good")).unwrap(), b"1");
    }
    assert_eq!(fs::read(at("file")).unwrap(), b"mine");
    assert_eq!(data_directories(&settings.directory).len(), 1);
    drop(directory);

    fs::remove_file(at("..data")).unwrap();
    fs::create_dir(at("..data")).unwrap();
    assert!(matches!(refused(&settings.directory), FilesError::Occupied { name, .. } if name == "..data"));
}

#[test]
fn a_link_of_somebody_else_is_not_ours_even_if_it_looks_so() {
    if !root::can("give files away") {
        return;
    }
    let parent = tempfile::tempdir().unwrap();
    let settings = FilesSettings::new(make(parent.path(), "files", 0o1777));
    let link = settings.directory.join("a");
    symlink("..data/a", &link).unwrap();
    std::os::unix::fs::lchown(&link, Some(1234), None).unwrap();
    let mut directory = Directory::open(settings).unwrap();
    let error = directory.apply(&material(1, &[("a", b"1")])).unwrap_err();
    assert!(matches!(error, FilesError::Occupied { .. }), "{error}");
}

#[test]
fn files_of_somebody_else_are_not_in_use_even_if_they_look_so() {
    if !root::can("give files away") {
        return;
    }
    let parent = tempfile::tempdir().unwrap();
    let settings = FilesSettings::new(make(parent.path(), "files", 0o1777));
    let at = |name: &str| settings.directory.join(name);
    // a directory as it is delivered here, which its owner can change at any time
    let data = make(&settings.directory, "..1-0123456789abcdef", 0o700);
    for (name, text) in [("a", "1"), (".revision", "1\n")] {
        fs::write(data.join(name), text).unwrap();
        fs::set_permissions(data.join(name), fs::Permissions::from_mode(0o400)).unwrap();
    }
    symlink("..1-0123456789abcdef", at("..data")).unwrap();
    std::os::unix::fs::lchown(at("..data"), Some(1234), None).unwrap();
    let mut directory = Directory::open(settings.clone()).unwrap();
    assert_eq!(directory.revision(), None);
    let error = directory.apply(&material(1, &[("a", b"1")])).unwrap_err();
    assert!(
        matches!(&error, FilesError::Occupied { name, .. } if name == "..data"),
        "{error}"
    );
    directory.revise(7).unwrap();
    directory.clear().unwrap();
    assert_eq!(
        fs::read_link(at("..data")).unwrap(),
        Path::new("..1-0123456789abcdef")
    );
    assert_eq!(fs::read(data.join(".revision")).unwrap(), b"1\n");
}

#[test]
fn a_read_only_file_system() {
    let Some(tmpfs) = Tmpfs::mount("mode=0700") else {
        return;
    };
    let settings = FilesSettings::new(tmpfs.path());
    let mut directory = Directory::open(settings.clone()).unwrap();
    directory.apply(&material(1, &[("a", b"1")])).unwrap();
    tmpfs.remount("ro");
    let error = directory.apply(&material(2, &[("a", b"2")])).unwrap_err();
    assert!(matches!(error, FilesError::ReadOnly { .. }), "{error}");
    says(&error, &["read-only", "mount a tmpfs"]);
    let missing = FilesSettings::new(tmpfs.path().join("files"));
    assert!(matches!(
        Directory::open(missing).unwrap_err(),
        FilesError::ReadOnly { .. }
    ));
    assert_eq!(fs::read(tmpfs.path().join("a")).unwrap(), b"1");
    tmpfs.remount("rw");
    assert!(directory.apply(&material(2, &[("a", b"2")])).unwrap().switched);
}

#[test]
fn a_full_file_system_keeps_the_revision_before_whole() {
    let Some(tmpfs) = Tmpfs::mount("mode=0700,size=64k") else {
        return;
    };
    let settings = FilesSettings::new(tmpfs.path());
    let mut directory = Directory::open(settings.clone()).unwrap();
    directory
        .apply(&material(1, &[("a", &[b'1'; 20_000]), ("b", b"1")]))
        .unwrap();
    let before = fs::read_link(tmpfs.path().join("..data")).unwrap();
    let error = directory
        .apply(&material(
            2,
            &[("a", b"2"), ("b", &[b'2'; 60_000]), ("c/d", b"2")],
        ))
        .unwrap_err();
    assert!(matches!(error, FilesError::Full { .. }), "{error}");
    says(&error, &["full", "size="]);
    assert!(error.is_temporary());
    assert_eq!(fs::read(tmpfs.path().join("a")).unwrap(), [b'1'; 20_000]);
    assert_eq!(fs::read(tmpfs.path().join("b")).unwrap(), b"1");
    assert_eq!(fs::read(tmpfs.path().join(".revision")).unwrap(), b"1\n");
    assert_eq!(data_directories(tmpfs.path()), [tmpfs.path().join(&before)]);
    assert!(!tmpfs.path().join("c").is_symlink());
    // files that were replaced and are only kept for a while give way to new ones
    for revision in 3..20 {
        directory
            .apply(&material(
                revision,
                &[("a", &[b'3'; 20_000]), ("b", &revision.to_be_bytes())],
            ))
            .unwrap();
    }
}

#[test]
fn too_many_files_for_the_file_system() {
    let Some(tmpfs) = Tmpfs::mount("mode=0700,nr_inodes=20") else {
        return;
    };
    let settings = FilesSettings::new(tmpfs.path());
    let mut directory = Directory::open(settings.clone()).unwrap();
    directory.apply(&material(1, &[("a", b"1")])).unwrap();
    let paths: Vec<String> = (0..30).map(|n| format!("x/{n}")).collect();
    let values: Vec<(&str, &[u8])> = paths.iter().map(|path| (path.as_str(), &b"2"[..])).collect();
    let error = directory.apply(&material(2, &values)).unwrap_err();
    assert!(matches!(error, FilesError::Full { .. }), "{error}");
    assert_eq!(fs::read(tmpfs.path().join("a")).unwrap(), b"1");
    assert_eq!(data_directories(tmpfs.path()).len(), 1);
}

#[test]
fn without_privileges() {
    if !root::can("become another user") {
        return;
    }
    let parent = tempfile::tempdir().unwrap();
    fs::set_permissions(parent.path(), fs::Permissions::from_mode(0o755)).unwrap();
    make(parent.path(), "root", 0o755);
    make(parent.path(), "sticky", 0o1777);
    make(parent.path(), "closed", 0o700);
    let own = make(parent.path(), "own", 0o700);
    chown(&own, Some(65534), Some(65534)).unwrap();
    as_user(65534, "nobody_delivers_files", parent.path());
    // what nobody left in a directory that all may write into does not stop root, nor lead it astray
    let mut directory = Directory::open(FilesSettings::new(parent.path().join("sticky"))).unwrap();
    assert!(matches!(
        directory.apply(&material(1, &[("a", b"1")])),
        Err(FilesError::Occupied { .. })
    ));
}

#[test]
fn what_cannot_be_tidied_is_told() {
    // root may list any directory
    if !root::can("become another user") {
        return;
    }
    let parent = tempfile::tempdir().unwrap();
    fs::set_permissions(parent.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let own = make(parent.path(), "own", 0o700);
    chown(&own, Some(65534), Some(65534)).unwrap();
    as_user(65534, "nobody_may_not_list_the_directory", parent.path());
}

#[test]
#[ignore = "run by another test, as another user"]
fn nobody_may_not_list_the_directory() {
    let Some(parent) = std::env::var_os("INJECT_DIRECTORY") else {
        return;
    };
    let own = Path::new(&parent).join("own");
    let mut directory = Directory::open(FilesSettings::new(&own)).unwrap();
    directory
        .apply(&material(1, &[("a", b"1"), ("old", b"1")]))
        .unwrap();
    fs::set_permissions(&own, fs::Permissions::from_mode(0o300)).unwrap();
    let applied = directory.apply(&material(2, &[("a", b"2")])).unwrap();
    assert_eq!(fs::read(own.join("a")).unwrap(), b"2");
    assert!(
        matches!(&applied.notes[..], [Note::NotTidied { .. }]),
        "{:?}",
        applied.notes
    );
    let error = directory.clear().unwrap_err();
    assert!(matches!(error, FilesError::Denied { .. }), "{error}");
    fs::set_permissions(&own, fs::Permissions::from_mode(0o700)).unwrap();
    directory.clear().unwrap();
    assert_eq!(names(&own), [] as [&str; 0]);
}

#[test]
#[ignore = "run by another test, as another user"]
fn nobody_delivers_files() {
    let Some(parent) = std::env::var_os("INJECT_DIRECTORY") else {
        return;
    };
    let at = |name: &str| Path::new(&parent).join(name);
    let open = |name: &str| Directory::open(FilesSettings::new(at(name)));
    assert!(
        matches!(open("closed"), Err(FilesError::Denied { .. })),
        "{:?}",
        open("closed")
    );
    assert!(matches!(open("new"), Err(FilesError::Denied { .. })));
    let error = open("root")
        .unwrap()
        .apply(&material(1, &[("a", b"1")]))
        .unwrap_err();
    assert!(matches!(error, FilesError::Denied { .. }), "{error}");

    // read-only files and closed directories are no hindrance to their owner
    for name in ["own", "sticky"] {
        let mut directory = open(name).unwrap();
        for revision in 1..4 {
            let value = revision.to_string();
            let values = material(revision, &[("a/b", value.as_bytes()), ("a/c", b"same")]);
            assert_eq!(directory.apply(&values).unwrap().notes, []);
            assert!(
                !directory
                    .apply(&material(
                        revision + 100,
                        &[("a/b", value.as_bytes()), ("a/c", b"same")]
                    ))
                    .unwrap()
                    .switched
            );
            assert_eq!(fs::read_to_string(at(name).join("a/b")).unwrap(), value);
        }
    }
    let settings = FilesSettings {
        uid: Some(0),
        ..FilesSettings::new(at("own"))
    };
    let error = Directory::open(settings)
        .unwrap()
        .apply(&material(9, &[("z", b"1")]))
        .unwrap_err();
    assert!(matches!(error, FilesError::Chown { .. }), "{error}");
    says(&error, &["CAP_CHOWN"]);
}
