//! MurmurHash3 (x86, 32 bits, seed 0) of bytes that come piece by piece: what `fractional` splits by.
//! It is no cryptography and must not be used as such.

const C1: u32 = 0xcc9e_2d51;
const C2: u32 = 0x1b87_3593;

/// A hash that is under way.
#[derive(Debug, Default)]
pub(super) struct Murmur {
    hash: u32,
    /// Bytes that do not make up a block yet, the first one lowest.
    tail: u32,
    tail_bytes: u32,
    length: u32,
}

fn mixed(block: u32) -> u32 {
    block.wrapping_mul(C1).rotate_left(15).wrapping_mul(C2)
}

impl Murmur {
    /// Takes more bytes.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        let mut bytes = bytes;
        while self.tail_bytes != 0 {
            let Some((first, rest)) = bytes.split_first() else {
                return;
            };
            self.byte(*first);
            bytes = rest;
        }
        let mut blocks = bytes.chunks_exact(4);
        for block in &mut blocks {
            if let Ok(block) = block.try_into() {
                self.block(u32::from_le_bytes(block));
                self.length = self.length.wrapping_add(4);
            }
        }
        for byte in blocks.remainder() {
            self.byte(*byte);
        }
    }

    fn byte(&mut self, byte: u8) {
        self.tail |= u32::from(byte) << (8 * self.tail_bytes);
        self.tail_bytes += 1;
        self.length = self.length.wrapping_add(1);
        if self.tail_bytes == 4 {
            let block = std::mem::take(&mut self.tail);
            self.tail_bytes = 0;
            self.block(block);
        }
    }

    fn block(&mut self, block: u32) {
        self.hash = (self.hash ^ mixed(block))
            .rotate_left(13)
            .wrapping_mul(5)
            .wrapping_add(0xe654_6b64);
    }

    /// The hash of everything it took.
    pub(super) fn finish(self) -> u32 {
        let mut hash = self.hash;
        if self.tail_bytes > 0 {
            hash ^= mixed(self.tail);
        }
        hash ^= self.length;
        hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
        hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
        hash ^ (hash >> 16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_hashes_whatever_the_pieces() {
        for (text, hash) in [
            ("ejOoVL", 0),
            ("bY9fO-", 1),
            ("SI7p-", 0x7fff_ffff),
            ("6LvT0", 0x8000_0000),
            ("ceQdGm", 0xffff_ffff),
            ("", 0),
        ] {
            for cut in 0..=text.len() {
                let mut murmur = Murmur::default();
                let (a, b) = text.as_bytes().split_at(cut);
                murmur.put(a);
                murmur.put(b);
                assert_eq!(murmur.finish(), hash, "{text} cut at {cut}");
            }
        }
    }
}
