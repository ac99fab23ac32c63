//! The rules of deny.toml that need no network, held in every test run: crates that are banned,
//! licences that are allowed, sources that are crates.io; what programs are free of; and the order of the book's pages.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use strongroom_tests::program::{cargo, workspace};

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

fn table(path: &str) -> toml::Table {
    fs::read_to_string(workspace().join(path))
        .unwrap()
        .parse()
        .unwrap()
}

fn strings(value: &toml::Value) -> BTreeSet<String> {
    let list = value.as_array().unwrap();
    list.iter()
        .map(|item| item.as_str().unwrap().to_owned())
        .collect()
}

/// The crates that are banned, each with those that may have it nevertheless.
fn bans(deny: &toml::Table) -> BTreeMap<String, BTreeSet<String>> {
    let bans = deny["bans"]["deny"].as_array().unwrap().iter();
    bans.map(|ban| {
        let wrappers = ban.get("wrappers").map(strings).unwrap_or_default();
        (ban["crate"].as_str().unwrap().to_owned(), wrappers)
    })
    .collect()
}

/// What of `lock` is banned: a crate, or who has one that is for others alone.
fn banned(lock: &toml::Table, bans: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let mut out = Vec::new();
    for package in lock["package"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        if bans.get(name).is_some_and(BTreeSet::is_empty) {
            out.push(name.to_owned());
        }
        // `name`, or `name version` where there are several
        let used = package.get("dependencies").map(strings).unwrap_or_default();
        for used in used.iter().filter_map(|used| used.split(' ').next()) {
            let wrappers = bans.get(used).filter(|wrappers| !wrappers.is_empty());
            if wrappers.is_some_and(|wrappers| !wrappers.contains(name)) {
                out.push(format!("{used} in {name}"));
            }
        }
    }
    out
}

#[test]
fn no_banned_crate_and_no_foreign_source_is_locked() {
    let bans = bans(&table("deny.toml"));
    assert!(bans.contains_key("aws-lc-rs"), "deny.toml was not read");
    for lock in [
        "Cargo.lock",
        "fuzz/Cargo.lock",
        "tests/flag_clients/rust/Cargo.lock",
    ] {
        let table = table(lock);
        let banned = banned(&table, &bans);
        assert!(banned.is_empty(), "{lock}: banned by deny.toml: {banned:?}");
        for package in table["package"].as_array().unwrap() {
            let name = package["name"].as_str().unwrap();
            if let Some(source) = package.get("source") {
                assert_eq!(source.as_str(), Some(CRATES_IO), "{lock}: source of {name}");
            }
        }
    }
}

#[test]
fn a_banned_crate_is_found_and_one_with_wrappers_beneath_others_only() {
    let deny = r#"bans.deny = [{ crate = "rsa" }, { crate = "mock", wrappers = ["sdk"] }]"#;
    let bans = bans(&deny.parse().unwrap());
    let found = |packages: &str| banned(&packages.parse().unwrap(), &bans);
    let good = r#"package = [{ name = "mock" }, { name = "sdk", dependencies = ["mock 1.0.0", "log"] }]"#;
    assert_eq!(found(good), [""; 0]);
    let directly = r#"package = [{ name = "mock" }, { name = "ours", dependencies = ["mock"] }]"#;
    assert_eq!(found(directly), ["mock in ours"]);
    assert_eq!(found(r#"package = [{ name = "rsa" }]"#), ["rsa"]);
}

#[test]
fn the_programs_have_no_mocks() {
    let output = cargo()
        .args(["tree", "--locked", "--all-features", "--edges", "normal,build"])
        .args(["--prefix", "none", "--format", "{p}"])
        .args([
            "-p",
            "strongroom-core",
            "-p",
            "strongroom-sidecar",
            "-p",
            "strongroom-cli",
        ])
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let tree = String::from_utf8(output.stdout).unwrap();
    let names: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(
        names.contains("hyper") && names.contains("cedar-policy"),
        "the tree was not read: {names:?}"
    );
    for foreign in ["mockall", "open-feature", "strongroom-openfeature"] {
        assert!(!names.contains(foreign), "{foreign} is part of a program");
    }
}

#[test]
fn every_dependency_has_an_allowed_licence() {
    let deny = table("deny.toml");
    let allowed = strings(&deny["licenses"]["allow"]);
    let exceptions = deny["licenses"]["exceptions"].as_array().unwrap();

    let output = cargo()
        .args(["metadata", "--format-version", "1", "--locked"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap().iter();
    let used: BTreeSet<_> = nodes.map(|node| node["id"].as_str().unwrap()).collect();

    let mut checked = 0;
    for package in metadata["packages"].as_array().unwrap() {
        if !used.contains(package["id"].as_str().unwrap()) {
            continue;
        }
        let name = package["name"].as_str().unwrap();
        let licence = package["license"].as_str().unwrap_or_default();
        let mut here = allowed.clone();
        for exception in exceptions.iter().filter(|e| e["crate"].as_str() == Some(name)) {
            here.extend(strings(&exception["allow"]));
        }
        assert!(
            satisfied(licence, &here),
            "{name}: licence {licence:?} is not allowed by deny.toml"
        );
        checked += 1;
    }
    assert!(checked > 50, "the dependencies were not found");
}

/// True when the SPDX expression can be satisfied by `allowed`. `/` is the old spelling of `OR`, a
/// trailing `+` means this version or later.
fn satisfied(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    !words.is_empty() && any(&words, &mut at, allowed) && at == words.len()
}

fn any(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let mut result = all(words, at, allowed);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        result |= all(words, at, allowed);
    }
    result
}

fn all(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let mut result = one(words, at, allowed);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        result &= one(words, at, allowed);
    }
    result
}

fn one(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let Some(word) = words.get(*at) else { return false };
    *at += 1;
    if *word == "(" {
        let result = any(words, at, allowed);
        *at += 1;
        return result;
    }
    let mut licence = word.trim_end_matches('+').to_owned();
    if words.get(*at) == Some(&"WITH") {
        licence = format!("{licence} WITH {}", words.get(*at + 1).unwrap_or(&""));
        *at += 2;
    }
    allowed.contains(&licence)
}

#[test]
fn licence_expressions_are_read_as_spdx_means_them() {
    let allowed: BTreeSet<_> = ["MIT", "Unicode-3.0", "Apache-2.0 WITH LLVM-exception"]
        .map(str::to_owned)
        .into();
    for good in [
        "MIT",
        "MIT/GPL-3.0",
        "GPL-3.0 OR MIT",
        "(MIT OR GPL-3.0) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception OR GPL-3.0",
    ] {
        assert!(satisfied(good, &allowed), "{good}");
    }
    for bad in [
        "",
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "Apache-2.0",
        "(MIT AND GPL-3.0) OR ISC",
    ] {
        assert!(!satisfied(bad, &allowed), "{bad}");
    }
}

/// The targets of Markdown links in `text`.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

#[test]
fn every_page_is_in_the_book_and_every_link_leads_somewhere() {
    let root = workspace();
    let docs = root.join("docs");
    let summary = fs::read_to_string(docs.join("SUMMARY.md")).unwrap();
    let listed: BTreeSet<_> = links(&summary).collect();
    let mut pages = vec![
        root.join("README.md"),
        root.join("ARCHITECTURE.md"),
        root.join("CONTRIBUTING.md"),
        root.join("CHANGELOG.md"),
        root.join("policies/README.md"),
    ];
    for entry in fs::read_dir(&docs).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "md") {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            assert!(
                name == "SUMMARY.md" || listed.contains(name.as_str()),
                "docs/{name} is not in SUMMARY.md"
            );
            pages.push(path);
        }
    }
    let mut checked = 0;
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        for link in links(&without_code(&text)) {
            let target = link.split('#').next().unwrap();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            assert!(exists(&page, target), "{}: nothing at {link}", page.display());
            checked += 1;
        }
    }
    assert!(checked > 10, "no links were found");
}

fn exists(page: &Path, target: &str) -> bool {
    page.parent().unwrap().join(target).exists()
}

/// `text` without fenced blocks, whose brackets are no links.
fn without_code(text: &str) -> String {
    text.split("```").step_by(2).collect()
}
