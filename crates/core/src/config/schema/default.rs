//! What holds where a document says nothing: owns finding the defaults of a schema that are missing in
//! a document. Only tables are filled, not the items of arrays, and only by what holds for every
//! document.

use serde_json::{Map, Value};

use super::super::Format;
use super::super::key::Key;
use super::super::unset::{self, Tree as _};
use super::field::faces;

/// Most values that are filled in, and how deep: a default may be a table whose keys have defaults.
const MAX_FILLED: usize = 1000;
const MAX_DEPTH: usize = 16;
/// Most keys of the schema that are looked at for one document.
const MAX_LOOKS: usize = 200_000;

/// It would take too long.
#[derive(Debug)]
pub(super) struct TooMuch;

/// Fills `document`, which is of `format`, with the defaults of `schema` that the format can say; the keys
/// that were missing, each with its value.
///
/// # Errors
/// [`TooMuch`].
pub(super) fn fill(
    schema: &Value,
    format: Format,
    document: &mut Value,
) -> Result<Vec<(Key, Value)>, TooMuch> {
    let mut filling = Filling {
        root: schema,
        format,
        names: Vec::new(),
        left: MAX_FILLED,
        looks: MAX_LOOKS,
        filled: Vec::new(),
    };
    filling.table(&faces(schema, [schema]), document, true)?;
    Ok(filling.filled)
}

/// Whether a default means what it says wherever it is filled in.
pub(super) fn may_stand(default: &Value) -> bool {
    let table: Map<String, Value> = [("a".to_owned(), default.clone())].into_iter().collect();
    unset::check(&Value::Object(table)).is_ok_and(|unsets| !unsets)
}

/// A document on its way.
struct Filling<'a> {
    root: &'a Value,
    format: Format,
    names: Vec<String>,
    left: usize,
    looks: usize,
    filled: Vec<(Key, Value)>,
}

impl<'a> Filling<'a> {
    /// `tells` is false within a default: what is filled into it is part of it.
    fn table(&mut self, table: &[&'a Value], document: &mut Value, tells: bool) -> Result<(), TooMuch> {
        let is_table = document.is_table() && self.names.len() < MAX_DEPTH;
        let Some(fields) = document.as_object_mut().filter(|_| is_table) else {
            return Ok(());
        };
        let mut named: Map<String, Value> = Map::new();
        let mut of_name: Vec<Vec<&Value>> = Vec::new();
        for properties in table
            .iter()
            .filter_map(|face| face.get("properties")?.as_object())
        {
            for (name, face) in properties {
                self.looks = self.looks.checked_sub(1).ok_or(TooMuch)?;
                let next = of_name.len();
                let at = named.entry(name.clone()).or_insert_with(|| next.into());
                let at = at
                    .as_u64()
                    .and_then(|at| usize::try_from(at).ok())
                    .unwrap_or(next);
                match of_name.get_mut(at) {
                    Some(faces) => faces.push(face),
                    None => of_name.push(vec![face]),
                }
            }
        }
        for (name, of_name) in named.keys().zip(of_name) {
            let below = faces(self.root, of_name);
            self.looks = self.looks.checked_sub(below.len()).ok_or(TooMuch)?;
            self.names.push(name.clone());
            if let Some(value) = fields.get_mut(name) {
                self.table(&below, value, tells)?;
            } else if let Some(default) = self.default(&below) {
                let mut value = default.clone();
                self.table(&below, &mut value, false)?;
                if self.can_say(&value) {
                    self.left = self.left.saturating_sub(1);
                    fields.insert(name.clone(), value.clone());
                    if tells {
                        self.filled.push((Key::of(self.names.clone()), value));
                    }
                }
            }
            self.names.pop();
        }
        Ok(())
    }

    fn default(&self, faces: &[&'a Value]) -> Option<&'a Value> {
        let default = faces.iter().find_map(|face| face.get("default"));
        default.filter(|_| self.left > 0)
    }

    /// TOML has no null, and no integer above 2^63.
    fn can_say(&self, value: &Value) -> bool {
        self.format != Format::Toml || toml::Value::try_from(value).is_ok()
    }
}
