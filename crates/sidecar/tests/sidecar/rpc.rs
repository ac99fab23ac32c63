//! flagd's protocols as Connect has them over HTTP/1.1, where they can be read: what clients of gRPC get is the
//! same. Real clients are in the tests across crates.

use std::time::Instant;

use serde_json::{Value, json};
use strongroom_core::kind::Kind;

use crate::grant::{audit_of, recorded};
use crate::http::{Answer, Client};
use crate::process::{PATIENCE, Sidecar, until};
use crate::scene::{Scene, put};

const COUNT: &str =
    r#"{"state":"ENABLED","variants":{"few":3},"defaultVariant":"few","metadata":{"owner":"web"}}"#;

fn flag(scene: &Scene, key: &str, definition: &str) -> u64 {
    scene.commit(vec![put("prod", key, Kind::Flag, definition.as_bytes())])
}

fn scene() -> Scene {
    let scene = Scene::new();
    let edits = [
        (
            "@set",
            r#"{"$evaluators":{"staff":{"ends_with":[{"var":"email"},"@example.org"]}},"metadata":{"flagSetId":"shop"}}"#,
        ),
        (
            "new",
            r#"{"state":"ENABLED","variants":{"on":true,"off":false},"defaultVariant":"off","targeting":{"if":[{"$ref":"staff"},"on"]}}"#,
        ),
        ("count", COUNT),
        (
            "ratio",
            r#"{"state":"ENABLED","variants":{"half":0.5},"defaultVariant":"half"}"#,
        ),
        (
            "theme",
            r#"{"state":"ENABLED","variants":{"dark":{"bg":"black","sizes":[1,2]}},"defaultVariant":"dark"}"#,
        ),
        (
            "word",
            r#"{"state":"ENABLED","variants":{"a":"x"},"defaultVariant":"a"}"#,
        ),
        (
            "off",
            r#"{"state":"DISABLED","variants":{"on":true},"defaultVariant":"on"}"#,
        ),
        ("open", r#"{"state":"ENABLED","variants":{"on":"x"}}"#),
        (
            "wrong",
            r#"{"state":"ENABLED","variants":{"on":true},"targeting":{"cat":["no","ne"]}}"#,
        ),
        ("web/@set", r#"{"$evaluators":{"staff":{"==":[1,1]}}}"#),
        (
            "web/new",
            r#"{"state":"ENABLED","variants":{"on":true,"off":false},"defaultVariant":"off","targeting":{"if":[{"$ref":"staff"},"on"]}}"#,
        ),
    ];
    let put = |(key, text): (&str, &str)| put("prod", key, Kind::Flag, text.as_bytes());
    scene.commit(edits.map(put).into());
    scene
}

fn call(sidecar: &Sidecar, method: &str, body: &Value) -> Answer {
    let mut client = Client::connect(&sidecar.socket).unwrap();
    let headers = ["content-type: application/json", "connect-timeout-ms: 500"];
    client
        .post(&format!("/flagd.{method}"), &headers, body.to_string().as_bytes())
        .unwrap()
}

fn resolve(sidecar: &Sidecar, version: u8, of: &str, key: &str, context: Value) -> Answer {
    let method = format!("evaluation.v{version}.Service/Resolve{of}");
    call(sidecar, &method, &json!({"flagKey": key, "context": context}))
}

#[test]
fn each_type_is_resolved_by_both_versions() {
    let scene = scene();
    let sidecar = Sidecar::start(&scene, "");
    let shop = json!({"flagSetId": "shop"});
    for version in [1, 2] {
        let of = |of: &str, key: &str, context: Value| {
            let answer = resolve(&sidecar, version, of, key, context);
            assert_eq!(answer.status, 200, "{}", answer.text());
            answer.json()
        };
        let staff = json!({"email": "ada@example.org", "targetingKey": null});
        assert_eq!(
            of("Boolean", "new", staff),
            json!({"value": true, "reason": "TARGETING_MATCH", "variant": "on", "metadata": shop})
        );
        // whole numbers of 64 bits are texts in JSON
        let count = of("Int", "count", json!({}));
        assert_eq!(
            (&count["value"], &count["reason"]),
            (&json!("3"), &json!("STATIC"))
        );
        assert_eq!(count["metadata"], json!({"flagSetId": "shop", "owner": "web"}));
        assert_eq!(of("Float", "count", json!({}))["value"], 3.0);
        assert_eq!(of("Float", "ratio", json!({}))["value"], 0.5);
        assert_eq!(of("String", "word", json!(null))["value"], "x");
        let theme = json!({"bg": "black", "sizes": [1.0, 2.0]});
        assert_eq!(of("Object", "theme", json!({}))["value"], theme);
    }
    // a value is left to the caller, which version 1 cannot say
    let none = |version, key: &str, of: &str| resolve(&sidecar, version, of, key, json!({}));
    assert_eq!(
        none(2, "off", "Boolean").json(),
        json!({"reason": "DISABLED", "metadata": shop})
    );
    assert_eq!(
        none(2, "open", "String").json(),
        json!({"reason": "DEFAULT", "metadata": shop})
    );
    assert_eq!(
        none(1, "off", "Boolean").json(),
        json!({"reason": "DISABLED", "metadata": shop})
    );
    assert_eq!(none(1, "open", "String").json()["code"], "not_found");
}

#[test]
fn a_failure_has_the_code_that_clients_know() {
    let scene = scene();
    let policy = r#"permit (principal, action, resource);
        forbid (principal is Workload, action == Action::"evaluateFlag", resource in Path::"prod/word");"#;
    scene.commit(vec![put("prod", "policy/test", Kind::Policy, policy.as_bytes())]);
    let (audit, directory) = audit_of(&scene);
    let sidecar = Sidecar::start(&scene, &audit);
    for version in [1, 2] {
        for (of, key, code) in [
            ("Boolean", "gone", "not_found"),
            ("Boolean", "a//b", "not_found"),
            ("Boolean", "count", "invalid_argument"),
            ("Int", "ratio", "invalid_argument"),
            // at `unknown` clients would ask again and again
            ("Boolean", "wrong", "internal"),
            ("String", "word", "permission_denied"),
        ] {
            let answer = resolve(&sidecar, version, of, key, json!({}));
            assert_eq!(answer.json()["code"], code, "{key}: {}", answer.text());
        }
    }
    until("denials are recorded", || {
        (recorded(&directory, "deny", "prod/word") == 2).then_some(())
    });
    let call = |body: &[u8], kind: &str| {
        let mut client = Client::connect(&sidecar.socket).unwrap();
        let target = "/flagd.evaluation.v2.Service/ResolveBoolean";
        client
            .post(target, &[&format!("content-type: {kind}")], body)
            .unwrap()
    };
    let deep = format!(
        "{{\"context\":{{\"a\":{}{}}}}}",
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    for body in ["{", r#"{"context":"s3cret"}"#, &deep] {
        let answer = call(body.as_bytes(), "application/json");
        assert_eq!(answer.json()["code"], "invalid_argument", "{}", answer.text());
        assert!(!answer.text().contains("s3cret"), "{}", answer.text());
    }
    assert_eq!(
        call(b"\x0a\xff", "application/proto").json()["code"],
        "invalid_argument"
    );
    assert_eq!(call(b"{}", "text/plain").status, 415);
    assert_eq!(
        sidecar.get("/flagd.evaluation.v2.Service/ResolveBoolean").status,
        405
    );
    assert_eq!(
        crate::rpc::call(&sidecar, "evaluation.v2.Service/ResolveAll", &json!({})).status,
        404
    );
}

#[test]
fn all_flags_are_resolved_at_once() {
    let scene = scene();
    let sidecar = Sidecar::start(&scene, "");
    let all = call(
        &sidecar,
        "evaluation.v1.Service/ResolveAll",
        &json!({"context": {}}),
    )
    .json();
    let flags = all["flags"].as_object().unwrap();
    let mut keys: Vec<_> = flags.keys().collect();
    keys.sort();
    // what has no value is left out
    assert_eq!(keys, ["count", "new", "ratio", "theme", "web/new", "word"]);
    assert_eq!(flags["count"]["doubleValue"], 3.0);
    assert_eq!(
        (&flags["web/new"]["boolValue"], &flags["new"]["boolValue"]),
        (&json!(true), &json!(false))
    );
}

/// A stream of messages.
pub struct Stream(Client);

impl Stream {
    pub fn open(sidecar: &Sidecar, method: &str, body: &Value) -> Self {
        let mut client = Client::connect(&sidecar.socket).unwrap();
        let body = body.to_string();
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        let framed = [&[0][..], &length, body.as_bytes()].concat();
        let head = format!(
            "POST /flagd.{method} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/connect+json\r\n\
             content-length: {}\r\n\r\n",
            framed.len()
        );
        client.send(&[head.as_bytes(), &framed].concat()).unwrap();
        let head = client.head().unwrap();
        assert_eq!(head.status, 200);
        assert_eq!(head.header("transfer-encoding"), Some("chunked"));
        Self(client)
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        use std::io::Read as _;
        let mut out = vec![0; count];
        self.0.0.read_exact(&mut out).unwrap();
        out
    }

    /// The next message; `None` when it ends. Signs of life are passed over, as long as a test has patience.
    pub fn next(&mut self) -> Option<Value> {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            let size = usize::from_str_radix(&self.0.line().unwrap(), 16).unwrap();
            let chunk = self.bytes(size);
            self.bytes(2);
            let (head, message) = chunk.split_at(5);
            let message: Value = serde_json::from_slice(message).unwrap();
            if head[0] & 2 != 0 {
                return message.get("error").is_some().then_some(message);
            }
            if message["type"] != "keep_alive" {
                return Some(message);
            }
        }
        panic!("nothing but signs of life");
    }
}

#[test]
fn clients_hear_which_flags_change() {
    let scene = scene();
    let policy = r#"permit (principal, action, resource);
        forbid (principal is Workload, action == Action::"evaluateFlag", resource in Path::"prod/word");"#;
    scene.commit(vec![put("prod", "policy/test", Kind::Policy, policy.as_bytes())]);
    let sidecar = Sidecar::start(&scene, "");
    for version in [1, 2] {
        let method = format!("evaluation.v{version}.Service/EventStream");
        let mut events = Stream::open(&sidecar, &method, &json!({}));
        assert_eq!(events.next().unwrap(), json!({"type": "provider_ready"}));
        let mut is_next = |what: Value| {
            let event = events.next().unwrap();
            assert_eq!(event["type"], "configuration_change");
            assert_eq!(event["data"], json!({ "flags": what }));
        };
        scene.secret("web/token", &version.to_string());
        // what may not be evaluated is not told of
        flag(
            &scene,
            "word",
            &format!(r#"{{"state":"ENABLED","variants":{{"a":"{version}"}},"defaultVariant":"a"}}"#),
        );
        flag(&scene, "count", &COUNT.replace('3', &(3 + version).to_string()));
        is_next(json!({"count": {"type": "update"}}));
        flag(&scene, "added", COUNT);
        is_next(json!({"added": {"type": "write"}}));
        scene.delete("added");
        is_next(json!({"added": {"type": "delete"}}));
        // what flags share is part of each
        flag(
            &scene,
            "web/@set",
            &format!(r#"{{"$evaluators":{{"staff":{{"==":[9,{version}]}}}}}}"#),
        );
        is_next(json!({"web/new": {"type": "update"}}));
    }
    let mut events = Stream::open(&sidecar, "evaluation.v2.Service/EventStream", &json!({}));
    assert_eq!(events.next().unwrap()["type"], "provider_ready");
    rustix::process::kill_process(sidecar.pid(), rustix::process::Signal::TERM).unwrap();
    assert_eq!(events.next().unwrap(), json!({"type": "provider_shutdown"}));
    assert_eq!(events.next().unwrap()["error"]["code"], "unavailable");
}

#[test]
fn clients_hear_of_what_they_may_not_evaluate_any_more() {
    let scene = scene();
    let policy = |more: &str| {
        let all = format!("permit (principal, action, resource);\n{more}");
        put("prod", "policy/test", Kind::Policy, all.as_bytes())
    };
    let closed = r#"forbid (principal is Workload, action == Action::"evaluateFlag", resource in Path::"prod/count");"#;
    let count = |few: u8| {
        let text = COUNT.replace('3', &few.to_string());
        put("prod", "count", Kind::Flag, text.as_bytes())
    };
    let sidecar = Sidecar::start(&scene, "");
    let method = "evaluation.v1.Service/EventStream";
    let mut events = Stream::open(&sidecar, method, &json!({}));
    assert_eq!(events.next().unwrap(), json!({"type": "provider_ready"}));
    let mut told = |edits| {
        scene.commit(edits);
        events.next().unwrap()["data"]["flags"].clone()
    };
    // a policy alone
    assert_eq!(told(vec![policy(closed)]), json!({"count": {"type": "delete"}}));
    assert_eq!(told(vec![policy("")]), json!({"count": {"type": "write"}}));
    // with a change of the flag, which is as little there afterwards
    assert_eq!(
        told(vec![policy(closed), count(4)]),
        json!({"count": {"type": "delete"}})
    );
    assert_eq!(
        told(vec![policy(""), count(5)]),
        json!({"count": {"type": "write"}})
    );
    // a flag that something of another kind hides
    assert_eq!(
        told(vec![
            put("base", "size", Kind::Flag, COUNT.as_bytes()),
            put("base", "other", Kind::Flag, COUNT.as_bytes())
        ]),
        json!({"other": {"type": "write"}, "size": {"type": "write"}})
    );
    assert_eq!(
        told(vec![put("prod", "size", Kind::Config, b"{}")]),
        json!({"size": {"type": "delete"}})
    );
    assert_eq!(told(vec![count(6)]), json!({"count": {"type": "update"}}));
}

#[test]
fn what_is_not_selected_any_more_is_gone_to_who_selects() {
    let scene = scene();
    let sidecar = Sidecar::start(&scene, "");
    let mut client = Client::connect(&sidecar.socket).unwrap();
    let head = "POST /flagd.evaluation.v2.Service/EventStream HTTP/1.1\r\nhost: localhost\r\n\
        content-type: application/connect+json\r\nflagd-selector: flagSetId=shop\r\ncontent-length: 7\r\n\r\n";
    client
        .send(&[head.as_bytes(), b"\0\0\0\0\x02{}"].concat())
        .unwrap();
    assert_eq!(client.head().unwrap().status, 200);
    let mut events = Stream(client);
    assert_eq!(events.next().unwrap(), json!({"type": "provider_ready"}));
    flag(
        &scene,
        "count",
        &COUNT.replace(r#"{"owner":"web"}"#, r#"{"flagSetId":"other"}"#),
    );
    let gone = json!({"flags": {"count": {"type": "delete"}}});
    assert_eq!(events.next().unwrap()["data"], gone);
    flag(&scene, "count", COUNT);
    let back = json!({"flags": {"count": {"type": "write"}}});
    assert_eq!(events.next().unwrap()["data"], back);
}

#[test]
fn definitions_are_handed_out_and_follow() {
    let scene = scene();
    let (audit, directory) = audit_of(&scene);
    let sidecar = Sidecar::start(&scene, &audit);
    let document = |message: &Value| -> Value {
        serde_json::from_str(message["flagConfiguration"].as_str().unwrap()).unwrap()
    };
    let mut stream = Stream::open(
        &sidecar,
        "sync.v1.FlagSyncService/SyncFlags",
        &json!({"providerId": "x"}),
    );
    let first = document(&stream.next().unwrap());
    assert_eq!(recorded(&directory, "allow", "prod/count"), 1);
    assert_eq!(
        first["flags"]["count"]["metadata"],
        json!({"flagSetId": "shop", "owner": "web"})
    );
    // two sets have a rule of one name
    let named = |key: &str| {
        first["flags"][key]["targeting"]["if"][0]["$ref"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let rule = |key: &str| &first["$evaluators"][named(key)];
    assert_eq!(rule("web/new"), &json!({"==": [1, 1]}));
    assert!(rule("new")["ends_with"].is_array());
    let fetched = call(&sidecar, "sync.v1.FlagSyncService/FetchAllFlags", &json!({})).json();
    assert_eq!(document(&fetched), first);
    let part = call(
        &sidecar,
        "sync.v1.FlagSyncService/FetchAllFlags",
        &json!({"selector": "source=web"}),
    );
    assert_eq!(document(&part.json())["flags"].as_object().unwrap().len(), 1);
    scene.secret("web/token", "x");
    flag(&scene, "count", &COUNT.replace('3', "4"));
    let next = document(&stream.next().unwrap());
    assert_eq!(next["flags"]["count"]["variants"], json!({"few": 4}));
    assert_eq!(
        call(&sidecar, "sync.v1.FlagSyncService/GetMetadata", &json!({})).json(),
        json!({"metadata": {}})
    );
    rustix::process::kill_process(sidecar.pid(), rustix::process::Signal::TERM).unwrap();
    assert_eq!(stream.next().unwrap()["error"]["code"], "unavailable");
}

#[test]
fn what_a_set_says_goes_out_only_to_who_may_have_it() {
    let scene = scene();
    let policy = r#"permit (principal, action, resource);
        forbid (principal is Workload, action == Action::"evaluateFlag", resource)
            when { resource.path == "web/@set" };"#;
    scene.commit(vec![put("prod", "policy/test", Kind::Policy, policy.as_bytes())]);
    let (audit, directory) = audit_of(&scene);
    let sidecar = Sidecar::start(&scene, &audit);
    let fetched = call(&sidecar, "sync.v1.FlagSyncService/FetchAllFlags", &json!({})).json();
    let document: Value = serde_json::from_str(fetched["flagConfiguration"].as_str().unwrap()).unwrap();
    assert!(
        document["flags"]["web/new"].is_null(),
        "its rule is in a set that is closed"
    );
    assert!(document["flags"]["new"].is_object());
    assert_eq!(document["$evaluators"].as_object().unwrap().len(), 1);
    assert!(recorded(&directory, "allow", "prod/@set") > 0);
    assert_eq!(recorded(&directory, "allow", "prod/web/@set"), 0);
    // what it is for who asks is another thing
    assert_eq!(
        resolve(&sidecar, 2, "Boolean", "web/new", json!({})).json()["value"],
        true
    );
}

#[test]
fn half_a_call_is_not_waited_for() {
    let scene = scene();
    let sidecar = Sidecar::start(&scene, "[limits]\nheader_timeout = \"300ms\"");
    for path in [
        "/flagd.evaluation.v2.Service/ResolveBoolean",
        "/flagd.x",
        "/ofrep/v1/evaluate/flags",
    ] {
        let mut client = Client::connect(&sidecar.socket).unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{{"
        );
        client.send(head.as_bytes()).unwrap();
        assert!(client.is_closed(), "{path}");
    }
    // and one that is too long has the limit of all bodies
    let long = json!({"context": {"a": "x".repeat(70_000)}});
    let answer = call(&sidecar, "evaluation.v2.Service/ResolveBoolean", &long);
    assert_eq!(answer.json()["code"], "invalid_argument");
}
