//! flagd's own scenarios for evaluators, against the engine in this process. The scenarios and their flags are
//! looked for beside the checkout, in `../shared/conformance`, or where `STRONGROOM_CONFORMANCE` says; where they
//! are not there the test says so and is skipped.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};

use cucumber::gherkin::Step;
use cucumber::writer::basic::Coloring;
use cucumber::writer::{Basic, Stats as _, Verbosity};
use cucumber::{World as _, WriterExt as _, given, then, when};
use serde_json::{Map, Value, json};
use strongroom_core::flag::{Context, Document, Evaluation, Failure, Flag};
use strongroom_tests::component::is_file_there;
use strongroom_tests::program::workspace;

/// How many scenarios there are, less those of the first generation of `fractional`, which nobody runs.
const SCENARIOS: usize = 140 - 15;

/// Their tag.
const FIRST: &str = "fractional-v1";
/// Says where the scenarios are.
const SETTING: &str = "STRONGROOM_CONFORMANCE";

fn data() -> PathBuf {
    let place = std::env::var_os(SETTING).map(PathBuf::from);
    let place = place.unwrap_or_else(|| workspace().join("../shared/conformance"));
    place.join("flagd-testbed")
}

/// The flags of the scenarios.
fn flags() -> &'static Vec<Flag> {
    static FLAGS: OnceLock<Vec<Flag>> = OnceLock::new();
    FLAGS.get_or_init(|| {
        let file = std::fs::read(data().join("flags/testkit-flags.json")).unwrap();
        let document = Document::parse(&file).unwrap();
        document.compile().map(|(_, flag)| flag.unwrap()).collect()
    })
}

#[derive(Debug, Default, cucumber::World)]
struct World {
    kind: String,
    key: String,
    fallback: String,
    context: Context,
    value: Value,
    reason: String,
    code: String,
    metadata: Map<String, Value>,
}

/// A text of a scenario as a value of a type.
fn value(kind: &str, text: &str) -> Value {
    match kind {
        "Boolean" => json!(text == "true"),
        "Integer" => json!(text.parse::<i64>().unwrap()),
        "Float" => json!(text.parse::<f64>().unwrap()),
        "String" => json!(text),
        "Object" => serde_json::from_str(text).unwrap(),
        other => panic!("the scenarios have a type that is not known: {other}"),
    }
}

/// The value as the type that is asked for, as JSON.
fn typed<'a>(kind: &str, evaluation: &Evaluation<'a>) -> Result<Option<Value>, Failure<'a>> {
    Ok(match kind {
        "Boolean" => evaluation.bool()?.value.map(Value::from),
        "Integer" => evaluation.int()?.value.map(Value::from),
        "Float" => evaluation.float()?.value.map(Value::from),
        "String" => evaluation.string()?.value.map(Value::from),
        _ => evaluation.json()?.value.cloned().map(Value::from),
    })
}

#[given("an evaluator")]
fn evaluator(_: &mut World) {
    assert!(!flags().is_empty());
}

#[given(regex = r#"^a (\w+)-flag with key "([^"]*)" and a fallback value "(.*)"$"#)]
fn a_flag(world: &mut World, kind: String, key: String, fallback: String) {
    (world.kind, world.key, world.fallback) = (kind, key, fallback);
}

#[given(regex = r#"^a context containing a key "([^"]*)", with type "(\w+)" and with value "(.*)"$"#)]
fn a_context(world: &mut World, key: String, kind: String, text: String) {
    world.context.insert(key, value(&kind, &text));
}

#[given(
    regex = r#"^a context containing a nested property with outer key "([^"]*)" and inner key "([^"]*)", with value "(.*)"$"#
)]
fn a_nested_context(world: &mut World, outer: String, inner: String, text: String) {
    world.context.insert(outer, json!({ inner: text }));
}

#[given(regex = r#"^a context containing a targeting key with value "(.*)"$"#)]
fn a_targeting_key(world: &mut World, key: String) {
    world.context.insert("targetingKey".to_owned(), json!(key));
}

#[when("the flag was evaluated with details")]
fn evaluate(world: &mut World) {
    world.value = value(&world.kind, &world.fallback);
    let Some(flag) = flags().iter().find(|flag| flag.key() == world.key) else {
        "FLAG_NOT_FOUND".clone_into(&mut world.code);
        return;
    };
    let result = flag.evaluate(&world.context, 1_700_000_000);
    let typed = result.and_then(|evaluation| Ok((evaluation, typed(&world.kind, &evaluation)?)));
    match typed {
        Ok((evaluation, found)) => {
            world.reason = evaluation.reason.to_string();
            world.metadata = evaluation.metadata.clone();
            if let Some(found) = found {
                world.value = found;
            }
        }
        Err(failure) => {
            "ERROR".clone_into(&mut world.reason);
            world.code = failure.code.to_string();
            world.metadata = failure.metadata.clone();
        }
    }
}

#[then(regex = r#"^the resolved details value should be "(.*)"$"#)]
fn value_is(world: &mut World, text: String) {
    assert_eq!(world.value, value(&world.kind, &text));
}

#[then(regex = r#"^the reason should be "(.*)"$"#)]
fn reason_is(world: &mut World, reason: String) {
    assert_eq!(world.reason, reason);
}

#[then(regex = r#"^the error-code should be "(.*)"$"#)]
fn code_is(world: &mut World, code: String) {
    assert_eq!(world.code, code);
}

#[then("the resolved metadata is empty")]
fn no_metadata(world: &mut World) {
    assert!(world.metadata.is_empty());
}

#[then("the resolved metadata should contain")]
fn metadata_is(world: &mut World, step: &Step) {
    let table = step.table.as_ref().expect("the step has a table");
    for row in table.rows.iter().skip(1) {
        let [key, kind, text] = row.as_slice() else {
            panic!("the table has other columns");
        };
        assert_eq!(world.metadata.get(key), Some(&value(kind, text)), "{key}");
    }
}

/// What the run says, which is shown when something failed.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Said {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The scenarios as the parser takes them: in a table it knows no `\\"`, which stands for a quotation mark there.
fn features() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(data().join("gherkin")).unwrap() {
        let file = file.unwrap();
        let text = std::fs::read_to_string(file.path()).unwrap();
        std::fs::write(
            directory.path().join(file.file_name()),
            text.replace("\\\"", "\""),
        )
        .unwrap();
    }
    directory
}

#[tokio::test]
async fn every_scenario_passes() {
    let file = data().join("flags/testkit-flags.json");
    if !is_file_there(&file, SETTING, "flagd's scenarios for evaluators") {
        return;
    }
    let (said, features) = (Said::default(), features());
    let writer = Basic::new(said.clone(), Coloring::Never, Verbosity::Default).summarized();
    let run = World::cucumber()
        .with_writer(writer)
        .with_default_cli()
        .fail_on_skipped()
        .filter_run(features.path().to_owned(), |feature, _, scenario| {
            let mut tags = feature.tags.iter().chain(&scenario.tags);
            let examples = scenario.examples.iter().flat_map(|examples| &examples.tags);
            !tags.any(|tag| tag == FIRST) && !examples.into_iter().any(|tag| tag == FIRST)
        })
        .await;
    let said = String::from_utf8_lossy(&said.0.lock().unwrap()).into_owned();
    assert!(!run.execution_has_failed(), "{said}");
    assert_eq!(run.scenarios_stats().passed, SCENARIOS, "{said}");
}
