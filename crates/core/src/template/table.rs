//! A document as a template sees it: owns remembering which of its keys was asked for and is not there.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use minijinja::value::{Enumerator, Object, ObjectExt as _, ObjectRepr, Value};
use serde_json::Value as Json;

use super::error::Problem;
use crate::config::Key;

/// What is learnt while a template is rendered.
#[derive(Debug, Default)]
pub(super) struct Learnt {
    /// What failed, where minijinja could say less.
    pub(super) problem: Option<Problem>,
    /// The key that was missed last.
    pub(super) missed: Option<Missed>,
}

/// A key that is not there.
#[derive(Debug, Clone)]
pub(super) struct Missed {
    /// Whose, as in "the config web"; `None` where the template does not say so itself.
    pub(super) document: Option<Arc<str>>,
    pub(super) names: Vec<String>,
}

/// Shared by everything in one rendering.
#[derive(Debug, Clone, Default)]
pub(super) struct Notes(Arc<Mutex<Learnt>>);

impl Notes {
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut Learnt) -> R) -> R {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What was missed before is not what a later error is about.
    pub(super) fn forget_missed(&self) {
        self.with(|learnt| learnt.missed = None);
    }

    /// Keeps what is wrong, and makes an error that ends the rendering.
    pub(super) fn fail(&self, problem: Problem) -> minijinja::Error {
        self.with(|learnt| learnt.problem = Some(problem));
        minijinja::ErrorKind::InvalidOperation.into()
    }
}

impl Missed {
    /// As an error says it: only what `written` says is in the template's text.
    pub(super) fn shown(&self, written: impl Fn(&str) -> bool) -> Option<String> {
        let last = self.names.last()?;
        if !written(last) {
            return None;
        }
        let document = self.document.as_deref().unwrap_or("a document");
        if self.names.iter().all(|name| written(name)) {
            return Some(format!("`{}` of {document}", Key::of(self.names.clone())));
        }
        Some(format!("`{last}` in {document}"))
    }
}

/// A table with where it stands.
struct Table {
    document: Option<Arc<str>>,
    at: Vec<String>,
    order: Vec<Arc<str>>,
    values: HashMap<Arc<str>, Value>,
    notes: Notes,
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Table({} keys)", self.order.len())
    }
}

impl Object for Table {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let name = key.as_str()?;
        let found = self.values.get(name).cloned();
        if found.is_none() {
            let mut names = self.at.clone();
            names.push(name.to_owned());
            let document = self.document.clone();
            self.notes
                .with(|learnt| learnt.missed = Some(Missed { document, names }));
        }
        found
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        // not all at once: whoever wants the first pays for no other
        self.mapped_enumerator(|table| Box::new(table.order.iter().map(Value::from)))
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.order.len())
    }
}

/// `json` for a template.
pub(super) fn value(json: Json, document: Option<&Arc<str>>, notes: &Notes) -> Value {
    under(json, document, &mut Vec::new(), notes)
}

fn under(json: Json, document: Option<&Arc<str>>, at: &mut Vec<String>, notes: &Notes) -> Value {
    match json {
        Json::Null => Value::from(()),
        Json::Bool(value) => Value::from(value),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Value::from(number),
            (None, Some(number)) => Value::from(number),
            (None, None) => Value::from(number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => Value::from(text),
        Json::Array(items) => {
            let items = items.into_iter();
            Value::from(
                items
                    .map(|item| under(item, document, at, notes))
                    .collect::<Vec<_>>(),
            )
        }
        Json::Object(table) => {
            let mut order = Vec::with_capacity(table.len());
            let mut values = HashMap::with_capacity(table.len());
            for (name, json) in table {
                at.push(name.clone());
                let value = under(json, document, at, notes);
                at.pop();
                let name: Arc<str> = name.into();
                order.push(Arc::clone(&name));
                values.insert(name, value);
            }
            Value::from_object(Table {
                document: document.cloned(),
                at: at.clone(),
                order,
                values,
                notes: notes.clone(),
            })
        }
    }
}
