//! Keys in a file of authorized keys are rotated: at a real SSH server, with other keys beside them, and
//! while rotators are killed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod rotate_kit;

use std::cell::RefCell;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

use rotate_kit::{Desk, Nobody, OnTold, PATH, at_once, drive, go_on, value};
use strongroom_core::rotation::{Effect, Step};
use strongroom_core::rotator::{End, How, Told};
use strongroom_tests::sshd::Sshd;
use strongroom_tests::{server, wait};

fn plan(strategy: &str, file: &Path, more: &str) -> String {
    format!(
        "strategy = \"{strategy}\"\ngenerator = \"ssh-ed25519:comment=made\"\nsettle = \"0s\"\n\
         [target]\nretry = \"0s\"\n[target.authorized_keys]\nfile = \"{}\"\n{more}",
        file.display()
    )
}

fn login(server: &Sshd) -> String {
    format!(
        "login = \"{}@127.0.0.1\"\nport = {}\nknown_hosts = \"{}\"\n",
        Sshd::user(),
        server.port(),
        server.file("known_hosts").display()
    )
}

/// A store whose secret is a key, which `file` has.
fn desk(plan: &str, file: &Path) -> Desk {
    let desk = Desk::new("no key yet", plan);
    desk.scene
        .ok(&["put", "prod", PATH, "--generate", "ssh-ed25519:comment=first"]);
    let line = public(&desk.current());
    let before = std::fs::read_to_string(file).unwrap();
    std::fs::write(file, format!("{before}{line}\n")).unwrap();
    desk
}

/// The public half, by the system's own program.
fn public(key: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("key");
    std::fs::write(&file, key).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let output = Command::new("ssh-keygen")
        .arg("-y")
        .arg("-f")
        .arg(&file)
        .output()
        .unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn blob(key: &str) -> String {
    public(key).split(' ').nth(1).unwrap().to_owned()
}

#[test]
fn both_keys_get_in_until_the_old_one_is_retired() {
    let Some(server) = Sshd::start("rotation of SSH keys") else {
        return;
    };
    for strategy in ["overlap", "replace"] {
        std::fs::write(server.keys(), "").unwrap();
        let desk = desk(&plan(strategy, &server.keys(), &login(&server)), &server.keys());
        let vault = desk.vault();
        for _ in 0..3 {
            let old = value(&vault, PATH);
            let mut between = OnTold(|told: &Told<'_>| {
                if let Told::Committed(Step::Deliver, _) = told {
                    assert!(server.lets_in(&value(&vault, PATH)));
                    assert_eq!(server.lets_in(&old), strategy == "overlap");
                }
            });
            assert_eq!(drive(&vault, &mut at_once(), &mut between).unwrap(), End::Rotated);
            assert!(server.lets_in(&value(&vault, PATH)) && !server.lets_in(&old));
        }
        let text = std::fs::read_to_string(server.keys()).unwrap();
        assert_eq!(text, format!("{}\n", public(&desk.current())));
    }
}

#[test]
fn other_lines_owner_and_mode_stay() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("keys");
    std::fs::write(&file, "# first\r\n\n").unwrap();
    let options = "options = 'restrict,command=\"/usr/bin/deploy now\"'\ncomment = \"by strongroom\"\n";
    let desk = desk(&plan("overlap", &file, options), &file);
    let others = [
        "# first\r\n\n",
        "from=\"10.0.0.1\" ssh-rsa AAAA other",
        "\n#last without an end",
    ];
    let first = std::fs::read_to_string(&file).unwrap();
    let mine = first.lines().last().unwrap();
    std::fs::write(&file, format!("{}{mine}\n{}{}", others[0], others[1], others[2])).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    if server::is_root() {
        std::os::unix::fs::chown(&file, Some(65_534), Some(65_534)).unwrap();
    }
    let before = std::fs::metadata(&file).unwrap();
    let ran = desk.rotate(&[]);
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let after = std::fs::metadata(&file).unwrap();
    assert_eq!(
        (after.mode(), after.uid(), after.gid()),
        (before.mode(), before.uid(), before.gid())
    );
    let line = format!(
        "restrict,command=\"/usr/bin/deploy now\" ssh-ed25519 {} by strongroom",
        blob(&desk.current())
    );
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text, format!("{}{}\n{line}\n", others[0], others[1..].concat()));
    // Taken back, all is as it was but for the end of the last line.
    let vault = desk.vault();
    let mut spoil = OnTold(|told: &Told<'_>| {
        if let Told::Done(Effect::Apply) = told {
            std::fs::write(&file, &text).unwrap();
        }
    });
    let ended = drive(&vault, &mut at_once(), &mut spoil).unwrap();
    assert!(matches!(ended, End::Undone(Some(_))), "{ended:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    let names = std::fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(names, 1, "something was left beside it");
}

#[test]
fn links_and_what_is_no_file_are_not_followed() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("keys");
    std::fs::write(&file, "").unwrap();
    let desk = desk(&plan("overlap", &file, ""), &file);
    let refused = |file: &Path, words: &str| {
        desk.plan(&plan("overlap", file, ""));
        let said = String::from_utf8(desk.rotate(&[]).stderr).unwrap();
        assert!(
            said.contains("nothing was begun") && said.contains(words),
            "{said}"
        );
        desk.assert_at_rest();
    };
    let link = directory.path().join("link");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    refused(&link, "symbolic link");
    let way = directory.path().join("way");
    std::os::unix::fs::symlink(directory.path(), &way).unwrap();
    refused(&way.join("keys"), "symbolic link");
    refused(directory.path(), "is no regular file");
    refused(&directory.path().join("nothing"), "is not there");
    // It becomes a link while a rotation runs.
    desk.plan(&plan("overlap", &file, ""));
    let elsewhere = directory.path().join("elsewhere");
    let text = std::fs::read(&file).unwrap();
    let mut swap = OnTold(|told: &Told<'_>| {
        if let Told::Committed(Step::Begin, _) = told {
            std::fs::rename(&file, &elsewhere).unwrap();
            std::os::unix::fs::symlink(&elsewhere, &file).unwrap();
        }
    });
    let vault = desk.vault();
    let ended = drive(&vault, &mut at_once(), &mut swap).unwrap();
    assert!(matches!(ended, End::Stopped(Effect::Undo, _)), "{ended:?}");
    assert_eq!(std::fs::read(&elsewhere).unwrap(), text);
    std::fs::rename(&elsewhere, &file).unwrap();
    let abort = How {
        abort: true,
        ..How::default()
    };
    assert_eq!(go_on(&vault, abort).unwrap(), End::Undone(None));
    assert_eq!(std::fs::read(&file).unwrap(), text);
}

#[test]
fn a_key_that_is_refused_is_undone_and_a_server_that_is_down_waited_for() {
    let Some(server) = Sshd::start("logins with SSH keys") else {
        return;
    };
    let from = format!("{}options = 'from=\"192.0.2.1\"'\n", login(&server));
    let desk = desk(&plan("overlap", &server.keys(), &from), &server.keys());
    let vault = desk.vault();
    let first = value(&vault, PATH);
    let ended = drive(&vault, &mut at_once(), &mut Nobody).unwrap();
    let End::Undone(Some(why)) = ended else {
        panic!("{ended:?}")
    };
    assert!(why.contains("the key is refused"), "{why}");
    assert!(server.lets_in(&first));
    // Another server has its place.
    let known = server.file("known_hosts");
    let text = std::fs::read_to_string(&known).unwrap();
    std::fs::write(&known, "").unwrap();
    desk.plan(&plan("overlap", &server.keys(), &login(&server)));
    let said = String::from_utf8(desk.rotate(&[]).stderr).unwrap();
    assert!(
        said.contains("not known by its key") && said.contains("halfway"),
        "{said}"
    );
    std::fs::write(&known, text).unwrap();
    assert!(desk.rotate(&["--abort"]).status.success());

    let server = RefCell::new(server);
    let mut stop = OnTold(|told: &Told<'_>| {
        if let Told::Done(Effect::Apply) = told {
            server.borrow_mut().stop();
        }
    });
    let ended = drive(&vault, &mut at_once(), &mut stop).unwrap();
    let End::Stopped(Effect::ProbeCurrent, why) = ended else {
        panic!("{ended:?}")
    };
    assert!(why.contains("is the server there?"), "{why}");
    server.borrow_mut().run();
    let abort = How {
        abort: true,
        ..How::default()
    };
    assert_eq!(go_on(&vault, abort).unwrap(), End::Undone(None));
    assert!(server.borrow().lets_in(&first));
    assert!(
        !server.borrow().log().contains("Starting session: command on"),
        "{}",
        server.borrow().log()
    );
}

#[test]
fn a_login_ends_also_when_its_rotator_was_killed() {
    let Some(server) = Sshd::start("logins of killed rotators") else {
        return;
    };
    let between = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = between.local_addr().unwrap().port();
    let known = std::fs::read_to_string(server.file("known_hosts")).unwrap();
    let known = known.replace(&format!(":{} ", server.port()), &format!(":{port} "));
    std::fs::write(server.file("known_hosts"), known).unwrap();
    let there = login(&server).replace(&server.port().to_string(), &port.to_string());
    let text = plan("overlap", &server.keys(), &there).replace("[target]", "[target]\nlimit = \"2s\"");
    let desk = desk(&text, &server.keys());
    let mut rotator = desk.start();
    let (mut client, _) = between.accept().unwrap();
    rotator.kill().unwrap();
    rotator.wait().unwrap();
    // The login goes on without it, and gets in.
    let mut inside = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    let (mut from, mut to) = (inside.try_clone().unwrap(), client.try_clone().unwrap());
    std::thread::spawn(move || std::io::copy(&mut from, &mut to));
    client.set_read_timeout(Some(wait::PATIENCE)).unwrap();
    let ended = std::io::copy(&mut client, &mut inside);
    assert!(server.log().contains("Accepted publickey"), "{}", server.log());
    let still_there = ended.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
    assert!(!still_there, "it is still logged in");
}

#[test]
fn whoever_is_killed_at_any_moment_is_succeeded() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("keys");
    std::fs::write(&file, "").unwrap();
    let desk = desk(&plan("overlap", &file, ""), &file);
    rotate_kit::again_and_again(
        |dice| desk.killed(dice),
        || {
            let text = std::fs::read_to_string(&file).unwrap();
            assert_eq!(text.lines().count(), 1, "{text}");
            assert!(text.contains(&blob(&desk.current())));
        },
    );
    desk.scene.ok(&["verify"]);
}
