//! The chain: owns how lines follow one another and the signed heads that fix where it stood. A
//! line's hash is that of the hash before it and of the line's own bytes, so that anybody can
//! verify with public means; what nobody without the key can make is a head.

use std::fmt;
use std::str::FromStr;

use super::text::push_number;
use crate::ambient::Timestamp;
use crate::crypto::sign::{BadSignature, SIGNATURE, SigningKey, VerifyKey};
use crate::hex;
use crate::id::Hash;

const DOMAIN: &[u8] = b"strongroom audit head v1\0";

/// A place in the chain: the number of a line and its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The line's number; 0 is before the first.
    pub seq: u64,
    /// Its hash.
    pub hash: Hash,
}

impl Position {
    /// Before the first line.
    pub const START: Self = Self {
        seq: 0,
        hash: Hash::ZERO,
    };
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, self.hash)
    }
}

/// The text is not a place in an audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a head is NUMBER:HASH, as `strongroom audit verify` prints it")]
pub struct PositionError;

impl FromStr for Position {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        let (seq, hash) = text.split_once(':').ok_or(PositionError)?;
        Ok(Self {
            seq: seq.parse().map_err(|_| PositionError)?,
            hash: hash.parse().map_err(|_| PositionError)?,
        })
    }
}

/// The end of a chain, to which lines are appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain(Position);

impl Chain {
    /// The chain that ends at `last`.
    #[must_use]
    pub fn after(last: Position) -> Self {
        Self(last)
    }

    /// The last line.
    #[must_use]
    pub fn last(&self) -> Position {
        self.0
    }

    /// The number of the next line.
    #[must_use]
    pub fn next_seq(&self) -> u64 {
        self.0.seq.saturating_add(1)
    }

    /// Appends the line of `body` to the chain and to `out`.
    pub fn append(&mut self, at: Timestamp, body: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        let seq = self.next_seq();
        out.extend_from_slice(b"{\"seq\":");
        push_number(out, seq);
        out.extend_from_slice(b",\"time\":\"");
        out.extend_from_slice(&at.rfc3339());
        out.extend_from_slice(b"\",");
        out.extend_from_slice(body);
        let line = out.get(start..).unwrap_or_default();
        let hash = Hash::of_parts(&[&self.0.hash.0, line]);
        out.extend_from_slice(b",\"hash\":\"");
        hex::push(out, &hash.0);
        out.extend_from_slice(b"\"}\n");
        self.0 = Position { seq, hash };
    }
}

/// The hash of a line that follows `before`; `line` ends where its own hash begins. Both are put
/// side by side in `room`: hashing them in one go takes less time than the copy.
pub(super) fn linked(before: Hash, line: &[u8], room: &mut Vec<u8>) -> Hash {
    room.clear();
    room.extend_from_slice(&before.0);
    room.extend_from_slice(line);
    Hash::of(room)
}

/// A signed place in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The place.
    pub of: Position,
    /// Who signed.
    pub key: VerifyKey,
    /// The signature.
    pub signature: [u8; SIGNATURE],
}

impl Head {
    /// Signs `of`.
    #[must_use]
    pub fn sign(of: Position, key: &SigningKey) -> Self {
        Self {
            of,
            key: key.verify_key(),
            signature: key.sign(&message(of)),
        }
    }

    /// Checks the signature against the key that the head names.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn verify(&self) -> Result<(), BadSignature> {
        self.key.verify(&message(self.of), &self.signature)
    }

    /// Appends the head's bytes: the members of its line that are its own.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\"head\":{\"of\":");
        push_number(out, self.of.seq);
        out.extend_from_slice(b",\"hash\":\"");
        hex::push(out, &self.of.hash.0);
        out.extend_from_slice(b"\",\"key\":\"");
        hex::push(out, &self.key.0);
        out.extend_from_slice(b"\",\"signature\":\"");
        hex::push(out, &self.signature);
        out.extend_from_slice(b"\"}");
    }
}

fn message(of: Position) -> Vec<u8> {
    let seq = of.seq.to_be_bytes();
    [DOMAIN, seq.as_slice(), of.hash.0.as_slice()].concat()
}
