//! The threat model in docs/security.md: every row of the table names tests, and each of them is
//! there.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use strongroom_tests::program::workspace;

/// The names of all test functions below `directory`.
fn tests(directory: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tests(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            for part in text.split("#[test]").skip(1) {
                let name = part.split("fn ").nth(1).and_then(|rest| rest.split('(').next());
                found.extend(name.map(str::to_owned));
            }
        }
    }
}

#[test]
fn every_threat_is_met_by_tests_that_are_there() {
    let mut found = BTreeSet::new();
    for directory in [
        "tests/tests",
        "crates/core/tests",
        "crates/sidecar/tests",
        "crates/cli/tests",
    ] {
        tests(&workspace().join(directory), &mut found);
    }
    let page = fs::read_to_string(workspace().join("docs/security.md")).unwrap();
    let rows: Vec<&str> = page
        .lines()
        .skip_while(|line| !line.starts_with("| someone who"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .collect();
    assert!(rows.len() > 10, "the table was not found");
    for row in rows {
        let shown_by = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let named: Vec<&str> = shown_by.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "no test is named: {row}");
        for name in named {
            assert!(found.contains(name), "there is no test {name}: {row}");
        }
    }
}
