//! Opening what settings name to be read: owns that it is a regular file. A FIFO or a device would be waited
//! for without end. It must not know what is in it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

/// Opens `file` to be read.
///
/// # Errors
/// It cannot be opened, or is no regular file.
pub(super) fn open(file: &Path) -> io::Result<File> {
    // opening a FIFO waits for a writer otherwise; a regular file knows no difference
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).map_err(io::Error::other)?;
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(file)?;
    if opened.metadata()?.is_file() {
        Ok(opened)
    } else {
        Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is no regular file",
        ))
    }
}
