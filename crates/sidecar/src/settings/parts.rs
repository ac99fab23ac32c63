//! The files that are parts of the settings: owns finding where a text of settings, also one that is refused, names
//! them. It must not read them.

use std::path::PathBuf;

use toml::{Table, Value};

use super::Surroundings;

/// The files of `overrides`, and each `template_file` of `names` and `env`.
pub(crate) fn parts(settings: &Table, around: &Surroundings) -> Vec<PathBuf> {
    let table = |key: &str| settings.get(key).and_then(Value::as_table);
    let directories = settings.get("files").and_then(Value::as_array);
    let names = directories.into_iter().flatten().map(|files| files.get("names"));
    let env = table("process").map(|process| process.get("env"));
    let made = names.chain(env).flatten().filter_map(Value::as_table);
    let templates = made
        .flat_map(Table::values)
        .filter_map(|what| what.get("template_file"));
    let overrides = table("overrides").into_iter().flat_map(Table::values);
    let files = overrides.chain(templates).filter_map(Value::as_str);
    files.map(|file| around.resolve(file)).collect()
}
