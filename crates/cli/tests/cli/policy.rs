//! Policies from files to decisions: the shipped examples, cases, plans, explanations.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::desk::{CANARY, Desk, Ran};

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies")
}

fn examples() -> Vec<PathBuf> {
    let all = std::fs::read_dir(shipped())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut directories: Vec<_> = all.filter(|path| path.is_dir()).collect();
    directories.sort();
    directories
}

const WEB: &str = r#"@id("web reads its own")
permit (
  principal is Workload,
  action,
  resource in Path::"prod/web"
)
when { principal.uid == 1000 };
"#;

const CASES: &str = r#"
[principals.web]
uid = 1000

[[case]]
principal = "web"
action = "readSecret"
resource = "web/key"
decision = "allow"
policies = ["web reads its own"]

[[case]]
principal = "web"
action = "readSecret"
resource = "payments/key"
decision = "deny"
"#;

/// A directory `team` with one policy and its cases.
fn team(desk: &Desk) {
    std::fs::create_dir(desk.file("team")).unwrap();
    desk.write("team/web.cedar", WEB);
    desk.write("team/cases.toml", CASES);
}

#[test]
fn the_shipped_examples_pass_their_cases_and_are_formatted() {
    let desk = Desk::bare();
    let mut arguments = vec!["policy".into(), "test".into()];
    let directories = examples();
    assert!(directories.len() >= 5, "{directories:?}");
    arguments.extend(directories.iter().cloned());
    let ran = desk.run(&arguments);
    assert_eq!(ran.stderr, "", "every policy decides a case");
    assert!(ran.ok().contains("cases passed"));
    let root = shipped();
    let all = directories.iter().chain([&root]).flat_map(|directory| {
        let files = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        files
            .filter(|file| file.extension().is_some_and(|ending| ending == "cedar"))
            .collect::<Vec<_>>()
    });
    let mut arguments: Vec<PathBuf> = vec!["policy".into(), "fmt".into(), "--check".into()];
    arguments.extend(all);
    assert!(arguments.len() > 8);
    desk.ok(&arguments);
}

#[test]
fn a_case_that_goes_otherwise_is_shown_as_a_difference() {
    let desk = Desk::bare();
    team(&desk);
    assert_eq!(desk.ok(["policy", "test", "team"]), "2 cases passed\n");
    let wrong = CASES
        .replace("\"deny\"", "\"allow\"\npolicies = [\"web reads its own\"]")
        .replace(
            "resource = \"web/key\"\ndecision = \"allow\"",
            "resource = \"web/key\"\ndecision = \"deny\"",
        );
    desk.write("team/cases.toml", wrong);
    let ran = desk.run(["policy", "test", "team"]);
    assert_eq!(ran.code, 1);
    let shown = String::from_utf8(ran.stdout).unwrap();
    assert_eq!(
        shown,
        "team/cases.toml: case 1: web readSecret web/key\n\
         \u{20} - deny by [\"web reads its own\"]\n\
         \u{20} + allow by [\"web reads its own\"]\n\
         team/cases.toml: case 2: web readSecret payments/key\n\
         \u{20} - allow by [\"web reads its own\"]\n\
         \u{20} + deny by []\n"
    );
    assert!(
        ran.stderr.contains("2 of 2 cases were decided otherwise"),
        "{}",
        ran.stderr
    );
    // The same decision by another policy is another decision.
    desk.write(
        "team/cases.toml",
        CASES.replace("[\"web reads its own\"]", "[\"another\"]"),
    );
    assert_eq!(desk.run(["policy", "test", "team"]).code, 1);
    let mut json = desk.command(["policy", "test", "team", "--json"]);
    let json: Value = serde_json::from_slice(&json.output().unwrap().stdout).unwrap();
    assert_eq!(json[0]["cases"], 2);
    assert_eq!(json[0]["failures"][0]["expected"]["policies"], json!(["another"]));
}

#[test]
fn what_is_wrong_with_a_directory_is_said_with_its_place() {
    let desk = Desk::bare();
    desk.run(["policy", "test", "team"]).refused(1, "No such file");
    team(&desk);
    desk.write("team/web.cedar", WEB.replace("principal.uid", "principal.uit"));
    desk.run(["policy", "test", "team"])
        .refused(1, "team/web.cedar: line 7, column 8: policy 1: attribute `uit`");
    desk.write("team/web.cedar", WEB);
    desk.write(
        "team/cases.toml",
        CASES.replace("decision = \"deny\"", "verdict = \"deny\""),
    );
    desk.run(["policy", "test", "team"])
        .refused(1, "team/cases.toml: line ");
    desk.write("team/cases.toml", CASES.replace("readSecret", "read"));
    desk.run(["policy", "test", "team"])
        .refused(1, "case 1: an action is one of");
    desk.write(
        "team/cases.toml",
        CASES.replace("[principals.web]", "[principals.other]"),
    );
    desk.run(["policy", "test", "team"])
        .refused(1, "case 1: it names a principal that the file does not have");
    std::fs::remove_file(desk.file("team/cases.toml")).unwrap();
    desk.run(["policy", "test", "team"])
        .refused(1, "there are no cases in it");
    std::fs::remove_file(desk.file("team/web.cedar")).unwrap();
    desk.run(["policy", "test", "team"])
        .refused(1, "there is no policy in it");
}

#[test]
fn a_policy_that_decides_no_case_is_warned_of() {
    let desk = Desk::bare();
    team(&desk);
    desk.write(
        "team/more.cedar",
        "permit (principal, action == Action::\"watch\", resource);\n",
    );
    let ran = desk.run(["policy", "test", "team"]);
    assert!(
        ran.stderr
            .contains("no case is decided by policy \"prod/policy/more#1\""),
        "{}",
        ran.stderr
    );
    ran.ok();
}

#[test]
fn apply_commits_what_differs_and_prunes_when_asked() {
    let desk = Desk::new();
    team(&desk);
    let plan = desk.json(["policy", "apply", "prod", "team", "--dry-run"]);
    assert_eq!(plan["changes"][0]["path"], "policy/web");
    assert_eq!(plan["changes"][0]["action"], "created");
    let first = desk.json(["policy", "apply", "prod", "team"]);
    assert_eq!(first["committed"], true);
    let again = desk.json(["policy", "apply", "prod", "team"]);
    assert_eq!(again["committed"], false);
    desk.write(
        "team/more.cedar",
        "permit (principal, action == Action::\"watch\", resource);\n",
    );
    let second = desk.json(["policy", "apply", "prod", "team"]);
    assert_eq!(second["changes"].as_array().unwrap().len(), 1);
    std::fs::remove_file(desk.file("team/more.cedar")).unwrap();
    let third = desk.json(["policy", "apply", "prod", "team"]);
    assert_eq!(
        third["committed"], false,
        "what the directory has not stays without --prune"
    );
    let fourth = desk.json(["policy", "apply", "prod", "team", "--prune"]);
    assert_eq!(fourth["changes"][0]["action"], "deleted");
    let list = desk.json(["policy", "list", "prod"]);
    let entries = &list["environments"][0]["entries"];
    assert_eq!(entries.as_array().unwrap().len(), 1);
    assert_eq!(entries[0]["path"], "policy/web");
    assert_eq!(list["environments"][0]["policies"], json!(["web reads its own"]));
    // Cases that fail keep it out.
    desk.write("team/web.cedar", WEB.replace("1000", "1001"));
    desk.run(["policy", "apply", "prod", "team"])
        .refused(1, "1 cases are decided otherwise");
}

#[test]
fn list_shows_what_is_inherited_and_what_is_built_in() {
    let desk = Desk::new();
    team(&desk);
    desk.ok(["environment", "add", "eu", "--parent", "prod"]);
    desk.ok(["environment", "add", "dev"]);
    desk.ok(["policy", "apply", "prod", "team"]);
    let table = desk.ok(["policy", "list"]);
    let line = |environment: &str| {
        let line = table.lines().find(|line| line.starts_with(environment)).unwrap();
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(line("eu")[1], "prod/policy/web");
    assert_eq!(line("prod")[1], "prod/policy/web");
    assert_eq!(line("dev")[1..], ["(built", "in)"]);
    assert_eq!(
        desk.json(["policy", "list", "dev"])["environments"][0]["built_in"],
        true
    );
}

#[test]
fn explain_names_the_policy_and_the_reason() {
    let desk = Desk::new();
    team(&desk);
    let read = |path: &str, who: &[&str]| {
        let mut arguments = vec![
            "policy",
            "explain",
            "prod",
            "--action",
            "readSecret",
            "--path",
            path,
        ];
        arguments.extend(who);
        desk.json(arguments)
    };
    let before = read("web/key", &["--uid", "7"]);
    assert_eq!(
        (before["decision"].as_str(), before["built_in"].as_bool()),
        (Some("allow"), Some(true))
    );
    assert!(
        before["reason"]
            .as_str()
            .unwrap()
            .contains("prod has no policy of its own")
    );
    let forbid = "@id(\"not from web-old\")\nforbid (principal, action, resource) when { principal has unit && principal.unit == \"web-old.service\" };\n";
    desk.write(
        "team/old.cedar",
        forbid.replace("principal,", "principal is Workload,"),
    );
    desk.ok(["policy", "apply", "prod", "team"]);
    let allowed = read("web/key", &["--uid", "1000"]);
    assert_eq!(allowed["decision"], "allow");
    assert_eq!(allowed["policies"], json!(["web reads its own"]));
    assert_eq!(allowed["asked"], json!(["not from web-old", "web reads its own"]));
    let none = read("payments/key", &["--uid", "1000"]);
    assert_eq!(
        (none["decision"].as_str(), &none["policies"]),
        (Some("deny"), &json!([]))
    );
    assert!(
        none["reason"]
            .as_str()
            .unwrap()
            .starts_with("no policy permits it")
    );
    let forbidden = read("web/key", &["--uid", "1000", "--unit", "web-old.service"]);
    assert_eq!(forbidden["policies"], json!(["not from web-old"]));
    assert!(
        forbidden["reason"]
            .as_str()
            .unwrap()
            .starts_with("forbidden by not from web-old")
    );
    let text = desk.ok([
        "policy",
        "explain",
        "prod",
        "--action",
        "readSecret",
        "--path",
        "web/key",
        "--uid",
        "1000",
    ]);
    assert!(
        text.starts_with("allow  readSecret web/key in prod at revision"),
        "{text}"
    );
    assert!(text.contains("* permit  web reads its own"), "{text}");
    desk.run(["policy", "explain", "prod", "--action", "commit", "--path", "a"])
        .refused(2, "commit is for members");
    desk.run([
        "policy", "explain", "prod", "--action", "commit", "--path", "a", "--member", "nobody",
    ])
    .refused(1, "there is no member");
}

#[test]
fn explain_knows_who_asks_over_tcp() {
    let desk = Desk::new();
    team(&desk);
    let guests = r#"@id("guests see what is public")
permit (principal is Workload, action == Action::"evaluateFlag", resource in Path::"prod/public")
when { principal has listener };
"#;
    desk.write("team/guests.cedar", guests);
    desk.ok(["policy", "apply", "prod", "team"]);
    let evaluate = |path: &str| {
        let arguments = [
            "policy",
            "explain",
            "prod",
            "--action",
            "evaluateFlag",
            "--path",
            path,
        ];
        let mut arguments = Vec::from(arguments);
        arguments.extend(["--listener", "tcp"]);
        desk.json(arguments)
    };
    let public = evaluate("public/theme");
    assert_eq!(public["decision"], "allow");
    assert_eq!(public["policies"], json!(["guests see what is public"]));
    // the policy of another service asks for a uid, which nobody over TCP has
    let other = evaluate("web/theme");
    assert_eq!(other["decision"], "deny");
    assert_ne!(other["errors"], json!([]));
    assert!(public["reason"].as_str().unwrap().contains("listener.flags"));
    // whatever policies say
    let all = "permit (principal is Workload, action, resource) when { principal has listener };";
    desk.write("team/guests.cedar", all);
    desk.ok(["policy", "apply", "prod", "team"]);
    let mut arguments = vec!["policy", "explain", "prod", "--action", "readSecret"];
    arguments.extend(["--path", "web/key", "--listener", "tcp"]);
    let secret = desk.json(arguments);
    assert_eq!(secret["decision"], "deny");
    assert!(
        secret["reason"]
            .as_str()
            .unwrap()
            .starts_with("nothing but flags")
    );
    for more in [["--uid", "0"], ["--unit", "web.service"], ["--member", "alice"]] {
        let mut arguments = vec!["policy", "explain", "prod", "--action", "evaluateFlag"];
        arguments.extend(["--path", "public/theme", "--listener", "tcp"]);
        arguments.extend(more);
        desk.run(arguments).refused(2, "cannot be used with");
    }
}

#[test]
fn explain_takes_no_uid_for_granted_and_asks_role_and_compartments() {
    let desk = Desk::new();
    desk.put("prod", "web/a", CANARY);
    let of = |action: &str, who: &[&str]| {
        let mut arguments = vec!["policy", "explain", "prod", "--action", action, "--path", "web/a"];
        arguments.extend(who);
        desk.run(arguments)
    };
    of("readSecret", &["--unit", "web.service"]).refused(2, "a workload has a uid");
    of("commit", &["--member", "alice", "--uid", "0"]).refused(2, "cannot be used with");
    desk.member("reads", "reader", &["prod"]);
    desk.member("writes", "writer", &["prod"]);
    desk.ok(["compartment", "add", "apart", "--yes"]);
    desk.member("elsewhere", "writer", &["apart"]);
    desk.member("rotates", "rotator", &["prod"]);
    for (member, action, decision, reason) in [
        ("alice", "commit", "allow", "permitted by"),
        ("writes", "commit", "allow", "permitted by"),
        ("writes", "administer", "deny", "is a writer"),
        (
            "reads",
            "commit",
            "deny",
            "reads is a reader, and that role may not commit",
        ),
        ("rotates", "rotate", "allow", "permitted by"),
        ("rotates", "commit", "deny", "is a rotator"),
        (
            "elsewhere",
            "commit",
            "deny",
            "does not open the compartment prod",
        ),
    ] {
        let said = desk.json([
            "policy", "explain", "prod", "--action", action, "--path", "web/a", "--member", member,
        ]);
        assert_eq!(said["decision"], decision, "{member} {action}: {said}");
        let told = said["reason"].as_str().unwrap();
        assert!(told.contains(reason), "{member} {action}: {told}");
    }
}

#[test]
fn apply_says_who_could_write_no_more_and_that_nothing_was_tried() {
    let desk = Desk::new();
    desk.put("prod", "web/a", CANARY);
    let applied = |more: &[&str]| {
        let mut arguments = vec!["policy", "apply", "prod", "team", "--dry-run"];
        arguments.extend(more);
        let output = desk.command(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    team(&desk);
    let said = applied(&[]);
    assert!(
        said.contains("no member may change an entry of prod, admins neither"),
        "{said}"
    );
    desk.write(
        "team/members.cedar",
        "permit (principal == Member::\"bob\", action, resource);\n",
    );
    let said = applied(&[]);
    assert!(said.contains("you may change no entry that prod has"), "{said}");
    desk.write(
        "team/members.cedar",
        "permit (principal is Member, action, resource);\n",
    );
    std::fs::create_dir(desk.file("team/more")).unwrap();
    desk.write("team/strongroom.toml", "store = \"sqlite:x\"\n");
    let said = applied(&[]);
    assert!(!said.contains("may change"), "{said}");
    assert!(
        said.contains("team/more: a directory within it is left out")
            && said.contains("team/strongroom.toml: not taken for cases"),
        "{said}"
    );
    std::fs::remove_file(desk.file("team/cases.toml")).unwrap();
    let said = applied(&[]);
    assert!(said.contains("there are no cases in it"), "{said}");
}

#[test]
fn cases_that_are_about_another_environment_prove_nothing() {
    let desk = Desk::new();
    desk.ok(["environment", "add", "staging", "--yes"]);
    team(&desk);
    desk.write("team/cases.toml", format!("environment = \"prod\"\n{CASES}"));
    desk.run(["policy", "apply", "staging", "team"])
        .refused(1, "no case is about");
    // without a name they are about the one that is applied to, and fail: the policy says prod
    desk.write("team/cases.toml", CASES);
    desk.run(["policy", "apply", "staging", "team"])
        .refused(1, "cases are decided otherwise");
}

#[test]
fn what_others_wrote_into_a_case_file_does_not_reach_the_terminal() {
    let desk = Desk::bare();
    team(&desk);
    let hostile = "x\\u001b[31mEVIL\\u0007";
    for text in [
        CASES.replace(
            "[[case]]\nprincipal = \"web\"",
            &format!("[[case]]\nprincipal = \"{hostile}\""),
        ),
        CASES.replace("uid = 1000", &format!("uid = 1000\n\"{hostile}\" = 1")),
        CASES
            .replace("uid = 1000", "uid = 1001")
            .replace("web reads its own", hostile),
        CASES.replace("decision = \"deny\"", &format!("decision = \"{hostile}\"")),
    ] {
        desk.write("team/cases.toml", text);
        let output = desk.command(["policy", "test", "team"]).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said = [output.stdout, output.stderr].concat();
        assert!(
            !said.iter().any(|byte| *byte == 0x1b || *byte == 0x07),
            "{}",
            String::from_utf8_lossy(&said).escape_debug()
        );
    }
}

#[test]
fn only_regular_files_of_bounded_size_are_read() {
    let desk = Desk::bare();
    std::fs::create_dir(desk.file("team")).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(desk.file("team/web.cedar"))
        .status()
        .unwrap();
    assert!(made.success());
    desk.run(["policy", "fmt", "team/web.cedar"])
        .refused(1, "it is no regular file");
    desk.run(["policy", "test", "team"])
        .refused(1, "it is no regular file");
    let unformatted = "permit(principal,action,resource);";
    desk.feed(["policy", "fmt", "--check"], unformatted)
        .refused(1, "standard input is not formatted");
    desk.feed(["policy", "fmt", "--json"], unformatted)
        .refused(2, "--json is for files");
    desk.run(["policy", "fmt", "/dev/zero"])
        .refused(1, "it is no regular file");
}

#[test]
fn a_member_is_kept_to_its_paths_with_exit_code_3() {
    let desk = Desk::new();
    desk.put("prod", "web/a", CANARY);
    desk.put("prod", "payments/a", CANARY);
    let ann = desk.member("ann", "writer", &["prod"]);
    let members = shipped().join("members");
    desk.ok([
        "policy".as_ref(),
        "apply".as_ref(),
        "prod".as_ref(),
        members.as_os_str(),
    ]);
    let as_ann = |arguments: &[&str]| {
        let mut command = desk.command(arguments);
        Ran::of(command.env("STRONGROOM_IDENTITY", &ann).output().unwrap())
    };
    as_ann(&["put", "prod", "web/a", "--value", "2"]).ok();
    as_ann(&["put", "prod", "payments/a", "--value", "2"])
        .refused(3, "rotate \"payments/a\" in \"prod\": no policy permits it");
    as_ann(&["delete", "prod", "payments/a"]).refused(3, "no policy permits it");
    as_ann(&["delete", "prod", "policy/paths"]).refused(3, "may not delete");
    let explained = desk.json([
        "policy",
        "explain",
        "prod",
        "--action",
        "commit",
        "--path",
        "payments/a",
        "--member",
        "ann",
    ]);
    assert_eq!(explained["decision"], "deny");
}
