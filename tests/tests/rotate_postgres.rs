//! Passwords of PostgreSQL's roles are rotated at a real server: under load, while it is down, while
//! rotators are killed; and what it logs holds none of them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod rotate_kit;

use std::cell::RefCell;
use std::io::Write as _;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use rotate_kit::{Desk, Nobody, OnTold, PATH, Users, at_once, drive, go_on, plan, value};
use strongroom_core::id::Revision;
use strongroom_core::rotation::{Effect, Step};
use strongroom_core::rotator::{End, How, Told, Witness};
use strongroom_core::snapshot::Entry;
use strongroom_tests::postgres::Postgres;
use strongroom_tests::wait;

const FIRST: &str = r#"{"username":"web_a","password":"first-password-of-web-a"}"#;
const ACCOUNTS: &str = "accounts = [\"web_a\", \"web_b\"]";

fn server(what: &str) -> Option<Postgres> {
    let server = Postgres::start(what)?;
    server.sql("CREATE ROLE web_a LOGIN PASSWORD 'first-password-of-web-a'");
    server.sql("CREATE ROLE web_b LOGIN");
    Some(server)
}

/// The table of a target that is reached by the socket as the superuser.
fn by_socket(server: &Postgres) -> String {
    format!(
        "[target]\nretry = \"0s\"\n[target.postgres]\nhost = \"{}\"\nport = {}\nadmin_user = \"{}\"\n",
        server.socket(),
        server.port(),
        server.superuser()
    )
}

fn alternate(server: &Postgres) -> Desk {
    Desk::new(
        FIRST,
        &plan("alternate", &format!("{ACCOUNTS}\n{}", by_socket(server))),
    )
}

fn account(value: &str) -> (String, String) {
    let value: serde_json::Value = serde_json::from_str(value).unwrap();
    let word = |key: &str| value[key].as_str().unwrap().to_owned();
    (word("username"), word("password"))
}

async fn connect(
    (host, port): (&str, u16),
    user: &str,
    password: &str,
) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
    let mut config = tokio_postgres::Config::new();
    config
        .host(host)
        .port(port)
        .user(user)
        .password(password)
        .dbname("postgres");
    let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// What a login comes to: nothing, or the server's reason.
fn login(server: &Postgres, user: &str, password: &str) -> Result<(), String> {
    let found = runtime().block_on(connect((&server.socket(), server.port()), user, password));
    match found {
        Ok(_) => Ok(()),
        Err(error) => Err(error.code().expect("the server answers").code().to_owned()),
    }
}

fn logs_in(server: &Postgres, value: &str) -> bool {
    let (user, password) = account(value);
    login(server, &user, &password).is_ok()
}

/// What is in the store works, and the other role has no password.
fn assert_one_is_valid(server: &Postgres, current: &str) {
    assert!(logs_in(server, current), "what is current does not work");
    let (user, _) = account(current);
    let open =
        server.sql("SELECT rolname FROM pg_authid WHERE rolname LIKE 'web_%' AND rolpassword IS NOT NULL");
    assert_eq!(open, user);
}

/// One consumer: always connected as the store says, until it is told to end; every error counts.
async fn consume(
    desk: Arc<strongroom_core::Vault>,
    (host, port): (String, u16),
    mine: usize,
    users: Arc<Vec<AtomicU64>>,
    end: Arc<AtomicBool>,
    counts: Arc<(AtomicU64, Mutex<Vec<String>>)>,
) {
    let (queries, failures) = &*counts;
    while !end.load(Ordering::SeqCst) {
        let snapshot = desk.snapshot();
        let reading = snapshot
            .read(&rotate_kit::environment(), &rotate_kit::path(PATH))
            .unwrap();
        let text = reading
            .value
            .expose(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
        let (user, password) = account(&text);
        let client = match connect((&host, port), &user, &password).await {
            Ok(client) => client,
            Err(error) => {
                failures
                    .lock()
                    .unwrap()
                    .push(format!("login as {user}: {error:?}"));
                continue;
            }
        };
        users[mine].store(reading.entry.version.0.into(), Ordering::SeqCst);
        for _ in 0..20 {
            match client.simple_query("SELECT current_user").await {
                Ok(_) => _ = queries.fetch_add(1, Ordering::SeqCst),
                Err(error) => failures
                    .lock()
                    .unwrap()
                    .push(format!("query as {user}: {error:?}")),
            }
            let now = desk.snapshot();
            let now = now
                .entry(&rotate_kit::environment(), &rotate_kit::path(PATH))
                .unwrap();
            if now.version != reading.entry.version {
                break;
            }
        }
    }
}

#[test]
fn fifty_rotations_under_load_fail_no_query() {
    let Some(server) = server("rotation of PostgreSQL under load") else {
        return;
    };
    let desk = alternate(&server);
    let users: Arc<Vec<AtomicU64>> = Arc::new((0..20).map(|_| AtomicU64::new(0)).collect());
    let end = Arc::new(AtomicBool::new(false));
    let counts = Arc::new((AtomicU64::new(0), Mutex::default()));
    // Consumers follow the store as any other program does.
    let reader = desk.vault();
    let place = (server.socket(), server.port());
    let load = {
        let (users, end, counts) = (Arc::clone(&users), Arc::clone(&end), Arc::clone(&counts));
        std::thread::spawn(move || {
            runtime().block_on(async {
                let all: Vec<_> = (0..20)
                    .map(|mine| {
                        tokio::spawn(consume(
                            Arc::clone(&reader),
                            place.clone(),
                            mine,
                            Arc::clone(&users),
                            Arc::clone(&end),
                            Arc::clone(&counts),
                        ))
                    })
                    .collect();
                for each in all {
                    each.await.unwrap();
                }
            });
        })
    };
    let vault = desk.vault();
    let mut values = vec![value(&vault, PATH)];
    for _ in 0..50 {
        let ended = drive(&vault, &mut Users(Arc::clone(&users)), &mut Nobody).unwrap();
        assert_eq!(ended, End::Rotated);
        values.push(value(&vault, PATH));
    }
    end.store(true, Ordering::SeqCst);
    load.join().unwrap();
    let (queries, failures) = &*counts;
    assert_eq!(*failures.lock().unwrap(), [] as [String; 0]);
    assert!(queries.load(Ordering::SeqCst) > 1_000, "there was no load");
    assert_one_is_valid(&server, &values.pop().unwrap());
    let log = server.log();
    assert!(
        log.contains("ALTER ROLE"),
        "nothing was logged: the next lines show nothing"
    );
    for old in values {
        let (user, password) = account(&old);
        assert_eq!(login(&server, &user, &password), Err("28P01".into()));
        // The first one was set by this test itself, in the clear.
        assert!(old == FIRST || !log.contains(&password), "a password was logged");
    }
}

/// What was opened, at once; in full, it takes no more.
#[derive(Default)]
struct Log {
    opened: Vec<String>,
    is_full: bool,
}

impl Witness for Log {
    fn opens(&mut self, entries: &[&Entry], _: Revision) -> Result<(), String> {
        if self.is_full {
            return Err("the log is full".into());
        }
        let paths: Vec<_> = entries.iter().map(|entry| entry.path.as_str()).collect();
        let paths = paths.join(" ");
        // Each step opens the same.
        if self.opened.last() != Some(&paths) {
            self.opened.push(paths);
        }
        Ok(())
    }
    fn told(&mut self, _: &Told<'_>) {}
}

#[test]
fn one_role_is_changed_in_place_by_an_admin_with_a_password() {
    let Some(server) = server("rotation in place at PostgreSQL") else {
        return;
    };
    server.sql("CREATE ROLE keeper LOGIN CREATEROLE PASSWORD 'keeper-password-1'");
    // Names that have to be quoted.
    server.sql(r#"CREATE ROLE "we""ird'na\me" LOGIN PASSWORD 'first-password'"#);
    let table = format!(
        "[target]\nretry = \"0s\"\n[target.postgres]\nhost = \"127.0.0.1\"\nport = {}\ntls = \"off\"\n\
         admin = \"web/admin\"\nrole = '''we\"ird'na\\me'''\n",
        server.port()
    );
    let desk = Desk::new("first-password", &plan("replace", &table));
    let role = r#"we"ird'na\me"#;
    // No admin yet.
    assert!(!desk.rotate(&[]).status.success());
    desk.scene.put("prod", "web/admin", "keeper-password-1");
    let said = String::from_utf8(desk.rotate(&[]).stderr).unwrap();
    assert!(
        said.contains("the admin's secret is JSON") && !said.contains("keeper-password"),
        "{said}"
    );
    desk.scene.put(
        "prod",
        "web/admin",
        r#"{"username":"keeper","password":"keeper-password-1"}"#,
    );
    assert_eq!(login(&server, role, "first-password"), Ok(()));
    // The admin itself: that is found before anything begins.
    desk.plan(&plan(
        "replace",
        &table.replace("\'\'\'we\"ird\'na\\me\'\'\'", "\"keeper\""),
    ));
    let ran = desk.rotate(&[]);
    let said = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(1), "{said}");
    assert!(said.contains("is of the role itself"), "{said}");
    desk.assert_at_rest();
    desk.plan(&plan("replace", &table));
    for _ in 0..2 {
        let old = desk.current();
        let ran = desk.rotate(&[]);
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        let now = desk.current();
        assert_ne!(old, now);
        assert_eq!(login(&server, role, &now), Ok(()));
        assert_eq!(login(&server, role, &old), Err("28P01".into()));
        assert!(!server.log().contains(&now));
    }
    // The admin's secret is opened after that was recorded, and not when it could not be.
    let mut log = Log::default();
    let vault = desk.vault();
    assert_eq!(drive(&vault, &mut at_once(), &mut log).unwrap(), End::Rotated);
    assert_eq!(
        log.opened,
        ["web/admin", "web/credential web/credential web/admin"]
    );
    log.is_full = true;
    let refused = drive(&vault, &mut at_once(), &mut log).unwrap_err();
    assert_eq!(refused.to_string(), "the log is full");
    desk.assert_at_rest();
    // Back again: the new password is refused, the old one is not.
    server.sql(r#"ALTER ROLE "we""ird'na\me" NOLOGIN"#);
    let old = desk.current();
    let said = String::from_utf8(desk.rotate(&[]).stderr).unwrap();
    assert!(said.contains("SQLSTATE 28000"), "{said}");
    server.sql(r#"ALTER ROLE "we""ird'na\me" LOGIN"#);
    assert!(desk.rotate(&["--abort"]).status.success());
    assert_eq!((login(&server, role, &old), desk.current()), (Ok(()), old));
    // An admin who may not do that any more once it is begun.
    let mut no_more = OnTold(|told: &Told<'_>| {
        if matches!(told, Told::Committed(Step::Begin, _)) {
            server.sql("ALTER ROLE keeper NOCREATEROLE");
        }
    });
    let ended = drive(&desk.vault(), &mut at_once(), &mut no_more).unwrap();
    let End::Stopped(_, why) = ended else {
        panic!("{ended:?}")
    };
    assert!(why.contains("it may not do that (SQLSTATE 42501)"), "{why}");
}

#[test]
fn a_probe_that_fails_is_undone_by_itself() {
    let Some(server) = server("a failing probe at PostgreSQL") else {
        return;
    };
    let desk = alternate(&server);
    server.sql("ALTER ROLE web_b NOLOGIN");
    let ran = desk.rotate(&[]);
    let said = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(1), "{said}");
    assert!(
        said.contains("a login as \"web_b\": this login is refused"),
        "{said}"
    );
    desk.assert_at_rest();
    assert_eq!(desk.current(), FIRST);
    assert_one_is_valid(&server, FIRST);
    server.sql("ALTER ROLE web_b LOGIN");
    assert!(desk.rotate(&[]).status.success());
    assert_one_is_valid(&server, &desk.current());
}

#[test]
fn a_role_that_is_not_there_is_not_made() {
    let Some(server) = server("a role that PostgreSQL does not have") else {
        return;
    };
    let desk = alternate(&server);
    server.sql("DROP ROLE web_b");
    let said = String::from_utf8(desk.rotate(&[]).stderr).unwrap();
    assert!(said.contains("there is no role \"web_b\""), "{said}");
    desk.assert_at_rest();
    // It goes while a rotation runs: then there is nothing that could be valid.
    server.sql("CREATE ROLE web_b LOGIN");
    let mut drop_it = OnTold(|told: &Told<'_>| {
        if matches!(told, Told::Committed(Step::Begin, _)) {
            server.sql("DROP ROLE web_b");
        }
    });
    let ended = drive(&desk.vault(), &mut at_once(), &mut drop_it).unwrap();
    let End::Undone(Some(why)) = ended else {
        panic!("{ended:?}")
    };
    assert!(why.contains("there is no such role (SQLSTATE 42704)"), "{why}");
    assert_one_is_valid(&server, FIRST);
}

#[test]
fn an_admin_that_may_not_change_the_role_begins_nothing() {
    let Some(server) = server("admins of PostgreSQL that may not") else {
        return;
    };
    server.sql("CREATE ROLE keeper LOGIN PASSWORD 'keeper-password-1'");
    server.access("host all all all scram-sha-256");
    let table = format!(
        "{ACCOUNTS}\n[target]\nretry = \"0s\"\n[target.postgres]\nhost = \"127.0.0.1\"\nport = {}\n\
         tls = \"off\"\nadmin = \"web/admin\"\nadmin_user = \"keeper\"\n",
        server.port()
    );
    let desk = Desk::new(FIRST, &plan("alternate", &table));
    desk.scene.put("prod", "web/admin", "keeper-password-1");
    let refused = || {
        let said = String::from_utf8(desk.rotate(&[]).stderr).unwrap();
        let words = ["may not change the role \"web_", "nothing was begun"];
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
        desk.assert_at_rest();
    };
    refused();
    server.sql("ALTER ROLE keeper CREATEROLE");
    server.sql("ALTER ROLE web_a SUPERUSER");
    refused();
    server.sql("ALTER ROLE web_a NOSUPERUSER");
    // From 16 on it takes ADMIN on the roles too; before, this changes nothing.
    server.sql("GRANT web_a TO keeper WITH ADMIN OPTION");
    server.sql("GRANT web_b TO keeper WITH ADMIN OPTION");
    let ran = desk.rotate(&[]);
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

#[test]
fn a_login_that_needs_no_password_proves_nothing() {
    let Some(server) = server("logins without a password at PostgreSQL") else {
        return;
    };
    server.access("local all web_b trust\nhost all web_b 127.0.0.1/32 scram-sha-256");
    let desk = alternate(&server);
    let said = String::from_utf8(desk.rotate(&[]).stderr).unwrap();
    assert!(
        said.contains("nothing was begun")
            && said.contains("in without a password, so that none can be tried"),
        "{said}"
    );
    desk.assert_at_rest();
    // Where the logins are tried that consumers do.
    let elsewhere = format!("{}probe = \"127.0.0.1\"\n", by_socket(&server));
    let refused = plan("alternate", &format!("{ACCOUNTS}\n{elsewhere}"));
    desk.plan(&refused);
    let said = String::from_utf8(desk.rotate(&[]).stderr).unwrap();
    assert!(
        said.contains("nothing was begun") && said.contains("TLS"),
        "{said}"
    );
    desk.plan(&plan(
        "alternate",
        &format!("{ACCOUNTS}\n{elsewhere}tls = \"off\"\n"),
    ));
    let ran = desk.rotate(&[]);
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let (user, password) = account(&desk.current());
    let place = ("127.0.0.1", server.port());
    assert!(runtime().block_on(connect(place, &user, &password)).is_ok());
}

#[test]
fn the_server_is_known_by_its_certificate() {
    let Some(server) = server("TLS at PostgreSQL") else {
        return;
    };
    server.sql("CREATE ROLE keeper LOGIN CREATEROLE PASSWORD 'keeper-password-1'");
    let table = |host: &str, ca: &str| {
        let table = format!(
            "{ACCOUNTS}\n[target]\nretry = \"0s\"\n[target.postgres]\nhost = \"{host}\"\nport = {}\nca = \"{ca}\"\n\
             admin = \"web/admin\"\nadmin_user = \"keeper\"\n",
            server.port()
        );
        plan("alternate", &table)
    };
    let desk = Desk::new(FIRST, &table("localhost", "/nowhere"));
    let scene = &desk.scene;
    scene.put("prod", "web/admin", "keeper-password-1");
    scene.ok(&["put", "prod", "ca/one", "--generate", "x509-ca:name=One"]);
    scene.ok(&["put", "prod", "ca/other", "--generate", "x509-ca:name=Other"]);
    scene.ok(&[
        "put",
        "prod",
        "pg/tls",
        "--generate",
        "x509:dns=localhost,ca=ca/one",
    ]);
    let ca = |name: &str| {
        let pem = scene.ok(&["get", "prod", name]);
        let certificate = &pem[pem.find("-----BEGIN CERTIFICATE").unwrap()..];
        let file = scene.file(name.replace('/', "-"));
        std::fs::write(&file, certificate).unwrap();
        file.display().to_string()
    };
    let (one, other) = (ca("ca/one"), ca("ca/other"));
    let refused = |plan: &str, words: &str| {
        desk.plan(plan);
        let said = String::from_utf8(desk.rotate(&[]).stderr).unwrap();
        assert!(
            said.contains(words) && said.contains("nothing was begun"),
            "{said}"
        );
    };
    refused(
        &table("localhost", "/nowhere"),
        "/nowhere cannot be read as certificates",
    );
    refused(&table("localhost", &one), "TLS");
    let both = server.data().join("server.pem");
    let pem = scene.ok(&["get", "prod", "pg/tls"]);
    let mut install = strongroom_tests::server::as_user("postgres", "/usr/bin/tee".as_ref());
    let file = both.to_str().unwrap();
    let done = strongroom_tests::scene::feed(install.arg(file), pem.as_bytes());
    assert!(done.status.success());
    assert!(
        std::process::Command::new("chmod")
            .args(["600", file])
            .status()
            .unwrap()
            .success()
    );
    for setting in ["ssl_cert_file", "ssl_key_file"] {
        server.sql(&format!("ALTER SYSTEM SET {setting} = '{file}'"));
    }
    server.sql("ALTER SYSTEM SET ssl = on");
    server.sql("SELECT pg_reload_conf()");
    wait::until("TLS is on", || (server.sql("SHOW ssl") == "on").then_some(()));
    server.access("hostnossl all all all reject");
    refused(&table("localhost", &other), "TLS with the server");
    // The certificate is for another name.
    refused(&table("127.0.0.1", &one), "TLS with the server");
    desk.plan(&table("localhost", &one));
    let ran = desk.rotate(&[]);
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert_one_is_valid(&server, &desk.current());
}

#[test]
fn a_server_that_is_down_stops_it_where_it_is() {
    let Some(server) = server("PostgreSQL that is down") else {
        return;
    };
    let server = RefCell::new(server);
    let desk = alternate(&server.borrow());
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
    for (down_after, ends) in [("begin", "undo"), ("apply", "undo"), ("probe", "retire")] {
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
        let abort = ends == "undo";
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

/// A process that is waited for at the end, also of a test that fails.
struct Ended(std::process::Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_server_that_is_busy_or_cuts_the_connection_is_asked_again() {
    let Some(server) = server("PostgreSQL that is busy") else {
        return;
    };
    let table = by_socket(&server).replace("retry = \"0s\"", "retry = \"1m\"\nlimit = \"4s\"");
    let desk = Desk::new(FIRST, &plan("alternate", &format!("{ACCOUNTS}\n{table}")));
    // Somebody else changes the role, and takes time; then does it, or does not, or the rotator's connection is
    // cut while its statement waits.
    for (end, words) in [
        ("ROLLBACK", "SQLSTATE 57014"),
        ("COMMIT", "SQLSTATE XX000"),
        ("CUT", "SQLSTATE 57P01"),
    ] {
        let (user, _) = account(&desk.current());
        let idle = if user == "web_a" { "web_b" } else { "web_a" };
        let mut other = Ended(server.psql().stdin(Stdio::piped()).spawn().unwrap());
        let mut input = other.0.stdin.take().unwrap();
        writeln!(input, "BEGIN; ALTER ROLE {idle} CONNECTION LIMIT 90;").unwrap();
        let held = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'";
        wait::until("the role is held", || (server.sql(held) == "1").then_some(()));
        let vault = desk.vault();
        let again = RefCell::new(Vec::new());
        let ended = std::thread::scope(|scope| {
            let release = scope.spawn(|| {
                let what = if end == "CUT" {
                    "pg_terminate_backend(pid)"
                } else {
                    "*"
                };
                let waits =
                    format!("SELECT count({what}) FROM pg_stat_activity WHERE wait_event_type = 'Lock'");
                if end != "ROLLBACK" {
                    wait::until("the rotator waits", || (server.sql(&waits) == "1").then_some(()));
                }
                if end == "COMMIT" {
                    writeln!(input, "COMMIT;").unwrap();
                }
                input
            });
            let mut release = Some(release);
            let mut told = OnTold(|told: &Told<'_>| {
                if let Told::Again(Effect::Apply, why) = told {
                    again.borrow_mut().push((*why).to_owned());
                    drop(release.take().unwrap().join().unwrap());
                    other.0.wait().unwrap();
                }
            });
            drive(&vault, &mut at_once(), &mut told).unwrap()
        });
        assert_eq!(ended, End::Rotated);
        let again = again.into_inner();
        assert!(again.len() == 1 && again[0].contains(words), "{again:?}");
        assert_one_is_valid(&server, &value(&vault, PATH));
    }
}

#[test]
fn a_server_that_hangs_is_not_waited_for() {
    let Some(server) = server("PostgreSQL that hangs") else {
        return;
    };
    // Something that takes connections and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    server.sql("CREATE ROLE keeper LOGIN CREATEROLE PASSWORD 'keeper-password-1'");
    let table = format!(
        "{ACCOUNTS}\n[target]\nretry = \"0s\"\nlimit = \"1s\"\n[target.postgres]\nhost = \"127.0.0.1\"\nport = {}\n\
         tls = \"off\"\nadmin = \"web/admin\"\nadmin_user = \"keeper\"\n",
        silent.local_addr().unwrap().port()
    );
    let desk = Desk::new(FIRST, &plan("alternate", &table));
    desk.scene.put("prod", "web/admin", "keeper-password-1");
    let said = String::from_utf8(desk.rotate(&[]).stderr).unwrap();
    assert!(said.contains("it was not done after 1 s"), "{said}");
    desk.assert_at_rest();
}

#[test]
fn whoever_is_killed_at_any_moment_is_succeeded() {
    let Some(server) = server("rotators of PostgreSQL that are killed") else {
        return;
    };
    let desk = alternate(&server);
    rotate_kit::again_and_again(
        |dice| desk.killed(dice),
        || assert_one_is_valid(&server, &desk.current()),
    );
    desk.scene.ok(&["verify"]);
}
