//! Sealing and opening a record, beside bare ring doing the same two layers, by turns in one run.
//! `cargo bench -p strongroom-core --bench seal`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod kit;

use std::hint::black_box;
use std::time::Duration;

use kit::{head, note, pair, per_call, row};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use strongroom_core::ambient::Ambient;
use strongroom_core::crypto::seal::{Context, Kek, Purpose, open, rewrap, seal};
use strongroom_core::id::{CompartmentId, StoreId, Term};

const ROUNDS: usize = 15;
const SIZES: [(usize, &str, u32); 4] = [
    (64, "64 B", 20_000),
    (256, "256 B", 20_000),
    (4 << 10, "4 KiB", 5_000),
    (1 << 20, "1 MiB", 40),
];
const CONTEXT: Context = Context {
    store: StoreId([1; 16]),
    purpose: Purpose::Value,
    compartment: CompartmentId([2; 16]),
    subject: [3; 16],
    version: 4,
    kind: 5,
};
/// As many bytes as a record binds.
const BOUND: [u8; 92] = [5; 92];

fn main() {
    head("Sealing");
    for (size, name, calls) in SIZES {
        opening(size, name, calls);
        sealing(size, name, calls);
    }
}

fn measured(calls: u32, ours: impl FnMut() + Copy, bare: impl FnMut() + Copy) -> (Duration, Duration) {
    pair(ROUNDS, || per_call(calls, ours), || per_call(calls, bare))
}

fn opening(size: usize, name: &str, calls: u32) {
    // Bare ring: unwrap the data key, build its schedule, open; nothing wiped.
    let kek = [7; 32];
    let aad = || Aad::from(black_box(&BOUND));
    let mut wrapped = vec![9; 32];
    key(&kek)
        .seal_in_place_append_tag(zero(), aad(), &mut wrapped)
        .unwrap();
    let mut sealed = vec![1; size];
    key(&[9; 32])
        .seal_in_place_append_tag(zero(), aad(), &mut sealed)
        .unwrap();
    let bare = || {
        let mut dek = [0; 48];
        dek.copy_from_slice(&wrapped);
        let dek = key(&kek).open_in_place(zero(), aad(), &mut dek).unwrap();
        let mut out = sealed.clone();
        key(dek).open_in_place(zero(), aad(), &mut out).unwrap();
        black_box(out);
    };
    let ambient = Ambient::system();
    let kek = Kek::generate(ambient.entropy()).unwrap();
    let record = seal(&kek, Term(1), &CONTEXT, &vec![1; size], ambient.entropy()).unwrap();
    let (ours, bare) = measured(
        calls,
        || drop(black_box(open(&kek, &CONTEXT, &record).unwrap())),
        bare,
    );
    row(
        &format!("record of {name} opened, and wiped"),
        "bare ring unwrap and open",
        ours,
        bare,
        2.0,
    );
}

fn sealing(size: usize, name: &str, calls: u32) {
    let (ambient, plaintext, old) = (Ambient::system(), vec![1; size], [7; 32]);
    // Bare ring: draw 44 random bytes, wrap, seal; no context, nothing wiped.
    let bare = || {
        let random: [u8; 44] = ambient.random().unwrap();
        let nonce = Nonce::try_assume_unique_for_key(&random[..12]).unwrap();
        let mut wrapped = random[12..].to_vec();
        key(&old)
            .seal_in_place_append_tag(nonce, Aad::empty(), &mut wrapped)
            .unwrap();
        let mut out = plaintext.clone();
        key(&random[12..])
            .seal_in_place_append_tag(zero(), Aad::empty(), &mut out)
            .unwrap();
        black_box((wrapped, out));
    };
    let kek = Kek::generate(ambient.entropy()).unwrap();
    let sealed = || seal(&kek, Term(1), &CONTEXT, &plaintext, ambient.entropy()).unwrap();
    let (ours, limit) = measured(calls, || drop(black_box(sealed())), bare);
    let what = format!("record of {name} sealed");
    row(&what, "bare ring wrap and seal", ours, limit, 2.0);
    if size == 256 {
        let (record, new) = (sealed(), Kek::generate(ambient.entropy()).unwrap());
        let ours = || {
            let rewrapped = rewrap(&kek, &new, Term(2), &CONTEXT, &record, ambient.entropy());
            drop(black_box(rewrapped.unwrap()));
        };
        let (ours, limit) = measured(calls, ours, bare);
        let what = "the same put under a new term's key";
        note(what, "bare ring wrap and seal", ours, limit);
    }
}

fn key(bytes: &[u8]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, bytes).unwrap())
}

fn zero() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}
