//! What a document says of keys beside values: owns the form of an explicit *unset*,
//! `{ strongroom = "unset" }`, in both formats, and that what is reserved stands where it may. It must
//! not know layers.
//!
//! A table whose only key is `strongroom`, with a text under it, is reserved; every other table is
//! an ordinary one, also one that has a key `strongroom` among others.

use memchr::{memchr, memmem};

use super::DocumentError;
use super::reference::{self, SECRET};

/// The key that marks what is for us and not for the reader of the document.
pub(super) const MARK: &str = "strongroom";
/// The word that unsets.
pub(super) const UNSET: &str = "unset";

/// A value of either format, as far as it matters here.
pub(super) trait Tree: Sized {
    /// The only key of a table, and the text under it; `None` for anything else.
    fn only_text(&self) -> Option<(&str, &str)>;
    /// The items of an array.
    fn items(&self) -> Option<&[Self]>;
    /// The keys and values of a table.
    fn fields(&self) -> Option<Box<dyn Iterator<Item = (&str, &Self)> + '_>>;

    /// Whether this says that there is no such key.
    fn is_unset(&self) -> bool {
        self.only_text() == Some((MARK, UNSET))
    }

    /// The path of the secret that this refers to, as it is written.
    fn refers_to(&self) -> Option<&str> {
        self.only_text()
            .filter(|(key, _)| *key == SECRET)
            .map(|(_, path)| path)
    }

    /// Whether this is a table of keys, which is merged with others.
    fn is_table(&self) -> bool {
        self.fields().is_some() && !self.is_unset() && self.refers_to().is_none()
    }
}

impl Tree for toml::Value {
    fn only_text(&self) -> Option<(&str, &str)> {
        let table = self.as_table().filter(|table| table.len() == 1)?;
        let (key, value) = table.iter().next()?;
        Some((key, value.as_str()?))
    }

    fn items(&self) -> Option<&[Self]> {
        self.as_array().map(Vec::as_slice)
    }

    fn fields(&self) -> Option<Box<dyn Iterator<Item = (&str, &Self)> + '_>> {
        let fields = self.as_table()?.iter();
        Some(Box::new(fields.map(|(key, value)| (key.as_str(), value))))
    }
}

impl Tree for serde_json::Value {
    fn only_text(&self) -> Option<(&str, &str)> {
        let table = self.as_object().filter(|table| table.len() == 1)?;
        let (key, value) = table.iter().next()?;
        Some((key, value.as_str()?))
    }

    fn items(&self) -> Option<&[Self]> {
        self.as_array().map(Vec::as_slice)
    }

    fn fields(&self) -> Option<Box<dyn Iterator<Item = (&str, &Self)> + '_>> {
        let fields = self.as_object()?.iter();
        Some(Box::new(fields.map(|(key, value)| (key.as_str(), value))))
    }
}

/// Whether a document may hold such a value: no bytes of it can, as long as they cannot spell the
/// mark, and few documents do.
pub(super) fn may_stand_in(bytes: &[u8]) -> bool {
    may_spell(bytes, MARK)
}

/// Whether a document that has a word in it could have these bytes.
pub(super) fn may_spell(bytes: &[u8], word: &str) -> bool {
    // An escape could spell it too.
    memchr(b'\\', bytes).is_some() || memmem::find(bytes, word.as_bytes()).is_some()
}

/// Refuses what is reserved where it means nothing: another word than `unset`, the document as a
/// whole, and the items of arrays, which replace as a whole. Says whether something is unset.
pub(super) fn check<T: Tree>(document: &T) -> Result<bool, DocumentError> {
    if document.refers_to().is_some() {
        return Err(DocumentError::Reference);
    }
    if reserved(document)? {
        return Err(DocumentError::Unset);
    }
    below(document, false)
}

fn reserved<T: Tree>(value: &T) -> Result<bool, DocumentError> {
    match value.only_text() {
        Some((MARK, UNSET)) => Ok(true),
        Some((MARK, _)) => Err(DocumentError::Reserved),
        Some((SECRET, path)) => reference::path(path).map(|_| false),
        _ => Ok(false),
    }
}

fn below<T: Tree>(value: &T, in_array: bool) -> Result<bool, DocumentError> {
    let mut found = false;
    for (_, field) in value.fields().into_iter().flatten() {
        let unset = reserved(field)?;
        if unset && in_array {
            return Err(DocumentError::Unset);
        }
        found |= unset || below(field, in_array)?;
    }
    for item in value.items().into_iter().flatten() {
        if reserved(item)? {
            return Err(DocumentError::Unset);
        }
        found |= below(item, true)?;
    }
    Ok(found)
}
