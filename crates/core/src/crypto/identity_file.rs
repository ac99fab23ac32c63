//! Identity files: owns their mode, their passphrase and their never being overwritten. The text
//! inside is `identity`'s.
//!
//! A plain file holds the text of [`Identity::to_text`]. With a passphrase that text is sealed by
//! age's scrypt and armored, so the `age` tool opens it too. Symbolic links are followed, since
//! that is how platforms mount secrets; every check is made on the file that was opened.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use age::armor::{ArmoredReader, ArmoredWriter, Format};
use age::secrecy::SecretString;
use age::{DecryptError, scrypt};
use zeroize::zeroize_stack;

use super::identity::Identity;
use super::keyring::STACK;
use crate::ambient::EntropyError;
use crate::secret::Secret;

/// Work factor of scrypt, as a power of two: about a second.
const WORK: u8 = 18;
/// The most work a file may ask for before it is refused.
const MAX_WORK: u8 = 20;
/// Longest identity file, bytes.
const MAX_FILE: usize = 16 << 10;
const ARMOR: &[u8] = b"-----BEGIN AGE ENCRYPTED FILE-----";
const BINARY: &[u8] = b"age-encryption.org/";

/// Why an identity file was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file cannot be read or written.
    #[error("identity file {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
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
    /// A passphrase that cannot be used for a new file.
    #[error("a passphrase is text and not empty: identity file {} was not written", path.display())]
    BadPassphrase {
        /// The file.
        path: PathBuf,
    },
    /// The file asks for more scrypt work than is accepted.
    #[error("identity file {} asks for 2^{work} steps of scrypt; at most 2^20 are accepted", path.display())]
    Work {
        /// The file.
        path: PathBuf,
        /// What it asks for, as a power of two.
        work: u8,
    },
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

impl Identity {
    /// Writes a new identity file of mode 0600 and syncs it; an existing file is never
    /// overwritten. With a passphrase (UTF-8, not empty) the text is sealed by age's scrypt (work
    /// factor 2^18); age draws its own randomness.
    ///
    /// # Errors
    /// See [`IdentityError`]; no file is left behind.
    pub fn write_file(&self, path: &Path, passphrase: Option<&Secret>) -> Result<(), IdentityError> {
        let text = self.to_text();
        let bytes = match passphrase {
            None => text,
            Some(passphrase) => {
                let passphrase = secret_string(passphrase)
                    .filter(|_| !passphrase.is_empty())
                    .ok_or_else(|| IdentityError::BadPassphrase { path: path.into() })?;
                Secret::new(seal(&text, passphrase).map_err(io_error(path))?)
            }
        };
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(io_error(path))?;
        let written = bytes
            .expose(|bytes| file.write_all(bytes))
            .and_then(|()| file.sync_all())
            .and_then(|()| sync_parent(path));
        if written.is_err() {
            // it is ours and of no use; the first error is the one to report
            let _ = std::fs::remove_file(path);
        }
        written.map_err(io_error(path))
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
        let bytes = read(path)?;
        let text = if is_sealed(&bytes) {
            let passphrase =
                passphrase().ok_or_else(|| IdentityError::NeedsPassphrase { path: path.into() })?;
            let passphrase = secret_string(&passphrase)
                .ok_or_else(|| IdentityError::WrongPassphrase { path: path.into() })?;
            bytes
                .expose(|bytes| unseal(bytes, passphrase))
                .map_err(|error| match error {
                    DecryptError::KeyDecryptionFailed | DecryptError::DecryptionFailed => {
                        IdentityError::WrongPassphrase { path: path.into() }
                    }
                    DecryptError::ExcessiveWork { required, .. } => IdentityError::Work {
                        path: path.into(),
                        work: required,
                    },
                    _ => IdentityError::Format { path: path.into() },
                })?
        } else {
            bytes
        };
        text.expose(Self::from_text)
            .map_err(|_| IdentityError::Format { path: path.into() })
    }
}

/// True when the identity file asks for a passphrase; makes the checks of [`Identity::read_file`].
///
/// # Errors
/// See [`IdentityError`].
pub fn is_passphrase_protected(path: &Path) -> Result<bool, IdentityError> {
    Ok(is_sealed(&read(path)?))
}

fn is_sealed(bytes: &Secret) -> bool {
    bytes.expose(|bytes| bytes.starts_with(ARMOR) || bytes.starts_with(BINARY))
}

fn read(path: &Path) -> Result<Secret, IdentityError> {
    // a FIFO must not hang us before it is seen for what it is
    let nonblock = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(nonblock)
        .open(path)
        .map_err(io_error(path))?;
    let metadata = file.metadata().map_err(io_error(path))?;
    if !metadata.is_file() {
        return Err(IdentityError::Format { path: path.into() });
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(IdentityError::Mode {
            path: path.into(),
            mode,
        });
    }
    let bytes = read_all(file).map_err(io_error(path))?;
    bytes.ok_or_else(|| IdentityError::Format { path: path.into() })
}

/// Everything, or `None` when it is too long. The buffer never grows, so no copy is left behind.
fn read_all(source: impl Read) -> io::Result<Option<Secret>> {
    let mut bytes = Vec::with_capacity(MAX_FILE + 1);
    let read = source.take(MAX_FILE as u64 + 1).read_to_end(&mut bytes);
    let bytes = Secret::new(bytes);
    read.map(|length| (length <= MAX_FILE).then_some(bytes))
}

/// Age's own wiped string; `None` when it is not UTF-8.
fn secret_string(passphrase: &Secret) -> Option<SecretString> {
    passphrase.expose(|bytes| std::str::from_utf8(bytes).ok().map(SecretString::from))
}

fn seal(text: &Secret, passphrase: SecretString) -> io::Result<Vec<u8>> {
    let mut recipient = scrypt::Recipient::new(passphrase);
    recipient.set_work_factor(WORK);
    let encryptor = age::Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient))
        .map_err(|_| io::Error::other("age refused the passphrase"))?;
    let armored = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor)?;
    let mut writer = encryptor.wrap_output(armored)?;
    text.expose(|text| writer.write_all(text))?;
    let file = writer.finish()?.finish();
    zeroize_stack::<STACK>();
    file
}

fn unseal(file: &[u8], passphrase: SecretString) -> Result<Secret, DecryptError> {
    let mut identity = scrypt::Identity::new(passphrase);
    identity.set_max_work_factor(MAX_WORK);
    let decryptor = age::Decryptor::new_buffered(ArmoredReader::new(file))?;
    if !decryptor.is_scrypt() {
        return Err(DecryptError::InvalidHeader);
    }
    let reader = decryptor.decrypt(std::iter::once(&identity as &dyn age::Identity))?;
    let text = read_all(reader)?;
    zeroize_stack::<STACK>();
    text.ok_or(DecryptError::InvalidHeader)
}

fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> IdentityError {
    move |source| IdentityError::Io {
        path: path.into(),
        source,
    }
}
