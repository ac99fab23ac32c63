//! Templates: owns parsing them, rendering them within bounds, and errors that name a line and what is
//! missing, never a value. It must not know where values come from: a [`Source`] is asked for them.
//!
//! A template is Jinja as minijinja has it, without other templates (`include`, `import`, `extends`), and
//! with three functions: `secret(path)`, `config(path)` and `flag(key, context)`. It has no other variables,
//! so that whatever else it names is refused when it is parsed. What is undefined, null, a table or an
//! array is not written as if it were a text: filters say in which format.

mod allowed;
mod asking;
mod care;
mod engine;
mod error;
mod filter;
mod guard;
mod json;
mod list;
mod names;
mod place;
mod shape;
mod subscript;
mod table;
mod text;
mod tokens;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;
use zeroize::Zeroizing;

pub use error::{Problem, TemplateError};

use crate::flag::Flag;
use crate::kind::Kind;
use crate::name::EntryPath;
use crate::secret::Secret;

/// Most bytes of a template.
pub const MAX_TEXT: usize = 256 * 1024;

/// Where a template's values come from. Each is asked for once in a rendering.
pub trait Source: Send + Sync {
    /// The secret at `path`.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn secret(&self, path: &EntryPath) -> Result<Secret, Unavailable>;

    /// The document at `path`.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn config(&self, path: &EntryPath) -> Result<Value, Unavailable>;

    /// The flag at `key`, compiled with its set.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn flag(&self, key: &EntryPath) -> Result<Flag, Unavailable>;

    /// The time that flags are evaluated at, in seconds since 1970.
    fn now(&self) -> u64;
}

/// Why a [`Source`] does not give a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// There is no such entry.
    #[error("is not there")]
    Missing,
    /// There is one, which whoever asks does not open.
    #[error("is not opened by this member")]
    Closed,
    /// It is not for this consumer.
    #[error("is denied")]
    Denied,
    /// It is something else.
    #[error("is a {0}")]
    Kind(Kind),
    /// A secret that is no text.
    #[error("is not UTF-8, and a template is text")]
    NotText,
    /// A document without keys.
    #[error("is text, which has no keys: put it as toml or json")]
    Unstructured,
    /// A flag that has no value for this context, or a context that is no table; in words that hold no value.
    #[error("cannot be evaluated: {0}")]
    Flag(String),
    /// Anything else, in words that hold no value.
    #[error("cannot be read: {0}")]
    Other(String),
    /// What may go by itself, in words that hold no value.
    #[error("cannot be read now: {0}")]
    Now(String),
}

/// A template that parses.
#[derive(Clone, PartialEq, Eq)]
pub struct Template {
    name: Arc<str>,
    // As the engine gets it. Not wiped for its own sake: whoever puts a secret at a template's path must not find
    // it in memory.
    text: Arc<Zeroizing<String>>,
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({:?})", self.name)
    }
}

impl Template {
    /// Parses `text`; `name` is for errors.
    ///
    /// # Errors
    /// [`TemplateError`]: it is too long or no Jinja, or names what there is not.
    pub fn parse(name: &str, text: &[u8]) -> Result<Self, TemplateError> {
        let failed = |problem| TemplateError {
            template: name.to_owned(),
            line: 1,
            problem,
        };
        if text.len() > MAX_TEXT {
            return Err(failed(Problem::TextTooLong));
        }
        let Ok(text) = std::str::from_utf8(text) else {
            return Err(failed(Problem::NotText));
        };
        Ok(Self {
            name: name.into(),
            text: Arc::new(engine::check(name, text)?),
        })
    }

    /// What it is called in errors.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The paths that it asks its source for, where its text names each of them; `None` where it computes one.
    #[must_use]
    pub fn asks_for(&self) -> Option<BTreeSet<String>> {
        names::asked(&self.text, &asking::FUNCTIONS)
    }

    /// Renders it with the values of `source`: at most [`crate::config::MAX_DELIVERED`] bytes, in bounded
    /// time and memory. What minijinja holds meanwhile is wiped where the program's allocator wipes.
    ///
    /// # Errors
    /// [`TemplateError`], without a value.
    pub fn render(&self, source: Arc<dyn Source>) -> Result<Secret, TemplateError> {
        engine::render(&self.name, &self.text, source)
    }
}
