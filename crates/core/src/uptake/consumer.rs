//! One consumer and what it has: owns the bytes that are sealed in a report (`docs/format.md`,
//! "Report"). It must not know who reports.

use super::report::NotAReport;
use crate::ambient::Timestamp;
use crate::commit::{Malformed, Reader, Writer};
use crate::id::{EntryId, Revision, Version};
use crate::name::EnvironmentName;

/// Most entries that a report lists.
pub const MAX_USES: usize = 4096;
/// Longest text in a report, bytes.
const MAX_TEXT: usize = 512;

/// What uses values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ConsumerKind {
    /// The sidecar itself: it lives.
    Sidecar = 1,
    /// Clients of the socket that policies cannot tell apart.
    Socket = 2,
    /// A directory of files.
    Files = 3,
    /// A supervised process.
    Process = 4,
}

impl ConsumerKind {
    const ALL: [Self; 4] = [Self::Sidecar, Self::Socket, Self::Files, Self::Process];

    /// The word used in messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sidecar => "sidecar",
            Self::Socket => "socket",
            Self::Files => "files",
            Self::Process => "process",
        }
    }
}

/// What a consumer does when a value is another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Reaction {
    /// It was not said; clients of the socket do as they like.
    #[default]
    Unknown = 0,
    /// Nothing: files switch, and whoever reads them finds out.
    Nothing = 1,
    /// It gets a signal.
    Signal = 2,
    /// A program is run.
    Command = 3,
    /// It is started again.
    Restart = 4,
}

impl Reaction {
    const ALL: [Self; 5] = [
        Self::Unknown,
        Self::Nothing,
        Self::Signal,
        Self::Command,
        Self::Restart,
    ];
}

/// Whether it is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Presence {
    /// It is, or it is not known that it ended.
    Present = 1,
    /// Every process of it ended.
    Ended = 2,
}

/// When which version was seen. All zero: never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The version.
    pub version: Version,
    /// The revision that was served then.
    pub revision: Revision,
    /// When, for the last time.
    pub at: Timestamp,
}

impl Seen {
    /// True when it ever was.
    #[must_use]
    pub fn is_some(&self) -> bool {
        self.version.0 > 0
    }
}

/// What is known of one entry at a consumer. Of several processes, it is that of the one that is
/// furthest behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    /// The entry.
    pub entry: EntryId,
    /// Read, or written to the files or environment.
    pub read: Seen,
    /// Said by the consumer itself to be in use; of files and processes, that the reload succeeded or
    /// the process runs with it.
    pub confirmed: Seen,
}

/// One consumer of one sidecar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumer {
    /// What it is.
    pub kind: ConsumerKind,
    /// What it does with a new value.
    pub reaction: Reaction,
    /// Whether it is still there.
    pub presence: Presence,
    /// The name of the host.
    pub host: String,
    /// Which sidecar of the host: its socket.
    pub sidecar: String,
    /// Its name: what was attested, a directory, a program.
    pub name: String,
    /// The environment that is served.
    pub environment: EnvironmentName,
    /// The revision that is applied whole; 0 where values are read one by one.
    pub revision: Revision,
    /// Since when it is as it is.
    pub since: Timestamp,
    /// What keeps newer values away; empty when nothing does.
    pub problem: String,
    /// Whether `uses` has every entry that it uses.
    pub is_whole: bool,
    /// What it uses, by ascending entry.
    pub uses: Vec<Use>,
}

impl Consumer {
    /// Puts uses into their order and cuts what is longer than a report may be.
    pub fn fit(&mut self) {
        self.uses.sort_by_key(|one| one.entry);
        self.uses.dedup_by_key(|one| one.entry);
        if self.uses.len() > MAX_USES {
            self.uses.truncate(MAX_USES);
            self.is_whole = false;
        }
        for text in [
            &mut self.host,
            &mut self.sidecar,
            &mut self.name,
            &mut self.problem,
        ] {
            text.truncate(text.floor_char_boundary(MAX_TEXT));
        }
    }

    /// True when it said of any entry that it is in use. One that never did is not waited for to do
    /// so.
    #[must_use]
    pub fn confirms(&self) -> bool {
        match self.kind {
            ConsumerKind::Sidecar => false,
            ConsumerKind::Files | ConsumerKind::Process => true,
            ConsumerKind::Socket => self.uses.iter().any(|one| one.confirmed.is_some()),
        }
    }

    /// The bytes that are sealed.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::with_capacity(256 + self.uses.len() * 56);
        w.u8(self.kind as u8 | (self.reaction as u8) << 4);
        w.u8(self.presence as u8);
        let environment = self.environment.as_str();
        for text in [self.host.as_str(), &self.sidecar, &self.name, environment] {
            w.bytes(text.as_bytes());
        }
        w.u64(self.revision.0);
        w.u64(self.since.0);
        w.bytes(self.problem.as_bytes());
        w.u8(u8::from(self.is_whole));
        w.count(self.uses.len());
        for one in &self.uses {
            w.fixed(&one.entry.0);
            for seen in [one.read, one.confirmed] {
                w.u32(seen.version.0);
                w.u64(seen.revision.0);
                w.u64(seen.at.0);
            }
        }
        w.finish()
    }

    /// Reads what was sealed.
    ///
    /// # Errors
    /// [`NotAReport`] for any bytes that are not the only encoding of a consumer.
    pub fn decode(bytes: &[u8]) -> Result<Self, NotAReport> {
        Self::read(bytes).map_err(|Malformed| NotAReport)
    }

    fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let (kind, presence) = (r.u8()?, r.u8()?);
        let reaction = Reaction::ALL.into_iter().find(|known| *known as u8 == kind >> 4);
        let kind = ConsumerKind::ALL
            .into_iter()
            .find(|known| *known as u8 == kind & 0xf);
        let presence = [Presence::Present, Presence::Ended]
            .into_iter()
            .find(|known| *known as u8 == presence);
        let consumer = Self {
            kind: kind.ok_or(Malformed)?,
            reaction: reaction.ok_or(Malformed)?,
            presence: presence.ok_or(Malformed)?,
            host: text(&mut r)?,
            sidecar: text(&mut r)?,
            name: text(&mut r)?,
            environment: EnvironmentName::new(r.text()?).map_err(|_| Malformed)?,
            revision: Revision(r.u64()?),
            since: Timestamp(r.u64()?),
            problem: text(&mut r)?,
            is_whole: match r.u8()? {
                0 => false,
                1 => true,
                _ => return Err(Malformed),
            },
            uses: uses(&mut r)?,
        };
        r.end()?;
        Ok(consumer)
    }
}

fn text(r: &mut Reader<'_>) -> Result<String, Malformed> {
    let text = r.text()?;
    if text.len() > MAX_TEXT {
        return Err(Malformed);
    }
    Ok(text.to_owned())
}

fn uses(r: &mut Reader<'_>) -> Result<Vec<Use>, Malformed> {
    let count = r.count(56)?;
    if count > MAX_USES {
        return Err(Malformed);
    }
    let mut uses: Vec<Use> = Vec::with_capacity(count);
    for _ in 0..count {
        let one = Use {
            entry: EntryId(r.fixed()?),
            read: seen(r)?,
            confirmed: seen(r)?,
        };
        if uses.last().is_some_and(|last| last.entry >= one.entry) {
            return Err(Malformed);
        }
        uses.push(one);
    }
    Ok(uses)
}

fn seen(r: &mut Reader<'_>) -> Result<Seen, Malformed> {
    Ok(Seen {
        version: Version(r.u32()?),
        revision: Revision(r.u64()?),
        at: Timestamp(r.u64()?),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_those_of_the_format_and_no_others_are_read() {
        let mut bytes = vec![3, 1];
        for text in ["web-1", "/run/s.sock", "/run/web/secrets", "prod"] {
            bytes.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
            bytes.extend(text.as_bytes());
        }
        bytes.extend(17_u64.to_be_bytes());
        bytes.extend(1_700_000_000_000_u64.to_be_bytes());
        bytes.extend([0, 0, 0, 4]);
        bytes.extend(b"full");
        bytes.push(1);
        bytes.extend([0, 0, 0, 2]);
        for entry in [5, 6] {
            bytes.extend([entry; 16]);
            for version in [4_u32, 3] {
                bytes.extend(version.to_be_bytes());
                bytes.extend(17_u64.to_be_bytes());
                bytes.extend(1_700_000_000_000_u64.to_be_bytes());
            }
        }
        let consumer = Consumer::decode(&bytes).unwrap();
        assert_eq!(consumer.kind, ConsumerKind::Files);
        assert_eq!(consumer.name, "/run/web/secrets");
        assert_eq!(consumer.environment.as_str(), "prod");
        assert_eq!(consumer.problem, "full");
        let last = consumer.uses.last().unwrap();
        assert_eq!((last.entry, last.read.version), (EntryId([6; 16]), Version(4)));
        assert_eq!(last.confirmed.version, Version(3));
        assert_eq!(consumer.encode(), bytes);
        for length in 0..bytes.len() {
            assert!(Consumer::decode(bytes.get(..length).unwrap()).is_err());
        }
        let second = bytes.len() - 56;
        assert_eq!(consumer.reaction, Reaction::Unknown);
        for reaction in Reaction::ALL {
            let mut other = bytes.clone();
            *other.first_mut().unwrap() |= (reaction as u8) << 4;
            let consumer = Consumer::decode(&other).unwrap();
            assert_eq!(
                (consumer.reaction, consumer.kind),
                (reaction, ConsumerKind::Files)
            );
            assert_eq!(consumer.encode(), other);
        }
        for (at, wrong) in [(0, 0), (0, 5), (0, 0x53), (1, 0), (1, 3), (second, 5)] {
            let mut other = bytes.clone();
            *other.get_mut(at).unwrap() = wrong;
            if at == second {
                // twice the same entry
                other.get_mut(at..at + 16).unwrap().fill(wrong);
            }
            assert!(Consumer::decode(&other).is_err(), "{at}");
        }
    }

    #[test]
    fn what_is_too_long_is_cut_and_says_so() {
        let entry = |number: u32| {
            let mut id = [0; 16];
            id.get_mut(..4).unwrap().copy_from_slice(&number.to_be_bytes());
            EntryId(id)
        };
        let mut consumer = Consumer {
            kind: ConsumerKind::Process,
            reaction: Reaction::default(),
            presence: Presence::Present,
            host: "h".to_owned(),
            sidecar: "s".to_owned(),
            name: "ä".repeat(400),
            environment: EnvironmentName::new("prod").unwrap(),
            revision: Revision(1),
            since: Timestamp(1),
            problem: String::new(),
            is_whole: true,
            uses: (0..5000)
                .rev()
                .map(|number| Use {
                    entry: entry(number),
                    read: Seen::default(),
                    confirmed: Seen::default(),
                })
                .collect(),
        };
        consumer.fit();
        assert_eq!(consumer.uses.len(), MAX_USES);
        assert!(!consumer.is_whole);
        assert_eq!(consumer.name, "ä".repeat(256));
        assert!(consumer.encode().len() + 1024 < crate::store::MAX_REPORT);
        assert_eq!(Consumer::decode(&consumer.encode()).unwrap(), consumer);
    }
}
