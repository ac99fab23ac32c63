//! The arrows: `sidecar -> core <- cli`, and inside core only downwards in the order of `lib.rs`.
//! Each rule is also run against a sample that breaks it, so that it is known to be able to fail.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use strongroom_tests::program::workspace;
use strongroom_tests::source::{Token, mentions, tokens};

/// The modules of a crate in the order of its `lib.rs`, and for each re-exported name its module.
#[derive(Debug)]
struct Order<'a> {
    modules: Vec<&'a str>,
    exports: BTreeMap<&'a str, &'a str>,
}

impl<'a> Order<'a> {
    fn of(lib: &'a str) -> Self {
        let tokens: Vec<_> = tokens(lib).into_iter().map(|(_, token)| token).collect();
        let mut modules = Vec::new();
        let mut exports = BTreeMap::new();
        for at in 0..tokens.len() {
            match &tokens[at..] {
                [Token::Word("mod"), Token::Word(name), Token::Mark(';'), ..] => modules.push(*name),
                [
                    Token::Word("use"),
                    Token::Word(module),
                    Token::Path,
                    Token::Word(name),
                    Token::Mark(';'),
                    ..,
                ] => {
                    exports.insert(*name, *module);
                }
                _ => {}
            }
        }
        Self { modules, exports }
    }

    fn rank(&self, name: &str) -> Option<usize> {
        let module = self.exports.get(name).copied().unwrap_or(name);
        self.modules.iter().position(|known| *known == module)
    }

    /// What is wrong in one file of the module path `module`.
    fn violations(&self, text: &str, module: &[&str]) -> Vec<String> {
        let own = self.rank(module[0]).expect("lib.rs declares the module");
        let mut out = Vec::new();
        for (line, name) in mentions(text, module) {
            match self.rank(name) {
                Some(rank) if rank <= own => {}
                Some(_) => out.push(format!(
                    "line {line}: {} imports {name}, which comes later",
                    module[0]
                )),
                None => out.push(format!("line {line}: {name} is no module of lib.rs")),
            }
        }
        out
    }
}

fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            out.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            out.push(path);
        }
    }
    out.sort();
    out
}

/// The module path of a file below `src`: `store/sqlite.rs` is `store, sqlite`.
fn module_path(src: &Path, file: &Path) -> Vec<String> {
    let relative = file.strip_prefix(src).unwrap().with_extension("");
    let parts = relative.iter().map(|part| part.to_str().unwrap().to_owned());
    parts.filter(|part| part != "mod" && part != "lib").collect()
}

fn core() -> PathBuf {
    workspace().join("crates/core/src")
}

#[test]
fn core_imports_only_downwards() {
    let src = core();
    let lib = fs::read_to_string(src.join("lib.rs")).unwrap();
    let order = Order::of(&lib);
    assert_eq!(order.modules.first(), Some(&"name"), "the order was not read");
    let mut broken = Vec::new();
    let mut files = 0;
    for file in sources(&src) {
        let path = module_path(&src, &file);
        let path: Vec<_> = path.iter().map(String::as_str).collect();
        if path.is_empty() {
            continue;
        }
        files += 1;
        let text = fs::read_to_string(&file).unwrap();
        for problem in order.violations(&text, &path) {
            broken.push(format!("{}: {problem}", file.display()));
        }
    }
    assert!(files > 10, "the sources were not found");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn an_upward_import_is_found_in_every_spelling() {
    let order = Order::of("pub mod low; pub mod high;\npub use high::High;");
    for text in [
        "use crate::high::Thing;",
        "use crate::{low, high::Thing};",
        "fn f() { crate::high::g() }",
        "use super::high::Thing;",
        "use crate::High;",
        "mod tests { use super::super::high; }",
        "macro_rules! m { () => { $crate::high::g() } }",
    ] {
        let found = order.violations(text, &["low"]);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
    }
    let found = order.violations("use super::super::high::T;", &["low", "part"]);
    assert_eq!(found.len(), 1, "{found:?}");
    for text in [
        "// use crate::high::Thing;",
        "const S: &str = \"crate::high\"; const C: char = '\"';",
        "const S: &str = r#\"crate::high \" crate::high\"#;",
        "mod tests { use super::*; use crate::low; }",
        "use super::part::Thing;",
        "fn f<'a>(x: &'a str) { self::g(x) }",
    ] {
        let found = order.violations(text, &["low", "inside"]);
        assert!(found.is_empty(), "{text}: {found:?}");
    }
    assert!(order.violations("use crate::low::T;", &["high"]).is_empty());
    assert_eq!(order.violations("use crate::gone::T;", &["high"]).len(), 1);
}

/// Words joined by `::`, and the modules of core that alone may write them.
const CONFINED: &[(&[&str], &[&str])] = &[
    (&["tokio", "net"], &["api", "attest", "target"]),
    (&["unix", "net"], &["api"]),
    (&["std", "net"], &[]),
    (&["rusqlite"], &["store"]),
    (&["age"], &["crypto"]),
    (&["ring"], &["crypto", "id", "ambient"]),
    (&["cedar_policy"], &["policy"]),
    (&["miette"], &["policy"]),
    (&["toml_edit"], &["config"]),
    (&["jsonschema"], &["config"]),
    (&["minijinja"], &["template"]),
    (&["SystemTime", "now"], &["ambient"]),
    (&["SystemRandom"], &["ambient"]),
    (&["Serialize"], &["api"]),
    (&["Deserialize"], &["api", "attest"]),
    (&["env", "var"], &[]),
    (&["env", "var_os"], &[]),
];

/// The lines of `text`, outside its tests, that write `words`. A single lower-case word counts as
/// a crate only: at the start of a path.
fn writes(text: &str, words: &[&str]) -> Vec<usize> {
    let text = text.split("#[cfg(test)]").next().unwrap();
    let tokens = tokens(text);
    let token = |at: usize| tokens.get(at).map(|(_, token)| *token);
    let mut out = Vec::new();
    for (at, (line, first)) in tokens.iter().enumerate() {
        if *first != Token::Word(words[0]) {
            continue;
        }
        let found = match words {
            [word] if word.starts_with(char::is_uppercase) => true,
            [_] => {
                let before = at.checked_sub(1).and_then(token);
                token(at + 1) == Some(Token::Path) && !matches!(before, Some(Token::Path | Token::Mark('.')))
            }
            _ => token(at + 1) == Some(Token::Path) && token(at + 2) == Some(Token::Word(words[1])),
        };
        if found {
            out.push(*line);
        }
    }
    out
}

#[test]
fn sockets_clocks_crypto_and_storage_stay_where_they_belong() {
    let src = core();
    let mut broken = Vec::new();
    let mut seen = 0;
    for file in sources(&src) {
        let path = module_path(&src, &file);
        let text = fs::read_to_string(&file).unwrap();
        for (words, homes) in CONFINED {
            for line in writes(&text, words) {
                seen += 1;
                if !path
                    .first()
                    .is_some_and(|module| homes.contains(&module.as_str()))
                {
                    broken.push(format!("{}:{line}: {}", file.display(), words.join("::")));
                }
            }
        }
    }
    assert!(seen > 5, "the rules find nothing at all: are they out of date?");
    assert!(broken.is_empty(), "not here:\n{}", broken.join("\n"));
}

#[test]
fn the_text_of_metrics_is_written_in_one_place() {
    let src = workspace().join("crates/sidecar/src");
    let mut homes = Vec::new();
    for file in sources(&src) {
        let text = fs::read_to_string(&file).unwrap();
        if !writes(&text, &["prometheus_client"]).is_empty() {
            homes.push(module_path(&src, &file).join("::"));
        }
    }
    assert_eq!(homes, ["serve::metrics"]);
}

#[test]
fn confined_words_are_found() {
    assert_eq!(
        writes("use a::b;\nuse tokio::net::UnixStream;", &["tokio", "net"]),
        [2]
    );
    assert_eq!(writes("let x = age::Encryptor::new();", &["age"]), [1]);
    assert_eq!(writes("#[derive(Debug, Serialize)]", &["Serialize"]), [1]);
    assert!(writes("// tokio::net\nlet age = self.age; stage::x();", &["age"]).is_empty());
}

#[test]
fn crates_depend_on_core_and_not_on_each_other() {
    let depends = |on: &str, manifest: &str| {
        let text = fs::read_to_string(workspace().join(manifest)).unwrap();
        let table: toml::Table = text.parse().unwrap();
        ["dependencies", "dev-dependencies", "build-dependencies"]
            .iter()
            .filter_map(|section| table.get(*section)?.as_table())
            .any(|section| section.contains_key(on))
    };
    let core = "crates/core/Cargo.toml";
    let sidecar = "crates/sidecar/Cargo.toml";
    let cli = "crates/cli/Cargo.toml";
    assert!(depends("strongroom-core", sidecar));
    assert!(depends("strongroom-core", cli));
    assert!(
        !depends("strongroom-cli", sidecar),
        "the sidecar must not use the CLI"
    );
    assert!(
        !depends("strongroom-sidecar", cli),
        "the CLI must not use the sidecar"
    );
    for other in [
        "strongroom-cli",
        "strongroom-sidecar",
        "strongroom-openfeature",
        "strongroom-tests",
    ] {
        assert!(!depends(other, core), "core must not use {other}");
    }
    let openfeature = "crates/openfeature/Cargo.toml";
    assert!(depends("strongroom-core", openfeature));
    for (one, other) in [
        (openfeature, "strongroom-cli"),
        (openfeature, "strongroom-sidecar"),
        (cli, "strongroom-openfeature"),
        (sidecar, "strongroom-openfeature"),
    ] {
        assert!(!depends(other, one), "{one} must not use {other}");
    }
}
