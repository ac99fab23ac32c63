//! flagd's own scenarios for evaluators, against the engine in this process, and through a sidecar by OFREP and by gRPC.
//! The scenarios and their flags are looked for beside the checkout, in `../shared/conformance`, or where
//! `STRONGROOM_CONFORMANCE` says; where they are not there the tests say so and are skipped. What asks a sidecar is in
//! Python, with what `scripts/flag-clients.sh` installs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::fmt::Debug;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::{Arc, Mutex};

use cucumber::gherkin::{Scenario, Step};
use cucumber::writer::basic::Coloring;
use cucumber::writer::{Basic, Stats as _, Verbosity};
use cucumber::{World as _, WriterExt as _, given, then, when};
use serde_json::{Map, Value, json};
use strongroom_core::flag::{Context, Document, Evaluation, Failure, Flag};
use strongroom_tests::component::is_file_there;
use strongroom_tests::flag_client;
use strongroom_tests::program::workspace;
use strongroom_tests::scene::Scene;
use strongroom_tests::sidecar::{Settings, Sidecar};

/// How many scenarios there are, less those of the first generation of `fractional`, which nobody runs.
const SCENARIOS: usize = 140 - 15;

/// Their tag.
const FIRST: &str = "fractional-v1";
/// Flags that a store refuses, since they could not be evaluated or are not as flagd's schema has it. Scenarios about
/// them are left out where a store is between: nobody can get there.
const REFUSED: [&str; 5] = [
    "ends-with-wrong-args-flag",
    "ref-to-nonexistent-evaluator-flag",
    "semver-invalid-operator-flag",
    "semver-wrong-args-flag",
    "starts-with-wrong-args-flag",
];
/// How many scenarios are about them.
const ABOUT_REFUSED: usize = 5;
/// Says where the scenarios are.
const SETTING: &str = "STRONGROOM_CONFORMANCE";

fn data() -> PathBuf {
    let place = std::env::var_os(SETTING).map(PathBuf::from);
    let place = place.unwrap_or_else(|| workspace().join("../shared/conformance"));
    place.join("flagd-testbed")
}

/// The file of the scenarios' flags.
fn flags() -> Vec<u8> {
    std::fs::read(data().join("flags/testkit-flags.json")).unwrap()
}

/// What a flag is, of the type that was asked for.
#[derive(Debug, Default)]
struct Answer {
    value: Option<Value>,
    reason: String,
    code: String,
    metadata: Map<String, Value>,
}

/// What the scenarios are about.
trait Engine: Debug {
    fn ask(&self, kind: &str, key: &str, context: &Context) -> Answer;
}

#[derive(Debug, Default, cucumber::World)]
struct World {
    engine: Option<Arc<dyn Engine>>,
    kind: String,
    key: String,
    fallback: String,
    context: Context,
    value: Value,
    answer: Answer,
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

/// The engine in this process.
#[derive(Debug)]
struct Embedded(Vec<Flag>);

impl Embedded {
    fn new() -> Self {
        let document = Document::parse(&flags()).unwrap();
        Self(document.compile().map(|(_, flag)| flag.unwrap()).collect())
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

impl Engine for Embedded {
    fn ask(&self, kind: &str, key: &str, context: &Context) -> Answer {
        let Some(flag) = self.0.iter().find(|flag| flag.key() == key) else {
            return Answer {
                code: "FLAG_NOT_FOUND".to_owned(),
                ..Answer::default()
            };
        };
        let result = flag.evaluate(context, 1_700_000_000);
        let typed = result.and_then(|evaluation| Ok((evaluation, typed(kind, &evaluation)?)));
        match typed {
            Ok((evaluation, value)) => Answer {
                value,
                reason: evaluation.reason.to_string(),
                code: String::new(),
                metadata: evaluation.metadata.clone(),
            },
            Err(failure) => Answer {
                value: None,
                reason: "ERROR".to_owned(),
                code: failure.code.to_string(),
                metadata: failure.metadata.clone(),
            },
        }
    }
}

/// A sidecar, asked by a protocol.
#[derive(Debug)]
struct Served {
    asking: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
    child: Child,
    _sidecar: Sidecar,
    _scene: Scene,
}

impl Served {
    /// `None`, said aloud, where what asks it is not installed.
    fn new(protocol: &str) -> Option<Self> {
        let home = flag_client::home("flagd's scenarios through a sidecar")?;
        let scene = Scene::with(&["prod"]);
        import(&scene);
        let identity = scene.reader("web", "prod");
        let sidecar = Sidecar::start(&scene, &Settings::new(&scene, "web", &identity, "prod"));
        let mut child = scene
            .command(flag_client::python(&home))
            .arg(workspace().join("tests/flag_clients/wire.py"))
            .arg(protocol)
            .arg(sidecar.socket())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Some(Self {
            asking: Mutex::new((child.stdin.take().unwrap(), output)),
            child,
            _sidecar: sidecar,
            _scene: scene,
        })
    }
}

/// Puts the flags into a store, but for those that a store takes none of.
fn import(scene: &Scene) {
    let all = scene.file("all.json");
    std::fs::write(&all, flags()).unwrap();
    let refused = scene.run(&["flag", "import", "prod", "all.json"]);
    assert!(!refused.status.success());
    let said = String::from_utf8(refused.stderr).unwrap();
    let mut file: Value = serde_json::from_slice(&flags()).unwrap();
    for key in REFUSED {
        assert!(said.contains(&format!("{key} in prod")), "{said}");
        file["flags"].as_object_mut().unwrap().remove(key).unwrap();
    }
    std::fs::write(&all, file.to_string()).unwrap();
    scene.ok(&["flag", "import", "prod", "all.json"]);
}

impl Engine for Served {
    fn ask(&self, kind: &str, key: &str, context: &Context) -> Answer {
        let (input, output) = &mut *self.asking.lock().unwrap();
        writeln!(input, "{}", json!({"type": kind, "key": key, "context": context})).unwrap();
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).expect("an answer is JSON");
        let text = |name: &str| said[name].as_str().unwrap_or_default().to_owned();
        let value = said.get("value").map(|value| of_type(kind, value));
        let code = match value {
            // by OFREP it is the client that knows the type
            Some(None) => "TYPE_MISMATCH".to_owned(),
            _ => text("errorCode"),
        };
        Answer {
            value: value.flatten(),
            reason: text("reason"),
            code,
            metadata: said["metadata"].as_object().cloned().unwrap_or_default(),
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A value as a type, when it is of it.
fn of_type(kind: &str, value: &Value) -> Option<Value> {
    match kind {
        "Boolean" => value.as_bool().map(Value::from),
        "Integer" => value.as_i64().map(Value::from),
        "Float" => value.as_f64().map(Value::from),
        "String" => value.as_str().map(Value::from),
        _ => value.as_object().cloned().map(Value::from),
    }
}

#[given("an evaluator")]
fn evaluator(world: &mut World) {
    assert!(world.engine.is_some());
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
    let engine = world.engine.as_ref().unwrap();
    world.answer = engine.ask(&world.kind, &world.key, &world.context);
    if let Some(found) = world.answer.value.take() {
        world.value = found;
    }
}

#[then(regex = r#"^the resolved details value should be "(.*)"$"#)]
fn value_is(world: &mut World, text: String) {
    assert_eq!(world.value, value(&world.kind, &text));
}

#[then(regex = r#"^the reason should be "(.*)"$"#)]
fn reason_is(world: &mut World, reason: String) {
    assert_eq!(world.answer.reason, reason);
}

#[then(regex = r#"^the error-code should be "(.*)"$"#)]
fn code_is(world: &mut World, code: String) {
    assert_eq!(world.answer.code, code);
}

#[then("the resolved metadata is empty")]
fn no_metadata(world: &mut World) {
    assert!(world.answer.metadata.is_empty());
}

#[then("the resolved metadata should contain")]
fn metadata_is(world: &mut World, step: &Step) {
    let table = step.table.as_ref().expect("the step has a table");
    for row in table.rows.iter().skip(1) {
        let [key, kind, text] = row.as_slice() else {
            panic!("the table has other columns");
        };
        assert_eq!(world.answer.metadata.get(key), Some(&value(kind, text)), "{key}");
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

/// True when a scenario is about one of `keys`.
fn is_about(scenario: &Scenario, keys: &[&str]) -> bool {
    let mut steps = scenario.steps.iter();
    steps.any(|step| {
        keys.iter()
            .any(|key| step.value.contains(&format!("with key \"{key}\"")))
    })
}

fn are_there() -> bool {
    let file = data().join("flags/testkit-flags.json");
    is_file_there(&file, SETTING, "flagd's scenarios for evaluators")
}

/// Runs all scenarios but those about the flags `without`; how many passed is asserted.
async fn passes(engine: Arc<dyn Engine>, without: &'static [&str], count: usize) {
    let (said, features) = (Said::default(), features());
    let writer = Basic::new(said.clone(), Coloring::Never, Verbosity::Default).summarized();
    let run = World::cucumber()
        .with_writer(writer)
        .with_default_cli()
        .fail_on_skipped()
        .before(move |_, _, _, world| {
            world.engine = Some(Arc::clone(&engine));
            Box::pin(async {})
        })
        .filter_run(features.path().to_owned(), |feature, _, scenario| {
            let mut tags = feature.tags.iter().chain(&scenario.tags);
            let examples = scenario.examples.iter().flat_map(|examples| &examples.tags);
            !tags.any(|tag| tag == FIRST)
                && !examples.into_iter().any(|tag| tag == FIRST)
                && !is_about(scenario, without)
        })
        .await;
    let said = String::from_utf8_lossy(&said.0.lock().unwrap()).into_owned();
    assert!(!run.execution_has_failed(), "{said}");
    assert_eq!(run.scenarios_stats().passed, count, "{said}");
}

#[tokio::test]
async fn every_scenario_passes() {
    if are_there() {
        passes(Arc::new(Embedded::new()), &[], SCENARIOS).await;
    }
}

/// The same through a sidecar.
async fn passes_by(protocol: &str) {
    if are_there()
        && let Some(served) = Served::new(protocol)
    {
        passes(Arc::new(served), &REFUSED, SCENARIOS - ABOUT_REFUSED).await;
    }
}

#[tokio::test]
async fn every_scenario_passes_by_ofrep() {
    passes_by("ofrep").await;
}

#[tokio::test]
async fn every_scenario_passes_by_grpc() {
    passes_by("grpc").await;
}
