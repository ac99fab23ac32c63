//! Cryptography: sealing records, compartment keys, identities and signatures.
//! It knows bytes and ids only: no names, no storage, no policy. Ring and age are used here and
//! nowhere else (`id::Hash` aside).

pub mod heap;
pub mod identity;
mod identity_file;
pub mod index;
pub mod keyring;
pub mod seal;
pub mod sign;
