//! Changing a document by its keys, with everything else kept: TOML keeps comments, order and
//! spelling, JSON its order. It must not know layers.

use serde_json::Value as Json;
use toml_edit::{DocumentMut, InlineTable, Item, Table, TableLike, Value as Toml};

use super::key::Key;
use super::read::{json, utf8};
use super::reference;
use super::unset::{MARK, Tree as _, UNSET};
use super::{DocumentError, Format};

/// One change.
#[derive(Clone, Debug)]
pub enum KeyEdit {
    /// Gives a key a value; the tables it stands in are made.
    Set(Key, Setting),
    /// Says that there is no such key, whatever parents say.
    Unset(Key),
    /// Says nothing of the key any more.
    Remove(Key),
}

impl KeyEdit {
    /// The key that it is about.
    #[must_use]
    pub fn key(&self) -> &Key {
        let (Self::Set(key, _) | Self::Unset(key) | Self::Remove(key)) = self;
        key
    }
}

/// A value as somebody writes it: `20`, `true`, `[1, 2]`, `"20"`, and any text that is no value of
/// the format and does not begin like one, for itself.
#[derive(Clone)]
pub struct Setting {
    text: String,
    as_text: bool,
}

impl std::fmt::Debug for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Setting({} bytes)", self.text.len())
    }
}

impl Setting {
    /// A value in the spelling of the document's format.
    #[must_use]
    pub fn value(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            as_text: false,
        }
    }

    /// A text, whatever it looks like.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            as_text: true,
        }
    }

    fn toml(&self, key: &Key) -> Result<Toml, EditError> {
        if !self.as_text {
            if let Ok(value) = self.text.parse::<Toml>() {
                return Ok(value);
            }
            self.is_plain(key)?;
        }
        Ok(Toml::from(self.text.as_str()))
    }

    fn json(&self, key: &Key) -> Result<Json, EditError> {
        if !self.as_text {
            if let Ok(value) = serde_json::from_str(&self.text) {
                return Ok(value);
            }
            self.is_plain(key)?;
        }
        Ok(self.text.as_str().into())
    }

    /// What begins like a list, a table or a quoted text is meant to be one.
    fn is_plain(&self, key: &Key) -> Result<(), EditError> {
        if self.text.trim_start().starts_with(['[', '{', '"', '\'']) {
            return Err(EditError::Value { key: key.clone() });
        }
        Ok(())
    }
}

/// Why a document was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The document cannot be read, or would not be one any more.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The value is not one of the format.
    #[error("`{key}`: the value begins like a list, a table or a quoted text and is none")]
    Value {
        /// The key.
        key: Key,
    },
    /// A key on the way is not a table.
    #[error("`{key}` is no table: set it as a whole, or unset it first")]
    NoTable {
        /// The key on the way.
        key: Key,
    },
    /// A key on the way is unset.
    #[error("`{key}` is unset here: take that back first")]
    IsUnset {
        /// The key on the way.
        key: Key,
    },
    /// There is no such key to be removed.
    #[error("the document says nothing of `{key}`")]
    NoKey {
        /// The key.
        key: Key,
    },
}

/// The document with `edits` made one after the other. An empty one may begin as either format.
///
/// # Errors
/// [`EditError`].
pub fn edit(format: Format, bytes: &[u8], edits: &[KeyEdit]) -> Result<Vec<u8>, EditError> {
    let edited = match format {
        Format::Text => return Err(DocumentError::Unstructured.into()),
        Format::Toml => edit_toml(bytes, edits)?,
        Format::Json => edit_json(bytes, edits)?,
    };
    super::check(format, &edited)?;
    Ok(edited)
}

fn edit_toml(bytes: &[u8], edits: &[KeyEdit]) -> Result<Vec<u8>, EditError> {
    // The one parser's positions are those of every other message.
    super::check(Format::Toml, bytes)?;
    let mut document: DocumentMut = utf8(bytes)?.parse().map_err(|_| DocumentError::Unstructured)?;
    for edit in edits {
        let root: &mut dyn TableLike = document.as_table_mut();
        match edit {
            KeyEdit::Set(key, value) => put_toml(root, key, value.toml(key)?)?,
            KeyEdit::Unset(key) => {
                let mut mark = InlineTable::new();
                mark.insert(MARK, UNSET.into());
                put_toml(root, key, mark.into())?;
            }
            KeyEdit::Remove(key) => remove_toml(root, key)?,
        }
    }
    Ok(document.to_string().into_bytes())
}

fn put_toml(root: &mut dyn TableLike, key: &Key, mut value: Toml) -> Result<(), EditError> {
    let Some((name, above)) = key.names().split_last() else {
        return Err(EditError::NoKey { key: key.clone() });
    };
    let mut table = root;
    for (depth, step) in above.iter().enumerate() {
        let here = || Key::of(above.get(..=depth).unwrap_or_default().to_vec());
        let item = table.entry(step).or_insert_with(|| Item::Table(new_table()));
        if is_unset(item) {
            return Err(EditError::IsUnset { key: here() });
        }
        table = item
            .as_table_like_mut()
            .filter(|table| reference::refers_to(*table).is_none())
            .ok_or_else(|| EditError::NoTable { key: here() })?;
    }
    match table.get_mut(name) {
        Some(Item::Value(old)) => {
            *value.decor_mut() = old.decor().clone();
            *old = value;
        }
        Some(old) => *old = Item::Value(value),
        None => {
            table.insert(name, Item::Value(value));
        }
    }
    Ok(())
}

/// Only what is below it shows: `[a.b]` needs no `[a]`.
fn new_table() -> Table {
    let mut table = Table::new();
    table.set_implicit(true);
    table
}

fn is_unset(item: &Item) -> bool {
    let only = item.as_table_like().filter(|table| table.len() == 1);
    let mark = only.and_then(|table| table.get(MARK));
    mark.and_then(Item::as_str) == Some(UNSET)
}

fn remove_toml(root: &mut dyn TableLike, key: &Key) -> Result<(), EditError> {
    let none = || EditError::NoKey { key: key.clone() };
    let (name, above) = key.names().split_last().ok_or_else(none)?;
    let mut table = root;
    for step in above {
        let item = table.get_mut(step).ok_or_else(none)?;
        table = item.as_table_like_mut().ok_or_else(none)?;
    }
    table.remove(name).map(|_| ()).ok_or_else(none)
}

fn edit_json(bytes: &[u8], edits: &[KeyEdit]) -> Result<Vec<u8>, EditError> {
    let mut document = if bytes.is_empty() {
        Json::Object(serde_json::Map::new())
    } else {
        json(bytes)?
    };
    for edit in edits {
        match edit {
            KeyEdit::Set(key, value) => put_json(&mut document, key, value.json(key)?)?,
            KeyEdit::Unset(key) => put_json(&mut document, key, serde_json::json!({ MARK: UNSET }))?,
            KeyEdit::Remove(key) => remove_json(&mut document, key)?,
        }
    }
    Ok(format!("{document:#}\n").into_bytes())
}

fn put_json(document: &mut Json, key: &Key, value: Json) -> Result<(), EditError> {
    let mut at = document;
    for (depth, name) in key.names().iter().enumerate() {
        let here = || Key::of(key.names().get(..depth).unwrap_or_default().to_vec());
        if at.is_unset() {
            return Err(EditError::IsUnset { key: here() });
        }
        if at.refers_to().is_some() {
            return Err(EditError::NoTable { key: here() });
        }
        let fields = at
            .as_object_mut()
            .ok_or_else(|| EditError::NoTable { key: here() })?;
        at = fields
            .entry(name.as_str())
            .or_insert_with(|| Json::Object(serde_json::Map::new()));
    }
    *at = value;
    Ok(())
}

fn remove_json(document: &mut Json, key: &Key) -> Result<(), EditError> {
    let none = || EditError::NoKey { key: key.clone() };
    let (name, above) = key.names().split_last().ok_or_else(none)?;
    let mut at = document;
    for step in above {
        at = at.get_mut(step.as_str()).ok_or_else(none)?;
    }
    let fields = at.as_object_mut().ok_or_else(none)?;
    fields.shift_remove(name.as_str()).map(|_| ()).ok_or_else(none)
}
