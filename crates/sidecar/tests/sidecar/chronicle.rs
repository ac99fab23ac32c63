//! The audit log beside decisions: what members did, what was refused, who was not let in, and how
//! the log itself is.

use std::io::{BufRead as _, BufReader};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use strongroom_core::ambient::Ambient;
use strongroom_core::crypto::identity::Identity;
use strongroom_core::id::Revision;
use strongroom_core::kind::Kind;
use strongroom_core::store::{Store, StoreError, StoredCommit};
use strongroom_sidecar::audit::{Options, Sink};
use strongroom_sidecar::chronicle::Chronicle;
use strongroom_sidecar::grant::Gate;
use strongroom_sidecar::settings::{Settings, Surroundings};
use strongroom_sidecar::state::{Current, Rules, State};

use crate::between::Between;
use crate::forge::append_unsigned;
use crate::grant::{audit_of, decisions};
use crate::process::{Sidecar, until};
use crate::scene::{Scene, put};

/// What is recorded of members: revision, action, name.
fn of_members(directory: &std::path::Path) -> Vec<(u64, String, Value)> {
    let all = decisions(directory);
    all.iter()
        .filter(|record| record["member"] == "alice")
        .map(|record| {
            assert_eq!(record["decision"], "allow");
            let action = record["action"].as_str().unwrap().to_owned();
            (
                record["revision"].as_u64().unwrap(),
                action,
                record["name"].clone(),
            )
        })
        .collect()
}

#[test]
fn what_members_did_is_recorded_also_when_it_was_while_the_sidecar_was_away() {
    let scene = Scene::with_token();
    let (audit, directory) = audit_of(&scene);
    let sidecar = Sidecar::start(&scene, &audit);
    sidecar.ready();
    let first = scene.commit(vec![
        put("prod", "web/token", Kind::Secret, b"two"),
        put("prod", "web/other", Kind::Secret, b"2"),
        put(
            "prod",
            "policy/all",
            Kind::Policy,
            b"permit (principal, action, resource);",
        ),
    ]);
    let entry = |action: &str, at: &str| (action.to_owned(), json!(format!("prod/{at}")));
    until("the commit is recorded", || {
        let mut seen: Vec<_> = of_members(&directory)
            .into_iter()
            .map(|(revision, action, name)| {
                assert_eq!(revision, first);
                (action, name)
            })
            .collect();
        seen.sort_by_key(|(_, name)| name.to_string());
        let wanted = [
            entry("administer", "policy/all"),
            entry("commit", "web/other"),
            entry("commit", "web/token"),
        ];
        (seen == wanted).then_some(())
    });
    sidecar.kill();
    let away = scene.delete("web/other");
    let empty = scene.commit(vec![strongroom_core::vault::Edit::AddEnvironment {
        name: crate::scene::environment("new"),
        parent: None,
        compartment: None,
    }]);
    let sidecar = Sidecar::start(&scene, &audit);
    let missed = [
        (away, "commit".to_owned(), json!("prod/web/other")),
        (empty, "commit".to_owned(), Value::Null),
    ];
    // what it had recorded when it was killed may be there twice
    until("what was missed is recorded", || {
        of_members(&directory).ends_with(&missed).then_some(())
    });
    sidecar.terminate();
}

/// Commits cannot be read while it is away.
#[derive(Default)]
struct Away(AtomicBool);

impl Between for Away {
    fn commits(
        &self,
        store: &dyn Store,
        from: Revision,
        limit: usize,
    ) -> Result<Vec<StoredCommit>, StoreError> {
        if self.0.load(Ordering::SeqCst) {
            return Err(StoreError::Unreachable {
                location: store.location(),
                reason: "a test says so".into(),
            });
        }
        store.commits(from, limit)
    }
}

#[test]
fn commits_whose_history_could_not_be_read_are_recorded_later_and_once() {
    let scene = Scene::with_token();
    let settings = Settings::load(&Surroundings::of_process(&scene.settings(""))).unwrap();
    let (vault, store) = scene.open_over(Away::default());
    let directory = scene.file("audit");
    let identity = Arc::new(Identity::generate(&Ambient::system()).unwrap());
    let options = Options::new(directory.clone());
    let sink = Sink::open(options, &vault.snapshot(), identity, Ambient::system()).unwrap();
    let state = Arc::new(
        State::new(
            Arc::clone(&vault),
            settings.environment.clone(),
            Arc::default(),
            Rules::of(&settings),
            Gate::new(Some(Arc::new(sink)), false),
            Ambient::system(),
        )
        .unwrap(),
    );
    let mut chronicle = Chronicle::new(Arc::clone(&state), "sqlite:store.db", None);
    let mut record = |is_away: bool| {
        store.between.0.store(is_away, Ordering::SeqCst);
        let now = vault.snapshot();
        let environment = &settings.environment;
        let next = Current::first(&now, environment, Arc::default(), &Ambient::system(), None, None);
        state.serve(next.unwrap());
        chronicle.record(&vault, &now);
        store.between.0.store(false, Ordering::SeqCst);
    };
    let recorded = |wanted: &[(u64, String, Value)]| {
        until("it is recorded", || {
            (of_members(&directory) == wanted).then_some(())
        });
    };
    let commit = |revision, at: &str| (revision, "commit".to_owned(), json!(format!("prod/{at}")));
    let first = commit(scene.secret("web/token", "two"), "web/token");
    vault.refresh().unwrap();
    record(true);
    assert_eq!(of_members(&directory), []);
    // nothing new is served, and it is tried again all the same
    record(false);
    recorded(std::slice::from_ref(&first));
    record(false);
    // the next revision brings what the one before did not
    let second = commit(scene.secret("web/second", "2"), "web/second");
    vault.refresh().unwrap();
    record(true);
    assert_eq!(of_members(&directory), std::slice::from_ref(&first));
    let third = commit(scene.secret("web/third", "3"), "web/third");
    vault.refresh().unwrap();
    record(false);
    recorded(&[first, second, third]);
}

#[test]
fn a_forged_revision_is_recorded() {
    let scene = Scene::with_token();
    let (audit, directory) = audit_of(&scene);
    let sidecar = Sidecar::start(&scene, &audit);
    let good = scene.revision();
    append_unsigned(&scene.store());
    let record = until("it is recorded", || {
        let mut all = decisions(&directory).into_iter();
        all.find(|record| record["action"] == "verify")
    });
    assert!(
        record["store"].as_str().unwrap().ends_with("store.db"),
        "{record}"
    );
    assert_eq!(
        (&record["decision"], &record["revision"]),
        (&json!("deny"), &json!(good))
    );
    assert_eq!(record["reason"], "the store's newest revision does not verify");
    sidecar.terminate();
}

#[test]
fn status_and_readiness_say_how_the_log_is() {
    let scene = Scene::with_token();
    let sidecar = Sidecar::start(&scene, "");
    assert_eq!(sidecar.status()["audit"], Value::Null);
    assert_eq!(sidecar.get("/api/v1/status").header("strongroom-request"), None);
    sidecar.terminate();
    let (audit, directory) = audit_of(&scene);
    let sidecar = Sidecar::start(&scene, &audit);
    sidecar.ready();
    assert_eq!(sidecar.status()["audit"], json!({"problem": null, "since": null}));
    let aside = scene.file("aside");
    std::fs::rename(&directory, &aside).unwrap();
    std::fs::write(&directory, "in the way").unwrap();
    until("the loss is noticed", || {
        (sidecar.get("/api/v1/secrets/web/token").status == 503).then_some(())
    });
    let status = sidecar.status();
    assert!(
        status["audit"]["problem"].is_string() && status["audit"]["since"].is_string(),
        "{status}"
    );
    let ready = sidecar.get("/readyz");
    assert_eq!(ready.status, 503);
    assert!(ready.text().contains("audit log"), "{}", ready.text());
    std::fs::remove_file(&directory).unwrap();
    std::fs::rename(&aside, &directory).unwrap();
    until("it is ready again", || {
        (sidecar.get("/readyz").status == 200).then_some(())
    });
    sidecar.terminate();
}

#[test]
fn standard_output_gets_every_line_and_holds_nobody_up() {
    let scene = Scene::with_token();
    let (audit, directory) = audit_of(&scene);
    let settings = scene.settings(&format!("{audit}stdout = true\n"));
    let mut child = crate::process::command(&settings)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let socket = scene.file("web/s.sock");
    let mut client = until("it listens", || crate::http::Client::connect(&socket).ok());
    // more than a pipe holds, and nobody reads it
    for _ in 0..400 {
        let answer = client.request("GET", "/api/v1/secrets/web/token", &[]).unwrap();
        assert_eq!(answer.status, 200);
    }
    let copied: Arc<Mutex<String>> = Arc::default();
    let out = BufReader::new(child.stdout.take().unwrap());
    let kept = Arc::clone(&copied);
    let reader = std::thread::spawn(move || {
        for line in out.lines() {
            let mut kept = kept.lock().unwrap();
            kept.push_str(&line.unwrap());
            kept.push('\n');
        }
    });
    until("every read is there", || {
        let count = copied.lock().unwrap().matches("\"readSecret\"").count();
        (count == 400).then_some(())
    });
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
    reader.join().unwrap();
    let copied = copied.lock().unwrap();
    let files: String = std::fs::read_dir(&directory)
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    // the process ends without waiting for its last lines to be read
    assert!(files.starts_with(&*copied), "{copied}");
}
