//! Schemas of config documents: owns JSON Schema 2020-12 as far as it is taken here, checking a
//! document by it in bounded time, and what it says for people. It must not know layers.
//!
//! A schema is whole in itself: it refers to nothing but its own parts, by `#` and `#/...`.

mod cost;
mod default;
mod fault;
mod field;
mod form;
mod infer;
mod secret;

use std::fmt;

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

use super::read::json;
use super::{DocumentError, EditError, Format, Key, KeyEdit, Setting};
use cost::Cost;
pub use fault::Fault;
pub use field::Field;
pub use infer::infer;

/// Most bytes that a pattern compiles to.
const PATTERN: usize = 256 << 10;
/// Most faults that are told of one document.
const MAX_FAULTS: usize = 100;

/// Why a text is no schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// It is no JSON.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// It is not a schema of the dialect.
    #[error("the schema is not valid at {at:?}: {problem}")]
    Form {
        /// Where, as a JSON pointer.
        at: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A part of it refers to itself and goes no deeper into the document by that.
    #[error(
        "the schema refers to itself without end: a reference must lead through `properties`, `items` or the like"
    )]
    Endless,
    /// Checking even a small document by it would take too long.
    #[error("the schema would take too long to check by: {problem}")]
    TooLarge {
        /// What is too much.
        problem: &'static str,
    },
}

/// A compiled schema.
pub struct Schema {
    document: Value,
    validator: Validator,
    cost: Cost,
    has_defaults: bool,
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Schema")
    }
}

impl Schema {
    /// Reads and compiles a schema.
    ///
    /// # Errors
    /// [`SchemaError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, SchemaError> {
        let document = json(bytes)?;
        form::check(&document)?;
        // Of the schema as it was written: taking references adds a little to each mark.
        let cost = Cost::of(&document)?;
        let accepting = secret::accepting(&document);
        let validator = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .with_pattern_options(
                PatternOptions::regex()
                    .size_limit(PATTERN)
                    .dfa_size_limit(PATTERN),
            )
            .should_validate_formats(true)
            .build(&accepting)
            .map_err(|error| SchemaError::Form {
                at: error.instance_path().to_string(),
                problem: fault::rule(error.kind()).0,
            })?;
        drop(accepting);
        Ok(Self {
            has_defaults: has_word(&document, "default"),
            document,
            validator,
            cost,
        })
    }

    /// The schema itself.
    #[must_use]
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// Fills `document`, which is delivered in `format`, with the defaults that it lacks, and tells
    /// everything that is not as the schema says then; at most 100 faults.
    #[must_use]
    pub fn fill_and_check(&self, format: Format, document: &mut Value) -> Vec<Fault> {
        if let Some(fault) = self.cost.exceeded_by(document) {
            return vec![fault];
        }
        match default::fill(&self.document, format, document) {
            Ok(_) => self.check(document),
            Err(default::TooMuch) => vec![Fault {
                key: Key::default(),
                rule: "would take too long to fill with the defaults of its schema".to_owned(),
                mend: "give the schema fewer keys".to_owned(),
            }],
        }
    }

    /// `document` with the defaults that it lacks, as it is delivered: with comments and order kept. A
    /// default that TOML cannot say is left out; nothing where the schema has none.
    ///
    /// # Errors
    /// [`EditError`].
    pub fn with_defaults(&self, format: Format, document: &[u8]) -> Result<Option<Vec<u8>>, EditError> {
        if format == Format::Text || !self.has_defaults {
            return Ok(None);
        }
        // Whoever serves it was told so before.
        let missing = default::fill(&self.document, format, &mut super::layer(format, document)?);
        let missing = missing.unwrap_or_default();
        let spelled = |value: &Value| match format {
            Format::Toml => toml::Value::try_from(value).ok().map(|value| value.to_string()),
            _ => Some(value.to_string()),
        };
        let edits: Vec<_> = missing
            .into_iter()
            .filter_map(|(key, value)| Some(KeyEdit::Set(key, Setting::value(spelled(&value)?))))
            .collect();
        if edits.is_empty() {
            return Ok(None);
        }
        super::edit(format, document, &edits).map(Some)
    }

    /// Everything in `document` that is not as the schema says; at most 100 faults, and the first one
    /// alone of a great document.
    #[must_use]
    pub fn check(&self, document: &Value) -> Vec<Fault> {
        if let Some(fault) = self.cost.exceeded_by(document) {
            return vec![fault];
        }
        let misplaced = self.misplaced(document);
        if !misplaced.is_empty() {
            return misplaced;
        }
        if self.validator.is_valid(document) {
            return Vec::new();
        }
        if !self.cost.tells_all(document) {
            let first = self.validator.validate(document).err();
            return first.iter().flat_map(fault::of).take(MAX_FAULTS).collect();
        }
        let errors = self.validator.iter_errors(document);
        errors
            .flat_map(|error| fault::of(&error))
            .take(MAX_FAULTS)
            .collect()
    }
}

/// The part of a schema that a reference leads to.
fn part<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    root.pointer(reference.strip_prefix('#')?)
}

/// Whether the word is a key anywhere in it.
fn has_word(value: &Value, word: &str) -> bool {
    match value {
        Value::Object(fields) => {
            fields.contains_key(word) || fields.values().any(|value| has_word(value, word))
        }
        Value::Array(items) => items.iter().any(|value| has_word(value, word)),
        _ => false,
    }
}
