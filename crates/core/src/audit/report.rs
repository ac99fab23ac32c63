//! What verifying found: owns the report and the words for each fault. It must not read lines.

use std::fmt;

use super::chain::Position;
use crate::crypto::sign::VerifyKey;

/// Faults that are listed; of more only the number is told.
pub(super) const LISTED: usize = 100;

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Files that were read.
    pub files: u64,
    /// Lines that were read.
    pub lines: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Where the log begins: the place before its first line.
    pub first: Option<Position>,
    /// Where it ends.
    pub last: Option<Position>,
    /// The number of the last line that a signed head vouches for.
    pub signed: u64,
    /// When the newest signed head was written.
    pub signed_at: Option<String>,
    /// Who signed, in the order in which the keys appear.
    pub keys: Vec<VerifyKey>,
    /// Records and notes at the end that no signed head vouches for.
    pub unsigned: u64,
    /// True when the log ends as a sidecar that stops ends it.
    pub closed: bool,
    /// How often the clock was set back between two lines.
    pub clock_back: u64,
    /// The first such line.
    pub clock_back_at: Option<(String, u64)>,
    /// The first faults, in the order of the log.
    pub problems: Vec<Problem>,
    /// How many faults there are.
    pub faults: u64,
    /// How often reading was begun again because files were removed meanwhile, as `keep` does.
    pub begun_again: u32,
}

impl Report {
    /// True when nothing is wrong.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.faults == 0
    }
}

/// One fault and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: String,
    /// The line in it, from 1; 0 for the file or the log as a whole.
    pub line: u64,
    /// What is wrong.
    pub fault: Fault,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.file.as_str(), self.line) {
            ("", _) => write!(f, "{}", self.fault),
            (file, 0) => write!(f, "{file}: {}", self.fault),
            (file, line) => write!(f, "{file}:{line}: {}", self.fault),
        }
    }
}

/// What can be wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The bytes are no line.
    #[error("this is not a line of an audit log: it was changed or put here")]
    NotALine,
    /// The line does not follow from the one before it.
    #[error("record {seq} does not follow from the one before it: one of the two was changed")]
    Changed {
        /// Its number.
        seq: u64,
    },
    /// Lines are not there.
    #[error("records {from} to {to} are missing before this line")]
    Missing {
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
    /// A line is where another belongs.
    #[error("record {seq} stands where record {expected} belongs: it was moved or put here")]
    Moved {
        /// Its number.
        seq: u64,
        /// The number that belongs here.
        expected: u64,
    },
    /// A head's signature is not its key's.
    #[error("the head's signature does not verify: it was changed or forged")]
    Signature,
    /// A head is signed by a key that was not named.
    #[error("the head is signed by a key that is not among those given: it was forged")]
    Key,
    /// A head names another hash than the line has.
    #[error(
        "the signed head vouches for another record {of} than stands here: what lies before was rewritten"
    )]
    Rewritten {
        /// The number of the line it names.
        of: u64,
    },
    /// A head names a line that is too far away to be its own.
    #[error("the head vouches for record {of}, which is not close before it: it was moved")]
    Far {
        /// The number of the line it names.
        of: u64,
    },
    /// A file does not begin as it must.
    #[error("the file does not begin with a signed head: its beginning was removed")]
    Beginning,
    /// A file is not the one that its name says.
    #[error("the file's name does not fit its first record: it was renamed")]
    Name,
    /// The last line has no end.
    #[error("the file ends within a line, of which {bytes} bytes are there: it was cut")]
    Torn {
        /// Its bytes.
        bytes: u64,
    },
    /// A file that the sidecar put aside because it did not verify.
    #[error("a sidecar found this file damaged when it started, and put it aside")]
    PutAside,
    /// Something that is no regular file has a log file's name.
    #[error("this is no regular file: it was put here, and nothing was read from it")]
    NotAFile,
    /// The log has to be signed to its end, and is not.
    #[error("{records} records at the end have no signed head after them")]
    Unsigned {
        /// How many.
        records: u64,
    },
    /// There is no file.
    #[error("there is no file of an audit log here")]
    Nothing,
    /// The log does not reach the head that was noted.
    #[error("the log ends at record {last}, before the head that was noted, {wanted}: its end was removed")]
    Truncated {
        /// The last line that is there.
        last: u64,
        /// The line of the head that was noted.
        wanted: u64,
    },
    /// The log has another line where the noted head was.
    #[error("record {seq} is another than that of the head that was noted: the log was rewritten")]
    Replaced {
        /// The line of the head that was noted.
        seq: u64,
    },
    /// The log goes on beyond the noted head, and does not have it.
    #[error(
        "record {seq}, the head that was noted, is not there, and later ones are: the log begins after it, or it was removed, and nothing ties the two together"
    )]
    Absent {
        /// The line of the head that was noted.
        seq: u64,
    },
}
