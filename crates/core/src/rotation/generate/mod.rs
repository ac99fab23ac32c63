//! New values: owns what can be generated and how it is asked for. Randomness is passed in; a
//! value leaves only as a `Secret`. It must not know entries: whoever generates reads the CA.

mod certificate;
mod keys;
mod password;
mod spec;

use crate::ambient::{Ambient, EntropyError};
use crate::name::EntryPath;
use crate::secret::Secret;

pub use certificate::{Certificate, KeyKind};
pub use password::Password;
pub use spec::SpecError;

/// What is to be generated. Its text is `KIND` or `KIND:OPTION=VALUE,...` (`docs/rotation.md`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Generator {
    /// Characters of an alphabet.
    Password(Password),
    /// Random bytes.
    Bytes {
        /// How many, before they are encoded.
        length: usize,
        /// How they are written.
        encoding: Encoding,
    },
    /// A random UUID (version 4).
    Uuid,
    /// An Ed25519 key as OpenSSH has it, without a passphrase.
    Ssh {
        /// The comment of the public key.
        comment: String,
    },
    /// An age X25519 identity.
    Age,
    /// A private key and its certificate, in one PEM text.
    Certificate(Box<Certificate>),
}

/// How random bytes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As they are.
    Raw,
    /// Lower-case hexadecimal.
    Hex,
    /// Base64 with padding.
    Base64,
    /// Base64 of the URL-safe alphabet, without padding.
    Base64Url,
}

/// A new value.
#[derive(Debug)]
pub struct Generated {
    /// The value.
    pub value: Secret,
    /// What of it everybody may know: a public key, a recipient, a certificate.
    pub public: Option<String>,
}

/// Why nothing was generated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// The random source failed, or delivers the same again and again.
    #[error("the random source failed: nothing was generated; check that the system's random source works")]
    Entropy,
    /// The CA's entry cannot sign.
    #[error("the CA cannot sign: {problem}")]
    Authority {
        /// What is wrong with it, and what to do.
        problem: &'static str,
    },
    /// A key or certificate could not be made.
    #[error("the {what} could not be made: check the names it is for")]
    Encoding {
        /// What.
        what: &'static str,
    },
}

impl From<EntropyError> for GenerateError {
    fn from(EntropyError: EntropyError) -> Self {
        Self::Entropy
    }
}

impl Generator {
    /// The entry of the CA that is to sign, in the environment of the value; it has to be given to
    /// [`Generator::generate`].
    #[must_use]
    pub fn authority(&self) -> Option<&EntryPath> {
        match self {
            Self::Certificate(certificate) => certificate.authority.as_ref(),
            Self::Password(_) | Self::Bytes { .. } | Self::Uuid | Self::Ssh { .. } | Self::Age => None,
        }
    }

    /// Makes a new value. `authority` is the value of the CA's entry, where there is one.
    ///
    /// # Errors
    /// [`GenerateError`].
    pub fn generate(
        &self,
        ambient: &Ambient,
        authority: Option<&Secret>,
    ) -> Result<Generated, GenerateError> {
        let entropy = ambient.entropy();
        match self {
            Self::Password(password) => password.generate(entropy).map(secret),
            Self::Bytes { length, encoding } => keys::bytes(entropy, *length, *encoding).map(secret),
            Self::Uuid => keys::uuid(entropy).map(secret),
            Self::Ssh { comment } => keys::ssh(entropy, comment),
            Self::Age => keys::age(entropy),
            Self::Certificate(certificate) => certificate.generate(ambient, authority),
        }
    }
}

fn secret(value: Secret) -> Generated {
    Generated { value, public: None }
}
