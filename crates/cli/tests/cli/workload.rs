//! Processes as a sidecar sees them, without a store or an identity.

use crate::desk::Desk;

#[test]
fn a_process_is_explained_with_where_each_attribute_comes_from() {
    let desk = Desk::bare();
    let pid = std::process::id().to_string();
    let text = desk.ok(["workload", "explain", &pid]);
    let row = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(&format!("{name} ")));
        let line = line.unwrap_or_else(|| panic!("no {name}: {text}"));
        line.split_whitespace()
            .skip(1)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let uid = rustix::process::geteuid().as_raw().to_string();
    assert_eq!(row("uid"), [uid, format!("/proc/{pid}/status")]);
    let own = std::env::current_exe().unwrap().display().to_string();
    assert_eq!(row("executable"), [own.clone(), format!("/proc/{pid}/exe")]);
    assert_eq!(row("sha256")[0].len(), 64);
    assert_eq!(row("cgroup")[1], format!("/proc/{pid}/cgroup"));

    let json: serde_json::Value =
        serde_json::from_str(&desk.ok(["workload", "explain", &pid, "--json"])).unwrap();
    assert_eq!(json["kernel"]["executable"]["path"], own);
    assert_eq!(json["engine"], serde_json::Value::Null);
    assert_eq!(json["from"]["uid"], format!("/proc/{pid}/status"));
    // whether they are known or not, under names that scripts can rely on
    let mut keys: Vec<_> = json["from"].as_object().unwrap().keys().collect();
    keys.sort();
    let expected = [
        "cgroup",
        "container",
        "container_user",
        "executable",
        "executable_sha256",
        "gid",
        "groups",
        "pid",
        "pod",
        "runtime",
        "uid",
        "unit",
        "user_unit",
    ];
    assert_eq!(keys, expected);
}

#[test]
fn what_cannot_be_explained_says_why() {
    let desk = Desk::bare();
    let gone = i32::MAX.to_string();
    let ran = desk.run(["workload", "explain", &gone]);
    assert!(
        ran.code == 1 && ran.stderr.contains("no such process"),
        "{}",
        ran.stderr
    );
    for arguments in [
        &["workload", "explain", "0"][..],
        &["workload", "explain", "-1"],
        &["workload", "explain", "1", "--engine", "tcp://127.0.0.1:2375"],
        &["workload"],
        &["sidecar", "whoami"],
    ] {
        assert_eq!(desk.run(arguments).code, 2, "{arguments:?}");
    }
    let ran = desk.run(["sidecar", "whoami", "--socket", "/nowhere/s.sock"]);
    assert!(
        ran.code == 5 && ran.stderr.contains("no sidecar answers"),
        "{}",
        ran.stderr
    );
}
