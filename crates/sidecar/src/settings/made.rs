//! What is made for a consumer instead of being delivered as it lies in the store: owns the keys for it in
//! `names`, `env` and `keys`, and reading templates that lie beside the settings. It must not render.

use std::fmt;
use std::path::{Path, PathBuf};

use strongroom_core::config::{Delivered, Key};
use strongroom_core::name::EntryPath;
use strongroom_core::template::{MAX_TEXT, Template};

use super::table::Table;
use super::{Surroundings, regular};

/// Something that is made, under its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// The file or variable; with [`What::Keys`] what stands before each key.
    pub name: String,
    /// What is made.
    pub what: What,
}

/// What is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A template that is an entry.
    Template(EntryPath),
    /// A template that is a file.
    File {
        /// Where it lies.
        file: PathBuf,
        /// What it says.
        template: Template,
    },
    /// A document in a format.
    Document {
        /// The document.
        path: EntryPath,
        /// The format.
        format: Delivered,
    },
    /// The text of one key.
    Key {
        /// The document.
        path: EntryPath,
        /// The key.
        key: Key,
    },
    /// The text of each key.
    Keys(EntryPath),
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Template(path) => write!(f, "the template {path}"),
            Self::File { file, .. } => write!(f, "the template {}", file.display()),
            Self::Document { path, format } => write!(f, "{path} as {}", format.as_str()),
            Self::Key { path, key } => write!(f, "`{key}` of {path}"),
            Self::Keys(path) => write!(f, "the keys of {path}"),
        }
    }
}

const WANTED: &str = "an entry's path is wanted, or one of { template = \"PATH\" }, { template_file = \"FILE\" }, \
     { config = \"PATH\", format = \"yaml\" }, { config = \"PATH\", key = \"pool.size\" }";

/// What stands in an inline table.
pub(super) fn what(parts: &toml::Table, around: &Surroundings) -> Result<What, String> {
    let mut texts = Vec::with_capacity(parts.len());
    for (name, value) in parts {
        let text = value
            .as_str()
            .filter(|text| !text.is_empty() && !text.contains('\0'));
        texts.push((name.as_str(), text.ok_or_else(|| WANTED.to_owned())?));
    }
    texts.sort_unstable();
    let path = |text| EntryPath::new(text).map_err(|error| error.to_string());
    match *texts.as_slice() {
        [("template", at)] => {
            let at = path(at)?;
            if at.is_template() {
                Ok(What::Template(at))
            } else {
                Err("templates lie under template/".to_owned())
            }
        }
        [("template_file", file)] => {
            let file = around.resolve(file);
            let template = read(&file)?;
            Ok(What::File { file, template })
        }
        [("config", at), ("format", format)] => Ok(What::Document {
            path: path(at)?,
            format: format
                .parse()
                .map_err(|error: strongroom_core::config::DeliveredError| error.to_string())?,
        }),
        [("config", at), ("key", key)] => Ok(What::Key {
            path: path(at)?,
            key: key
                .parse()
                .map_err(|error: strongroom_core::config::KeyError| error.to_string())?,
        }),
        _ => Err(WANTED.to_owned()),
    }
}

/// The documents of `keys`, each with what stands before its keys.
pub(super) fn keys<E: fmt::Display>(table: &Table<'_>, name: impl Fn(&str) -> Result<(), E>) -> Vec<Made> {
    let mut all = Vec::new();
    let Some(value) = table.raw("keys") else {
        return all;
    };
    let Some(values) = value.as_table() else {
        table.problem("keys", "a table of names, each with a document's path, is wanted");
        return all;
    };
    for (at, (before, path)) in values.iter().enumerate() {
        let at = format!("keys, item {}", at.saturating_add(1));
        let path = path.as_str().map(EntryPath::new);
        if let Err(error) = name(before) {
            table.problem(&at, error.to_string());
        }
        match path {
            Some(Ok(path)) => all.push(Made {
                name: before.clone(),
                what: What::Keys(path),
            }),
            Some(Err(error)) => table.problem(&at, error.to_string()),
            None => table.problem(&at, "a document's path is wanted, as a text"),
        }
    }
    all
}

fn read(file: &Path) -> Result<Template, String> {
    let name = file.display().to_string();
    let text = regular::read(file, MAX_TEXT).map_err(|error| format!("{name} cannot be read: {error}"))?;
    Template::parse(&name, &text).map_err(|error| error.to_string())
}

impl Made {
    /// The template's, where it is a file.
    pub(super) fn file(&self) -> Option<&Path> {
        match &self.what {
            What::File { file, .. } => Some(file),
            _ => None,
        }
    }
}
