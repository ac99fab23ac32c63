//! A record from untrusted storage: nothing panics, and nothing opens but what was sealed.
#![no_main]

mod vectors;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use strongroom_core::ambient::{Entropy, EntropyError};
use strongroom_core::crypto::seal::{Context, Kek, OVERHEAD, Purpose, open, plaintext_len, term_of};
use strongroom_core::id::{CompartmentId, StoreId};

struct Fixed(Vec<u8>);

impl Entropy for Fixed {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        out.copy_from_slice(&self.0);
        Ok(())
    }
}

/// The key, the context and the sealed bytes of one vector, which is also the seed.
static SEALED: LazyLock<(Kek, Context, Vec<u8>)> = LazyLock::new(|| {
    let all = vectors::parse(include_str!("../../tests/vectors/record-v1.json"));
    let (record, context) = (&all["records"][1], &all["records"][1]["context"]);
    let id = |name: &str| vectors::bytes(&context[name]).try_into().expect("16 bytes");
    let context = Context {
        store: StoreId(id("store")),
        purpose: Purpose::Value,
        compartment: CompartmentId(id("compartment")),
        subject: id("subject"),
        version: 1,
        kind: 1,
    };
    let kek = Kek::generate(&Fixed(vectors::bytes(&record["kek"]))).expect("32 bytes");
    let blob = vectors::bytes(&record["record"]);
    assert!(open(&kek, &context, &blob).is_ok(), "the seed opens");
    (kek, context, blob)
});

fuzz_target!(|blob: &[u8]| {
    let (kek, context, sealed) = &*SEALED;
    let term = term_of(blob);
    if let Ok(secret) = open(kek, context, blob) {
        assert_eq!(blob, sealed, "a forged record opened");
        assert_eq!(secret.len(), plaintext_len(blob.len()));
        assert_eq!(secret.len() + OVERHEAD, blob.len());
        assert!(term.is_ok());
    }
});
