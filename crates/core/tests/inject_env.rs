//! Environment variables: names by rule and by hand, and every problem told at once.
#![cfg(feature = "inject")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod inject_kit;

use std::process::Command;

use inject_kit::{material, path};
use proptest::prelude::*;
use strongroom_core::inject::env::{EnvError, EnvProblem, EnvSettings, VariableName};
use strongroom_core::inject::{Made, Material};
use strongroom_core::secret::Secret;

fn under(prefix: &str) -> EnvSettings {
    EnvSettings {
        prefix: Some(path(prefix)),
        ..EnvSettings::default()
    }
}

fn named(settings: &EnvSettings, material: &Material) -> Vec<String> {
    let variables = settings.variables(material).unwrap();
    let pairs = variables.iter().map(|(name, value)| {
        let text = value.expose(|bytes| String::from_utf8_lossy(bytes).into_owned());
        format!("{name}={text}")
    });
    pairs.collect()
}

fn problems(settings: &EnvSettings, material: &Material) -> Vec<EnvProblem> {
    match settings.variables(material) {
        Err(EnvError::Problems(problems)) => problems,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_rule_makes_names_of_what_follows_the_prefix() {
    let all = material(
        1,
        &[
            ("web/database/password", b"a"),
            ("web/2fa.key", b"b"),
            ("web", b"c"),
            ("webs/x", b"d"),
            ("web/straße-ü", b"e"),
        ],
    );
    assert_eq!(
        named(&under("web"), &all),
        ["DATABASE_PASSWORD=a", "STRA_E__=e", "WEB=c", "_2FA_KEY=b"]
    );
    assert_eq!(
        named(&EnvSettings::default(), &all),
        [
            "WEB=c",
            "WEBS_X=d",
            "WEB_2FA_KEY=b",
            "WEB_DATABASE_PASSWORD=a",
            "WEB_STRA_E__=e"
        ]
    );
}

#[test]
fn a_given_name_takes_the_place_of_the_rule_and_reaches_outside_the_prefix() {
    let all = material(1, &[("web/a", b"1"), ("shared/ca", b"2"), ("web/b", b"3")]);
    let mut settings = under("web");
    settings.names = vec![
        ("TOKEN".parse().unwrap(), path("web/a")),
        ("CA".parse().unwrap(), path("shared/ca")),
        ("CA2".parse().unwrap(), path("shared/ca")),
    ];
    assert_eq!(named(&settings, &all), ["B=3", "CA=2", "CA2=2", "TOKEN=1"]);
    settings.derive = false;
    assert_eq!(named(&settings, &all), ["CA=2", "CA2=2", "TOKEN=1"]);
}

#[test]
fn a_collision_names_both_paths() {
    let all = material(1, &[("a-b", b"1"), ("a_b", b"2"), ("a/b", b"3"), ("c", b"4")]);
    let found = problems(&EnvSettings::default(), &all);
    assert_eq!(found.len(), 2, "{found:?}");
    let text = EnvError::Problems(found).to_string();
    for part in ["a-b", "a_b", "a/b", "$A_B", "NAME=path"] {
        assert!(text.contains(part), "{text}");
    }
    assert!(!text.contains("$C"), "{text}");
}

#[test]
fn everything_that_cannot_be_a_variable_is_listed_without_its_value() {
    let long = vec![b'x'; 128 * 1024];
    let all = material(
        1,
        &[
            ("nul", b"canary\0canary"),
            ("long", &long),
            ("ld/preload", b"canary"),
            ("path", b"c"),
            ("strongroom/socket", b"canary"),
        ],
    );
    let found = problems(&EnvSettings::default(), &all);
    let reserved = |name: &str, at: &str| EnvProblem::Reserved {
        name: name.parse().unwrap(),
        path: path(at),
    };
    assert_eq!(
        found,
        [
            EnvProblem::Nul { path: path("nul") },
            EnvProblem::TooLong { path: path("long") },
            reserved("LD_PRELOAD", "ld/preload"),
            reserved("PATH", "path"),
            reserved("STRONGROOM_SOCKET", "strongroom/socket"),
        ]
    );
    assert!(!EnvError::Problems(found).to_string().contains("canary"));
}

#[test]
fn a_reserved_name_is_given_by_hand_only() {
    let all = material(1, &[("path", b"/bin")]);
    let settings = EnvSettings {
        names: vec![("PATH".parse().unwrap(), path("path"))],
        ..EnvSettings::default()
    };
    assert_eq!(named(&settings, &all), ["PATH=/bin"]);
}

#[test]
fn the_longest_variable_is_the_longest_that_starts() {
    let start = |length: usize| {
        let all = material(1, &[("v", &vec![b'x'; length])]);
        let settings = EnvSettings::default();
        let variables = settings.variables(&all).ok()?;
        let mut command = Command::new("true");
        variables.apply(&mut command);
        Some(command.status())
    };
    let most = 128 * 1024 - "V=".len() - 1;
    assert!(start(most).unwrap().unwrap().success());
    assert!(start(most + 1).is_none());
}

#[test]
fn all_that_is_missing_is_listed_at_once() {
    let all = material(7, &[("web/a", b"1")]);
    let wanted = [path("web/x"), path("web/a"), path("web/y"), path("web/x")];
    let missing = all.require(&wanted).unwrap_err();
    assert_eq!(missing.paths, [path("web/x"), path("web/y")]);
    assert!(
        missing
            .to_string()
            .starts_with("revision 7 lacks web/x and web/y:"),
        "{missing}"
    );

    let mut settings = under("web");
    settings.names = vec![
        ("X".parse().unwrap(), path("web/x")),
        ("Y".parse().unwrap(), path("web/y")),
    ];
    match settings.variables(&all) {
        Err(EnvError::Missing(missing)) => assert_eq!(missing.paths.len(), 2),
        other => panic!("{other:?}"),
    }
}

#[test]
fn binary_and_empty_values_arrive_as_they_are() {
    let all = material(1, &[("a", b"\xff\n"), ("b", b"")]);
    let mut command = Command::new("sh");
    EnvSettings::default()
        .variables(&all)
        .unwrap()
        .apply(&mut command);
    let script = r#"test "${B+set}" = set && test -z "$B" && printf %s "$A" | od -An -tx1"#;
    let output = command.args(["-c", script]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "ff 0a");
}

#[test]
fn nothing_is_shown_in_debug() {
    let all = material(1, &[("a", b"canary")]);
    let settings = EnvSettings::default();
    let text = format!("{:?} {all:?}", settings.variables(&all).unwrap());
    assert!(text.contains('A') && !text.contains("canary"), "{text}");
}

proptest! {
    #[test]
    fn every_derived_name_is_one_that_can_be_given(rest in "[^/\\x00]{1,40}(/[^/\\x00]{1,40}){0,3}") {
        let name = VariableName::derive(&rest);
        prop_assert_eq!(VariableName::new(name.as_str()), Ok(name.clone()));
        prop_assert_eq!(VariableName::derive(&rest), name);
    }
}

fn made(name: &str, is_named: bool, text: &str) -> Made {
    Made {
        name: name.to_owned(),
        is_named,
        of: format!("the template of {name}"),
        bytes: Secret::new(text.into()),
    }
}

#[test]
fn what_was_made_is_a_variable_under_its_name() {
    let mut material = material(1, &[("a/b", b"1"), ("template/t", b"{{ 1 }}")]);
    material.made = vec![made("URL", true, "x"), made("LD_PRELOAD", true, "y")];
    let settings = EnvSettings::default();
    let variables = settings.variables(&material).unwrap();
    let names: Vec<&str> = variables.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["A_B", "LD_PRELOAD", "URL"]);
    material.made.extend([
        made("A_B", true, "x"),
        made("LD_LIBRARY_PATH", false, "x"),
        made("1", true, "x"),
        made("N", true, "\0"),
        made("L", true, &"x".repeat(128 * 1024)),
    ]);
    let error = settings.variables(&material).unwrap_err();
    let EnvError::Problems(problems) = error else {
        panic!("{error}")
    };
    let names: Vec<_> = problems
        .iter()
        .map(|problem| match problem {
            EnvProblem::Made { name, .. } => name.as_str(),
            problem => panic!("{problem}"),
        })
        .collect();
    assert_eq!(names, ["A_B", "LD_LIBRARY_PATH", "1", "N", "L"]);
}
