//! Identities: owns the pair of keys a member has (age to open with, Ed25519 to sign with), their
//! text forms and the identity file with its mode and passphrase. It must not know roles.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::sign::{SigningKey, VerifyKey};
use crate::ambient::{Ambient, EntropyError};
use crate::secret::Secret;

/// Both private keys of a member.
pub struct Identity {
    signing: SigningKey,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity([redacted])")
    }
}

/// Both public keys of a member, as one token: `age1...:BASE64URL`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PublicIdentity {
    /// The age X25519 recipient, `age1...`.
    pub recipient: String,
    /// The Ed25519 key.
    pub verify_key: VerifyKey,
}

/// The text is not a public identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a public identity is `age1...:KEY` as printed by `strongroom identity show`")]
pub struct PublicIdentityError;

impl fmt::Display for PublicIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let _ = f;
        todo!()
    }
}

impl FromStr for PublicIdentity {
    type Err = PublicIdentityError;
    fn from_str(text: &str) -> Result<Self, PublicIdentityError> {
        let _ = text;
        todo!()
    }
}

/// Why an identity file was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file cannot be read or written.
    #[error("identity file {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// Others may read the file.
    #[error("identity file {} may be read by others (mode {mode:04o}): run `chmod 600` on it", path.display())]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Not an identity file.
    #[error("{} is not an identity file", path.display())]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// It needs a passphrase and none was given.
    #[error("identity file {} needs its passphrase", path.display())]
    NeedsPassphrase {
        /// The file.
        path: PathBuf,
    },
    /// The passphrase does not open it.
    #[error("the passphrase does not open identity file {}", path.display())]
    WrongPassphrase {
        /// The file.
        path: PathBuf,
    },
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

impl Identity {
    /// Two new random keys.
    ///
    /// # Errors
    /// [`EntropyError`].
    pub fn generate(ambient: &Ambient) -> Result<Self, EntropyError> {
        Ok(Self {
            signing: SigningKey::generate(ambient.entropy())?,
        })
    }

    /// The public halves.
    #[must_use]
    pub fn public(&self) -> PublicIdentity {
        todo!()
    }

    /// The key to sign with.
    #[must_use]
    pub fn signing_key(&self) -> &SigningKey {
        &self.signing
    }

    /// Writes a new identity file of mode 0600; an existing file is never overwritten. With a
    /// passphrase the file is sealed by age's scrypt (work factor 2^18).
    ///
    /// # Errors
    /// See [`IdentityError`].
    pub fn write_file(&self, path: &Path, passphrase: Option<&Secret>) -> Result<(), IdentityError> {
        let _ = (path, passphrase);
        todo!()
    }

    /// Reads an identity file; `passphrase` is asked only when the file is sealed by one.
    /// Refuses files that group or others may read.
    ///
    /// # Errors
    /// See [`IdentityError`].
    pub fn read_file(
        path: &Path,
        passphrase: impl FnOnce() -> Option<Secret>,
    ) -> Result<Self, IdentityError> {
        let _ = (path, passphrase);
        todo!()
    }
}
