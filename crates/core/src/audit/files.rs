//! The files of a log as they are read: owns their names, their order, reading lines of bounded
//! length, and beginning again where files were removed meanwhile. It must not write.

use std::fs::File;
use std::io::{self, BufRead, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};

use super::ahead::Ahead;
use super::report::{Fault, Report};
use super::verify::Verifier;

/// No line is longer, bytes.
pub const MAX_LINE: usize = 64 << 10;

const PREFIX: &str = "audit-";
const SUFFIX: &str = ".jsonl";
const ASIDE: &str = ".damaged";
/// A line that has no end yet may be in the middle of being written: so often and so long is
/// waited for it.
const LOOKS: u32 = 5;
const LOOK: Duration = Duration::from_millis(20);
/// So often is begun again when a file is gone that was there before.
const AGAIN: u32 = 10;

/// The name of the file whose first line is number `first`.
#[must_use]
pub fn file_name(first: u64) -> String {
    format!("{PREFIX}{first:016}{SUFFIX}")
}

/// A file of a log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogFile {
    /// The number of its first line.
    pub first: u64,
    /// True when a sidecar put it aside because it did not verify.
    pub is_aside: bool,
    /// Its name.
    pub name: String,
    /// Where it lies.
    pub path: PathBuf,
}

impl LogFile {
    /// Opens it for reading, without waiting; `None` when it is no regular file.
    ///
    /// # Errors
    /// The system's own; of a file that was removed since, that it is not found.
    pub fn open(&self) -> io::Result<Option<File>> {
        // opening a device may do something already
        match std::fs::metadata(&self.path) {
            Ok(metadata) if metadata.is_file() => {}
            Ok(_) => return Ok(None),
            Err(error) => {
                // a link that points nowhere was not removed
                let is_link = std::fs::symlink_metadata(&self.path).is_ok_and(|link| link.is_symlink());
                return if is_link { Ok(None) } else { Err(error) };
            }
        }
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::open(&self.path, flags, Mode::empty())?);
        Ok(file.metadata()?.is_file().then_some(file))
    }
}

/// The files of the log in `directory`, in their order.
///
/// # Errors
/// The system's own.
pub fn files(directory: &Path) -> io::Result<Vec<LogFile>> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let (plain, is_aside) = match name.strip_suffix(ASIDE) {
            Some(plain) => (plain, true),
            None => (name.as_str(), false),
        };
        let number = plain
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.strip_suffix(SUFFIX));
        let first = number.and_then(|number| number.parse().ok());
        if let Some(first) = first.filter(|first| file_name(*first) == plain) {
            out.push(LogFile {
                first,
                is_aside,
                path: entry.path(),
                name,
            });
        }
    }
    // of two with one number, the one that was put aside is older
    out.sort_by_key(|file| (file.first, !file.is_aside));
    Ok(out)
}

/// Calls `f` with each whole line of `reader`, without its newline, until it says that it had
/// enough, and with `true` for what is no whole line: longer than any, or without an end.
///
/// # Errors
/// The system's own.
pub fn lines(reader: &mut impl BufRead, mut f: impl FnMut(&[u8], bool) -> bool) -> io::Result<()> {
    let mut line = Vec::with_capacity(1024);
    let most = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
    loop {
        // nearly every line lies in the buffer as a whole, and need not be copied
        let buffer = match reader.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            buffer => buffer?,
        };
        let whole = (&mut &*buffer).take(most).skip_until(b'\n')?;
        if let Some((b'\n', line)) = buffer.get(..whole).and_then(<[u8]>::split_last) {
            let goes_on = f(line, false);
            reader.consume(whole);
            if goes_on {
                continue;
            }
            return Ok(());
        }
        line.clear();
        let mut looks = 0;
        loop {
            let room = most.saturating_sub(u64::try_from(line.len()).unwrap_or(most));
            let read = reader.by_ref().take(room).read_until(b'\n', &mut line)?;
            if line.last() == Some(&b'\n') || room == 0 {
                break;
            }
            if read == 0 {
                if line.is_empty() {
                    return Ok(());
                }
                if looks == LOOKS {
                    f(&line, true);
                    return Ok(());
                }
                looks += 1;
                std::thread::sleep(LOOK);
            }
        }
        let goes_on = match line.split_last() {
            Some((b'\n', line)) => f(line, false),
            _ => {
                reader.skip_until(b'\n')?;
                f(&line, true)
            }
        };
        if !goes_on {
            return Ok(());
        }
    }
}

/// Walks `verifier` along every file in `directory`. When one is gone before it was opened, because
/// the log keeps only so many, the walk begins again at the oldest that is left: whatever else is
/// missing then is found.
///
/// # Errors
/// The system's own; what is wrong with the log is in the report.
pub fn verify_directory(directory: &Path, verifier: Verifier) -> io::Result<Report> {
    let mut begun_again = 0;
    loop {
        let error = match walk(directory, verifier.clone()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && directory.exists() => error,
            walked => {
                return walked.map(|report| Report {
                    begun_again,
                    ..report
                });
            }
        };
        if begun_again == AGAIN {
            return Err(error);
        }
        begun_again += 1;
    }
}

fn walk(directory: &Path, mut verifier: Verifier) -> io::Result<Report> {
    for file in files(directory)? {
        verify_file(&file, &mut verifier)?;
    }
    Ok(verifier.finish())
}

/// Walks `verifier` along one file.
fn verify_file(file: &LogFile, verifier: &mut Verifier) -> io::Result<()> {
    let opened = file.open()?;
    verifier.file(&file.name, file.first);
    if file.is_aside {
        verifier.fault(Fault::PutAside);
    }
    let Some(opened) = opened else {
        verifier.fault(Fault::NotAFile);
        return Ok(());
    };
    let mut reader = Ahead::of(opened)?;
    lines(&mut reader, |line, is_torn| {
        match (is_torn, line.len() < MAX_LINE) {
            (false, _) => verifier.line(line),
            (true, true) => verifier.torn(u64::try_from(line.len()).unwrap_or(u64::MAX)),
            (true, false) => verifier.line(line),
        }
        true
    })
}
