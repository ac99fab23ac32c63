//! What the settings have made of a revision: owns rendering templates and writing documents for one
//! consumer, with every value opened through the gate. It must not know files, processes or who waits.

mod opener;
mod served;

use std::collections::BTreeSet;
use std::sync::Arc;

use strongroom_core::config::{self, DeliverError, Key};
use strongroom_core::inject::env::{EnvError, EnvSettings, VariableName};
use strongroom_core::inject::files::{FilesError, FilesSettings};
use strongroom_core::inject::{self};
use strongroom_core::name::EntryPath;
use strongroom_core::secret::Secret;
use strongroom_core::template::{Problem, Source as _, Template, TemplateError, Unavailable};

use crate::settings::{Made, What};

pub use opener::Opener;
pub use served::Makings;

/// What becomes of a document's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// Files of a directory: `web.d/pool.size`.
    Files,
    /// Variables: `WEB_POOL_SIZE`.
    Variables,
}

/// Why something was not made; never with a value.
#[derive(Debug, thiserror::Error)]
pub enum Unmade {
    /// A template does not parse or render.
    #[error("{name}: {error}")]
    Template {
        /// The file or variable.
        name: String,
        /// What is wrong.
        error: Box<TemplateError>,
    },
    /// What it is made of is not given.
    #[error("{name}: {path} {why}")]
    Unavailable {
        /// The file or variable.
        name: String,
        /// The template or document.
        path: EntryPath,
        /// Why not.
        why: Unavailable,
    },
    /// A document has no such form.
    #[error("{name}: {path} cannot be delivered: {why}")]
    Format {
        /// The file or variable.
        name: String,
        /// The document.
        path: EntryPath,
        /// Why not.
        why: DeliverError,
    },
    /// A document has no such key.
    #[error("{name}: {path} has no key `{key}`")]
    NoKey {
        /// The file or variable.
        name: String,
        /// The document.
        path: EntryPath,
        /// The key.
        key: Key,
    },
    /// Files cannot be; all of them.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// Variables cannot be; all of them.
    #[error(transparent)]
    Variables(#[from] EnvError),
}

impl Unmade {
    /// True when it may go by itself, with the same revision.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Template { error, .. } => matches!(
                error.problem,
                Problem::Unavailable {
                    why: Unavailable::Now(_),
                    ..
                }
            ),
            Self::Unavailable { why, .. } => matches!(why, Unavailable::Now(_)),
            Self::Format { .. } | Self::NoKey { .. } | Self::Files(_) | Self::Variables(_) => false,
        }
    }
}

/// What was made, and of which entries.
#[derive(Debug, Default)]
pub struct Making {
    /// For the consumer.
    pub made: Vec<inject::Made>,
    /// All that were opened for it.
    pub used: BTreeSet<EntryPath>,
}

impl Making {
    /// Makes all of `wanted`, and looks whether it can be delivered by itself: whoever delivers finds what is
    /// in the way of it beside it.
    ///
    /// # Errors
    /// [`Unmade`], of the first that is not made or cannot be delivered.
    pub fn of(opener: &Arc<Opener>, wanted: &[Made], names: Names) -> Result<Self, Unmade> {
        let mut made = Vec::with_capacity(wanted.len());
        for one in wanted {
            made.extend(one_of(opener, one, names)?);
        }
        let alone = inject::Material {
            revision: 0,
            values: Vec::new(),
            made,
        };
        match names {
            Names::Files => FilesSettings {
                derive: false,
                ..FilesSettings::new("")
            }
            .check(&alone)?,
            Names::Variables => EnvSettings {
                derive: false,
                ..EnvSettings::default()
            }
            .variables(&alone)
            .map(drop)?,
        }
        Ok(Self {
            made: alone.made,
            used: opener.used(),
        })
    }
}

fn one_of(opener: &Arc<Opener>, wanted: &Made, names: Names) -> Result<Vec<inject::Made>, Unmade> {
    let Made { name, what } = wanted;
    let whole = |bytes: Secret| {
        vec![inject::Made {
            name: name.clone(),
            is_named: true,
            of: what.to_string(),
            bytes,
        }]
    };
    let template = |error| Unmade::Template {
        name: name.clone(),
        error: Box::new(error),
    };
    let render = |text: &Template| {
        text.render(Arc::<Opener>::clone(opener))
            .map(whole)
            .map_err(template)
    };
    let unavailable = |path: &EntryPath, why| Unmade::Unavailable {
        name: name.clone(),
        path: path.clone(),
        why,
    };
    let format = |path: &EntryPath, why| Unmade::Format {
        name: name.clone(),
        path: path.clone(),
        why,
    };
    match what {
        What::Template(path) => {
            let text = opener.template(path).map_err(|why| unavailable(path, why))?;
            let parsed = text.expose(|bytes| Template::parse(path.as_str(), bytes));
            render(&parsed.map_err(template)?)
        }
        What::File { template, .. } => render(template),
        What::Document {
            path,
            format: as_format,
        } => {
            let document = opener.config(path).map_err(|why| unavailable(path, why))?;
            let text = config::deliver(*as_format, &document).map_err(|why| format(path, why))?;
            Ok(whole(text))
        }
        What::Key { path, key } => {
            let document = opener.config(path).map_err(|why| unavailable(path, why))?;
            let found = key.find(&document).ok_or_else(|| Unmade::NoKey {
                name: name.clone(),
                path: path.clone(),
                key: key.clone(),
            })?;
            let text = config::text(found);
            let text = text.ok_or_else(|| format(path, DeliverError::Null(key.clone())))?;
            Ok(whole(Secret::from(text)))
        }
        What::Keys(path) => {
            let document = opener.config(path).map_err(|why| unavailable(path, why))?;
            let texts = config::by_key(&document).map_err(|why| format(path, why))?;
            let made = texts.into_iter().map(|(key, bytes)| {
                Ok(inject::Made {
                    name: below(name, &key, names)
                        .ok_or_else(|| format(path, DeliverError::Name(key.clone())))?,
                    is_named: false,
                    of: format!("`{key}` of {path}"),
                    bytes,
                })
            });
            made.collect()
        }
    }
}

/// The file or variable of one key.
fn below(name: &str, key: &Key, names: Names) -> Option<String> {
    match names {
        Names::Files => {
            let file = key.names().join(".");
            (!file.contains('/')).then(|| format!("{name}/{file}"))
        }
        Names::Variables => {
            let rest = format!("{name}_{}", key.names().join("_"));
            Some(VariableName::derive(&rest).as_str().to_owned())
        }
    }
}
