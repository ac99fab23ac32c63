//! Names off the grammar: refused with exit code 2 and the rule, never repeated, nothing lost.

use crate::desk::{CANARY, Desk};

#[test]
fn names_off_the_grammar_are_refused_with_the_rule() {
    let desk = Desk::new();
    let long = "x".repeat(600);
    let cases: &[(&[&str], &str)] = &[
        (&["environment", "add", "PROD"], "upper-case"),
        (&["environment", "add", ""], "it is empty"),
        (&["environment", "add", "a b"], "only the letters"),
        (&["compartment", "add", "x/y"], "only the letters"),
        (&["put", "prod", ""], "it is empty"),
        (&["put", "prod", "/a"], "starts with `/`"),
        (&["put", "prod", "a/"], "ends with `/`"),
        (&["put", "prod", "a//b"], "empty segment"),
        (&["put", "prod", "a/../b"], "`.` or starts with `..`"),
        (&["put", "prod", "./a"], "`.` or starts with `..`"),
        (&["put", "prod", "a\u{7}b"], "control character"),
        (&["put", "prod", "a b"], "it has a space"),
        (&["put", "prod", "a%2fb"], "only letters, digits"),
        (&["put", "prod", "\u{1100}\u{1161}"], "NFC"),
        (&["put", "prod", &long], "longer than 512 bytes"),
        (&["put", "Prod", "a"], "upper-case"),
        (&["get", "prod", "a/.."], "starts with `..`"),
        (&["delete", "prod", "a//"], "ends with `/`"),
        (&["list", "prod", "--prefix", "../x"], "starts with `..`"),
        (&["history", "prod", "x y"], "it has a space"),
        (&["rollback", "prod", "x y", "--to", "1"], "it has a space"),
        (&["member", "add", ".x", "--public", "x"], "starts with `.`"),
        (
            &["member", "add", "x", "--public", "nonsense"],
            "a public identity is",
        ),
        (&["put", "prod", "a", "--kind", "sekret"], "a kind is one of"),
        (&["put", "prod", "a", "--format", "yaml"], "a format is one of"),
        (&["member", "grant", "x", "--compartment", "A"], "upper-case"),
        (&["import", "prod", "--prefix", "/x"], "starts with `/`"),
    ];
    let before = desk.json(["status"])["revision"].clone();
    for (arguments, rule) in cases {
        desk.run(*arguments).refused(2, rule);
    }
    assert_eq!(desk.json(["status"])["revision"], before);
}

#[test]
fn what_was_typed_in_the_wrong_place_is_not_repeated() {
    let desk = Desk::new();
    let slips: &[&[&str]] = &[
        &["put", "prod", "a", CANARY],
        &["put", "prod", &format!("{CANARY} x")],
        &["put", &format!("{CANARY}-X"), "a"],
        &["put", "prod", "a", &format!("--vlaue={CANARY}")],
        &["put", "prod", "a", &format!("--{CANARY}")],
        &["put", "prod", "a", &format!("-p{CANARY}")],
        &["put", "prod", "a", "--kind", CANARY],
        &["put", "prod", "a", "--expect-version", CANARY],
        &["get", "prod", "a", "--at", CANARY],
        &[CANARY],
        &["identity", CANARY],
        &["member", "add", "web", "--public", CANARY],
        &["put", "prod", "a", "--label", CANARY],
        &["--fingerprint", CANARY, "status"],
        &["--color", CANARY, "status"],
        &["completions", CANARY],
        &["import", "prod", "--format", CANARY],
        &["render", "prod", "--to", "x", "--mode", CANARY],
    ];
    for slip in slips {
        // `Ran` itself looks for the canary on stderr.
        let ran = desk.run(*slip);
        assert_eq!(ran.code, 2, "{slip:?}: {}", ran.stderr);
        let mut json = vec!["--json"];
        json.extend(*slip);
        assert_eq!(desk.run(json).code, 2);
    }
}

#[test]
fn errors_are_one_json_document_when_asked_for() {
    let desk = Desk::new();
    let error = |arguments: &[&str]| -> serde_json::Value {
        let ran = desk.run(arguments);
        assert!(ran.stdout.is_empty());
        let document: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap();
        assert_eq!(document["error"]["exit"], ran.code);
        document["error"].clone()
    };
    assert_eq!(error(&["get", "prod", "no/such", "--json"])["code"], "failed");
    assert_eq!(error(&["get", "prod", "a//b", "--json"])["code"], "usage");
    assert_eq!(error(&["--json", "put", "prod", "a", "b", "c"])["code"], "usage");
    assert_eq!(
        error(&["--json", "--store", "sqlite:/nowhere/x.db", "list"])["code"],
        "unreachable"
    );
    assert_eq!(error(&["--json", "--store", "mysql:x", "list"])["code"], "usage");
    assert_eq!(error(&["--json", "--identity", "none", "list"])["code"], "failed");
    let missing = error(&["--json", "member", "add"]);
    let message = missing["message"].as_str().unwrap();
    assert!(
        message.contains("<NAME>, --public <TOKEN>") || message.contains("--public <TOKEN>, <NAME>"),
        "{message}"
    );
    for bare in [&["--json"][..], &["member", "--json"]] {
        let bare = error(bare);
        assert_eq!(
            (&bare["code"], &bare["message"]),
            (&"usage".into(), &"no command is given".into())
        );
    }
    desk.run(["--color", "never"])
        .refused(2, "'strongroom' requires a subcommand");
    let hint = error(&["--json", "list", "nope"])["hint"].clone();
    assert!(hint.as_str().unwrap().contains("environment list"), "{hint}");
}
