//! The grammar of OpenMetrics text, as far as the sidecar uses it: owns reading a page strictly, by the
//! specification and not by what writes it.

use std::collections::{BTreeMap, BTreeSet};

/// Each sample by its name and labels as they are written.
pub type Samples = BTreeMap<String, f64>;

#[derive(Default)]
struct Family {
    name: String,
    kind: String,
    has_samples: bool,
}

/// Reads a page.
///
/// # Panics
/// Where it breaks the grammar.
pub fn read(page: &str) -> Samples {
    let lines = page.strip_suffix("# EOF\n").expect("it ends with EOF");
    let mut samples = Samples::new();
    let mut names = BTreeSet::new();
    let mut family = Family::default();
    for line in lines.split_terminator('\n') {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            let (what, name, text) = (
                words.next().unwrap(),
                words.next().unwrap(),
                words.next().unwrap(),
            );
            assert!(is_name(name, ':'), "{line}");
            if family.name != name {
                assert!(names.insert(name.to_owned()), "twice: {line}");
                family = Family {
                    name: name.to_owned(),
                    ..Family::default()
                };
            }
            // what describes a family comes before its samples
            assert!(!family.has_samples, "{line}");
            match what {
                "HELP" => assert!(!text.is_empty(), "{line}"),
                "TYPE" => {
                    assert!(["counter", "gauge", "info"].contains(&text), "{line}");
                    assert!(family.kind.is_empty(), "twice: {line}");
                    text.clone_into(&mut family.kind);
                }
                "UNIT" => assert!(name.ends_with(&format!("_{text}")), "{line}"),
                _ => panic!("no comment that is known: {line}"),
            }
            continue;
        }
        let (key, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = match key.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}').expect(line)),
            None => (key, ""),
        };
        let suffix = match family.kind.as_str() {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        assert_eq!(
            name,
            format!("{}{suffix}", family.name),
            "not of its family: {line}"
        );
        check_labels(labels, line);
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
        assert!(value.is_finite() && value >= 0.0, "{line}");
        assert!(family.kind != "info" || value == 1.0, "{line}");
        family.has_samples = true;
        assert!(samples.insert(key.to_owned(), value).is_none(), "twice: {line}");
    }
    samples
}

fn is_name(text: &str, more: char) -> bool {
    let is_letter = |c: char| c.is_ascii_alphabetic() || c == '_' || c == more;
    text.starts_with(is_letter) && text.chars().all(|c| is_letter(c) || c.is_ascii_digit())
}

fn check_labels(labels: &str, line: &str) {
    let mut rest = labels;
    let mut names = BTreeSet::new();
    while !rest.is_empty() {
        let (name, quoted) = rest.split_once("=\"").expect(line);
        assert!(is_name(name, '_') && names.insert(name), "{line}");
        let mut escaped = false;
        let end = quoted.find(|c| {
            let ends = c == '"' && !escaped;
            assert!(!escaped || ['"', '\\', 'n'].contains(&c), "{line}");
            escaped = c == '\\' && !escaped;
            ends
        });
        rest = &quoted[end.expect(line) + 1..];
        rest = match rest.strip_prefix(',') {
            Some("") => panic!("{line}"),
            Some(more) => more,
            None => {
                assert!(rest.is_empty(), "{line}");
                rest
            }
        };
    }
}

#[test]
fn what_breaks_the_grammar_is_found() {
    let good = "# HELP a_seconds x y\n# TYPE a_seconds gauge\n# UNIT a_seconds seconds\n\
                a_seconds{b=\"c\\\"},{ \\\\\",d=\"\"} 1.5\na_seconds 2\n\
                # HELP e x\n# TYPE e counter\ne_total 3\n# EOF\n";
    assert_eq!(read(good).len(), 3);
    for (from, to) in [
        ("# EOF\n", ""),
        ("e_total", "e"),
        ("e_total 3", "e_total x"),
        ("e_total 3", "e_total -1"),
        ("# TYPE e counter", "# TYPE e other"),
        ("a_seconds 2", "a_seconds 2\n# HELP a_seconds x"),
        ("e_total 3", "e_total 3\ne_total 3"),
        ("b=", "0b="),
        ("d=", "b="),
        (",d=\"\"", ","),
        ("\\\\\"", "\\x\""),
        ("# UNIT a_seconds seconds", "# UNIT a_seconds bytes"),
        ("# HELP e x", "# HELP a_seconds x"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good);
        assert!(std::panic::catch_unwind(|| read(&bad)).is_err(), "{bad}");
    }
}
