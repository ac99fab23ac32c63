//! A template's three functions: owns asking a source for each value once, and saying what is wrong by a name that the
//! template's text has. It must not know where values come from.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use minijinja::value::Value;
use minijinja::{Environment, Error, State};
use serde_json::{Map, Value as Json};
use zeroize::Zeroizing;

use super::error::Problem;
use super::table::{self, Notes};
use super::{Source, Unavailable, json, names};
use crate::flag::{Context, Flag, MAX_WORK};
use crate::name::EntryPath;

/// What a template finds beside its own names.
pub(super) const FUNCTIONS: [&str; 3] = ["secret", "config", "flag"];

/// How much work of a flag's rule is a unit of fuel.
const WORK_PER_FUEL: u32 = 4;

/// What was asked for already in this rendering.
#[derive(Default)]
struct Known {
    values: BTreeMap<(&'static str, EntryPath), Value>,
    flags: BTreeMap<EntryPath, Arc<Mutex<Asked>>>,
}

/// A flag that was asked for, with the values of its variants that were given.
struct Asked {
    flag: Flag,
    given: BTreeMap<String, Value>,
}

struct Asking {
    text: Arc<Zeroizing<String>>,
    source: Arc<dyn Source>,
    notes: Notes,
    known: Mutex<Known>,
}

pub(super) fn add(
    environment: &mut Environment<'_>,
    text: &Arc<Zeroizing<String>>,
    source: Arc<dyn Source>,
    notes: &Notes,
) {
    let asking = Arc::new(Asking {
        text: Arc::clone(text),
        source,
        notes: notes.clone(),
        known: Mutex::default(),
    });
    let to = Arc::clone(&asking);
    environment.add_function("secret", move |path: &str| to.secret(path));
    let to = Arc::clone(&asking);
    environment.add_function("config", move |path: &str| to.config(path));
    environment.add_function(
        "flag",
        move |state: &State<'_, '_>, key: &str, context: Option<Value>| asking.flag(state, key, context),
    );
}

impl Asking {
    fn secret(&self, path: &str) -> Result<Value, Error> {
        let path = self.path(path)?;
        self.once("the secret", path, |source, path| {
            let secret = source.secret(path)?;
            secret.expose(|bytes| match std::str::from_utf8(bytes) {
                Ok(text) => Ok(Value::from(text)),
                Err(_) => Err(Unavailable::NotText),
            })
        })
    }

    fn config(&self, path: &str) -> Result<Value, Error> {
        let path = self.path(path)?;
        self.once("the config", path, |source, path| {
            let name = self.written(path.as_str());
            let document = name.map(|path| format!("the config {path}").into());
            Ok(table::value(source.config(path)?, document.as_ref(), &self.notes))
        })
    }

    fn flag(&self, state: &State<'_, '_>, key: &str, context: Option<Value>) -> Result<Value, Error> {
        let key = self.path(key)?;
        let context = match context.map(|context| json::of(state, &context, &self.notes)) {
            None => Map::new(),
            Some(context) => match context? {
                Json::Object(context) => context,
                _ => return Err(self.cannot(&key, "its context must be a table")),
            },
        };
        let asked = self.asked(&key)?;
        let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
        self.evaluated(state, &key, &mut asked, &context)
    }

    /// Asks the source once.
    fn once(
        &self,
        what: &'static str,
        path: EntryPath,
        ask: impl FnOnce(&dyn Source, &EntryPath) -> Result<Value, Unavailable>,
    ) -> Result<Value, Error> {
        let key = (what, path);
        if let Some(value) = self.known(|known| known.values.get(&key).cloned()) {
            return Ok(value);
        }
        let value = ask(&*self.source, &key.1).map_err(|why| self.unavailable(what, &key.1, why))?;
        self.known(|known| known.values.insert(key, value.clone()));
        Ok(value)
    }

    /// The same for a flag, which is then evaluated for each context.
    fn asked(&self, key: &EntryPath) -> Result<Arc<Mutex<Asked>>, Error> {
        if let Some(asked) = self.known(|known| known.flags.get(key).cloned()) {
            return Ok(asked);
        }
        let flag = self.source.flag(key);
        let flag = flag.map_err(|why| self.unavailable("the flag", key, why))?;
        let given = BTreeMap::new();
        let asked = Arc::new(Mutex::new(Asked { flag, given }));
        self.known(|known| known.flags.insert(key.clone(), Arc::clone(&asked)));
        Ok(asked)
    }

    fn evaluated(
        &self,
        state: &State<'_, '_>,
        key: &EntryPath,
        Asked { flag, given }: &mut Asked,
        context: &Context,
    ) -> Result<Value, Error> {
        let mut left = MAX_WORK;
        let evaluation = flag.evaluate_within(context, None, self.source.now(), &mut left);
        let work = MAX_WORK.saturating_sub(left);
        state.consume_fuel(u64::from(work / WORK_PER_FUEL))?;
        let evaluation = evaluation.map_err(|failure| self.cannot(key, failure.detail))?;
        let Some(chosen) = evaluation.chosen else {
            return Ok(Value::from(()));
        };
        if let Some(value) = given.get(chosen.variant) {
            return Ok(value.clone());
        }
        let name = self.written(key.as_str());
        let whose = name.map(|key| format!("the flag {key}").into());
        let value = table::value(chosen.value.clone(), whose.as_ref(), &self.notes);
        given.insert(chosen.variant.to_owned(), value.clone());
        Ok(value)
    }

    fn known<R>(&self, f: impl FnOnce(&mut Known) -> R) -> R {
        f(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn cannot(&self, key: &EntryPath, why: &str) -> Error {
        self.unavailable("the flag", key, Unavailable::Flag(why.to_owned()))
    }

    fn unavailable(&self, what: &'static str, path: &EntryPath, why: Unavailable) -> Error {
        let name = self.written(path.as_str()).map(str::to_owned);
        self.notes.fail(Problem::Unavailable { what, name, why })
    }

    fn written<'a>(&self, name: &'a str) -> Option<&'a str> {
        names::is_written(&self.text, name).then_some(name)
    }

    fn path(&self, text: &str) -> Result<EntryPath, Error> {
        EntryPath::new(text).map_err(|error| self.notes.fail(Problem::BadName(error)))
    }
}
