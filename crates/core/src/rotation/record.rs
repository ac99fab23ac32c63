//! What is stored of a rotation that runs: owns the bytes of its record (`docs/format.md`,
//! "Rotation"). It must not know how the record is sealed.

use super::phase::{Phase, Strategy};
use crate::ambient::Timestamp;
use crate::commit::{Malformed, Reader, Writer};
use crate::id::{MemberId, PlaceId};

/// The bytes are no record of a rotation that this version reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the record of the rotation is none that this version reads")]
pub struct RecordError;

/// A rotation that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// How the target goes from one credential to the next.
    pub strategy: Strategy,
    /// Where it is.
    pub phase: Phase,
    /// Whether somebody did not wait for consumers.
    pub forced: bool,
    /// Who runs it.
    pub runner: MemberId,
    /// Where its runner's lock lies.
    pub place: PlaceId,
    /// When it began.
    pub since: Timestamp,
    /// Until when its runner may be at work at the target; nobody else goes on before.
    pub until: Timestamp,
    /// Which plan it goes by, as whoever began it says.
    pub plan: Vec<u8>,
}

impl Running {
    /// The bytes that are sealed.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::with_capacity(80 + self.plan.len());
        w.u8(self.strategy as u8);
        w.u8(self.phase as u8);
        w.u8(u8::from(self.forced));
        w.fixed(&self.runner.0);
        w.fixed(&self.place.0);
        w.u64(self.since.0);
        w.u64(self.until.0);
        w.bytes(&self.plan);
        w.finish()
    }

    /// Reads what was sealed.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        Self::read(bytes).map_err(|Malformed| RecordError)
    }

    fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let (strategy, phase) = (r.u8()?, r.u8()?);
        let strategy = Strategy::ALL.into_iter().find(|known| *known as u8 == strategy);
        let phase = Phase::ALL.into_iter().find(|known| *known as u8 == phase);
        let running = Self {
            strategy: strategy.ok_or(Malformed)?,
            phase: phase.ok_or(Malformed)?,
            forced: match r.u8()? {
                0 => false,
                1 => true,
                _ => return Err(Malformed),
            },
            runner: MemberId(r.fixed()?),
            place: PlaceId(r.fixed()?),
            since: Timestamp(r.u64()?),
            until: Timestamp(r.u64()?),
            plan: r.bytes()?.to_vec(),
        };
        r.end()?;
        Ok(running)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_those_of_the_format_and_no_others_are_read() {
        let mut bytes = vec![2, 4, 1];
        bytes.extend([7; 16]);
        bytes.extend([8; 16]);
        bytes.extend(1_700_000_000_000_u64.to_be_bytes());
        bytes.extend(1_700_000_060_000_u64.to_be_bytes());
        bytes.extend([0, 0, 0, 4]);
        bytes.extend(b"plan");
        let running = Running::decode(&bytes).unwrap();
        assert_eq!(running.strategy, Strategy::Overlap);
        assert_eq!(running.phase, Phase::Undoing);
        assert!(running.forced);
        assert_eq!(running.runner, MemberId([7; 16]));
        assert_eq!(running.place, PlaceId([8; 16]));
        assert_eq!(running.until, Timestamp(1_700_000_060_000));
        assert_eq!(running.plan, b"plan");
        assert_eq!(running.encode(), bytes);
        for length in 0..bytes.len() {
            assert!(Running::decode(bytes.get(..length).unwrap()).is_err());
        }
        for (at, wrong) in [(0, 0), (0, 4), (1, 6), (2, 2), (54, 3)] {
            let mut other = bytes.clone();
            *other.get_mut(at).unwrap() = wrong;
            assert!(Running::decode(&other).is_err(), "{at}");
        }
    }
}
