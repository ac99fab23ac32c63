//! Sealing and opening a record, beside bare ring doing the same two layers in the same run.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use divan::Bencher;
use divan::counter::BytesCount;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use strongroom_core::ambient::Ambient;
use strongroom_core::crypto::seal::{Context, Kek, Purpose, open, rewrap, seal};
use strongroom_core::id::{CompartmentId, StoreId, Term};
use strongroom_core::secret::Secret;

const SIZES: [usize; 4] = [64, 256, 4 << 10, 1 << 20];
const CONTEXT: Context = Context {
    store: StoreId([1; 16]),
    purpose: Purpose::Value,
    compartment: CompartmentId([2; 16]),
    subject: [3; 16],
    version: 4,
    kind: 5,
};

fn main() {
    divan::main();
}

fn key(bytes: &[u8]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, bytes).unwrap())
}

fn zero() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

/// The control: unwrap the data key, build its schedule, open; nothing bound, nothing wiped.
#[divan::bench(args = SIZES)]
fn open_bare_ring(bencher: Bencher<'_, '_>, size: usize) {
    bare(bencher, size, &[]);
}

/// The same with as many bytes of context as a record binds.
#[divan::bench(args = SIZES)]
fn open_bare_ring_with_context(bencher: Bencher<'_, '_>, size: usize) {
    bare(bencher, size, &[5; 92]);
}

fn bare(bencher: Bencher<'_, '_>, size: usize, context: &[u8]) {
    let kek = [7; 32];
    let aad = || Aad::from(divan::black_box(context));
    let mut wrapped = vec![9; 32];
    key(&kek)
        .seal_in_place_append_tag(zero(), aad(), &mut wrapped)
        .unwrap();
    let mut ct = vec![1; size];
    key(&[9; 32])
        .seal_in_place_append_tag(zero(), aad(), &mut ct)
        .unwrap();
    bencher.counter(BytesCount::new(size)).bench_local(|| {
        let mut dek = [0; 48];
        dek.copy_from_slice(&wrapped);
        let dek = key(&kek).open_in_place(zero(), aad(), &mut dek).unwrap();
        let mut out = ct.clone();
        key(dek).open_in_place(zero(), aad(), &mut out).unwrap();
        out
    });
}

/// Ours, with the plaintext dropped, that is wiped, outside of the measured time.
#[divan::bench(args = SIZES)]
fn open_record(bencher: Bencher<'_, '_>, size: usize) {
    let (kek, blob) = sealed(size);
    bencher
        .counter(BytesCount::new(size))
        .bench_local(|| open(&kek, &CONTEXT, &blob).unwrap());
}

/// Ours, wiped within the measured time, as a reader does.
#[divan::bench(args = SIZES)]
fn open_record_and_wipe(bencher: Bencher<'_, '_>, size: usize) {
    let (kek, blob) = sealed(size);
    bencher
        .counter(BytesCount::new(size))
        .bench_local(|| drop(divan::black_box(open(&kek, &CONTEXT, &blob).unwrap())));
}

/// The control: draw 44 random bytes, wrap, seal; no context, nothing wiped.
#[divan::bench(args = SIZES)]
fn seal_bare_ring(bencher: Bencher<'_, '_>, size: usize) {
    let (ambient, kek, plaintext) = (Ambient::system(), [7; 32], vec![1; size]);
    bencher.counter(BytesCount::new(size)).bench_local(|| {
        let random: [u8; 44] = ambient.random().unwrap();
        let nonce = Nonce::try_assume_unique_for_key(&random[..12]).unwrap();
        let mut wrapped = random[12..].to_vec();
        key(&kek)
            .seal_in_place_append_tag(nonce, Aad::empty(), &mut wrapped)
            .unwrap();
        let mut out = plaintext.clone();
        key(&random[12..])
            .seal_in_place_append_tag(zero(), Aad::empty(), &mut out)
            .unwrap();
        (wrapped, out)
    });
}

#[divan::bench(args = SIZES)]
fn seal_record(bencher: Bencher<'_, '_>, size: usize) {
    let (ambient, kek, plaintext) = (Ambient::system(), kek(), vec![1; size]);
    bencher
        .counter(BytesCount::new(size))
        .bench_local(|| seal(&kek, Term(1), &CONTEXT, &plaintext, ambient.entropy()).unwrap());
}

#[divan::bench(args = SIZES)]
fn rewrap_record(bencher: Bencher<'_, '_>, size: usize) {
    let ((old, blob), new, ambient) = (sealed(size), kek(), Ambient::system());
    bencher
        .counter(BytesCount::new(size))
        .bench_local(|| rewrap(&old, &new, Term(2), &CONTEXT, &blob, ambient.entropy()).unwrap());
}

#[divan::bench(args = SIZES)]
fn wipe(bencher: Bencher<'_, '_>, size: usize) {
    bencher
        .counter(BytesCount::new(size))
        .with_inputs(|| Secret::new(vec![1; size]))
        .bench_local_values(drop);
}

fn kek() -> Kek {
    Kek::generate(Ambient::system().entropy()).unwrap()
}

fn sealed(size: usize) -> (Kek, Vec<u8>) {
    let kek = kek();
    let blob = seal(
        &kek,
        Term(1),
        &CONTEXT,
        &vec![1; size],
        Ambient::system().entropy(),
    )
    .unwrap();
    (kek, blob)
}
