//! Metrics: what was done is counted exactly, and what needs somebody shows.

use std::collections::{BTreeMap, BTreeSet};

use strongroom_core::config::Format;
use strongroom_core::id::PlaceId;
use strongroom_core::kind::Kind;
use strongroom_core::rotator::{LABEL, Named};
use strongroom_core::secret::Secret;
use strongroom_core::vault::{Edit, Expect, Put, Rotate, RotationEdit};

use crate::exposition::{Samples, read};
use crate::forge::append_unsigned;
use crate::grant::{audit_of, decisions};
use crate::http::{self, Client, Events};
use crate::offline::{bring_back, take_away};
use crate::process::{Sidecar, until};
use crate::scene::{Scene, environment, path, put};

fn page(sidecar: &Sidecar) -> Samples {
    let answer = sidecar.get("/metrics");
    assert_eq!(answer.status, 200);
    read(&answer.text())
}

fn page_of(client: &mut Client) -> Samples {
    let answer = client.request("GET", "/metrics", &[]).unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    read(&answer.text())
}

/// Waits until the sample `key` is `wanted`.
fn until_it_is(sidecar: &Sidecar, key: &str, wanted: f64) {
    until(&format!("{key} is {wanted}"), || {
        (page(sidecar).get(key) == Some(&wanted)).then_some(())
    });
}

#[test]
fn counters_rise_by_exactly_what_was_done() {
    let scene = Scene::with_token();
    scene.secret("other/key", "o");
    let policy = r#"permit (principal, action, resource);
        forbid (principal is Workload, action == Action::"readSecret", resource in Path::"prod/other");"#;
    scene.commit(vec![put("prod", "policy/test", Kind::Policy, policy.as_bytes())]);
    let (audit, log) = audit_of(&scene);
    let sidecar = Sidecar::start(&scene, &format!("[limits]\nconnections_per_uid = 3\n{audit}"));
    let mut client = Client::connect(&sidecar.socket).unwrap();
    until("what asked whether it is ready is gone", || {
        (page_of(&mut client)["strongroom_connections"] == 1.0).then_some(())
    });
    let mut get = |target: &str, status: u16| {
        let answer = client.request("GET", target, &[]).unwrap();
        assert_eq!(answer.status, status, "{target}: {}", answer.text());
        answer
    };
    let recorded = decisions(&log).len();
    let before = read(&get("/metrics", 200).text());
    for _ in 0..3 {
        get("/api/v1/secrets/web/token", 200);
    }
    get("/api/v1/secrets/web/none", 404);
    get("/api/v1/secrets/other/key", 403);
    get("/api/v1/values", 200);
    get("/nowhere", 404);
    get("/healthz?x=1", 400);
    let etag = get("/api/v1/secrets/web/token", 200)
        .header("etag")
        .unwrap()
        .to_owned();
    let unchanged = [format!("if-none-match: {etag}")];
    let unchanged: Vec<&str> = unchanged.iter().map(String::as_str).collect();
    let answer = client
        .request("GET", "/api/v1/secrets/web/token", &unchanged)
        .unwrap();
    assert_eq!(answer.status, 304);
    let body = r#"{"path":"web/token","version":1}"#;
    let head = format!(
        "POST /api/v1/confirm HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    client.send(head.as_bytes()).unwrap();
    assert_eq!(client.answer(false).unwrap().status, 200);
    let mut events = Events::open(&sidecar.socket, "/api/v1/watch", &[]);
    events.next().unwrap();
    let mut third = Client::connect(&sidecar.socket).unwrap();
    assert_eq!(third.request("HEAD", "/readyz", &[]).unwrap().status, 200);
    assert!(
        Client::connect(&sidecar.socket).unwrap().is_closed(),
        "one too many"
    );

    let after = page_of(&mut client);
    let requests = |route: &str, class: &str| {
        format!("strongroom_requests_total{{route=\"{route}\",class=\"{class}\"}}")
    };
    let expected: BTreeMap<String, f64> = [
        (requests("/api/v1/secrets/{path}", "2xx"), 4.0),
        (requests("/api/v1/secrets/{path}", "3xx"), 1.0),
        (requests("/api/v1/secrets/{path}", "4xx"), 2.0),
        (requests("/api/v1/values", "2xx"), 1.0),
        (requests("/api/v1/confirm", "2xx"), 1.0),
        (requests("/api/v1/watch", "2xx"), 1.0),
        (requests("/healthz", "4xx"), 1.0),
        (requests("/readyz", "2xx"), 1.0),
        (requests("other", "4xx"), 1.0),
        // the first page
        (requests("/metrics", "2xx"), 1.0),
        ("strongroom_denials_total{why=\"policy\"}".to_owned(), 1.0),
        ("strongroom_connections_accepted_total".to_owned(), 2.0),
        ("strongroom_connections_refused_total".to_owned(), 1.0),
        (
            "strongroom_audit_records_total".to_owned(),
            (decisions(&log).len() - recorded) as f64,
        ),
    ]
    .into();
    let counters = after.iter().filter(|(key, _)| key.contains("_total"));
    let risen: BTreeMap<String, f64> = counters
        .map(|(key, count)| (key.clone(), count - before[key]))
        .filter(|(_, more)| *more != 0.0)
        .collect();
    assert_eq!(risen, expected);
    assert_eq!(after["strongroom_connections"], 3.0);
    assert_eq!(after["strongroom_watchers"], 1.0);
    assert_eq!(after["strongroom_revision"], scene.revision() as f64);
    for one in [
        "strongroom_ready",
        "strongroom_store_reachable",
        "strongroom_audit_writable",
    ] {
        assert_eq!(after[one], 1.0, "{one}");
    }
    assert_eq!(
        after[&format!(
            "strongroom_build_info{{version=\"{}\"}}",
            env!("CARGO_PKG_VERSION")
        )],
        1.0
    );
    let resident = after["process_resident_memory_bytes"];
    assert!(resident > 1024.0 * 1024.0, "{resident}");
}

#[test]
fn numbers_are_for_whoever_may_read_the_status_and_name_no_entry() {
    let scene = Scene::with_token();
    let files = "[[files]]\ndirectory = \"a \\\"quoted\\\" name\"\n";
    let sidecar = Sidecar::start(&scene, files);
    let text = sidecar.get("/metrics").text();
    read(&text);
    assert!(text.contains("kind=\"files\""), "{text}");
    for name in ["web/token", "token", "prod"] {
        assert!(!text.contains(name), "{name} is in\n{text}");
    }
    sidecar.terminate();
    let sidecar = Sidecar::launch(
        crate::process::command(&scene.settings("allow_uids = [12345]\n")),
        scene.file("web/s.sock"),
    );
    until("it is told", || {
        let answer = http::get(&sidecar.socket, "/metrics").ok()?;
        (answer.status == 403 && answer.code() == "denied").then_some(())
    });
}

#[test]
fn every_metric_is_documented_and_every_documented_one_is_there() {
    let scene = Scene::with_token();
    let (audit, _) = audit_of(&scene);
    let flag = br#"{"state":"ENABLED","variants":{"on":true},"defaultVariant":"on"}"#;
    scene.commit(vec![put("prod", "new", Kind::Flag, flag)]);
    let sidecar = Sidecar::start(&scene, &format!("[[files]]\ndirectory = \"files\"\n{audit}"));
    let mut client = Client::connect(&sidecar.socket).unwrap();
    client.post("/ofrep/v1/evaluate/flags/new", &[], b"").unwrap();
    let name = |key: &String| key.split('{').next().unwrap().to_owned();
    let there: BTreeSet<String> = page(&sidecar).keys().map(name).collect();
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operations.md");
    let docs = std::fs::read_to_string(docs).unwrap();
    let rows = docs
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let documented: BTreeSet<String> = rows.map(|(name, _)| name.to_owned()).collect();
    assert_eq!(documented, there);
}

#[test]
fn a_store_that_is_away_or_refused_shows() {
    let scene = Scene::with_token();
    let sidecar = Sidecar::start(&scene, "");
    take_away(&scene);
    until_it_is(&sidecar, "strongroom_store_reachable", 0.0);
    until("it says for how long", || {
        (page(&sidecar)["strongroom_store_unreachable_seconds"] > 0.0).then_some(())
    });
    bring_back(&scene);
    until_it_is(&sidecar, "strongroom_store_reachable", 1.0);
    assert_eq!(page(&sidecar)["strongroom_store_unreachable_seconds"], 0.0);
    assert_eq!(page(&sidecar)["strongroom_store_refused"], 0.0);
    append_unsigned(&scene.store());
    until_it_is(&sidecar, "strongroom_store_refused", 1.0);
    until("it says for how long", || {
        (page(&sidecar)["strongroom_store_refused_for_seconds"] > 0.0).then_some(())
    });
}

#[test]
fn a_delivery_that_fails_shows() {
    let scene = Scene::with_token();
    let gate = scene.file("gate");
    let settings = format!(
        "[[files]]\ndirectory = \"files\"\non_change = {{ command = [\"/bin/sh\", \"-c\", \"test -e {}\"] }}\n\
         [process]\ncommand = [\"/bin/sh\", \"-c\", \"exit 3\"]\n",
        gate.display()
    );
    let sidecar = Sidecar::start(&scene, &settings);
    let directory = scene.file("files");
    let of = |name: &str, kind: &str, target: &str| {
        format!("strongroom_injection_{name}{{kind=\"{kind}\",target=\"{target}\"}}")
    };
    let files = |name: &str| of(name, "files", &directory.display().to_string());
    until_it_is(&sidecar, &files("failing"), 1.0);
    assert!(page(&sidecar)[&files("failures_total")] >= 1.0);
    assert_eq!(page(&sidecar)[&files("revision")], scene.revision() as f64);
    // it ends by itself, again and again
    until("its end is counted", || {
        (page(&sidecar)[&of("failures_total", "process", "/bin/sh")] >= 1.0).then_some(())
    });
    std::fs::write(&gate, "").unwrap();
    until_it_is(&sidecar, &files("failing"), 0.0);
}

fn plan(every: &str) -> Edit {
    let text = format!(
        "strategy = \"overlap\"\ngenerator = \"password\"\nevery = \"{every}\"\n[target]\nexec = [\"/bin/true\"]\n"
    );
    let mut plan = put("prod", "rotation/plan", Kind::Config, text.as_bytes());
    if let Edit::Put(put) = &mut plan {
        put.format = Format::Toml;
    }
    plan
}

#[test]
fn rotations_that_run_or_are_overdue_show() {
    let scene = Scene::with_token();
    let labels = BTreeMap::from([(LABEL.to_owned(), "rotation/plan".to_owned())]);
    scene.commit(vec![
        plan("30d"),
        Edit::Put(Put {
            environment: environment("prod"),
            path: path("web/password"),
            kind: Kind::Secret,
            value: Secret::new(b"first".to_vec()),
            format: Format::Text,
            labels: Some(labels),
            compartment: None,
            expect: Expect::Any,
        }),
    ]);
    let sidecar = Sidecar::start(&scene, "");
    let of = |state: &str| format!("strongroom_rotations{{state=\"{state}\"}}");
    let nothing = |sidecar: &Sidecar| {
        let page = page(sidecar);
        ["running", "left_behind", "overdue", "unknown"].map(|state| page[&of(state)]) == [0.0; 4]
    };
    scene.commit(vec![plan("1s")]);
    until_it_is(&sidecar, &of("overdue"), 1.0);
    assert_eq!(sidecar.status()["rotations"]["overdue"], 1);
    // a revision that changes nothing of it leaves it as it is
    sidecar.serves(scene.secret("web/token", "two"));
    until_it_is(&sidecar, &of("overdue"), 1.0);
    scene.commit(vec![plan("30d")]);
    until("nothing is overdue", || nothing(&sidecar).then_some(()));

    let named = Named::of(
        &scene.vault.snapshot(),
        &environment("prod"),
        &path("web/password"),
    )
    .unwrap();
    let begin = Rotate::Begin {
        strategy: named.plan.strategy,
        plan: named.record(),
        value: Secret::new(b"second".to_vec()),
        place: PlaceId([1; 16]),
        lease: 60_000,
    };
    let edit = RotationEdit {
        environment: environment("prod"),
        path: path("web/password"),
        to: begin,
    };
    scene.vault.rotate(edit, "by hand").unwrap();
    until_it_is(&sidecar, &of("running"), 1.0);
    assert_eq!(sidecar.status()["rotations"]["running"], 1);
    scene.commit(vec![Edit::Rotate(RotationEdit {
        environment: environment("prod"),
        path: path("web/password"),
        to: Rotate::GiveUp { force: true },
    })]);
    until_it_is(&sidecar, &of("running"), 0.0);
    scene.commit(vec![put("prod", "rotation/plan", Kind::Config, b"{}")]);
    until_it_is(&sidecar, &of("unknown"), 1.0);
    // one that goes takes its numbers along
    scene.delete("web/password");
    until("nothing is left", || nothing(&sidecar).then_some(()));
}
