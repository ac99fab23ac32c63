//! What of JSON Schema is taken: owns the restrictions that keep a schema whole in itself. What it
//! means is for the validator.

use serde_json::Value;

use super::SchemaError;
use super::default;

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
/// Keywords that make names or lead to other documents.
pub(super) const FOREIGN: [&str; 6] = [
    "$id",
    "$anchor",
    "$dynamicRef",
    "$dynamicAnchor",
    "$recursiveRef",
    "$recursiveAnchor",
];
/// Under these stand names, and no keywords.
pub(super) const NAMED: [&str; 5] = [
    "/properties",
    "/patternProperties",
    "/dependentSchemas",
    "/$defs",
    "/definitions",
];
/// What stands there is data.
pub(super) const DATA: [&str; 4] = ["const", "enum", "default", "examples"];

/// Checks a whole schema.
pub(super) fn check(schema: &Value) -> Result<(), SchemaError> {
    let Some(fields) = schema.as_object() else {
        return Err(refused("", "a schema is a JSON object"));
    };
    match fields.get("$schema").map(Value::as_str) {
        None => {}
        Some(Some(dialect)) if dialect.trim_end_matches('#') == DIALECT => {}
        Some(_) => return Err(refused("/$schema", "only draft 2020-12 is taken")),
    }
    walk(schema, schema, &mut String::new())
}

fn walk(root: &Value, value: &Value, at: &mut String) -> Result<(), SchemaError> {
    let length = at.len();
    let names_keys = NAMED.iter().any(|named| at.ends_with(named));
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                at.push('/');
                at.push_str(&name.replace('~', "~0").replace('/', "~1"));
                keyword(root, name, field, at)?;
                if name == "default" && !names_keys && !default::may_stand(field) {
                    return Err(refused(
                        at,
                        "a default cannot unset a key, and a reference to a secret in it needs the secret's path",
                    ));
                }
                if names_keys || !DATA.contains(&name.as_str()) {
                    walk(root, field, at)?;
                }
                at.truncate(length);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                at.push_str(&format!("/{index}"));
                walk(root, item, at)?;
                at.truncate(length);
            }
        }
        _ => {}
    }
    Ok(())
}

/// A property may have the name of a keyword; then what stands there is a schema and no text.
fn keyword(root: &Value, name: &str, value: &Value, at: &str) -> Result<(), SchemaError> {
    let Some(text) = value.as_str() else { return Ok(()) };
    if FOREIGN.contains(&name) {
        return Err(refused(
            at,
            "refer to parts of the schema by `#/$defs/NAME`, without names of their own",
        ));
    }
    if name == "$schema" && at != "/$schema" {
        return Err(refused(at, "the dialect is that of the whole schema"));
    }
    if name != "$ref" {
        return Ok(());
    }
    let pointer = text
        .strip_prefix('#')
        .filter(|pointer| !pointer.contains('%'))
        .ok_or_else(|| {
            refused(
                at,
                "only parts of this schema can be referred to, by `#` or `#/$defs/NAME`",
            )
        })?;
    match root.pointer(pointer) {
        Some(Value::Object(_) | Value::Bool(_)) => Ok(()),
        _ => Err(refused(at, "there is no such part of this schema")),
    }
}

fn refused(at: &str, problem: &str) -> SchemaError {
    SchemaError::Form {
        at: at.to_owned(),
        problem: problem.to_owned(),
    }
}
