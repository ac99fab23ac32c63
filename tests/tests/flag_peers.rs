//! Random flags, rules and contexts against two other engines of flagd, npm's and PyPI's, in long-lived processes.
//! Every difference is of a kind that docs/flags.md lists, told apart by what the rule uses; any other one fails. Plain
//! splits differ in nothing.
//! `scripts/flag-clients.sh` installs them; without them the test says so and is skipped.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Map, Value, json};
use strongroom_core::flag::{Document, Flag};
use strongroom_tests::dice::Dice;
use strongroom_tests::flag_client;
use strongroom_tests::program::workspace;

/// Cases of one run; a difference of an unknown kind shows in a few hundred.
const CASES: usize = 4000;

/// Cases of the test that takes no difference.
const SPLITS: usize = 1000;

/// What an engine says: variant, reason and code.
#[derive(Clone, Debug, PartialEq)]
struct Answer {
    variant: Option<String>,
    reason: String,
    code: Option<String>,
}

struct Engine {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Engine {
    fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, input, output }
    }

    fn ask(&mut self, question: &Value) -> Answer {
        writeln!(self.input, "{question}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).expect("the engine answers in JSON");
        let text = |name: &str| answer[name].as_str().map(str::to_owned);
        Answer {
            variant: text("variant"),
            reason: text("reason").unwrap_or_default(),
            code: text("code"),
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The two engines; `None` where they are not installed.
fn engines() -> Option<[(&'static str, Engine); 2]> {
    let home = flag_client::home("the comparison with other engines")?;
    let scripts = workspace().join("tests/flag_engines");
    let node = Engine::start(
        Command::new("node")
            .arg(scripts.join("node.js"))
            .env("NODE_PATH", home.join("node/node_modules")),
    );
    let python = Engine::start(Command::new(flag_client::python(&home)).arg(scripts.join("python.py")));
    Some([("npm", node), ("PyPI", python)])
}

fn one<'a, T>(dice: &mut Dice, of: &'a [T]) -> &'a T {
    let at = dice.below(of.len() as u64);
    &of[usize::try_from(at).unwrap()]
}

fn scalar(dice: &mut Dice) -> Value {
    let texts = [
        "a", "b", "", "abc", "1", "1.0", " 2 ", "ü", "日本", "v1.2.3", "1.2", "0x10", "true", "bc",
    ];
    match dice.below(10) {
        0..5 => json!(one(dice, &texts)),
        5 => json!(dice.below(3) == 0),
        6 => Value::Null,
        7 => json!(one(dice, &[1.5, -0.5, 1e21, 1e-7, 3.0, 1e300])),
        _ => json!(one(
            dice,
            &[0_i64, 1, -1, 2, 10, 9_007_199_254_740_991, 2_147_483_648]
        )),
    }
}

fn path(dice: &mut Dice) -> Value {
    let paths = [
        "s",
        "n",
        "list",
        "list.0",
        "obj.a",
        "gone",
        "ü",
        "targetingKey",
        "$flagd.flagKey",
        "mixed",
        "deep.x.y",
        "f",
    ];
    json!(one(dice, &paths))
}

fn rules(dice: &mut Dice, count: u64, depth: u64) -> Vec<Value> {
    (0..count).map(|_| rule(dice, depth)).collect()
}

fn rule(dice: &mut Dice, depth: u64) -> Value {
    if depth == 0 || dice.below(4) == 0 {
        return if dice.below(2) == 0 {
            json!({"var": path(dice)})
        } else {
            scalar(dice)
        };
    }
    let depth = depth - 1;
    let kind = dice.below(26);
    let count = 2 + dice.below(3);
    match kind {
        0..4 => json!({"if": rules(dice, count, depth)}),
        4 => json!({"and": rules(dice, count, depth)}),
        5 => json!({"or": rules(dice, count, depth)}),
        6 => json!({*one(dice, &["!", "!!"]): rules(dice, 1, depth)}),
        7..10 => json!({*one(dice, &["==", "!=", "===", "!=="]): rules(dice, 2, depth)}),
        10 | 11 => json!({*one(dice, &["<", "<=", ">", ">="]): rules(dice, 2, depth)}),
        12 => json!({*one(dice, &["+", "-", "*", "/", "%", "min", "max"]): rules(dice, 2, depth)}),
        13 => json!({"cat": rules(dice, count, depth)}),
        14 => json!({"substr": [{"var": "s"}, dice.below(4), dice.below(3)]}),
        15 => json!({"in": rules(dice, 2, depth)}),
        16 => json!({*one(dice, &["starts_with", "ends_with"]): rules(dice, 2, depth)}),
        17 => {
            let operator = *one(dice, &["=", "!=", "<", "<=", ">", ">=", "^", "~", "?"]);
            json!({"sem_ver": [rule(dice, depth), operator, one(dice, &["1", "1.2", "v1.2.3", "2.0.0-rc.1", "x"])]})
        }
        18..21 => split(dice, depth),
        21 => json!({*one(dice, &["map", "filter", "all", "some", "none"]): [{"var": "list"}, item(dice)]}),
        22 => json!({"missing": ["s", "gone", "n"]}),
        23 => json!({"merge": rules(dice, 2, depth)}),
        24 => json!({"in": [rule(dice, depth), {"var": "list"}]}),
        _ => json!({*one(dice, &["nope", "sem_ver", "missing_some", "=="]): rules(dice, 1, depth)}),
    }
}

/// A rule about one item of a list.
fn item(dice: &mut Dice) -> Value {
    let operator = *one(dice, &["==", ">", "===", "!="]);
    json!({operator: [{"var": ""}, dice.below(4)]})
}

fn split(dice: &mut Dice, depth: u64) -> Value {
    let mut parts = Vec::new();
    match dice.below(4) {
        0 => parts.push(json!({"var": path(dice)})),
        1 => parts.push(json!({"cat": [{"var": "$flagd.flagKey"}, {"var": "s"}]})),
        _ => {}
    }
    for name in ["a", "b", "abc"] {
        let weight = match dice.below(12) {
            0 => rule(dice, depth),
            1 => json!(-5),
            2 => json!(2_147_483_647),
            3 => json!(2.5),
            _ => json!(dice.below(100)),
        };
        parts.push(if dice.below(8) == 0 {
            json!([name])
        } else {
            json!([name, weight])
        });
    }
    json!({ "fractional": parts })
}

fn context(dice: &mut Dice) -> Map<String, Value> {
    let mut out = Map::new();
    for name in ["s", "n", "f", "ü", "mixed"] {
        if dice.below(5) > 0 {
            out.insert(name.to_owned(), scalar(dice));
        }
    }
    out.insert("list".to_owned(), json!([1, dice.below(4), 3]));
    out.insert("obj".to_owned(), json!({"a": scalar(dice)}));
    match dice.below(8) {
        0 => {}
        1 => drop(out.insert("targetingKey".to_owned(), json!("Jürgen 日本"))),
        2 => drop(out.insert("targetingKey".to_owned(), json!(""))),
        _ => drop(out.insert(
            "targetingKey".to_owned(),
            json!(format!("user-{}", dice.below(1000))),
        )),
    }
    out
}

/// Whether a rule has one of these operators anywhere.
fn uses(rule: &Value, operators: &[&str]) -> bool {
    match rule {
        Value::Array(items) => items.iter().any(|item| uses(item, operators)),
        Value::Object(members) => members
            .iter()
            .any(|(operator, below)| operators.contains(&operator.as_str()) || uses(below, operators)),
        _ => false,
    }
}

/// Whether what is compared comes from another comparison, somewhere.
fn compares_within(rule: &Value) -> bool {
    const COMPARISONS: &[&str] = &["==", "!=", "===", "!==", "<", "<=", ">", ">="];
    match rule {
        Value::Array(items) => items.iter().any(compares_within),
        Value::Object(members) => members.iter().any(|(operator, below)| {
            COMPARISONS.contains(&operator.as_str()) && uses(below, COMPARISONS) || compares_within(below)
        }),
        _ => false,
    }
}

/// Whether a rule splits by what the context does not have, somewhere.
fn splits_by_null(rule: &Value, context: &Value) -> bool {
    let is_null = |path: &Value| {
        let path = path.as_str().unwrap_or_default();
        let mut parts = path.split('.');
        let found = parts.try_fold(context, |at, part| match at {
            Value::Array(items) => items.get(part.parse::<usize>().ok()?),
            at => at.get(part),
        });
        !path.starts_with("$flagd") && found.is_none_or(Value::is_null)
    };
    match rule {
        Value::Array(items) => items.iter().any(|item| splits_by_null(item, context)),
        Value::Object(members) => members.iter().any(|(operator, below)| {
            let key = below.get(0).and_then(|key| key.get("var"));
            operator == "fractional" && key.is_some_and(is_null) || splits_by_null(below, context)
        }),
        _ => false,
    }
}

const NUMBERS: &[&str] = &[
    "==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "%", "min", "max",
];

const LISTS: &[&str] = &["map", "filter", "merge", "missing", "missing_some"];

/// The kind of a difference that docs/flags.md lists; `None` for any other one.
fn listed(
    engine: &str,
    flag: &Flag,
    rule: &Value,
    context: &Value,
    ours: &Answer,
    theirs: &Answer,
) -> Option<&'static str> {
    let is_error = |answer: &Answer| answer.code.is_some();
    if !flag.faults().is_empty() {
        return Some("refused when it is put");
    }
    if uses(rule, &["cat", "substr"]) {
        return Some("null in cat and substr, and numbers in it");
    }
    if engine == "npm" {
        if is_error(theirs) && uses(rule, NUMBERS) {
            return Some("npm: what is no number is an error");
        }
        if uses(rule, &["fractional"]) && !(rule.to_string() + &context.to_string()).is_ascii() {
            return Some("npm: keys that are not ASCII");
        }
        if is_error(theirs) && !is_error(ours) {
            return Some("npm: odd arguments are an error");
        }
        if uses(rule, &["==", "!="]) {
            return Some("npm: null equals false and 0");
        }
        if compares_within(rule) {
            return Some("npm: comparisons within comparisons");
        }
        if splits_by_null(rule, context) {
            return Some("npm: fractional with a first argument of null");
        }
        if uses(rule, &["in"]) && (rule.to_string() + &context.to_string()).contains("\"\"") {
            return Some("npm: an empty text contains nothing");
        }
        if uses(rule, LISTS) || rule.to_string().contains("list") {
            return Some("npm: a list has a text and a number");
        }
    } else {
        if theirs.code.as_deref() == Some("THROWN") {
            return Some("PyPI: ends by an exception of its language");
        }
        if uses(rule, &["fractional"]) && rule.to_string().contains(".0") {
            return Some("PyPI: weights such as 2.0");
        }
        if uses(rule, &["===", "!==", "==", "!=", "in"]) {
            return Some("PyPI: booleans are numbers, lists have content");
        }
        if uses(rule, NUMBERS) {
            return Some("PyPI: numbers are Python's");
        }
    }
    None
}

fn now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap().as_secs()
}

/// A file whose flag has this rule and splits as an engine does, and the flag compiled.
fn of_engine(engine: &str, rule: &Value) -> (Value, Flag) {
    let bucketing = if engine == "npm" { "v2" } else { "v3" };
    let config = json!({
        "flags": {"flag": {
            "state": "ENABLED", "defaultVariant": "abc", "targeting": rule,
            "variants": {"a": "A", "b": "B", "abc": "C", "true": "T", "false": "F", "1": "1", "1.5": "1.5", "ü": "ü"},
        }},
        "metadata": {"bucketing": bucketing},
    });
    let document = Document::parse(config.to_string().as_bytes()).unwrap();
    let flag = document.compile().next().unwrap().1.unwrap();
    (config, flag)
}

/// What our engine says.
fn ours(flag: &Flag, context: &Map<String, Value>, now: u64) -> Answer {
    match flag.evaluate(context, now).and_then(|found| found.string()) {
        Ok(found) => Answer {
            variant: found.variant.map(str::to_owned),
            reason: found.reason.to_string(),
            code: None,
        },
        Err(failure) => Answer {
            variant: None,
            reason: "ERROR".to_owned(),
            code: Some(failure.code.to_string()),
        },
    }
}

/// A text of ASCII that is not empty.
fn word(dice: &mut Dice) -> Value {
    let letters = b"abcXYZ0189 -_.@/";
    let length = 1 + dice.below(20);
    let text: String = (0..length).map(|_| char::from(*one(dice, letters))).collect();
    json!(text)
}

/// A split as rules in use have it: by the user, by something else of the context, or by both the flag and that.
fn plain_split(dice: &mut Dice) -> Value {
    let key = match dice.below(3) {
        0 => None,
        1 => Some(json!({"var": one(dice, &["id", "of.id", "targetingKey"])})),
        _ => Some(
            json!({"cat": [{"var": "$flagd.flagKey"}, {"var": one(dice, &["id", "of.id", "targetingKey"])}]}),
        ),
    };
    let buckets = ["a", "b", "abc", "1"]
        .into_iter()
        .take(1 + usize::try_from(dice.below(4)).unwrap());
    let bucket = |name: &str| match dice.below(6) {
        0 => json!([name]),
        1 => json!([name, 0]),
        2 => json!([name, dice.below(1 << 29)]),
        _ => json!([name, dice.below(100)]),
    };
    let buckets: Vec<_> = buckets.map(bucket).collect();
    json!({"fractional": key.into_iter().chain(buckets).collect::<Vec<_>>()})
}

#[test]
fn plain_splits_are_those_of_other_engines() {
    let Some(mut engines) = engines() else { return };
    let mut dice = Dice::steady();
    let mut split = 0;
    for _ in 0..SPLITS {
        let rule = plain_split(&mut dice);
        let context =
            json!({"targetingKey": word(&mut dice), "id": word(&mut dice), "of": {"id": word(&mut dice)}});
        for (name, engine) in &mut engines {
            let (config, flag) = of_engine(name, &rule);
            let ours = ours(&flag, context.as_object().unwrap(), now());
            let theirs = engine.ask(&json!({"config": config, "context": context}));
            assert_eq!(ours, theirs, "{name}: {rule} of {context}");
            split += usize::from(ours.reason == "TARGETING_MATCH");
        }
    }
    assert!(split > SPLITS, "only {split} of {} were split", 2 * SPLITS);
}

#[test]
fn random_flags_are_what_other_engines_say() {
    let Some(mut engines) = engines() else { return };
    let mut dice = Dice::steady();
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    let mut unlisted = Vec::new();
    let mut same = 0;
    let now = now();
    for _ in 0..CASES {
        let rule = loop {
            let rule = rule(&mut dice, 3);
            if rule.is_object() {
                break rule;
            }
        };
        let context = context(&mut dice);
        for (name, engine) in &mut engines {
            let (config, flag) = of_engine(name, &rule);
            let ours = ours(&flag, &context, now);
            let context = Value::Object(context.clone());
            let theirs = engine.ask(&json!({"config": config, "context": context}));
            if ours == theirs {
                same += 1;
            } else if let Some(kind) = listed(name, &flag, &rule, &context, &ours, &theirs) {
                *kinds.entry(kind.to_owned()).or_default() += 1;
            } else {
                unlisted.push(format!(
                    "{name}: {rule}\n  of {context}\n  ours {ours:?}\n  theirs {theirs:?}"
                ));
            }
        }
    }
    println!("{same} of {} alike; differences by kind: {kinds:#?}", 2 * CASES);
    let shown = unlisted.iter().take(12).cloned().collect::<Vec<_>>().join("\n");
    assert!(
        unlisted.is_empty(),
        "{} differences that are not listed:\n{shown}",
        unlisted.len()
    );
    assert!(
        same * 10 > 2 * CASES * 8,
        "only {same} of {} are alike",
        2 * CASES
    );
}
