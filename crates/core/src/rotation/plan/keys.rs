//! The keys of a plan: owns taking them one by one, and that nothing is left over. It must not know
//! what they mean.

use std::time::Duration;

use super::{PlanError, duration};

/// The keys that were not taken yet, and what was wrong with those that were.
pub(super) struct Keys {
    inside: String,
    left: toml::Table,
    problems: Vec<String>,
}

impl Keys {
    pub(super) fn of(text: &str) -> Result<Self, PlanError> {
        let left = text.parse::<toml::Table>().map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let line = text.get(..at).unwrap_or_default().matches('\n').count() + 1;
            PlanError(vec![format!("it is not TOML, at line {line}")])
        })?;
        Ok(Self {
            inside: String::new(),
            left,
            problems: Vec::new(),
        })
    }

    /// A word that has to be there.
    pub(super) fn word<T, E: ToString>(
        &mut self,
        key: &str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        match self.text(key) {
            Ok(Some(text)) => self.read(key, &text, read),
            Ok(None) => {
                self.wrong(key, "is missing");
                None
            }
            Err(()) => None,
        }
    }

    pub(super) fn duration(&mut self, key: &str) -> Option<Duration> {
        let text = self.text(key).ok().flatten()?;
        self.read(key, &text, duration)
    }

    /// A word that may be there.
    pub(super) fn may<T, E: ToString>(
        &mut self,
        key: &str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(key).ok().flatten()?;
        self.read(key, &text, read)
    }

    /// A number of a port.
    pub(super) fn port(&mut self, key: &str) -> Option<u16> {
        let port = self.left.remove(key)?;
        let port = port.as_integer().and_then(|port| u16::try_from(port).ok());
        if port.is_none_or(|port| port == 0) {
            self.wrong(key, "is a number from 1 to 65535");
        }
        port
    }

    /// Whether a key is there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.left.contains_key(key)
    }

    /// A list of words.
    pub(super) fn list(&mut self, key: &str) -> Option<Vec<String>> {
        let words = match self.left.remove(key)? {
            toml::Value::Array(items) => items
                .into_iter()
                .map(|item| match item {
                    toml::Value::String(text) if !text.contains('\0') => Some(text),
                    _ => None,
                })
                .collect(),
            _ => None,
        };
        if words.is_none() {
            self.wrong(key, "is a list of texts");
        }
        words
    }

    /// The keys of a table below; none where it is not there.
    pub(super) fn table(&mut self, key: &'static str) -> Self {
        let left = match self.left.remove(key) {
            Some(toml::Value::Table(table)) => table,
            None => toml::Table::new(),
            Some(_) => {
                self.wrong(key, "is a table");
                toml::Table::new()
            }
        };
        let dot = if self.inside.is_empty() { "" } else { "." };
        Self {
            inside: format!("{}{dot}{key}", self.inside),
            left,
            problems: Vec::new(),
        }
    }

    /// What was wrong, with what is left over.
    pub(super) fn end(mut self) -> Vec<String> {
        let left = std::mem::take(&mut self.left);
        for key in left.keys() {
            self.wrong(key, "is not known");
        }
        self.problems
    }

    fn text(&mut self, key: &str) -> Result<Option<String>, ()> {
        match self.left.remove(key) {
            None => Ok(None),
            Some(toml::Value::String(text)) => Ok(Some(text)),
            Some(_) => {
                self.wrong(key, "is a text");
                Err(())
            }
        }
    }

    fn read<T, E: ToString>(
        &mut self,
        key: &str,
        text: &str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        read(text)
            .map_err(|error| self.wrong(key, &error.to_string()))
            .ok()
    }

    /// Notes what is wrong with a key.
    pub(super) fn wrong(&mut self, key: &str, problem: &str) {
        let dot = if self.inside.is_empty() { "" } else { "." };
        let shown: String = key.chars().filter(|c| !c.is_control()).take(40).collect();
        self.problems
            .push(format!("`{}{dot}{shown}`: {problem}", self.inside));
    }
}
