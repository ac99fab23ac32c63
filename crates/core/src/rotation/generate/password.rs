//! Passwords: owns alphabets, classes of characters and drawing from them without bias.

use zeroize::Zeroizing;

use super::GenerateError;
use crate::ambient::Entropy;
use crate::secret::Secret;

/// Classes of characters, by the words of a spec. No quotes, backslash, backtick or blank: those
/// end a string where a password is pasted into.
pub(super) const CLASSES: [(&str, &str); 4] = [
    ("lower", "abcdefghijklmnopqrstuvwxyz"),
    ("upper", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    ("digit", "0123456789"),
    ("symbol", "!#$%&()*+,-./:;<=>?@[]^_{|}~"),
];
/// Longest password, characters, and largest alphabet.
pub(super) const MAX_LENGTH: usize = 4096;
pub(super) const MAX_ALPHABET: usize = 256;
/// What a password must be worth at least, bits.
const MIN_BITS: f64 = 64.0;
/// Passwords drawn before one has all classes; one that is worth [`MIN_BITS`] needs a few.
const ATTEMPTS: usize = 1000;
/// Random bytes drawn at once, and how often at most for each character.
const BLOCK: usize = 64;
const BLOCKS_PER_CHARACTER: usize = 64;

/// A password to be drawn: every one that fits is equally likely.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Password {
    length: usize,
    alphabet: Vec<char>,
    /// Of each of these at least one.
    classes: Vec<&'static str>,
}

impl Password {
    /// A password of `length` characters of `alphabet`, at least one of each of `classes`.
    pub(super) fn new(
        length: usize,
        alphabet: Vec<char>,
        classes: Vec<&'static str>,
    ) -> Result<Self, &'static str> {
        let mut sorted = alphabet.clone();
        sorted.sort_unstable();
        sorted.dedup();
        if sorted.len() != alphabet.len() {
            return Err("an alphabet has each character once");
        }
        if !(2..=MAX_ALPHABET).contains(&alphabet.len()) || alphabet.iter().any(|c| c.is_control()) {
            return Err("an alphabet has 2 to 256 characters, none of them a control character");
        }
        if length > MAX_LENGTH {
            return Err("a password has at most 4096 characters");
        }
        let choices = u32::try_from(alphabet.len()).map_or(2.0, f64::from);
        let characters = u32::try_from(length).map_or(0.0, f64::from);
        if choices.log2() * characters < MIN_BITS {
            return Err("a password must be worth 64 bits: make it longer, or its alphabet larger");
        }
        Ok(Self {
            length,
            alphabet,
            classes,
        })
    }

    pub(super) fn generate(&self, entropy: &dyn Entropy) -> Result<Secret, GenerateError> {
        let mut drawn = Drawn {
            entropy,
            block: Zeroizing::new([0; BLOCK]),
            used: BLOCK,
        };
        for _ in 0..ATTEMPTS {
            // All of it anew: whatever is repaired afterwards would be likelier than the rest.
            let mut text = Zeroizing::new(String::with_capacity(self.length * 4));
            for _ in 0..self.length {
                text.push(self.character(&mut drawn)?);
            }
            if self
                .classes
                .iter()
                .all(|class| text.contains(|c| class.contains(c)))
            {
                return Ok(Secret::new(std::mem::take(&mut *text).into_bytes()));
            }
        }
        Err(GenerateError::Entropy)
    }

    fn character(&self, drawn: &mut Drawn<'_>) -> Result<char, GenerateError> {
        // Bytes from the last multiple of the number of characters on would favour the first ones.
        let choices = self.alphabet.len();
        let limit = 256 - 256 % choices;
        for _ in 0..BLOCKS_PER_CHARACTER * BLOCK {
            let byte = usize::from(drawn.byte()?);
            if byte < limit {
                return self
                    .alphabet
                    .get(byte % choices)
                    .copied()
                    .ok_or(GenerateError::Entropy);
            }
        }
        Err(GenerateError::Entropy)
    }
}

/// Random bytes, a block at a time.
struct Drawn<'a> {
    entropy: &'a dyn Entropy,
    block: Zeroizing<[u8; BLOCK]>,
    used: usize,
}

impl Drawn<'_> {
    fn byte(&mut self) -> Result<u8, GenerateError> {
        if self.used == BLOCK {
            self.entropy.fill(self.block.as_mut_slice())?;
            self.used = 0;
        }
        let byte = self.block.get(self.used).copied().ok_or(GenerateError::Entropy)?;
        self.used += 1;
        Ok(byte)
    }
}
