//! Passwords of a user of Redis are rotated at a real server: under load, while it is down, while
//! rotators are killed; and what it shows to who looks on holds none of them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod rotate_kit;

use std::cell::RefCell;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rotate_kit::{Desk, Nobody, OnTold, PATH, Users as Confirmed, at_once, drive, go_on, plan, value};
use strongroom_core::Vault;
use strongroom_core::rotation::{Effect, Step};
use strongroom_core::rotator::{End, How, Told};
use strongroom_tests::redis::{ADMIN, Redis, Users};
use strongroom_tests::{server, wait};

const FIRST: &str = "first-password-of-web";
const USER: &str = "user web on >first-password-of-web ~web:* +get +set +ping";

fn table(server: &Redis, persist: &str) -> String {
    format!(
        "[target]\nretry = \"0s\"\n[target.redis]\nhost = \"{}\"\nuser = \"web\"\npersist = \"{persist}\"\n\
         admin = \"web/admin\"\nadmin_user = \"keeper\"\n",
        server.socket()
    )
}

fn desk(plan: &str) -> Desk {
    let desk = Desk::new(FIRST, plan);
    desk.scene.put("prod", "web/admin", ADMIN);
    desk
}

fn overlap(server: &Redis) -> Desk {
    desk(&plan("overlap", &table(server, "acl-file")))
}

fn connect(socket: &str, password: &str) -> redis::RedisResult<redis::Connection> {
    let url = format!("redis+unix://{socket}?user=web&pass={password}&protocol=2");
    redis::Client::open(url)?.get_connection()
}

fn logs_in(server: &Redis, password: &str) -> bool {
    connect(&server.socket(), password).is_ok()
}

/// What is in the store works, and nothing else does.
fn assert_one_is_valid(server: &Redis, current: &str) {
    assert!(logs_in(server, current), "what is current does not work");
    let list = server.tell(&["ACL", "LIST"]);
    let user = list.lines().find(|line| line.starts_with("user web ")).unwrap();
    assert_eq!(user.matches('#').count(), 1, "{user}");
}

/// One consumer: connected as the store says, until it is told to end; every error counts.
fn consume(
    vault: &Vault,
    socket: &str,
    mine: &AtomicU64,
    end: &AtomicBool,
    (commands, failures): (&AtomicU64, &Mutex<Vec<String>>),
) {
    let (environment, path) = (rotate_kit::environment(), rotate_kit::path(PATH));
    let failed = |what: &str, error: redis::RedisError| {
        failures.lock().unwrap().push(format!("{what}: {error}"));
    };
    while !end.load(Ordering::SeqCst) {
        let reading = vault.snapshot().read(&environment, &path).unwrap();
        let password = reading
            .value
            .expose(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
        let mut connection = match connect(socket, &password) {
            Ok(connection) => connection,
            Err(error) => {
                failed("login", error);
                continue;
            }
        };
        mine.store(reading.entry.version.0.into(), Ordering::SeqCst);
        for _ in 0..20 {
            match redis::cmd("SET").arg("web:key").arg(1).exec(&mut connection) {
                Ok(()) => _ = commands.fetch_add(1, Ordering::SeqCst),
                Err(error) => failed("command", error),
            }
            // Twenty that never rest would keep the rotator from its processor.
            std::thread::sleep(Duration::from_millis(1));
            let now = vault.snapshot().entry(&environment, &path).unwrap().version;
            if now != reading.entry.version {
                break;
            }
        }
    }
}

#[test]
fn fifty_rotations_under_load_fail_no_command() {
    let Some(server) = Redis::start("rotation of Redis under load", Users::File, USER) else {
        return;
    };
    let desk = overlap(&server);
    let watched = server.file("monitor");
    let mut monitor = server
        .cli("keeper", ADMIN)
        .arg("MONITOR")
        .stdout(std::fs::File::create(&watched).unwrap())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    wait::until("the monitor is on", || {
        std::fs::read(&watched).unwrap().starts_with(b"OK").then_some(())
    });
    let users: Arc<Vec<AtomicU64>> = Arc::new((0..20).map(|_| AtomicU64::new(0)).collect());
    let end = AtomicBool::new(false);
    let (commands, failures) = (AtomicU64::new(0), Mutex::default());
    // Consumers follow the store as any other program does.
    let (reader, vault, socket) = (desk.vault(), desk.vault(), server.socket());
    let mut values = vec![value(&vault, PATH)];
    std::thread::scope(|scope| {
        for mine in users.iter() {
            scope.spawn(|| consume(&reader, &socket, mine, &end, (&commands, &failures)));
        }
        for _ in 0..50 {
            let ended = drive(&vault, &mut Confirmed(Arc::clone(&users)), &mut Nobody);
            values.push(value(&vault, PATH));
            if !matches!(ended, Ok(End::Rotated)) {
                failures.lock().unwrap().push(format!("{ended:?}"));
                break;
            }
        }
        end.store(true, Ordering::SeqCst);
    });
    monitor.kill().unwrap();
    monitor.wait().unwrap();
    assert_eq!(failures.into_inner().unwrap(), [] as [String; 0]);
    assert!(commands.into_inner() > 1_000, "there was no load");
    assert_one_is_valid(&server, &values.pop().unwrap());
    let monitor = String::from_utf8(std::fs::read(&watched).unwrap()).unwrap();
    let slow = server.tell(&["SLOWLOG", "GET", "-1"]);
    assert!(
        monitor.contains("\"SET\"") && slow.contains("AUTH"),
        "nothing is shown there at all"
    );
    for old in values {
        assert!(!logs_in(&server, &old));
        assert!(
            !monitor.contains(&old) && !slow.contains(&old),
            "a password is shown"
        );
    }
}

#[test]
fn a_password_is_changed_in_place_and_outlives_the_server() {
    for (kept, persist, file) in [
        (Users::File, "acl-file", "users.acl"),
        (Users::Config, "config", "redis.conf"),
    ] {
        let Some(mut server) = Redis::start("rotation in place at Redis", kept, USER) else {
            return;
        };
        // Another password that somebody added by hand.
        server.tell(&["ACL", "SETUSER", "web", ">another"]);
        let desk = desk(&plan("replace", &table(&server, persist)));
        for _ in 0..2 {
            let old = desk.current();
            let ran = desk.rotate(&[]);
            assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
            let now = desk.current();
            assert_one_is_valid(&server, &now);
            assert!(!logs_in(&server, &old) && !logs_in(&server, "another"));
            server.stop();
            assert!(!std::fs::read_to_string(server.file(file)).unwrap().contains(&now));
            server.run();
            assert_one_is_valid(&server, &now);
        }
    }
}

#[test]
fn what_the_server_would_not_do_is_not_begun() {
    let Some(server) = Redis::start("refusals of Redis", Users::Config, USER) else {
        return;
    };
    let desk = desk(&plan("overlap", &table(&server, "acl-file")));
    let refused = |words: &str| {
        let ran = desk.rotate(&[]);
        let said = String::from_utf8(ran.stderr).unwrap();
        assert_eq!(ran.status.code(), Some(1), "{said}");
        assert!(
            said.contains("nothing was begun") && said.contains(words),
            "{said}"
        );
        desk.assert_at_rest();
    };
    refused("the server has no file of users");
    for strategy in ["overlap", "replace"] {
        let own = table(&server, "none").replace("user = \"web\"", "user = \"keeper\"");
        desk.plan(&plan(strategy, &own));
        refused("\"keeper\" is who changes users itself");
    }
    server.tell(&["ACL", "SETUSER", "web", "nopass"]);
    for strategy in ["replace", "overlap"] {
        desk.plan(&plan(strategy, &table(&server, "none")));
        refused("takes any password");
    }
    server.tell(&["ACL", "DELUSER", "web"]);
    refused("there is no user \"web\"");
    assert!(
        !server.tell(&["ACL", "LIST"]).contains("user web"),
        "it was made up"
    );
    server.tell(&["ACL", "SETUSER", "keeper", "-acl"]);
    refused("it may not do that (NOPERM)");
    desk.scene.put("prod", "web/admin", "not-the-password");
    refused("the password is refused");
    let alone = table(&server, "none")
        .replace("admin = ", "#")
        .replace("admin_user = ", "#");
    desk.plan(&plan("overlap", &alone));
    refused("the server wants a login");
}

#[test]
fn a_configuration_that_leaves_users_out_does_not_keep_them() {
    let Some(server) = Redis::start("a file of users of Redis", Users::File, USER) else {
        return;
    };
    let desk = desk(&plan("overlap", &table(&server, "config")));
    let ran = desk.rotate(&[]);
    let said = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(1), "{said}");
    assert!(said.contains("`persist` is `acl-file`"), "{said}");
    desk.assert_at_rest();
}

#[test]
fn a_probe_that_fails_is_undone_by_itself() {
    let Some(server) = Redis::start("a failing probe at Redis", Users::File, USER) else {
        return;
    };
    for strategy in ["overlap", "replace"] {
        let desk = desk(&plan(strategy, &table(&server, "acl-file")));
        let mut spoil = OnTold(|told: &Told<'_>| {
            if matches!(told, Told::Done(Effect::Apply)) {
                server.tell(&["ACL", "SETUSER", "web", "resetpass", ">other"]);
            }
        });
        let ended = drive(&desk.vault(), &mut at_once(), &mut spoil).unwrap();
        let End::Undone(Some(why)) = ended else {
            panic!("{ended:?}")
        };
        assert!(why.contains("WRONGPASS"), "{why}");
        assert!(logs_in(&server, FIRST));
        server.tell(&["ACL", "SETUSER", "web", "resetpass", &format!(">{FIRST}")]);
    }
}

#[test]
fn a_server_that_is_down_stops_it_where_it_is() {
    let Some(server) = Redis::start("Redis that is down", Users::File, USER) else {
        return;
    };
    let server = RefCell::new(server);
    let desk = overlap(&server.borrow());
    let vault = desk.vault();
    server.borrow_mut().stop();
    let said = String::from_utf8(desk.rotate(&[]).stderr).unwrap();
    assert!(
        said.contains("nothing was begun") && said.contains("cannot be reached"),
        "{said}"
    );
    desk.assert_at_rest();
    server.borrow_mut().run();

    let mut was = FIRST.to_owned();
    for (down_after, abort) in [("begin", true), ("apply", true), ("probe", false)] {
        let mut stop = OnTold(|told: &Told<'_>| {
            let now = match told {
                Told::Committed(Step::Begin, _) => "begin",
                Told::Done(Effect::Apply) => "apply",
                Told::Done(Effect::ProbePending) => "probe",
                _ => "",
            };
            if now == down_after {
                server.borrow_mut().stop();
            }
        });
        let ended = drive(&vault, &mut at_once(), &mut stop).unwrap();
        let End::Stopped(effect, why) = ended else {
            panic!("{ended:?}")
        };
        assert!(why.contains("cannot be reached"), "{why}");
        assert_eq!(effect, if abort { Effect::Undo } else { Effect::Retire });
        server.borrow_mut().run();
        let how = How {
            abort,
            ..How::default()
        };
        let ended = go_on(&vault, how).unwrap();
        assert_eq!(matches!(ended, End::Undone(_)), abort, "{ended:?}");
        let now = value(&vault, PATH);
        assert_eq!(now == was, abort);
        assert_one_is_valid(&server.borrow(), &now);
        was = now;
    }
}

#[test]
fn a_server_that_is_full_is_asked_again() {
    let Some(server) = Redis::start("Redis that is full", Users::File, USER) else {
        return;
    };
    let table = table(&server, "acl-file").replace("retry = \"0s\"", "retry = \"1m\"");
    let desk = desk(&plan("overlap", &table));
    let held = RefCell::new(None);
    let again = RefCell::new(Vec::new());
    let mut told = OnTold(|told: &Told<'_>| match told {
        Told::Committed(Step::Begin, _) => {
            let mut connection = connect(&server.socket(), FIRST).unwrap();
            redis::cmd("PING").exec(&mut connection).unwrap();
            *held.borrow_mut() = Some(connection);
            server.tell(&["CONFIG", "SET", "maxclients", "1"]);
        }
        Told::Again(Effect::Apply, why) => {
            again.borrow_mut().push((*why).to_owned());
            held.borrow_mut().take();
        }
        _ => {}
    });
    assert_eq!(
        drive(&desk.vault(), &mut at_once(), &mut told).unwrap(),
        End::Rotated
    );
    let again = again.into_inner();
    // A server that is full ends a connection at once: not always is it heard why.
    let words = ["too many connections", "the connection to the server ended"];
    let fine = |why: &String| words.iter().any(|words| why.contains(words));
    assert!(!again.is_empty() && again.iter().all(fine), "{again:?}");
    assert_one_is_valid(&server, &desk.current());
}

#[test]
fn the_server_is_known_by_its_certificate() {
    let Some(server) = Redis::start("TLS at Redis", Users::File, USER) else {
        return;
    };
    let port = server::free_port();
    let table = |host: &str, ca: &str| {
        plan(
            "overlap",
            &format!(
                "[target]\nretry = \"0s\"\n[target.redis]\nhost = \"{host}\"\nport = {port}\nca = \"{ca}\"\n\
                 user = \"web\"\npersist = \"acl-file\"\nadmin = \"web/admin\"\nadmin_user = \"keeper\"\n"
            ),
        )
    };
    let desk = desk(&table("localhost", "/nowhere"));
    let scene = &desk.scene;
    for name in ["one", "other"] {
        scene.ok(&[
            "put",
            "prod",
            &format!("ca/{name}"),
            "--generate",
            "x509-ca:name=Test",
        ]);
    }
    scene.ok(&[
        "put",
        "prod",
        "redis/tls",
        "--generate",
        "x509:dns=localhost,ca=ca/one",
    ]);
    server.write("tls.pem", &scene.ok(&["get", "prod", "redis/tls"]));
    let ca = |name: &str| {
        let pem = scene.ok(&["get", "prod", &format!("ca/{name}")]);
        let file = scene.file(name);
        std::fs::write(&file, &pem[pem.find("-----BEGIN CERTIFICATE").unwrap()..]).unwrap();
        file.display().to_string()
    };
    let (one, other) = (ca("one"), ca("other"));
    let file = server.file("tls.pem").display().to_string();
    server.tell(&[
        "CONFIG",
        "SET",
        "tls-cert-file",
        &file,
        "tls-key-file",
        &file,
        "tls-auth-clients",
        "no",
        "tls-ca-cert-file",
        &file,
        "tls-port",
        &port.to_string(),
    ]);
    for (plan, words) in [
        (table("localhost", &other), "TLS with localhost"),
        (table("127.0.0.1", &one), "TLS with 127.0.0.1"),
    ] {
        desk.plan(&plan);
        let said = String::from_utf8(desk.rotate(&[]).stderr).unwrap();
        assert!(
            said.contains(words) && said.contains("nothing was begun"),
            "{said}"
        );
    }
    desk.plan(&table("localhost", &one));
    let ran = desk.rotate(&[]);
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert_one_is_valid(&server, &desk.current());
}

#[test]
fn whoever_is_killed_at_any_moment_is_succeeded() {
    let Some(server) = Redis::start("rotators of Redis that are killed", Users::File, USER) else {
        return;
    };
    let desk = overlap(&server);
    rotate_kit::again_and_again(
        |dice| desk.killed(dice),
        || assert_one_is_valid(&server, &desk.current()),
    );
    desk.scene.ok(&["verify"]);
}
