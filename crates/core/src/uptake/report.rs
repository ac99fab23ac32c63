//! A report as it is stored: owns the bytes around what is sealed, and their signature
//! (`docs/format.md`, "Report").

use crate::ambient::Timestamp;
use crate::commit::{Malformed, Reader, Writer};
use crate::crypto::sign::{BadSignature, SIGNATURE, SigningKey, VerifyKey};
use crate::id::{MemberId, StoreId};

const MAGIC: &[u8; 8] = b"SRREPORT";
const FORMAT: u16 = 1;

/// A report. Who may see the storage learns who reports, in how many places, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The store it is for.
    pub store: StoreId,
    /// The member that says so.
    pub author: MemberId,
    /// Which consumer of which of its sidecars, as a keyed hash.
    pub place: [u8; 16],
    /// Rises with each report of a place.
    pub counter: u64,
    /// When, by the author's clock.
    pub time: Timestamp,
    /// The sealed consumer.
    pub body: Vec<u8>,
}

/// The bytes are not a report of a format that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not a report of a format that is known")]
pub struct NotAReport;

impl Report {
    /// Where it lies in a store.
    #[must_use]
    pub fn slot(&self) -> [u8; 32] {
        slot(self.author, self.place)
    }

    fn encode(&self) -> Vec<u8> {
        let mut w = Writer::with_capacity(192 + self.body.len());
        w.fixed(MAGIC);
        w.u16(FORMAT);
        w.fixed(&self.store.0);
        w.fixed(&self.author.0);
        w.fixed(&self.place);
        w.u64(self.counter);
        w.u64(self.time.0);
        w.bytes(&self.body);
        w.finish()
    }

    /// The signed bytes.
    #[must_use]
    pub fn sign(&self, key: &SigningKey) -> Vec<u8> {
        let mut bytes = self.encode();
        let signature = key.sign(&bytes);
        bytes.extend_from_slice(&signature);
        bytes
    }

    /// Whether `key` made `signature` over this report.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn verify(&self, key: &VerifyKey, signature: &[u8]) -> Result<(), BadSignature> {
        key.verify(&self.encode(), signature)
    }
}

/// Where a store keeps what `author` reports of `place`.
#[must_use]
pub fn slot(author: MemberId, place: [u8; 16]) -> [u8; 32] {
    let mut slot = [0; 32];
    let parts = author.0.iter().chain(&place);
    slot.iter_mut().zip(parts).for_each(|(to, from)| *to = *from);
    slot
}

/// Reads a report and its signature, which is not verified here.
///
/// # Errors
/// [`NotAReport`] for any bytes that are not the only encoding of one.
pub fn decode(bytes: &[u8]) -> Result<(Report, [u8; SIGNATURE]), NotAReport> {
    read(bytes).map_err(|Malformed| NotAReport)
}

fn read(bytes: &[u8]) -> Result<(Report, [u8; SIGNATURE]), Malformed> {
    let mut r = Reader::new(bytes);
    if r.fixed::<8>()? != *MAGIC || r.u16()? != FORMAT {
        return Err(Malformed);
    }
    let report = Report {
        store: StoreId(r.fixed()?),
        author: MemberId(r.fixed()?),
        place: r.fixed()?,
        counter: r.u64()?,
        time: Timestamp(r.u64()?),
        body: r.bytes()?.to_vec(),
    };
    let signature = r.fixed()?;
    r.end()?;
    Ok((report, signature))
}
