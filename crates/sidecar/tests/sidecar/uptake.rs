//! Uptake: what a sidecar reports of its consumers, as any member reads it from the store.

use std::fs;

use strongroom_core::id::EntryId;
use strongroom_core::uptake::{Consumer, ConsumerKind, Presence, Use};

use crate::grant::audit_of;
use crate::http::{self, Answer, Client};
use crate::process::{Sidecar, until};
use crate::scene::{Scene, environment, path};

/// The reported consumers of a kind.
fn reported(scene: &Scene, kind: ConsumerKind) -> Vec<Consumer> {
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
fn until_it_has(
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

fn confirm(connection: &mut Client, body: &str) -> Answer {
    let length = body.len();
    let head =
        format!("POST /api/v1/confirm HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n");
    connection.send(format!("{head}{body}").as_bytes()).unwrap();
    connection.answer(false).unwrap()
}

#[test]
fn what_a_client_reads_and_confirms_is_reported() {
    let scene = Scene::with_token();
    let (audit, directory) = audit_of(&scene);
    let sidecar = Sidecar::start(&scene, &audit);
    let mut client = Client::connect(&sidecar.socket).unwrap();
    let read = |client: &mut Client| {
        let answer = client.request("GET", "/api/v1/secrets/web/token", &[]).unwrap();
        assert_eq!(answer.status, 200);
    };
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
