//! Key files: who opens them, and what is refused.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::io::Write;
use std::sync::Arc;

use strongroom_core::ambient::Ambient;
use strongroom_core::crypto::identity::{Identity, PublicIdentity};
use strongroom_core::crypto::keyring::{KeyFileError, Keyring, unwrap, wrap};
use strongroom_core::crypto::seal::{Context, Kek, Purpose, open, seal};
use strongroom_core::crypto::sign::VerifyKey;
use strongroom_core::id::{CompartmentId, StoreId, Term};

fn identity() -> Identity {
    Identity::generate(&Ambient::system()).unwrap()
}

fn kek() -> Kek {
    Kek::generate(Ambient::system().entropy()).unwrap()
}

const CONTEXT: Context = Context {
    store: StoreId([0; 16]),
    purpose: Purpose::Value,
    compartment: CompartmentId([0; 16]),
    subject: [0; 16],
    version: 1,
    kind: 1,
};

/// True when both are the same key: one opens what the other sealed.
fn same(one: &Kek, two: &Kek) -> bool {
    let blob = seal(one, Term(1), &CONTEXT, b"s3cret", Ambient::system().entropy()).unwrap();
    open(two, &CONTEXT, &blob).is_ok()
}

/// An age file of any bytes to `identity`, as a stranger would plant it.
fn planted(identity: &Identity, bytes: &[u8]) -> Vec<u8> {
    let recipient: age::x25519::Recipient = identity.public().recipient.parse().unwrap();
    let encryptor =
        age::Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient)).unwrap();
    let mut file = Vec::new();
    let mut writer = encryptor.wrap_output(&mut file).unwrap();
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap();
    file
}

#[test]
fn every_recipient_opens_a_key_file_and_nobody_else() {
    let members: Vec<_> = (0..5).map(|_| identity()).collect();
    let publics: Vec<_> = members.iter().map(Identity::public).collect();
    let kek = kek();
    let file = wrap(&kek, &publics.iter().collect::<Vec<_>>()).unwrap();
    assert!(file.starts_with(b"age-encryption.org/v1\n"));
    for member in &members {
        assert!(same(&kek, &unwrap(&file, member).unwrap()));
    }
    assert_eq!(
        unwrap(&file, &identity()).unwrap_err(),
        KeyFileError::NotRecipient
    );
}

#[test]
fn a_key_file_needs_a_recipient() {
    assert_eq!(wrap(&kek(), &[]).unwrap_err(), KeyFileError::NoRecipient);
}

#[test]
fn any_cut_or_changed_byte_of_a_key_file_is_refused() {
    let alice = identity();
    let file = wrap(&kek(), &[&alice.public()]).unwrap();
    for at in 0..file.len() {
        assert!(unwrap(&file[..at], &alice).is_err(), "cut at {at}");
        let mut changed = file.clone();
        changed[at] ^= 1;
        assert!(unwrap(&changed, &alice).is_err(), "changed at {at}");
    }
    assert!(unwrap(&[&file[..], b"x"].concat(), &alice).is_err());
    assert_eq!(unwrap(b"", &alice).unwrap_err(), KeyFileError::Damaged);
}

#[test]
fn a_key_file_holds_exactly_32_bytes() {
    let alice = identity();
    for length in [0, 1, 31, 33, 64, 70_000] {
        let file = planted(&alice, &vec![7; length]);
        assert_eq!(
            unwrap(&file, &alice).unwrap_err(),
            KeyFileError::Damaged,
            "{length}"
        );
    }
    unwrap(&planted(&alice, &[7; 32]), &alice).unwrap();
}

#[test]
fn keys_of_low_order_are_refused_where_they_come_in_and_where_they_are_used() {
    let p = |low: u8| {
        let mut point = [0xff; 32];
        (point[0], point[31]) = (low, 0x7f);
        point
    };
    let small = |low: u8| {
        let mut point = [0; 32];
        point[0] = low;
        point
    };
    // of order 8, as RFC 7748's security considerations ask to look for
    let eight = [
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    ];
    let mut points = vec![small(0), small(1), p(0xec), p(0xed), p(0xee)];
    points.extend(
        eight.map(|hex| std::array::from_fn(|at| u8::from_str_radix(&hex[2 * at..][..2], 16).unwrap())),
    );
    let with_top_bit = points.clone().into_iter().map(|mut point| {
        point[31] |= 0x80;
        point
    });
    for point in points.clone().into_iter().chain(with_top_bit) {
        let hrp = bech32::Hrp::parse_unchecked("age");
        let mut recipient = String::new();
        bech32::encode_lower_to_fmt::<bech32::Bech32, _>(&mut recipient, hrp, &point).unwrap();
        let public = PublicIdentity {
            recipient,
            verify_key: VerifyKey([9; 32]),
        };
        assert!(
            public.to_string().parse::<PublicIdentity>().is_err(),
            "{point:02x?}"
        );
        assert_eq!(
            wrap(&kek(), &[&public]).unwrap_err(),
            KeyFileError::Recipient,
            "{point:02x?}"
        );
        // the reason: age itself panics on such a key
        let age: age::x25519::Recipient = public.recipient.parse().unwrap();
        let sealed = std::panic::catch_unwind(|| age::encrypt(&age, b""));
        assert!(sealed.is_err(), "{point:02x?}");
    }
}

#[test]
fn a_keyring_finds_terms_and_the_newest() {
    let (one, two) = (CompartmentId([1; 16]), CompartmentId([2; 16]));
    let mut ring = Keyring::default();
    assert!(!ring.opens(one) && ring.newest(one).is_none());
    let keys: Vec<_> = (0..3).map(|_| Arc::new(kek())).collect();
    ring.insert(one, Term(1), keys[0].clone());
    ring.insert(one, Term(3), keys[1].clone());
    ring.insert(two, Term(9), keys[2].clone());
    assert!(Arc::ptr_eq(ring.get(one, Term(1)).unwrap(), &keys[0]));
    assert!(ring.get(one, Term(2)).is_none());
    let (term, newest) = ring.newest(one).unwrap();
    assert!(term == Term(3) && Arc::ptr_eq(newest, &keys[1]));
    assert!(ring.opens(two) && !ring.opens(CompartmentId([0; 16])) && !ring.opens(CompartmentId([3; 16])));
    assert!(!format!("{ring:?}").contains("Zeroizing"));
}
