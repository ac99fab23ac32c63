//! Opening the vault: owns bringing together the settings, the identity with its passphrase, and
//! the trust file that remembers the highest verified revision of each store.

use std::cell::RefCell;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use strongroom_core::Vault;
use strongroom_core::crypto::identity::{Identity, IdentityError};
use strongroom_core::id::{Hash, Revision};
use strongroom_core::name::EnvironmentName;
use strongroom_core::snapshot::{Entry, Snapshot};
use strongroom_core::store;
use strongroom_core::vault::{OpenOptions, Trust};

use crate::error::CliError;
use crate::reads::Reads;
use crate::settings::Settings;
use crate::{output, prompt};

/// An open vault and the place of its trust file.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    pub(crate) vault: Arc<Vault>,
    trust_file: Option<PathBuf>,
    reads: Option<Reads>,
}

impl Opened {
    /// Remembers what was verified. A directory that cannot be written costs the memory, which is
    /// said, but not the command.
    pub(crate) fn remember(&self) {
        let Some(path) = &self.trust_file else { return };
        let saved = make_private_dir(path)
            .map_err(|error| error.to_string())
            .and_then(|()| self.vault.trust().save(path).map_err(|error| error.to_string()));
        if let Err(problem) = saved {
            output::warn(&format!(
                "the verified revision could not be remembered, so a roll-back would go unseen: {problem}"
            ));
        }
    }
}

impl Opened {
    /// Checks that a revision was ever reached. A number from the command line that was not is a
    /// slip of the hand and no sign of a damaged store.
    pub(crate) fn check_revision(&self, revision: Revision) -> Result<Revision, CliError> {
        let newest = self.vault.snapshot().revision();
        if revision.0 == 0 || revision > newest {
            return Err(CliError::failed(format!(
                "there is no revision {revision}: the store is at revision {newest}"
            ))
            .hint("`strongroom history` lists those there are"));
        }
        Ok(revision)
    }

    /// Records that `command` is about to open `entries` of `environment` at `revision`, where a setting names
    /// an audit log. What fails here is not opened.
    pub(crate) fn record<'a>(
        &self,
        (environment, revision): (&EnvironmentName, Revision),
        entries: impl IntoIterator<Item = &'a Entry>,
        command: &'static str,
    ) -> Result<(), CliError> {
        match &self.reads {
            Some(reads) => reads.record(&self.vault.snapshot(), (environment, revision), entries, command),
            None => Ok(()),
        }
    }

    /// The verified state at a past revision.
    pub(crate) fn at(&self, revision: Revision) -> Result<Snapshot, CliError> {
        Ok(self.vault.at(self.check_revision(revision)?)?)
    }
}

/// Opens the vault to read from.
pub(crate) fn reader(settings: &Settings) -> Result<Opened, CliError> {
    open(settings, false)
}

/// Opens the vault to change it.
pub(crate) fn writer(settings: &Settings) -> Result<Opened, CliError> {
    open(settings, true)
}

fn open(settings: &Settings, writable: bool) -> Result<Opened, CliError> {
    let location = settings.store()?;
    let store = Arc::from(store::open(location, writable)?);
    let identity = Arc::new(identity(settings.identity()?, settings)?);
    let pinned = settings.fingerprint.as_ref().map(|setting| setting.value);
    let trust_file = trust_file(settings, location);
    let trust = match &trust_file {
        Some(path) => load_trust(settings, path, location)?,
        None => {
            output::warn(
                "there is no directory to remember verified revisions in; a roll-back would go unseen",
            );
            None
        }
    };
    let options = OpenOptions {
        fingerprint: pinned,
        trust,
        ..OpenOptions::default()
    };
    let reads = settings.audit.as_ref().map(|setting| Reads {
        directory: setting.value.clone(),
        identity: Arc::clone(&identity),
    });
    let opened = Opened {
        vault: Arc::new(Vault::open(store, identity, options)?),
        trust_file,
        reads,
    };
    opened.remember();
    Ok(opened)
}

/// Wraps a vault that was just made: what was trusted at its place before is of another store.
pub(crate) fn created(settings: &Settings, location: &str, vault: Vault) -> Opened {
    let trust_file = settings
        .trust_dir
        .as_ref()
        .map(|dir| by_location(&dir.value, location));
    if let Some(path) = &trust_file {
        match std::fs::remove_file(path) {
            Ok(()) => output::warn("another store was trusted at this place before; it is forgotten"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => output::warn(&format!("trust file {}: {error}", path.display())),
        }
    }
    let opened = Opened {
        vault: Arc::new(vault),
        trust_file,
        reads: None,
    };
    opened.remember();
    opened
}

/// Reads an identity file, with its passphrase from the settings' file or the terminal.
pub(crate) fn identity(path: &Path, settings: &Settings) -> Result<Identity, CliError> {
    let refused = RefCell::new(None);
    let ask = || {
        let answer = match &settings.passphrase_file {
            Some(setting) => prompt::passphrase_file(&setting.value),
            None if prompt::can_ask() => prompt::hidden(&format!("Passphrase of {}: ", path.display())),
            None => return None,
        };
        answer.map_err(|error| *refused.borrow_mut() = Some(error)).ok()
    };
    let identity = Identity::read_file(path, ask);
    match (identity, refused.into_inner()) {
        (Err(IdentityError::NeedsPassphrase { .. }), Some(error)) => Err(error),
        (identity, _) => Ok(identity?),
    }
}

/// The trust file of a store: by fingerprint where one is pinned, else by its location.
pub(crate) fn trust_file(settings: &Settings, location: &str) -> Option<PathBuf> {
    let dir = &settings.trust_dir.as_ref()?.value;
    Some(match &settings.fingerprint {
        Some(pinned) => dir.join(pinned.value.to_string()),
        None => by_location(dir, location),
    })
}

/// A fingerprint that is pinned later must not forget what was verified before.
fn load_trust(settings: &Settings, path: &Path, location: &str) -> Result<Option<Trust>, CliError> {
    if let Some(trust) = Trust::load(path)? {
        return Ok(Some(trust));
    }
    let (Some(dir), Some(pinned)) = (&settings.trust_dir, &settings.fingerprint) else {
        return Ok(None);
    };
    let earlier = Trust::load(&by_location(&dir.value, location))?;
    Ok(earlier.filter(|trust| trust.fingerprint == pinned.value))
}

fn by_location(dir: &Path, location: &str) -> PathBuf {
    dir.join(format!("at-{}", Hash::of(absolute(location).as_bytes())))
}

/// The location with an absolute path, so that every working directory names the same store.
pub(crate) fn absolute(location: &str) -> String {
    let Some(path) = location.strip_prefix("sqlite:") else {
        return location.to_owned();
    };
    let path = Path::new(path);
    let resolved = std::fs::canonicalize(path).or_else(|_| std::path::absolute(path));
    resolved.map_or_else(
        |_| location.to_owned(),
        |path| format!("sqlite:{}", path.display()),
    )
}

fn make_private_dir(file: &Path) -> io::Result<()> {
    match file.parent() {
        Some(dir) => std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir),
        None => Ok(()),
    }
}
