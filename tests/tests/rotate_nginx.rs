//! The certificate that a real nginx serves is rotated: without ending a connection, not with a key of
//! another certificate, and while rotators are killed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod rotate_kit;

use std::cell::RefCell;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::{Command, Stdio};

use rotate_kit::{Desk, Nobody, OnTold, PATH, at_once, drive, go_on, value};
use strongroom_core::rotation::{Effect, Step};
use strongroom_core::rotator::{End, How, Told};
use strongroom_tests::nginx::{Nginx, certificate};
use strongroom_tests::wait;

const GENERATOR: &str = "x509:dns=localhost";

fn plan(server: &Nginx, more: &str) -> String {
    format!(
        "strategy = \"replace\"\ngenerator = \"{GENERATOR}\"\nsettle = \"0s\"\n\
         [target]\nretry = \"0s\"\nlimit = \"20s\"\n[target.nginx]\nfile = \"{}\"\npid = \"{}\"\n\
         probe = \"127.0.0.1:{}\"\nname = \"localhost\"\n{more}\n",
        server.file("web.pem").display(),
        server.file("nginx.pid").display(),
        server.port(),
    )
}

/// A server, and a store whose secret is what it serves.
fn scene(what: &str) -> Option<(Nginx, Desk)> {
    let desk = Desk::new(
        "no certificate yet",
        "strategy='replace'\ngenerator='uuid'\ntarget.exec=['/bin/true']",
    );
    desk.scene.ok(&["put", "prod", PATH, "--generate", GENERATOR]);
    let server = Nginx::start(what, &desk.current())?;
    desk.plan(&plan(&server, &format!("test = {}", server.test())));
    Some((server, desk))
}

/// What is in the store is in the file and is served.
fn assert_served(server: &Nginx, current: &str) {
    assert_eq!(std::fs::read_to_string(server.file("web.pem")).unwrap(), current);
    wait::until("it is served", || {
        (server.serves() == certificate(current)).then_some(())
    });
}

#[test]
fn a_new_certificate_is_served_and_requests_under_way_are_answered() {
    let Some((server, desk)) = scene("rotation of nginx's certificate") else {
        return;
    };
    let file = server.file("web.pem");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    for _ in 0..3 {
        let before = desk.current();
        let mut client = Command::new("openssl")
            .args([
                "s_client",
                "-quiet",
                "-connect",
                &format!("127.0.0.1:{}", server.port()),
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut input = client.stdin.take().unwrap();
        write!(input, "GET / HTTP/1.1\r\nHost: localhost\r\n").unwrap();
        wait::until("nginx has half of a request", || {
            (server.requests() == 1).then_some(())
        });
        let ran = desk.rotate(&[]);
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        let now = desk.current();
        assert_ne!(certificate(&before), certificate(&now));
        assert_served(&server, &now);
        write!(input, "Connection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        client.stdout.take().unwrap().read_to_string(&mut answer).unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello"),
            "{answer}"
        );
        drop(input);
        client.wait().unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o7777, 0o640);
    }
}

#[test]
fn a_key_of_another_certificate_changes_nothing() {
    let Some((server, desk)) = scene("a key that does not match at nginx") else {
        return;
    };
    let first = desk.current();
    // Generators make none, so it is the old value that was put by hand: the way back would install it.
    desk.scene
        .ok(&["put", "prod", "web/other", "--generate", GENERATOR]);
    let other = desk.scene.ok(&["get", "prod", "web/other"]);
    let key = &first[..first.find("-----BEGIN CERTIFICATE").unwrap()];
    let wrong = format!("{key}{}\n", certificate(&other));
    desk.scene.put("prod", PATH, &wrong);
    let mut spoil = OnTold(|told: &Told<'_>| {
        if let Told::Committed(Step::Begin, _) = told {
            // Then the new one cannot be served.
            std::fs::remove_file(server.file("nginx.pid")).unwrap();
        }
    });
    let vault = desk.vault();
    let ended = drive(&vault, &mut at_once(), &mut spoil).unwrap();
    let End::Stopped(Effect::Undo, why) = ended else {
        panic!("{ended:?}")
    };
    assert!(
        why.contains("its key is not that of its first certificate"),
        "{why}"
    );
    let file = std::fs::read_to_string(server.file("web.pem")).unwrap();
    assert_ne!(file, wrong, "it was put in place");
    assert_eq!(server.serves(), certificate(&first));
}

#[test]
fn what_nginx_would_not_take_is_undone() {
    let Some((server, desk)) = scene("a failing test of nginx") else {
        return;
    };
    let first = desk.current();
    // The program that tells refuses whatever is not the first one.
    let kept = server.file("first.pem");
    std::fs::write(&kept, &first).unwrap();
    let test = format!(
        "test = [\"/usr/bin/cmp\", \"-s\", \"{}\", \"{}\"]",
        kept.display(),
        server.file("web.pem").display()
    );
    desk.plan(&plan(&server, &test));
    let ran = desk.rotate(&[]);
    let said = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(1), "{said}");
    assert!(said.contains("nginx would not take its configuration"), "{said}");
    assert_eq!(desk.current(), first);
    assert_served(&server, &first);
    // One that never ends.
    desk.plan(&plan(&server, "test = [\"/bin/sleep\", \"100\"]").replace("20s", "1s"));
    let said = String::from_utf8(desk.rotate(&[]).stderr).unwrap();
    assert!(
        said.contains("nothing was begun") && said.contains("was not done in time"),
        "{said}"
    );
    // Another process has the number.
    std::fs::write(server.file("pid"), std::process::id().to_string()).unwrap();
    desk.plan(&plan(&server, "").replace("nginx.pid", "pid"));
    let said = String::from_utf8(desk.rotate(&[]).stderr).unwrap();
    assert!(said.contains("a process that is not nginx"), "{said}");
}

#[test]
fn a_probe_that_fails_is_undone_by_itself() {
    let Some((server, desk)) = scene("a failing probe at nginx") else {
        return;
    };
    desk.plan(&plan(&server, "").replace("20s", "2s"));
    let first = desk.current();
    let mut spoil = OnTold(|told: &Told<'_>| {
        if let Told::Done(Effect::Apply) = told {
            wait::until("the new one is served", || {
                (server.serves() != certificate(&first)).then_some(())
            });
            // Somebody else has it serve the old one again.
            let new = server.workers();
            std::fs::write(server.file("web.pem"), &first).unwrap();
            let pid = std::fs::read_to_string(server.file("nginx.pid")).unwrap();
            let done = Command::new("kill").args(["-HUP", pid.trim()]).status();
            assert!(done.unwrap().success());
            // until they have gone, those before it answer now and then
            wait::until("only those answer that serve the old one", || {
                let workers = server.workers();
                (!workers.is_empty() && workers.is_disjoint(&new)).then_some(())
            });
            assert_eq!(server.serves(), certificate(&first));
        }
    });
    let ended = drive(&desk.vault(), &mut at_once(), &mut spoil).unwrap();
    let End::Undone(Some(why)) = ended else {
        panic!("{ended:?}")
    };
    assert!(why.contains("does not serve the certificate"), "{why}");
    assert_eq!(desk.current(), first);
    assert_served(&server, &first);
}

#[test]
fn a_server_that_is_down_stops_it_where_it_is() {
    let Some((server, desk)) = scene("nginx that is down") else {
        return;
    };
    let server = RefCell::new(server);
    let vault = desk.vault();
    server.borrow_mut().stop();
    let said = String::from_utf8(desk.rotate(&[]).stderr).unwrap();
    assert!(
        said.contains("nothing was begun") && said.contains("nginx does not run"),
        "{said}"
    );
    desk.assert_at_rest();
    server.borrow_mut().run();
    let was = value(&vault, PATH);
    for down_after in ["begin", "apply"] {
        let mut stop = OnTold(|told: &Told<'_>| {
            let now = match told {
                Told::Committed(Step::Begin, _) => "begin",
                Told::Done(Effect::Apply) => "apply",
                _ => "",
            };
            if now == down_after {
                server.borrow_mut().stop();
            }
        });
        let ended = drive(&vault, &mut at_once(), &mut stop).unwrap();
        assert!(matches!(ended, End::Stopped(Effect::Undo, _)), "{ended:?}");
        server.borrow_mut().run();
        let how = How {
            abort: true,
            ..How::default()
        };
        assert!(matches!(go_on(&vault, how).unwrap(), End::Undone(_)));
        assert_eq!(value(&vault, PATH), was);
        assert_served(&server.borrow(), &was);
    }
    assert_eq!(drive(&vault, &mut at_once(), &mut Nobody).unwrap(), End::Rotated);
    assert_served(&server.borrow(), &value(&vault, PATH));
}

#[test]
fn whoever_is_killed_at_any_moment_is_succeeded() {
    let Some((server, desk)) = scene("rotators of nginx that are killed") else {
        return;
    };
    rotate_kit::again_and_again(
        |dice| desk.killed(dice),
        || assert_served(&server, &desk.current()),
    );
    desk.scene.ok(&["verify"]);
}
