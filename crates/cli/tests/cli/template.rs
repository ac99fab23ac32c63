//! Templates and formats at the command line: refused when put, printed, checked; recorded, and no value in
//! what is said.

use std::io::Write as _;

use serde_json::json;

use crate::desk::{CANARY, Desk, Ran};

const TEMPLATE: &str = "size {{ config('web').pool.size }};\nkey {{ secret('web/key') | json }};\n";

fn desk() -> Desk {
    let desk = Desk::new();
    desk.put("prod", "web/key", CANARY);
    desk.write("web.toml", "name = \"x\"\n[pool]\nsize = 20\n");
    let web = desk.file("web.toml").display().to_string();
    desk.ok(["put", "prod", "web", "--kind", "config", "--file", &web]);
    desk
}

fn put(desk: &Desk, path: &str, text: &str) -> Ran {
    desk.feed(["put", "prod", path, "--kind", "config"], text)
}

#[test]
fn a_template_that_does_not_parse_is_not_put() {
    let desk = desk();
    let said = put(&desk, "template/t", &format!("{CANARY}\n{{{{ 1 + }}}}"))
        .refused(1, "line 2: this is not a template");
    assert!(!said.contains(CANARY));
    put(&desk, "template/t", "{{ pasword }}").refused(1, "line 1: `pasword` is not known");
    let arguments = [
        "put",
        "prod",
        "template/t",
        "--kind",
        "config",
        "--format",
        "json",
    ];
    desk.feed(arguments, "{}")
        .refused(1, "is text: put it with the format text");
    put(&desk, "template/t", TEMPLATE).ok();
    // text that is a template nowhere else
    put(&desk, "other/t", "{{ pasword }}").ok();
}

#[test]
fn a_template_or_a_document_is_printed() {
    let desk = desk();
    put(&desk, "template/t", TEMPLATE).ok();
    let expected = format!("size 20;\nkey \"{CANARY}\";\n");
    assert_eq!(desk.ok(["render", "prod", "--template", "template/t"]), expected);
    desk.write("t.j2", TEMPLATE);
    let file = desk.file("t.j2").display().to_string();
    assert_eq!(desk.ok(["render", "prod", "--template-file", &file]), expected);
    let answer = desk.json(["render", "prod", "--template", "template/t"]);
    assert_eq!(
        (&answer["text"], &answer["environment"]),
        (&json!(expected), &json!("prod"))
    );
    for (format, expected) in [
        ("toml", "name = \"x\"\n\n[pool]\nsize = 20\n"),
        (
            "json",
            "{\n  \"name\": \"x\",\n  \"pool\": {\n    \"size\": 20\n  }\n}\n",
        ),
        ("yaml", "\"name\": \"x\"\n\"pool\":\n  \"size\": 20\n"),
        ("dotenv", "NAME=x\nPOOL_SIZE=20\n"),
        ("properties", "name=x\npool.size=20\n"),
    ] {
        assert_eq!(
            desk.ok(["render", "prod", "--config", "web", "--format", format]),
            expected
        );
    }
    desk.run(["render", "prod", "--config", "web"])
        .refused(2, "--format");
    desk.run(["render", "prod"]).refused(2, "--to");
    desk.run(["render", "prod", "--template", "template/t", "--to", "x"])
        .refused(2, "--to");
    desk.run(["render", "prod", "--config", "none", "--format", "yaml"])
        .refused(1, "the config none is not there");
    desk.run(["render", "prod", "--template", "template/none"])
        .refused(1, "the template template/none is not there");
    // what lies elsewhere is no template, as for a sidecar
    put(&desk, "notes", "a note").ok();
    desk.run(["render", "prod", "--template", "notes"])
        .refused(1, "templates lie under template/");
    desk.ok(["delete", "prod", "notes"]);
    // templates are no values
    desk.put("prod", "other/key", "x");
    desk.ok(["delete", "prod", "web"]);
    desk.ok(["render", "prod", "--to", "files"]);
    assert!(!desk.file("files/template").exists());
    assert!(!desk.ok(["run", "prod", "--", "env"]).contains("TEMPLATE"));
}

#[test]
fn templates_are_checked_and_nothing_is_said_of_values() {
    let desk = desk();
    put(&desk, "template/t", TEMPLATE).ok();
    assert_eq!(desk.ok(["template", "check", "prod"]), "1 checked: all render\n");
    put(&desk, "template/bad", "\n{{ secret('web/keys') }}").ok();
    put(&desk, "template/worse", "{{ config(secret('web/key')) }}").ok();
    let ran = desk.run(["template", "check", "prod"]);
    assert_eq!(ran.code, 1);
    let said = String::from_utf8(ran.stdout).unwrap();
    assert_eq!(
        said,
        "template/bad, line 2: the secret web/keys is not there\n\
         template/worse, line 1: the config with a computed name is not there\n"
    );
    assert!(!said.contains(CANARY) && !ran.stderr.contains(CANARY));
    assert_eq!(
        desk.ok(["template", "check", "prod", "template/t"]),
        "1 checked: all render\n"
    );
}

#[test]
fn what_a_template_opens_is_recorded() {
    let desk = desk();
    put(&desk, "template/t", TEMPLATE).ok();
    let mut command = desk.command(["--audit", "log", "render", "prod", "--template", "template/t"]);
    Ran::of(command.output().unwrap()).ok();
    let log = desk.ok(["audit", "show", "log", "--json"]);
    let read: Vec<(String, String)> = log
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|line| {
            ["name", "reason"]
                .map(|key| line[key].as_str().unwrap().to_owned())
                .into()
        })
        .collect();
    let expected = ["prod/template/t", "prod/web", "prod/web/key"];
    assert_eq!(read, expected.map(|name| (name.to_owned(), "render".to_owned())));
    // without a log to write to, nothing is opened
    let mut file = std::fs::File::create(desk.file("no-log")).unwrap();
    file.write_all(b"x").unwrap();
    let mut command = desk.command(["--audit", "no-log", "render", "prod", "--template", "template/t"]);
    Ran::of(command.output().unwrap()).refused(1, "the read could not be recorded in the audit log");
}

/// What a plan says of templates: as text, and of each in JSON its environment, path, outcome and error.
fn planned(desk: &Desk, arguments: &[&str]) -> (String, Vec<[String; 4]>) {
    let text = desk.ok(["plan"].iter().chain(arguments));
    let json = desk.json(["plan"].iter().chain(arguments));
    assert!(!text.contains(CANARY) && !json.to_string().contains(CANARY));
    let of = |one: &serde_json::Value, key: &str| one[key].as_str().unwrap_or_default().to_owned();
    let templates = json["templates"].as_array().unwrap().iter();
    let templates = templates.map(|one| ["environment", "path", "outcome", "error"].map(|key| of(one, key)));
    (text, templates.collect())
}

#[test]
fn a_plan_says_what_becomes_of_templates() {
    let desk = desk();
    put(&desk, "template/t", TEMPLATE).ok();
    put(
        &desk,
        "template/other",
        "{{ secret('web/other') | default('x') }}",
    )
    .ok();
    let before = desk.json(["status"])["revision"].clone();
    let says = |arguments: &[&str], outcome: &str, line: &str, error: &str| {
        let (text, templates) = planned(&desk, arguments);
        assert!(
            text.contains(&format!("Templates that may use it:\n  {line}")),
            "{text}"
        );
        let expected = ["prod", "template/t", outcome, error].map(str::to_owned);
        assert_eq!(templates, [expected], "{text}");
    };
    let lost = "template/t, line 2: the secret web/key is not there";
    says(
        &["config", "set", "prod", "web", "pool.size=21"],
        "changed",
        "~ prod template/t  gives another text",
        "",
    );
    says(
        &["config", "set", "prod", "web", "name=y"],
        "same",
        "= prod template/t  renders as before",
        "",
    );
    says(
        &["delete", "prod", "web/key"],
        "broken",
        &format!("! prod template/t  cannot be rendered any more: {lost}"),
        lost,
    );
    desk.write("key", format!("{CANARY}2"));
    let key = desk.file("key").display().to_string();
    let again = ["put", "prod", "web/key", "--file", &key];
    says(&again, "changed", "~ prod template/t  gives another text", "");
    // what no template names is not rendered
    let (text, none) = planned(&desk, &["put", "prod", "web/more", "--file", &key]);
    assert!(!text.contains("Templates") && none.is_empty(), "{text}");
    assert_eq!(desk.json(["status"])["revision"], before);
    // whoever commits it all the same is told
    let ran = desk.run(["delete", "prod", "web/key"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let wanted = format!(
        "sidecars of prod that deliver template/t hold back every revision since it cannot be rendered any more: {lost}"
    );
    assert!(ran.stderr.contains(&wanted), "{}", ran.stderr);
    says(
        &["config", "set", "prod", "web", "pool.size=21"],
        "unrendered",
        &format!("! prod template/t  cannot be rendered: {lost}"),
        lost,
    );
    says(&again, "mended", "+ prod template/t  can be rendered again", "");
    let ran = desk.run(again);
    assert!(
        ran.code == 0 && !ran.stderr.contains("hold back"),
        "{}",
        ran.stderr
    );
    desk.write("t.j2", "size {{ config('web').size }}");
    let file = desk.file("t.j2").display().to_string();
    let other = ["put", "prod", "template/t", "--kind", "config", "--file", &file];
    let lost = "template/t, line 1: `size` of the config web is not there";
    says(
        &other,
        "broken",
        &format!("! prod template/t  cannot be rendered any more: {lost}"),
        lost,
    );
    desk.ok(["delete", "prod", "template/t"]);
    says(
        &other,
        "unrendered",
        &format!("! prod template/t  cannot be rendered: {lost}"),
        lost,
    );
    desk.write("t.j2", "size {{ config('web').pool.size }}");
    says(&other, "new", "+ prod template/t  renders", "");
}

#[test]
fn a_plan_reaches_templates_of_all_who_inherit_and_by_what_stands_between() {
    let desk = desk();
    desk.ok(["environment", "add", "eu", "--parent", "prod"]);
    let flag = r#"{"state":"ENABLED","variants":{"on":true,"off":false},"defaultVariant":"off","targeting":{"if":[{"$ref":"staff"},"on"]}}"#;
    let set = |end: &str| {
        desk.write(
            "set.json",
            format!(r#"{{"$evaluators":{{"staff":{{"ends_with":[{{"var":"mail"}},"{end}"]}}}}}}"#),
        );
        desk.file("set.json").display().to_string()
    };
    let file = set("@example.org");
    desk.ok(["put", "prod", "web/@set", "--kind", "flag", "--file", &file]);
    desk.feed(["put", "prod", "web/new", "--kind", "flag"], flag).ok();
    desk.put("eu", "web/token", "one");
    desk.feed(
        ["put", "eu", "web", "--kind", "config", "--format", "json"],
        r#"{"key":{"secret":"web/token"}}"#,
    )
    .ok();
    put(
        &desk,
        "template/f",
        "{{ flag('web/new', {'mail': 'a@example.org'}) }}",
    )
    .ok();
    put(
        &desk,
        "template/s",
        "{{ config('web').key }} {{ config('web').n | default(0) }}",
    )
    .ok();
    let outcomes = |arguments: &[&str]| -> Vec<String> {
        let (_, templates) = planned(&desk, arguments);
        let line = |[environment, path, outcome, _]: [String; 4]| format!("{environment} {path} {outcome}");
        templates.into_iter().map(line).collect()
    };
    // by the set of a flag, in whoever inherits it
    let file = set("@example.com");
    assert_eq!(
        outcomes(&["put", "prod", "web/@set", "--kind", "flag", "--file", &file]),
        ["eu template/f changed", "prod template/f changed"]
    );
    // by a secret in a document, in its environment
    desk.write("two", "two");
    let two = desk.file("two").display().to_string();
    assert_eq!(
        outcomes(&["put", "eu", "web/token", "--file", &two]),
        ["eu template/s changed"]
    );
    // by a default of a schema
    desk.write(
        "schema.json",
        r#"{"properties":{"n":{"default":1},"key":{"secret":true}}}"#,
    );
    let schema = desk.file("schema.json").display().to_string();
    assert_eq!(
        outcomes(&["put", "prod", "schema/web", "--kind", "schema", "--file", &schema]),
        ["eu template/s changed", "prod template/s unrendered"]
    );
    // who does not open a part of it cannot tell
    let bob = desk.member("bob", "writer", &["eu"]);
    let mut command = desk.command(["--json", "plan", "config", "set", "eu", "web", "more=1"]);
    let answer = Ran::of(command.env("STRONGROOM_IDENTITY", &bob).output().unwrap()).json();
    assert_eq!(answer["templates"], json!([]));
    put_in_eu(&desk, "template/own", "{{ config('web').more | default(1) }}");
    let mut command = desk.command(["--json", "plan", "config", "set", "eu", "web", "more=1"]);
    let answer = Ran::of(command.env("STRONGROOM_IDENTITY", bob).output().unwrap()).json();
    assert_eq!(
        answer["templates"],
        json!([{
            "environment": "eu",
            "path": "template/own",
            "outcome": "unknown",
            "error": "template/own, line 1: the config web is not opened by this member",
        }])
    );
}

#[test]
fn what_a_member_does_not_open_is_told_from_what_is_not_there() {
    let desk = desk();
    let ann = desk.member("ann", "reader", &["prod"]);
    desk.ok(["compartment", "add", "more"]);
    let value = desk.write("value", CANARY).display().to_string();
    let closed = [
        "put",
        "prod",
        "web/closed",
        "--compartment",
        "more",
        "--file",
        &value,
    ];
    desk.ok(closed);
    put(&desk, "template/c", "{{ secret('web/closed') }}").ok();
    put(&desk, "template/n", "{{ secret('web/none') }}").ok();
    let mut command = desk.command(["template", "check", "prod"]);
    let ran = Ran::of(command.env("STRONGROOM_IDENTITY", ann).output().unwrap());
    assert_eq!(
        String::from_utf8(ran.stdout).unwrap(),
        "template/c, line 1: the secret web/closed is not opened by this member\n\
         template/n, line 1: the secret web/none is not there\n"
    );
}

fn put_in_eu(desk: &Desk, path: &str, text: &str) {
    desk.feed(["put", "eu", path, "--kind", "config"], text).ok();
}

#[test]
fn what_a_plan_renders_is_recorded_and_it_renders_so_many() {
    let desk = desk();
    put(&desk, "template/t", TEMPLATE).ok();
    let mut command = desk.command([
        "--audit",
        "log",
        "plan",
        "config",
        "set",
        "prod",
        "web",
        "pool.size=1",
    ]);
    Ran::of(command.output().unwrap()).ok();
    let log = desk.ok(["audit", "show", "log", "--json"]);
    let read = |name: &str| {
        let records = log
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        records
            .filter(|record| record["name"] == name && record["reason"] == "plan")
            .count()
    };
    assert_eq!(
        (read("prod/template/t"), read("prod/web"), read("prod/web/key")),
        (2, 2, 2)
    );
    for at in 0..101 {
        put(&desk, &format!("template/n/{at:03}"), "{{ config('web').name }}").ok();
    }
    let (text, templates) = planned(&desk, &["config", "set", "prod", "web", "name=y"]);
    let unknown = templates.iter().filter(|one| one[2] == "unknown").count();
    assert_eq!((templates.len(), unknown), (102, 2));
    assert!(text.contains("and 2 more are not rendered"), "{text}");
}

#[test]
fn what_a_commit_renders_is_recorded_with_the_revision_that_it_is_of() {
    let desk = desk();
    put(&desk, "template/t", TEMPLATE).ok();
    let before = desk.json(["status"])["revision"].as_u64().unwrap();
    let mut command = desk.command(["--audit", "log", "config", "set", "prod", "web", "pool.size=1"]);
    Ran::of(command.output().unwrap()).ok();
    let log = desk.ok(["audit", "show", "log", "--json"]);
    let records = log
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let of_commit = records.filter(|record| record["reason"] == "commit");
    let read: Vec<_> = of_commit
        .map(|record| {
            (
                record["name"].as_str().unwrap().to_owned(),
                record["revision"].as_u64().unwrap(),
            )
        })
        .collect();
    let all = ["prod/template/t", "prod/web", "prod/web/key"];
    let at = |revision| all.map(|name| (name.to_owned(), revision));
    assert_eq!(read, [at(before), at(before + 1)].concat());
}

#[test]
fn what_another_writer_broke_meanwhile_is_not_told_of_this_commit() {
    let desk = desk();
    put(&desk, "template/t", TEMPLATE).ok();
    let other = format!(
        "#!/bin/sh\n{} delete prod web/key >&2 && sed -i s/20/21/ \"$1\"\n",
        crate::desk::BINARY
    );
    let editor = desk.write("editor.sh", other);
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&editor, executable).unwrap();
    let mut command = desk.command(["edit", "prod", "web"]);
    let ran = Ran::of(command.env("EDITOR", &editor).output().unwrap());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(desk.ok(["get", "prod", "web"]).contains("size = 21"));
    // the one of the other writer
    assert_eq!(ran.stderr.matches("hold back").count(), 1, "{}", ran.stderr);
}

#[test]
fn whatever_lies_where_a_set_may_hides_that_of_a_parent() {
    let desk = desk();
    desk.ok(["environment", "add", "eu", "--parent", "prod"]);
    let flag = r#"{"state":"ENABLED","variants":{"on":true,"off":false},"defaultVariant":"off"}"#;
    desk.feed(["put", "prod", "web/@set", "--kind", "flag"], "{}")
        .ok();
    desk.feed(["put", "prod", "web/new", "--kind", "flag"], flag).ok();
    put(&desk, "template/f", "{{ flag('web/new') }}").ok();
    let text = desk.write("text", "a text").display().to_string();
    let (_, templates) = planned(
        &desk,
        &["put", "eu", "web/@set", "--kind", "config", "--file", &text],
    );
    let expected = ["eu", "template/f", "same", ""].map(str::to_owned);
    assert_eq!(templates, [expected]);
}

#[test]
fn a_nearer_set_that_a_member_does_not_open_is_noticed() {
    let desk = desk();
    desk.ok(["compartment", "add", "more"]);
    let flag = r#"{"state":"ENABLED","variants":{"on":true,"off":false},"defaultVariant":"off","targeting":{"if":[{"$ref":"staff"},"on"]}}"#;
    let set = |end: &str| {
        let text = format!(r#"{{"$evaluators":{{"staff":{{"ends_with":[{{"var":"mail"}},"{end}"]}}}}}}"#);
        desk.write("set.json", text).display().to_string()
    };
    let far = set("@example.org");
    desk.ok(["put", "prod", "@set", "--kind", "flag", "--file", &far]);
    desk.feed(["put", "prod", "web/new", "--kind", "flag"], flag).ok();
    put(
        &desk,
        "template/f",
        "{{ flag('web/new', {'mail': 'a@example.org'}) }}",
    )
    .ok();
    let near = set("@example.com");
    let closed = [
        "put",
        "prod",
        "web/@set",
        "--kind",
        "flag",
        "--compartment",
        "more",
    ];
    desk.ok(closed.into_iter().chain(["--file", &near]));
    let bob = desk.member("bob", "writer", &["prod"]);
    let on = desk
        .write("on.json", flag.replace("Variant\":\"off\"", "Variant\":\"on\""))
        .display()
        .to_string();
    let plan = [
        "--json", "plan", "put", "prod", "web/new", "--kind", "flag", "--file", &on,
    ];
    let mut command = desk.command(plan);
    let answer = Ran::of(command.env("STRONGROOM_IDENTITY", bob).output().unwrap()).json();
    assert_eq!(
        answer["templates"],
        json!([{
            "environment": "prod",
            "path": "template/f",
            "outcome": "unknown",
            "error": "template/f, line 1: the flag web/new is not opened by this member",
        }])
    );
}
