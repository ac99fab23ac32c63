//! What is wrong with a document: owns the words for it. The schema may be quoted, for it is no
//! secret; a value of the document never is.

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use jsonschema::paths::LocationSegment;
use serde_json::Value;

use super::super::key::Key;

/// Longest piece of a schema that is quoted.
const MAX_QUOTE: usize = 120;

/// One thing that is not as the schema says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Where.
    pub key: Key,
    /// What the schema says, as in "`pool.size` must be an integer".
    pub rule: String,
    /// How to mend it.
    pub mend: String,
}

/// The faults of one error: one for each key that is not known or not there.
pub(super) fn of(error: &ValidationError<'_>) -> Vec<Fault> {
    let mut names: Vec<String> = Vec::new();
    for segment in error.instance_path() {
        names.push(match segment {
            LocationSegment::Property(name) => name.into_owned(),
            LocationSegment::Index(index) => index.to_string(),
        });
    }
    let (rule, mend) = rule(error.kind());
    let at = |name: Option<&str>| {
        let mut names = names.clone();
        names.extend(name.map(str::to_owned));
        Fault {
            key: Key::of(names),
            rule: rule.clone(),
            mend: mend.to_owned(),
        }
    };
    match error.kind() {
        Kind::Required { property } => vec![at(property.as_str())],
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            unexpected.iter().map(|name| at(Some(name))).collect()
        }
        _ => vec![at(None)],
    }
}

/// What a kind of error asks for, and how to mend it.
pub(super) fn rule(kind: &Kind) -> (String, &'static str) {
    let number = "choose a value within the limit";
    match kind {
        Kind::Required { .. } => ("must be there".into(), "set it"),
        Kind::AdditionalProperties { .. } | Kind::UnevaluatedProperties { .. } => (
            "is not known to the schema".into(),
            "mind the spelling, take it out, or add it to the schema",
        ),
        Kind::Type { kind } => (format!("must be {}", types(kind)), "give it a value of that type"),
        Kind::Enum { options } => (
            format!("must be one of {}", quoted(options)),
            "choose one of them",
        ),
        Kind::Constant { expected_value } => {
            (format!("must be {}", quoted(expected_value)), "set it to that")
        }
        Kind::Minimum { limit } => (format!("must be at least {}", quoted(limit)), number),
        Kind::Maximum { limit } => (format!("must be at most {}", quoted(limit)), number),
        Kind::ExclusiveMinimum { limit } => (format!("must be more than {}", quoted(limit)), number),
        Kind::ExclusiveMaximum { limit } => (format!("must be less than {}", quoted(limit)), number),
        Kind::MultipleOf { .. } => ("must be a multiple of what the schema says".into(), number),
        Kind::MinLength { limit } => (format!("must have at least {limit} characters"), "make it longer"),
        Kind::MaxLength { limit } => (format!("must have at most {limit} characters"), "make it shorter"),
        Kind::MinItems { limit } => (format!("must have at least {limit} items"), "add some"),
        Kind::MaxItems { limit } => (format!("must have at most {limit} items"), "take some out"),
        Kind::AdditionalItems { limit } => (format!("must have at most {limit} items"), "take some out"),
        Kind::UnevaluatedItems { .. } => ("has items that the schema does not know".into(), "take some out"),
        Kind::MinProperties { limit } => (format!("must have at least {limit} keys"), "add some"),
        Kind::MaxProperties { limit } => (format!("must have at most {limit} keys"), "take some out"),
        Kind::UniqueItems => ("must not have an item twice".into(), "take one of them out"),
        Kind::Contains => ("must have an item that the schema asks for".into(), "add it"),
        Kind::Pattern { pattern } => (
            format!("must match the pattern {}", cut(pattern)),
            "spell it as the pattern asks",
        ),
        Kind::Format { format } => (
            format!("must have the format {}", cut(format)),
            "spell it in that format",
        ),
        Kind::PropertyNames { .. } => (
            "has a key that the schema does not allow".into(),
            "mind the spelling of its keys",
        ),
        Kind::FalseSchema => ("must not be there".into(), "take it out"),
        Kind::AnyOf { .. } | Kind::OneOfNotValid { .. } => (
            "fits none of the alternatives of the schema".into(),
            "look at the alternatives in the schema, and make it one of them",
        ),
        Kind::OneOfMultipleValid { .. } => (
            "fits more than one alternative of the schema".into(),
            "look at the alternatives in the schema, and make it one of them only",
        ),
        Kind::Not { .. } => (
            "is what the schema excludes".into(),
            "look at `not` in the schema",
        ),
        _ => ("is not as the schema says".into(), "look at the schema"),
    }
}

fn types(kind: &TypeKind) -> String {
    let name = |name: &str| match name {
        "object" => "a table".to_owned(),
        "array" => "a list".to_owned(),
        "string" => "a text".to_owned(),
        "integer" => "a whole number".to_owned(),
        "number" => "a number".to_owned(),
        "boolean" => "true or false".to_owned(),
        other => other.to_owned(),
    };
    match kind {
        TypeKind::Single(one) => name(one.as_str()),
        TypeKind::Multiple(many) => {
            let names: Vec<_> = many.iter().map(|one| name(one.as_str())).collect();
            names.join(" or ")
        }
    }
}

fn quoted(value: &Value) -> String {
    cut(&value.to_string())
}

fn cut(text: &str) -> String {
    if text.chars().count() <= MAX_QUOTE {
        return text.to_owned();
    }
    let start: String = text.chars().take(MAX_QUOTE).collect();
    format!("{start}...")
}
