//! watch: a commit of another process arrives.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::desk::{CANARY, Desk};

#[test]
fn changes_arrive_as_they_are_committed() {
    let desk = Desk::new();
    let mut child = desk
        .command(["watch", "prod", "--prefix", "web", "--json"])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert!(line.starts_with("watching sqlite:"), "{line}");
    desk.put("prod", "other", CANARY);
    desk.put("prod", "web/a", CANARY);
    let mut events = BufReader::new(child.stdout.take().unwrap()).lines();
    let event: serde_json::Value = serde_json::from_str(&events.next().unwrap().unwrap()).unwrap();
    let change = serde_json::json!({"environment": "prod", "path": "web/a", "kind": "secret", "action": "created", "version": 1});
    assert_eq!(
        (&event["event"], &event["changes"]),
        (&"revision".into(), &serde_json::json!([change]))
    );
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn once_ends_after_the_first_change() {
    let desk = Desk::new();
    let mut child = desk.command(["watch", "--once"]).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    said.read_line(&mut String::new()).unwrap();
    desk.put("prod", "a", CANARY);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("+ prod a  (secret) version 1") && !text.contains(CANARY),
        "{text}"
    );
    desk.run(["watch", "nope"]).refused(1, "there is no environment");
}
