//! Secrets that a document refers to: owns the form of a reference, `{ secret = "web/database/password" }`,
//! finding them, and putting secrets in their place. It must not know where secrets come from.
//!
//! A table whose only key is `secret`, with a text under it, is a reference; every other table is an
//! ordinary one, also one that has a key `secret` among others.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value as Json;
use toml_edit::{DocumentMut, Item, TableLike, Value as Toml};
use zeroize::Zeroizing;

use super::key::Key;
use super::read::{json, utf8};
use super::unset::{self, Tree};
use super::{DocumentError, Format};
use crate::name::EntryPath;
use crate::secret::Secret;

/// The only key of a reference.
pub(super) const SECRET: &str = "secret";
/// Most references in one document.
pub(crate) const MAX_REFERENCES: usize = 1000;
/// Most bytes of secrets in one document, as many times as they stand there.
pub(crate) const MAX_SECRETS: usize = 1 << 20;

/// A secret that a document refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Where the secret is wanted; the items of arrays have numbers as names.
    pub key: Key,
    /// The secret's path.
    pub secret: EntryPath,
}

/// What a reference may lead to.
pub(super) fn path(text: &str) -> Result<EntryPath, DocumentError> {
    EntryPath::new(text).map_err(|_| DocumentError::Reference)
}

/// The secrets that `document` refers to, in its order.
///
/// # Errors
/// [`DocumentError::Reference`], [`DocumentError::References`].
pub fn references(document: &Json) -> Result<Vec<Reference>, DocumentError> {
    let mut found = Vec::new();
    find(document, &mut Vec::new(), &mut found)?;
    Ok(found)
}

fn find(value: &Json, names: &mut Vec<String>, found: &mut Vec<Reference>) -> Result<(), DocumentError> {
    if let Some(secret) = value.refers_to() {
        if found.len() >= MAX_REFERENCES {
            return Err(DocumentError::References);
        }
        found.push(Reference {
            key: Key::of(names.clone()),
            secret: path(secret)?,
        });
        return Ok(());
    }
    let fields = value.as_object().into_iter().flatten();
    let fields = fields.map(|(name, value)| (Cow::Borrowed(name.as_str()), value));
    let items = value.as_array().into_iter().flatten().enumerate();
    let items = items.map(|(index, value)| (Cow::Owned(index.to_string()), value));
    for (name, value) in fields.chain(items) {
        names.push(name.into_owned());
        find(value, names, found)?;
        names.pop();
    }
    Ok(())
}

/// Whether a document may refer to secrets: no bytes of it can, as long as they cannot spell the key.
pub(crate) fn may_refer(format: Format, bytes: &[u8]) -> bool {
    format != Format::Text && unset::may_spell(bytes, SECRET)
}

/// The secrets that a document refers to, as it is stored or delivered.
///
/// # Errors
/// [`DocumentError`].
pub fn references_in(format: Format, bytes: &[u8]) -> Result<Vec<Reference>, DocumentError> {
    if !may_refer(format, bytes) {
        return Ok(Vec::new());
    }
    references(&super::layer(format, bytes)?)
}

/// The document with secrets in the place of its references; in TOML, comments and order are kept. `None`
/// where it refers to none. Each secret is lent once.
///
/// # Errors
/// [`DocumentError`], also for a secret that is no UTF-8, and for secrets of more than 1 MiB in all; what `lend`
/// refuses.
pub fn resolve<E: From<DocumentError>>(
    format: Format,
    bytes: &[u8],
    lend: &mut dyn FnMut(&EntryPath) -> Result<Secret, E>,
) -> Result<Option<Secret>, E> {
    if references_in(format, bytes)?.is_empty() {
        return Ok(None);
    }
    let mut lent = Lent {
        lend,
        texts: BTreeMap::new(),
        left: MAX_SECRETS,
    };
    let resolved = match format {
        Format::Text => return Ok(None),
        Format::Json => {
            let mut document = json(bytes)?;
            in_json(&mut document, &mut lent)?;
            document.to_string()
        }
        Format::Toml => {
            let document = utf8(bytes)?.parse::<DocumentMut>();
            let mut document = document.map_err(|_| DocumentError::Unstructured)?;
            in_table(document.as_table_mut(), &mut lent)?;
            document.to_string()
        }
    };
    Ok(Some(Secret::new(resolved.into_bytes())))
}

/// The texts of secrets, each lent once.
struct Lent<'a, E> {
    lend: &'a mut dyn FnMut(&EntryPath) -> Result<Secret, E>,
    texts: BTreeMap<String, Zeroizing<String>>,
    /// Bytes that may still become part of the document.
    left: usize,
}

impl<E: From<DocumentError>> Lent<'_, E> {
    fn text(&mut self, reference: &str) -> Result<&str, E> {
        if !self.texts.contains_key(reference) {
            let secret = (self.lend)(&path(reference)?)?;
            let text = secret.expose(|bytes| match std::str::from_utf8(bytes) {
                Ok(text) => Ok(Zeroizing::new(text.to_owned())),
                Err(_) => Err(DocumentError::SecretText),
            })?;
            self.texts.insert(reference.to_owned(), text);
        }
        let text = self.texts.get(reference).map_or("", |text| text.as_str());
        let left = self.left.checked_sub(text.len());
        self.left = left.ok_or(DocumentError::Secrets)?;
        Ok(text)
    }
}

fn in_json<E: From<DocumentError>>(value: &mut Json, lent: &mut Lent<'_, E>) -> Result<(), E> {
    if let Some(secret) = value.refers_to() {
        *value = Json::String(lent.text(secret)?.to_owned());
        return Ok(());
    }
    match value {
        Json::Object(fields) => fields.values_mut().try_for_each(|value| in_json(value, lent)),
        Json::Array(items) => items.iter_mut().try_for_each(|value| in_json(value, lent)),
        _ => Ok(()),
    }
}

/// The path that a table of TOML refers to.
pub(super) fn refers_to(table: &dyn TableLike) -> Option<&str> {
    if table.len() != 1 {
        return None;
    }
    table.get(SECRET)?.as_str()
}

fn in_table<E: From<DocumentError>>(table: &mut dyn TableLike, lent: &mut Lent<'_, E>) -> Result<(), E> {
    for (_, item) in table.iter_mut() {
        let secret = item.as_table_like().and_then(refers_to);
        if let Some(secret) = secret {
            let mut value = Toml::from(lent.text(secret)?);
            if let Some(old) = item.as_value() {
                *value.decor_mut() = old.decor().clone();
            }
            *item = Item::Value(value);
            continue;
        }
        match item {
            Item::None => {}
            Item::Value(value) => in_value(value, lent)?,
            Item::Table(table) => in_table(table, lent)?,
            Item::ArrayOfTables(tables) => {
                if tables.iter().any(|table| refers_to(table).is_some()) {
                    // `[[x]]` with nothing but a reference: tables cannot become texts where they stand
                    let mut array = std::mem::take(tables).into_array();
                    array.iter_mut().try_for_each(|value| in_value(value, lent))?;
                    *item = Item::Value(Toml::Array(array));
                } else {
                    tables.iter_mut().try_for_each(|table| in_table(table, lent))?;
                }
            }
        }
    }
    Ok(())
}

fn in_value<E: From<DocumentError>>(value: &mut Toml, lent: &mut Lent<'_, E>) -> Result<(), E> {
    if let Some(secret) = value.as_inline_table().and_then(|table| refers_to(table)) {
        let mut resolved = Toml::from(lent.text(secret)?);
        *resolved.decor_mut() = value.decor().clone();
        *value = resolved;
        return Ok(());
    }
    match value {
        Toml::Array(items) => items.iter_mut().try_for_each(|value| in_value(value, lent)),
        Toml::InlineTable(table) => in_table(table, lent),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn resolved(format: Format, text: &str) -> Result<String, DocumentError> {
        let mut lend = |path: &EntryPath| Ok(Secret::new(format!("<{path}>\"\n").into_bytes()));
        let resolved = resolve::<DocumentError>(format, text.as_bytes(), &mut lend)?;
        let resolved =
            resolved.map(|secret| secret.expose(|bytes| String::from_utf8(bytes.to_vec()).unwrap()));
        Ok(resolved.unwrap_or_default())
    }

    #[test]
    fn secrets_take_the_place_of_references_and_all_else_stays() {
        let toml = "# kept\n[db]\nuser = 'a' # too\npassword = { secret = \"db/password\" } # and this\n\n\
                    [db.key]\nsecret = 'db/key'\n\n[[hosts]]\nsecret = 'h/1'\n[[hosts]]\nname = 'x'\n";
        let text = resolved(Format::Toml, toml).unwrap();
        let read: toml::Value = toml::from_str(&text).unwrap();
        assert_eq!(read["db"]["password"].as_str(), Some("<db/password>\"\n"));
        assert_eq!(read["db"]["key"].as_str(), Some("<db/key>\"\n"));
        assert_eq!(read["hosts"][0].as_str(), Some("<h/1>\"\n"));
        assert_eq!(read["hosts"][1]["name"].as_str(), Some("x"));
        for kept in ["# kept", "# too", "# and this"] {
            assert!(text.contains(kept), "{text}");
        }
        let json = r#"{"a":[{"secret":"x"},{"secret":"x","other":1},{"secret":5}],"b":{"c":{"secret":"y"}}}"#;
        let read: Json = serde_json::from_str(&resolved(Format::Json, json).unwrap()).unwrap();
        let expected = serde_json::json!({
            "a": ["<x>\"\n", { "secret": "x", "other": 1 }, { "secret": 5 }], "b": { "c": "<y>\"\n" },
        });
        assert_eq!(read, expected);
    }

    #[test]
    fn references_are_told_with_their_places() {
        let json = br#"{"a":[1,{"secret":"x/y"}],"b":{"secret":"z"}}"#;
        let found = references_in(Format::Json, json).unwrap();
        let told: Vec<_> = found
            .iter()
            .map(|one| (one.key.to_string(), one.secret.to_string()))
            .collect();
        let expected = [("a.1", "x/y"), ("b", "z")].map(|(key, path)| (key.to_owned(), path.to_owned()));
        assert_eq!(told, expected);
        assert!(references_in(Format::Text, json).unwrap().is_empty());
        assert_eq!(resolved(Format::Json, r#"{"a":1}"#).unwrap(), "");
    }

    #[test]
    fn what_cannot_be_a_reference_is_refused_without_content() {
        for (format, text) in [
            (Format::Toml, "a = { secret = '/canary' }"),
            (Format::Json, r#"{"a":{"secret":"canary//x"}}"#),
            (Format::Json, r#"{"secret":"canary"}"#),
            (Format::Toml, "secret = 'canary'"),
            (Format::Json, r#"{"a":{"secr\u0065t":"../canary"}}"#),
        ] {
            let error = super::super::check(format, text.as_bytes()).unwrap_err();
            assert_eq!(error, DocumentError::Reference, "{text}");
            assert!(!error.to_string().contains("canary"));
        }
        let mut lend = |_: &EntryPath| Ok(Secret::new(vec![0xff]));
        let error = resolve::<DocumentError>(Format::Toml, b"a = { secret = 'x' }", &mut lend).unwrap_err();
        assert_eq!(error, DocumentError::SecretText);
    }
}
