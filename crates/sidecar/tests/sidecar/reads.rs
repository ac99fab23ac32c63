//! Reading over the socket: bodies, headers, conditional and past reads.

use std::path::Path;

use strongroom_core::kind::Kind;
use strongroom_core::vault::Edit;

use crate::http::{self, Answer, Client};
use crate::process::{Sidecar, until};
use crate::scene::{Scene, environment, path, put};

fn with(socket: &Path, target: &str, header: &str) -> Answer {
    http::request(socket, "GET", target, &[header]).unwrap()
}

#[test]
fn a_secret_is_read_as_json_and_as_bytes() {
    let scene = Scene::with_token();
    let sidecar = Sidecar::start(&scene, "");
    let revision = scene.revision();
    let answer = sidecar.get("/api/v1/secrets/web/token");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("strongroom-revision"), Some(&*revision.to_string()));
    assert_eq!(answer.header("strongroom-version"), Some("1"));
    assert_eq!(answer.header("strongroom-stale-since"), None);
    let wanted = serde_json::json!({
        "environment": "prod", "path": "web/token", "kind": "secret", "version": 1,
        "revision": revision, "format": "text", "value": "one",
    });
    assert_eq!(answer.json(), wanted);
    let raw = with(
        &sidecar.socket,
        "/api/v1/secrets/web/token",
        "accept: application/octet-stream",
    );
    assert_eq!((raw.status, raw.text().as_str()), (200, "one"));
    assert_eq!(raw.header("content-type"), Some("application/octet-stream"));
    assert_ne!(raw.header("etag"), answer.header("etag"));
    sidecar.terminate();
}

#[test]
fn empty_binary_and_large_values_and_odd_paths_arrive_whole() {
    let scene = Scene::new();
    let large = vec![b'"'; 1024 * 1024];
    scene.commit(vec![
        put("prod", "empty", Kind::Secret, b""),
        put("prod", "binary", Kind::Secret, &[0, 0xff, 0xfe, 10]),
        put("prod", "large", Kind::Secret, &large),
        put("prod", "zoé/ключ", Kind::Secret, "\u{1}\t\"\\\u{7f}ü".as_bytes()),
    ]);
    let sidecar = Sidecar::start(&scene, "");
    assert_eq!(sidecar.secret("empty"), "");
    let binary = sidecar.get("/api/v1/secrets/binary").json();
    assert_eq!(binary["value_base64"], "AP/+Cg==");
    assert!(binary.get("value").is_none());
    let raw = with(
        &sidecar.socket,
        "/api/v1/secrets/binary",
        "accept: text/html, application/octet-stream;q=0.9",
    );
    assert_eq!(raw.body, [0, 0xff, 0xfe, 10]);
    assert_eq!(sidecar.secret("large").as_bytes(), large);
    for coded in [
        "zo%C3%A9/%D0%BA%D0%BB%D1%8E%D1%87",
        "zo%C3%A9%2F%D0%BA%D0%BB%D1%8E%D1%87",
    ] {
        assert_eq!(sidecar.secret(coded), "\u{1}\t\"\\\u{7f}ü");
    }
}

#[test]
fn what_is_not_there_or_not_understood_is_refused_clearly() {
    let scene = Scene::with_token();
    scene.commit(vec![put("prod", "web/app", Kind::Config, b"{}")]);
    let sidecar = Sidecar::start(&scene, "[limits]\nbody_bytes = 10");
    let cases = [
        ("/", 404, "not_found", "no such route"),
        ("/api/v1/", 404, "not_found", "no such route"),
        ("/api/v1/secret/web/token", 404, "not_found", "no such route"),
        ("/api/v1/secrets/web/none", 404, "not_found", "web/none"),
        ("/api/v1/secrets/web", 404, "not_found", "no entry"),
        ("/api/v1/secrets/web/app", 404, "not_found", "config"),
        ("/api/v1/flags/web/token", 404, "not_found", "secret"),
        ("/api/v1/secrets/", 400, "bad_request", "path"),
        ("/api/v1/secrets/web//token", 400, "bad_request", "path"),
        ("/api/v1/secrets/web/../token", 400, "bad_request", "path"),
        ("/api/v1/secrets/web/%2e%2e/token", 400, "bad_request", "path"),
        ("/api/v1/secrets/web/token%00", 400, "bad_request", "path"),
        ("/api/v1/secrets/web/token%2500", 404, "not_found", ""),
        ("/api/v1/secrets/web/token%f", 400, "bad_request", "percent"),
        ("/api/v1/secrets/web/token?at=0", 400, "bad_request", "revision"),
        ("/api/v1/secrets/web/token?at=x", 400, "bad_request", "revision"),
        ("/api/v1/secrets/web/token?rev=1", 400, "bad_request", "known: at"),
        (
            "/api/v1/secrets/web/token?at=99999",
            404,
            "not_found",
            "not there yet",
        ),
        ("/api/v1/entries?prefix=/", 400, "bad_request", "prefix"),
        ("/api/v1/entries?kind=thing", 400, "bad_request", "kind"),
        ("/api/v1/status?x=1", 400, "bad_request", "no query"),
    ];
    for (target, status, code, words) in cases {
        let answer = sidecar.get(target);
        // a `%` is a legal character of no path
        let status = if target.contains("%25") {
            answer.status
        } else {
            status
        };
        assert_eq!(answer.status, status, "{target}: {}", answer.text());
        assert!([400, 404].contains(&answer.status));
        if !target.contains("%25") {
            assert_eq!(answer.code(), code, "{target}");
        }
        let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(words), "{target}: {message}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "LIST"] {
        let answer = http::request(&sidecar.socket, method, "/api/v1/secrets/web/token", &[]).unwrap();
        assert_eq!(
            (answer.status, answer.header("allow")),
            (405, Some("GET, HEAD")),
            "{method}"
        );
        assert_eq!(answer.code(), "bad_request");
    }
    let answer = with(
        &sidecar.socket,
        "/api/v1/secrets/web/token",
        "origin: http://localhost",
    );
    assert_eq!((answer.status, answer.code().as_str()), (403, "denied"));
    let answer = with(&sidecar.socket, "/api/v1/secrets/web/token", "content-length: 11");
    assert_eq!((answer.status, answer.code().as_str()), (413, "too_large"));
    assert_eq!(sidecar.secret("web/token"), "one");
}

#[test]
fn head_has_the_headers_of_get_and_no_body() {
    let scene = Scene::with_token();
    let sidecar = Sidecar::start(&scene, "");
    let mut client = Client::connect(&sidecar.socket).unwrap();
    let get = client.request("GET", "/api/v1/secrets/web/token", &[]).unwrap();
    let head = client.request("HEAD", "/api/v1/secrets/web/token", &[]).unwrap();
    for name in ["content-length", "content-type", "etag", "strongroom-revision"] {
        assert_eq!(head.header(name), get.header(name), "{name}");
    }
    // nothing was left over on the same connection
    assert_eq!(client.request("GET", "/healthz", &[]).unwrap().status, 200);
}

#[test]
fn a_value_that_is_known_is_not_sent_again() {
    let scene = Scene::with_token();
    let sidecar = Sidecar::start(&scene, "");
    let target = "/api/v1/secrets/web/token";
    let etag = sidecar.get(target).header("etag").unwrap().to_owned();
    for known in [
        format!("if-none-match: {etag}"),
        format!("if-none-match: \"x\", W/{etag}"),
        "if-none-match: *".into(),
    ] {
        let answer = with(&sidecar.socket, target, &known);
        assert_eq!(answer.status, 304, "{known}");
        assert_eq!(answer.header("etag"), Some(&*etag));
    }
    // another entry's change leaves it known, its own does not
    let other = scene.secret("web/other", "x");
    sidecar.serves(other);
    let known = format!("if-none-match: {etag}");
    let answer = with(&sidecar.socket, target, &known);
    assert_eq!(
        (answer.status, answer.header("strongroom-revision")),
        (304, Some(&*other.to_string()))
    );
    sidecar.serves(scene.secret("web/token", "two"));
    let answer = with(&sidecar.socket, target, &known);
    assert_eq!(
        (answer.status, answer.json()["value"].as_str()),
        (200, Some("two"))
    );
}

#[test]
fn past_revisions_are_read_as_they_were() {
    let scene = Scene::with_token();
    let first = scene.revision();
    let second = scene.secret("web/token", "two");
    let third = scene.delete("web/token");
    let sidecar = Sidecar::start(&scene, "");
    let at = |revision: u64| sidecar.get(&format!("/api/v1/secrets/web/token?at={revision}"));
    assert_eq!(at(first).json()["value"], "one");
    assert_eq!(at(second).json()["value"], "two");
    assert_eq!(
        at(second).header("strongroom-revision"),
        Some(&*second.to_string())
    );
    assert_eq!(at(third).status, 404);
    assert_eq!(at(1).status, 404);
    let values = sidecar.get(&format!("/api/v1/values?at={first}")).json();
    assert_eq!(
        (values["revision"].as_u64(), values["values"][0]["value"].as_str()),
        (Some(first), Some("one"))
    );
    let entries = sidecar.get(&format!("/api/v1/entries?at={second}")).json();
    assert_eq!(entries["entries"][0]["version"], 2);
}

#[test]
fn config_and_flags_are_inherited_merged_and_injected_as_text() {
    let scene = Scene::with_token();
    let flag = r#"{"state":"ENABLED","variants":{"on":true,"off":false},"defaultVariant":"on"}"#;
    let silent = flag.replace("ENABLED", "DISABLED");
    scene.commit(vec![
        put("base", "web/app", Kind::Config, br#"{"pool":5,"host":"db"}"#),
        put("prod", "web/app", Kind::Config, br#"{"pool":9}"#),
        put("base", "web/ui", Kind::Flag, flag.as_bytes()),
        put("base", "web/silent", Kind::Flag, silent.as_bytes()),
        put("base", "web/hidden", Kind::Secret, b"of base only"),
    ]);
    let sidecar = Sidecar::start(&scene, "");
    let merged =
        |text: &serde_json::Value| serde_json::from_str::<serde_json::Value>(text.as_str().unwrap()).unwrap();
    let config = sidecar.get("/api/v1/configs/web/app");
    assert_eq!(config.json()["format"], "json");
    assert_eq!(
        merged(&config.json()["value"]),
        serde_json::json!({"pool": 9, "host": "db"})
    );
    assert_eq!(sidecar.get("/api/v1/flags/web/ui").json()["value"], flag);
    assert_eq!(sidecar.get("/api/v1/secrets/web/hidden").status, 404);
    let values = sidecar.get("/api/v1/values?prefix=web").json();
    let paths: Vec<&str> = values["values"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v["path"].as_str().unwrap())
        .collect();
    assert_eq!(paths, ["web/app", "web/token", "web/ui"]);
    assert_eq!(values["values"][2]["value"], "true");
    assert_eq!(values["stale_since"], serde_json::Value::Null);
    let flags = sidecar.get("/api/v1/values?kind=flag").json();
    assert_eq!(flags["values"].as_array().unwrap().len(), 1);
    // the parent's layer shows through: another etag
    let etag = config.header("etag").unwrap().to_owned();
    sidecar.serves(scene.commit(vec![put("base", "web/app", Kind::Config, br#"{"host":"db2"}"#)]));
    let config = with(
        &sidecar.socket,
        "/api/v1/configs/web/app",
        &format!("if-none-match: {etag}"),
    );
    assert_eq!(config.status, 200);
    assert_eq!(
        merged(&config.json()["value"]),
        serde_json::json!({"pool": 9, "host": "db2"})
    );
    let entries = sidecar.get("/api/v1/entries?kind=secret").json();
    assert_eq!(entries["entries"].as_array().unwrap().len(), 1);
    let entry = &entries["entries"][0];
    assert_eq!(
        (entry["compartment"].as_str(), entry["size"].as_u64()),
        (Some("prod"), Some(3))
    );
    assert!(!entries.to_string().contains("one"));
}

#[test]
fn a_document_without_one_of_its_layers_is_not_taken_for_the_same() {
    let scene = Scene::new();
    // both layers of one revision
    scene.commit(vec![
        put("base", "web/app", Kind::Config, br#"{"host":"db"}"#),
        put("prod", "web/app", Kind::Config, br#"{"pool":9}"#),
    ]);
    let sidecar = Sidecar::start(&scene, "");
    let target = "/api/v1/configs/web/app";
    let etag = sidecar.get(target).header("etag").unwrap().to_owned();
    sidecar.serves(scene.commit(vec![Edit::Delete {
        environment: environment("base"),
        path: path("web/app"),
        expect: strongroom_core::vault::Expect::Any,
    }]));
    let answer = with(&sidecar.socket, target, &format!("if-none-match: {etag}"));
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["value"], r#"{"pool":9}"#);
}

#[test]
fn a_commit_is_served_and_the_status_tells() {
    let scene = Scene::with_token();
    let sidecar = Sidecar::start(&scene, "");
    let revision = scene.secret("web/token", "two");
    until("the new value", || {
        (sidecar.secret("web/token") == "two").then_some(())
    });
    let status = sidecar.status();
    let snapshot = scene.vault.snapshot();
    assert_eq!(status["environment"], "prod");
    assert_eq!(status["revision"], revision);
    assert_eq!(status["hash"], snapshot.hash().to_string());
    assert_eq!(status["fingerprint"], snapshot.fingerprint().to_string());
    assert_eq!(status["entries"], 1);
    assert_eq!(status["refused"], serde_json::Value::Null);
    assert_eq!(status["injections"], serde_json::json!([]));
}
