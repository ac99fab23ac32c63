//! Entry ids and hashed names: owns the keyed hashes of an environment and a path. Whoever lacks
//! the key (the storage) learns nothing from an id; whoever has it (every member) can tell that a
//! name is taken without opening the entry that has it.

use std::fmt;

use ring::hmac;

use crate::secret::Secret;

/// The store's key for entry ids: 32 random bytes, made with the store and never changed.
pub struct IndexKey(Box<hmac::Key>);

impl fmt::Debug for IndexKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IndexKey([redacted])")
    }
}

impl IndexKey {
    /// The key of `secret`, which must have 32 bytes; `None` otherwise.
    #[must_use]
    pub fn new(secret: &Secret) -> Option<Self> {
        (secret.len() == 32)
            .then(|| secret.expose(|key| Self(Box::new(hmac::Key::new(hmac::HMAC_SHA256, key)))))
    }

    /// The first 16 bytes of HMAC-SHA-256 over the environment's id and the path.
    #[must_use]
    pub fn entry_id(&self, environment: &[u8; 16], path: &[u8]) -> [u8; 16] {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(environment);
        context.update(path);
        first_half(context)
    }

    /// The first 16 bytes of HMAC-SHA-256 over a name as the audit log has it. The word in front
    /// keeps it apart from every entry's id.
    #[must_use]
    pub fn name_tag(&self, environment: &str, path: &str) -> [u8; 16] {
        let mut context = hmac::Context::with_key(&self.0);
        for part in ["strongroom audit name\0", environment, "/", path] {
            context.update(part.as_bytes());
        }
        first_half(context)
    }

    /// The first 16 bytes of HMAC-SHA-256 over the parts that name a consumer, each behind its length.
    /// The word in front keeps it apart as above.
    #[must_use]
    pub fn report_place(&self, parts: &[&str]) -> [u8; 16] {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(b"strongroom report\0");
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        first_half(context)
    }
}

fn first_half(context: hmac::Context) -> [u8; 16] {
    let mut half = [0; 16];
    let tag = context.sign();
    half.iter_mut()
        .zip(tag.as_ref())
        .for_each(|(to, from)| *to = *from);
    half
}
