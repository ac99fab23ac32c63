//! OpenFeature's own clients, unmodified, against a sidecar's socket, and our providers for its SDK in Rust: each program
//! of `examples/flags` evaluates every type, sees a commit, and goes on with the next sidecar. `scripts/flag-clients.sh`
//! installs the clients; without them the tests say so and are skipped. How long a commit took is printed, and asserted
//! by nobody.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use strongroom_core::config::Format;
use strongroom_core::crypto::identity::Identity;
use strongroom_core::kind::Kind;
use strongroom_core::name::{EntryPath, EnvironmentName};
use strongroom_core::secret::Secret;
use strongroom_core::store;
use strongroom_core::vault::{Change, Edit, Expect, OpenOptions, Put, Vault};
use strongroom_tests::flag_client::{self, Example, Shown, home};
use strongroom_tests::program;
use strongroom_tests::scene::Scene;
use strongroom_tests::sidecar::{Settings, Sidecar};

const FLAGS: &str = r#"{
  "flags": {
    "bool": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off",
             "targeting": {"if": [{"$ref": "is_staff"}, "on"]}},
    "others": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off",
               "targeting": {"if": [{"!": {"$ref": "is_staff"}}, "on"]}},
    "string": {"state": "ENABLED", "variants": {"dark": "black"}, "defaultVariant": "dark"},
    "int": {"state": "ENABLED", "variants": {"0": 0}, "defaultVariant": "0"},
    "float": {"state": "ENABLED", "variants": {"half": 0.5}, "defaultVariant": "half"},
    "object": {"state": "ENABLED", "variants": {"a": {"of": {"x": "y"}, "list": ["a", 0.5]}}, "defaultVariant": "a"},
    "disabled": {"state": "DISABLED", "variants": {"on": true}, "defaultVariant": "on"},
    "open": {"state": "ENABLED", "variants": {"on": "x"}},
    "word": {"state": "ENABLED", "variants": {"a": "x"}, "defaultVariant": "a"}
  },
  "$evaluators": {"is_staff": {"ends_with": [{"var": "email"}, "@example.org"]}},
  "metadata": {"flagSetId": "shop"}
}"#;

/// Who is asked for, and the flags with their defaults.
const ASKED: [&str; 11] = [
    r#"{"targetingKey":"ada","email":"ada@example.org"}"#,
    "bool=false",
    "others=true",
    "string=\"\"",
    "int=9",
    "float=0.25",
    "object={}",
    "disabled=false",
    "open=\"mine\"",
    "missing=true",
    "word=7",
];

/// What a flag is, by its key.
type Expected = (&'static str, Value, &'static str, &'static str);

fn expected() -> [Expected; 10] {
    [
        ("bool", json!(true), "on", "TARGETING_MATCH"),
        ("others", json!(false), "off", "DEFAULT"),
        ("string", json!("black"), "dark", "STATIC"),
        ("int", json!(0), "0", "STATIC"),
        ("float", json!(0.5), "half", "STATIC"),
        (
            "object",
            json!({"of": {"x": "y"}, "list": ["a", 0.5]}),
            "a",
            "STATIC",
        ),
        ("disabled", json!(false), "-", "DISABLED"),
        ("open", json!("mine"), "-", "DEFAULT"),
        ("missing", json!(true), "-", "FLAG_NOT_FOUND"),
        ("word", json!(7), "-", "TYPE_MISMATCH"),
    ]
}

fn vault(scene: &Scene) -> Vault {
    let identity = Identity::read_file(&scene.file("alice.identity"), || None).unwrap();
    let store = store::open(&scene.store(), true).unwrap();
    Vault::open(Arc::from(store), Arc::new(identity), OpenOptions::default()).unwrap()
}

/// Lets the flag `int` be another number.
fn commit(vault: &Vault, number: u64) {
    let name = number.to_string();
    let definition = json!({"state": "ENABLED", "variants": {&name: number}, "defaultVariant": name});
    let put = Put {
        environment: EnvironmentName::new("prod").unwrap(),
        path: EntryPath::new("int").unwrap(),
        kind: Kind::Flag,
        value: Secret::new(definition.to_string().into_bytes()),
        format: Format::Text,
        labels: None,
        compartment: None,
        expect: Expect::Any,
    };
    let change = Change {
        message: String::new(),
        edits: vec![Edit::Put(put)],
    };
    vault.commit(&change).unwrap();
}

/// True when the flag `int` is shown as `number`.
fn is(shown: &Shown, number: u64) -> bool {
    shown.flags.get("int").is_some_and(|flag| flag.0 == number)
}

/// An environment with the flags.
fn scene() -> Scene {
    let scene = Scene::with(&["prod"]);
    std::fs::write(scene.file("flags.json"), FLAGS).unwrap();
    scene.ok(&["flag", "import", "prod", "flags.json"]);
    scene
}

/// An example with a client that was installed does all that it can; `others` is what its client makes something
/// else of.
fn works(name: &str, others: &[Expected]) {
    let Some(home) = home("flags for OpenFeature's clients") else {
        return;
    };
    let scene = scene();
    follows(&scene, name, others, |socket| {
        Example::start(&scene, &home, name, socket, &ASKED)
    });
}

/// Shows every type once it is ready.
fn shows(example: &Example, others: &[Expected]) {
    let shown = example.until("every type is shown", |shown| shown.why == "ready");
    for of_all in expected() {
        let of_it = others.iter().find(|of_it| of_it.0 == of_all.0);
        let (key, value, variant, reason) = of_it.cloned().unwrap_or(of_all);
        assert_eq!(
            shown.flags[key],
            (value, variant.to_owned(), reason.to_owned()),
            "{key}"
        );
    }
}

/// The example that `start` starts shows flags, commits and the next sidecar.
fn follows(scene: &Scene, name: &str, others: &[Expected], start: impl Fn(&Path) -> Example) {
    let identity = scene.reader("web", "prod");
    let settings = Settings::new(scene, "web", &identity, "prod");
    let sidecar = Sidecar::start(scene, &settings);
    let example = start(&sidecar.socket());
    shows(&example, others);

    let vault = vault(scene);
    let mut took = Vec::new();
    let mut sees = |number: u64| {
        let start = Instant::now();
        commit(&vault, number);
        let shown = example.until("a commit is told of", |shown| {
            shown.why.starts_with("changed") && is(shown, number)
        });
        took.push(shown.at.saturating_duration_since(start));
    };
    for number in 1..=5 {
        sees(number);
    }

    // one that ends by itself, and one that does not come to it
    let mut sidecar = Some(sidecar);
    let mut back = Vec::new();
    for (number, is_killed) in [(100, false), (200, true)] {
        let ended = sidecar.take().unwrap();
        if is_killed {
            ended.kill();
        } else {
            assert_eq!(ended.terminate(), Some(0));
        }
        commit(&vault, number);
        let start = Instant::now();
        sidecar = Some(Sidecar::start(scene, &settings));
        let shown = example.until("the next sidecar is seen", |shown| is(shown, number));
        back.push(shown.at.saturating_duration_since(start));
        sees(number + 1);
    }
    let millis = |took: &Duration| took.as_secs_f64() * 1000.0;
    println!(
        "{name}: told of commits after {:.1?} ms, of the next sidecar {:.0?} ms after its start",
        took.iter().map(millis).collect::<Vec<_>>(),
        back.iter().map(millis).collect::<Vec<_>>(),
    );
}

#[test]
fn flagd_for_node_asks() {
    works("flagd_rpc.mjs", &[]);
}

#[test]
fn flagd_for_node_evaluates() {
    works("flagd_in_process.mjs", &[]);
}

#[test]
fn ofrep_for_node_asks() {
    // it takes an answer without a value for one of another type
    let others = [
        ("disabled", json!(false), "-", "GENERAL"),
        ("open", json!("mine"), "-", "GENERAL"),
    ];
    works("ofrep.mjs", &others);
}

#[test]
fn ofrep_for_browsers_evaluates_over_tcp() {
    let Some(home) = home("flags for OpenFeature's clients") else {
        return;
    };
    let scene = scene();
    let identity = scene.reader("web", "prod");
    let keys: Vec<&str> = expected().map(|(key, ..)| key).into();
    let listener = format!(
        "[listener]\naddress = \"127.0.0.1:0\"\nflags = {keys:?}\norigins = [\"http://localhost:5173\"]"
    );
    let settings = Settings::new(&scene, "web", &identity, "prod").tables(&listener);
    let sidecar = Sidecar::start(&scene, &settings);
    let url = format!(
        "http://{}",
        sidecar.get("status").json()["listener"].as_str().unwrap()
    );
    let example = Example::start(&scene, &home, "ofrep_web.mjs", Path::new(&url), &ASKED);
    shows(&example, &[]);
    let vault = vault(&scene);
    for number in 1..=3 {
        commit(&vault, number);
        example.until("a commit is told of", |shown| {
            shown.why == "changed" && is(shown, number)
        });
    }
}

#[test]
fn flagd_for_python_asks() {
    works("flagd_rpc.py", &[]);
}

#[test]
fn flagd_for_python_evaluates() {
    works("flagd_in_process.py", &[]);
}

#[test]
fn ofrep_for_python_asks() {
    works("ofrep.py", &[]);
}

/// A flag that leaves its value to who asks is an error in Rust, whose SDK hands providers no default.
fn without_defaults() -> [Expected; 2] {
    [
        ("disabled", json!(false), "-", "FLAG_NOT_FOUND"),
        ("open", json!("mine"), "-", "FLAG_NOT_FOUND"),
    ]
}

#[test]
fn flagd_for_rust_asks() {
    let Some(home) = home("flags for OpenFeature's clients") else {
        return;
    };
    let program = flag_client::rust(&home, "flagd_rpc");
    let scene = scene();
    let others = [
        // what lies deeper comes as the text of the provider's own types
        (
            "object",
            json!({
                "of": r#"Struct { fields: {"x": Value { kind: Some(StringValue("y")) }} }"#,
                "list": r#"ListValue { values: [Value { kind: Some(StringValue("a")) }, Value { kind: Some(NumberValue(0.5)) }] }"#,
            }),
            "a",
            "STATIC",
        ),
        // version 1 has no answer without a value
        ("open", json!("mine"), "-", "FLAG_NOT_FOUND"),
        ("word", json!(7), "-", "INVALID_CONTEXT"),
    ];
    follows(&scene, "flagd_rpc.rs", &others, |socket| {
        Example::run(scene.command(&program).arg(socket).args(ASKED))
    });
}

#[test]
fn flagd_for_rust_evaluates() {
    let Some(home) = home("flags for OpenFeature's clients") else {
        return;
    };
    let program = flag_client::rust(&home, "flagd_in_process");
    let scene = scene();
    scene.ok(&["delete", "prod", "open"]);
    let [disabled, open] = without_defaults();
    // what lies deeper comes as JSON in a text
    let object = json!({"of": r#"{"x":"y"}"#, "list": r#"["a",0.5]"#});
    let others = [disabled, open, ("object", object, "a", "STATIC")];
    follows(&scene, "flagd_in_process.rs", &others, |socket| {
        Example::run(scene.command(&program).arg(socket).args(ASKED))
    });
}

#[test]
fn flagd_for_rust_does_not_start_where_a_flag_has_no_default_variant() {
    let Some(home) = home("flags for OpenFeature's clients") else {
        return;
    };
    let program = flag_client::rust(&home, "flagd_in_process");
    let scene = scene();
    let identity = scene.reader("web", "prod");
    let sidecar = Sidecar::start(&scene, &Settings::new(&scene, "web", &identity, "prod"));
    let mut command = scene.command(&program);
    let ended = command.arg(sidecar.socket()).args(ASKED).output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(
        !ended.status.success() && said.contains("missing field `defaultVariant`"),
        "{said}"
    );
}

#[test]
fn ours_for_rust_asks() {
    let scene = scene();
    let program = program::example("socket");
    follows(&scene, "socket.rs", &without_defaults(), |socket| {
        Example::run(scene.command(&program).arg(socket).args(ASKED))
    });
}

#[test]
fn ours_for_rust_evaluates() {
    let scene = scene();
    let identity = scene.reader("web", "prod");
    let program = program::example("in_process");
    let mut command = scene.command(program);
    let example = Example::run(command.arg(scene.store()).arg(identity).arg("prod").args(ASKED));
    shows(&example, &without_defaults());
    let vault = vault(&scene);
    for number in 1..=3 {
        commit(&vault, number);
        example.until("a commit is told of", |shown| {
            shown.why == "changed" && is(shown, number)
        });
    }
}
