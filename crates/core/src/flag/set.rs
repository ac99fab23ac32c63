//! What flags of a set share: owns its evaluators, its metadata and how it splits users. It must not know the
//! flags of the set.
//!
//! A set is JSON as flagd has it beside its flags: `{"$evaluators":{"name":{RULE}},"metadata":{...}}`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::error::FlagError;
use super::json;
use super::rule::{Asks, Node, Reader};

/// Which generation of `fractional` splits users: the two give the same user different variants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Bucketing {
    /// The hash of a text: what flagd and most clients do.
    #[default]
    V2,
    /// The hash of a value's CBOR: what newer clients do.
    V3,
}

impl Bucketing {
    /// The word for it in the metadata of a set: `v2` or `v3`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V2 => "v2",
            Self::V3 => "v3",
        }
    }
}

/// The key of a set's metadata that says how it splits users.
const BUCKETING: &str = "bucketing";
const EVALUATORS: &str = "$evaluators";
const METADATA: &str = "metadata";

/// Evaluators by name, compiled.
pub(super) type Evaluators = BTreeMap<String, Evaluator>;

/// One compiled evaluator.
#[derive(Debug)]
pub(super) struct Evaluator {
    pub(super) node: Arc<Node>,
    pub(super) asks: Asks,
}

/// What the flags of a set share.
#[derive(Debug, Default)]
pub struct Set {
    pub(super) evaluators: Evaluators,
    pub(super) metadata: Arc<Map<String, Value>>,
    bucketing: Bucketing,
    /// The rules as they are written, to write them again.
    written: Map<String, Value>,
    faults: Vec<FlagError>,
}

/// Whether an object is a set and no flag.
pub(super) fn is_set(fields: &Map<String, Value>) -> bool {
    let known = [EVALUATORS, METADATA, "$schema"];
    !fields.contains_key("variants") && fields.keys().all(|key| known.contains(&key.as_str()))
}

impl Set {
    /// Parses a set: a JSON object with `$evaluators` and `metadata`, each of which may be left out. The
    /// metadata `bucketing` says how `fractional` splits users, `v2` (when it is left out) or `v3`.
    ///
    /// # Errors
    /// [`FlagError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, FlagError> {
        let mut fields = json::object(bytes)?;
        let set = Self::take(&mut fields)?;
        // An editor's help, of no meaning here.
        fields.remove("$schema");
        if !fields.is_empty() {
            return Err(FlagError::new(format!(
                "{} unknown key(s); a set has $evaluators and metadata",
                fields.len()
            )));
        }
        Ok(set)
    }

    /// The set that stands beside flags in one object.
    pub(super) fn take(fields: &mut Map<String, Value>) -> Result<Self, FlagError> {
        let written = match fields.remove(EVALUATORS) {
            None => Map::new(),
            Some(Value::Object(rules)) => rules,
            Some(_) => return Err(FlagError::new("`$evaluators` must be an object of rules")),
        };
        let metadata = json::metadata(fields.remove(METADATA))?;
        let mut faults = Vec::new();
        let bucketing = match metadata.get(BUCKETING).map(Value::as_str) {
            None | Some(Some("v2")) => Bucketing::V2,
            Some(Some("v3")) => Bucketing::V3,
            Some(_) => {
                faults.push(FlagError::new("the metadata `bucketing` is \"v2\" or \"v3\""));
                Bucketing::V2
            }
        };
        let mut evaluators = Evaluators::new();
        // They cannot refer to each other: each is read with none at hand.
        let none = Evaluators::new();
        for (at, (name, rule)) in written.iter().enumerate() {
            let mut reader = Reader::new(&format!("/{EVALUATORS}/{at}"), &none);
            match reader.rule(rule) {
                Ok(node) => {
                    let evaluator = Evaluator {
                        node: Arc::new(node),
                        asks: reader.asks,
                    };
                    evaluators.insert(name.clone(), evaluator);
                }
                // Whoever refers to it has no rule then.
                Err(error) => faults.push(error),
            }
            faults.append(&mut reader.faults);
        }
        Ok(Self {
            evaluators,
            metadata: Arc::new(metadata),
            bucketing,
            written,
            faults,
        })
    }

    /// How it splits users.
    #[must_use]
    pub fn bucketing(&self) -> Bucketing {
        self.bucketing
    }

    /// The set's metadata.
    #[must_use]
    pub fn metadata(&self) -> &Map<String, Value> {
        &self.metadata
    }

    /// Its evaluators by name, as they are written.
    #[must_use]
    pub fn evaluators(&self) -> &Map<String, Value> {
        &self.written
    }

    /// True when it says nothing at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.written.is_empty() && self.metadata.is_empty()
    }

    /// What is wrong with it by flagd's schema, or cannot be evaluated. A commit with faults is refused;
    /// an evaluation takes what it can, as flagd does.
    #[must_use]
    pub fn faults(&self) -> &[FlagError] {
        &self.faults
    }

    /// The set as JSON, as [`Set::parse`] reads it.
    #[must_use]
    pub fn to_json(&self) -> Map<String, Value> {
        let mut out = Map::new();
        self.write(&mut out);
        out
    }

    pub(super) fn write(&self, out: &mut Map<String, Value>) {
        if !self.written.is_empty() {
            out.insert(EVALUATORS.to_owned(), Value::Object(self.written.clone()));
        }
        if !self.metadata.is_empty() {
            out.insert(METADATA.to_owned(), Value::Object((*self.metadata).clone()));
        }
    }
}
