//! The providers for OpenFeature's SDK in Rust: the same flags in this process and over a sidecar's socket give the same
//! answers, rules find all of a context, and the status is what the store and the sidecar are.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use strongroom_core::ambient::Ambient;
use strongroom_core::api::client::Client;
use strongroom_core::config::Format;
use strongroom_core::crypto::identity::Identity;
use strongroom_core::kind::Kind;
use strongroom_core::name::{EntryPath, EnvironmentName, MemberName};
use strongroom_core::secret::Secret;
use strongroom_core::store::{self, Fault, MemoryStore};
use strongroom_core::vault::{Change, Edit, Expect, OpenOptions, Put, Vault};
use strongroom_openfeature::open_feature::provider::{FeatureProvider, ProviderStatus, ResolutionDetails};
use strongroom_openfeature::open_feature::{
    EvaluationContext, EvaluationContextFieldValue as Field, EvaluationErrorCode as Code, EvaluationReason,
    EvaluationResult, FlagMetadata, StructValue, Value,
};
use strongroom_openfeature::{InProcess, Socket};
use strongroom_tests::scene::Scene;
use strongroom_tests::sidecar::{Settings, Sidecar};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A flag that is on where `rule` gives true.
fn rule(rule: serde_json::Value) -> serde_json::Value {
    json!({"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off",
        "targeting": {"if": [rule, "on"]}})
}

/// A flag without rule.
fn fixed(value: serde_json::Value) -> serde_json::Value {
    json!({"state": "ENABLED", "variants": {"a": value}, "defaultVariant": "a"})
}

/// A sidecar with `flags`, and what asks it and what does without.
struct World {
    scene: Scene,
    sidecar: Option<Sidecar>,
    settings: Settings,
    socket: Socket,
    in_process: InProcess,
}

impl World {
    fn new(flags: serde_json::Value) -> Self {
        let scene = Scene::with(&["prod"]);
        let file = json!({"flags": flags, "metadata": {"flagSetId": "shop", "version": 2}});
        std::fs::write(scene.file("flags.json"), file.to_string()).unwrap();
        scene.ok(&["flag", "import", "prod", "flags.json"]);
        let identity = scene.reader("web", "prod");
        let settings = Settings::new(&scene, "web", &identity, "prod");
        let sidecar = Sidecar::start(&scene, &settings);
        let store = store::open(&scene.store(), false).unwrap();
        let identity = Identity::read_file(Path::new(&identity), || None).unwrap();
        let vault = Vault::open(Arc::from(store), Arc::new(identity), OpenOptions::default()).unwrap();
        Self {
            socket: Socket::new(Client::new(sidecar.socket())),
            in_process: InProcess::new(Arc::new(vault), EnvironmentName::new("prod").unwrap()).unwrap(),
            sidecar: Some(sidecar),
            settings,
            scene,
        }
    }

    fn providers(&self) -> [&dyn FeatureProvider; 2] {
        [&self.in_process, &self.socket]
    }
}

fn block<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(work)
}

/// Value, variant and reason; else the code of the error.
type Told<T> = Result<(T, Option<String>, EvaluationReason), Code>;

fn told<T>(result: EvaluationResult<ResolutionDetails<T>>) -> Told<T> {
    let details = result.map_err(|error| {
        // what the SDK shows of it
        assert!(!error.message.unwrap().is_empty());
        error.code
    })?;
    let metadata = FlagMetadata::default()
        .with_value("flagSetId", "shop")
        .with_value("version", 2);
    assert_eq!(details.flag_metadata, Some(metadata));
    Ok((details.value, details.variant, details.reason.unwrap()))
}

fn is_static<T>(value: T) -> Told<T> {
    Ok((value, Some("a".to_owned()), EvaluationReason::Static))
}

#[test]
fn every_type_is_the_same_in_process_and_over_the_socket() {
    let theme = json!({"bg": "black", "sizes": [1, 2.5, 3.0], "deep": {"on": true}, "none": null});
    let world = World::new(json!({
        "bool": fixed(json!(true)),
        "string": fixed(json!("x")),
        "whole": fixed(json!(10)),
        "round": fixed(json!(10.0)),
        "half": fixed(json!(0.5)),
        "most": fixed(json!(9_007_199_254_740_991_i64)),
        "theme": fixed(theme),
        "holes": fixed(json!({"list": [null]})),
        "web/deep": fixed(json!(true)),
        "off": {"state": "DISABLED", "variants": {"on": true}, "defaultVariant": "on"},
        "open": {"state": "ENABLED", "variants": {"on": true}},
        "ruled": rule(json!({"==": [{"var": "targetingKey"}, "ada"]})),
        "wrong": {"state": "ENABLED", "variants": {"on": true}, "targeting": {"cat": ["no", "ne"]}},
    }));
    let nobody = EvaluationContext::default();
    let ada = EvaluationContext::default().with_targeting_key("ada");
    block(async {
        for provider in world.providers() {
            let name = &provider.metadata().name;
            let bool = async |key: &str| told(provider.resolve_bool_value(key, &nobody).await);
            let int = async |key: &str| told(provider.resolve_int_value(key, &nobody).await);
            let float = async |key: &str| told(provider.resolve_float_value(key, &nobody).await);
            let string = async |key: &str| told(provider.resolve_string_value(key, &nobody).await);
            let object = async |key: &str| told(provider.resolve_struct_value(key, &nobody).await);

            assert_eq!(bool("bool").await, is_static(true), "{name}");
            assert_eq!(bool("web/deep").await, is_static(true), "{name}");
            assert_eq!(string("string").await, is_static("x".to_owned()), "{name}");
            for (key, whole) in [("whole", 10), ("round", 10), ("most", 9_007_199_254_740_991)] {
                assert_eq!(int(key).await, is_static(whole), "{name}: {key}");
            }
            for (key, number) in [("whole", 10.0), ("round", 10.0), ("half", 0.5)] {
                assert_eq!(float(key).await, is_static(number), "{name}: {key}");
            }
            let theme = StructValue::default()
                .with_field("bg", "black")
                .with_field("sizes", vec![Value::Int(1), Value::Float(2.5), Value::Float(3.0)])
                .with_field("deep", StructValue::default().with_field("on", true));
            assert_eq!(object("theme").await, is_static(theme), "{name}");

            let mismatch = Code::TypeMismatch;
            assert_eq!(bool("string").await, Err(mismatch.clone()), "{name}");
            assert_eq!(string("bool").await, Err(mismatch.clone()), "{name}");
            assert_eq!(int("half").await, Err(mismatch.clone()), "{name}");
            assert_eq!(float("string").await, Err(mismatch.clone()), "{name}");
            for key in ["string", "holes"] {
                assert_eq!(object(key).await, Err(mismatch.clone()), "{name}: {key}");
            }
            // no flag has some of these names; the other routes of the sidecar are not reached by them
            for key in ["gone", "", "a//b", "@set", "../flags/bool", "a?b", "off", "open"] {
                assert_eq!(bool(key).await, Err(Code::FlagNotFound), "{name}: {key}");
            }
            let general = bool("wrong").await.unwrap_err();
            assert!(matches!(general, Code::General(_)), "{name}: {general:?}");

            assert_eq!(
                bool("ruled").await,
                Ok((false, Some("off".to_owned()), EvaluationReason::Default)),
                "{name}"
            );
            assert_eq!(
                told(provider.resolve_bool_value("ruled", &ada).await),
                Ok((true, Some("on".to_owned()), EvaluationReason::TargetingMatch)),
                "{name}"
            );
        }
    });
}

#[test]
fn rules_find_all_of_a_context() {
    let is = |name: &str, value: serde_json::Value| rule(json!({"===": [{"var": name}, value]}));
    let rules = json!({
        "key": is("targetingKey", json!("ada")),
        "text": is("text", json!("x")),
        "yes": is("yes", json!(true)),
        "whole": is("whole", json!(-7)),
        "half": is("half", json!(0.5)),
        "at": is("at", json!("2026-01-31T11:00:00Z")),
        "part": is("part", json!("2026-01-31T11:00:00.25Z")),
        "struct": is("struct.plan.levels.1", json!(3)),
        "value": is("value.1", json!("b")),
        "json": is("json.plan.level", json!(3)),
        "map": is("map.level", json!(3)),
    });
    let world = World::new(rules.clone());
    let at = |text: &str| Field::DateTime(OffsetDateTime::parse(text, &Rfc3339).unwrap());
    let plan = StructValue::default().with_field("levels", vec![2, 3]);
    let serde_json::Value::Object(map) = json!({"level": 3}) else {
        panic!("it is an object")
    };
    let context = EvaluationContext::default()
        .with_targeting_key("ada")
        .with_custom_field("targetingKey", "somebody else")
        .with_custom_field("text", "x")
        .with_custom_field("yes", true)
        .with_custom_field("whole", -7)
        .with_custom_field("half", 0.5)
        .with_custom_field("at", at("2026-01-31T12:00:00+01:00"))
        .with_custom_field("part", at("2026-01-31T11:00:00.25Z"))
        .with_custom_field(
            "struct",
            Field::new_struct(StructValue::default().with_field("plan", plan)),
        )
        .with_custom_field("value", Field::new_struct(Value::from(vec!["a", "b"])))
        .with_custom_field("json", Field::new_struct(json!({"plan": {"level": 3}})))
        .with_custom_field("map", Field::new_struct(map));
    let unknown = EvaluationContext::default().with_custom_field("x", Field::new_struct(7_u8));
    let endless = EvaluationContext::default().with_custom_field("x", f64::INFINITY);
    let early = OffsetDateTime::UNIX_EPOCH.replace_year(-1).unwrap();
    let early = EvaluationContext::default().with_custom_field("x", early);
    block(async {
        for provider in world.providers() {
            let name = &provider.metadata().name;
            for key in rules.as_object().unwrap().keys() {
                let found = provider.resolve_bool_value(key, &context).await.unwrap();
                assert!(found.value, "{name}: {key}");
            }
            for context in [&unknown, &endless, &early] {
                let refused = provider.resolve_bool_value("key", context).await.unwrap_err();
                assert_eq!(refused.code, Code::InvalidContext, "{name}: {refused:?}");
            }
        }
    });
}

#[test]
fn many_evaluate_at_a_time() {
    let world = World::new(json!({"whole": fixed(json!(10))}));
    let socket = Arc::new(world.socket);
    block(async {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..200 {
            let socket = Arc::clone(&socket);
            tasks.spawn(async move {
                let nobody = EvaluationContext::default();
                socket
                    .resolve_int_value("whole", &nobody)
                    .await
                    .map(|details| details.value)
            });
        }
        while let Some(value) = tasks.join_next().await {
            assert_eq!(value.unwrap(), Ok(10));
        }
    });
}

#[test]
fn the_status_over_the_socket_is_what_the_last_answer_said() {
    let mut world = World::new(json!({"bool": fixed(json!(true))}));
    let nobody = EvaluationContext::default();
    block(async {
        assert_eq!(world.socket.status(), ProviderStatus::NotReady);
        world.socket.initialize(&nobody).await;
        assert_eq!(world.socket.status(), ProviderStatus::Ready);

        world.sidecar.take().unwrap().kill();
        let away = world
            .socket
            .resolve_bool_value("bool", &nobody)
            .await
            .unwrap_err();
        assert!(matches!(away.code, Code::General(_)), "{away:?}");
        assert_eq!(world.socket.status(), ProviderStatus::Error);
        world.socket.initialize(&nobody).await;
        assert_eq!(world.socket.status(), ProviderStatus::Error);

        let sidecar = Sidecar::start(&world.scene, &world.settings);
        let gone = world
            .socket
            .resolve_bool_value("gone", &nobody)
            .await
            .unwrap_err();
        assert_eq!(
            (gone.code, world.socket.status()),
            (Code::FlagNotFound, ProviderStatus::Ready)
        );
        assert!(
            world
                .socket
                .resolve_bool_value("bool", &nobody)
                .await
                .unwrap()
                .value
        );
        drop(sidecar);
    });
}

#[test]
fn the_status_in_process_and_the_flags_are_those_of_the_newest_snapshot() {
    let prod = EnvironmentName::new("prod").unwrap();
    let store = Arc::new(MemoryStore::new());
    let identity = Arc::new(Identity::generate(&Ambient::system()).unwrap());
    let alice = MemberName::new("alice").unwrap();
    let vault = Vault::create(store.clone(), &alice, identity, Ambient::system()).unwrap();
    let vault = Arc::new(vault);
    let commit = |edit| {
        let edits = vec![edit];
        let message = String::new();
        vault.commit(&Change { message, edits }).unwrap();
    };
    assert!(InProcess::new(Arc::clone(&vault), prod.clone()).is_err());
    commit(Edit::AddEnvironment {
        name: prod.clone(),
        parent: None,
        compartment: None,
    });
    let put = |value: i64| {
        commit(Edit::Put(Put {
            environment: prod.clone(),
            path: EntryPath::new("size").unwrap(),
            kind: Kind::Flag,
            value: Secret::new(fixed(json!(value)).to_string().into_bytes()),
            format: Format::Text,
            labels: None,
            compartment: None,
            expect: Expect::Any,
        }));
    };
    let provider = InProcess::new(Arc::clone(&vault), prod.clone()).unwrap();
    let nobody = EvaluationContext::default();
    for value in [1, 2] {
        put(value);
        let found = block(provider.resolve_int_value("size", &nobody)).unwrap();
        assert_eq!(found.value, value);
    }
    assert_eq!(provider.status(), ProviderStatus::Ready);
    store.arm(Fault::Read);
    assert!(vault.refresh().is_err());
    assert_eq!(provider.status(), ProviderStatus::STALE);
    // the last good one is served on
    assert_eq!(
        block(provider.resolve_int_value("size", &nobody)).unwrap().value,
        2
    );
    vault.refresh().unwrap();
    assert_eq!(provider.status(), ProviderStatus::Ready);
}
