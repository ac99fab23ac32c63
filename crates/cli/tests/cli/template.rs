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
