//! The stream of revisions.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use serde_json::json;
use strongroom_core::ambient::Timestamp;
use strongroom_core::kind::Kind;
use strongroom_core::policy::{Decisions, Policies};
use strongroom_core::snapshot::{Action, Entry};
use strongroom_sidecar::asker::Asker;
use strongroom_sidecar::change::{self, Change};
use strongroom_sidecar::serve::feed::{Cursor, Feed};
use strongroom_sidecar::serve::{Form, Update, View};

use crate::http::{Client, Events};
use crate::process::{Sidecar, until};
use crate::scene::{Scene, environment, path, put};

#[test]
fn a_watcher_learns_where_it_stands_and_then_every_step() {
    let scene = Scene::with_token();
    let sidecar = Sidecar::start(&scene, "");
    let first = scene.revision();
    let mut events = Events::open(&sidecar.socket, "/api/v1/watch", &[]);
    let event = events.next().unwrap();
    assert_eq!((event.name.as_str(), event.id), ("revision", Some(first)));
    assert_eq!(
        event.data,
        json!({"revision": first, "from": null, "resync": true, "changes": []})
    );
    until("it is counted", || {
        (sidecar.status()["watchers"] == 1).then_some(())
    });
    let second = scene.commit(vec![
        put("prod", "web/token", Kind::Secret, b"two"),
        put("prod", "web/new", Kind::Secret, b"x"),
    ]);
    let event = events.next().unwrap();
    assert_eq!((event.name.as_str(), event.id), ("revision", Some(second)));
    let changes = json!([
        {"path": "web/new", "kind": "secret", "action": "created", "version": 1},
        {"path": "web/token", "kind": "secret", "action": "updated", "version": 2},
    ]);
    assert_eq!(
        event.data,
        json!({"revision": second, "from": first, "resync": false, "changes": changes})
    );
    // what an event names is served already
    assert_eq!(sidecar.secret("web/token"), "two");
    let third = scene.delete("web/new");
    let event = events.next().unwrap();
    assert_eq!(
        (event.id, &event.data["changes"][0]["action"]),
        (Some(third), &json!("deleted"))
    );
    drop(events);
    until("it is not counted any more", || {
        (sidecar.status()["watchers"] == 0).then_some(())
    });
}

#[test]
fn a_watcher_resumes_where_it_was() {
    let scene = Scene::with_token();
    let sidecar = Sidecar::start(&scene, "");
    let first = scene.revision();
    let resume = |last: &str| {
        Events::open(
            &sidecar.socket,
            "/api/v1/watch",
            &[&format!("last-event-id: {last}")],
        )
    };
    let event = resume(&first.to_string()).next().unwrap();
    assert_eq!(
        event.data,
        json!({"revision": first, "from": first, "resync": false, "changes": []})
    );
    let second = scene.secret("web/token", "two");
    let third = scene.secret("web/other", "x");
    sidecar.serves(third);
    let mut events = resume(&first.to_string());
    let mut seen = Vec::new();
    let mut at = first;
    while at < third {
        let event = events.next().unwrap();
        assert_eq!(
            (&event.data["resync"], event.data["from"].as_u64()),
            (&json!(false), Some(at))
        );
        at = event.id.unwrap();
        seen.extend(
            event.data["changes"]
                .as_array()
                .unwrap()
                .iter()
                .map(|c| c["path"].as_str().unwrap().to_owned()),
        );
    }
    // both commits may have been one step
    seen.sort();
    assert_eq!(seen, ["web/other", "web/token"]);
    let event = resume(&second.to_string()).next().unwrap();
    assert_eq!((event.id, &event.data["resync"]), (Some(third), &json!(false)));
    for unknown in ["1", "99999", "x", "-1"] {
        let event = resume(unknown).next().unwrap();
        assert_eq!(
            (event.id, &event.data["resync"]),
            (Some(third), &json!(true)),
            "{unknown}"
        );
    }
}

#[test]
fn a_prefix_and_the_environment_decide_which_changes_are_listed() {
    let scene = Scene::with_token();
    let flag = r#"{"state":"ENABLED","variants":{"on":true,"off":false},"defaultVariant":"on"}"#;
    scene.commit(vec![put("prod", "web/own", Kind::Flag, flag.as_bytes())]);
    let sidecar = Sidecar::start(&scene, "");
    let mut events = Events::open(&sidecar.socket, "/api/v1/watch?prefix=web/a", &[]);
    let mut all = Events::open(&sidecar.socket, "/api/v1/watch", &[]);
    events.next().unwrap();
    all.next().unwrap();
    let revision = scene.commit(vec![
        put("prod", "web/a/b", Kind::Secret, b"x"),
        put("prod", "web/ab", Kind::Secret, b"x"),
        put("base", "web/a", Kind::Config, b"{}"),
        put("base", "web/secret", Kind::Secret, b"not inherited"),
        // the nearer definition hides this one
        put("base", "web/own", Kind::Flag, flag.as_bytes()),
    ]);
    let paths = |events: &mut Events| -> Vec<String> {
        let event = events.next().unwrap();
        assert_eq!(event.id, Some(revision));
        event.data["changes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| c["path"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(paths(&mut events), ["web/a", "web/a/b"]);
    assert_eq!(paths(&mut all), ["web/a", "web/a/b", "web/ab"]);
    // a revision without a change here is told too: what is served has its number
    let elsewhere = scene.commit(vec![put("base", "web/secret", Kind::Secret, b"again")]);
    let event = events.next().unwrap();
    assert_eq!((event.id, &event.data["changes"]), (Some(elsewhere), &json!([])));
}

#[test]
fn an_entry_that_was_deleted_and_put_again_is_told_as_a_change() {
    let scene = Scene::with_token();
    let old = scene.vault.snapshot();
    scene.delete("web/token");
    scene.secret("web/token", "two");
    let new = scene.vault.snapshot();
    let prod = environment("prod");
    let told = change::of_everything(&old, &new, &prod);
    let facts = |change: &Change| (change.path.clone(), change.kind, change.action, change.version);
    let told: Vec<_> = told.iter().map(facts).collect();
    // the number says nothing: it begins again
    assert_eq!(told, [(path("web/token"), Kind::Secret, Action::Updated, 1)]);
    let changes = change::of_changes(&old, &new, &prod, &new.changes_since(&old));
    assert_eq!(changes.iter().map(facts).collect::<Vec<_>>(), told);
}

#[test]
fn a_thousand_watchers_hear_of_one_commit() {
    let scene = Scene::with_token();
    let sidecar = Sidecar::start(&scene, "");
    let mut watchers: Vec<Events> = (0..1000)
        .map(|_| {
            let mut events = Events::open(&sidecar.socket, "/api/v1/watch", &[]);
            events.next().unwrap();
            events
        })
        .collect();
    let revision = scene.secret("web/token", "two");
    for events in &mut watchers {
        assert_eq!(events.next().unwrap().id, Some(revision));
    }
}

/// Changes whose events are more than a socket holds; the last revision.
fn flood(scene: &Scene, sidecar: &Sidecar) -> u64 {
    let mut revision = 0;
    for round in 0..40_u8 {
        let entry = |number| {
            put(
                "prod",
                &format!("{}/{number}", "x".repeat(100)),
                Kind::Secret,
                &[round],
            )
        };
        revision = scene.commit((0..100).map(entry).collect());
        // each is an event of its own
        sidecar.serves(revision);
    }
    revision
}

#[test]
fn a_watcher_that_reads_late_gets_every_event_whole() {
    let scene = Scene::with_token();
    let sidecar = Sidecar::start(&scene, "");
    let mut events = Events::open(&sidecar.socket, "/api/v1/watch", &[]);
    let mut at = events.next().unwrap().id.unwrap();
    let last = flood(&scene, &sidecar);
    let mut bytes = 0;
    while at < last {
        let event = events.next().unwrap();
        bytes += event.data.to_string().len();
        assert_eq!(event.data["from"].as_u64(), Some(at));
        at = event.id.unwrap();
    }
    assert!(bytes > 400_000, "{bytes} bytes are what a socket holds");
    // it waits again, and hears of the next at once
    let next = scene.secret("web/token", "after");
    assert_eq!(events.next().unwrap().id, Some(next));
}

#[test]
fn a_watcher_that_takes_nothing_is_let_go() {
    let scene = Scene::with_token();
    let sidecar = Sidecar::start(&scene, "[limits]\nwrite_timeout = \"300ms\"");
    let mut events = Events::open(&sidecar.socket, "/api/v1/watch", &[]);
    events.next().unwrap();
    flood(&scene, &sidecar);
    until("it is let go", || {
        (sidecar.status()["watchers"] == 0).then_some(())
    });
}

#[test]
fn a_watcher_that_talks_and_one_of_http_1_0_are_served() {
    let scene = Scene::with_token();
    let sidecar = Sidecar::start(&scene, "");
    let mut talks = Client::connect(&sidecar.socket).unwrap();
    let mut old = Client::connect(&sidecar.socket).unwrap();
    let ask = |version| format!("GET /api/v1/watch HTTP/{version}\r\nhost: localhost\r\n\r\n");
    // one request before and one behind, in one go
    let before = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    talks
        .send([before, &ask("1.1"), before].concat().as_bytes())
        .unwrap();
    assert_eq!(talks.answer(false).unwrap().status, 200);
    let head = talks.head().unwrap();
    assert_eq!(head.header("transfer-encoding"), Some("chunked"));
    assert_eq!(head.header("connection"), Some("close"));
    old.send(ask("1.0").as_bytes()).unwrap();
    assert_eq!(old.head().unwrap().header("transfer-encoding"), None);
    until("both are counted", || {
        (sidecar.status()["watchers"] == 2).then_some(())
    });
    talks.send(b"anything").unwrap();
    let id = format!("id: {}", scene.secret("web/token", "two"));
    while talks.line().unwrap() != id {}
    while old.line().unwrap() != id {}
    drop((talks, old));
    // who talked is missed with the next event
    scene.secret("web/token", "three");
    until("they are not counted any more", || {
        (sidecar.status()["watchers"] == 0).then_some(())
    });
}

#[test]
fn what_watchers_ask_for_is_not_kept() {
    let scene = Scene::with_token();
    let sidecar = Sidecar::start(&scene, "");
    // each with a prefix of its own
    let watchers: Vec<Events> = (0..400)
        .map(|number| {
            let target = format!("/api/v1/watch?prefix={}/{number}", "x".repeat(100));
            let mut events = Events::open(&sidecar.socket, &target, &[]);
            events.next().unwrap();
            events
        })
        .collect();
    let before = sidecar.resident();
    for round in 0..240 {
        // each is an event of its own
        sidecar.serves(scene.secret("web/token", &round.to_string()));
    }
    let grown = sidecar.resident().saturating_sub(before);
    assert!(
        grown < 16 << 20,
        "{grown} bytes more for {} watchers",
        watchers.len()
    );
}

/// Steps that change one entry, and a view of everything.
struct Steps {
    entry: Arc<Entry>,
    decisions: Arc<Decisions>,
    view: View,
}

impl Steps {
    fn new() -> Self {
        let snapshot = Scene::with_token().vault.snapshot();
        let prod = environment("prod");
        Self {
            entry: snapshot.entry(&prod, &path("web/token")).unwrap(),
            decisions: Arc::new(Decisions::new(Arc::new(Policies::of(&snapshot, &prod).unwrap()))),
            view: View {
                prefix: None,
                form: Form::Changes,
                asker: Arc::new(Asker::injection("a test")),
            },
        }
    }

    fn from(&self, from: u64) -> Arc<Update> {
        let change = Change {
            path: self.entry.path.clone(),
            kind: Kind::Secret,
            action: Action::Updated,
            version: 2,
            keys: None,
            secrets: Vec::new(),
            entry: Arc::clone(&self.entry),
            before: Some(Arc::clone(&self.entry)),
        };
        let decisions = Arc::clone(&self.decisions);
        Arc::new(Update::new(from + 1, from, vec![change], decisions, Timestamp(0)))
    }
}

fn next(cursor: &mut Cursor) -> Option<String> {
    match cursor.poll_next(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Some(event)) => Some(String::from_utf8(event.into_text().to_vec()).unwrap()),
        _ => None,
    }
}

#[test]
fn a_slow_watcher_is_told_and_nothing_is_kept_for_it() {
    let feed = Feed::new(1, false);
    let steps = Steps::new();
    let watch = |last| feed.watch(steps.view.clone(), last);
    let mut cursor = watch(None);
    assert!(next(&mut cursor).unwrap().contains("\"resync\":true"));
    assert_eq!(next(&mut cursor), None);
    for from in 1..=1000 {
        feed.push(steps.from(from));
    }
    let told = next(&mut cursor).unwrap();
    assert!(
        told.starts_with("event: lagged\ndata: {\"missed\":1000}\n\nevent: revision\nid: 1001\n"),
        "{told}"
    );
    assert!(told.contains("\"resync\":true"));
    assert_eq!(next(&mut cursor), None);
    feed.push(steps.from(1001));
    assert!(next(&mut cursor).unwrap().contains("\"from\":1001"));
    // a resume from before what is kept
    assert!(next(&mut watch(Some(1))).unwrap().contains("\"resync\":true"));
    assert!(next(&mut watch(Some(1000))).unwrap().contains("\"from\":1000"));
}

#[test]
fn watchers_hear_signs_of_life_and_the_end() {
    let feed = Feed::new(1, false);
    let mut cursor = feed.watch(Steps::new().view, Some(1));
    assert!(next(&mut cursor).unwrap().contains("\"from\":1"));
    feed.beat();
    assert_eq!(next(&mut cursor).as_deref(), Some(": keep-alive\n\n"));
    assert_eq!(next(&mut cursor), None);
    feed.close();
    assert_eq!(
        cursor.poll_next(&mut Context::from_waker(Waker::noop())),
        Poll::Ready(None)
    );
}

#[test]
fn a_very_large_change_is_a_resync() {
    let scene = Scene::new();
    let sidecar = Sidecar::start(&scene, "");
    let mut events = Events::open(&sidecar.socket, "/api/v1/watch", &[]);
    events.next().unwrap();
    let many = (0..1001)
        .map(|n| put("prod", &format!("many/{n}"), Kind::Secret, b"x"))
        .collect();
    let revision = scene.commit(many);
    let event = events.next().unwrap();
    assert_eq!(
        event.data,
        json!({"revision": revision, "from": null, "resync": true, "changes": []})
    );
}
