//! The grammar of names: what it accepts comes back byte for byte, and every rule refuses.
#![allow(clippy::unwrap_used)]

use std::fmt::{Debug, Display};
use std::str::FromStr;

use proptest::prelude::*;
use strongroom_core::name::{CompartmentName, EntryPath, EnvironmentName, FlagKey, MemberName, NameError};

const FORBIDDEN: [char; 12] = ['%', '\\', '?', '#', '*', '"', '\'', '$', '{', ',', ';', '\0'];

fn problem<N: FromStr<Err = NameError>>(text: &str) -> &'static str {
    match text.parse::<N>() {
        Ok(_) => "accepted",
        Err(error) => error.problem,
    }
}

fn roundtrips<N: FromStr<Err = NameError> + Display + Debug>(text: &str) -> bool {
    text.parse::<N>()
        .is_ok_and(|name| name.to_string() == text && format!("{name:?}") == format!("{text:?}"))
}

proptest! {
    #[test]
    fn environments_and_compartments(text in "[a-z0-9][a-z0-9_-]{0,62}") {
        prop_assert!(roundtrips::<EnvironmentName>(&text));
        prop_assert!(roundtrips::<CompartmentName>(&text));
    }

    #[test]
    fn members(text in "[A-Za-z0-9_@][A-Za-z0-9_.@-]{0,127}") {
        prop_assert!(roundtrips::<MemberName>(&text));
    }

    #[test]
    fn paths_of_ascii(
        segments in prop::collection::vec("[A-Za-z0-9_@:+=~-][A-Za-z0-9._@:+=~-]{0,62}", 1..8),
    ) {
        let text = segments.join("/");
        prop_assert!(roundtrips::<EntryPath>(&text));
        prop_assert!(segments.iter().all(|segment| roundtrips::<FlagKey>(segment)));
    }

    /// Of any text whatever: no panic, and what is accepted keeps every promise of the grammar.
    #[test]
    fn anything(text in prop_oneof![any::<String>(), "[a-zA-Z0-9./_\\-é\u{301}\u{200b}%\\\\ ]{0,20}"]) {
        let _ = problem::<EnvironmentName>(&text);
        let _ = problem::<MemberName>(&text);
        if text.parse::<FlagKey>().is_ok() {
            prop_assert!(roundtrips::<EntryPath>(&text) && !text.contains('/'));
        }
        if text.parse::<EntryPath>().is_ok() {
            prop_assert!(roundtrips::<EntryPath>(&text));
            prop_assert!(text.len() <= 512 && unicode_normalization::is_nfc(&text));
            prop_assert!(!text.contains(FORBIDDEN));
            prop_assert!(!text.contains(char::is_whitespace) && !text.contains(char::is_control));
            for segment in text.split('/') {
                prop_assert!(segment.parse::<FlagKey>().is_ok());
                prop_assert!((1..=128).contains(&segment.len()));
                prop_assert!(segment != "." && !segment.starts_with(".."));
            }
        }
    }

    #[test]
    fn a_path_is_under_its_prefixes_only(
        segments in prop::collection::vec("[a-b]{1,2}", 1..5),
        other in prop::collection::vec("[a-b]{1,2}", 1..5),
    ) {
        let path = EntryPath::new(&segments.join("/")).unwrap();
        let prefix = EntryPath::new(&other.join("/")).unwrap();
        prop_assert_eq!(path.is_under(&prefix), segments.starts_with(&other));
    }
}

#[test]
fn every_rule_for_environments_refuses() {
    let long = "a".repeat(64);
    for (text, expected) in [
        ("", "it is empty"),
        ("-a", "it starts with something else than a letter or a digit"),
        ("_a", "it starts with something else than a letter or a digit"),
        (&long, "it is longer than 63 bytes"),
        ("Prod", "it has an upper-case letter"),
        (
            "prod eu",
            "only the letters a to z, digits, `-` and `_` are allowed",
        ),
        (
            "prod/eu",
            "only the letters a to z, digits, `-` and `_` are allowed",
        ),
        (".", "only the letters a to z, digits, `-` and `_` are allowed"),
        ("..", "only the letters a to z, digits, `-` and `_` are allowed"),
        ("prød", "only the letters a to z, digits, `-` and `_` are allowed"),
        (
            "prod\n",
            "only the letters a to z, digits, `-` and `_` are allowed",
        ),
        (
            "prod\0",
            "only the letters a to z, digits, `-` and `_` are allowed",
        ),
    ] {
        assert_eq!(problem::<EnvironmentName>(text), expected, "{text:?}");
        assert_eq!(problem::<CompartmentName>(text), expected, "{text:?}");
    }
    assert_eq!(problem::<EnvironmentName>(&"a".repeat(63)), "accepted");
}

#[test]
fn every_rule_for_members_refuses() {
    let long = "a".repeat(129);
    let others = "only the letters a to z and A to Z, digits, `-`, `_`, `.` and `@` are allowed";
    for (text, expected) in [
        ("", "it is empty"),
        (".alice", "it starts with `.` or `-`"),
        ("-alice", "it starts with `.` or `-`"),
        (&long, "it is longer than 128 bytes"),
        ("alice smith", others),
        ("alice/bob", others),
        ("älice", others),
        ("\u{430}lice", others),
        ("alice\t", others),
    ] {
        assert_eq!(problem::<MemberName>(text), expected, "{text:?}");
    }
    assert_eq!(problem::<MemberName>("Alice.Smith@example.org"), "accepted");
    assert_eq!(problem::<MemberName>(&"a".repeat(128)), "accepted");
}

#[test]
fn every_rule_for_paths_refuses() {
    let long = ["a".repeat(128).as_str(); 4].join("/") + "a";
    let long_segment = "a".repeat(129);
    let characters = "only letters, digits and `-_.@:+=~` are allowed in a segment";
    for (text, expected) in [
        ("", "it is empty"),
        (long.as_str(), "it is longer than 512 bytes"),
        (long_segment.as_str(), "a segment is longer than 128 bytes"),
        ("/", "it starts with `/`"),
        ("/a", "it starts with `/`"),
        ("a/", "it ends with `/`"),
        ("a//b", "it has an empty segment: `//`"),
        (".", "a segment is `.` or starts with `..`"),
        ("..", "a segment is `.` or starts with `..`"),
        ("a/./b", "a segment is `.` or starts with `..`"),
        ("a/../b", "a segment is `.` or starts with `..`"),
        ("a/..", "a segment is `.` or starts with `..`"),
        ("..data/a", "a segment is `.` or starts with `..`"),
        ("a\0b", "it has a control character"),
        ("a\nb", "it has a control character"),
        ("a\u{7f}", "it has a control character"),
        ("a\u{85}", "it has a control character"),
        ("a b", "it has a space"),
        ("a\u{a0}b", "it has a space"),
        ("a\u{2028}b", "it has a space"),
        ("a\u{3000}b", "it has a space"),
        ("a%2e", characters),
        ("a\\b", characters),
        ("a?b", characters),
        ("a#b", characters),
        ("a*", characters),
        ("a,b", characters),
        ("a\u{200b}b", characters),
        ("a\u{202e}b", characters),
        ("a\u{2066}b", characters),
        ("a\u{feff}", characters),
        ("a\u{ad}b", characters),
        ("a\u{3164}", characters),
        ("a\u{2215}b", characters),
        ("a\u{ff0f}b", characters),
        ("\u{1f511}", characters),
        ("e\u{301}", "it is not in Unicode's composed form (NFC)"),
        ("\u{212b}", "it is not in Unicode's composed form (NFC)"),
        ("\u{1100}\u{1161}", "it is not in Unicode's composed form (NFC)"),
    ] {
        assert_eq!(problem::<EntryPath>(text), expected, "{text:?}");
    }
    assert_eq!(problem::<FlagKey>("a/b"), "it has a `/`");
    for text in [
        "web/database/password",
        ".env",
        "a/.npmrc",
        "Größe/パスワード/ключ",
        "user@host:5432",
        "A=b+c~d_e-f.g",
        &["a".repeat(128).as_str(); 3].join("/"),
    ] {
        assert!(roundtrips::<EntryPath>(text), "{text:?}");
    }
}

/// Unicode's Default_Ignorable_Code_Point, and what sets a direction or ends a line.
#[test]
fn no_invisible_or_steering_character_is_accepted() {
    let ranges = [
        0x00..=0x20,
        0x7f..=0xa0,
        0xad..=0xad,
        0x34f..=0x34f,
        0x61c..=0x61c,
        0x115f..=0x1160,
        0x1680..=0x1680,
        0x17b4..=0x17b5,
        0x180b..=0x180f,
        0x2000..=0x200f,
        0x2028..=0x202f,
        0x205f..=0x206f,
        0x2800..=0x2800,
        0x3000..=0x3000,
        0x3164..=0x3164,
        0xe000..=0xf8ff,
        0xfe00..=0xfe0f,
        0xfeff..=0xfeff,
        0xffa0..=0xffa0,
        0xfff0..=0xffff,
        0x1_bca0..=0x1_bca3,
        0x1_d173..=0x1_d17a,
        0xe_0000..=0xe_0fff,
        0xf_0000..=0x10_ffff,
    ];
    for char in ranges.into_iter().flatten().filter_map(char::from_u32) {
        for text in [format!("{char}"), format!("a{char}b"), format!("a/{char}/b")] {
            assert!(text.parse::<EntryPath>().is_err(), "{char:?}");
        }
    }
}

#[test]
fn errors_say_which_kind_and_never_the_text() {
    let error = EntryPath::new("canary canary").unwrap_err();
    assert_eq!(error.to_string(), "the path is not valid: it has a space");
    assert!(!format!("{error:?}").contains("canary"));
}
