//! Sealing: what was sealed opens, and nothing else does.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use proptest::prelude::*;
use strongroom_core::ambient::{Ambient, Entropy, EntropyError};
use strongroom_core::crypto::seal::{
    Context, Kek, MAX_PLAINTEXT, OVERHEAD, OpenError, Purpose, SealError, open, plaintext_len, rewrap, seal,
    term_of,
};
use strongroom_core::id::{CompartmentId, StoreId, Term};

const PURPOSES: [Purpose; 5] = [
    Purpose::Meta,
    Purpose::Value,
    Purpose::Name,
    Purpose::Message,
    Purpose::Index,
];

fn ambient() -> Ambient {
    Ambient::system()
}

fn kek() -> Kek {
    Kek::generate(ambient().entropy()).unwrap()
}

fn sealed(kek: &Kek, term: Term, context: &Context, plaintext: &[u8]) -> Vec<u8> {
    seal(kek, term, context, plaintext, ambient().entropy()).unwrap()
}

fn context() -> Context {
    Context {
        store: StoreId([1; 16]),
        purpose: Purpose::Value,
        compartment: CompartmentId([2; 16]),
        subject: [3; 16],
        version: 4,
        kind: 5,
    }
}

fn contexts() -> impl Strategy<Value = Context> {
    (
        any::<[u8; 16]>(),
        0..5_usize,
        any::<[u8; 16]>(),
        any::<[u8; 16]>(),
        any::<u32>(),
        any::<u8>(),
    )
        .prop_map(|(store, purpose, compartment, subject, version, kind)| Context {
            store: StoreId(store),
            purpose: PURPOSES[purpose],
            compartment: CompartmentId(compartment),
            subject,
            version,
            kind,
        })
}

/// Every context that differs from `context` in one bit, or in its purpose.
fn neighbours(context: Context) -> Vec<Context> {
    let mut all = Vec::new();
    for bit in 0..128 {
        let flipped = |mut bytes: [u8; 16]| {
            bytes[bit / 8] ^= 1 << (bit % 8);
            bytes
        };
        all.push(Context {
            store: StoreId(flipped(context.store.0)),
            ..context
        });
        all.push(Context {
            compartment: CompartmentId(flipped(context.compartment.0)),
            ..context
        });
        all.push(Context {
            subject: flipped(context.subject),
            ..context
        });
    }
    all.extend((0..32).map(|bit| Context {
        version: context.version ^ (1 << bit),
        ..context
    }));
    all.extend((0..8).map(|bit| Context {
        kind: context.kind ^ (1 << bit),
        ..context
    }));
    all.extend(
        PURPOSES
            .into_iter()
            .filter(|purpose| *purpose != context.purpose)
            .map(|purpose| Context { purpose, ..context }),
    );
    all
}

proptest! {
    #[test]
    fn what_was_sealed_opens(
        plaintext in prop::collection::vec(any::<u8>(), 0..2000),
        context in contexts(),
        term: u32,
    ) {
        let kek = kek();
        let blob = sealed(&kek, Term(term), &context, &plaintext);
        prop_assert_eq!(blob.len(), plaintext.len() + OVERHEAD);
        prop_assert_eq!(plaintext_len(blob.len()), plaintext.len());
        prop_assert_eq!(term_of(&blob), Ok(Term(term)));
        prop_assert!(open(&kek, &context, &blob).unwrap().expose(|opened| opened == plaintext));
    }

    #[test]
    fn any_flipped_bit_is_refused(
        plaintext in prop::collection::vec(any::<u8>(), 0..2000),
        at: prop::sample::Index,
        bit in 0_u32..8,
    ) {
        let kek = kek();
        let mut blob = sealed(&kek, Term(1), &context(), &plaintext);
        let at = at.index(blob.len());
        blob[at] ^= 1_u8 << bit;
        prop_assert!(open(&kek, &context(), &blob).is_err());
    }

    #[test]
    fn any_cut_or_addition_is_refused(
        plaintext in prop::collection::vec(any::<u8>(), 0..500),
        cut: prop::sample::Index,
        more in prop::collection::vec(any::<u8>(), 1..100),
    ) {
        let kek = kek();
        let blob = sealed(&kek, Term(1), &context(), &plaintext);
        prop_assert!(open(&kek, &context(), &blob[..cut.index(blob.len())]).is_err());
        prop_assert!(open(&kek, &context(), &[&blob[..], &more].concat()).is_err());
    }

    #[test]
    fn nothing_panics_on_what_was_never_sealed(blob in prop::collection::vec(any::<u8>(), 0..300), alg: bool) {
        let blob = if alg { [&[1][..], &blob].concat() } else { blob };
        prop_assert!(open(&kek(), &context(), &blob).is_err());
        let _ = term_of(&blob);
    }
}

#[test]
fn every_bit_of_a_record_counts() {
    let kek = kek();
    let blob = sealed(&kek, Term(7), &context(), b"s3cret");
    for bit in 0..blob.len() * 8 {
        let mut changed = blob.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let expected = if bit < 8 {
            OpenError::Format
        } else {
            OpenError::Refused
        };
        assert_eq!(
            open(&kek, &context(), &changed).unwrap_err(),
            expected,
            "bit {bit}"
        );
    }
}

#[test]
fn every_field_of_the_context_counts() {
    let kek = kek();
    let blob = sealed(&kek, Term(1), &context(), b"s3cret");
    let others = neighbours(context());
    assert_eq!(others.len(), 3 * 128 + 32 + 8 + 4);
    for other in others {
        assert_eq!(
            open(&kek, &other, &blob).unwrap_err(),
            OpenError::Refused,
            "{other:?}"
        );
    }
}

#[test]
fn another_key_does_not_open() {
    let blob = sealed(&kek(), Term(1), &context(), b"s3cret");
    assert_eq!(open(&kek(), &context(), &blob).unwrap_err(), OpenError::Refused);
}

#[test]
fn parts_of_two_records_do_not_make_a_third() {
    let kek = kek();
    let (one, two) = (
        sealed(&kek, Term(1), &context(), b"one"),
        sealed(&kek, Term(1), &context(), b"two"),
    );
    for cut in [1, 5, 17, 49, 65, 68] {
        let mixed = [&one[..cut], &two[cut..]].concat();
        assert_eq!(
            open(&kek, &context(), &mixed).is_ok(),
            mixed == one || mixed == two,
            "cut at {cut}"
        );
    }
}

#[test]
fn sizes_from_nothing_to_the_longest() {
    let kek = kek();
    for length in [0, 1, 15, 16, 17, 4096, MAX_PLAINTEXT - 1, MAX_PLAINTEXT] {
        let plaintext: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
        let mut blob = sealed(&kek, Term(1), &context(), &plaintext);
        let opened = open(&kek, &context(), &blob).unwrap();
        assert!(opened.expose(|opened| opened == plaintext), "{length}");
        assert_eq!(opened.is_empty(), length == 0);
        *blob.last_mut().unwrap() ^= 1;
        assert_eq!(
            open(&kek, &context(), &blob).unwrap_err(),
            OpenError::Refused,
            "{length}"
        );
    }
    let long = vec![0; MAX_PLAINTEXT + 1];
    let refused = seal(&kek, Term(1), &context(), &long, ambient().entropy());
    assert_eq!(refused, Err(SealError::TooLong(MAX_PLAINTEXT + 1)));
    assert_eq!(
        open(
            &kek,
            &context(),
            &[&[1][..], &vec![0; MAX_PLAINTEXT + OVERHEAD]].concat()
        )
        .unwrap_err(),
        OpenError::Format
    );
}

#[test]
fn records_of_one_value_have_nothing_in_common() {
    let kek = kek();
    let one = sealed(&kek, Term(1), &context(), &[0; 64]);
    let two = sealed(&kek, Term(1), &context(), &[0; 64]);
    let same = one.iter().zip(&two).skip(5).filter(|(a, b)| a == b).count();
    // 140 random bytes agree in about one place by chance
    assert!(same < 12, "{same} bytes agree");
}

#[test]
fn a_new_term_rewraps_and_leaves_the_ciphertext() {
    let (old, new) = (kek(), kek());
    let blob = sealed(&old, Term(1), &context(), b"s3cret");
    let rewrapped = rewrap(&old, &new, Term(2), &context(), &blob, ambient().entropy()).unwrap();
    assert_eq!(term_of(&rewrapped), Ok(Term(2)));
    assert_eq!(rewrapped[65..], blob[65..]);
    assert!(
        open(&new, &context(), &rewrapped)
            .unwrap()
            .expose(|bytes| bytes == b"s3cret")
    );
    assert!(open(&old, &context(), &rewrapped).is_err());

    // the term in the header is bound: it cannot be set back
    let mut back = rewrapped.clone();
    back[1..5].copy_from_slice(&blob[1..5]);
    assert_eq!(open(&new, &context(), &back).unwrap_err(), OpenError::Refused);
    for other in neighbours(context()) {
        assert!(open(&new, &other, &rewrapped).is_err());
    }
    assert_eq!(
        rewrap(&new, &old, Term(3), &context(), &blob, ambient().entropy()),
        Err(SealError::Open(OpenError::Refused))
    );
}

/// Fails after writing half of the buffer.
struct Failing;

impl Entropy for Failing {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        let half = out.len() / 2;
        out[..half].fill(0xaa);
        Err(EntropyError)
    }
}

#[test]
fn nothing_is_sealed_without_randomness() {
    assert!(matches!(Kek::generate(&Failing), Err(SealError::Entropy)));
    let kek = kek();
    assert_eq!(
        seal(&kek, Term(1), &context(), b"s3cret", &Failing),
        Err(SealError::Entropy)
    );
    let blob = sealed(&kek, Term(1), &context(), b"s3cret");
    assert_eq!(
        rewrap(&kek, &kek, Term(2), &context(), &blob, &Failing),
        Err(SealError::Entropy)
    );
}
