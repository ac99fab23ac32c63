//! Checkpoints: owns the signed list of all live entries at one revision, which spares a reader
//! the commits before it. Members are not in it: they come from the authority chain, whose
//! commits are verified one by one; the signer must be an admin there
//! (`docs/format.md`, "Checkpoint").

use std::sync::Arc;

use super::admin::Admin;
use super::change::{Link, decode};
use super::codec::{Malformed, Reader, Writer};
use super::entry::{option, optional};
use super::error::{Break, IntegrityError};
use super::live::{Labelled, Live, Marks};
use super::state::{State, checked};
use crate::ambient::Timestamp;
use crate::crypto::sign::{SIGNATURE, SigningKey};
use crate::id::{CompartmentId, EntryId, Hash, MemberId, Revision, StoreId, Version};
use crate::store::StoredCommit;

use super::change::Role;

const MAGIC: &[u8; 8] = b"SRCHECKP";
/// The newest format. One without labels is written in the first, so that older programs use it.
const FORMAT: u16 = 2;
const WITHOUT_LABELS: u16 = 1;
const ENTRY: usize = 16 + 16 + 4 + 8 + 32 + 32;

/// A checkpoint as claimed by the storage: decoded, not verified.
#[derive(Debug)]
pub struct Checkpoint {
    store: StoreId,
    fingerprint: Hash,
    link: Link,
    authority: Link,
    time: Timestamp,
    signer: MemberId,
    entries: imbl::OrdMap<EntryId, Arc<Live>>,
    digest: Hash,
    signature: [u8; SIGNATURE],
}

/// What a checkpoint's signature is over: the digest of its body under a prefix of its own.
fn signed(digest: Hash) -> [u8; 40] {
    let mut out = [0; 40];
    let (prefix, rest) = out.split_at_mut(8);
    prefix.copy_from_slice(MAGIC);
    rest.copy_from_slice(&digest.0);
    out
}

/// The signed checkpoint of `state`.
#[must_use]
pub fn encode(state: &State, signer: MemberId, key: &SigningKey) -> Vec<u8> {
    let entries = state.entries();
    let format = format(state.entries().map(|(_, live)| &**live));
    let mut w = Writer::with_capacity(256 + ENTRY * entries.len());
    w.fixed(MAGIC);
    w.u16(format);
    w.fixed(&state.store().0);
    w.fixed(&state.fingerprint().0);
    w.u64(state.revision().0);
    w.fixed(&state.hash().0);
    w.u64(state.admin().last().revision.0);
    w.fixed(&state.admin().last().hash.0);
    w.u64(state.time().0);
    w.fixed(&signer.0);
    w.count(entries.len());
    for (id, live) in entries {
        w.fixed(&id.0);
        w.fixed(&live.compartment.0);
        w.u32(live.version.0);
        w.u64(live.revision.0);
        w.fixed(&live.meta.0);
        w.fixed(&live.value.0);
        if format == FORMAT {
            w.u32(live.last.0);
            encode_marks(&mut w, live.marks.as_deref());
        }
    }
    let mut bytes = w.finish();
    let signature = key.sign(&signed(Hash::of(&bytes)));
    bytes.extend_from_slice(&signature);
    bytes
}

/// The one format that says everything of these entries.
fn format<'a>(mut entries: impl Iterator<Item = &'a Live>) -> u16 {
    if entries.any(|live| live.marks.is_some() || live.last != live.version) {
        FORMAT
    } else {
        WITHOUT_LABELS
    }
}

fn encode_marks(w: &mut Writer, marks: Option<&Marks>) {
    let Some(marks) = marks else {
        return w.u8(0);
    };
    w.u8(1);
    w.u64(marks.revision.0);
    for labelled in [marks.pending, marks.previous] {
        optional(w, labelled.map(|labelled| labelled.value));
        if let Some(labelled) = labelled {
            w.u32(labelled.version.0);
            w.u64(labelled.revision.0);
        }
    }
    optional(w, marks.rotation);
}

fn decode_marks(r: &mut Reader<'_>) -> Result<Option<Marks>, Malformed> {
    match r.u8()? {
        0 => return Ok(None),
        1 => {}
        _ => return Err(Malformed),
    }
    let labelled = |r: &mut Reader<'_>| match option(r)? {
        None => Ok(None),
        Some(value) => Ok(Some(Labelled {
            value,
            version: Version(r.u32()?),
            revision: Revision(r.u64()?),
        })),
    };
    let marks = Marks {
        revision: Revision(r.u64()?),
        pending: labelled(r)?,
        previous: labelled(r)?,
        rotation: option(r)?,
    };
    let is_marked = marks.pending.is_some() || marks.previous.is_some() || marks.rotation.is_some();
    if is_marked {
        Ok(Some(marks))
    } else {
        Err(Malformed)
    }
}

impl Checkpoint {
    /// Decodes a checkpoint; `None` when it is of a newer format, which is no damage: the commits
    /// say everything that it says.
    ///
    /// # Errors
    /// [`Break::Checkpoint`].
    pub fn decode(bytes: &[u8]) -> Result<Option<Self>, Break> {
        let at = bytes.len().checked_sub(SIGNATURE).ok_or(Break::Checkpoint)?;
        let (body, signature) = bytes.split_at_checked(at).ok_or(Break::Checkpoint)?;
        let mut r = Reader::new(body);
        if r.fixed::<8>() != Ok(*MAGIC) {
            return Err(Break::Checkpoint);
        }
        let format = match r.u16() {
            Ok(known @ (WITHOUT_LABELS | FORMAT)) => known,
            Ok(newer) if newer > FORMAT => return Ok(None),
            _ => return Err(Break::Checkpoint),
        };
        let signature = signature.try_into().map_err(|_| Break::Checkpoint)?;
        Self::fields(r, format, Hash::of(body), signature)
            .map(Some)
            .map_err(|Malformed| Break::Checkpoint)
    }

    fn fields(
        mut r: Reader<'_>,
        written: u16,
        digest: Hash,
        signature: [u8; SIGNATURE],
    ) -> Result<Self, Malformed> {
        let store = StoreId(r.fixed()?);
        let fingerprint = Hash(r.fixed()?);
        let link = Link {
            revision: Revision(r.u64()?),
            hash: Hash(r.fixed()?),
        };
        let authority = Link {
            revision: Revision(r.u64()?),
            hash: Hash(r.fixed()?),
        };
        let time = Timestamp(r.u64()?);
        let signer = MemberId(r.fixed()?);
        let mut entries = imbl::OrdMap::new();
        let mut last = None;
        for _ in 0..r.count(ENTRY)? {
            let id = EntryId(r.fixed()?);
            if last.is_some_and(|last| last >= id) {
                return Err(Malformed);
            }
            last = Some(id);
            let compartment = CompartmentId(r.fixed()?);
            let version = Version(r.u32()?);
            let mut live = Live {
                compartment,
                version,
                last: version,
                revision: Revision(r.u64()?),
                meta: Hash(r.fixed()?),
                value: Hash(r.fixed()?),
                marks: None,
            };
            if written == FORMAT {
                live.last = Version(r.u32()?);
                live.marks = decode_marks(&mut r)?.map(Arc::new);
            }
            if live.last < live.version {
                return Err(Malformed);
            }
            entries.insert(id, Arc::new(live));
        }
        r.end()?;
        if format(entries.values().map(Arc::as_ref)) != written {
            return Err(Malformed);
        }
        Ok(Self {
            store,
            fingerprint,
            link,
            authority,
            time,
            signer,
            entries,
            digest,
            signature,
        })
    }

    /// The commit it was made at, as claimed.
    #[must_use]
    pub fn link(&self) -> Link {
        self.link
    }

    /// Who signed it, as claimed.
    #[must_use]
    pub fn signer(&self) -> MemberId {
        self.signer
    }

    /// The end of the authority chain it was made at, as claimed.
    #[must_use]
    pub fn authority(&self) -> Link {
        self.authority
    }

    /// Verifies the signature against the members the authority chain has made.
    ///
    /// # Errors
    /// [`Break::Checkpoint`] at its revision.
    pub fn verify(self, authority: &Authority) -> Result<State, IntegrityError> {
        let refuse = || Break::Checkpoint.at(self.link.revision);
        let consistent = self.store == authority.store
            && self.fingerprint == authority.fingerprint
            && self.authority == authority.admin.last()
            && self.link.revision >= self.authority.revision;
        let signer = authority
            .admin
            .members()
            .get(&self.signer)
            .filter(|member| member.role == Role::Admin && consistent)
            .ok_or_else(refuse)?;
        signer
            .check(&signed(self.digest), &self.signature)
            .map_err(|_| refuse())?;
        let common = authority.admin.common();
        let policies = self.entries.iter().filter(|(_, live)| live.compartment == common);
        let policies = policies.map(|(id, live)| (*id, Arc::clone(live))).collect();
        Ok(State {
            store: self.store,
            fingerprint: self.fingerprint,
            link: self.link,
            time: self.time,
            admin: Arc::clone(&authority.admin),
            entries: self.entries,
            policies,
        })
    }
}

/// The members as the administrative commits alone make them.
#[derive(Debug)]
pub struct Authority {
    store: StoreId,
    fingerprint: Hash,
    admin: Arc<Admin>,
}

impl Authority {
    /// Verifies the authority chain: all administrative commits, the first one first. Each must
    /// name the one before it, be signed by an admin of that moment, and contradict nothing.
    ///
    /// # Errors
    /// [`IntegrityError`] naming what broke.
    pub fn verify(chain: &[StoredCommit]) -> Result<Self, IntegrityError> {
        let (first, rest) = chain.split_first().ok_or(Break::MissingCommit.at(Revision(1)))?;
        let state = State::genesis(first)?;
        let mut admin = Admin::clone(state.admin());
        for stored in rest {
            admin = Self::step(admin, state.store(), stored).map_err(|what| what.at(stored.head.revision))?;
        }
        Ok(Self {
            store: state.store(),
            fingerprint: state.fingerprint(),
            admin: Arc::new(admin),
        })
    }

    fn step(admin: Admin, store: StoreId, stored: &StoredCommit) -> Result<Admin, Break> {
        let (commit, body, signature) = checked(stored)?;
        if commit.authority != admin.last()
            || commit.store != store
            || commit.revision != stored.head.revision
        {
            return Err(Break::BrokenChain);
        }
        let author = admin
            .members()
            .get(&commit.author)
            .filter(|author| author.role == Role::Admin && commit.is_administrative())
            .ok_or(Break::Unauthorised)?;
        author.check(body, signature)?;
        let link = Link {
            revision: commit.revision,
            hash: stored.head.hash,
        };
        admin.apply(&commit, link)
    }
}

/// The authority link of a stored commit whose hash is the expected one.
///
/// # Errors
/// [`Break::DamagedCommit`], [`Break::NewerFormat`].
pub fn authority_of(stored: &StoredCommit, expected: Link) -> Result<Link, IntegrityError> {
    let inner = || {
        if Hash::of(&stored.bytes) != expected.hash {
            return Err(Break::BrokenChain);
        }
        decode(&stored.bytes).map(|(commit, ..)| commit.authority)
    };
    inner().map_err(|what| what.at(expected.revision))
}
