//! One commit as data: owns its fields and canonical bytes (`docs/format.md`, "Commit").
//! It must not know what a commit means; `admin` and `state` decide that.

use std::fmt;
use std::str::FromStr;

use super::codec::{Malformed, Reader, Writer};
use super::entry::{self, EntryChange};
use super::error::Break;
use super::rewrap::{self, Rewrap};
use crate::ambient::Timestamp;
use crate::crypto::identity::PublicIdentity;
use crate::crypto::sign::{SIGNATURE, SigningKey, VerifyKey};
use crate::id::{CompartmentId, EnvironmentId, Hash, MemberId, Revision, StoreId, Term};

/// The first bytes of every commit; also what keeps its signature from being one of another thing.
pub(crate) const MAGIC: &[u8; 8] = b"SRCOMMIT";
/// The newest format this program writes and reads. A commit is written in the oldest one that says
/// all of it, so that older programs read it.
pub const FORMAT: u16 = 3;
const WITH_LABELS: u16 = 2;
const WITHOUT_LABELS: u16 = 1;
/// Longest sealed message, bytes.
const MAX_MESSAGE: usize = 8192;

/// What a member may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Role {
    /// Everything: members, compartments, environments and entries.
    Admin = 1,
    /// Entries of its compartments.
    Writer = 2,
    /// New versions of secrets of its compartments.
    Rotator = 3,
    /// Reading only.
    Reader = 4,
}

impl Role {
    const ALL: [Self; 4] = [Self::Admin, Self::Writer, Self::Rotator, Self::Reader];

    /// The word used in messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Writer => "writer",
            Self::Rotator => "rotator",
            Self::Reader => "reader",
        }
    }

    fn from_byte(byte: u8) -> Result<Self, Malformed> {
        Self::ALL
            .into_iter()
            .find(|role| *role as u8 == byte)
            .ok_or(Malformed)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The word is not a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a role is one of admin, writer, rotator, reader")]
pub struct RoleError;

impl FromStr for Role {
    type Err = RoleError;
    fn from_str(text: &str) -> Result<Self, RoleError> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or(RoleError)
    }
}

/// A commit that is named by number and hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its number; 0 when there is none.
    pub revision: Revision,
    /// Its hash; zero when there is none.
    pub hash: Hash,
}

impl Link {
    /// What the first commit names.
    pub const NONE: Self = Self {
        revision: Revision(0),
        hash: Hash::ZERO,
    };
}

/// One signed, atomic change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The store it belongs to.
    pub store: StoreId,
    /// Its number, from 1.
    pub revision: Revision,
    /// The hash of the commit before it.
    pub previous: Hash,
    /// The last commit before it that has administrative changes. These links form the authority
    /// chain: who is a member is known without reading the commits between.
    pub authority: Link,
    /// Who made and signed it.
    pub author: MemberId,
    /// When, by the author's clock; for display, nothing is decided by it.
    pub time: Timestamp,
    /// The sealed message; empty when there is none.
    pub message: Vec<u8>,
    /// Changes of members, compartments, environments and keys, applied in order.
    pub admin: Vec<AdminChange>,
    /// Changes of entries, in ascending order of their ids, each id once.
    pub entries: Vec<EntryChange>,
    /// Entries whose records were wrapped anew, in ascending order of their ids, each id once.
    pub rewraps: Vec<Rewrap>,
}

/// One administrative change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminChange {
    /// A new member; its name is a sealed record.
    MemberAdd {
        /// Its id.
        id: MemberId,
        /// Its role.
        role: Role,
        /// Its public keys.
        public: PublicIdentity,
        /// The record of its name.
        name: Hash,
        /// The compartments it opens, ascending; empty for admins, who open all.
        compartments: Vec<CompartmentId>,
    },
    /// A member leaves.
    MemberRemove {
        /// Its id.
        id: MemberId,
    },
    /// A member opens one more compartment.
    Grant {
        /// The member.
        member: MemberId,
        /// The compartment.
        compartment: CompartmentId,
    },
    /// A new compartment; its name is a sealed record. The first one is `common`.
    CompartmentAdd {
        /// Its id.
        id: CompartmentId,
        /// The record of its name.
        name: Hash,
    },
    /// A new environment; name, parent and compartment are one sealed record.
    EnvironmentAdd {
        /// Its id.
        id: EnvironmentId,
        /// The record.
        record: Hash,
    },
    /// The key file of a compartment's term: a new term, or one wrapped anew.
    KeyFile {
        /// The compartment.
        compartment: CompartmentId,
        /// The term.
        term: Term,
        /// The file.
        file: Hash,
    },
    /// The key that entry ids are made with; once, in the first commit.
    Index {
        /// The record of the key.
        record: Hash,
    },
}

impl Commit {
    /// The bytes that are stored: the canonical body and the signature over it.
    #[must_use]
    pub fn sign(&self, key: &SigningKey) -> Vec<u8> {
        let mut bytes = self.body();
        let signature = key.sign(&bytes);
        bytes.extend_from_slice(&signature);
        bytes
    }

    fn body(&self) -> Vec<u8> {
        let changes = self.entries.len() + self.rewraps.len();
        let mut w = Writer::with_capacity(256 + self.message.len() + 128 * changes);
        w.fixed(MAGIC);
        w.u16(self.format());
        w.fixed(&self.store.0);
        w.u64(self.revision.0);
        w.fixed(&self.previous.0);
        w.u64(self.authority.revision.0);
        w.fixed(&self.authority.hash.0);
        w.fixed(&self.author.0);
        w.u64(self.time.0);
        w.bytes(&self.message);
        w.count(self.admin.len());
        for change in &self.admin {
            change.encode(&mut w);
        }
        w.count(self.entries.len());
        for change in &self.entries {
            change.encode(&mut w);
        }
        if !self.rewraps.is_empty() {
            w.count(self.rewraps.len());
            for rewrap in &self.rewraps {
                rewrap.encode(&mut w);
            }
        }
        w.finish()
    }

    /// The one format it is written in.
    fn format(&self) -> u16 {
        if !self.rewraps.is_empty() {
            FORMAT
        } else if self.entries.iter().any(|change| change.labels.is_some()) {
            WITH_LABELS
        } else {
            WITHOUT_LABELS
        }
    }

    /// Whether it has administrative changes.
    #[must_use]
    pub fn is_administrative(&self) -> bool {
        !self.admin.is_empty()
    }
}

/// Decodes stored bytes into the commit, the signed body and the signature; checks neither
/// signature nor meaning.
///
/// # Errors
/// [`Break::DamagedCommit`], [`Break::NewerFormat`].
pub fn decode(stored: &[u8]) -> Result<(Commit, &[u8], &[u8]), Break> {
    let at = stored.len().checked_sub(SIGNATURE).ok_or(Break::DamagedCommit)?;
    let (body, signature) = stored.split_at_checked(at).ok_or(Break::DamagedCommit)?;
    let mut r = Reader::new(body);
    if r.fixed::<8>() != Ok(*MAGIC) {
        return Err(Break::DamagedCommit);
    }
    let format = match r.u16() {
        Ok(known @ WITHOUT_LABELS..=FORMAT) => known,
        Ok(newer) if newer > FORMAT => return Err(Break::NewerFormat),
        _ => return Err(Break::DamagedCommit),
    };
    let commit = Commit::fields(r, format).map_err(|Malformed| Break::DamagedCommit)?;
    if commit.format() == format {
        Ok((commit, body, signature))
    } else {
        Err(Break::DamagedCommit)
    }
}

impl Commit {
    fn fields(mut r: Reader<'_>, format: u16) -> Result<Self, Malformed> {
        let store = StoreId(r.fixed()?);
        let revision = Revision(r.u64()?);
        let previous = Hash(r.fixed()?);
        let authority = Link {
            revision: Revision(r.u64()?),
            hash: Hash(r.fixed()?),
        };
        let author = MemberId(r.fixed()?);
        let time = Timestamp(r.u64()?);
        let message = r.bytes()?;
        if message.len() > MAX_MESSAGE {
            return Err(Malformed);
        }
        let admin = (0..r.count(17)?)
            .map(|_| AdminChange::decode(&mut r))
            .collect::<Result<Vec<_>, _>>()?;
        let entries = (0..r.count(entry::MIN)?)
            .map(|_| EntryChange::decode(&mut r))
            .collect::<Result<Vec<_>, _>>()?;
        let rewraps = if format == FORMAT {
            r.count(rewrap::MIN)?
        } else {
            0
        };
        let rewraps = (0..rewraps)
            .map(|_| Rewrap::decode(&mut r))
            .collect::<Result<Vec<_>, _>>()?;
        r.end()?;
        let sorted = entries.is_sorted_by(|a, b| a.id < b.id) && rewraps.is_sorted_by(|a, b| a.id < b.id);
        if !sorted {
            return Err(Malformed);
        }
        Ok(Self {
            store,
            revision,
            previous,
            authority,
            author,
            time,
            message: message.to_vec(),
            admin,
            entries,
            rewraps,
        })
    }
}

impl AdminChange {
    fn encode(&self, w: &mut Writer) {
        match self {
            Self::MemberAdd {
                id,
                role,
                public,
                name,
                compartments,
            } => {
                w.u8(1);
                w.fixed(&id.0);
                w.u8(*role as u8);
                w.bytes(public.recipient.as_bytes());
                w.fixed(&public.verify_key.0);
                w.fixed(&name.0);
                w.count(compartments.len());
                for compartment in compartments {
                    w.fixed(&compartment.0);
                }
            }
            Self::MemberRemove { id } => {
                w.u8(2);
                w.fixed(&id.0);
            }
            Self::Grant { member, compartment } => {
                w.u8(3);
                w.fixed(&member.0);
                w.fixed(&compartment.0);
            }
            Self::CompartmentAdd { id, name } => {
                w.u8(4);
                w.fixed(&id.0);
                w.fixed(&name.0);
            }
            Self::EnvironmentAdd { id, record } => {
                w.u8(5);
                w.fixed(&id.0);
                w.fixed(&record.0);
            }
            Self::KeyFile {
                compartment,
                term,
                file,
            } => {
                w.u8(6);
                w.fixed(&compartment.0);
                w.u32(term.0);
                w.fixed(&file.0);
            }
            Self::Index { record } => {
                w.u8(7);
                w.fixed(&record.0);
            }
        }
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(match r.u8()? {
            1 => {
                let id = MemberId(r.fixed()?);
                let role = Role::from_byte(r.u8()?)?;
                let recipient = r.text()?.to_owned();
                let verify_key = VerifyKey(r.fixed()?);
                let name = Hash(r.fixed()?);
                let compartments = (0..r.count(16)?)
                    .map(|_| r.fixed().map(CompartmentId))
                    .collect::<Result<Vec<_>, _>>()?;
                if !compartments.is_sorted_by(|a, b| a < b) {
                    return Err(Malformed);
                }
                Self::MemberAdd {
                    id,
                    role,
                    public: PublicIdentity {
                        recipient,
                        verify_key,
                    },
                    name,
                    compartments,
                }
            }
            2 => Self::MemberRemove {
                id: MemberId(r.fixed()?),
            },
            3 => Self::Grant {
                member: MemberId(r.fixed()?),
                compartment: CompartmentId(r.fixed()?),
            },
            4 => Self::CompartmentAdd {
                id: CompartmentId(r.fixed()?),
                name: Hash(r.fixed()?),
            },
            5 => Self::EnvironmentAdd {
                id: EnvironmentId(r.fixed()?),
                record: Hash(r.fixed()?),
            },
            6 => Self::KeyFile {
                compartment: CompartmentId(r.fixed()?),
                term: Term(r.u32()?),
                file: Hash(r.fixed()?),
            },
            7 => Self::Index {
                record: Hash(r.fixed()?),
            },
            _ => return Err(Malformed),
        })
    }

    /// The object it refers to, if any.
    #[must_use]
    pub fn object(&self) -> Option<Hash> {
        match self {
            Self::MemberAdd { name, .. } | Self::CompartmentAdd { name, .. } => Some(*name),
            Self::EnvironmentAdd { record, .. } | Self::Index { record } => Some(*record),
            Self::KeyFile { file, .. } => Some(*file),
            Self::MemberRemove { .. } | Self::Grant { .. } => None,
        }
    }
}
