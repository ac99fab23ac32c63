//! The layers of this machine: owns the key `overrides` and reading the documents that it names. It must not
//! know what they are merged with.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use strongroom_core::config::Format;
use strongroom_core::name::EntryPath;
use strongroom_core::snapshot::{Local, Locals};

use super::table::Table;
use super::{Surroundings, regular};

/// Longest document, as in the store.
const MAX_BYTES: usize = 1 << 20;
const KEY: &str = "overrides";

/// What this machine says of config, nearer than any environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// The files.
    pub files: Vec<PathBuf>,
    /// The documents, as they were read.
    pub locals: Arc<Locals>,
}

pub(super) fn overrides(top: &Table<'_>, around: &Surroundings) -> Overrides {
    let (mut files, mut locals) = (Vec::new(), Locals::new());
    let Some(value) = top.raw(KEY) else {
        return Overrides::default();
    };
    let Some(values) = value.as_table() else {
        top.problem(KEY, "a table of config paths, each with a file, is wanted");
        return Overrides::default();
    };
    for (index, (path, file)) in values.iter().enumerate() {
        let at = format!("{KEY}, item {}", index.saturating_add(1));
        let path = EntryPath::new(path).map_err(|error| error.to_string());
        let file = file
            .as_str()
            .ok_or_else(|| "a file is wanted, as a text".to_owned());
        let read = path.and_then(|path| {
            let file = around.resolve(file?);
            Ok((path, local(&file)?, file))
        });
        match read {
            Ok((path, local, file)) => {
                files.push(file);
                locals.insert(path, local);
            }
            Err(problem) => top.problem(&at, problem),
        }
    }
    Overrides {
        files,
        locals: Arc::new(locals),
    }
}

fn local(file: &Path) -> Result<Local, String> {
    let format = match file.extension().and_then(|end| end.to_str()) {
        Some("toml") => Format::Toml,
        Some("json") => Format::Json,
        _ => return Err("its name must end with .toml or .json, which says what it is".to_owned()),
    };
    let bytes =
        regular::read(file, MAX_BYTES).map_err(|error| format!("the file cannot be read: {error}"))?;
    Local::new(format, bytes).map_err(|error| error.to_string())
}
