//! `rotate`: from a plan to a new value at a target, through the real program; targets that fail, and
//! rotators that are killed.

use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use strongroom_tests::dice::Dice;

use crate::desk::{Desk, Ran};

const AT: [&str; 2] = ["prod", "web/password"];

/// A target that a test can make fail: `accepted` holds what it takes.
struct Scene {
    desk: Desk,
}

impl Scene {
    fn new(strategy: &str) -> Self {
        let desk = Desk::new();
        desk.put("prod", "web/password", "first0");
        desk.write("accepted", "first0\n");
        let here = desk.path().display();
        let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/rotate-file.sh");
        let script = format!(
            "#!/bin/sh\n\
             echo $1 >>{here}/calls\n\
             [ ! -e {here}/delay-$1 ] || sleep $(cat {here}/delay-$1)\n\
             [ ! -e {here}/fail-$1 ] || exit $(cat {here}/fail-$1)\n\
             sh {example} {here}/accepted $1 || exit $?\n\
             [ ! -e {here}/late-$1 ] || sleep $(cat {here}/late-$1)\n"
        );
        let scene = Self { desk };
        let target = format!("exec:{}", scene.program("target", &script).display());
        let mut set = scene.set(strategy);
        set.extend(["--target".to_owned(), target]);
        scene.desk.ok(set);
        scene
    }

    fn program(&self, name: &str, text: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let file = self.desk.write(name, text);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        file
    }

    fn set(&self, strategy: &str) -> Vec<String> {
        let words =
            "rotate policy set prod web/password --generator password --settle 0s --retry 0s --limit 9s";
        let words = words.split(' ').map(str::to_owned);
        words
            .chain(["--strategy".to_owned(), strategy.to_owned()])
            .collect()
    }

    fn rotate(&self, options: &[&str]) -> Ran {
        self.desk.run([&["rotate"], &AT[..], options].concat())
    }

    fn start(&self) -> Child {
        let mut command = self.desk.command([&["rotate"], &AT[..]].concat());
        command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    fn current(&self) -> String {
        self.desk.ok([&["get"], &AT[..]].concat())
    }

    fn lines(&self, name: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.desk.file(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// At rest, the target takes what is current and nothing else.
    fn at_rest(&self) -> String {
        let current = self.current();
        assert_eq!(self.lines("accepted"), std::slice::from_ref(&current));
        let show = self.desk.json([&["show"], &AT[..]].concat());
        assert!(
            show.get("pending").is_none() && show.get("previous").is_none(),
            "{show}"
        );
        current
    }

    fn remove(&self, name: &str) {
        std::fs::remove_file(self.desk.file(name)).unwrap();
    }
}

#[test]
fn overlap_and_replace_go_from_one_value_to_the_next() {
    for (strategy, calls) in [
        ("overlap", &["apply", "probe", "retire"][..]),
        ("replace", &["apply", "probe"][..]),
    ] {
        let scene = Scene::new(strategy);
        let plan = scene.rotate(&["--plan"]).ok();
        assert!(plan.contains("is made and is pending"), "{plan}");
        assert_eq!(scene.at_rest(), "first0", "nothing has happened");
        let ran = scene.rotate(&["--json"]);
        let stderr = ran.stderr.clone();
        let answer = ran.json();
        assert_eq!(answer["end"], "rotated");
        let now = scene.at_rest();
        assert!(now.len() == 32 && !stderr.contains(&now), "{stderr}");
        assert!(stderr.contains("the new version is delivered"), "{stderr}");
        assert_eq!(scene.lines("calls"), calls);
        scene.rotate(&["--resume"]).refused(1, "no rotation");
        scene.desk.ok(["verify"]);
    }
}

#[test]
fn with_two_accounts_they_take_turns() {
    let scene = Scene::new("overlap");
    let here = scene.desk.path().display().to_string();
    let script = format!(
        "#!/bin/sh\njson=$(cat)\n\
         get() {{ printf '%s' \"$json\" | sed -n \"s/.*\\\"$1\\\":{{[^}}]*}}\\\",\\\"username\\\":\\\"\\([a-z_]*\\)\\\",\\\"password\\\":\\\"\\([A-Za-z0-9]*\\)\\\".*/\\\\$2/p\"; }}\n\
         new=$(get new 1) old=$(get old 1)\n\
         case $1 in\n\
         apply) get new 2 >{here}/$new ;;\n\
         probe) case $json in *'\"probe\":\"new\"'*) [ \"$(cat {here}/$new)\" = \"$(get new 2)\" ] ;; *) true ;; esac ;;\n\
         retire) : >{here}/$old ;;\n\
         undo) : >{here}/$new ;;\n\
         esac\n"
    );
    let target = format!("exec:{}", scene.program("accounts", &script).display());
    let mut set = scene.set("alternate");
    set.extend(["--target", &target, "--account", "web_a", "--account", "web_b"].map(str::to_owned));
    scene.desk.ok(&set);
    scene
        .rotate(&[])
        .refused(1, r#"the value is JSON: {"username":"NAME","password":"..."}"#);
    scene.desk.put(
        "prod",
        "web/password",
        r#"{"username":"web_a","password":"first0"}"#,
    );
    for (user, other) in [("web_b", "web_a"), ("web_a", "web_b"), ("web_b", "web_a")] {
        scene.rotate(&[]).ok();
        let value: serde_json::Value = serde_json::from_str(&scene.current()).unwrap();
        assert_eq!(value["username"], user);
        assert_eq!(scene.lines(user), [value["password"].as_str().unwrap()]);
        assert_eq!(scene.lines(other), [] as [&str; 0], "it is locked");
    }
}

#[test]
fn a_probe_that_fails_is_undone_by_itself() {
    for strategy in ["overlap", "replace"] {
        let scene = Scene::new(strategy);
        scene.program("real", "#!/bin/sh\nexit 0\n");
        // Only the first probe fails: that of the new value.
        let here = scene.desk.path().display();
        let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/rotate-file.sh");
        scene.program(
            "target",
            &format!(
                "#!/bin/sh\necho $1 >>{here}/calls\n\
                 if [ $1 = probe ] && [ ! -e {here}/probed ]; then : >{here}/probed; exit 1; fi\n\
                 exec sh {example} {here}/accepted $1\n"
            ),
        );
        let said = scene.rotate(&[]).refused(1, "undone, the old credential stays");
        assert!(said.contains("exit code 1"), "{said}");
        assert_eq!(scene.at_rest(), "first0");
        assert_eq!(scene.lines("calls"), ["apply", "probe", "undo", "probe"]);
        scene.rotate(&[]).ok();
        assert_ne!(scene.at_rest(), "first0");
    }
}

#[test]
fn a_target_that_is_down_leaves_it_halfway_until_it_is_back() {
    let scene = Scene::new("overlap");
    let away = |away: bool| {
        let (a, b) = (scene.desk.file("accepted"), scene.desk.file("away"));
        let (from, to) = if away { (a, b) } else { (b, a) };
        std::fs::rename(from, to).unwrap();
    };
    away(true);
    let said = scene.rotate(&[]).refused(6, "it stands halfway, undo failed");
    assert!(said.contains("--resume` goes on"), "{said}");
    scene.rotate(&[]).refused(1, "under way");
    scene.rotate(&["--abort"]).refused(6, "undo failed");
    away(false);
    scene.rotate(&["--abort"]).ok();
    assert_eq!(scene.at_rest(), "first0");
    // After the new value was delivered there is no need to go back.
    scene.desk.write("fail-retire", "75");
    scene.rotate(&[]).refused(6, "retire failed");
    let current = scene.current();
    assert_eq!(scene.lines("accepted"), ["first0".to_owned(), current.clone()]);
    scene.rotate(&["--abort"]).refused(1, "may be gone");
    scene.remove("fail-retire");
    scene.rotate(&["--resume"]).ok();
    assert_eq!(scene.at_rest(), current);
}

#[test]
fn a_target_that_says_later_is_asked_again() {
    let scene = Scene::new("overlap");
    let here = scene.desk.path().display();
    scene.program(
        "target",
        &format!("#!/bin/sh\necho $1 >>{here}/calls\n[ $(wc -l <{here}/calls) != 1 ] || exit 75\nexit 0\n"),
    );
    let mut again = scene.set("overlap");
    let at = again.iter().position(|word| word == "--retry").unwrap() + 1;
    again[at] = "1m".into();
    again.extend(["--target".to_owned(), format!("exec:{here}/target")]);
    scene.desk.ok(again);
    let ran = scene.rotate(&[]);
    assert!(ran.stderr.contains("again in a moment"), "{}", ran.stderr);
    ran.ok();
    assert_eq!(scene.lines("calls"), ["apply", "apply", "probe", "retire"]);
}

#[test]
fn a_program_shows_no_value_gets_no_environment_and_has_a_time() {
    let scene = Scene::new("overlap");
    let here = scene.desk.path().display();
    // Whatever is left of it would hold the test's streams: it sleeps with none of them.
    scene.program(
        "target",
        &format!(
            "#!/bin/sh\nenv >{here}/env\ncat >{here}/asked\n[ $1 != apply ] || {{ echo hello >&2; cat {here}/asked >&2; \
             cat {here}/asked; sleep 60 & sleep 60; }}\nexit 0\n"
        ),
    );
    let mut set = scene.set("overlap");
    let at = set.iter().position(|word| word == "--limit").unwrap() + 1;
    set[at] = "1s".into();
    set.extend(["--target".to_owned(), format!("exec:{here}/target")]);
    scene.desk.ok(set);
    let began = Instant::now();
    let said = scene
        .rotate(&[])
        .refused(1, "was not done after 1 s and was ended");
    assert!(began.elapsed() < Duration::from_secs(50), "its time was not kept");
    assert!(
        said.contains("| hello") && said.contains("a line that held a value"),
        "{said}"
    );
    assert!(!said.contains("first0"), "{said}");
    let asked: serde_json::Value = serde_json::from_str(&scene.lines("asked")[0]).unwrap();
    assert_eq!(
        (&asked["action"], &asked["probe"], &asked["old"]["text"]),
        (&"probe".into(), &"old".into(), &"first0".into())
    );
    let env = scene.lines("env").join("\n");
    assert!(env.contains("PATH=") && !env.contains("STRONGROOM"), "{env}");
}

#[test]
fn of_two_that_rotate_at_once_the_second_is_told() {
    let scene = Scene::new("overlap");
    scene.desk.write("delay-apply", "3");
    let mut first = scene.start();
    strongroom_tests::wait::until("the first is at work", || {
        (!scene.lines("calls").is_empty()).then_some(())
    });
    scene.rotate(&[]).refused(1, "under way");
    assert!(first.wait().unwrap().success());
    assert_ne!(scene.at_rest(), "first0");
    assert_eq!(scene.lines("calls"), ["apply", "probe", "retire"]);
}

/// Rotates, is killed somewhere, and goes on or takes back. What is current works at every moment.
fn killed(scene: &Scene, after: Duration, abort: bool) {
    let mut rotator = scene.start();
    std::thread::sleep(after);
    rotator.kill().unwrap();
    rotator.wait().unwrap();
    for _ in 0..2 {
        let accepted = scene.lines("accepted");
        assert!(accepted.contains(&scene.current()), "{accepted:?}");
        assert!(accepted.len() <= 2, "{accepted:?}");
        let ran = scene.rotate(&[if abort { "--abort" } else { "--resume" }]);
        // Not begun, ended already, undone, or too late for an abort: then it is resumed.
        assert!([0, 1].contains(&ran.code), "{}", ran.stderr);
        if ran.stderr.contains("may be gone") {
            scene.rotate(&["--resume"]).ok();
        }
    }
    scene.at_rest();
}

#[test]
fn whoever_is_killed_at_a_step_is_succeeded() {
    let scene = Scene::new("overlap");
    for (step, abort) in ["apply", "probe", "retire"]
        .into_iter()
        .flat_map(|step| [(step, false), (step, true)])
    {
        for when in ["delay", "late"] {
            scene.desk.write(&format!("{when}-{step}"), "1");
            let _ = std::fs::remove_file(scene.desk.file("calls"));
            let mut rotator = scene.start();
            strongroom_tests::wait::until("the program is at the step", || {
                scene.lines("calls").iter().any(|call| call == step).then_some(())
            });
            rotator.kill().unwrap();
            rotator.wait().unwrap();
            scene.remove(&format!("{when}-{step}"));
            let ran = scene.rotate(&[if abort { "--abort" } else { "--resume" }]);
            if abort && step == "retire" {
                ran.refused(1, "may be gone");
                scene.rotate(&["--resume"]).ok();
            } else {
                ran.ok();
            }
            scene.at_rest();
        }
    }
}

#[test]
fn whoever_is_killed_at_any_moment_is_succeeded() {
    let scene = Scene::new("overlap");
    let mut dice = Dice::new();
    let began = Instant::now();
    let mut times = 0;
    while began.elapsed() < Duration::from_secs(20) || times < 4 {
        killed(&scene, Duration::from_millis(dice.below(900)), dice.below(2) == 0);
        times += 1;
    }
    scene.desk.ok(["verify"]);
}

#[test]
fn plans_are_set_shown_listed_when_overdue_and_taken_off() {
    let scene = Scene::new("overlap");
    let show = ["rotate", "policy", "show", "prod", "web/password"];
    assert!(scene.desk.ok(show).contains("no schedule"));
    assert_eq!(scene.desk.ok(["rotate", "--check"]), "nothing is overdue\n");
    let mut set = scene.set("overlap");
    let target = format!("exec:{}", scene.desk.file("target").display());
    set.extend(["--target", &target, "--every", "1s"].map(str::to_owned));
    scene.desk.ok(&set);
    let plan = scene.desk.json(show);
    assert_eq!(plan["document"], "rotation/web/password");
    assert!(plan["due"].is_string(), "{plan}");
    strongroom_tests::wait::until("it is overdue", || {
        (scene.desk.run(["rotate", "--check", "prod"]).code == 1).then_some(())
    });
    let found = scene.desk.run(["rotate", "--check", "--json"]);
    assert_eq!(found.code, 1);
    let found: serde_json::Value = serde_json::from_slice(&found.stdout).unwrap();
    assert_eq!(found["overdue"][0]["path"], "web/password");
    let done = scene.desk.json(["rotate", "--due", "--yes"]);
    assert_eq!(done["rotations"].as_array().unwrap().len(), 1, "{done}");
    assert_eq!(
        (&done["rotations"][0]["end"], &done["rotations"][0]["path"]),
        (&"rotated".into(), &"web/password".into())
    );
    assert_ne!(scene.at_rest(), "first0");
    scene.desk.ok(["environment", "add", "dev"]);
    assert_eq!(
        scene.desk.json(["rotate", "--due", "dev"]),
        serde_json::json!({"rotations": []})
    );
    scene
        .desk
        .ok(["rotate", "policy", "unset", "prod", "web/password"]);
    scene.rotate(&[]).refused(1, "has no rotation plan");
    scene
        .desk
        .run([
            "rotate",
            "policy",
            "set",
            "prod",
            "web/password",
            "--strategy",
            "both",
            "--every",
            "soon",
        ])
        .refused(1, "a strategy is one of");
}

#[test]
fn a_rotator_rotates_and_changes_no_plan() {
    let scene = Scene::new("overlap");
    let identity = scene.desk.member("rot", "rotator", &["prod"]);
    let run = |arguments: &[&str]| {
        let mut command = scene.desk.command(arguments);
        Ran::of(command.env("STRONGROOM_IDENTITY", &identity).output().unwrap())
    };
    run(&["rotate", "prod", "web/password"]).ok();
    assert_ne!(scene.at_rest(), "first0");
    let mut set: Vec<_> = scene.set("overlap");
    set.extend(["--target", "exec:/bin/true"].map(str::to_owned));
    let set: Vec<_> = set.iter().map(String::as_str).collect();
    run(&set).refused(3, "may not do that");
}

#[test]
fn a_built_in_target_is_given_by_its_keys() {
    let desk = Desk::new();
    desk.put("prod", "db/password", "first");
    let set = |target: &str, strategy: &str, generator: &str| {
        let words = [
            "rotate",
            "policy",
            "set",
            "prod",
            "db/password",
            "--strategy",
            strategy,
        ];
        desk.run(
            words
                .into_iter()
                .chain(["--generator", generator, "--target", target]),
        )
    };
    set(
        "postgres:host=/run/postgresql,port=5433,admin_user=postgres,role=web",
        "replace",
        "password",
    )
    .ok();
    let shown = desk.ok(["rotate", "policy", "show", "prod", "db/password"]);
    for line in [
        "[target.postgres]",
        "host = \"/run/postgresql\"",
        "port = 5433",
        "role = \"web\"",
    ] {
        assert!(shown.contains(line), "{shown}");
    }
    let nginx = "nginx:file=/etc/nginx/tls/web.pem,test=/usr/sbin/nginx -t -q,probe=127.0.0.1:443,name=web.example.org";
    set(nginx, "replace", "x509:dns=web.example.org").ok();
    let shown = desk.ok(["rotate", "policy", "show", "prod", "db/password"]);
    assert!(
        shown.contains("test = [\"/usr/sbin/nginx\", \"-t\", \"-q\"]"),
        "{shown}"
    );
    for (target, said) in [
        ("postgres", "KIND:KEY=VALUE"),
        ("postgres:host", "KIND:KEY=VALUE"),
        ("postgres:role=a,role=b", "twice"),
        ("postgres:host=/run/postgresql,nope=1", "nope"),
        ("mongodb:host=db1", "mongodb"),
    ] {
        let ran = set(target, "replace", "password");
        assert!(ran.code == 1 || ran.code == 2, "{target}");
        assert!(ran.stderr.contains(said), "{target}: {}", ran.stderr);
    }
}

#[test]
fn what_a_removed_member_could_have_read_is_rotated() {
    let scene = Scene::new("overlap");
    scene.desk.member("web", "reader", &["prod"]);
    scene
        .desk
        .ok(["member", "remove", "web", "--rotate-exposed", "--dry-run"]);
    assert_eq!(scene.at_rest(), "first0");
    scene.desk.ok(["member", "remove", "web", "--rotate-exposed"]);
    assert_ne!(scene.at_rest(), "first0");
    // One without a plan is left, and said. As JSON it is one answer.
    scene.desk.put("prod", "web/token", "by hand");
    scene.desk.member("api", "reader", &["prod"]);
    let before = scene.current();
    let ran = scene
        .desk
        .run(["member", "remove", "api", "--rotate-exposed", "--json"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains("prod web/token has no rotation plan and is not rotated"),
        "{}",
        ran.stderr
    );
    let answer: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    let ends: Vec<_> = answer["rotations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["end"])
        .collect();
    assert_eq!(ends, ["rotated", "failed"]);
    assert_eq!(answer["committed"], true);
    assert_ne!(scene.at_rest(), before);
    let history = scene.desk.ok(["history", "prod", "web/password"]);
    assert!(history.contains("rotate: api is removed: done"), "{history}");
}

#[test]
fn a_store_that_goes_away_in_the_middle_leaves_it_halfway() {
    let scene = Scene::new("overlap");
    let here = scene.desk.path().display();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/rotate-file.sh");
    let target = |more: &str| {
        let text = format!("#!/bin/sh\nsh {example} {here}/accepted $1 || exit $?\n{more}\n");
        scene.program("target", &text);
    };
    std::fs::create_dir(scene.desk.file("shelf")).unwrap();
    target(&format!("[ $1 != apply ] || mv {here}/store.db* {here}/shelf/"));
    scene.rotate(&[]).refused(6, "it stands halfway");
    for file in std::fs::read_dir(scene.desk.file("shelf")).unwrap() {
        let file = file.unwrap();
        std::fs::rename(file.path(), scene.desk.file(file.file_name().to_str().unwrap())).unwrap();
    }
    target("");
    scene.rotate(&["--resume"]).ok();
    assert_ne!(scene.at_rest(), "first0");
}

#[test]
fn an_admin_gives_up_what_cannot_end() {
    let scene = Scene::new("overlap");
    scene.desk.write("fail-retire", "1");
    scene.rotate(&[]).refused(6, "retire failed");
    let identity = scene.desk.member("rot", "rotator", &["prod"]);
    let run = |arguments: &[&str]| {
        let mut command = scene.desk.command(arguments);
        Ran::of(command.env("STRONGROOM_IDENTITY", &identity).output().unwrap())
    };
    run(&["rotate", "prod", "web/password", "--give-up", "--take-over"]).refused(3, "only admins");
    // Another member waits for the time of who ran it, or knows that it has ended.
    run(&["rotate", "prod", "web/password", "--resume"]).refused(1, "is being rotated by");
    scene.remove("fail-retire");
    run(&["rotate", "prod", "web/password", "--resume", "--take-over"]).ok();
    scene.at_rest();

    scene.desk.write("fail-retire", "1");
    scene.rotate(&[]).refused(6, "retire failed");
    scene.rotate(&["--give-up"]).ok();
    scene.rotate(&["--resume"]).refused(1, "no rotation");
    scene.desk.ok(["label", "retire", "prod", "web/password"]);
    scene.desk.write("accepted", format!("{}\n", scene.current()));
    scene.remove("fail-retire");
    scene.rotate(&[]).ok();
    scene.at_rest();
}
