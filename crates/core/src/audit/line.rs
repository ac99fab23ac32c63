//! One line as it is read: owns its grammar, strictly. What this refuses, the writer never
//! wrote. It must not judge the chain.

use super::chain::{Head, Position};
use super::record::{Decision, RequestId};
use super::text::{Reader, Text, push_number, push_text};
use crate::crypto::sign::VerifyKey;
use crate::id::{EntryId, Hash};

/// A line of the log, borrowed from its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Its number.
    pub seq: u64,
    /// What the clock said, in RFC 3339 with milliseconds, in UTC.
    pub time: &'a str,
    /// What it says.
    pub body: Body<'a>,
    /// Its hash.
    pub hash: Hash,
    /// The bytes that the hash is of, beside the hash before.
    pub(super) hashed: &'a [u8],
}

/// What a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// A decision.
    Record(Recorded<'a>),
    /// Where the chain stood, signed.
    Head(Head),
    /// Something about the log itself.
    Note(Noted<'a>),
}

/// A decision as it was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded<'a> {
    /// The revision that was decided at.
    pub revision: u64,
    /// Who wanted it.
    pub caller: Caller<'a>,
    /// What was wanted.
    pub action: Text<'a>,
    /// The entry it is about.
    pub entry: Option<EntryId>,
    /// Its name, clear or hashed.
    pub name: Option<Text<'a>>,
    /// What was decided.
    pub decision: Decision,
    /// Why.
    pub reason: Option<Text<'a>>,
    policies: &'a str,
    /// How many more policies decided than are named.
    pub more: u64,
    /// The request.
    pub request: Option<RequestId>,
}

/// Who wanted something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller<'a> {
    /// A process.
    Workload {
        /// Its user.
        uid: u64,
        /// Its group.
        gid: u64,
        /// Its process id.
        pid: Option<u64>,
        /// The id of its container.
        container: Option<Text<'a>>,
        /// The user of a rootless engine, who could have named the container as they liked.
        container_of: Option<u64>,
        /// Its systemd unit.
        unit: Option<Text<'a>>,
        /// The program it runs.
        executable: Option<Text<'a>>,
    },
    /// A member.
    Member(Text<'a>),
    /// A directory or process of the settings.
    Injection(Text<'a>),
    /// The store.
    Store(Text<'a>),
    /// Whoever asks through a listener of this name.
    Guest(Text<'a>),
}

/// Something about the log itself, to write.
#[derive(Clone, Copy, Debug)]
pub struct Note<'a> {
    /// What happened, in a word: `started`, `stopped`, `cut`, `damaged`, `gone`, `resumed`,
    /// `dropped`, `removed`.
    pub what: &'static str,
    /// How many: bytes that were cut, records that were refused or dropped.
    pub count: Option<u64>,
    /// Which file or sink it is about.
    pub about: Option<&'a str>,
}

/// A [`Note`] as it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noted<'a> {
    /// What happened.
    pub what: Text<'a>,
    /// How many.
    pub count: Option<u64>,
    /// Which file or sink.
    pub about: Option<Text<'a>>,
}

impl Note<'_> {
    /// Appends the note's bytes: the members of its line that are its own.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\"note\":");
        push_text(out, self.what, 64);
        if let Some(count) = self.count {
            out.extend_from_slice(b",\"count\":");
            push_number(out, count);
        }
        if let Some(about) = self.about {
            out.extend_from_slice(b",\"about\":");
            push_text(out, about, 1024);
        }
    }
}

/// The bytes are not a line of an audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not a line of an audit log")]
pub struct NotALine;

impl<'a> Line<'a> {
    /// Reads one line without its newline.
    ///
    /// # Errors
    /// [`NotALine`].
    #[inline(always)]
    pub fn parse(line: &'a [u8]) -> Result<Self, NotALine> {
        let text = std::str::from_utf8(line).map_err(|_| NotALine)?;
        parse(text).ok_or(NotALine)
    }
}

impl<'a> Recorded<'a> {
    /// The policies that are named.
    pub fn policies(&self) -> impl Iterator<Item = Text<'a>> {
        let mut reader = Reader::new(self.policies);
        std::iter::from_fn(move || {
            reader.takes(",");
            reader.text()
        })
    }
}

// `always` here and below: a line is large, and handing its parts up by copies took a tenth of
// the time of verifying
#[inline(always)]
fn parse(text: &str) -> Option<Line<'_>> {
    let mut reader = Reader::new(text);
    reader.literal("{\"seq\":")?;
    let seq = reader.number()?;
    reader.literal(",\"time\":\"")?;
    let time = reader.time()?;
    reader.literal("\",\"")?;
    let body = if reader.takes("revision\":") {
        Body::Record(recorded(&mut reader)?)
    } else if reader.takes("head\":{\"of\":") {
        Body::Head(head(&mut reader)?)
    } else if reader.takes("note\":") {
        Body::Note(noted(&mut reader)?)
    } else {
        return None;
    };
    let hashed = text.len().checked_sub(reader.rest().len())?;
    let hashed = text.as_bytes().get(..hashed)?;
    reader.literal(",\"hash\":\"")?;
    let hash = Hash(reader.hex()?);
    (reader.rest() == "\"}").then_some(Line {
        seq,
        time,
        body,
        hash,
        hashed,
    })
}

fn head(reader: &mut Reader<'_>) -> Option<Head> {
    let seq = reader.number()?;
    reader.literal(",\"hash\":\"")?;
    let hash = Hash(reader.hex()?);
    reader.literal("\",\"key\":\"")?;
    let key = VerifyKey(reader.hex()?);
    reader.literal("\",\"signature\":\"")?;
    let signature = reader.hex()?;
    reader.literal("\"}")?;
    Some(Head {
        of: Position { seq, hash },
        key,
        signature,
    })
}

fn noted<'a>(reader: &mut Reader<'a>) -> Option<Noted<'a>> {
    let what = reader.text()?;
    let count = optional(reader, ",\"count\":", Reader::number)?;
    let about = optional(reader, ",\"about\":", Reader::text)?;
    Some(Noted { what, count, about })
}

/// A member that may be absent: `None` when it is there and malformed.
#[inline(always)]
fn optional<'a, T>(
    reader: &mut Reader<'a>,
    key: &str,
    read: impl FnOnce(&mut Reader<'a>) -> Option<T>,
) -> Option<Option<T>> {
    if reader.takes(key) {
        read(reader).map(Some)
    } else {
        Some(None)
    }
}

#[inline(always)]
fn quoted_hex<const N: usize>(reader: &mut Reader<'_>) -> Option<[u8; N]> {
    reader.literal("\"")?;
    let bytes = reader.hex()?;
    reader.literal("\"")?;
    Some(bytes)
}

#[inline(always)]
fn recorded<'a>(reader: &mut Reader<'a>) -> Option<Recorded<'a>> {
    let revision = reader.number()?;
    reader.literal(",\"")?;
    let caller = caller(reader)?;
    reader.literal(",\"action\":")?;
    let action = reader.text()?;
    let entry = optional(reader, ",\"entry\":", quoted_hex)?.map(EntryId);
    let name = optional(reader, ",\"name\":", Reader::text)?;
    reader.literal(",\"decision\":\"")?;
    let decision = Decision::ALL
        .into_iter()
        .find(|decision| reader.takes(decision.as_str()))?;
    reader.literal("\"")?;
    let reason = optional(reader, ",\"reason\":", Reader::text)?;
    let policies = optional(reader, ",\"policies\":[", policies)?;
    let more = match policies {
        Some(_) => optional(reader, ",\"more\":", Reader::number)?,
        None => None,
    };
    let request = optional(reader, ",\"request\":", quoted_hex)?;
    Some(Recorded {
        revision,
        caller,
        action,
        entry,
        name,
        decision,
        reason,
        policies: policies.unwrap_or_default(),
        more: more.unwrap_or_default(),
        request: request.map(|bytes| RequestId(u64::from_be_bytes(bytes))),
    })
}

fn policies<'a>(reader: &mut Reader<'a>) -> Option<&'a str> {
    let whole = reader.rest();
    loop {
        reader.text()?;
        if !reader.takes(",") {
            break;
        }
    }
    let listed = whole.get(..whole.len().checked_sub(reader.rest().len())?)?;
    reader.literal("]")?;
    Some(listed)
}

#[inline(always)]
fn caller<'a>(reader: &mut Reader<'a>) -> Option<Caller<'a>> {
    if reader.takes("workload\":{\"uid\":") {
        return workload(reader);
    }
    for (key, make) in [
        ("member\":", Caller::Member as fn(Text<'a>) -> Caller<'a>),
        ("injection\":", Caller::Injection),
        ("store\":", Caller::Store),
        ("listener\":", Caller::Guest),
    ] {
        if reader.takes(key) {
            return reader.text().map(make);
        }
    }
    None
}

#[inline(always)]
fn workload<'a>(reader: &mut Reader<'a>) -> Option<Caller<'a>> {
    let uid = reader.number()?;
    reader.literal(",\"gid\":")?;
    let gid = reader.number()?;
    let pid = optional(reader, ",\"pid\":", Reader::number)?;
    let container = optional(reader, ",\"container\":", Reader::text)?;
    let container_of = match container {
        Some(_) => optional(reader, ",\"container_of\":", Reader::number)?,
        None => None,
    };
    let unit = optional(reader, ",\"unit\":", Reader::text)?;
    let executable = optional(reader, ",\"executable\":", Reader::text)?;
    reader.literal("}")?;
    Some(Caller::Workload {
        uid,
        gid,
        pid,
        container,
        container_of,
        unit,
        executable,
    })
}
