//! Templates: what they write, what is refused and where, and that no error holds a value.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use serde_json::{Value, json};
use strongroom_core::flag::{Flag, Set};
use strongroom_core::kind::Kind;
use strongroom_core::name::EntryPath;
use strongroom_core::secret::Secret;
use strongroom_core::template::{MAX_TEXT, Problem, Source, Template, TemplateError, Unavailable};

/// Stands in every value, and in no error.
const CANARY: &str = "canary7f3a";

#[derive(Default)]
struct Values {
    asked: AtomicU64,
    text: String,
}

impl Source for Values {
    fn secret(&self, path: &EntryPath) -> Result<Secret, Unavailable> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        match path.as_str() {
            "db/password" => Ok(Secret::new(CANARY.into())),
            "db/name" => Ok(Secret::new(format!("{CANARY}-name").into_bytes())),
            "binary" => Ok(Secret::new([CANARY.as_bytes(), b"\xff"].concat())),
            "text" => Ok(Secret::new(self.text.clone().into_bytes())),
            "denied" => Err(Unavailable::Denied),
            "config" => Err(Unavailable::Kind(Kind::Config)),
            "later" => Err(Unavailable::Now("the log is full".to_owned())),
            _ => Err(Unavailable::Missing),
        }
    }

    fn config(&self, path: &EntryPath) -> Result<Value, Unavailable> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        match path.as_str() {
            "web" => Ok(json!({
                "name": CANARY, "pool": { "size": 20, "ratio": 0.5, CANARY: 1 }, "hosts": ["a", "b"], "none": null,
                "debug": true, "big": u64::MAX,
            })),
            "text" => Err(Unavailable::Unstructured),
            _ => Err(Unavailable::Missing),
        }
    }

    fn flag(&self, key: &EntryPath) -> Result<Flag, Unavailable> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        match key.as_str() {
            "web/new-ui" => {
                let definition = json!({
                    "state": "ENABLED", "variants": { "on": true, "off": false }, "defaultVariant": "off",
                    "targeting": { "if": [{ "==": [{ "var": "user" }, "ann"] }, "on"] },
                });
                let flag = Flag::parse(key.as_str(), definition.to_string().as_bytes(), &Set::default());
                flag.map_err(|error| Unavailable::Flag(error.to_string()))
            }
            _ => Err(Unavailable::Missing),
        }
    }

    fn now(&self) -> u64 {
        1_700_000_000
    }
}

fn parse(text: &str) -> Result<Template, TemplateError> {
    Template::parse("template/t", text.as_bytes())
}

fn try_render(text: &str) -> Result<String, TemplateError> {
    let rendered = parse(text)?.render(Arc::new(Values::default()))?;
    Ok(rendered.expose(|bytes| String::from_utf8(bytes.to_vec()).unwrap()))
}

fn render(text: &str) -> String {
    try_render(text).unwrap()
}

/// What is wrong, without a value in any form of it.
fn problem(text: &str) -> (usize, Problem) {
    let error = try_render(text).unwrap_err();
    let said = format!("{error} {error:?}");
    assert!(!said.contains(CANARY), "{text}: {said}");
    assert_eq!(error.template, "template/t");
    (error.line, error.problem)
}

fn said(text: &str) -> String {
    let error = try_render(text).unwrap_err();
    assert!(!error.to_string().contains(CANARY), "{error}");
    error.to_string()
}

#[test]
fn values_are_written() {
    assert_eq!(
        render(
            "worker_connections {{ config(\"web\").pool.size }};\n{% for host in config('web').hosts %}\nserver {{ host }};\n{% endfor %}\npassword {{ secret(\"db/password\") }};\n"
        ),
        format!("worker_connections 20;\nserver a;\nserver b;\npassword {CANARY};\n")
    );
    assert_eq!(
        render("{{ flag('web/new-ui', {'user': 'ann'}) }} {{ flag('web/new-ui') }}"),
        "true false"
    );
    assert_eq!(
        render("{% if config('web').debug %}on{% else %}off{% endif %}"),
        "on"
    );
    assert_eq!(
        render("{{ config('web').sise | default(3) }} {{ config('web').none is none }}"),
        "3 true"
    );
    assert_eq!(
        render("{% macro m(x) %}[{{ x }}]{% endmacro %}{{ m(1) }}{% set a = 2 %}{{ a }}"),
        "[1]2"
    );
    assert_eq!(
        render("{{ config('web').pool.ratio }} {{ config('web').big }}"),
        "0.5 18446744073709551615"
    );
    assert_eq!(render("<{{ 'a&b' }}>"), "<a&b>");
    assert_eq!(render(""), "");
}

#[test]
fn each_value_is_asked_for_once() {
    let values = Arc::new(Values::default());
    let template =
        parse("{% for i in range(9) %}{{ secret('db/password') }}{{ config('web').name }}{% endfor %}");
    template
        .unwrap()
        .render(Arc::clone(&values) as Arc<dyn Source>)
        .unwrap();
    assert_eq!(values.asked.load(Ordering::Relaxed), 2);
    // a flag too, whoever it is evaluated for
    let values = Arc::new(Values::default());
    let template =
        parse("{% for user in ['ann', 'bob', 'ann'] %}{{ flag('web/new-ui', {'user': user}) }} {% endfor %}");
    let rendered = template
        .unwrap()
        .render(Arc::clone(&values) as Arc<dyn Source>)
        .unwrap();
    assert_eq!(rendered.expose(<[u8]>::to_vec), b"true false true ");
    assert_eq!(values.asked.load(Ordering::Relaxed), 1);
}

#[test]
fn what_is_missing_is_named_with_its_line() {
    assert_eq!(
        said("a\n{{ secret('db/pasword') }}"),
        "template/t, line 2: the secret db/pasword is not there"
    );
    assert_eq!(
        said("\n\n{{ config('wep').a }}"),
        "template/t, line 3: the config wep is not there"
    );
    assert_eq!(
        said("{{ secret('denied') }}"),
        "template/t, line 1: the secret denied is denied"
    );
    assert_eq!(
        said("{{ secret('config') }}"),
        "template/t, line 1: the secret config is a config"
    );
    assert_eq!(
        said("{{ secret('binary') }}"),
        "template/t, line 1: the secret binary is not UTF-8, and a template is text"
    );
    assert_eq!(
        said("{{ config('text') }}"),
        "template/t, line 1: the config text is text, which has no keys: put it as toml or json"
    );
    assert_eq!(
        said("{{ flag('old-ui') }}"),
        "template/t, line 1: the flag old-ui is not there"
    );
    assert_eq!(
        said("{{ flag('web/new-ui', [1]) }}"),
        "template/t, line 1: the flag web/new-ui cannot be evaluated: its context must be a table"
    );
    assert_eq!(
        said("x\n{{ config('web').pool.sise }}"),
        "template/t, line 2: `pool.sise` of the config web is not there"
    );
    assert_eq!(
        said("{% set c = config('web') %}\n{{ c.pul.size }}"),
        "template/t, line 2: `pul` of the config web is not there"
    );
    assert_eq!(
        said("{{ config('web').pool.sise | json }}"),
        "template/t, line 1: `pool.sise` of the config web is not there"
    );
    assert_eq!(
        said("{% for x in config('web').hosst %}{% endfor %}"),
        "template/t, line 1: `hosst` of the config web is not there"
    );
    assert_eq!(
        said("{# pasword #}\n{{ 1 }}\n{{ pasword }}"),
        "template/t, line 3: `pasword` is not known: a template has secret(path), config(path), flag(key, context), and what it sets itself"
    );
    assert!(matches!(problem("\n{{ debug() }}"), (2, Problem::Name(name)) if name == "debug"));
    assert_eq!(
        problem("{{ 1 | tomel }}"),
        (
            1,
            Problem::Unknown {
                what: "filter",
                name: Some("tomel".to_owned())
            }
        )
    );
    let unknown = |text: &str| match problem(text).1 {
        Problem::Unknown { what, name } => (what, name.unwrap_or_default()),
        problem => ("something else", format!("{problem:?}")),
    };
    assert_eq!(unknown("{{ 1 is prime }}"), ("test", "prime".to_owned()));
    // the engine has more, which a template has not
    assert_eq!(unknown("{{ 1 is safe }}"), ("test", "safe".to_owned()));
    assert_eq!(unknown("{{ 1 | pprint }}"), ("filter", "pprint".to_owned()));
    // what a message has beside the name may stand in the text too
    assert_eq!(
        unknown("{{ 1 | string }}{{ 'a'.nope() }}"),
        ("method", "nope".to_owned())
    );
    assert_eq!(
        unknown("{{ 'a' is filter }}{{ 1 | test }}"),
        ("filter", "test".to_owned())
    );
    assert_eq!(problem("{{ secret('db/password')() }}").1, Problem::Operation);
}

#[test]
fn a_template_says_what_it_asks_for_where_its_text_does() {
    let asks = |text: &str| parse(text).unwrap().asks_for();
    let known = |paths: &[&str]| Some(paths.iter().map(|path| (*path).to_owned()).collect());
    assert_eq!(
        asks("{{ secret('a/b') ~ config(\"web\").secret }}{% if flag('x', {'u': secret('y')}) %}{% endif %}"),
        known(&["a/b", "web", "x", "y"])
    );
    assert_eq!(asks("secret('a') {# {{ secret('b') }} #}"), known(&[]));
    for computed in [
        "{% set p = 'a' %}{{ secret(p) }}",
        "{{ secret('a' ~ 'b') }}",
        "{{ secret('a' if 1 else 'b') }}",
        "{% set s = secret %}{{ s('a') }}",
        "{{ secret('a\\x62') }}",
        "{{ ['a'] | map(secret) | list | json }}",
    ] {
        assert_eq!(asks(computed), None, "{computed}");
    }
}

#[test]
fn no_error_holds_a_value() {
    let password = "secret('db/password')";
    let computed = |problem: Problem| matches!(problem, Problem::Unavailable { name: None, .. });
    // the value is a path that could be named, were it not computed
    assert!(computed(problem(&format!("{{{{ secret({password}) }}}}")).1));
    assert!(computed(problem(&format!("{{{{ config({password}) }}}}")).1));
    assert!(computed(problem(&format!("{{{{ flag({password}) }}}}")).1));
    assert!(matches!(
        problem(&format!("{{{{ secret({password} ~ ' ') }}}}")).1,
        Problem::BadName(_)
    ));
    assert_eq!(
        problem(&format!("{{{{ config('web')[{password} ~ '2'] }}}}")).1,
        Problem::Undefined(None)
    );
    let bad = [
        format!("{{{{ [1] | map({password}) | list }}}}"),
        format!("{{{{ [1] | select({password}) | list }}}}"),
        format!("{{{{ {password}() }}}}"),
        format!("{{{{ {password}.nope() }}}}"),
        format!("{{{{ {password}.nope }}}}"),
        format!("{{{{ {password} | int }}}}"),
        format!("{{{{ {password} | float }}}}"),
        format!("{{{{ {password} + 1 }}}}"),
        format!("{{{{ {password} / 2 }}}}"),
        format!("{{{{ -{password} }}}}"),
        format!("{{{{ {password} | round }}}}"),
        format!("{{{{ {password} | dictsort }}}}"),
        format!("{{{{ {password} | items }}}}"),
        format!("{{{{ {password} | sum }}}}"),
        format!("{{{{ {password} | batch(0) }}}}"),
        format!("{{{{ {password} | nope }}}}"),
        format!("{{{{ 1 | indent({password}) }}}}"),
        format!("{{{{ range({password}) }}}}"),
        format!("{{{{ dict({password}) }}}}"),
        format!("{{{{ {{1: 2}}[{password}].x }}}}"),
        format!("{{{{ secret({password}, 2) }}}}"),
        "{{ config('web') }}".to_owned(),
        "{{ config('web').pool }}".to_owned(),
        "{{ config('web').none }}".to_owned(),
        "{{ config('web') | toml }}".to_owned(),
        "{{ config('web') | dotenv }}".to_owned(),
        "{{ config('web') | shell }}".to_owned(),
        "{{ config('web') | url }}".to_owned(),
        "{{ config('web').name.first.second }}".to_owned(),
        format!("{{% for a, b in [{password}] %}}{{% endfor %}}"),
        format!("{{% for a in 5 %}}{{% endfor %}}{password}"),
        format!("{{% set a, b = {password} %}}{{{{ a }}}}"),
        format!(
            "{{% set x = {password} %}}{{% for i in range(9999) %}}{{% for j in range(9999) %}}{{{{ x }}}}{{% endfor %}}{{% endfor %}}"
        ),
        format!("{{% macro m(x) %}}{{{{ m(x) }}}}{{% endmacro %}}{{{{ m({password}) }}}}"),
        format!("{{{{ {password} }}"),
        format!("{{% include {password} %}}"),
        format!("{{% if {password} %}}"),
        format!("{CANARY} {{{{ 1 +"),
        format!("{{% {CANARY} %}}"),
    ];
    for text in bad {
        problem(&text);
    }
}

#[test]
fn what_has_no_text_is_not_written() {
    assert_eq!(problem("\n{{ config('web').pool }}"), (2, Problem::Table));
    assert_eq!(problem("{{ config('web').hosts }}"), (1, Problem::Table));
    assert_eq!(problem("{{ config('web').none }}"), (1, Problem::Null));
}

#[test]
fn work_and_length_are_bounded() {
    let endless =
        "{% for i in range(10000) %}{% for i in range(10000) %}{% set x = 1 %}{% endfor %}{% endfor %}";
    assert_eq!(problem(endless).1, Problem::TooMuch);
    let deep = "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}";
    assert_eq!(problem(deep).1, Problem::TooDeep);
    let long = "{% for i in range(10000) %}{{ 'x' * 200 }}{% endfor %}";
    assert_eq!(problem(long).1, Problem::TooLong);
    let doubled = "{% set x = 'x' %}".to_owned() + &"{% set x = x ~ x %}".repeat(60) + "{{ x }}";
    assert_eq!(problem(&doubled).1, Problem::TooMuch);
    let captured =
        "{% set x %}xx{% endset %}".to_owned() + &"{% set x %}{{ x }}{{ x }}{% endset %}".repeat(60);
    assert_eq!(problem(&captured).1, Problem::TooMuch);
    let nested = "{{ ".to_owned() + &"(".repeat(100_000);
    assert_eq!(problem(&nested).1, Problem::Chain);
    assert_eq!(problem(&" ".repeat(MAX_TEXT + 1)).1, Problem::TextTooLong);
    let error = Template::parse("t", b"\xff").unwrap_err();
    assert_eq!(error.problem, Problem::NotText);
}

#[test]
fn other_templates_cannot_be_taken_in() {
    for text in [
        "{% include 'b' %}",
        "{% import 'b' as b %}",
        "{% from 'b' import c %}",
        "{% extends 'b' %}",
    ] {
        assert_eq!(
            said(text),
            "template/t, line 1: this is not a template: a statement that is not known; other templates cannot be included or imported"
        );
    }
}

#[test]
fn filters_write_values_where_formats_have_them() {
    assert_eq!(
        render("a = {{ 'x\"y' | toml }}\nb = {{ [1, 'a'] | toml }}"),
        "a = 'x\"y'\nb = [1, \"a\"]"
    );
    assert_eq!(
        render("{{ config('web').pool | json }}"),
        format!("{{\"size\":20,\"ratio\":0.5,\"{CANARY}\":1}}")
    );
    assert_eq!(
        render("a: {{ 'no' | yaml }}\nb: {{ 1 | yaml }}"),
        "a: \"no\"\nb: 1"
    );
    assert_eq!(
        render("{{ {'a': {'b': [1]}} | yaml }}"),
        "\"a\":\n  \"b\":\n    - 1\n"
    );
    assert_eq!(
        render("A={{ 'a b' | dotenv }}\n{{ {'a': {'b': 1}} | dotenv }}"),
        "A='a b'\nA_B=1\n"
    );
    assert_eq!(
        render("a={{ ' b' | properties }}\n{{ {'a': {'b': 1}} | properties }}"),
        "a=\\ b\na.b=1\n"
    );
    assert_eq!(
        render("{{ \"it's\" | shell }} {{ ['a', 1] | shell }}"),
        "'it'\\''s' 'a' '1'"
    );
    // one item, one word
    let nested = problem("{{ ['a', ['b', 'c']] | shell }}").1;
    assert!(
        matches!(nested, Problem::Filter { filter: "shell", .. }),
        "{nested:?}"
    );
    assert_eq!(
        render("http://x/{{ 'a/b ü%' | url }}"),
        "http://x/a%2Fb%20%C3%BC%25"
    );
}

/// A text through one filter.
fn filtered(text: &str, template: &str) -> Result<String, TemplateError> {
    let values = Values {
        text: text.to_owned(),
        ..Values::default()
    };
    let rendered = parse(template)?.render(Arc::new(values))?;
    Ok(rendered.expose(|bytes| String::from_utf8(bytes.to_vec()).unwrap()))
}

proptest! {
    #[test]
    fn escaped_texts_are_read_back(text in any::<String>()) {
        let toml = filtered(&text, "a = {{ secret('text') | toml }}").unwrap();
        let toml: toml::Table = toml.parse().unwrap();
        prop_assert_eq!(toml["a"].as_str().unwrap(), &text);
        let json = filtered(&text, "[{{ secret('text') | json }}]").unwrap();
        prop_assert_eq!(serde_json::from_str::<Vec<String>>(&json).unwrap(), vec![text.clone()]);
        let yaml = filtered(&text, "a:\n  - {{ secret('text') | yaml }}").unwrap();
        prop_assert_eq!(serde_saphyr::from_str::<Value>(&yaml).unwrap(), json!({ "a": [text] }));
        let text = text.replace(|letter| u32::from(letter) > 0xffff, "-");
        let properties = filtered(&text, "a={{ secret('text') | properties }}").unwrap();
        prop_assert_eq!(&java_properties::read(properties.as_bytes()).unwrap()["a"], &text);
        let url = filtered(&text, "{{ secret('text') | url }}").unwrap();
        prop_assert!(url.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte)));
        let decoded = percent_encoding::percent_decode_str(&url).decode_utf8().unwrap();
        prop_assert_eq!(decoded.as_ref(), &text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_shell_reads_one_word(text in any::<String>()) {
        let word = filtered(&text, "{{ secret('text') | shell }}");
        if text.contains('\0') {
            let is_refused = matches!(word.unwrap_err().problem, Problem::Filter { filter: "shell", .. });
            prop_assert!(is_refused);
            return Ok(());
        }
        let script = format!("printf %s {}", word.unwrap());
        let shell = Command::new("sh").args(["-c", &script]).output().unwrap();
        prop_assert_eq!(String::from_utf8(shell.stdout).unwrap(), text);
    }
}

proptest! {
    #[test]
    fn any_text_is_a_template_or_refused(text in "[{}%a-c |.()'\"\n~+=,0-9]*") {
        if let Ok(template) = parse(&text) {
            let _ = template.render(Arc::new(Values::default()));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]
    /// What goes around operands breaks no text that the engine reads.
    #[test]
    fn what_the_engine_reads_is_read(words in proptest::collection::vec(proptest::sample::select(WORDS), 1..9)) {
        for text in [
            format!("{{{{ {} }}}}", words.join(" ")),
            format!("{{% set x = {} %}}", words.join(" ")),
            format!("{{% for a in {} %}}{{% endfor %}}", words.join(" ")),
        ] {
            let engine = minijinja::Environment::new();
            let names = engine.template_from_str(&text).map(|template| template.undeclared_variables(false));
            // which may be names to the engine, and to nobody else
            let words = ["and", "or", "not", "if", "else", "in", "is"];
            if names.is_ok_and(|names| words.iter().all(|word| !names.contains(*word))) {
                let refused = parse(&text).err().map(|error| error.problem);
                prop_assert!(!matches!(refused, Some(Problem::Syntax(_))), "{} {:?}", text, refused);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]
    #[test]
    fn no_expression_repeats_a_list(words in proptest::collection::vec(proptest::sample::select(WORDS), 1..7)) {
        let text = format!("{{% set a = ['q'] %}}{{{{ [{}] | json }}}}", words.join(" "));
        if let Ok(text) = try_render(&text) {
            prop_assert!(!text.contains(r#""q","q""#), "{}", text);
        }
    }
}

/// What expressions are made of.
const WORDS: &[&str] = &[
    "a",
    "'b'",
    "1",
    "3",
    "1.5",
    "[a, 1]",
    "{a: 1}",
    "{'b': a, a: {}}",
    "loop.changed(a, 1)",
    "loop.changed()",
    "(a)",
    "a.b",
    "a[1:2]",
    "+",
    "*",
    "~",
    "-",
    "**",
    "//",
    "==",
    "<",
    "in",
    "not in",
    "is odd",
    "is eq",
    "is not",
    "not",
    "and",
    "or",
    "| abs",
    "| default(a)",
    "if",
    "else",
    ",",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ":",
    "=",
    "recursive",
    ".changed",
    ".0",
    "-1",
];

/// Runs `f` on no more stack than a thread of the standard library has.
fn on_a_small_stack<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(2 << 20);
        thread.spawn_scoped(scope, f).unwrap().join().unwrap()
    })
}

#[test]
fn what_chains_or_nests_too_far_is_refused_before_the_engine_reads_it() {
    let bad = [
        format!("{{{{ {}1 }}}}", "1+".repeat(50_000)),
        format!("{{{{ {}1 }}}}", "not ".repeat(50_000)),
        format!("{{{{ {}1 }}}}", "-".repeat(50_000)),
        format!("{{{{ 1{} }}}}", "|abs".repeat(50_000)),
        format!("{{{{ config('web'){} }}}}", ".a".repeat(50_000)),
        format!("{{{{ config('web'){} }}}}", "[0]".repeat(50_000)),
        format!("{{{{ range{} }}}}", "()".repeat(50_000)),
        format!("{{{{ 1{} }}}}", " if 1 else 1".repeat(20_000)),
        format!("{{{{ 1{} }}}}", " is odd".repeat(20_000)),
        format!("{{% set {}a = 1 %}}", "(".repeat(100_000)),
        format!("{{% if 1 %}}{}{{% endif %}}", "{% elif 1 %}".repeat(20_000)),
        // the deepest first, so that no level is long by itself
        format!(
            "{{{{ {}1{} }}}}",
            "(".repeat(60),
            format!("){}", "+1".repeat(50)).repeat(60)
        ),
        // what looks like an end, and is none
        format!("{{{{ '}}}}' ~ \"%}}\" ~ {}1 }}}}", "1+".repeat(50_000)),
        format!("{{# }}}} {{{{ #}}{{{{ {}1 }}}}", "1+".repeat(50_000)),
        format!(
            "{{% raw %}}{{{{ ' {{% endraw %}}{{{{ {}1 }}}}",
            "1+".repeat(50_000)
        ),
    ];
    for text in bad {
        let problem = on_a_small_stack(|| problem(&text).1);
        assert_eq!(problem, Problem::Chain, "{}", &text[..60]);
    }
    let good = [
        (format!("{{{{ {}1 }}}}", "1+".repeat(150)), "151".to_owned()),
        (
            format!("{{{{ [{}] | length }}}}", "1+1,".repeat(9000)),
            "9000".to_owned(),
        ),
        ("{{ 1 }}".repeat(9000), "1".repeat(9000)),
        (
            format!("{{% if 0 %}}{}{{% endif %}}", "{% elif 0 %}".repeat(90)),
            String::new(),
        ),
        (
            format!(
                "{}{{{{ {}1 }}}}{}",
                "{% if 1 %}".repeat(70),
                "1+".repeat(190),
                "{% endif %}".repeat(70)
            ),
            "191".to_owned(),
        ),
    ];
    for (text, wanted) in good {
        assert_eq!(on_a_small_stack(|| render(&text)), wanted);
    }
}

#[test]
fn values_neither_nest_nor_grow_without_bound() {
    let loops = "{% set ns = namespace(x=1) %}{% for i in range(20000) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x | json }}";
    assert!(matches!(problem(loops).1, Problem::Name(name) if name == "namespace"));
    // by any other name it would be the same
    for text in [
        "{% set x = (dict)(a=1) %}",
        "{% set d = dict %}",
        "{{ dict(a=1) }}",
    ] {
        assert!(
            matches!(problem(text).1, Problem::Name(name) if name == "dict"),
            "{text}"
        );
    }
    for text in [
        "{% set f = flag %}",
        "{% set flag = range %}{{ flag(1) }}",
        "{% macro flag(x) %}{{ x }}{% endmacro %}{{ flag([1]) }}",
        "{{ (flag)('web/new-ui') }}",
        "{% for flag in [1] %}{% endfor %}",
    ] {
        assert_eq!(problem(text).1, Problem::Flag, "{text}");
    }
    let uses = [
        "| json",
        "| toml",
        "== y",
        "in y",
        "| unique | list",
        "| sort",
        "| string",
    ];
    for end in uses {
        let end = format!("{{% set y = x %}}{{{{ x {end} }}}}");
        let bad = [
            "{% set x = 1 %}".to_owned() + &"{% set x = [x] %}".repeat(10_000),
            "{% set x = 1 %}".to_owned() + &"{% set x = {'a': x} %}".repeat(10_000),
            "{% set x = 1 %}".to_owned() + &"{% set x = x, %}".repeat(10_000),
            "{% set x = 1 %}".to_owned() + &"{% set x = [x, x] %}".repeat(24),
            "{% set x = 1 %}".to_owned() + &"{% set x = (x, x) %}".repeat(24),
            "{% set x = 1 %}".to_owned() + &"{% set x = x, x %}".repeat(24),
            "{% set x = [1] %}".to_owned() + &"{% set x = x | zip(x) | list %}".repeat(24),
            "{% set x = [1] %}".to_owned() + &"{% set x = x | chain(x, x, x) %}".repeat(24),
            "{% set x = [1] %}".to_owned() + &"{% set x = [x] | map('chain', x) | first %}".repeat(24),
        ];
        for text in bad {
            let text = text + &end;
            assert_eq!(
                on_a_small_stack(|| problem(&text).1),
                Problem::Tangled,
                "{text:.80}"
            );
        }
    }
    let macros = "{% macro m(x) %}{{ m([x, x]) }}{% endmacro %}{{ m(1) }}";
    assert_eq!(problem(macros).1, Problem::Tangled);
    let recursive = "{% for x in [1] recursive %}{{ loop([x, x]) }}{% endfor %}";
    assert_eq!(problem(recursive).1, Problem::Tangled);
    // as deep as is allowed, it is dropped, compared and written on a small stack
    let deep = "{% set x = 1 %}".to_owned() + &"{% set x = [x] %}".repeat(450);
    let compared = deep.clone() + &deep.replace('x', "y") + "{{ x == y }}{{ x in [y] }}";
    assert_eq!(on_a_small_stack(|| render(&compared)), "truetrue");
    let written = deep + "{{ x | json }}";
    assert_eq!(on_a_small_stack(|| problem(&written).1), Problem::TooDeep);
    // as large as is allowed, and what is too large for a filter
    let large = "{% set x = range(1000) | list %}".to_owned() + &"{% set x = [x, x] %}".repeat(7);
    assert_eq!(problem(&(large + "{{ x | json }}")).1, Problem::TooMuch);
    let flag = "{% set x = range(1000) | list %}{{ flag('web/new-ui', {'a': [x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x]}) }}";
    assert_eq!(problem(flag).1, Problem::TooMuch);
    let ranges = format!("{{{{ [{}] | json }}}}", "range(100000),".repeat(11));
    assert_eq!(problem(&ranges).1, Problem::TooMuch);
    let shared = "{% set x = range(1000) | list %}".to_owned() + &"{% set x = [x, x] %}".repeat(10);
    for end in [
        "x == x",
        "x in [x]",
        "x is eq(x)",
        "[x, x] | sort | length",
        "[x, x] | unique | length",
    ] {
        assert_eq!(
            problem(&format!("{shared}{{{{ {end} }}}}")).1,
            Problem::TooMuch,
            "{end}"
        );
    }
}

#[test]
fn lists_are_neither_added_nor_repeated_nor_put_into_a_text() {
    for text in [
        "{% set x = [1] %}{{ (x * 100000000) ~ '' }}",
        "{% set n = 100000000 %}{{ config('web').hosts * n }}",
        "{{ 1000 * ([1]) }}",
        "{{ 2 * 3 * [1] }}",
        "{{ 'a' ~ [1] * 2 }}",
        "{{ 'a' ~ config('web') }}",
        "{{ config('web').hosts ~ '' }}",
        "{{ '' ~ (1, 2) }}",
        "{{ [1] + [2] }}",
        "{{ 1 if 0 else config('web').hosts + config('web').hosts }}",
        "{{ range([1] + [2]) }}",
        "{{ {'a': [1] * 2} }}",
        "{{ config('web')['hosts' ~ [1]] }}",
        "{{ [[1], [2]] | sum(start=[]) }}",
        "{{ ['a', 'b'] | sum(start='') }}",
        "{% for x in [1] * 2 %}{% endfor %}",
        "{% for x in [1] + [2] recursive %}{% endfor %}",
        "{% if 1 in [1] + [2] %}{% endif %}",
        "{% if [1] is sequence and [1] * 2 %}{% endif %}",
        "{% with x = [1] * 2 %}{% endwith %}",
        "{% macro m(x=[1] * 2) %}{% endmacro %}{{ m() }}",
        "{{ [1]*2 if 1 }}",
        "{{ [1]-}}{{ [1]\n *\n 2-}}",
    ] {
        assert_eq!(
            problem(text).1,
            if text.contains("[1]-}") {
                Problem::Table
            } else {
                Problem::Operand
            },
            "{text}"
        );
    }
    let doubled = "{% set x = [1] %}".to_owned() + &"{% set x = x + x %}".repeat(31) + "{{ x ~ '' }}";
    assert_eq!(problem(&doubled).1, Problem::Operand);
    let wrapped = "{% set x = [1] %}".to_owned() + &"{% set x = x * 1 %}".repeat(13_000);
    assert_eq!(on_a_small_stack(|| problem(&wrapped).1), Problem::Operand);
    assert_eq!(problem("{{ 'a' ~ none }}").1, Problem::Null);
    let long = "{{ 'x' | indent(99999999999) }}";
    assert_eq!(problem(long).1, Problem::TooMuch);
    let replaced = "{% set x = 'x' %}".to_owned() + &"{% set x = x | replace('x', 'xxxx') %}".repeat(30);
    assert_eq!(problem(&replaced).1, Problem::TooMuch);
    let sliced =
        "{{ [1] | slice(99999999999) | list | length }}{{ [1] | batch(99999999999, 1) | list | length }}";
    assert_eq!(problem(sliced).1, Problem::TooMuch);
}

#[test]
fn words_that_are_operators_are_no_names() {
    for text in [
        "{% set in = [1] %}{{ (in * 100000000) | json }}",
        "{% set not = [1] %}{{ '' ~ not * 100000000 }}",
        "{% set a, not = 1, [1] %}{{ -not }}",
        "{% set (a, not) = 1, [1] %}",
        "{% set not.a = [1] %}",
        "{% set not %}x{% endset %}",
        "{% set or | upper %}x{% endset %}",
        "{% for in in [[1]] %}{{ in * 3 }}{% endfor %}",
        "{% for not in [[1]] %}{{ '' ~ not * 3 }}{% endfor %}",
        "{% for a, not in [[1]] %}{% endfor %}",
        "{% with if = [1] %}{{ if * 3 }}{% endwith %}",
        "{% with not = [1] %}{% endwith %}",
        "{% macro m(not) %}{{ '' ~ not * 3 }}{% endmacro %}",
        "{% macro m(a, is) %}{% endmacro %}",
        "{% macro not(a) %}{% endmacro %}",
        "{% macro m() %}{% endmacro %}{% call(not) m() %}{% endcall %}",
        "{{ 1 + in * 3 }}",
        "{{ 1 is odd not * 3 }}",
    ] {
        assert!(matches!(problem(text).1, Problem::Name(_)), "{text}");
    }
    assert_eq!(
        render(
            "{{ {'in': 1, 'not': 2}.in }}{% if not 1 == 2 and not (2 in [1]) or not -1 %}y{% endif %}{{ 1 is in [1] }}"
        ),
        "1ytrue"
    );
    assert_eq!(
        render(
            "{% for a in [1, 2] if not a is odd %}{{ a }}{% else %}{% endfor %}{{ not not 1 if not 0 else 1 not in [1] }}"
        ),
        "2true"
    );
    assert_eq!(
        render("{% if [not 1, 1 is not odd] %}{{ {'a': not 1}.a or not 0 }}{% elif not 1 %}{% endif %}"),
        "true"
    );
}

#[test]
fn whatever_compares_or_shows_a_list_is_charged_or_refused() {
    let two = "{% set x = range(60000) | list %}{% set y = range(60000) | list %}".to_owned()
        + &"{% set x = [x, x] %}{% set y = [y, y] %}".repeat(4);
    let text =
        "{% set t = 'x' * 1000000 %}{% set x = [t, t] %}".to_owned() + &"{% set x = [x, x] %}".repeat(6);
    for (text, end, wanted) in [
        (
            &two,
            "{% for i in range(99) %}{{ loop.changed(x if i is odd else y) }}{% endfor %}",
            Problem::TooMuch,
        ),
        (
            &two,
            "{% for i in range(99) %}{{ loop.changed(1, x) }}{% endfor %}",
            Problem::TooMuch,
        ),
        (
            &two,
            "{% for i in range(99) %}{{ {x: 1} | length }}{% endfor %}",
            Problem::Key,
        ),
        (&two, "{{ {1: 1, (x if 1 else 2): 1} | length }}", Problem::Key),
        (&two, "{{ {x or 1: 1} | length }}", Problem::Key),
        (&two, "{{ {{1: x}: 1} | length }}", Problem::Key),
        (&two, "{{ 'a' | trim(x) }}", Problem::Operand),
        (&text, "{{ x in 'abc' }}", Problem::TooMuch),
        (&text, "{{ x is in('abc') }}", Problem::TooMuch),
    ] {
        assert_eq!(problem(&format!("{text}{end}")).1, wanted, "{end}");
    }
}

#[test]
fn numbers_and_texts_are_as_in_jinja() {
    for (text, wanted) in [
        (
            "{{ [1] | chain([2], (3, 4)) | json }}{{ {'a': 1, 'b': 2} | chain({'b': 3}) | json }}{{ 'ab' | chain([1]) | json }}",
            r#"[1,2,3,4]{"a":1,"b":3}["a","b",1]"#,
        ),
        (
            "{{ [1, 2, 3] | zip('ab') | list | json }}{% for a, b in [1] | zip([2]) %}{{ a + b }}{% endfor %}",
            r#"[[1,"a"],[2,"b"]]3"#,
        ),
        (
            "{{ config('web').pool | list | first }}{{ config('web') | first }}{{ config('web') | last }}",
            "sizenamebig",
        ),
        ("{{ config('web').pool.size * 2 }}", "40"),
        ("{{ 2 + config('web').pool.size - 1 }}", "21"),
        ("{{ 'a' ~ 'b' ~ 1 ~ true }}", "ab1true"),
        (
            "{{ 'a' ~ true * 2 }}{{ 2 * true ~ 'a' }}{{ 'a' ~ true // 1 ~ true }}",
            "a22aa1true",
        ),
        ("{{ 'a' + 'b' }}{{ 'ab' * 2 }}{{ 2 * 'ab' }}", "ababababab"),
        ("{{ 'n=' ~ 1 + 2 if 0 else 'n=' ~ 2 * -3 }}", "n=-6"),
        ("{{ -2 ** 2 * 3 + 1e+2 }}{{ 1.5+2 }}{{ 0x1f+1 }}", "112.03.532"),
        (
            "{% for x in [1, 2] if x * 2 > 2 %}{{ loop.index0 + x * 2 }}{% endfor %}",
            "4",
        ),
        (
            "{% if 1 is not none and 4 is divisibleby 2 + 0 %}y{% endif %}",
            "y",
        ),
        (
            "{% if 3 is eq 3 and 2 not in [1] %}y{% endif %}{% if not 1 + 1 == 3 %}z{% endif %}",
            "yz",
        ),
        (
            "{% set a, b = 1 + 1, 2 * 2 %}{{ [a, b] | json }}{{ {'a': a * b} | json }}",
            "[2,4]{\"a\":8}",
        ),
        ("{{ [1, 2, 3] | sum * 2 }}{{ [1, 2] | sum(start=3) }}", "126"),
        (
            "{{ ['b', 'a'] | sort | join('+') }}{{ 'a*b' }}{# 1 * 2 #}{% raw %}{{ 1 * 2 }}{% endraw %}",
            "a+ba*b{{ 1 * 2 }}",
        ),
        (
            "{{ 'a-a-a' | replace('a', 'b', count=2) | upper | indent(2, true) }}",
            "  B-B-A",
        ),
        (
            "{{ range(1 + 1) | list | json }}{{ [1, 2, 3][1 + 1] }}{{ 'abc'[:1 + 1] }}",
            "[0,1]3ab",
        ),
        (
            "{{ [[1, 2], [3]][0][1] }}{{ {'a': ['xyz']}['a'][0][2] }}{{ 'xyz'[-1] }}{{ -[4][0] }}{{ 'xyz'[1:][0] }}",
            "2zz-4y",
        ),
        (
            "{{ [1, 2, 3, 4][1:][::-2] | json }}{{ 'xyz'[::-1] }}{{ (1, 2, 3)[:-1] | json }}{{ [[1], [2]].1.0 }}{{ 'xyz'.1 }}",
            "[4,2]zyx[1,2]2y",
        ),
        (
            "{{ [1, 2][ 0 if 1 in [1] else 1 ] }}{{ [1,\n2] [1] }}{{ {'a': [1]}['a' ~ ''].0 }}{{ 1 if 2 is eq [2][0] else 3 }}",
            "1211",
        ),
        (
            "{{ 'xaxbx' | trim('xb') }}{{ ' a ' | trim }}{{ 4 is divisibleby 2 }}",
            "aatrue",
        ),
        (
            "{{ {'a' ~ 'b': 1 + 1, 'c' if 0 else 'd': {'e': [1]},} | json }}{{ {} | json }}{{ { 1 : 2 } | json }}",
            "{\"ab\":2,\"d\":{\"e\":[1]}}{}{\"1\":2}",
        ),
        (
            "{% for x in [1, 1, 2] %}{{ loop.changed(x, 1 + x) }}{% endfor %}",
            "truefalsetrue",
        ),
    ] {
        assert_eq!(render(text), wanted, "{text}");
    }
}

/// An expression of small numbers, and how deep.
fn numbers() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "[0-9]",
        Just("0x1f".to_owned()),
        Just("n".to_owned()),
        Just("t.n".to_owned())
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let two = (inner.clone(), inner.clone());
        prop_oneof![
            (two.clone(), "(\\+|-| \\* |\\*|//| % )").prop_map(|((a, b), sign)| format!("{a}{sign}{b}")),
            (two.clone(), "(==|<|>=| in | not in )").prop_map(|((a, b), sign)| {
                let list = sign.contains("in");
                if list {
                    format!("(1 if {a}{sign}[{b}, 3] else {b})")
                } else {
                    format!("(1 if {a}{sign}{b} else 2)")
                }
            }),
            two.clone().prop_map(|(a, b)| format!("(({a} ~ {b}) | length)")),
            two.clone()
                .prop_map(|(a, b)| format!("({a} if {b} is odd and not {a} is eq {b} else -{b})")),
            two.prop_map(|(a, b)| format!("[{a}, {b}][0] + {{'a': {b}}}.a")),
            inner.clone().prop_map(|a| format!("({a})")),
            inner.prop_map(|a| format!("-{a} | abs")),
        ]
    })
}

proptest! {
    /// The operands' care changes nothing but lists.
    #[test]
    fn numbers_are_reckoned_as_the_engine_does(expression in numbers()) {
        let text = format!("{{% set n = 3 %}}{{% set t = {{'n': 4}} %}}{{{{ {expression} }}}}");
        let mut engine = minijinja::Environment::new();
        engine.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
        let wanted = engine.render_str(&text, ());
        match (try_render(&text), wanted) {
            (Ok(text), Ok(wanted)) => prop_assert_eq!(text, wanted),
            (text, wanted) => prop_assert_eq!(text.is_err(), wanted.is_err(), "{:?} {:?}", text, wanted),
        }
    }
}

#[test]
fn ordinary_lists_and_tables_are_not_refused() {
    let text = "{% set host = 'a' %}{% set port = 1 %}{% set one = {'host': host, 'port': port} %}".to_owned()
        + &"{% set one = {'host': config('web').name, 'port': port} %}".repeat(100)
        + &"{{ [host, port] | json }}".repeat(100)
        + &"{% for x in [host, port] %}{{ flag('web/new-ui', {'user': x, 'team': port, 'at': host}) }}{% endfor %}"
            .repeat(20)
        + "{% macro m(u, t) %}{{ flag('web/new-ui', {'user': u, 'team': t}) }}{% endmacro %}{{ m('ann', 1) }}"
        + &"{% set hosts = [one] | map(attribute='host') | list %}".repeat(100);
    assert!(render(&(text + "{{ flag('web/new-ui', {'user': 'ann'}) }}")).ends_with("true"));
    // what is kept and made of two variables counts, whatever takes it
    let joined = "{% set x = [host, port] | join(':') %}";
    let set = "{% set host = 'a' %}{% set port = 1 %}";
    assert_eq!(render(&(set.to_owned() + &joined.repeat(10) + "{{ x }}")), "a:1");
    assert_eq!(
        problem(&(set.to_owned() + &joined.repeat(11))).1,
        Problem::Tangled
    );
    let in_macro = "{% macro m(a, b) %}{{ [a, b] | join(':') }}{% endmacro %}";
    assert_eq!(problem(in_macro).1, Problem::Tangled);
}

#[test]
fn no_filter_tells_a_key_that_was_computed() {
    let password = "secret('db/password')";
    for (filter, value) in [
        ("toml", "none"),
        ("toml", "config('web').big"),
        ("dotenv", "none"),
        ("dotenv", "'\\x00'"),
        ("properties", "none"),
        ("toml", "[none]"),
    ] {
        let problem = problem(&format!("{{{{ {{{password}: {value}}} | {filter} }}}}")).1;
        assert!(matches!(problem, Problem::Filter { .. }), "{problem:?}");
    }
    let twice = format!("{{{{ {{{password} ~ '-': 1, {password} ~ '_': 1}} | dotenv }}}}");
    assert!(matches!(problem(&twice).1, Problem::Filter { .. }));
    let dotted = format!("{{{{ {{{password} ~ '.a': 1, {password}: {{'a': 1}}}} | properties }}}}");
    assert!(matches!(problem(&dotted).1, Problem::Filter { .. }));
}

#[test]
fn a_long_text_is_read_once_whatever_it_names() {
    let names: String = (0..9000).map(|at| format!("{{{{ n{at} }}}}\n")).collect();
    let text = "{{1}}".repeat(20_000) + &names;
    assert!(matches!(problem(&text), (1, Problem::Name(name)) if name == "n0"));
}

#[test]
fn what_is_not_there_is_refused_at_any_depth() {
    for text in [
        "{{ {'size': config('web').pool.siez} | yaml }}",
        "{{ [config('web').pool.siez, 1] | json }}",
        "{{ ['a', config('web').pool.siez] | join(',') }}",
        "{{ [config('web').pool] | map(attribute='siez') | list | json }}",
        "{{ flag('web/new-ui', {'user': config('web').pool.siez}) }}",
        "{{ config('web').pool.siez | string }}",
        "{{ config('web').pool.siez | zip([1]) | list | json }}",
        "{{ [1] | chain(config('web').pool.siez) | list | json }}",
        "{{ config('web').pool.siez | groupby('a') | length }}",
        "{{ 'a' | indent(config('web').pool.siez) }}",
    ] {
        let said = said(text);
        assert_eq!(
            said, "template/t, line 1: `pool.siez` of the config web is not there",
            "{text}"
        );
    }
}

#[test]
fn filters_of_the_engine_take_no_less_care() {
    assert_eq!(
        render("{{ ['a', 1, true] | join(', ') }}{{ [] | join }}"),
        "a, 1, true"
    );
    assert_eq!(
        render("{{ [{'a': 1}, {'a': 2}] | join('-', attribute='a') }}"),
        "1-2"
    );
    assert_eq!(render("{{ true | string }}{{ 1 | string }}"), "true1");
    assert_eq!(problem("{{ ['a', none] | join(',') }}").1, Problem::Null);
    assert_eq!(problem("{{ ['a', []] | join(',') }}").1, Problem::Table);
    assert_eq!(problem("{{ [] | string }}").1, Problem::Table);
    assert_eq!(problem("{{ none | string }}").1, Problem::Null);
    assert_eq!(
        render("{{ true | upper }}{{ 'a1' | replace(1, true) }}"),
        "TRUEatrue"
    );
    for filter in [
        "upper",
        "lower",
        "title",
        "capitalize",
        "trim",
        "replace('a', 'b')",
        "indent(2)",
        "split",
        "lines",
    ] {
        let null = format!("{{{{ config('web').none | {filter} | list }}}}");
        assert_eq!(problem(&null).1, Problem::Null, "{filter}");
        let table = format!("{{{{ config('web') | {filter} | list }}}}");
        assert_eq!(problem(&table).1, Problem::Operand, "{filter}");
        // by another filter too, which calls it with what it takes
        let called = filter.trim_end_matches(')').replace('(', "', ");
        let called = if filter.ends_with(')') {
            called
        } else {
            called + "'"
        };
        let mapped = format!("{{{{ [config('web').hosts] | map('{called}) | list | json }}}}");
        assert_eq!(problem(&mapped).1, Problem::Operand, "{filter}");
        let mapped = mapped.replace("config('web').hosts", "'a'");
        assert!(render(&mapped).contains(['a', 'A', 'b']), "{filter}");
    }
    assert_eq!(problem("{{ 'a' | replace('a', none) }}").1, Problem::Null);
    assert_eq!(problem("{{ 'a' is startingwith [] }}").1, Problem::Operand);
    assert_eq!(
        said("{{ config('web').sise | trim }}"),
        "template/t, line 1: `sise` of the config web is not there"
    );
}

#[test]
fn what_was_defaulted_is_not_what_is_missing() {
    assert_eq!(
        said("{{ config('web').sise | default(3) }}{{ {}.x }}"),
        "template/t, line 1: a value is used that is not there"
    );
    assert_eq!(
        said("{{ config('web').sise is defined }}{{ {}.x }}"),
        "template/t, line 1: a value is used that is not there"
    );
    // a name that only begins with what was computed is not written
    let computed = "{{ config('web').hostsfile | default(1) }}{{ config('web')['host' ~ 'sf'] }}";
    assert_eq!(problem(computed).1, Problem::Undefined(None));
}

#[test]
fn a_loop_that_cycles_through_nothing_is_refused() {
    for nothing in ["", "*[]", "*x", "**{}"] {
        let text = format!(
            "{{% set x = [] %}}{{% for i in [1] %}}{{% set l = loop %}}{{{{ l.cycle({nothing}) }}}}{{% endfor %}}"
        );
        assert_eq!(problem(&text).1, Problem::Arguments, "{nothing}");
    }
    assert_eq!(
        render(
            "{% macro cycle() %}m{% endmacro %}{% for i in [1, 2, 3] %}{{ loop.cycle('a', *['b']) }}{{ cycle() }}{% endfor %}"
        ),
        "ambmam"
    );
}

/// A text as long as a value may be, again and again: what each does with it is more than the fuel allows.
#[test]
fn work_on_long_texts_is_charged() {
    for work in [
        "t is lower",
        "t is upper",
        "t is sameas(u)",
        "t is iterable",
        "'x' is startingwith(t)",
        "t is endingwith(u)",
        "t is eq u",
        "t == u",
        "('x' | trim(t)) == 'y'",
        "('x' | replace(t, 'y')) == 'y'",
        "(['x'] | join(t)) == 'y'",
        "('x' | default(t)) == 'y'",
        "t[-1] == 'y'",
        "t[1000000] == 'y'",
        "t.1000000 == 'y'",
        "t[1000000:] == 'y'",
        "t[::-1] == 'y'",
        "config('web')[t] is defined",
        "{'x': 1}[t] is defined",
        "({'x': 1} | attr(t)) is defined",
        "{t: 1} is defined",
        "['x', 'y'] | map('default', t) | first == 'y'",
        "['x', 'y'] | select('eq', t) | list",
        "[t, u, t, u, t, u] | sort | first == 'y'",
        "[{'x': t}, {'x': u}] | groupby('x') | list",
    ] {
        let text = format!(
            "{{% set t = 'x' * 1048000 %}}{{% set u = 'x' * 1048000 %}}\
             {{% for i in range(10000) %}}{{% if {work} %}}{{% endif %}}{{% endfor %}}"
        );
        assert_eq!(problem(&text).1, Problem::TooMuch, "{work}");
    }
    // each item pays for one step of such a path
    let long = "a".repeat(257);
    for list in [
        &*format!("[1] | map(attribute='{long}')"),
        &format!("[1] | sort(attribute='{long}')"),
        &format!("[1] | selectattr('{long}')"),
        &format!("[1] | groupby('{long}')"),
        &format!("[1] | sum('{long}')"),
        "['a'] | map(attribute='1001')",
        "['a'] | map(attribute=1001)",
        "['a'] | map(attribute=-1)",
    ] {
        let text = format!("{{{{ {list} | string }}}}");
        assert_eq!(problem(&text).1, Problem::Operation, "{list}");
    }
    // what may not be written may not be worked on
    let longer = "{% set t = 'x,' * 1000000 %}{{ t | split(',') | length }}";
    assert_eq!(problem(longer).1, Problem::TooMuch);
    let lists = "{% set x = range(100000) | list %}{% for i in range(10000) %}{% if x[99999:][0] %}{% endif %}{% endfor %}";
    assert_eq!(problem(lists).1, Problem::TooMuch);
    // an item of a list is at hand
    let items =
        "{% set x = range(1000) | list %}{% for i in x %}{% if x[i] + x[-1] %}{% endif %}{% endfor %}";
    assert_eq!(render(items), "");
}

/// What the engine would make again by each use, for nothing.
#[test]
fn work_on_lists_that_are_not_made_yet_is_charged() {
    for work in [
        "x | chain(x) | length",
        &format!("d | chain({}d) | length", "d, ".repeat(900)),
        "x | zip(x) | first",
        "x[999:] | first",
    ] {
        let text = format!(
            "{{% set x = range(1000) | list %}}{{% set d = {{'a': 1}} %}}\
             {{% for i in range(5000) %}}{{% if {work} %}}{{% endif %}}{{% endfor %}}"
        );
        assert_eq!(problem(&text).1, Problem::TooMuch, "{work:.30}");
    }
    let long = "a".repeat(1025);
    for text in [
        format!("{{{{ config('web').{long} }}}}"),
        format!("{{% set {long} = 1 %}}"),
        format!("{{{{ range({long}=1) }}}}"),
    ] {
        assert_eq!(problem(&text).1, Problem::LongName);
    }
    for text in [
        "{{ 1 | default(2, **{'a': 1}) }}",
        "{% set x = {'a': 1} %}{{ range(**x) }}",
    ] {
        assert_eq!(problem(text).1, Problem::FromTable, "{text}");
    }
}
