//! The text of policies: what is refused and where, what is nested or many, and what no text does.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod policy_kit;
mod vault_kit;

use policy_kit::*;
use proptest::prelude::*;
use strongroom_core::ambient::Timestamp;
use strongroom_core::policy::{Action, MAX_POLICIES, MAX_TEXT, Policies, PolicyError, check};
use vault_kit::*;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// Whether `text` lets a user read a secret.
fn reads(text: &str, uid: u32, at: &str) -> bool {
    let entry = Plain::secret(at);
    let decision = policies(text).decide(&prepared(&user(uid)), Action::ReadSecret, entry.resource(), NOW);
    assert!(decision.errors.is_empty(), "{:?}", decision.errors);
    decision.allowed
}

#[test]
fn a_text_that_does_not_validate_is_refused_with_its_place_and_what_was_meant() {
    for (text, line, column, policy, reason) in [
        (
            "permit (principal, action, resource);\npermit (principal is Workload, action, resource)\n  when { principal.unitt == \"web.service\" };",
            3,
            10,
            Some(2),
            "attribute `unitt` on entity type `Workload` not found: did you mean `unit`?",
        ),
        (
            "permit (principal, action == Action::\"readSecrets\", resource);",
            1,
            30,
            Some(1),
            "unrecognized action `Action::\"readSecrets\"`: did you mean `Action::\"readSecret\"`?",
        ),
        (
            "permit (principal is Workloads, action, resource);",
            1,
            22,
            Some(1),
            "unrecognized entity type `Workloads`: did you mean `Workload`?",
        ),
        (
            "permit (principal, action, resource) when { hunter2 };",
            1,
            45,
            None,
            "the valid Cedar variables are",
        ),
    ] {
        let fault = check(text).unwrap_err();
        let place = fault.place.expect("a place");
        assert_eq!(
            (place.line, place.column, fault.policy),
            (line, column, policy),
            "{fault}"
        );
        assert!(fault.reason.contains(reason), "{fault}");
    }
}

#[test]
fn what_is_no_policy_is_not_repeated() {
    for text in [
        "hunter2",
        "permit hunter2",
        "\"hunter2",
        "permit (principal, action, resource) when { context.now < datetime(\"hunter2\") };",
        "permit (principal, action == Action::\"watch\", resource) when { \"hunter2\" };",
        "permit (principal, action, resource) when { principal.getTag(\"hunter2\") == \"a\" };",
        "permit (principal, action, resource) when { \"hunter2\" like principal };",
        "permit (principal, action, resource) when { principal has \"hunter2\".a };",
        "@hunter2(1) permit (principal, action, resource);",
        "permit (principal, action, resource) when { \"hunter2 };",
    ] {
        let fault = check(text).unwrap_err();
        assert!(!fault.to_string().contains("hunter2"), "{fault}");
        assert!(fault.place.is_some(), "{fault}");
    }
    let template = check("permit (principal == ?principal, action, resource);").unwrap_err();
    assert!(
        template.reason.contains("templates are not supported"),
        "{template}"
    );
    assert_eq!(template.policy, Some(1));
    assert!(check(&" ".repeat(MAX_TEXT + 1)).is_err());
    assert_eq!(check(""), Ok(0));
}

#[test]
fn what_is_nested_or_chained_without_end_is_refused_before_it_is_walked() {
    let wrap = |condition: String| format!("permit (principal, action, resource) when {{ {condition} }};");
    let many = 20_000;
    for condition in [
        format!("{}true{}", "(".repeat(many), ")".repeat(many)),
        format!("{}true", "!".repeat(many)),
        vec!["true"; many].join(" && "),
        vec!["true"; many].join("||"),
        vec!["1"; many].join("+") + " > 0",
        format!("{}1 > 0", "-".repeat(many)),
        format!(
            "{}true{}",
            "if true then ".repeat(many / 2),
            " else true".repeat(many / 2)
        ),
        format!("principal{} == 1", ".a".repeat(many)),
        format!("{}{} == []", "[".repeat(many), "]".repeat(many)),
        format!("{}1{} == 1", "{a:".repeat(many), "}".repeat(many)),
        format!("principal{} == 1", "[\"a\"]".repeat(many)),
    ] {
        let fault = check(&wrap(condition)).unwrap_err();
        assert!(fault.reason.contains("split it into several"), "{fault}");
    }
    let clauses = format!(
        "permit (principal, action, resource) {} when {{ principal.nope == 1 }};",
        "when { true }".repeat(many)
    );
    let fault = check(&clauses).unwrap_err();
    assert!(fault.reason.contains("split it into several"), "{fault}");
    // As deep as is allowed, and decided on the stack of a worker.
    let deep = [
        format!("{}true{}", "(".repeat(60), ")".repeat(60)),
        format!("{}true{}", "if true then ".repeat(60), " else true".repeat(60)),
        vec!["true"; 400].join(" && "),
        vec!["principal.uid == 1"; 400].join(" || "),
        vec!["1"; 400].join("+") + " > 0",
    ];
    let walk = move || {
        for condition in deep {
            let text = format!("permit (principal is Workload, action, resource) when {{ {condition} }};");
            assert!(reads(&text, 1, "a"), "{text}");
        }
    };
    let worker = std::thread::Builder::new().stack_size(2 << 20).spawn(walk);
    worker.unwrap().join().unwrap();
}

#[test]
fn what_does_not_validate_is_refused_on_the_smallest_stack() {
    let long = vec!["principal.uid == 1"; 400].join(" || ");
    let text =
        format!("permit (principal is Workload, action, resource) when {{ {long} || principal.uit == 1 }};");
    let refused = move || check(&text).unwrap_err();
    let small = std::thread::Builder::new().stack_size(128 << 10).spawn(refused);
    let fault = small.unwrap().join().unwrap();
    assert!(fault.reason.contains("attribute `uit`"), "{fault}");
}

#[test]
fn what_stands_behind_the_end_of_a_comment_counts() {
    for end in ["\n", "\r", "\r\n"] {
        let brackets = ["(", ")"].map(|one| one.repeat(20_000));
        let text = format!(
            "permit (principal, action, resource) when {{ //{end} {}true{}\n }};",
            brackets[0], brackets[1]
        );
        let fault = check(&text).unwrap_err();
        assert!(fault.reason.contains("split it into several"), "{fault}");
    }
    let comment = "(".repeat(20_000);
    let text = format!("permit (principal, action, resource) when {{ // {comment}\r true }};");
    assert_eq!(check(&text), Ok(1));
}

#[test]
fn what_is_as_long_as_is_allowed_is_still_validated() {
    // Dots, operators and brackets within the limit, and the last one names what is not there.
    for (before, many, after) in [
        ("when { true ".to_owned(), 1000, "&& true "),
        ("when { true ".to_owned(), 1000, "|| true "),
        (String::new(), 1000, "when { true } "),
        (String::new(), 1000, "unless { false } "),
    ] {
        let close = if before.is_empty() { "" } else { "}" };
        let chain = after.repeat(many);
        let text = format!(
            "permit (principal is Workload, action, resource) {before}{chain}{close} when {{ principal.uit == 1 }};"
        );
        let fault = check(&text).unwrap_err();
        assert!(fault.reason.contains("attribute `uit`"), "{fault}");
    }
}

#[test]
fn a_thousand_policies_decide_as_one_would() {
    let mut text = String::new();
    for n in 0..1000 {
        text += &format!(
            "@id(\"p{n}\") permit (principal is Workload, action, resource in Path::\"prod/s{n}\") when {{ principal.uid == {n} }};\n"
        );
    }
    let policies = policies(&text);
    assert_eq!(policies.names().len(), 1000);
    for n in [0, 1, 499, 999] {
        let entry = Plain::secret(&format!("s{n}/db"));
        let ask = |uid| policies.decide(&prepared(&user(uid)), Action::ReadSecret, entry.resource(), NOW);
        let name: std::sync::Arc<str> = format!("p{n}").into();
        assert_eq!((ask(n).allowed, ask(n).policies), (true, vec![name]));
        assert!(!ask(n + 1).allowed);
    }
}

#[test]
fn an_environment_has_a_bounded_number_of_policies() {
    let text = "permit(principal,action,resource);".repeat(MAX_POLICIES / 2);
    let (prod, one, two) = (env("prod"), path("policy/one"), path("policy/two"));
    let some = Policies::from_texts(vec![prod.clone()], [source(&prod, &one, &text)]);
    assert!(some.is_ok());
    let sources = [source(&prod, &one, &text), source(&prod, &two, &text)];
    let error = Policies::from_texts(vec![prod.clone()], sources).unwrap_err();
    assert!(matches!(error, PolicyError::TooMany { .. }), "{error}");
}

/// A naive reading of `prefix/**`.
fn glob(prefix: &str, path: &str) -> bool {
    path == prefix || path.starts_with(&format!("{prefix}/"))
}

fn some_path() -> impl Strategy<Value = String> {
    proptest::collection::vec("[ab]{1,2}|é|a\\.b", 1..5).prop_map(|segments| segments.join("/"))
}

proptest! {
    #[test]
    fn a_scope_is_its_prefix_and_all_below(prefix in some_path(), at in some_path()) {
        let text = format!("permit (principal, action, resource in Path::\"prod/{prefix}\");");
        let allowed = reads(&text, 1, &at);
        prop_assert_eq!(allowed, glob(&prefix, &at));
        prop_assert_eq!(allowed, path(&at).is_under(&path(&prefix)));
    }

    #[test]
    fn no_text_panics(parts in proptest::collection::vec(prop_oneof![
        Just("permit"), Just("forbid"), Just("("), Just(")"), Just("principal"), Just("action"),
        Just("resource"), Just(","), Just(";"), Just("when"), Just("unless"), Just("{"), Just("}"),
        Just("=="), Just("in"), Just("is"), Just("has"), Just("like"), Just("."), Just("uid"), Just("[" ),
        Just("]"), Just("\"a\""), Just("Action::\"readSecret\""), Just("1"), Just("-"), Just("!"),
        Just("&&"), Just("||"), Just("context"), Just("now"), Just("@id(\"x\")"), Just("?principal"),
        Just("datetime"), Just("é"), Just("\u{0}"), Just("//"), Just("\n"), Just("\r"), Just("if"), Just("then"),
        Just("else"), Just("99999999999999999999"), Just("\\"), Just("\""),
    ], 0..40)) {
        let text = parts.join(" ");
        let in_condition = format!("permit (principal, action, resource) when {{ {text} }};");
        for text in [text, in_condition] {
            if check(&text).is_ok() {
                let entry = Plain::secret("a");
                let _ = policies(&text).decide(&prepared(&user(1)), Action::ReadSecret, entry.resource(), NOW);
            }
        }
    }

    #[test]
    fn no_bytes_panic(text in ".{0,200}") {
        let _ = check(&text);
    }
}
