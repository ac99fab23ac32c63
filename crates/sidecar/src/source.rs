//! Where the state comes from: owns opening the store with the identity, and falling back on the
//! sealed copy when the store cannot be used. It must not serve anything.

use std::path::Path;
use std::sync::Arc;

use strongroom_core::Vault;
use strongroom_core::ambient::Ambient;
use strongroom_core::crypto::identity::Identity;
use strongroom_core::id::Revision;
use strongroom_core::name::EnvironmentName;
use strongroom_core::secret::Secret;
use strongroom_core::snapshot::Locals;
use strongroom_core::store::{self, SqliteStore, Store, StoreError};
use strongroom_core::vault::{OpenError, OpenOptions, Trust};
use zeroize::Zeroizing;

use crate::error::StartError;
use crate::home::Home;
use crate::settings::Settings;
use crate::unserved::{self, Unserved};

/// What is needed to open the store again and again.
#[derive(Debug)]
pub struct Source {
    /// The store's location.
    pub location: String,
    identity: Arc<Identity>,
    fingerprint: Option<strongroom_core::id::Hash>,
    environment: EnvironmentName,
    locals: Arc<Locals>,
    trust: std::path::PathBuf,
    copy: Option<std::path::PathBuf>,
    /// Clock and randomness.
    pub ambient: Ambient,
}

/// An open vault and where it came from.
#[derive(Debug)]
pub struct Opened {
    /// The vault.
    pub vault: Arc<Vault>,
    /// Why it is the copy's, when it is.
    pub instead_of: Option<Unusable>,
    /// The highest revision that was verified before this start.
    pub known: Option<Revision>,
}

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// It does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It opens, and its newest revision is not to be served.
    #[error(transparent)]
    Unserved(#[from] Unserved),
}

impl Unusable {
    /// True when there is a store that answers, and what it says is refused.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Open(OpenError::Integrity(_) | OpenError::NotMember) | Self::Unserved(_) => true,
            Self::Open(OpenError::Store(_) | OpenError::Empty { .. }) => false,
        }
    }

    fn without_copy(self, copy: String) -> StartError {
        match self {
            Self::Open(error) => StartError::Open { error, copy },
            Self::Unserved(error) => StartError::Unserved { error, copy },
        }
    }
}

impl Source {
    /// Reads the identity.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn new(settings: &Settings, home: &Home) -> Result<Self, StartError> {
        Ok(Self {
            location: settings.store.clone(),
            identity: Arc::new(identity(settings)?),
            fingerprint: settings.fingerprint,
            environment: settings.environment.clone(),
            locals: Arc::clone(&settings.overrides.locals),
            trust: home.trust(),
            copy: settings.offline_copy.then(|| home.copy()),
            ambient: Ambient::system(),
        })
    }

    /// Who this sidecar is.
    #[must_use]
    pub fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// The store itself, for copying it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn store(&self) -> Result<Box<dyn Store>, StoreError> {
        store::open(&self.location, false)
    }

    /// Opens the store; when it cannot be used, the copy.
    ///
    /// # Errors
    /// [`StartError`] when neither opens.
    pub fn open(&self) -> Result<Opened, StartError> {
        let known = Trust::load(&self.trust)?.map(|trust| trust.revision);
        let error = match self.guarded(self.open_store()?) {
            Ok(vault) => {
                return Ok(Opened {
                    vault,
                    instead_of: None,
                    known,
                });
            }
            Err(error) => error,
        };
        let copy = self
            .copy
            .as_deref()
            .filter(|copy| may_fall_back(&error) && copy.exists());
        let Some(copy) = copy else {
            return Err(error.without_copy(String::new()));
        };
        match self.guarded(self.open_copy(copy)?) {
            Ok(vault) => Ok(Opened {
                vault,
                instead_of: Some(error),
                known,
            }),
            Err(of_copy) => {
                let copy = format!("\nthe sealed copy cannot be used either: {of_copy}");
                Err(error.without_copy(copy))
            }
        }
    }

    /// The sealed copy, when there is one that can be served.
    ///
    /// # Errors
    /// [`StartError::Trust`].
    pub fn copy(&self) -> Result<Option<Arc<Vault>>, StartError> {
        match self.copy.as_deref().filter(|copy| copy.exists()) {
            Some(copy) => Ok(self.guarded(self.open_copy(copy)?).ok()),
            None => Ok(None),
        }
    }

    /// A vault whose newest revision may be served.
    fn guarded(&self, opened: Result<Arc<Vault>, OpenError>) -> Result<Arc<Vault>, Unusable> {
        let vault = opened?;
        unserved::check_opened(&vault.snapshot(), &self.environment, &self.locals)?;
        Ok(vault)
    }

    /// Opens the store and nothing else.
    ///
    /// # Errors
    /// [`StartError::Trust`]; inside, why the store does not open.
    pub fn open_store(&self) -> Result<Result<Arc<Vault>, OpenError>, StartError> {
        let options = self.options()?;
        let opened = store::open(&self.location, false).map_err(OpenError::from);
        Ok(opened.and_then(|store| self.open_vault(store.into(), options)))
    }

    fn open_copy(&self, copy: &Path) -> Result<Result<Arc<Vault>, OpenError>, StartError> {
        let options = self.options()?;
        let opened = SqliteStore::open(copy, true).map_err(OpenError::from);
        Ok(opened.and_then(|store| self.open_vault(Arc::new(store), options)))
    }

    fn open_vault(&self, store: Arc<dyn Store>, options: OpenOptions) -> Result<Arc<Vault>, OpenError> {
        Vault::open(store, Arc::clone(&self.identity), options).map(Arc::new)
    }

    fn options(&self) -> Result<OpenOptions, StartError> {
        Ok(OpenOptions {
            fingerprint: self.fingerprint,
            trust: Trust::load(&self.trust)?,
            ambient: self.ambient.clone(),
        })
    }
}

/// A store that is away, damaged or tampered with is served through; a store that says that this
/// identity may not read is obeyed.
fn may_fall_back(error: &Unusable) -> bool {
    match error {
        Unusable::Open(OpenError::Store(StoreError::Location { .. }) | OpenError::NotMember) => false,
        Unusable::Open(OpenError::Store(_) | OpenError::Empty { .. } | OpenError::Integrity(_))
        | Unusable::Unserved(_) => true,
    }
}

fn identity(settings: &Settings) -> Result<Identity, StartError> {
    let mut problem = None;
    let identity = Identity::read_file(&settings.identity, || {
        let file = settings.passphrase.as_deref()?;
        passphrase(file).map_err(|error| problem = Some(error)).ok()
    });
    match problem {
        Some(problem) => Err(problem),
        None => Ok(identity?),
    }
}

/// The first line ending is not part of a passphrase: editors and `echo` add it.
fn passphrase(file: &Path) -> Result<Secret, StartError> {
    use std::os::unix::fs::MetadataExt as _;
    let failed = |problem: String| StartError::Passphrase {
        file: file.display().to_string(),
        problem,
    };
    let metadata = std::fs::metadata(file).map_err(|error| failed(error.to_string()))?;
    if metadata.mode() & 0o077 != 0 {
        return Err(StartError::PassphraseMode {
            file: file.display().to_string(),
            mode: metadata.mode() & 0o7777,
        });
    }
    let bytes = std::fs::read(file)
        .map(Zeroizing::new)
        .map_err(|error| failed(error.to_string()))?;
    let text = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    if text.is_empty() {
        return Err(failed("it is empty".into()));
    }
    Ok(Secret::new(text.to_vec()))
}
