//! Reading what settings name: owns that it is a regular file of bounded length. A FIFO or a device would be
//! waited for without end. It must not know what is in it.

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

/// What is in `file`, at most `most` bytes.
///
/// # Errors
/// It cannot be read, is no regular file, or has more.
pub(super) fn read(file: &Path, most: usize) -> io::Result<Vec<u8>> {
    // opening a FIFO waits for a writer otherwise; a regular file knows no difference
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).map_err(io::Error::other)?;
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(file)?;
    if !opened.metadata()?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is no regular file",
        ));
    }
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    opened.take(limit).read_to_end(&mut bytes)?;
    if bytes.len() > most {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it has more than {} KiB", most / 1024),
        ));
    }
    Ok(bytes)
}
