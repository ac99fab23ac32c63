//! Flags over the OpenFeature Remote Evaluation Protocol: answers as its clients want them, who may evaluate what,
//! what rules know of who asks, and when clients are told to ask again.

use serde_json::{Value, json};
use strongroom_core::kind::Kind;
use strongroom_core::vault::Edit;

use crate::exposition;
use crate::grant::{audit_of, decisions, recorded};
use crate::http::{Answer, Client, Events};
use crate::process::{Sidecar, until};
use crate::scene::{Scene, put};

const FLAGS: &str = "/ofrep/v1/evaluate/flags";

fn flag(scene: &Scene, key: &str, definition: &str) -> u64 {
    scene.commit(vec![put("prod", key, Kind::Flag, definition.as_bytes())])
}

/// Flags of every type and with every reason.
fn scene() -> Scene {
    let scene = Scene::new();
    let new = r#"{"state":"ENABLED","variants":{"on":true,"off":false},"defaultVariant":"off",
        "targeting":{"if":[{"$ref":"staff"},"on"]},"metadata":{"owner":"web"}}"#;
    let edits = [
        (
            "@set",
            r#"{"$evaluators":{"staff":{"ends_with":[{"var":"email"},"@example.org"]}},"metadata":{"flagSetId":"shop"}}"#,
        ),
        ("new", new),
        (
            "size",
            r#"{"state":"ENABLED","variants":{"small":10.0,"big":20},"defaultVariant":"small"}"#,
        ),
        (
            "count",
            r#"{"state":"ENABLED","variants":{"few":3},"defaultVariant":"few"}"#,
        ),
        (
            "web/theme",
            r#"{"state":"ENABLED","variants":{"dark":{"bg":"black"}},"defaultVariant":"dark"}"#,
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
    ];
    let put = |(key, text): (&str, &str)| put("prod", key, Kind::Flag, text.as_bytes());
    scene.commit(edits.map(put).into());
    scene
}

fn post(sidecar: &Sidecar, target: &str, headers: &[&str], body: &str) -> Answer {
    let mut client = Client::connect(&sidecar.socket).unwrap();
    client.post(target, headers, body.as_bytes()).unwrap()
}

pub fn evaluate(sidecar: &Sidecar, key: &str, context: Value) -> Answer {
    post(
        sidecar,
        &format!("{FLAGS}/{key}"),
        &[],
        &json!({ "context": context }).to_string(),
    )
}

#[test]
fn a_flag_is_answered_as_clients_want_it() {
    let scene = scene();
    let sidecar = Sidecar::start(&scene, "");
    let answer = evaluate(
        &sidecar,
        "new",
        json!({"email": "ada@example.org", "targetingKey": "ada"}),
    );
    assert_eq!(answer.status, 200);
    // one of them compares it with ==
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(
        answer.header("strongroom-revision"),
        Some(&*scene.revision().to_string())
    );
    assert_eq!(
        answer.json(),
        json!({"key": "new", "reason": "TARGETING_MATCH", "variant": "on", "value": true,
            "metadata": {"flagSetId": "shop", "owner": "web"}})
    );
    let of = |key: &str| evaluate(&sidecar, key, json!({}));
    assert_eq!(of("new").json()["reason"], "DEFAULT");
    // literals stay: a client that wants a float refuses 10
    assert!(of("size").text().contains(r#""value":10.0"#));
    assert!(of("count").text().contains(r#""value":3,"#));
    for theme in ["web/theme", "web%2Ftheme"] {
        assert_eq!(of(theme).json()["value"], json!({"bg": "black"}));
        assert_eq!(of(theme).json()["key"], "web/theme");
    }
    // without a value the caller's own holds; a client insists on the variant
    for (key, reason) in [("off", "DISABLED"), ("open", "DEFAULT")] {
        let answer = of(key);
        assert_eq!(answer.status, 200);
        let metadata = json!({"flagSetId": "shop"});
        assert_eq!(
            answer.json(),
            json!({"key": key, "reason": reason, "variant": "", "metadata": metadata})
        );
    }
    // no body, no context and null are an empty one
    for body in ["", "{}", r#"{"context":null}"#, r#"{"context":{},"other":1}"#] {
        let answer = post(&sidecar, &format!("{FLAGS}/count"), &[], body);
        assert_eq!(answer.status, 200, "{body}");
    }
}

#[test]
fn what_has_no_answer_says_why() {
    let scene = scene();
    let sidecar = Sidecar::start(&scene, "[limits]\nbody_bytes = 100000");
    let failed = |answer: Answer, status: u16, key: &str, code: &str| {
        let said = answer.json();
        assert_eq!(
            (answer.status, &said["errorCode"]),
            (status, &json!(code)),
            "{said}"
        );
        assert_eq!(said["key"].as_str().unwrap_or_default(), key, "{said}");
        let details = said["errorDetails"].as_str().unwrap().to_owned();
        assert!(!details.is_empty());
        details
    };
    failed(
        evaluate(&sidecar, "gone", json!({})),
        404,
        "gone",
        "FLAG_NOT_FOUND",
    );
    failed(
        evaluate(&sidecar, "a//b", json!({})),
        404,
        "a//b",
        "FLAG_NOT_FOUND",
    );
    // a set is no flag
    failed(
        evaluate(&sidecar, "@set", json!({})),
        404,
        "@set",
        "FLAG_NOT_FOUND",
    );
    failed(evaluate(&sidecar, "wrong", json!({})), 400, "wrong", "GENERAL");
    let target = format!("{FLAGS}/count");
    let deep = format!("{{\"context\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    for body in [
        "{",
        "[]",
        "\u{fffd}",
        r#"{"context":[]}"#,
        r#"{"context":"s3cret"}"#,
        &deep,
    ] {
        let details = failed(
            post(&sidecar, &target, &[], body),
            400,
            "count",
            "INVALID_CONTEXT",
        );
        assert!(!details.contains("s3cret"));
    }
    let long = format!("{{\"context\":{{\"a\":\"{}\"}}}}", "x".repeat(100_000));
    failed(post(&sidecar, &target, &[], &long), 413, "count", "GENERAL");
    failed(
        post(&sidecar, &format!("{target}?a=b"), &[], "{}"),
        400,
        "count",
        "GENERAL",
    );
    failed(
        post(&sidecar, FLAGS, &["flagd-selector: sourc=web"], "{}"),
        400,
        "",
        "GENERAL",
    );
    failed(
        post(&sidecar, &target, &["origin: http://example.org"], "{}"),
        403,
        "count",
        "GENERAL",
    );
    let answer = sidecar.get(&target);
    assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")));
}

#[test]
fn all_flags_are_answered_at_once_and_only_when_they_are_others() {
    let scene = scene();
    let sidecar = Sidecar::start(&scene, "");
    let all = |target: &str, headers: &[&str], context: Value| {
        post(
            &sidecar,
            target,
            headers,
            &json!({ "context": context }).to_string(),
        )
    };
    let answer = all(FLAGS, &[], json!({}));
    let body = answer.json();
    let keys: Vec<_> = body["flags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|flag| &flag["key"])
        .collect();
    assert_eq!(
        keys,
        ["count", "new", "off", "open", "size", "web/theme", "wrong"]
    );
    assert_eq!(body["flags"][6]["errorCode"], "GENERAL");
    assert_eq!(
        body["eventStreams"],
        json!([{"type": "sse", "endpoint": {"requestUri": "/ofrep/v1/events"}, "inactivityDelaySec": 120}])
    );
    assert_eq!(all(&format!("{FLAGS}/"), &[], json!({})).body, answer.body);
    let tag = answer.header("etag").unwrap().to_owned();
    let bare = tag.trim_matches('"');
    for named in [
        tag.as_str(),
        bare,
        &format!("W/{tag}"),
        &format!("\"x\", {tag}"),
        "*",
    ] {
        let answer = all(FLAGS, &[&format!("if-none-match: {named}")], json!({}));
        assert_eq!((answer.status, answer.body.len()), (304, 0), "{named}");
    }
    let if_none_match = format!("if-none-match: {tag}");
    let staff = json!({"email": "ada@example.org"});
    // another context is another answer
    assert_eq!(all(FLAGS, &[&if_none_match], staff).status, 200);
    let known = |etag: &str| {
        all(
            &format!("{FLAGS}?flagConfigEtag={etag}"),
            &[&if_none_match],
            json!({}),
        )
        .status
    };
    assert_eq!((known(bare), known("other")), (304, 200));
    flag(
        &scene,
        "count",
        r#"{"state":"ENABLED","variants":{"few":4},"defaultVariant":"few"}"#,
    );
    until("it is another answer", || {
        (all(FLAGS, &[&if_none_match], json!({})).status == 200).then_some(())
    });
    // parts
    let of = |selector: &str| {
        let body = all(FLAGS, &[&format!("Flagd-Selector: {selector}")], json!({})).json();
        (body["flags"].as_array().unwrap().len(), body["metadata"].clone())
    };
    assert_eq!(of("source=web"), (1, json!({"source": "web"})));
    assert_eq!(of("web/theme").0, 1);
    assert_eq!(of("flagSetId=shop"), (7, json!({"flagSetId": "shop"})));
    assert_eq!(of("flagSetId=other").0, 0);
}

#[test]
fn clients_are_told_when_to_ask_again() {
    let scene = scene();
    let sidecar = Sidecar::start(&scene, "");
    let open = |headers: &[&str]| Events::open(&sidecar.socket, "/ofrep/v1/events", headers);
    let mut events = open(&[]);
    until("it is counted", || {
        (sidecar.status()["watchers"] == 1).then_some(())
    });
    scene.secret("web/token", "x");
    let count = r#"{"state":"ENABLED","variants":{"few":4},"defaultVariant":"few"}"#;
    let changed = flag(&scene, "count", count);
    let event = events.next().unwrap();
    // the secret before it is none of theirs
    assert_eq!((event.name.as_str(), event.id), ("message", Some(changed)));
    assert_eq!(event.data, json!({"type": "refetchEvaluation"}));
    let answer = evaluate(&sidecar, "count", json!({}));
    assert!(
        answer.text().contains(r#""value":4,"#),
        "what an event tells is served"
    );
    let shared = flag(&scene, "@set", r#"{"$evaluators":{"staff":{"==":[1,1]}}}"#);
    assert_eq!(events.next().unwrap().id, Some(shared));
    assert_eq!(evaluate(&sidecar, "new", json!({})).json()["value"], true);
    // who comes back is told of what it missed
    assert_eq!(
        open(&[&format!("last-event-id: {changed}")]).next().unwrap().id,
        Some(shared)
    );
    assert_eq!(open(&["last-event-id: 1"]).next().unwrap().id, Some(shared));
}

#[test]
fn clients_are_told_of_what_takes_a_flag_away() {
    const TEXT: &str = r#"{"state":"ENABLED","variants":{"on":true},"defaultVariant":"on"}"#;
    let scene = Scene::new();
    let base = |at: &str, text: &str| put("base", at, Kind::Flag, text.as_bytes());
    let set = r#"{"metadata":{"flagSetId":"shop"}}"#;
    scene.commit(vec![
        base("new", TEXT),
        base("web/theme", TEXT),
        base("@set", set),
    ]);
    flag(&scene, "size", TEXT);
    let policy = r#"permit (principal, action, resource);
        forbid (principal is Workload, action == Action::"evaluateFlag", resource) when { resource.hasTag("closed") };"#;
    scene.commit(vec![put("prod", "policy/test", Kind::Policy, policy.as_bytes())]);
    let sidecar = Sidecar::start(&scene, "");
    let mut events = Events::open(&sidecar.socket, "/ofrep/v1/events", &[]);
    until("it is counted", || {
        (sidecar.status()["watchers"] == 1).then_some(())
    });
    // what hides one that is inherited is of any kind
    let hides = |at: &str| scene.commit(vec![put("prod", at, Kind::Config, b"{}")]);
    for at in ["new", "@set"] {
        let hidden = hides(at);
        assert_eq!(events.next().unwrap().id, Some(hidden), "{at}");
        let shown = scene.delete(at);
        assert_eq!(events.next().unwrap().id, Some(shown), "{at}");
    }
    assert_eq!(evaluate(&sidecar, "size", json!({})).status, 200);
    // as it is now it is none of theirs
    let Edit::Put(mut closed) = put("prod", "size", Kind::Flag, TEXT.as_bytes()) else {
        panic!("it is put")
    };
    closed.labels = Some([("closed".to_owned(), "yes".to_owned())].into());
    let closed = scene.commit(vec![Edit::Put(closed)]);
    assert_eq!(events.next().unwrap().id, Some(closed));
    assert_eq!(evaluate(&sidecar, "size", json!({})).status, 403);
    flag(&scene, "size", &TEXT.replace("true", "false"));
    hides("other");
    let told = flag(&scene, "web/theme", &TEXT.replace("true", "false"));
    assert_eq!(events.next().unwrap().id, Some(told));
}

#[test]
fn what_may_be_evaluated_for_a_time_is_not_told_from_memory() {
    let scene = scene();
    let policy = r#"permit (principal, action, resource);
        forbid (principal is Workload, action == Action::"evaluateFlag", resource)
        when { context.now < datetime("2001-01-01T00:00:00Z") };"#;
    scene.commit(vec![put("prod", "policy/test", Kind::Policy, policy.as_bytes())]);
    let sidecar = Sidecar::start(&scene, "");
    let open = |headers: &[&str]| Events::open(&sidecar.socket, "/ofrep/v1/events", headers);
    let mut events = open(&[]);
    let seen = scene.revision();
    let text =
        |few: u8| format!(r#"{{"state":"ENABLED","variants":{{"few":{few}}},"defaultVariant":"few"}}"#);
    flag(&scene, "count", &text(4));
    events.next().unwrap();
    let last = flag(&scene, "count", &text(5));
    assert_eq!(events.next().unwrap().id, Some(last));
    // not the first of the two, which was decided at its time
    let mut resumed = open(&[&format!("last-event-id: {seen}")]);
    assert_eq!(resumed.next().unwrap().id, Some(last));
}

#[test]
fn policy_decides_who_may_evaluate_what() {
    let scene = scene();
    let policy = r#"permit (principal, action, resource);
        forbid (principal is Workload, action == Action::"evaluateFlag", resource in Path::"prod/count");
        forbid (principal is Workload, action, resource in Path::"prod/web");"#;
    scene.commit(vec![put("prod", "policy/test", Kind::Policy, policy.as_bytes())]);
    let (audit, directory) = audit_of(&scene);
    let sidecar = Sidecar::start(&scene, &audit);
    let answer = evaluate(&sidecar, "count", json!({}));
    assert_eq!(
        (answer.status, &answer.json()["errorCode"]),
        (403, &json!("GENERAL"))
    );
    // who may not know of it is told what is told of one that is not there
    let mut hidden = evaluate(&sidecar, "web/theme", json!({})).text();
    hidden = hidden.replace("web/theme", "gone");
    assert_eq!(hidden, evaluate(&sidecar, "gone", json!({})).text());
    assert_eq!(evaluate(&sidecar, "size", json!({})).status, 200);
    let all = post(&sidecar, FLAGS, &[], "{}").json();
    let keys: Vec<_> = all["flags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|flag| &flag["key"])
        .collect();
    assert_eq!(keys, ["new", "off", "open", "size", "wrong"]);
    // denials are recorded, and nothing else
    until("the denials are recorded", || {
        let of = |name: &str| recorded(&directory, "deny", name);
        (of("prod/count") == 1 && of("prod/web/theme") == 1).then_some(())
    });
    assert_eq!(recorded(&directory, "allow", "prod/size"), 0);
    // the flag that may not be known of is in no number
    let page = exposition::read(&sidecar.get("/metrics").text());
    let of = |flag: &str, variant: &str, reason: &str| {
        let labels = format!("flag=\"{flag}\",variant=\"{variant}\",reason=\"{reason}\"");
        page.get(&format!("strongroom_flag_evaluations_total{{{labels}}}"))
            .copied()
    };
    assert_eq!(of("size", "small", "STATIC"), Some(2.0));
    assert_eq!(of("wrong", "", "ERROR"), Some(1.0));
    assert_eq!(of("web/theme", "dark", "STATIC"), None);
    // events of what may not be evaluated are not told
    let mut events = Events::open(&sidecar.socket, "/ofrep/v1/events", &[]);
    let other = r#"{"state":"ENABLED","variants":{"few":4},"defaultVariant":"few"}"#;
    flag(&scene, "count", other);
    let told = flag(&scene, "size", other);
    assert_eq!(events.next().unwrap().id, Some(told));
}

#[test]
fn a_flag_that_takes_the_place_of_an_inherited_one_counts_on() {
    let scene = Scene::new();
    let text = r#"{"state":"ENABLED","variants":{"on":true},"defaultVariant":"on"}"#;
    scene.commit(vec![put("base", "new", Kind::Flag, text.as_bytes())]);
    let sidecar = Sidecar::start(&scene, "");
    assert_eq!(evaluate(&sidecar, "new", json!({})).status, 200);
    flag(&scene, "new", text);
    until("the nearer one is served", || {
        (sidecar.status()["revision"] == scene.revision()).then_some(())
    });
    assert_eq!(evaluate(&sidecar, "new", json!({})).status, 200);
    let page = sidecar.get("/metrics").text();
    let of: Vec<_> = page
        .lines()
        .filter(|line| line.starts_with("strongroom_flag_evaluations_total{"))
        .collect();
    assert_eq!(
        of,
        [r#"strongroom_flag_evaluations_total{flag="new",variant="on",reason="STATIC"} 2"#]
    );
}

#[test]
fn every_evaluation_is_recorded_where_that_is_wanted() {
    let scene = scene();
    let (audit, directory) = audit_of(&scene);
    let sidecar = Sidecar::start(&scene, &format!("{audit}evaluations = \"all\"\n"));
    assert_eq!(evaluate(&sidecar, "size", json!({})).status, 200);
    assert_eq!(recorded(&directory, "allow", "prod/size"), 1);
    assert_eq!(post(&sidecar, FLAGS, &[], "{}").status, 200);
    for key in ["count", "new", "off", "open", "web/theme", "wrong"] {
        assert_eq!(recorded(&directory, "allow", &format!("prod/{key}")), 1, "{key}");
    }
    let last = decisions(&directory).pop().unwrap();
    assert_eq!(last["action"], "evaluateFlag");
    // what is not asked for was not evaluated
    let asked = |selector: &str| {
        let header = format!("flagd-selector: {selector}");
        assert_eq!(post(&sidecar, FLAGS, &[&header], "{}").status, 200);
        recorded(&directory, "allow", "prod/count")
    };
    assert_eq!(asked("flagSetId=other"), 1);
    assert_eq!(asked("flagSetId=shop"), 2);
    // nothing is told that cannot be recorded
    std::fs::remove_dir_all(&directory).unwrap();
    until("the log is missed", || {
        (evaluate(&sidecar, "size", json!({})).status == 503).then_some(())
    });
}

#[test]
fn all_evaluations_of_a_request_share_what_work_there_is() {
    let scene = Scene::new();
    let many: Vec<u32> = (0..450).collect();
    let is_none = json!({"none": [many, {"==": [{"var": ""}, -1]}]});
    let rule = json!({"if": [{"all": [{"var": "many"}, is_none]}, "on"]});
    let heavy = json!({"state": "ENABLED", "variants": {"on": true}, "targeting": rule}).to_string();
    let light = r#"{"state":"ENABLED","variants":{"on":true},"defaultVariant":"on"}"#;
    let flags = (10..26).map(|n| put("prod", &format!("heavy/{n}"), Kind::Flag, heavy.as_bytes()));
    scene.commit(flags.collect());
    flag(&scene, "light", light);
    let sidecar = Sidecar::start(&scene, "");
    let context = json!({ "many": many });
    assert_eq!(
        evaluate(&sidecar, "heavy/25", context.clone()).json()["value"],
        true
    );
    let all = post(&sidecar, FLAGS, &[], &json!({ "context": context }).to_string()).json();
    let flags = all["flags"].as_array().unwrap();
    let of = |key: &str| flags.iter().find(|flag| flag["key"] == key).unwrap();
    assert_eq!(of("heavy/10")["value"], true);
    assert_eq!(of("heavy/25")["errorCode"], "GENERAL");
    // what takes no work has its value
    assert_eq!(of("light")["value"], true);
    let method = "/flagd.evaluation.v1.Service/ResolveAll";
    let all = post(
        &sidecar,
        method,
        &["content-type: application/json"],
        &json!({ "context": context }).to_string(),
    );
    let all = all.json();
    assert_eq!(all["flags"]["heavy/10"]["boolValue"], true);
    assert_eq!(all["flags"]["heavy/25"], Value::Null);
    assert_eq!(all["flags"]["light"]["boolValue"], true);
}

#[test]
fn rules_know_who_asks_and_nobody_can_say_otherwise() {
    let scene = Scene::new();
    let uid = rustix::process::geteuid().as_raw();
    let rule =
        json!({"if": [{"==": [{"var": "$peer.uid"}, uid]}, {"cat": [{"var": "$peer.instance"}]}, "other"]});
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let host = host.trim();
    let definition =
        json!({"state": "ENABLED", "variants": {"other": 0}, "defaultVariant": "other", "targeting": rule});
    let mut definition = definition;
    // whatever the instance is, it is named in full: its text is found by trying each
    let sidecar = Sidecar::start(&scene, "");
    let whoami = sidecar.get("/api/v1/whoami").json();
    let kernel = &whoami["kernel"];
    let instance = match (kernel["container"]["id"].as_str(), kernel["unit"].as_str()) {
        (Some(container), _) => container.to_owned(),
        (None, Some(unit)) => format!("{unit}@{host}"),
        (None, None) => format!("uid-{uid}@{host}"),
    };
    definition["variants"][&instance] = json!(1);
    flag(&scene, "who", &definition.to_string());
    until("it is known", || {
        (evaluate(&sidecar, "who", json!({})).status == 200).then_some(())
    });
    for context in [
        json!({}),
        json!({"$peer": {"uid": 4242, "instance": "x"}}),
        json!({"$peer": null}),
    ] {
        let answer = evaluate(&sidecar, "who", context).json();
        assert_eq!(
            (&answer["variant"], &answer["value"]),
            (&json!(instance), &json!(1)),
            "{answer}"
        );
    }
}
