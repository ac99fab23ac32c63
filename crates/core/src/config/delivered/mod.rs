//! Documents as consumers get them without a template: owns the formats of delivery and what each of
//! them cannot say. It must not know where a document comes from, nor who gets it.

mod dotenv;
mod flat;
mod properties;
mod toml;
mod yaml;

use std::io::Write as _;
use std::str::FromStr;

use serde_json::Value;

use super::Key;
use crate::secret::{Filling, Secret};

pub use dotenv::assign;
pub use flat::{by_key, text};

pub(crate) use dotenv::quote as dotenv_value;
pub(crate) use properties::escaped_value as properties_value;
pub(crate) use toml::inline as toml_value;
pub(crate) use yaml::{is_block as is_yaml_block, scalar as yaml_value};

/// Most bytes of a document or of a rendered template.
pub const MAX_DELIVERED: usize = 1024 * 1024;

/// What a document is delivered as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Delivered {
    /// TOML.
    Toml,
    /// JSON, indented.
    Json,
    /// YAML in block style, all texts quoted: readers of YAML 1.1 and 1.2 understand the same.
    Yaml,
    /// `NAME=VALUE` lines: the key `pool.size` is `POOL_SIZE`, an array is JSON.
    Dotenv,
    /// `key=value` lines as Java reads them, in ASCII: `pool.size=20`, an array is JSON.
    Properties,
}

impl Delivered {
    const ALL: [Self; 5] = [Self::Toml, Self::Json, Self::Yaml, Self::Dotenv, Self::Properties];

    /// `toml`, `json`, `yaml`, `dotenv` or `properties`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Toml => "toml",
            Self::Json => "json",
            Self::Yaml => "yaml",
            Self::Dotenv => "dotenv",
            Self::Properties => "properties",
        }
    }
}

/// The word is not a format of delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a document is delivered as one of toml, json, yaml, dotenv, properties")]
pub struct DeliveredError;

impl FromStr for Delivered {
    type Err = DeliveredError;
    fn from_str(text: &str) -> Result<Self, DeliveredError> {
        let found = Self::ALL.into_iter().find(|format| format.as_str() == text);
        found.ok_or(DeliveredError)
    }
}

/// Why a document has no such form; by key, never with a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeliverError {
    /// A null, which only JSON and YAML have.
    #[error("`{0}` is null, which this format cannot say: unset the key, or deliver json or yaml")]
    Null(Key),
    /// Only tables have keys.
    #[error("it is no table, and this format has keys: deliver json or yaml")]
    NotTable,
    /// A number beyond 64 bits with sign.
    #[error("`{0}` is a number that TOML cannot hold: write it as a text")]
    Number(Key),
    /// Two keys get one name.
    #[error("`{0}` and `{1}` would get one name: rename one of them, or deliver toml, json or yaml")]
    Collision(Key, Key),
    /// A name that this format cannot have.
    #[error("`{0}` gives no name that this format can have: rename it, or deliver toml, json or yaml")]
    Name(Key),
    /// A NUL.
    #[error("`{0}` holds a NUL, which this format cannot say")]
    Nul(Key),
    /// Longer than is delivered.
    #[error("it is longer than {MAX_DELIVERED} bytes")]
    TooLong,
}

/// `document` in `format`, with a newline at its end.
///
/// # Errors
/// [`DeliverError`].
pub fn deliver(format: Delivered, document: &Value) -> Result<Secret, DeliverError> {
    let mut out = Filling::new(MAX_DELIVERED);
    deliver_to(&mut out, format, document)?;
    Ok(out.finish())
}

/// The same, written to `out`.
pub(crate) fn deliver_to(out: &mut Filling, format: Delivered, document: &Value) -> Result<(), DeliverError> {
    let written = match format {
        Delivered::Toml => out.write_all(toml::document(document)?.as_bytes()),
        Delivered::Json => serde_json::to_writer_pretty(&mut *out, document)
            .map_err(Into::into)
            .and_then(|()| out.write_all(b"\n")),
        Delivered::Yaml => yaml::document(out, document),
        Delivered::Dotenv => return dotenv::document(out, document),
        Delivered::Properties => return properties::document(out, document),
    };
    // nothing but its length can fail in memory
    written.map_err(|_| DeliverError::TooLong)
}
