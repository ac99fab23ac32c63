//! Nested documents: owns the way between the keys of JSON and TOML and the segments of paths.
//! It must not know the store.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::Value;
use strongroom_core::name::EntryPath;
use strongroom_core::secret::Secret;

use crate::error::CliError;
use crate::unique::Unique;

/// Larger numbers are read as fractions and lose digits.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Parses JSON that repeats no key; says where it fails, never what stands there.
pub(crate) fn parse_json(text: &[u8]) -> Result<Value, CliError> {
    let parsed: Result<Unique, _> = serde_json::from_slice(text);
    parsed.map(|Unique(value)| value).map_err(|error| {
        let problem = if error.is_data() {
            "a key is there a second time"
        } else {
            "not JSON"
        };
        CliError::failed(format!(
            "line {}, column {}: {problem}",
            error.line(),
            error.column()
        ))
    })
}

/// Parses TOML; dates become text.
pub(crate) fn parse_toml(text: &[u8]) -> Result<Value, CliError> {
    let text = std::str::from_utf8(text).map_err(|_| CliError::failed("not TOML: it is not UTF-8"))?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let start = error.span().map_or(0, |span| span.start);
        let line = 1 + text.bytes().take(start).filter(|byte| *byte == b'\n').count();
        CliError::failed(format!("line {line}: not TOML"))
    })?;
    Ok(Value::Object(
        table
            .into_iter()
            .map(|(key, value)| (key, from_toml(value)))
            .collect(),
    ))
}

fn from_toml(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => {
            serde_json::Number::from_f64(number).map_or_else(|| number.to_string().into(), Value::Number)
        }
        toml::Value::Boolean(truth) => truth.into(),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(items) => Value::Array(items.into_iter().map(from_toml).collect()),
        toml::Value::Table(table) => Value::Object(
            table
                .into_iter()
                .map(|(key, value)| (key, from_toml(value)))
                .collect(),
        ),
    }
}

/// One value and the path that its keys make.
#[derive(Debug)]
pub(crate) struct Leaf {
    pub(crate) path: EntryPath,
    pub(crate) value: Secret,
}

/// Takes a document apart: nested keys become path segments below `prefix`, texts stay as they
/// are, numbers and truth values become their text, lists their JSON.
pub(crate) fn leaves(document: Value, prefix: Option<&EntryPath>) -> Result<Vec<Leaf>, CliError> {
    let Value::Object(fields) = document else {
        return Err(CliError::failed(
            "the document is not an object of names and values",
        ));
    };
    let mut out = Vec::new();
    for (key, value) in fields {
        collect(prefix.map(EntryPath::as_str), &key, value, &mut out)?;
    }
    Ok(out)
}

fn collect(above: Option<&str>, key: &str, value: Value, out: &mut Vec<Leaf>) -> Result<(), CliError> {
    let path = child(above, key)?;
    let text = match value {
        Value::Object(fields) => {
            return fields
                .into_iter()
                .try_for_each(|(key, value)| collect(Some(path.as_str()), &key, value, out));
        }
        Value::Null => {
            return Err(CliError::failed(format!(
                "{path}: null is no value; leave the key out"
            )));
        }
        Value::String(text) => text,
        other => {
            check_exact(&path, &other)?;
            other.to_string()
        }
    };
    out.push(Leaf {
        path,
        value: Secret::new(text.into_bytes()),
    });
    Ok(())
}

/// Refuses a number anywhere in `value` that was read with fewer digits than it has.
pub(crate) fn check_exact(path: &EntryPath, value: &Value) -> Result<(), CliError> {
    match value {
        Value::Number(number)
            if number.is_f64() && number.as_f64().is_none_or(|value| value.abs() >= EXACT) =>
        {
            Err(CliError::failed(format!(
                "{path}: a number is too long to be exact; write it in quotes"
            )))
        }
        Value::Array(items) => items.iter().try_for_each(|item| check_exact(path, item)),
        Value::Object(fields) => fields.values().try_for_each(|field| check_exact(path, field)),
        _ => Ok(()),
    }
}

/// The path of `key` below `above`.
pub(crate) fn child(above: Option<&str>, key: &str) -> Result<EntryPath, CliError> {
    let place = above.map_or_else(|| "at the top".to_owned(), |above| format!("under {above}"));
    if key.contains('/') {
        return Err(CliError::failed(format!(
            "{place}: a key holds `/`; nest it instead"
        )));
    }
    let text = above.map_or_else(|| key.to_owned(), |above| format!("{above}/{key}"));
    EntryPath::new(&text)
        .map_err(|error| CliError::failed(format!("{place}: a key is no path: {}", error.problem)))
}

/// A document to be written, borrowing its texts.
#[derive(Debug)]
pub(crate) enum Node<'a> {
    Text(&'a str),
    Table(BTreeMap<&'a str, Node<'a>>),
}

impl Serialize for Node<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Table(table) => serializer.collect_map(table),
        }
    }
}

impl<'a> Node<'a> {
    /// Puts texts at their paths together; the path that is both a value and a table otherwise.
    pub(crate) fn of(values: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, &'a str> {
        let mut root = Self::Table(BTreeMap::new());
        for (path, text) in values {
            let mut at = &mut root;
            for segment in path.split('/') {
                let Self::Table(table) = at else { return Err(path) };
                at = table
                    .entry(segment)
                    .or_insert_with(|| Self::Table(BTreeMap::new()));
            }
            match at {
                Self::Table(table) if table.is_empty() => *at = Self::Text(text),
                _ => return Err(path),
            }
        }
        Ok(root)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn flat(document: Value, prefix: Option<&str>) -> Vec<(String, String)> {
        let prefix = prefix.map(|prefix| EntryPath::new(prefix).unwrap());
        let text_of = |secret: &Secret| secret.expose(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
        leaves(document, prefix.as_ref())
            .unwrap()
            .iter()
            .map(|leaf| (leaf.path.to_string(), text_of(&leaf.value)))
            .collect()
    }

    #[test]
    fn keys_become_segments_in_both_formats() {
        let json =
            parse_json(br#"{"db":{"user":"u","port":5432,"tls":true,"hosts":["a","b"]},"x":""}"#).unwrap();
        let toml =
            parse_toml(b"x = ''\n[db]\nuser = 'u'\nport = 5432\ntls = true\nhosts = ['a', 'b']\n").unwrap();
        let mut expected = vec![
            ("web/db/user".to_owned(), "u".to_owned()),
            ("web/db/port".to_owned(), "5432".to_owned()),
            ("web/db/tls".to_owned(), "true".to_owned()),
            ("web/db/hosts".to_owned(), r#"["a","b"]"#.to_owned()),
            ("web/x".to_owned(), String::new()),
        ];
        expected.sort();
        for document in [json, toml] {
            let mut read = flat(document, Some("web"));
            read.sort();
            assert_eq!(read, expected);
        }
        assert_eq!(
            flat(parse_toml(b"t = 2026-01-02").unwrap(), None),
            [("t".to_owned(), "2026-01-02".to_owned())]
        );
    }

    #[test]
    fn what_would_lose_something_is_refused() {
        for bad in [
            r#"{"a":null}"#,
            r#"{"a/b":"x"}"#,
            r#"{"":"x"}"#,
            r#"{"a":12345678901234567890123}"#,
            r#"{"a":[{"b":12345678901234567890123}]}"#,
            "[1]",
        ] {
            assert!(
                leaves(parse_json(bad.as_bytes()).unwrap(), None).is_err(),
                "{bad}"
            );
        }
        let error = parse_json(b"{\n \"a\": hunter2}").unwrap_err();
        assert!(
            error.message.contains("line 2") && !error.message.contains("hunter2"),
            "{}",
            error.message
        );
        let error = parse_toml(b"a = 1\nb = hunter2").unwrap_err();
        assert!(
            error.message.contains("line 2") && !error.message.contains("hunter2"),
            "{}",
            error.message
        );
    }

    #[test]
    fn paths_nest_or_conflict() {
        let node = Node::of([("a/b", "1"), ("a/c", "2"), ("d", "3")]).unwrap();
        assert_eq!(
            serde_json::to_string(&node).unwrap(),
            r#"{"a":{"b":"1","c":"2"},"d":"3"}"#
        );
        assert_eq!(Node::of([("a", "1"), ("a/b", "2")]).unwrap_err(), "a/b");
        assert_eq!(Node::of([("a/b", "2"), ("a", "1")]).unwrap_err(), "a");
    }
}
