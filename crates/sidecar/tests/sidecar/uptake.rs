//! Uptake: what a sidecar reports of its consumers, as any member reads it from the store.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use strongroom_core::Vault;
use strongroom_core::ambient::{Ambient, Timestamp};
use strongroom_core::crypto::identity::Identity;
use strongroom_core::id::EntryId;
use strongroom_core::store::{Store as _, StoredReport, Wake};
use strongroom_core::uptake::{Consumer, ConsumerKind, Missing, Presence, Use, slot};
use strongroom_core::vault::{Edit, OpenOptions};

use crate::grant::audit_of;
use crate::http::{self, Answer, Client};
use crate::process::{Sidecar, until};
use crate::scene::{Scene, environment, path};

/// The reported consumers of a kind.
pub fn reported(scene: &Scene, kind: ConsumerKind) -> Vec<Consumer> {
    let all = scene.vault.uptake().unwrap().reported;
    let of_kind = all.into_iter().filter(|one| one.consumer.kind == kind);
    of_kind
        .map(|one| {
            assert_eq!(one.member, "web");
            one.consumer
        })
        .collect()
}

fn entry(scene: &Scene) -> EntryId {
    let snapshot = scene.vault.snapshot();
    snapshot
        .entry(&environment("prod"), &path("web/token"))
        .unwrap()
        .id
}

/// Waits for the only consumer of a kind to have `web/token` as `wanted`.
pub fn until_it_has(
    scene: &Scene,
    kind: ConsumerKind,
    what: &str,
    wanted: impl Fn(&Use, &Consumer) -> bool,
) -> Consumer {
    let id = entry(scene);
    until(what, || {
        let all = reported(scene, kind);
        let found = all.into_iter().find(|one| one.presence == Presence::Present)?;
        let used = *found.of(id)?;
        wanted(&used, &found).then_some(found)
    })
}

/// Who is waited for, as a rotator asks: kind, what is missing, and why.
fn waiting(scene: &Scene) -> Vec<(ConsumerKind, Missing, String)> {
    let snapshot = scene.vault.snapshot();
    let entry = snapshot.entry(&environment("prod"), &path("web/token")).unwrap();
    let uptake = scene.vault.uptake().unwrap();
    let day = Duration::from_secs(24 * 3600);
    let now = Ambient::system().now();
    let lags = uptake.waiting(entry.id, entry.version, entry.revision, now, day);
    let lags = lags.iter().map(|lag| {
        let consumer = &lag.reported.consumer;
        (consumer.kind, lag.missing, consumer.problem.clone())
    });
    lags.collect()
}

/// Waits until nobody is waited for.
fn until_all_have_it(scene: &Scene) {
    until("nobody is waited for", || waiting(scene).is_empty().then_some(()));
}

/// Waits until one of `kind` alone is waited for, to do `missing`; why it has not.
fn until_it_lags(scene: &Scene, kind: ConsumerKind, missing: Missing) -> String {
    until(&format!("{kind:?} is waited for to {missing:?}"), || {
        let all = waiting(scene);
        match &all[..] {
            [(found, what, problem)] if (*found, *what) == (kind, missing) => Some(problem.clone()),
            _ => None,
        }
    })
}

fn read(client: &mut Client) {
    let answer = client.request("GET", "/api/v1/secrets/web/token", &[]).unwrap();
    assert_eq!(answer.status, 200);
}

fn confirm(connection: &mut Client, body: &str) -> Answer {
    connection.post("/api/v1/confirm", &[], body.as_bytes()).unwrap()
}

#[test]
fn what_a_client_reads_and_confirms_is_reported() {
    let scene = Scene::with_token();
    let (audit, directory) = audit_of(&scene);
    let sidecar = Sidecar::start(&scene, &audit);
    let mut client = Client::connect(&sidecar.socket).unwrap();
    read(&mut client);
    let socket = ConsumerKind::Socket;
    let found = until_it_has(&scene, socket, "the read is reported", |used, _| {
        used.read.version.0 == 1
    });
    assert!(!found.confirms());
    assert_eq!(found.sidecar, sidecar.socket.display().to_string());
    let second = scene.secret("web/token", "two");
    sidecar.serves(second);
    read(&mut client);
    until_it_has(&scene, socket, "the second read is reported", |used, _| {
        used.read.version.0 == 2 && used.read.revision.0 == second
    });

    let answer = confirm(&mut client, r#"{"path":"web/token","version":1}"#);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["current"], false);
    let answer = confirm(&mut client, r#"{"path":"web/token","version":2}"#);
    assert_eq!(answer.json()["current"], true);
    assert_eq!(
        answer.header("strongroom-revision"),
        Some(second.to_string().as_str())
    );
    let found = until_it_has(&scene, socket, "the confirmation is reported", |used, _| {
        used.confirmed.version.0 == 2
    });
    assert!(found.confirms());
    for (body, status) in [
        (r#"{"path":"web/token","version":3}"#, 404),
        (r#"{"path":"web/token","revision":9999}"#, 404),
        (r#"{"path":"web/none","version":1}"#, 404),
        (r#"{"path":"web/token"}"#, 400),
        (r#"{"path":"web/token","version":2,"revision":3}"#, 400),
        (r#"{"path":"web/token","version":2,"more":3}"#, 400),
        ("", 400),
    ] {
        assert_eq!(confirm(&mut client, body).status, status, "{body}");
    }
    let answer = http::get(&sidecar.socket, "/api/v1/confirm").unwrap();
    assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")));
    sidecar.terminate();
    let log = fs::read_dir(directory).unwrap();
    let log: String = log
        .filter_map(|file| fs::read_to_string(file.unwrap().path()).ok())
        .collect();
    assert!(log.contains("\"confirm\""), "a confirmation is recorded");
}

#[test]
fn who_may_not_confirm_does_not() {
    let scene = Scene::with_token();
    let policy = "permit(principal, action in [Action::\"readSecret\", Action::\"describe\"], resource);";
    scene.commit(vec![crate::scene::put(
        "prod",
        "policies/read",
        strongroom_core::kind::Kind::Policy,
        policy.as_bytes(),
    )]);
    let sidecar = Sidecar::start(&scene, "");
    let mut client = Client::connect(&sidecar.socket).unwrap();
    let answer = confirm(&mut client, r#"{"path":"web/token","version":1}"#);
    assert_eq!((answer.status, answer.code()), (403, "denied".to_owned()));
}

#[test]
fn a_directory_has_confirmed_when_its_command_succeeded() {
    let scene = Scene::with_token();
    let gate = scene.file("gate");
    let files = format!(
        "[[files]]\ndirectory = \"files\"\non_change = {{ command = [\"/bin/sh\", \"-c\", \"test -e {}\"] }}",
        gate.display()
    );
    let sidecar = Sidecar::start(&scene, &files);
    let kind = ConsumerKind::Files;
    until_it_has(&scene, kind, "the files are reported", |used, consumer| {
        used.read.version.0 == 1 && !used.confirmed.is_some() && !consumer.problem.is_empty()
    });
    fs::write(&gate, "").unwrap();
    let found = until_it_has(&scene, kind, "the command succeeded", |used, consumer| {
        used.confirmed.version.0 == 1 && consumer.problem.is_empty()
    });
    assert_eq!(found.revision.0, scene.revision());
    let second = scene.secret("web/token", "two");
    until_it_has(&scene, kind, "the second revision", |used, _| {
        used.confirmed.version.0 == 2 && used.confirmed.revision.0 == second
    });
    // it says that it ended itself
    sidecar.terminate();
    let gone = reported(&scene, ConsumerKind::Sidecar);
    assert_eq!(gone[0].presence, Presence::Ended);
    assert_eq!(
        reported(&scene, kind)[0].presence,
        Presence::Present,
        "files stay"
    );
}

#[test]
fn a_process_has_confirmed_when_it_runs_and_ends_with_the_sidecar() {
    let scene = Scene::with_token();
    let sidecar = Sidecar::start(&scene, "[process]\ncommand = [\"/bin/sleep\", \"1000\"]");
    let kind = ConsumerKind::Process;
    let second = scene.secret("web/token", "two");
    until_it_has(&scene, kind, "it was restarted", |used, _| {
        used.confirmed.version.0 == 2 && used.confirmed.revision.0 == second
    });
    sidecar.terminate();
    assert_eq!(reported(&scene, kind)[0].presence, Presence::Ended);
}

#[test]
fn what_cannot_be_reported_is_said_once_and_holds_up_nobody() {
    let scene = Scene::with_token();
    // no file can be made there
    fs::create_dir(scene.file("store.db.uptake")).unwrap();
    let sidecar = Sidecar::start(&scene, "");
    assert_eq!(sidecar.secret("web/token"), "one");
    let problem = until("status says it", || {
        sidecar.status()["unreported"].as_str().map(str::to_owned)
    });
    assert!(problem.contains("not a file"), "{problem}");
    let second = scene.secret("web/token", "two");
    sidecar.serves(second);
    assert_eq!(sidecar.secret("web/token"), "two");
    let said = sidecar
        .log()
        .matches("it is not reported who uses which version")
        .count();
    assert_eq!(said, 1);
}

#[test]
fn after_a_commit_each_consumer_is_waited_for_until_it_has_it() {
    let scene = Scene::with_token();
    let gate = scene.file("gate");
    fs::write(&gate, "").unwrap();
    let gate = gate.display();
    let sidecar = Sidecar::start(
        &scene,
        &format!(
            "[[files]]\ndirectory = \"files\"\non_change = {{ command = [\"/bin/sh\", \"-c\", \"test -e {gate}\"] }}\n\
             [process]\ncommand = [\"/bin/sleep\", \"1000\"]"
        ),
    );
    let mut client = Client::connect(&sidecar.socket).unwrap();
    read(&mut client);
    let kinds = [ConsumerKind::Files, ConsumerKind::Process, ConsumerKind::Socket];
    for kind in kinds {
        until_it_has(&scene, kind, "it has the first version", |used, _| {
            used.read.version.0 == 1
        });
    }
    until_all_have_it(&scene);

    let mut watch = scene.vault.watch_uptake().unwrap();
    sidecar.serves(scene.secret("web/token", "two"));
    // who reads by itself is the last one
    until_it_lags(&scene, ConsumerKind::Socket, Missing::Read);
    while watch.wait(Duration::ZERO).unwrap() == Wake::Changed {}
    read(&mut client);
    assert_eq!(watch.wait(Duration::from_secs(30)).unwrap(), Wake::Changed);
    until_all_have_it(&scene);

    // one whose reload fails stays behind, and says why
    fs::remove_file(scene.file("gate")).unwrap();
    sidecar.serves(scene.secret("web/token", "three"));
    read(&mut client);
    let problem = until_it_lags(&scene, ConsumerKind::Files, Missing::Reload);
    until("it says why", || {
        waiting(&scene)
            .first()?
            .2
            .contains("/bin/sh failed: exit status: 1")
            .then_some(())
    });
    assert!(!problem.contains("three"));
    fs::write(scene.file("gate"), "").unwrap();
    until_all_have_it(&scene);

    // what cannot be delivered is waited for as well: it is not there without its required entry
    let of = |kind| {
        let all = reported(&scene, kind);
        all.into_iter()
            .filter(|one| one.presence == Presence::Present)
            .count()
    };
    assert_eq!(kinds.map(of), [1, 1, 1]);
    sidecar.terminate();
}

#[test]
fn what_was_never_delivered_is_waited_for() {
    let scene = Scene::with_token();
    let files = "[[files]]\ndirectory = \"files\"\nrequired = [\"web/absent\"]";
    let sidecar = Sidecar::launch(
        crate::process::command(&scene.settings(files)),
        scene.file("web/s.sock"),
    );
    until("it says why", || {
        let all = waiting(&scene);
        let (kind, missing, problem) = all.first()?;
        assert_eq!((*kind, *missing), (ConsumerKind::Files, Missing::Deliver));
        problem.contains("web/absent").then_some(())
    });
    scene.secret("web/absent", "there");
    until_all_have_it(&scene);
    drop(sidecar);
}

#[test]
fn a_process_whose_command_fails_or_that_does_not_run_has_it_not() {
    let scene = Scene::with_token();
    let gate = scene.file("gate");
    let gate = gate.display();
    let sidecar = Sidecar::start(
        &scene,
        &format!(
            "[process]\ncommand = [\"/bin/sleep\", \"1000\"]\n\
             on_change = {{ command = [\"/bin/sh\", \"-c\", \"test -e {gate}\"] }}"
        ),
    );
    let kind = ConsumerKind::Process;
    until_it_has(&scene, kind, "it runs", |used, _| used.confirmed.version.0 == 1);
    until_all_have_it(&scene);
    scene.secret("web/token", "two");
    until("its command failed", || {
        let all = waiting(&scene);
        let (_, missing, problem) = all.first()?;
        (*missing == Missing::Reload && problem.contains("failed: exit code 1")).then_some(())
    });
    // a revision that changes none of its values makes nothing good
    scene.commit(vec![Edit::AddEnvironment {
        name: environment("elsewhere"),
        parent: None,
        compartment: None,
    }]);
    until("that revision was delivered", || {
        let all = sidecar.status();
        let revision = all["injections"][0]["revision"].as_u64()?;
        (revision == scene.revision()).then_some(())
    });
    assert_eq!(waiting(&scene).len(), 1);
    fs::write(scene.file("gate"), "").unwrap();
    scene.secret("web/token", "three");
    until_all_have_it(&scene);
    sidecar.terminate();

    let settings = "[process]\ncommand = [\"/bin/sh\", \"-c\", \"exit 3\"]\nrestart = \"always\"";
    let sidecar = Sidecar::start(&scene, settings);
    until("it does not run", || {
        let all = waiting(&scene);
        let (_, missing, problem) = all.first()?;
        (*missing == Missing::Reload && problem.contains("it ended: exit code 3")).then_some(())
    });
    drop(sidecar);
}

#[test]
fn what_failed_before_a_kill_has_not_succeeded_after_it() {
    let scene = Scene::with_token();
    let gate = scene.file("gate");
    let files = format!(
        "[[files]]\ndirectory = \"files\"\non_change = {{ command = [\"/bin/sh\", \"-c\", \"test -e {}\"] }}",
        gate.display()
    );
    let sidecar = Sidecar::start(&scene, &files);
    until_it_lags(&scene, ConsumerKind::Files, Missing::Reload);
    sidecar.kill();
    let sidecar = Sidecar::start(&scene, &files);
    // the files are as they are to be; the command did not succeed for them yet
    until("the command has failed again", || {
        let problem = &sidecar.status()["injections"][0]["problem"];
        problem.as_str()?.contains("failed").then_some(())
    });
    until_it_lags(&scene, ConsumerKind::Files, Missing::Reload);
    fs::write(&gate, "").unwrap();
    until_all_have_it(&scene);
    drop(sidecar);
}

#[test]
fn who_confirms_is_to_do_so_over_a_kill_of_the_sidecar() {
    let scene = Scene::with_token();
    let sidecar = Sidecar::start(&scene, "");
    let mut client = Client::connect(&sidecar.socket).unwrap();
    assert_eq!(
        confirm(&mut client, r#"{"path":"web/token","version":1}"#).status,
        200
    );
    until_it_has(&scene, ConsumerKind::Socket, "it confirmed", |used, _| {
        used.confirmed.version.0 == 1
    });
    sidecar.kill();
    // nobody knows what became of it
    scene.secret("web/token", "two");
    until_it_lags(&scene, ConsumerKind::Socket, Missing::Read);
    let sidecar = Sidecar::start(&scene, "");
    let mut client = Client::connect(&sidecar.socket).unwrap();
    read(&mut client);
    until_it_lags(&scene, ConsumerKind::Socket, Missing::Confirm);
    assert_eq!(
        confirm(&mut client, r#"{"path":"web/token","version":2}"#).status,
        200
    );
    until_all_have_it(&scene);
    drop(sidecar);
}

#[test]
fn what_was_read_before_a_restart_is_waited_for_after_it() {
    let scene = Scene::with_token();
    scene.secret("web/other", "another");
    let both = |consumer: &Consumer| consumer.uses.len() == 2;
    let read_other = |client: &mut Client| {
        let answer = client.request("GET", "/api/v1/secrets/web/other", &[]).unwrap();
        assert_eq!(answer.status, 200);
    };
    let first = |used: &Use, _: &Consumer| used.read.version.0 == 1;
    let sidecar = Sidecar::start(&scene, "");
    read(&mut Client::connect(&sidecar.socket).unwrap());
    let socket = ConsumerKind::Socket;
    until_it_has(&scene, socket, "the read is reported", first);
    sidecar.terminate();

    // it has the first version still, and asks for something else only
    let sidecar = Sidecar::start(&scene, "");
    read_other(&mut Client::connect(&sidecar.socket).unwrap());
    until_it_has(&scene, socket, "both are reported", |used, consumer| {
        first(used, consumer) && both(consumer)
    });
    sidecar.kill();
    let sidecar = Sidecar::start(&scene, "");
    let mut client = Client::connect(&sidecar.socket).unwrap();
    read_other(&mut client);
    sidecar.serves(scene.secret("web/token", "two"));
    sidecar.serves(scene.secret("web/other", "yet another"));
    read_other(&mut client);
    until("the last read is reported", || {
        let all = reported(&scene, socket);
        let [one] = all.try_into().ok()?;
        let one: Consumer = one;
        let is_newest = |used: &Use| used.read.revision.0 == scene.revision();
        (both(&one) && one.uses.iter().any(is_newest)).then_some(())
    });
    until_it_lags(&scene, socket, Missing::Read);

    read(&mut client);
    until_all_have_it(&scene);
}

#[test]
fn one_of_a_name_that_ended_does_not_end_those_from_before_a_restart() {
    let scene = Scene::with_token();
    scene.secret("web/other", "another");
    let settings = scene.settings("");
    let text = fs::read_to_string(&settings).unwrap();
    // where what clients run is seen, too
    fs::write(&settings, format!("sandbox.files = false\n{text}")).unwrap();
    let start = || {
        let sidecar = Sidecar::launch(crate::process::command(&settings), scene.file("web/s.sock"));
        sidecar.ready();
        sidecar
    };
    let one_that_reads = |sidecar: &Sidecar, what: &str| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "uptake::it_reads_and_stays", "--ignored"])
            .env("UPTAKE_SOCKET", &sidecar.socket)
            .env("UPTAKE_PATH", what)
            .stdout(Stdio::null());
        Child(command.spawn().unwrap())
    };
    let socket = ConsumerKind::Socket;
    let present = || {
        let mut all = reported(&scene, socket);
        all.retain(|one| one.presence == Presence::Present);
        all
    };
    let uses = |count: usize| move |_: &Use, consumer: &Consumer| consumer.uses.len() == count;

    let sidecar = start();
    let stays = one_that_reads(&sidecar, "web/token");
    until_it_has(&scene, socket, "it is reported", uses(1));
    sidecar.kill();
    let sidecar = start();
    let ends = one_that_reads(&sidecar, "web/other");
    until_it_has(&scene, socket, "both are reported", uses(2));
    drop(ends);
    until_it_has(&scene, socket, "what it alone read is not", uses(1));
    sidecar.serves(scene.secret("web/token", "two"));
    until_it_lags(&scene, socket, Missing::Read);

    // who reads it again counts for all of that name
    drop(stays);
    let ends = one_that_reads(&sidecar, "web/token");
    until_all_have_it(&scene);
    drop(ends);
    until("nobody is left", || present().is_empty().then_some(()));
}

/// A process that is killed when it is dropped.
struct Child(std::process::Child);

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "a process of another test"]
fn it_reads_and_stays() {
    let socket = std::env::var_os("UPTAKE_SOCKET").unwrap();
    let path = std::env::var("UPTAKE_PATH").unwrap();
    let mut client = Client::connect(socket.as_ref()).unwrap();
    let answer = client
        .request("GET", &format!("/api/v1/secrets/{path}"), &[])
        .unwrap();
    assert_eq!(answer.status, 200);
    std::thread::sleep(Duration::from_secs(1000));
}

#[test]
#[ignore = "a process of another test"]
fn it_reads_and_becomes_another() {
    let socket = std::env::var_os("UPTAKE_SOCKET").unwrap();
    read(&mut Client::connect(socket.as_ref()).unwrap());
    panic!("{}", Command::new("sleep").arg("1000").exec());
}

#[test]
fn who_goes_on_as_another_program_is_waited_for_until_it_ends() {
    let scene = Scene::with_token();
    scene.secret("web/other", "another");
    // where what clients run is seen, too
    let settings = scene.settings("");
    let text = fs::read_to_string(&settings).unwrap();
    fs::write(&settings, format!("sandbox.files = false\n{text}")).unwrap();
    let sidecar = Sidecar::launch(crate::process::command(&settings), scene.file("web/s.sock"));
    sidecar.ready();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "uptake::it_reads_and_becomes_another", "--ignored"])
        .env("UPTAKE_SOCKET", &sidecar.socket)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let stat = format!("/proc/{}/comm", child.id());
    until("it is another program", || {
        (fs::read_to_string(&stat).ok()? == "sleep\n").then_some(())
    });
    let socket = ConsumerKind::Socket;
    until_it_has(&scene, socket, "it is reported", |used, _| {
        used.read.version.0 == 1
    });
    sidecar.serves(scene.secret("web/token", "two"));
    // another process of that name has it
    let mut client = Client::connect(&sidecar.socket).unwrap();
    read(&mut client);
    let other = client.request("GET", "/api/v1/secrets/web/other", &[]).unwrap();
    assert_eq!(other.status, 200);
    until("that is reported", || {
        let [one] = reported(&scene, socket).try_into().ok()?;
        let one: Consumer = one;
        (one.uses.len() == 2).then_some(())
    });
    until_it_lags(&scene, socket, Missing::Read);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(
        confirm(&mut client, r#"{"path":"web/token","version":2}"#).status,
        200
    );
    until_all_have_it(&scene);
}

#[test]
fn what_the_store_lost_is_reported_again() {
    let scene = Scene::with_token();
    let sidecar = Sidecar::start(&scene, "[[files]]\ndirectory = \"files\"");
    let has_first = |used: &Use, _: &Consumer| used.confirmed.version.0 == 1;
    until_it_has(&scene, ConsumerKind::Files, "the files are there", has_first);
    for name in ["store.db.uptake", "store.db.uptake-wal", "store.db.uptake-shm"] {
        let _ = fs::remove_file(scene.file(name));
    }
    assert_eq!(scene.vault.uptake().unwrap().reported, []);
    // something else is news
    read(&mut Client::connect(&sidecar.socket).unwrap());
    until_it_has(
        &scene,
        ConsumerKind::Files,
        "the files are reported again",
        has_first,
    );
    assert!(sidecar.status()["unreported"].is_null());

    // neither does it help to be there first, with a higher counter
    let all = scene.vault.uptake().unwrap().reported;
    let files = all
        .iter()
        .find(|one| one.consumer.kind == ConsumerKind::Files)
        .unwrap();
    let planted = StoredReport {
        slot: slot(files.author, files.place),
        counter: files.counter + 1_000_000,
        bytes: b"no report".to_vec(),
    };
    scene.store().put_reports(&[planted]).unwrap();
    scene.secret("web/token", "two");
    until_it_has(
        &scene,
        ConsumerKind::Files,
        "the files are reported over it",
        |used, _| used.confirmed.version.0 == 2,
    );
}

#[test]
fn what_was_removed_is_reported_again_before_anything_is_news() {
    let scene = Scene::with_token();
    let sidecar = Sidecar::start(&scene, "[[files]]\ndirectory = \"files\"");
    let mut removed = 0;
    // more often than this sidecar says that it lives in the time that is waited here
    until("it is reported again, three times", || {
        let has_first = |one: Consumer| {
            one.of(entry(&scene))
                .is_some_and(|used| used.confirmed.version.0 == 1)
        };
        if !reported(&scene, ConsumerKind::Files).into_iter().any(has_first) {
            return None;
        }
        for name in ["store.db.uptake-wal", "store.db.uptake-shm", "store.db.uptake"] {
            let _ = fs::remove_file(scene.file(name));
        }
        removed += 1;
        (removed > 3).then_some(())
    });
    assert!(sidecar.status()["unreported"].is_null());
}

#[test]
fn two_that_report_as_one_are_told() {
    let scene = Scene::with_token();
    let sidecar = Sidecar::start(&scene, "[[files]]\ndirectory = \"files\"");
    let files = until_it_has(&scene, ConsumerKind::Files, "the files are there", |used, _| {
        used.confirmed.version.0 == 1
    });
    // the same identity, host and socket path, in another container say
    let identity = Arc::new(Identity::read_file(&scene.file("web.identity"), || None).unwrap());
    let other = Vault::open(Arc::new(scene.store()), identity, OpenOptions::default()).unwrap();
    let counter = other
        .own_reports()
        .unwrap()
        .iter()
        .map(|one| one.counter)
        .max()
        .unwrap();
    let false_ones = Consumer {
        uses: Vec::new(),
        since: Timestamp(1),
        ..files
    };
    other.report(vec![false_ones], counter + 1000).unwrap();
    read(&mut Client::connect(&sidecar.socket).unwrap());
    let problem = until("status says it", || {
        sidecar.status()["unreported"].as_str().map(str::to_owned)
    });
    assert!(problem.contains("another sidecar"), "{problem}");
    until_it_has(&scene, ConsumerKind::Files, "it says what it has", |used, _| {
        used.confirmed.version.0 == 1
    });
}
