//! `put --generate`: a value that nobody typed, stored and not shown; its public half is.

use crate::desk::Desk;

#[test]
fn a_password_is_stored_and_not_shown() {
    let desk = Desk::new();
    let ran = desk.run(["put", "prod", "web/password", "--generate", "password:length=40"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let value = String::from_utf8(desk.run(["get", "prod", "web/password"]).stdout).unwrap();
    assert_eq!(value.len(), 40);
    assert!(!ran.stderr.contains(&value) && !String::from_utf8_lossy(&ran.stdout).contains(&value));
    let again = desk.json(["put", "prod", "web/password", "--generate", "password"]);
    assert_eq!(again["changes"][0]["version"], 2);
    assert!(again.get("public").is_none());
}

#[test]
fn the_public_half_of_a_key_is_the_answer() {
    let desk = Desk::new();
    let answer = desk.json([
        "put",
        "prod",
        "deploy/key",
        "--generate",
        "ssh-ed25519:comment=deploy",
    ]);
    let public = answer["public"].as_str().unwrap();
    assert!(public.starts_with("ssh-ed25519 AAAA") && public.ends_with(" deploy"));
    let text = desk.ok(["put", "prod", "deploy/age", "--generate", "age"]);
    assert!(text.contains("public age1"), "{text}");
}

#[test]
fn a_certificate_is_signed_by_the_entry_that_is_named() {
    let desk = Desk::new();
    let spec = "x509:dns=web.test,ca=ca/web";
    desk.run(["put", "prod", "web/tls", "--generate", spec])
        .refused(1, "there is no entry");
    desk.ok(["put", "prod", "ca/web", "--generate", "x509-ca:name=Web"]);
    let answer = desk.json(["put", "prod", "web/tls", "--generate", spec]);
    let certificate = answer["public"].as_str().unwrap();
    let value = String::from_utf8(desk.run(["get", "prod", "web/tls"]).stdout).unwrap();
    assert!(value.starts_with("-----BEGIN PRIVATE KEY-----\n") && value.ends_with(certificate));
    desk.ok(["put", "prod", "ca/other", "--generate", "password"]);
    desk.run([
        "put",
        "prod",
        "web/tls",
        "--generate",
        "x509:dns=a.test,ca=ca/other",
    ])
    .refused(1, "the CA cannot sign");
}

#[test]
fn what_cannot_be_generated_is_refused_before_anything_is_stored() {
    let desk = Desk::new();
    for spec in ["passphrase", "password:length=3", "x509:days=3"] {
        let ran = desk.run(["put", "prod", "a", "--generate", spec]);
        assert_eq!(ran.code, 2, "{spec}: {}", ran.stderr);
    }
    desk.run(["put", "prod", "a", "--generate", "age", "--value", "x"])
        .refused(2, "--value");
    desk.run(["put", "prod", "a", "--generate", "age", "--kind", "config"])
        .refused(2, "--generate makes secrets");
    desk.run(["get", "prod", "a"]).refused(1, "there is no entry");
    let plan = desk.json(["put", "prod", "a", "--generate", "age", "--dry-run"]);
    assert_eq!((&plan["dry_run"], plan.get("public")), (&true.into(), None));
}
