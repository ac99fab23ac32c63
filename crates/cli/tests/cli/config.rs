//! config: documents by their keys, their layers and origins, and two people at once.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::desk::{BINARY, CANARY, Desk, Ran};
use crate::pty::Pty;

/// `prod` with a document, and its child `eu`.
fn desk() -> Desk {
    let desk = Desk::new();
    desk.ok(["environment", "add", "eu", "--parent", "prod"]);
    let text = "# of the service\nname = 'web' # short\n\n[pool]\nsize = 10\nwait = 3\n";
    desk.feed(["config", "import", "prod", "web"], text).ok();
    desk
}

fn text(desk: &Desk, environment: &str) -> String {
    desk.ok(["get", environment, "web"])
}

#[test]
fn keys_are_set_and_everything_else_stays() {
    let desk = desk();
    let told = desk.json([
        "config",
        "set",
        "prod",
        "web",
        "pool.size=20",
        "hosts=[\"a\"]",
        "-m",
        "more",
    ]);
    assert_eq!(told["changes"][0]["version"], 2, "{told}");
    assert_eq!(
        text(&desk, "prod"),
        "# of the service\nname = 'web' # short\nhosts = [\"a\"]\n\n[pool]\nsize = 20\nwait = 3\n"
    );
    assert_eq!(
        desk.json(["history", "prod", "web"])["commits"][0]["message"],
        "more"
    );
    // it is so already
    assert!(
        desk.ok(["config", "set", "prod", "web", "pool.size=20"])
            .contains("nothing to change")
    );
    let get = |key: &str| desk.ok(["config", "get", "prod", "web", key]);
    assert_eq!(get("pool.size"), "20\n");
    assert_eq!(get("name"), "web\n");
    assert_eq!(
        serde_json::from_str::<Value>(&get("pool")).unwrap(),
        json!({"size": 20, "wait": 3})
    );
    assert_eq!(
        desk.json(["config", "get", "prod", "web", "hosts"])["value"],
        json!(["a"])
    );
    desk.run(["config", "get", "prod", "web", "nothing"])
        .refused(1, "has no `nothing`");
    desk.ok([
        "config",
        "set",
        "prod",
        "web",
        "version=1.10",
        "note=a=b",
        "--text",
    ]);
    assert_eq!((get("version"), get("note")), ("1.10\n".into(), "a=b\n".into()));
    desk.ok(["config", "set", "prod", "web", "at.\"a=b\"=1"]);
    assert_eq!(get("at.\"a=b\""), "1\n");
}

#[test]
fn a_child_gets_a_layer_of_its_own() {
    let desk = desk();
    desk.ok(["config", "set", "eu", "web", "pool.size=5"]);
    let listed = desk.json(["get", "eu", "web"]);
    assert_eq!(listed["layers"], json!(["eu", "prod"]));
    assert_eq!(
        desk.ok(["get", "eu", "web", "--version", "1"]),
        "[pool]\nsize = 5\n"
    );
    desk.ok(["config", "unset", "eu", "web", "pool.wait", "name"]);
    let shown = desk.json(["config", "show", "eu", "web", "--origin"]);
    let keys: Vec<_> = shown["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| {
            format!(
                "{}={} {} {}",
                key["key"], key["value"], key["layer"], key["author"]
            )
            .replace('"', "")
        })
        .collect();
    assert_eq!(
        keys,
        [
            "name=null eu alice",
            "pool.size=5 eu alice",
            "pool.wait=null eu alice"
        ]
    );
    let table = desk.ok(["config", "show", "eu", "web", "--origin"]);
    assert!(table.contains("pool.wait  (unset)"), "{table}");
    assert!(!desk.ok(["config", "show", "eu", "web"]).contains("wait"));
    desk.run(["config", "get", "eu", "web", "name"])
        .refused(1, "has no `name`");
    // back to what the parent says
    desk.ok(["config", "unset", "eu", "web", "name", "--inherit"]);
    assert_eq!(desk.ok(["config", "get", "eu", "web", "name"]), "web\n");
    desk.run(["config", "unset", "eu", "web", "name", "--inherit"])
        .refused(1, "has no `name` of its own");
    // of no parent: it is gone, and nothing says so
    desk.ok(["config", "unset", "prod", "web", "name"]);
    assert!(!text(&desk, "prod").contains("strongroom"));
}

#[test]
fn what_cannot_be_set_is_refused_and_says_what_to_do() {
    let desk = desk();
    desk.run(["config", "set", "prod", "web", "pool"])
        .refused(2, "KEY=VALUE");
    desk.run(["config", "set", "prod", "web", "name.first=1"])
        .refused(1, "`name` is no table");
    let bad = format!("hosts=[{CANARY}");
    desk.run(["config", "set", "prod", "web", &bad])
        .refused(1, "--text");
    desk.ok(["config", "unset", "eu", "web", "pool"]);
    desk.run(["config", "set", "eu", "web", "pool.size=1"])
        .refused(1, "`strongroom config unset eu web 'pool' --inherit`");
    desk.put("prod", "key", CANARY);
    desk.run(["config", "set", "prod", "key", "a=1"])
        .refused(1, "is a secret, not a config");
    desk.run(["config", "show", "prod", "key"])
        .refused(1, "is a secret, not a config");
    desk.run(["config", "set", "nowhere", "web", "a=1"])
        .refused(1, "no environment");
    desk.run(["config", "set", "prod", "web", "a=1", "--expect-version", "7"])
        .refused(1, "at version 1, not as expected");
    let ran = desk.run(["config", "set", "eu", "web", "name=1"]);
    assert!(ran.stderr.contains("`name` has another type"), "{}", ran.stderr);
    ran.ok();
}

#[test]
fn a_plan_names_keys_and_shows_no_value() {
    let desk = desk();
    let setting = format!("pool.size={CANARY}");
    let plan = desk.ok(["config", "set", "prod", "web", &setting, "new=1", "--plan"]);
    assert!(plan.contains("~ pool.size") && plan.contains("+ new"), "{plan}");
    assert!(
        !plan.contains(CANARY) && plan.contains("Nothing was changed"),
        "{plan}"
    );
    let plan = desk.json(["config", "set", "prod", "web", &setting, "--dry-run"]);
    assert_eq!(
        (&plan["dry_run"], &plan["keys"]),
        (&json!(true), &json!(["~ pool.size"]))
    );
    assert_eq!(desk.json(["show", "prod", "web"])["version"], 1);
    let mut pty = Pty::start(&desk, &format!("config set prod web {setting}"));
    pty.answer("Commit this?", "y");
    let (code, screen) = pty.end();
    assert!(code == 0 && screen.contains("~ pool.size"), "{screen}");
    assert!(!screen.contains(CANARY), "{screen}");
    assert_eq!(
        desk.ok(["config", "get", "prod", "web", "pool.size"]),
        format!("{CANARY}\n")
    );
}

#[test]
fn files_of_four_formats_become_documents() {
    let desk = Desk::new();
    let import = |name: &str, content: &str, more: &[&str]| {
        let file = desk.write(name, content);
        let arguments = [
            &[
                "config",
                "import",
                "prod",
                "web",
                "--file",
                file.to_str().unwrap(),
            ],
            more,
        ]
        .concat();
        let ran = desk.run(arguments);
        (ran.code == 0).then(|| text(&desk, "prod")).ok_or(ran)
    };
    let toml = "# kept\na   = 1\n";
    assert_eq!(import("a.toml", toml, &[]).ok().unwrap(), toml);
    let json = "{ \"a\":1 }";
    assert_eq!(import("a.json", json, &[]).ok().unwrap(), json);
    assert_eq!(desk.json(["show", "prod", "web"])["format"], "json");
    let yaml = "pool:\n  size: 20\nhosts: [a, b]\n";
    let expected = "hosts = [\n    \"a\",\n    \"b\",\n]\n\n[pool]\nsize = 20\n";
    assert_eq!(import("a.yaml", yaml, &[]).ok().unwrap(), expected);
    assert_eq!(import(".env", "PORT=80\n", &[]).ok().unwrap(), "PORT = \"80\"\n");
    assert_eq!(
        import("b.yml", "a: null\n", &["--to", "json"]).ok().unwrap(),
        "{\n  \"a\": null\n}\n"
    );
    let refused = |name: &str, content: &str, words: &str| {
        import(name, content, &[]).unwrap_err().refused(1, words);
    };
    refused("b.yml", "a:\n  b: null\n", "`a.b` is null");
    refused("b.yml", &format!("a: 1\na: {CANARY}\n"), "line 2");
    refused(
        "b.json",
        &format!("{{\"a\":{CANARY}}}"),
        "not valid json at line 1",
    );
    refused("b.toml", &format!("a = {CANARY}"), "not valid toml at line 1");
    refused("b.yaml", "- 1\n", "no table");
}

/// Sets keys of the document from outside, while an editor or a question is open.
fn meanwhile(settings: &str) -> String {
    format!("{BINARY} config set prod web {settings} --yes >/dev/null")
}

fn edit(desk: &Desk, script: &str) -> String {
    let file = desk.write("editor.sh", format!("#!/bin/sh\n{script}\n"));
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    file.display().to_string()
}

#[test]
fn of_two_people_who_set_other_keys_both_get_in() {
    let desk = desk();
    let mut pty = Pty::start(&desk, "config set prod web pool.size=20");
    pty.expect("Commit this?");
    desk.ok(["config", "set", "prod", "web", "name=other"]);
    pty.answer("Commit this?", "y");
    assert_eq!(pty.end().0, 0);
    assert_eq!(
        text(&desk, "prod"),
        "# of the service\nname = \"other\" # short\n\n[pool]\nsize = 20\nwait = 3\n"
    );
    // the same key is no longer what was agreed to
    let mut pty = Pty::start(&desk, "config set prod web pool.size=30");
    pty.expect("Commit this?");
    desk.ok(["config", "set", "prod", "web", "pool.size=40", "x=1"]);
    pty.answer("Commit this?", "y");
    let (code, screen) = pty.end();
    assert_eq!(code, 1, "{screen}");
    for words in [
        "changed by alice in revision",
        "theirs pool.size  (both)",
        "yours  pool.size  (both)",
        "theirs x\r",
    ] {
        assert!(screen.contains(words), "{words}: {screen}");
    }
    assert_eq!(desk.ok(["config", "get", "prod", "web", "pool.size"]), "40\n");
}

#[test]
fn two_edits_of_other_lines_are_brought_together() {
    let desk = desk();
    // The first time it changes the end, and somebody else the beginning; the second time it looks.
    let script = format!(
        "if test -e looked; then cp \"$1\" looked; else touch looked; {}; sed -i 's/wait = 3/wait = 4/' \"$1\"; fi",
        meanwhile("name=theirs")
    );
    let line = edit(&desk, &script);
    let mut pty = Pty::start_with(&desk, "config edit prod web", |command| {
        command.env("EDITOR", line);
    });
    pty.answer("both changes go together", "e");
    pty.answer("version 2 -> 3", "y");
    let (code, screen) = pty.end();
    assert_eq!(code, 0, "{screen}");
    let expected = "# of the service\nname = \"theirs\" # short\n\n[pool]\nsize = 10\nwait = 4\n";
    assert_eq!(text(&desk, "prod"), expected);
    assert_eq!(std::fs::read_to_string(desk.file("looked")).unwrap(), expected);
}

#[test]
fn two_edits_of_one_line_are_marked_and_nothing_is_lost() {
    let desk = desk();
    let script = format!(
        "if test -e looked; then cp \"$1\" looked; printf 'mended = true\\n' > \"$1\"; else touch looked; {}; \
         sed -i 's/size = 10/size = 11/' \"$1\"; fi",
        meanwhile("pool.size=12")
    );
    let line = edit(&desk, &script);
    let mut pty = Pty::start_with(&desk, "config edit prod web", |command| {
        command.env("EDITOR", line);
    });
    pty.answer("stand marks", "e");
    pty.answer("version 2 -> 3", "y");
    let (code, screen) = pty.end();
    assert_eq!(code, 0, "{screen}");
    assert!(screen.contains("theirs pool.size  (both)"), "{screen}");
    let looked = std::fs::read_to_string(desk.file("looked")).unwrap();
    for part in ["<<<<<<<", "size = 11", "size = 12", ">>>>>>>"] {
        assert!(looked.contains(part), "{looked}");
    }
    assert_eq!(text(&desk, "prod"), "mended = true\n");
}

#[test]
fn without_a_terminal_an_edit_that_came_second_is_kept() {
    let desk = desk();
    let script = format!(
        "{}; sed -i 's/size = 10/size = 11/' \"$1\"",
        meanwhile("pool.size=12")
    );
    let mut command = desk.command(["config", "edit", "prod", "web"]);
    let ran = Ran::of(command.env("EDITOR", edit(&desk, &script)).output().unwrap());
    let said = ran.refused(1, "your text is kept in ");
    assert!(said.contains("yours  pool.size  (both)"), "{said}");
    let kept = said.split("kept in ").nth(1).unwrap().split(':').next().unwrap();
    assert!(std::fs::read_to_string(kept).unwrap().contains("size = 11"));
    std::fs::remove_dir_all(std::path::Path::new(kept).parent().unwrap()).unwrap();
}

#[test]
fn a_new_document_is_toml_and_json_stays_json() {
    let desk = Desk::new();
    desk.ok(["config", "set", "prod", "new", "a.b=1"]);
    assert_eq!(desk.ok(["get", "prod", "new"]), "[a]\nb = 1\n");
    let mut command = desk.command(["config", "edit", "prod", "other"]);
    Ran::of(
        command
            .env("EDITOR", edit(&desk, "echo 'a = 1' > \"$1\""))
            .output()
            .unwrap(),
    )
    .ok();
    assert_eq!(desk.json(["show", "prod", "other"])["format"], "toml");
    desk.ok(["environment", "add", "eu", "--parent", "prod"]);
    desk.feed(
        ["put", "prod", "web", "--kind", "config", "--format", "json"],
        "{\"a\":1}",
    )
    .ok();
    desk.ok(["config", "set", "eu", "web", "b=null"]);
    let merged: Value = serde_json::from_str(&desk.ok(["get", "eu", "web"])).unwrap();
    assert_eq!(merged, json!({"a": 1, "b": null}));
}

const SCHEMA: &str = r#"{"type": "object", "required": ["name"], "properties": {
    "name": {"type": "string", "description": "What it is | called"},
    "pool": {"type": "object", "properties": {"size": {"type": "integer", "maximum": 100, "default": 10}, "wait": {"deprecated": true}}},
    "key": {"secret": true}}}"#;

#[test]
fn documents_are_checked_and_described_by_their_schema() {
    let desk = desk();
    let none = desk.ok(["config", "check", "prod", "web"]);
    assert!(none.contains("no schema governs it"), "{none}");
    desk.run(["config", "doc", "prod", "web"])
        .refused(1, "config schema infer prod web");
    desk.feed(["put", "prod", "schema/web", "--kind", "schema"], SCHEMA)
        .ok();
    let told = desk.json(["config", "check", "eu"]);
    assert_eq!((&told["checked"], &told["unfit"]), (&json!(["web"]), &json!([])));
    assert_eq!(told["warnings"], json!(["web in eu: `pool.wait` is deprecated"]));
    let bad = format!("pool.size={CANARY}");
    let said = desk
        .run(["config", "set", "eu", "web", &bad, "name=1"])
        .refused(1, "web in eu: `name` must be a text");
    assert!(
        said.contains("web in eu: `pool.size` must be a whole number"),
        "{said}"
    );
    desk.run(["config", "set", "eu", "web", &bad, "--plan"])
        .refused(1, "must be a whole number");
    let ran = desk.run(["config", "set", "eu", "web", "pool.wait=5"]);
    assert!(ran.stderr.contains("`pool.wait` is deprecated"), "{}", ran.stderr);
    let doc = desk.ok(["config", "doc", "eu", "web"]);
    for row in [
        "| `name` | string | yes |  | What it is \\| called | prod (",
        "| `pool.size` | integer |  | `10` |  | prod (",
        "| `pool.wait` |  |  |  | **deprecated** | eu (",
        "| `key` |  |  |  | *secret* |  |",
    ] {
        assert!(doc.contains(row), "{row}: {doc}");
    }
    assert_eq!(
        desk.json(["config", "doc", "eu", "web"])["fields"][0]["required"],
        true
    );
}

#[test]
fn a_stricter_schema_is_refused_and_a_writer_without_it_is_found_by_check() {
    let desk = desk();
    let bob = desk.member("bob", "writer", &["eu"]);
    desk.ok(["config", "set", "eu", "web", "pool.size=90"]);
    let strict = SCHEMA.replace("100", "50");
    desk.feed(["put", "prod", "schema/web", "--kind", "schema"], &strict)
        .refused(1, "web in eu: `pool.size` must be at most 50");
    desk.feed(["put", "prod", "schema/web", "--kind", "schema"], SCHEMA)
        .ok();
    let mut unseeing = desk.command(["config", "set", "eu", "web", "pool.size=200"]);
    Ran::of(unseeing.env("STRONGROOM_IDENTITY", bob).output().unwrap()).ok();
    let ran = desk.run(["config", "check", "eu"]);
    assert_eq!(ran.code, 1);
    assert_eq!(
        String::from_utf8_lossy(&ran.stdout).lines().next(),
        Some("web in eu: `pool.size` must be at most 100: choose a value within the limit")
    );
    // Whoever commits something else is told that it does not arrive, until it is mended.
    let warned = |at: &str| {
        let ran = desk.feed(["put", "prod", at], CANARY);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran.stderr
            .contains("sidecars of eu hold back every revision since web")
    };
    assert!(warned("db/password"));
    desk.ok(["config", "set", "eu", "web", "pool.size=20"]);
    assert!(!warned("db/token"));
}

#[test]
fn a_reference_without_its_secret_is_found_by_check() {
    let desk = desk();
    desk.put("eu", "web/token", CANARY);
    let setting = "password={ secret = \"web/token\" }";
    desk.ok(["config", "set", "prod", "web", setting]);
    assert_eq!(
        desk.ok(["config", "check", "eu"]),
        "warning: web in eu: no schema governs it\n"
    );
    // whoever does not open the document may take its secret away
    let bob = desk.member("bob", "writer", &["eu"]);
    let mut unseeing = desk.command(["delete", "eu", "web/token"]);
    Ran::of(unseeing.env("STRONGROOM_IDENTITY", bob).output().unwrap()).ok();
    let ran = desk.run(["config", "check", "eu"]);
    assert_eq!(ran.code, 1);
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(
        said.starts_with("web in eu: `password` refers to a secret that is not there"),
        "{said}"
    );
}

#[test]
fn a_schema_is_inferred_and_put() {
    let desk = desk();
    desk.ok(["config", "set", "eu", "web", "more=true"]);
    let schema = desk.ok(["config", "schema", "infer", "prod", "web", "--also", "eu"]);
    assert!(!schema.contains("10"), "{schema}");
    desk.feed(["put", "prod", "schema/web", "--kind", "schema"], &schema)
        .ok();
    assert!(desk.ok(["config", "check", "eu"]).contains("1 checked"));
    desk.run(["config", "set", "prod", "web", "nmae=x"])
        .refused(1, "`nmae` is not known");
}
