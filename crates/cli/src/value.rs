//! Where a value comes from: owns stdin, files, the hidden prompt and the discouraged option.
//! Bytes of a pipe or file are taken as they are; nothing is trimmed.

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use strongroom_core::crypto::seal::MAX_PLAINTEXT;
use strongroom_core::secret::Secret;

use crate::error::CliError;
use crate::wiped::Wiped;
use crate::{output, prompt};

/// The options that name the source of a value.
#[derive(Debug, clap::Args)]
pub(crate) struct ValueOptions {
    /// Read the value from FILE, byte for byte (`-` is stdin)
    #[arg(long, short = 'f', value_name = "FILE", conflicts_with = "value")]
    pub(crate) file: Option<PathBuf>,
    /// The value itself: it shows in the process list and in the shell's history; prefer stdin
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    value: Option<String>,
}

impl ValueOptions {
    /// Reads the value: `--value`, `--file`, a pipe on stdin, or a hidden prompt.
    pub(crate) fn read(self, question: &str) -> Result<Secret, CliError> {
        if let Some(value) = self.value {
            output::warn(
                "--value shows the value to everybody who lists processes, and your shell may keep it in its \
                 history; give it on stdin or with --file instead",
            );
            return bounded(Secret::new(value.into_bytes()), "the value");
        }
        match self.file {
            Some(path) if path != Path::new("-") => read_file(&path),
            None if std::io::stdin().is_terminal() => prompt::hidden(question),
            _ => read_bounded(std::io::stdin().lock(), "standard input"),
        }
    }
}

/// All bytes of a file.
pub(crate) fn read_file(path: &Path) -> Result<Secret, CliError> {
    let name = path.display().to_string();
    let file = std::fs::File::open(path).map_err(|error| CliError::io(&name, &error))?;
    read_bounded(file, &name)
}

/// Reads to the end, at most 1 MiB.
pub(crate) fn read_bounded(mut from: impl Read, name: &str) -> Result<Secret, CliError> {
    let mut bytes = Wiped::default();
    bytes
        .read_to_end(&mut from, MAX_PLAINTEXT)
        .map_err(|error| CliError::io(name, &error))?;
    bounded(bytes.into_secret(), name)
}

fn bounded(value: Secret, name: &str) -> Result<Secret, CliError> {
    if value.len() > MAX_PLAINTEXT {
        return Err(CliError::failed(format!(
            "{name} is longer than 1048576 bytes (1 MiB): nothing was stored"
        ))
        .hint("keep large files elsewhere, and their key or address here"));
    }
    Ok(value)
}
