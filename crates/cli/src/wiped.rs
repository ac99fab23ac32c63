//! A buffer for plaintext that grows: owns growing without leaving the smaller one behind unwiped.

use std::io::{self, Read, Write};

use strongroom_core::secret::Secret;
use zeroize::Zeroizing;

/// Bytes that are wiped when they are dropped and when they move.
#[derive(Default)]
pub(crate) struct Wiped(Zeroizing<Vec<u8>>);

impl Wiped {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Hands the bytes on without copying them.
    pub(crate) fn into_secret(mut self) -> Secret {
        Secret::new(std::mem::take(&mut *self.0))
    }

    fn reserve(&mut self, more: usize) {
        let needed = self.0.len().saturating_add(more);
        if needed > self.0.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(needed.saturating_mul(2).max(4096)));
            larger.extend_from_slice(&self.0);
            self.0 = larger;
        }
    }

    /// Reads to the end, but stops soon after `most` bytes.
    pub(crate) fn read_to_end(&mut self, from: &mut impl Read, most: usize) -> io::Result<()> {
        let mut block = Zeroizing::new([0_u8; 16 * 1024]);
        while self.0.len() <= most {
            match from.read(&mut *block) {
                Ok(0) => break,
                Ok(count) => self.write_all(block.get(..count).unwrap_or_default())?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Write for Wiped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.reserve(bytes.len());
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
