//! Reading typed values out of a TOML table: owns collecting every problem instead of stopping
//! at the first, and never repeating what was given. It must not know which settings there are.

use std::cell::RefCell;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::keys;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The full name of the key, like `files[1].mode`; empty for the file as a whole.
    pub key: String,
    /// What is wrong and what is wanted, never with the value.
    pub problem: String,
}

/// Everything that is wrong with a settings file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.0.iter().enumerate() {
            let line = if at == 0 { "" } else { "\n" };
            if problem.key.is_empty() {
                write!(f, "{line}{}", problem.problem)?;
            } else {
                write!(f, "{line}{}: {}", problem.key, problem.problem)?;
            }
        }
        Ok(())
    }
}

/// Where problems are collected.
#[derive(Debug, Default)]
pub(super) struct Collected(RefCell<Vec<Problem>>);

impl Collected {
    pub(super) fn add(&self, key: String, problem: impl Into<String>) {
        let problem = problem.into();
        self.0.borrow_mut().push(Problem { key, problem });
    }

    pub(super) fn into_result<T>(self, value: Option<T>) -> Result<T, Problems> {
        let problems = self.0.into_inner();
        match value {
            Some(value) if problems.is_empty() => Ok(value),
            _ => Err(Problems(problems)),
        }
    }
}

/// One table of the file.
pub(super) struct Table<'a> {
    table: &'static str,
    shown: String,
    values: Option<&'a toml::Table>,
    problems: &'a Collected,
}

impl<'a> Table<'a> {
    /// `table` names it in [`keys`], `shown` in messages; `values` is absent when the file has
    /// no such table and only defaults apply.
    pub(super) fn new(
        table: &'static str,
        shown: String,
        values: Option<&'a toml::Table>,
        problems: &'a Collected,
    ) -> Self {
        let this = Self {
            table,
            shown,
            values,
            problems,
        };
        for name in values.into_iter().flat_map(toml::Table::keys) {
            let sub = table.is_empty() && keys::TABLES.iter().any(|(known, _)| known == name);
            if !sub && !keys::of(table).any(|key| key.name == name) {
                let known: Vec<&str> = keys::of(table).map(|key| key.name).collect();
                // a key's name may be a misplaced value: show it only when it looks like a key
                let looks_like_key =
                    name.len() <= 40 && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
                let shown = if looks_like_key { name.as_str() } else { "(a key)" };
                this.problem(
                    shown,
                    format!("this key is not known; known here: {}", known.join(", ")),
                );
            }
        }
        this
    }

    pub(super) fn problem(&self, key: &str, problem: impl Into<String>) {
        let key = match (self.shown.as_str(), key) {
            ("", key) => key.to_owned(),
            (table, "") => table.to_owned(),
            (table, key) => format!("{table}.{key}"),
        };
        self.problems.add(key, problem);
    }

    pub(super) fn raw(&self, key: &str) -> Option<&'a toml::Value> {
        debug_assert!(
            keys::of(self.table).any(|known| known.name == key),
            "{key} is not documented"
        );
        self.values?.get(key)
    }

    /// Parses an optional text.
    pub(super) fn parse<T, E: fmt::Display>(
        &self,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(key)?;
        parse(text)
            .map_err(|error| self.problem(key, error.to_string()))
            .ok()
    }

    pub(super) fn text(&self, key: &str) -> Option<&'a str> {
        let value = self.raw(key)?;
        let text = value.as_str();
        if text.is_none() {
            self.problem(key, "a text is wanted");
        }
        text.filter(|text| {
            let whole = !text.is_empty() && !text.contains('\0');
            if !whole {
                self.problem(key, "it is empty or holds a NUL");
            }
            whole
        })
    }

    /// A text that must be there.
    pub(super) fn required(&self, key: &str) -> Option<&'a str> {
        if self.raw(key).is_none() {
            self.problem(key, "it is missing");
        }
        self.text(key)
    }

    pub(super) fn boolean(&self, key: &str, default: bool) -> bool {
        match self.raw(key) {
            None => default,
            Some(toml::Value::Boolean(value)) => *value,
            Some(_) => {
                self.problem(key, "true or false is wanted");
                default
            }
        }
    }

    pub(super) fn integer<T: TryFrom<i64> + fmt::Display + PartialOrd + Copy>(
        &self,
        key: &str,
        range: RangeInclusive<T>,
    ) -> Option<T> {
        let value = self
            .raw(key)?
            .as_integer()
            .and_then(|value| T::try_from(value).ok());
        let value = value.filter(|value| range.contains(value));
        if value.is_none() {
            let (low, high) = (range.start(), range.end());
            self.problem(key, format!("a whole number from {low} to {high} is wanted"));
        }
        value
    }

    pub(super) fn duration(&self, key: &str, default: Duration) -> Duration {
        self.parse(key, duration).unwrap_or(default)
    }

    /// A list of texts, each parsed; empty when not given.
    pub(super) fn list<T, E: fmt::Display>(&self, key: &str, parse: impl Fn(&str) -> Result<T, E>) -> Vec<T> {
        let Some(value) = self.raw(key) else {
            return Vec::new();
        };
        let Some(items) = value.as_array() else {
            self.problem(key, "a list of texts is wanted");
            return Vec::new();
        };
        let mut out = Vec::with_capacity(items.len());
        for (at, item) in items.iter().enumerate() {
            match item.as_str().map(&parse) {
                Some(Ok(item)) => out.push(item),
                Some(Err(error)) => self.problem(&format!("{key}[{at}]"), error.to_string()),
                None => self.problem(&format!("{key}[{at}]"), "a text is wanted"),
            }
        }
        out
    }

    /// A sub-table of this one, known to [`keys`] under its own name.
    pub(super) fn table(&self, name: &'static str) -> Table<'a> {
        let values = match self.values.and_then(|values| values.get(name)) {
            None => None,
            Some(toml::Value::Table(table)) => Some(table),
            Some(_) => {
                self.problem(name, format!("a table is wanted: [{name}]"));
                None
            }
        };
        Table::new(name, name.to_owned(), values, self.problems)
    }

    /// True when the file has this sub-table.
    pub(super) fn has(&self, name: &str) -> bool {
        self.values.is_some_and(|values| values.contains_key(name))
    }

    /// The elements of an array of tables.
    pub(super) fn tables(&self, name: &'static str) -> Vec<Table<'a>> {
        let items = match self.values.and_then(|values| values.get(name)) {
            None => return Vec::new(),
            Some(toml::Value::Array(items)) => items,
            Some(_) => {
                self.problem(name, format!("an array of tables is wanted: [[{name}]]"));
                return Vec::new();
            }
        };
        let mut out = Vec::with_capacity(items.len());
        for (at, item) in items.iter().enumerate() {
            let shown = format!("{name}[{at}]");
            match item.as_table() {
                Some(table) => out.push(Table::new(name, shown, Some(table), self.problems)),
                None => self.problem(&shown, format!("a table is wanted: [[{name}]]")),
            }
        }
        out
    }
}

/// A whole number with `ms`, `s`, `m` or `h`; from 1 ms to 30 days.
fn duration(text: &str) -> Result<Duration, &'static str> {
    const WANTED: &str = "a whole number with ms, s, m or h is wanted, from 1ms to 720h, like \"10s\"";
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).ok_or(WANTED)?;
    let number: u64 = number.parse().map_err(|_| WANTED)?;
    let unit = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(WANTED),
    };
    let millis = number.checked_mul(unit).ok_or(WANTED)?;
    if (1..=720 * 3_600_000).contains(&millis) {
        Ok(Duration::from_millis(millis))
    } else {
        Err(WANTED)
    }
}
