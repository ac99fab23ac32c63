//! Injections of the settings: files, what follows a switch, and the process.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use strongroom_core::kind::Kind;

use crate::process::{Sidecar, command, until};
use crate::scene::{Scene, put};

fn read(file: impl AsRef<Path>) -> Option<String> {
    std::fs::read_to_string(file).ok()
}

fn injection(sidecar: &Sidecar, at: usize) -> Value {
    sidecar.status()["injections"][at].clone()
}

#[test]
fn files_of_one_revision_switch_together_and_a_command_follows() {
    let scene = Scene::with_token();
    scene.commit(vec![
        put("prod", "web/db/password", Kind::Secret, b"pw"),
        put("prod", "other", Kind::Secret, b"x"),
    ]);
    let script = scene.file("hook.sh");
    std::fs::write(&script, "#!/bin/sh\ncat files/token >>hooked\necho >>hooked\n").unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let mut start = command(&scene.settings(&format!(
        "[[files]]\ndirectory = \"files\"\nprefix = \"web\"\nmode = \"0440\"\nnames = {{ extra = \"other\" }}\non_change = {{ command = [\"{}\"] }}",
        script.display()
    )));
    start.current_dir(scene.file(""));
    let sidecar = Sidecar::launch(start, scene.file("web/s.sock"));
    sidecar.ready();
    let at = |name: &str| read(scene.file("files").join(name));
    assert_eq!(at("token").as_deref(), Some("one"));
    assert_eq!(at("db/password").as_deref(), Some("pw"));
    assert_eq!(at("extra").as_deref(), Some("x"));
    assert_eq!(at(".revision"), Some(format!("{}\n", scene.revision())));
    assert_eq!(
        std::fs::metadata(scene.file("files/token")).unwrap().mode() & 0o777,
        0o440
    );
    let revision = scene.commit(vec![
        put("prod", "web/token", Kind::Secret, b"two"),
        put("prod", "web/db/password", Kind::Secret, b"pw2"),
    ]);
    until("the new files", || {
        (at(".revision") == Some(format!("{revision}\n"))).then_some(())
    });
    assert_eq!(
        (at("token").as_deref(), at("db/password").as_deref()),
        (Some("two"), Some("pw2"))
    );
    until("the command ran for both", || {
        (read(scene.file("hooked"))? == "one\ntwo\n").then_some(())
    });
    let shown = until("the status tells", || {
        let shown = injection(&sidecar, 0);
        (shown["revision"] == revision).then_some(shown)
    });
    assert_eq!(
        (&shown["kind"], &shown["problem"]),
        (&"files".into(), &Value::Null)
    );
    assert_eq!(shown["target"], scene.file("files").display().to_string());
    // a revision that changes none of them moves the number and runs nothing
    let revision = scene.secret("unrelated", "x");
    until("the number moves", || {
        (at(".revision") == Some(format!("{revision}\n"))).then_some(())
    });
    sidecar.terminate();
    assert_eq!(read(scene.file("hooked")).as_deref(), Some("one\ntwo\n"));
    assert_eq!(
        at("token").as_deref(),
        Some("two"),
        "files stay for those who read them"
    );
}

#[test]
fn a_signal_follows_a_switch_and_a_bad_pidfile_is_reported_and_tried_again() {
    let scene = Scene::with_token();
    let mut target = std::process::Command::new("sh")
        .args(["-c", "trap 'echo hup >>heard' HUP; while :; do sleep 0.05; done"])
        .current_dir(scene.file(""))
        .spawn()
        .unwrap();
    let more = "[[files]]\ndirectory = \"files\"\non_change = { signal = \"HUP\", pidfile = \"pid\" }";
    let sidecar = Sidecar::start(&scene, more);
    let problem = until("the problem is shown", || {
        injection(&sidecar, 0)["problem"].as_str().map(str::to_owned)
    });
    assert!(
        problem.contains("in place") && problem.contains("pid"),
        "{problem}"
    );
    assert_eq!(read(scene.file("files/web/token")).as_deref(), Some("one"));
    std::thread::sleep(std::time::Duration::from_millis(200));
    std::fs::write(scene.file("pid"), format!("{}\n", target.id())).unwrap();
    until("the signal arrives", || read(scene.file("heard")));
    until("the problem is gone", || {
        injection(&sidecar, 0)["problem"].is_null().then_some(())
    });
    target.kill().unwrap();
    target.wait().unwrap();
    sidecar.terminate();
}

#[test]
fn a_directory_that_cannot_be_used_is_reported_and_tried_again() {
    let scene = Scene::with_token();
    std::fs::create_dir(scene.file("real")).unwrap();
    std::os::unix::fs::symlink("real", scene.file("files")).unwrap();
    let settings = scene.settings(
        "[[files]]\ndirectory = \"files\"\nrequired = [\"web/token\", \"web/later\", \"web/never\"]",
    );
    let sidecar = Sidecar::launch(command(&settings), scene.file("web/s.sock"));
    until("it serves", || crate::http::get(&sidecar.socket, "/healthz").ok());
    let problem = until("the problem is shown", || {
        injection(&sidecar, 0)["problem"].as_str().map(str::to_owned)
    });
    assert!(
        problem.contains("web/later") && problem.contains("web/never"),
        "all at once: {problem}"
    );
    assert_eq!(sidecar.get("/readyz").status, 503);
    assert_eq!(sidecar.secret("web/token"), "one", "the socket serves meanwhile");
    scene.commit(vec![
        put("prod", "web/later", Kind::Secret, b"1"),
        put("prod", "web/never", Kind::Secret, b"2"),
    ]);
    sidecar.logs("is a symlink");
    assert_eq!(std::fs::read_dir(scene.file("real")).unwrap().count(), 0);
    std::fs::remove_file(scene.file("files")).unwrap();
    sidecar.ready();
    assert_eq!(read(scene.file("files/web/later")).as_deref(), Some("1"));
}

#[test]
fn a_reload_changes_injections_and_leaves_the_others_alone() {
    let scene = Scene::with_token();
    let keep = "[[files]]\ndirectory = \"keep\"\n";
    let sidecar = Sidecar::start(&scene, &format!("{keep}[[files]]\ndirectory = \"drop\""));
    assert_eq!(read(scene.file("drop/web/token")).as_deref(), Some("one"));
    let since = injection(&sidecar, 0)["since"].clone();
    scene.settings(&format!("{keep}[[files]]\ndirectory = \"new\"\nprefix = \"web\""));
    until("the new directory", || read(scene.file("new/token")));
    until("what nobody wants is removed", || {
        (!scene.file("drop/web").exists()).then_some(())
    });
    assert_eq!(read(scene.file("keep/web/token")).as_deref(), Some("one"));
    assert_eq!(injection(&sidecar, 0)["since"], since);
    // the same directory with another mode
    scene.settings(&format!(
        "{keep}[[files]]\ndirectory = \"new\"\nprefix = \"web\"\nmode = \"0444\""
    ));
    until("the new mode", || {
        let mode = std::fs::metadata(scene.file("new/token")).ok()?.mode();
        (mode & 0o777 == 0o444).then_some(())
    });
}

#[test]
fn a_process_gets_its_environment_and_is_restarted_on_change() {
    let scene = Scene::with_token();
    let app = "echo \\\"$TOKEN $EXTRA $$\\\" >>ran; trap 'echo bye >>ran; exit 0' TERM; while :; do sleep 0.05; done";
    let mut start = command(&scene.settings(&format!(
        "[process]\ncommand = [\"sh\", \"-c\", \"{app}\"]\nprefix = \"web\"\nenv = {{ EXTRA = \"extra\" }}\nrequired = [\"web/token\"]"
    )));
    start.current_dir(scene.file(""));
    let sidecar = Sidecar::launch(start, scene.file("web/s.sock"));
    until("it serves", || crate::http::get(&sidecar.socket, "/healthz").ok());
    let problem = until("what is missing is listed", || {
        injection(&sidecar, 0)["problem"].as_str().map(str::to_owned)
    });
    assert!(problem.contains("extra"), "{problem}");
    assert_eq!(read(scene.file("ran")), None, "nothing starts");
    scene.secret("extra", "more");
    sidecar.ready();
    let first = until("it runs", || {
        read(scene.file("ran")).filter(|text| text.ends_with('\n'))
    });
    assert!(first.starts_with("one more "), "{first}");
    let revision = scene.secret("web/token", "two");
    let ran = until("it runs again", || {
        read(scene.file("ran")).filter(|text| text.lines().count() >= 3)
    });
    let lines: Vec<&str> = ran.lines().collect();
    assert_eq!(lines[1], "bye");
    assert!(lines[2].starts_with("two more "), "{ran}");
    until("the status tells", || {
        (injection(&sidecar, 0)["revision"] == revision).then_some(())
    });
    // nothing of it changed: it is left alone
    sidecar.serves(scene.secret("unrelated", "x"));
    sidecar.terminate();
    let ran = read(scene.file("ran")).unwrap();
    assert_eq!(ran.lines().count(), 4, "{ran}");
    assert_eq!(
        ran.lines().last(),
        Some("bye"),
        "a sidecar that ends stops its process in good order"
    );
}

#[test]
fn a_process_that_cannot_run_is_reported() {
    let scene = Scene::with_token();
    let program = scene.file("program").display().to_string();
    let settings = scene.settings(&format!("[process]\ncommand = [\"{program}\"]"));
    let sidecar = Sidecar::launch(command(&settings), scene.file("web/s.sock"));
    until("it serves", || crate::http::get(&sidecar.socket, "/healthz").ok());
    let problem = until("the problem is shown", || {
        injection(&sidecar, 0)["problem"].as_str().map(str::to_owned)
    });
    assert!(problem.contains("program"), "{problem}");
    assert_eq!(sidecar.get("/readyz").status, 503);
    // long enough for a second attempt, and for a third if the pauses did not grow
    std::thread::sleep(Duration::from_millis(1800));
    let program = scene.file("program");
    std::fs::write(&program, "#!/bin/sh\nexec sleep 1000\n").unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    sidecar.ready();
    assert!(injection(&sidecar, 0)["problem"].is_null());
    let told = sidecar.log().matches("not delivered").count();
    assert_eq!(told, 1, "{}", sidecar.log());
    sidecar.terminate();
}
