//! The bytes of an audit log's lines: documented, canonical and read back.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod audit_kit;

use std::sync::Arc;

use audit_kit::{AT, record, workload};
use proptest::prelude::*;
use strongroom_core::ambient::Timestamp;
use strongroom_core::audit::{Body, Caller, Chain, Line, Name, Names, Note, Position, Subject};
use strongroom_core::id::Hash;
use strongroom_core::name::{EntryPath, EnvironmentName};

fn line_of(encode: impl FnOnce(&mut Vec<u8>)) -> String {
    let (mut body, mut line) = (Vec::new(), Vec::new());
    encode(&mut body);
    Chain::after(Position::START).append(AT, &body, &mut line);
    String::from_utf8(line).unwrap()
}

#[test]
fn a_line_has_the_documented_bytes() {
    let subject = Subject::workload(&workload("/usr/bin/web"));
    let (environment, path) = (
        EnvironmentName::new("prod").unwrap(),
        EntryPath::new("web/db").unwrap(),
    );
    let name = Name {
        environment: &environment,
        path: Some(&path),
    };
    let policies = ["one".into(), "two".into()];
    let line = line_of(|out| record(&subject, &policies, Some(name)).encode(&Names::Clear, out));
    let shown = format!(
        "{{\"seq\":1,\"time\":\"2025-11-29T01:54:07.123Z\",\"revision\":7,\"workload\":{{\"uid\":1000,\"gid\":100,\
         \"pid\":77,\"container\":\"{}\",\"container_of\":1000,\"unit\":\"web.service\",\"executable\":\"/usr/bin/web\"}},\
         \"action\":\"readSecret\",\"entry\":\"abababababababababababababababab\",\"name\":\"prod/web/db\",\
         \"decision\":\"allow\",\"reason\":\"policy\",\"policies\":[\"one\",\"two\"],\"request\":\"000000000000feed\"",
        "c".repeat(64)
    );
    // the hash is that of 32 zeros and of what comes before it
    let hash = Hash::of_parts(&[&[0; 32], shown.as_bytes()]);
    assert_eq!(line, format!("{shown},\"hash\":\"{hash}\"}}\n"));
    let parsed = Line::parse(line.trim_end().as_bytes()).unwrap();
    assert_eq!((parsed.seq, parsed.hash), (1, hash));
    let Body::Record(record) = parsed.body else {
        panic!("a record")
    };
    assert_eq!(record.name.unwrap().get(), "prod/web/db");
    assert_eq!(
        record
            .policies()
            .map(|it| it.get().into_owned())
            .collect::<Vec<_>>(),
        ["one", "two"]
    );
    assert!(matches!(
        record.caller,
        Caller::Workload {
            uid: 1000,
            pid: Some(77),
            ..
        }
    ));
    // any JSON reader reads it
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(value["workload"]["unit"], "web.service");
}

#[test]
fn whoever_asks_through_a_listener_is_called_by_it() {
    let subject = Subject::guest("tcp");
    let line = line_of(|out| record(&subject, &[], None).encode(&Names::Clear, out));
    assert!(
        line.contains("\"revision\":7,\"listener\":\"tcp\",\"action\":"),
        "{line}"
    );
    let parsed = Line::parse(line.trim_end().as_bytes()).unwrap();
    let Body::Record(record) = parsed.body else {
        panic!("a record")
    };
    assert!(matches!(record.caller, Caller::Guest(name) if name.get() == "tcp"));
}

#[test]
fn of_many_policies_some_are_named() {
    let subject = Subject::member("alice");
    let policies: Vec<Arc<str>> = (0..20).map(|at| format!("p{at}").into()).collect();
    let line = line_of(|out| record(&subject, &policies, None).encode(&Names::Clear, out));
    let parsed = Line::parse(line.trim_end().as_bytes()).unwrap();
    let Body::Record(record) = parsed.body else {
        panic!("a record")
    };
    assert_eq!((record.policies().count(), record.more), (16, 4));
}

#[test]
fn times_are_those_of_the_calendar() {
    for (millis, shown) in [
        (0, "1970-01-01T00:00:00.000Z"),
        (951_782_399_999, "2000-02-28T23:59:59.999Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        (u64::MAX, "9999-12-31T23:59:59.999Z"),
    ] {
        let mut line = Vec::new();
        Chain::after(Position::START).append(Timestamp(millis), b"\"note\":\"x\"", &mut line);
        assert_eq!(Line::parse(line.trim_ascii_end()).unwrap().time, shown);
    }
}

#[test]
fn notes_come_back() {
    let line = line_of(|out| {
        Note {
            what: "dropped",
            count: Some(3),
            about: Some("stdout"),
        }
        .encode(out);
    });
    let Body::Note(note) = Line::parse(line.trim_end().as_bytes()).unwrap().body else {
        panic!("a note")
    };
    assert_eq!(
        (note.what.raw(), note.count, note.about.unwrap().raw()),
        ("dropped", Some(3), "stdout")
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_are_too_much(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Line::parse(&bytes);
    }

    /// One spelling only: what parses has no second form that differs in a byte and parses to the same.
    #[test]
    fn any_text_of_a_process_comes_back(path in "\\PC{0,40}|[\\x00-\\x7f]{0,40}") {
        let subject = Subject::workload(&workload(&path));
        let line = line_of(|out| record(&subject, &[], None).encode(&Names::Clear, out));
        prop_assert!(!line.trim_end().contains('\n'));
        let parsed = Line::parse(line.trim_end_matches('\n').as_bytes()).unwrap();
        let Body::Record(record) = parsed.body else { panic!("a record") };
        let Caller::Workload { executable: Some(found), .. } = record.caller else { panic!("a workload") };
        prop_assert_eq!(found.get(), path.as_str());
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        prop_assert_eq!(value["workload"]["executable"].as_str().unwrap(), path.as_str());
    }
}
