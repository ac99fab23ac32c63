//! A directory of files: its layout, what is switched and when, and what is left behind.
#![cfg(feature = "inject")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod inject_kit;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use inject_kit::{data_directories, material, names, path, root, until};
use strongroom_core::inject::Made;
use strongroom_core::inject::files::{
    Directory, FileName, FileNameError, FileProblem, FilesError, FilesSettings, Note,
};
use strongroom_core::secret::Secret;

fn fresh() -> (tempfile::TempDir, FilesSettings) {
    let parent = tempfile::tempdir().unwrap();
    let settings = FilesSettings::new(parent.path().join("files"));
    (parent, settings)
}

fn read(settings: &FilesSettings, name: &str) -> String {
    fs::read_to_string(settings.directory.join(name)).unwrap()
}

#[test]
fn files_lie_behind_one_link_with_their_revision_beside_them() {
    let (_parent, settings) = fresh();
    let mut directory = Directory::open(settings.clone()).unwrap();
    let applied = directory
        .apply(&material(
            7,
            &[("web/database/password", b"s3cret"), ("top", b"")],
        ))
        .unwrap();
    assert!(applied.switched);
    assert_eq!((applied.revision, applied.files), (7, 2));
    assert_eq!(directory.revision(), Some(7));
    assert_eq!(read(&settings, "web/database/password"), "s3cret");
    assert_eq!(read(&settings, "top"), "");
    assert_eq!(read(&settings, ".revision"), "7\n");
    let data = fs::read_link(settings.directory.join("..data")).unwrap();
    let data = data.to_str().unwrap();
    assert!(data.starts_with("..7-"), "{data}");
    assert_eq!(
        names(&settings.directory),
        [data, "..data", ".revision", "top", "web"]
    );
    assert_eq!(
        fs::read_link(settings.directory.join("web")).unwrap(),
        Path::new("..data/web")
    );
}

#[test]
fn a_switch_changes_adds_and_removes_names_and_tidies_up() {
    let (_parent, settings) = fresh();
    let mut directory = Directory::open(settings.clone()).unwrap();
    directory
        .apply(&material(1, &[("a", b"1"), ("old/x", b"1")]))
        .unwrap();
    let before = fs::read_link(settings.directory.join("..data")).unwrap();
    // a file becomes a directory and the other way round
    directory
        .apply(&material(2, &[("a/b", b"2"), ("new", b"2")]))
        .unwrap();
    assert_eq!(read(&settings, "a/b"), "2");
    let now = fs::read_link(settings.directory.join("..data")).unwrap();
    let links: Vec<String> = names(&settings.directory)
        .into_iter()
        .filter(|name| !name.starts_with(".."))
        .collect();
    assert_eq!(links, [".revision", "a", "new"]);
    // a consumer in the middle of reading still finds the files that were replaced, for a while
    assert!(settings.directory.join(&before).join("old/x").exists());
    until("the old files vanish", || {
        (data_directories(&settings.directory) == [settings.directory.join(&now)]).then_some(())
    });
}

#[test]
fn what_is_the_same_is_not_switched() {
    let (_parent, settings) = fresh();
    let mut directory = Directory::open(settings.clone()).unwrap();
    let values: &[(&str, &[u8])] = &[("a", b"1"), ("b/c", b"2")];
    directory.apply(&material(1, values)).unwrap();
    let before = fs::read_link(settings.directory.join("..data")).unwrap();
    let inode = fs::metadata(settings.directory.join("a")).unwrap().ino();

    let applied = directory.apply(&material(5, values)).unwrap();
    assert!(!applied.switched);
    assert_eq!(fs::read_link(settings.directory.join("..data")).unwrap(), before);
    assert_eq!(fs::metadata(settings.directory.join("a")).unwrap().ino(), inode);
    // but the number is the new one
    assert_eq!(read(&settings, ".revision"), "5\n");
    directory.revise(6).unwrap();
    assert_eq!(read(&settings, ".revision"), "6\n");
    assert_eq!(names(&settings.directory.join("..data")), [".revision", "a", "b"]);

    // nor by the next process
    drop(directory);
    let mut directory = Directory::open(settings.clone()).unwrap();
    assert_eq!(directory.revision(), Some(6));
    assert!(!directory.apply(&material(6, values)).unwrap().switched);
}

#[test]
fn what_somebody_changed_is_put_right() {
    let (_parent, settings) = fresh();
    let values: &[(&str, &[u8])] = &[("a", b"1"), ("b/c", b"2")];
    let mut directory = Directory::open(settings.clone()).unwrap();
    let at = |name: &str| settings.directory.join("..data").join(name);
    type Harm<'a> = (&'a str, Box<dyn Fn() + 'a>);
    let harms: [Harm<'_>; 6] = [
        (
            "content",
            Box::new(|| {
                fs::remove_file(at("a")).unwrap();
                fs::write(at("a"), "x").unwrap();
                fs::set_permissions(at("a"), fs::Permissions::from_mode(0o400)).unwrap();
            }),
        ),
        (
            "mode",
            Box::new(|| fs::set_permissions(at("a"), fs::Permissions::from_mode(0o444)).unwrap()),
        ),
        ("missing", Box::new(|| fs::remove_file(at("b/c")).unwrap())),
        ("more", Box::new(|| fs::write(at("b/d"), "x").unwrap())),
        (
            "symlink",
            Box::new(|| {
                fs::remove_file(at("a")).unwrap();
                symlink("/etc/passwd", at("a")).unwrap();
            }),
        ),
        (
            "link",
            Box::new(|| fs::remove_file(settings.directory.join("..data")).unwrap()),
        ),
    ];
    for (what, harm) in harms {
        directory.apply(&material(1, values)).unwrap();
        harm();
        let applied = directory.apply(&material(1, values)).unwrap();
        assert!(applied.switched, "{what}");
        assert_eq!(
            (read(&settings, "a"), read(&settings, "b/c")),
            ("1".into(), "2".into()),
            "{what}"
        );
        assert!(fs::symlink_metadata(at("a")).unwrap().is_file(), "{what}");
    }
    // a user-visible link that vanished comes back without a switch
    fs::remove_file(settings.directory.join("a")).unwrap();
    assert!(!directory.apply(&material(1, values)).unwrap().switched);
    assert_eq!(read(&settings, "a"), "1");
}

#[test]
fn a_prefix_and_given_names_choose_what_is_written() {
    let (_parent, settings) = fresh();
    let values = material(
        1,
        &[
            ("web/a", b"1"),
            ("web/tls/key", b"2"),
            ("web", b"3"),
            ("webs", b"4"),
            ("shared/ca", b"5"),
        ],
    );
    let mut some = settings.clone();
    some.prefix = Some(path("web"));
    some.names = vec![
        ("key.pem".parse().unwrap(), path("web/tls/key")),
        ("ca/ca.pem".parse().unwrap(), path("shared/ca")),
    ];
    let mut directory = Directory::open(some.clone()).unwrap();
    assert_eq!(directory.apply(&values).unwrap().files, 4);
    assert_eq!(read(&settings, "a"), "1");
    assert_eq!(read(&settings, "key.pem"), "2");
    assert_eq!(read(&settings, "web"), "3");
    assert_eq!(read(&settings, "ca/ca.pem"), "5");
    assert!(!settings.directory.join("tls").exists());
    drop(directory);

    some.derive = false;
    let mut directory = Directory::open(some).unwrap();
    assert_eq!(directory.apply(&values).unwrap().files, 2);
    assert_eq!(directory.apply(&values).unwrap().files, 2);
    match directory.apply(&material(2, &[("web/a", b"1")])) {
        Err(FilesError::Missing(missing)) => assert_eq!(missing.paths.len(), 2),
        other => panic!("{other:?}"),
    }
    assert_eq!(read(&settings, ".revision"), "1\n");
}

#[test]
fn names_that_cannot_be_files_are_all_listed() {
    let (_parent, mut settings) = fresh();
    settings.names = vec![
        ("same".parse().unwrap(), path("x")),
        ("same".parse().unwrap(), path("y")),
    ];
    let mut directory = Directory::open(settings.clone()).unwrap();
    let values = material(
        1,
        &[
            ("a", b"1"),
            ("a/b", b"2"),
            ("x", b"3"),
            ("y", b"4"),
            (".revision", b"5"),
        ],
    );
    let problems = match directory.apply(&values) {
        Err(FilesError::Problems(problems)) => problems,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        problems,
        [
            FileProblem::Collision {
                name: "same".parse().unwrap(),
                first: path("x"),
                second: path("y")
            },
            FileProblem::Name {
                path: path(".revision"),
                problem: FileNameError::Reserved
            },
            FileProblem::FileAndDirectory {
                file: path("a"),
                inside: path("a/b")
            },
        ]
    );
    assert_eq!(names(&settings.directory), [] as [&str; 0]);
}

#[test]
fn a_file_name_stays_inside_and_off_our_own_names() {
    for good in ["a", "a/b.c", ".hidden", "a/..b", "a/.revision", "ü"] {
        assert!(FileName::new(good).is_ok(), "{good}");
    }
    let long = "x".repeat(256);
    let bad = [
        ("", FileNameError::Empty),
        ("/a", FileNameError::Empty),
        ("a//b", FileNameError::Empty),
        ("a/", FileNameError::Empty),
        (".", FileNameError::Dots),
        ("..", FileNameError::Dots),
        ("a/../b", FileNameError::Dots),
        ("a\0", FileNameError::Control),
        ("a\nb", FileNameError::Control),
        (&long, FileNameError::TooLong),
        ("..data", FileNameError::Reserved),
        ("..next-1/x", FileNameError::Reserved),
        (".revision", FileNameError::Reserved),
        (".revision/x", FileNameError::Reserved),
    ];
    for (text, problem) in bad {
        assert_eq!(FileName::new(text), Err(problem), "{text:?}");
    }
}

#[test]
fn what_a_killed_run_left_is_removed_at_the_next_start() {
    let (_parent, settings) = fresh();
    let mut directory = Directory::open(settings.clone()).unwrap();
    directory.apply(&material(1, &[("a", b"1")])).unwrap();
    drop(directory);
    let leave = |name: &str| settings.directory.join(name);
    fs::create_dir_all(leave("..2-0123456789abcdef/deep/er")).unwrap();
    fs::write(leave("..2-0123456789abcdef/deep/er/file"), "half").unwrap();
    symlink("..2-0123456789abcdef", leave("..next-0123456789abcdef")).unwrap();
    // a link made before the switch that never came
    symlink("..data/b", leave("b")).unwrap();
    // what is not ours stays
    fs::write(leave("..mine"), "x").unwrap();
    fs::write(leave("notes.txt"), "x").unwrap();
    symlink("/etc/hostname", leave("elsewhere")).unwrap();

    let mut directory = Directory::open(settings.clone()).unwrap();
    let leftovers = Note::Leftovers {
        directory: settings.directory.clone(),
        count: 2,
    };
    assert!(directory.notes().contains(&leftovers), "{:?}", directory.notes());
    assert_eq!(read(&settings, "a"), "1");
    assert!(!directory.apply(&material(1, &[("a", b"1")])).unwrap().switched);
    let expected = ["..data", "..mine", ".revision", "a", "elsewhere", "notes.txt"];
    let found: Vec<String> = names(&settings.directory)
        .into_iter()
        .filter(|name| !name.starts_with("..1-"))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn prepared_files_are_unseen_until_they_are_switched_to() {
    let (_parent, settings) = fresh();
    let mut directory = Directory::open(settings.clone()).unwrap();
    directory.apply(&material(1, &[("a", b"1")])).unwrap();
    let prepared = directory
        .prepare(&material(2, &[("a", b"2"), ("b", b"2")]))
        .unwrap();
    assert!(prepared.is_change());
    assert_eq!(
        (read(&settings, "a"), read(&settings, ".revision")),
        ("1".into(), "1\n".into())
    );
    assert!(!settings.directory.join("b").exists());
    directory.discard(prepared);
    assert_eq!(data_directories(&settings.directory).len(), 1);
    let prepared = directory
        .prepare(&material(2, &[("a", b"2"), ("b", b"2")]))
        .unwrap();
    directory.switch(prepared).unwrap();
    assert_eq!(
        (read(&settings, "a"), read(&settings, "b")),
        ("2".into(), "2".into())
    );
}

#[test]
fn clearing_leaves_only_what_is_not_ours() {
    let (_parent, settings) = fresh();
    let mut directory = Directory::open(settings.clone()).unwrap();
    directory.apply(&material(1, &[("a", b"1")])).unwrap();
    directory.apply(&material(2, &[("a/b", b"2")])).unwrap();
    fs::write(settings.directory.join("notes.txt"), "x").unwrap();
    directory.clear().unwrap();
    assert_eq!(names(&settings.directory), ["notes.txt"]);
    assert_eq!(directory.revision(), None);
    directory.apply(&material(3, &[("a", b"3")])).unwrap();
    assert_eq!(read(&settings, "a"), "3");
}

#[test]
fn clearing_tells_what_it_could_not_remove() {
    if !root::can("mount") {
        return;
    }
    let (_parent, settings) = fresh();
    let mut directory = Directory::open(settings.clone()).unwrap();
    directory.apply(&material(1, &[("a", b"1")])).unwrap();
    let held = settings.directory.join("..2-0123456789abcdef");
    fs::create_dir(&held).unwrap();
    let mount = |arguments: &[&str]| {
        let status = std::process::Command::new(arguments[0])
            .args(&arguments[1..])
            .arg(&held)
            .status();
        assert!(status.unwrap().success(), "{arguments:?}");
    };
    mount(&["mount", "-t", "tmpfs", "none"]);
    let cleared = directory.clear();
    mount(&["umount"]);
    // not a question of permission, as is said about other failures
    match cleared {
        Err(FilesError::Io { action, .. }) => assert_eq!(action, "remove files"),
        other => panic!("{other:?}"),
    }
    directory.clear().unwrap();
    assert_eq!(names(&settings.directory), [] as [&str; 0]);
    fs::remove_dir(&settings.directory).unwrap();
    directory.clear().unwrap();
}

#[test]
fn so_many_files_at_most() {
    let (_parent, settings) = fresh();
    let mut directory = Directory::open(settings.clone()).unwrap();
    directory.apply(&material(1, &[("a", b"1")])).unwrap();
    let paths: Vec<String> = (0..10_001).map(|n| format!("x/{n}")).collect();
    let values: Vec<(&str, &[u8])> = paths.iter().map(|path| (path.as_str(), &b"2"[..])).collect();
    let error = directory.apply(&material(2, &values)).unwrap_err();
    match &error {
        FilesError::TooMany { count, most, .. } => assert_eq!((*count, *most), (10_001, 10_000)),
        other => panic!("{other:?}"),
    }
    assert!(!error.is_temporary());
    assert!(
        error.to_string().contains("choose fewer with a prefix"),
        "{error}"
    );
    assert_eq!(read(&settings, ".revision"), "1\n");
    assert_eq!(data_directories(&settings.directory).len(), 1);
}

#[test]
fn a_disk_is_remarked_upon_and_a_tmpfs_is_not() {
    let disk = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let directory = Directory::open(FilesSettings::new(disk.path().join("files"))).unwrap();
    let on_disk = |note: &Note| matches!(note, Note::OnDisk { .. });
    assert!(directory.notes().iter().any(on_disk), "{:?}", directory.notes());
    if let Some(tmpfs) = inject_kit::Tmpfs::mount("mode=0700") {
        let directory = Directory::open(FilesSettings::new(tmpfs.path())).unwrap();
        assert_eq!(directory.notes(), []);
    }
}

#[test]
fn the_longest_path_of_an_entry_can_be_a_file() {
    let (_parent, settings) = fresh();
    let mut directory = Directory::open(settings.clone()).unwrap();
    let deep = "a/".repeat(255) + "ab";
    assert_eq!(deep.len(), 512);
    directory.apply(&material(1, &[(&deep, b"x")])).unwrap();
    assert_eq!(read(&settings, &deep), "x");
    directory.clear().unwrap();
    assert_eq!(names(&settings.directory), [] as [&str; 0]);
}

#[test]
fn what_was_made_is_a_file_under_its_name_and_counts_as_a_change() {
    let temp = tempfile::tempdir().unwrap();
    let target = temp.path().join("files");
    let mut directory = Directory::open(FilesSettings::new(&target)).unwrap();
    let made = |name: &str, text: &str| Made {
        name: name.to_owned(),
        is_named: true,
        of: format!("the template of {name}"),
        bytes: Secret::new(text.into()),
    };
    let of = |revision, text| {
        let mut material = material(revision, &[("a/b", b"1"), ("template/t", b"{{ 1 }}")]);
        material.made = vec![made("conf/app.conf", text)];
        material
    };
    assert!(directory.apply(&of(1, "x")).unwrap().switched);
    assert_eq!(std::fs::read(target.join("conf/app.conf")).unwrap(), b"x");
    assert!(!target.join("template").exists());
    assert!(!directory.apply(&of(2, "x")).unwrap().switched);
    assert!(directory.apply(&of(3, "y")).unwrap().switched);
    assert!(of(1, "x").same_values(&of(2, "x")));
    assert!(!of(1, "x").same_values(&of(2, "y")));
    let mut bad = of(4, "z");
    bad.made.extend([
        made("a/b", ""),
        made("../x", ""),
        made("a/b/c", ""),
        made("a", ""),
    ]);
    let FilesError::Problems(problems) = directory.apply(&bad).unwrap_err() else {
        panic!()
    };
    let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "the template of a/b cannot be the file \"a/b\": a/b is that file already: name one of them otherwise",
            "the template of ../x cannot be the file \"../x\": a file name has no part that is . or ..",
            "a/b cannot be the file \"a/b\": the template of a is a file where its directory would be: name one of them otherwise",
            "the template of a/b/c cannot be the file \"a/b/c\": the template of a is a file where its directory would be: name one of them otherwise",
            "the template of a/b/c cannot be the file \"a/b/c\": a/b is a file where its directory would be: name one of them otherwise",
        ]
    );
    assert_eq!(std::fs::read(target.join("conf/app.conf")).unwrap(), b"y");
}
