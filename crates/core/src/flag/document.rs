//! A flagd file: owns many flags and what they share in one JSON document, to read and to write. It must not
//! know where flags lie.

use serde_json::{Map, Value};

use super::compiled::Flag;
use super::definition::Definition;
use super::error::FlagError;
use super::json;
use super::set::Set;

/// A flagd file: a set and its flags, in the order of the file.
#[derive(Debug, Default)]
pub struct Document {
    /// What the flags share.
    pub set: Set,
    /// Each flag as it is written, by key.
    pub flags: Map<String, Value>,
}

impl Document {
    /// Parses `{"flags":{"key":{...}},"$evaluators":{...},"metadata":{...}}`; `flags` may be a list of flags
    /// that each have a `key` of their own. Of a member that comes twice the last one counts.
    ///
    /// # Errors
    /// [`FlagError`]; the flags themselves are not checked.
    pub fn parse(bytes: &[u8]) -> Result<Self, FlagError> {
        let mut fields = json::object(bytes)?;
        let set = Set::take(&mut fields)?;
        let flags = match fields.remove("flags") {
            Some(Value::Object(flags)) => flags,
            Some(Value::Array(list)) => {
                let mut flags = Map::new();
                for flag in list {
                    let Value::Object(mut flag) = flag else {
                        return Err(FlagError::new("`flags` must be objects"));
                    };
                    let Some(Value::String(key)) = flag.remove("key") else {
                        return Err(FlagError::new("each of a list of `flags` must have a `key`"));
                    };
                    if flags.insert(key, Value::Object(flag)).is_some() {
                        return Err(FlagError::new("two of a list of `flags` have the same `key`"));
                    }
                }
                flags
            }
            _ => return Err(FlagError::new("`flags` must be an object, or a list, of flags")),
        };
        Ok(Self { set, flags })
    }

    /// Every flag, compiled; an error for one whose shape is wrong.
    pub fn compile(&self) -> impl Iterator<Item = (&str, Result<Flag, FlagError>)> {
        self.flags.iter().map(|(key, flag)| {
            let definition = match flag {
                Value::Object(fields) => Definition::take(fields.clone()),
                _ => Err(FlagError::new("it is not a JSON object")),
            };
            let flag = definition.map(|definition| Flag::compile(key, definition, &self.set));
            (key.as_str(), flag)
        })
    }

    /// The document as JSON, as [`Document::parse`] reads it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut out = Map::new();
        out.insert("flags".to_owned(), Value::Object(self.flags.clone()));
        self.set.write(&mut out);
        Value::Object(out)
    }
}
