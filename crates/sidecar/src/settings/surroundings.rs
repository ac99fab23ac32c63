//! What a settings file means where it lies: owns resolving the paths and credentials that it names.
//! It must not open them.

use std::path::{Path, PathBuf};

/// What the file's meaning depends on besides its text.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The settings file.
    pub file: PathBuf,
    /// The directory of the credentials that systemd passed.
    pub credentials: Option<PathBuf>,
    /// The state directory that systemd made.
    pub state: Option<PathBuf>,
}

impl Surroundings {
    /// Those of this process and `file`.
    #[must_use]
    pub fn of_process(file: &Path) -> Self {
        let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        // systemd passes several state directories joined by `:`; the first one is ours
        let state = std::env::var_os("STATE_DIRECTORY").and_then(|list| {
            list.to_str()
                .and_then(|list| list.split(':').next())
                .map(PathBuf::from)
        });
        Self {
            file: absolute,
            credentials: std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from),
            state,
        }
    }

    /// A path that the settings name.
    #[must_use]
    pub fn resolve(&self, path: &str) -> PathBuf {
        self.file.parent().unwrap_or(Path::new("")).join(path)
    }

    pub(super) fn resolve_or_credential(&self, text: &str) -> Result<PathBuf, &'static str> {
        let Some(name) = text.strip_prefix("credential:") else {
            return Ok(self.resolve(text));
        };
        if name.is_empty() || name.contains('/') || name.starts_with('.') {
            return Err("`credential:` is followed by a credential's name");
        }
        let directory = self.credentials.as_ref();
        directory
            .map(|directory| directory.join(name))
            .ok_or("it names a credential, but systemd passed none: add LoadCredential= to the unit")
    }
}
