//! What the settings have made: templates, documents in a format, one file or variable per key; and
//! revisions of which it cannot be made.

use std::path::Path;

use serde_json::{Value, json};
use strongroom_core::kind::Kind;
use strongroom_core::uptake::ConsumerKind;

use crate::grant::{audit_of, decisions};
use crate::http::Events;
use crate::offline::copied;
use crate::process::{Sidecar, ends, until};
use crate::scene::{Scene, put};
use crate::uptake::until_it_has;

const TEMPLATE: &str = "size {{ config('web').pool.size }};\npassword {{ secret('web/token') | json }};\n";
const NAMES: &str = "[[files]]\nderive = false\ndirectory = \"files\"\nnames.\"app.conf\" = { template = \"template/app\" }\n";

fn read(file: impl AsRef<Path>) -> Option<String> {
    std::fs::read_to_string(file).ok()
}

fn config(size: u8) -> strongroom_core::vault::Edit {
    let document = json!({ "pool": { "size": size, "hosts": ["a"] }, "name": "x y" });
    put("prod", "web", Kind::Config, document.to_string().as_bytes())
}

fn template(text: &str) -> strongroom_core::vault::Edit {
    put("base", "template/app", Kind::Config, text.as_bytes())
}

/// A token, a document, and a template in the parent.
fn scene() -> Scene {
    let scene = Scene::with_token();
    scene.commit(vec![config(1), template(TEMPLATE)]);
    scene
}

/// The revision of the files, once they are of it.
fn is_at(scene: &Scene, revision: u64) {
    until("the files are of the revision", || {
        (read(scene.file("files/.revision"))? == format!("{revision}\n")).then_some(())
    });
}

#[test]
fn a_template_switches_with_all_it_uses_and_only_then() {
    let scene = scene();
    let hook = "on_change = { command = [\"sh\", \"-c\", \"echo ran >>ran\"] }\n";
    let (audit, directory) = audit_of(&scene);
    let mut start = crate::process::command(&scene.settings(&format!("{NAMES}{hook}{audit}")));
    start.current_dir(scene.file(""));
    let sidecar = Sidecar::launch(start, scene.file("web/s.sock"));
    sidecar.ready();
    let text = |size: u8, token: &str| format!("size {size};\npassword \"{token}\";\n");
    let conf = || read(scene.file("files/app.conf")).unwrap();
    let runs = || read(scene.file("ran")).unwrap_or_default().lines().count();
    assert_eq!(conf(), text(1, "one"));
    assert!(!scene.file("files/template").exists() && !scene.file("files/web").exists());
    until("the command ran", || (runs() == 1).then_some(()));
    // what is opened has a record: the template, the document and the secret
    let opened: Vec<String> = decisions(&directory)
        .into_iter()
        .filter(|record| record["injection"].is_string())
        .filter_map(|record| Some(record["name"].as_str()?.to_owned()))
        .collect();
    for path in ["template/app", "web", "web/token"] {
        assert!(
            opened.iter().any(|one| one.ends_with(path)),
            "{path} of {opened:?}"
        );
    }
    let rotated = scene.secret("web/token", "two");
    is_at(&scene, rotated);
    assert_eq!(conf(), text(1, "two"));
    // whoever waits for that version sees that the files have it
    let found = until_it_has(
        &scene,
        ConsumerKind::Files,
        "the version is reported",
        |used, _| used.confirmed.version.0 == 2 && used.confirmed.revision.0 == rotated,
    );
    assert_eq!(found.uses.len(), 3);
    is_at(&scene, scene.commit(vec![config(2)]));
    assert_eq!(conf(), text(2, "two"));
    let revision = scene.commit(vec![template("size {# new #}{{ config('web').pool.size }};\n")]);
    is_at(&scene, revision);
    assert_eq!(conf(), "size 2;\n");
    until("the command ran for each", || (runs() == 4).then_some(()));
    // other values, the same text
    is_at(&scene, scene.commit(vec![template("size {{ 1 + 1 }};\n")]));
    is_at(&scene, scene.secret("web/token", "three"));
    is_at(&scene, scene.secret("unrelated", "x"));
    sidecar.terminate();
    assert_eq!(runs(), 4);
}

#[test]
fn documents_are_delivered_in_formats_and_by_key() {
    let scene = scene();
    let sidecar = Sidecar::start(
        &scene,
        "[[files]]\nderive = false\ndirectory = \"files\"\n\
         names.\"a.toml\" = { config = \"web\", format = \"toml\" }\n\
         names.\"a.json\" = { config = \"web\", format = \"json\" }\n\
         names.\"a.yaml\" = { config = \"web\", format = \"yaml\" }\n\
         names.\"a.env\" = { config = \"web\", format = \"dotenv\" }\n\
         names.\"a.properties\" = { config = \"web\", format = \"properties\" }\n\
         names.size = { config = \"web\", key = \"pool.size\" }\n\
         names.text = \"template/app\"\n\
         keys.\"web.d\" = \"web\"\n",
    );
    sidecar.ready();
    let at = |name: &str| read(scene.file("files").join(name)).unwrap();
    assert_eq!(
        at("a.toml"),
        "name = \"x y\"\n\n[pool]\nsize = 1\nhosts = [\"a\"]\n"
    );
    let json: Value = serde_json::from_str(&at("a.json")).unwrap();
    assert_eq!(json["pool"]["size"], 1);
    assert_eq!(
        at("a.yaml"),
        "\"pool\":\n  \"size\": 1\n  \"hosts\":\n    - \"a\"\n\"name\": \"x y\"\n"
    );
    assert_eq!(at("a.env"), "POOL_SIZE=1\nPOOL_HOSTS='[\"a\"]'\nNAME='x y'\n");
    assert_eq!(at("a.properties"), "pool.size=1\npool.hosts=[\"a\"]\nname=x y\n");
    assert_eq!(at("size"), "1");
    assert_eq!(at("text"), TEMPLATE);
    assert_eq!(at("web.d/pool.size"), "1");
    assert_eq!(at("web.d/name"), "x y");
    is_at(&scene, scene.commit(vec![config(7)]));
    assert_eq!(
        (at("size"), at("web.d/pool.size")),
        ("7".to_owned(), "7".to_owned())
    );
    sidecar.terminate();
}

#[test]
fn a_process_gets_what_is_made_as_variables() {
    let scene = scene();
    let script = "env | grep -E '^(WEB_|URL|CONF|TEMPLATE)' | sort >env.new; mv env.new env; sleep 1000";
    let mut start = crate::process::command(&scene.settings(&format!(
        "[process]\nprefix = \"nothing\"\ncommand = [\"sh\", \"-c\", \"{script}\"]\nclean_env = false\nkeys.WEB = \"web\"\n\
         env.URL = {{ template_file = \"url.j2\" }}\nenv.CONF = {{ config = \"web\", key = \"name\" }}\n"
    )));
    std::fs::write(scene.file("url.j2"), "x://{{ secret('web/token') | url }}@h").unwrap();
    start.current_dir(scene.file(""));
    let sidecar = Sidecar::launch(start, scene.file("web/s.sock"));
    let has = |size: u8, url: &str| {
        let expected =
            format!("CONF=x y\nURL={url}\nWEB_NAME=x y\nWEB_POOL_HOSTS=[\"a\"]\nWEB_POOL_SIZE={size}\n");
        until("the process has it", || {
            (read(scene.file("env"))? == expected).then_some(())
        });
    };
    has(1, "x://one@h");
    scene.secret("web/token", "t/o");
    has(1, "x://t%2Fo@h");
    scene.commit(vec![config(2)]);
    has(2, "x://t%2Fo@h");
    // beside the settings, it is noticed
    std::fs::write(scene.file("url.j2"), "y://{{ secret('web/token') | url }}").unwrap();
    has(2, "y://t%2Fo");
    sidecar.terminate();
}

const MISSING: &str = "app.conf: template/app, line 2: the secret web/token is not there";

#[test]
fn a_revision_that_does_not_render_is_held_back_whole() {
    let scene = scene();
    let good = scene.revision();
    let (audit, directory) = audit_of(&scene);
    let sidecar = Sidecar::start(&scene, &format!("{NAMES}{audit}"));
    sidecar.ready();
    let mut events = Events::open(&sidecar.socket, "/api/v1/watch", &[]);
    events.next().unwrap();
    let before = read(scene.file("files/app.conf"));
    scene.commit(vec![config(2), crate::scene::delete("web/token")]);
    assert_eq!(sidecar.refused(), MISSING);
    assert_eq!(sidecar.status()["revision"], good);
    sidecar.logs("the last good one is served");
    sidecar.serves(good);
    assert_eq!(sidecar.secret("web/token"), "one");
    assert_eq!(read(scene.file("files/app.conf")), before);
    let refusals = |wanted: &str| {
        let all = decisions(&directory).into_iter();
        all.filter(|record| record["action"] == "verify" && record["reason"] == wanted)
            .count()
    };
    let reason =
        "what the settings have made of the store's newest revision, such as templates, cannot be made";
    assert_eq!(refusals(reason), 1);
    let mended = scene.secret("web/token", "two");
    let next = events.next().unwrap();
    assert_eq!((next.id, next.data["from"].as_u64()), (Some(mended), Some(good)));
    is_at(&scene, mended);
    assert_eq!(sidecar.status()["refused"], Value::Null);
    assert_eq!(
        read(scene.file("files/app.conf")).unwrap(),
        "size 2;\npassword \"two\";\n"
    );
    sidecar.terminate();
}

#[test]
fn other_settings_let_a_revision_through_that_was_held_back() {
    let scene = scene();
    let sidecar = Sidecar::start(&scene, NAMES);
    sidecar.ready();
    let revision = scene.delete("web/token");
    sidecar.refused();
    scene.settings("");
    sidecar.serves(revision);
    assert_eq!(sidecar.status()["refused"], Value::Null);
    sidecar.terminate();
}

#[test]
fn a_restart_on_what_does_not_render_serves_the_copy_and_a_first_start_delivers_nothing() {
    let scene = scene();
    let good = scene.revision();
    let sidecar = Sidecar::start(&scene, NAMES);
    sidecar.ready();
    copied(&scene);
    sidecar.kill();
    scene.commit(vec![config(2), crate::scene::delete("web/token")]);
    let sidecar = Sidecar::start(&scene, NAMES);
    sidecar.ready();
    let status = sidecar.status();
    assert_eq!(
        (&status["revision"], &status["refused"]),
        (&json!(good), &json!(MISSING))
    );
    assert_eq!(sidecar.secret("web/token"), "one");
    let mended = scene.secret("web/token", "two");
    is_at(&scene, mended);
    scene.delete("web/token");
    sidecar.terminate();
    // no copy of a good one
    scene.settings_named("other", &NAMES.replace("\"files\"", "\"others\""));
    let settings = scene.file("other.toml");
    let sidecar = Sidecar::launch(crate::process::command(&settings), scene.file("other/s.sock"));
    let problem = until("the problem is shown", || {
        sidecar.socket.exists().then_some(())?;
        sidecar.status()["injections"][0]["problem"]
            .as_str()
            .map(str::to_owned)
    });
    assert_eq!(problem, MISSING);
    assert!(!scene.file("others/app.conf").exists());
    sidecar.terminate();
}

/// A document whose keys cannot be delivered is no revision that is served.
fn is_held_back(settings: &str, document: &Value, why: &str) {
    let scene = scene();
    let good = scene.revision();
    let sidecar = Sidecar::start(&scene, settings);
    sidecar.ready();
    let document = document.to_string();
    scene.commit(vec![put("prod", "web", Kind::Config, document.as_bytes())]);
    let refused = sidecar.refused();
    assert!(refused.contains(why), "{refused}");
    assert!(!refused.contains('\u{1b}'), "{refused}");
    assert_eq!(sidecar.status()["revision"], good);
    sidecar.terminate();
}

#[test]
fn a_revision_of_which_what_is_made_cannot_be_delivered_is_held_back() {
    let files = "[[files]]\nderive = false\ndirectory = \"files\"\nkeys.web = \"web\"\n";
    is_held_back(files, &json!({ "a\u{1b}b": 1 }), "no control characters");
    is_held_back(
        files,
        &json!({ "a": { "b": 1 }, "a.b": 2 }),
        "is that file already",
    );
    let process = "[process]\ncommand = [\"sleep\", \"1000\"]\nderive = false\nkeys.WEB = \"web\"\n";
    is_held_back(process, &json!({ "a": "x\u{0}y" }), "holds a NUL byte");
    is_held_back(
        process,
        &json!({ "a": { "b": 1 }, "a_b": 2 }),
        "is that variable already",
    );
}

#[test]
fn a_fifo_is_no_file_to_be_read() {
    let scene = scene();
    for name in ["fifo.j2", "fifo.toml"] {
        let made = std::process::Command::new("mkfifo")
            .arg(scene.file(name))
            .status();
        assert!(made.unwrap().success());
    }
    for more in [
        "[[files]]\ndirectory = \"files\"\nnames.a = { template_file = \"fifo.j2\" }",
        "[overrides]\nweb = \"fifo.toml\"",
    ] {
        let (code, said) = ends(&scene.settings_named("other", more), &[]);
        assert_ne!(code, Some(0));
        assert!(said.contains("it is no regular file"), "{said}");
    }
}

#[test]
fn what_cannot_be_made_is_not_made_again_and_again() {
    let scene = scene();
    scene.delete("web/token");
    let (audit, directory) = audit_of(&scene);
    let start = crate::process::command(&scene.settings(&format!("{NAMES}{audit}")));
    let sidecar = Sidecar::launch(start, scene.file("web/s.sock"));
    until("it was tried three times", || {
        let text = crate::http::get(&sidecar.socket, "/metrics").ok()?.text();
        let failures = text
            .lines()
            .filter(|line| line.starts_with("strongroom_injection_failures_total"));
        let failures: u32 = failures
            .filter_map(|line| line.rsplit(' ').next()?.parse::<u32>().ok())
            .sum();
        (failures >= 3).then_some(())
    });
    let opened = decisions(&directory).into_iter();
    let opened = opened.filter(|record| {
        record["name"]
            .as_str()
            .is_some_and(|name| name.ends_with("template/app"))
    });
    // whether it can be served, and to deliver it
    assert_eq!(opened.filter(|record| record["injection"].is_string()).count(), 2);
    sidecar.terminate();
}

#[test]
fn settings_say_what_is_wrong_with_what_they_want_made() {
    let scene = scene();
    std::fs::write(scene.file("bad.j2"), "{{ 1 }}\n{% if %}").unwrap();
    let settings = |more: &str| {
        let settings = scene.settings_named("other", &format!("[[files]]\ndirectory = \"files\"\n{more}"));
        let (code, said) = ends(&settings, &[]);
        assert_ne!(code, Some(0));
        said
    };
    let said = settings("names.a = { template_file = \"bad.j2\" }");
    assert!(said.contains("bad.j2, line 2: this is not a template"), "{said}");
    let said = settings("names.a = { template_file = \"none.j2\" }");
    assert!(said.contains("none.j2 cannot be read"), "{said}");
    let said = settings(
        "names.a = { template = \"web\" }\nnames.b = { config = \"web\", format = \"ini\" }\nnames.c = { x = \"canary\" }\nkeys.d = 3",
    );
    assert!(
        said.contains("files[0].names, item 1: templates lie under template/"),
        "{said}"
    );
    assert!(
        said.contains("item 2: a document is delivered as one of toml, json"),
        "{said}"
    );
    assert!(
        said.contains("item 3: an entry's path is wanted, or one of"),
        "{said}"
    );
    assert!(
        said.contains("files[0].keys, item 1: a document's path is wanted"),
        "{said}"
    );
    assert!(!said.contains("canary"), "{said}");
}

#[test]
fn a_template_asks_flags_with_what_their_set_shares_and_documents_with_their_secrets() {
    let scene = Scene::with_token();
    let flag = |rule: &str| {
        let text = format!(
            r#"{{"state":"ENABLED","variants":{{"on":true,"off":false}},"defaultVariant":"off","targeting":{rule}}}"#
        );
        put("base", "web/new", Kind::Flag, text.as_bytes())
    };
    let set = |end: &str| {
        let text = format!(r#"{{"$evaluators":{{"staff":{{"ends_with":[{{"var":"mail"}},"{end}"]}}}}}}"#);
        put("base", "web/@set", Kind::Flag, text.as_bytes())
    };
    scene.commit(vec![
        set("@example.org"),
        flag(r#"{"if":[{"$ref":"staff"},"on"]}"#),
        put("prod", "web", Kind::Config, br#"{"key":{"secret":"web/token"}}"#),
        template(
            "staff {{ flag('web/new', {'mail': 'a@example.org'}) }} {{ flag('web/new') }} {{ config('web').key }}",
        ),
    ]);
    let (audit, log) = audit_of(&scene);
    let sidecar = Sidecar::start(&scene, &format!("{NAMES}{audit}"));
    let conf = |wanted: &str| {
        until("it is rendered", || {
            (read(scene.file("files/app.conf"))? == wanted).then_some(())
        })
    };
    conf("staff true false one");
    let asked = decisions(&log)
        .into_iter()
        .filter(|one| one["action"] == "evaluateFlag" && one["name"] == "prod/web/new")
        .count();
    assert!(asked >= 1);
    // nothing is opened without a record
    let of_set = |one: &Value| one["action"] == "evaluateFlag" && one["name"] == "prod/web/@set";
    assert_eq!(decisions(&log).into_iter().filter(of_set).count(), asked);
    // what the set shares, the flag and the secret are all part of it
    scene.commit(vec![set("@example.com")]);
    conf("staff false false one");
    scene.secret("web/token", "two");
    conf("staff false false two");
    let off = put(
        "base",
        "web/new",
        Kind::Flag,
        br#"{"state":"DISABLED","variants":{"on":true}}"#,
    );
    scene.commit(vec![off]);
    sidecar.refused();
    sidecar.terminate();
}

#[test]
fn a_nearer_set_of_flags_is_looked_at_before_it_is_served() {
    let scene = Scene::with_token();
    let set = |path: &str, end: &str| {
        let text = format!(r#"{{"$evaluators":{{"staff":{{"ends_with":[{{"var":"mail"}},"{end}"]}}}}}}"#);
        put("prod", path, Kind::Flag, text.as_bytes())
    };
    let flag = br#"{"state":"ENABLED","variants":{"on":true,"off":false},"defaultVariant":"off","targeting":{"if":[{"$ref":"staff"},"on"]}}"#;
    scene.commit(vec![
        set("@set", "@example.org"),
        put("prod", "web/new", Kind::Flag, flag),
        template("x {% if flag('web/new', {'mail': 'a@example.com'}) %}{{ secret('none') }}{% endif %}."),
    ]);
    let sidecar = Sidecar::start(&scene, NAMES);
    until("it is rendered", || {
        (read(scene.file("files/app.conf"))? == "x .").then_some(())
    });
    scene.commit(vec![set("web/@set", "@example.com")]);
    until("it is held back", || {
        sidecar.status()["refused"].as_str().map(str::to_owned)
    });
    sidecar.terminate();
}

/// A process that says when it starts, with a variable of a template beside the settings.
fn scene_of_process() -> (Scene, String) {
    let scene = scene();
    std::fs::write(scene.file("x.j2"), "{{ secret('web/token') }}").unwrap();
    let started = scene.file("started");
    let more = format!(
        "[process]\ncommand = [\"sh\", \"-c\", \"echo $X >>{}; exec sleep 1000\"]\nderive = false\n\
         env.X = {{ template_file = \"x.j2\" }}\n",
        started.display()
    );
    (scene, more)
}

#[test]
fn a_template_beside_the_settings_starts_a_process_again_only_by_what_it_gives() {
    let (scene, more) = scene_of_process();
    let sidecar = Sidecar::start(&scene, &more);
    let started = || read(scene.file("started")).unwrap_or_default();
    until("it runs", || (started() == "one\n").then_some(()));
    let edit = |text: &str| std::fs::write(scene.file("x.j2"), text).unwrap();
    edit("{# the same #}{{ secret('web/token') }}");
    sidecar.logs("the settings were reloaded");
    // what cannot be made is refused with the settings, and what runs goes on
    edit("{{ secret('web/tokne') }}");
    sidecar.logs("what they want made cannot be");
    let at = scene.secret("web/other", "x");
    sidecar.serves(at);
    assert_eq!(started(), "one\n");
    edit("a {{ secret('web/token') }}");
    until("it was started again", || {
        (started() == "one\na one\n").then_some(())
    });
    sidecar.terminate();
}

#[test]
fn files_of_refused_settings_are_watched_too() {
    let (scene, more) = scene_of_process();
    let sidecar = Sidecar::start(&scene, &more);
    let started = || read(scene.file("started")).unwrap_or_default();
    until("it runs", || (started() == "one\n").then_some(()));
    std::fs::write(scene.file("new.j2"), "{{ 1 + }}").unwrap();
    scene.settings(&more.replace("x.j2", "new.j2"));
    sidecar.logs("new.j2, line 1");
    std::fs::write(scene.file("new.j2"), "new").unwrap();
    until("it was started again", || {
        (started() == "one\nnew\n").then_some(())
    });
    sidecar.terminate();
}

#[test]
fn more_files_than_are_written_are_held_back() {
    let files = "[[files]]\nderive = false\ndirectory = \"files\"\nkeys.web = \"web\"\n";
    let many: serde_json::Map<_, _> = (0..10_001).map(|at| (format!("k{at}"), json!(1))).collect();
    is_held_back(files, &Value::Object(many), "10001 files");
}

#[test]
fn what_never_could_be_made_holds_nothing_newer_back() {
    let scene = Scene::with_token();
    scene.commit(vec![template("no {{ secret('web/none') }}")]);
    let settings = scene.settings(NAMES);
    let mut start = crate::process::command(&settings);
    start.current_dir(scene.file(""));
    let sidecar = Sidecar::launch(start, scene.file("web/s.sock"));
    until("it listens", || {
        crate::http::get(&sidecar.socket, "/healthz").ok().map(drop)
    });
    let at = scene.secret("web/token", "two");
    sidecar.serves(at);
    assert_eq!(sidecar.secret("web/token"), "two");
    // nobody knows what the files of an earlier run have
    until("it is not reported as whole", || {
        let all = crate::uptake::reported(&scene, ConsumerKind::Files);
        all.iter().any(|one| !one.is_whole).then_some(())
    });
    // once it can be made it is, and then it holds back what would undo that
    let at = scene.secret("web/none", "there");
    is_at(&scene, at);
    scene.delete("web/none");
    sidecar.refused();
    sidecar.terminate();
}
