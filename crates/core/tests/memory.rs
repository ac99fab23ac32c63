//! Scans this process's own memory for keys and plaintexts: after each operation only the copies
//! that have an owner may be there, neither on the heap nor on the stack.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use strongroom_core::ambient::{Ambient, Clock, Entropy, EntropyError, Timestamp};
use strongroom_core::crypto::identity::Identity;
use strongroom_core::crypto::keyring::unwrap;
use strongroom_core::crypto::seal::{Context, Kek, Purpose, open, rewrap, seal};
use strongroom_core::crypto::sign::SigningKey;
use strongroom_core::id::{CompartmentId, StoreId, Term};
use strongroom_core::secret::Secret;

const MASK: u8 = 0x5a;
const HALF: usize = 16;

/// What to look for, kept masked so that it is no copy itself.
#[derive(Clone, Copy)]
struct Needle([u8; 32]);

impl Needle {
    /// A needle of its own for each number.
    fn new(number: u8) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, &[number, 0x77]);
        Self(std::array::from_fn(|at| digest.as_ref()[at]))
    }

    /// Writes the needle in clear.
    fn write(&self, out: &mut [u8]) {
        for (byte, masked) in out.iter_mut().zip(self.0) {
            *byte = masked ^ MASK;
        }
    }

    fn secret(&self) -> Secret {
        let mut bytes = vec![0; 32];
        self.write(&mut bytes);
        Secret::new(bytes)
    }

    /// Copies in all writable memory of this process. It looks for the second half only: an
    /// allocator writes its own links over the first bytes of what is freed.
    fn copies(&self) -> usize {
        let memory = File::open("/proc/self/mem").unwrap();
        let mut window = vec![0_u8; 1 << 20];
        let half = &self.0[32 - HALF..];
        let own = window.as_ptr() as u64..window.as_ptr() as u64 + window.len() as u64;
        let mut found = Vec::new();
        for (start, end) in writable_ranges() {
            // the window itself is not looked at: it is cut out of the range that holds it
            for (mut at, end) in [(start, end.min(own.start)), (start.max(own.end), end)] {
                while at < end {
                    let length = (end - at).min(window.len() as u64) as usize;
                    let read = memory.read_at(&mut window[..length], at).unwrap_or(0);
                    found.extend(
                        memchr::memchr_iter(half[0] ^ MASK, &window[..read])
                            .filter(|place| {
                                let bytes = window[*place..read].iter().map(|byte| byte ^ MASK);
                                bytes.take(HALF).eq(half.iter().copied())
                            })
                            .map(|place| at + place as u64),
                    );
                    // windows overlap, so that no copy hides between two of them
                    at += length.saturating_sub(HALF).max(1) as u64;
                }
            }
        }
        window.fill(0);
        std::hint::black_box(&window);
        found.dedup();
        found.len()
    }
}

fn writable_ranges() -> Vec<(u64, u64)> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines()
        .filter(|line| {
            line.split_whitespace()
                .nth(1)
                .is_some_and(|mode| mode.starts_with("rw"))
        })
        .map(|line| {
            let (start, end) = line.split_whitespace().next().unwrap().split_once('-').unwrap();
            (
                u64::from_str_radix(start, 16).unwrap(),
                u64::from_str_radix(end, 16).unwrap(),
            )
        })
        .collect()
}

/// Gives needles as randomness, one for each draw: in its last 32 bytes.
struct Needles(Vec<Needle>, AtomicUsize);

impl Needles {
    fn new(needles: &[Needle]) -> Self {
        Self(needles.to_vec(), AtomicUsize::new(0))
    }
}

impl Entropy for Needles {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        let at = out.len().saturating_sub(32);
        out[..at].fill(1);
        self.0[self.1.fetch_add(1, Ordering::Relaxed)].write(&mut out[at..]);
        Ok(())
    }
}

const CONTEXT: Context = Context {
    store: StoreId([1; 16]),
    purpose: Purpose::Value,
    compartment: CompartmentId([2; 16]),
    subject: [3; 16],
    version: 4,
    kind: 5,
};

/// One test at a time: while another one scans, its window holds copies of what ours owns.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn the_scan_finds_what_is_there() {
    let _alone = alone();
    let needle = Needle::new(0);
    assert_eq!(needle.copies(), 0);
    let heap = needle.secret();
    let mut stack = [0; 40];
    needle.write(&mut stack[5..]);
    std::hint::black_box(&mut stack);
    assert_eq!(needle.copies(), 2);
    drop(heap);
    assert_eq!(needle.copies(), 1);
    stack.fill(0);
    std::hint::black_box(&mut stack);
    assert_eq!(needle.copies(), 0);
}

#[test]
fn sealing_and_opening_leave_only_what_has_an_owner() {
    let _alone = alone();
    let [old, kek, dek, value] = [1, 2, 3, 4].map(Needle::new);
    let key = Kek::generate(&Needles::new(&[old])).unwrap();
    assert_eq!(old.copies(), 1);

    let plaintext = value.secret();
    let blob = plaintext
        .expose(|bytes| seal(&key, Term(1), &CONTEXT, bytes, &Needles::new(&[dek])))
        .unwrap();
    assert_eq!(
        (old.copies(), dek.copies(), value.copies()),
        (1, 0, 1),
        "after seal"
    );
    drop(plaintext);
    assert_eq!(value.copies(), 0);

    let opened = open(&key, &CONTEXT, &blob).unwrap();
    assert_eq!(
        (old.copies(), dek.copies(), value.copies()),
        (1, 0, 1),
        "after open"
    );
    drop(opened);
    assert_eq!(value.copies(), 0);

    let mut changed = blob.clone();
    *changed.last_mut().unwrap() ^= 1;
    open(&key, &CONTEXT, &changed).unwrap_err();
    assert_eq!(
        (old.copies(), dek.copies(), value.copies()),
        (1, 0, 0),
        "after a refused open"
    );

    let new = Kek::generate(&Needles::new(&[kek])).unwrap();
    rewrap(&key, &new, Term(2), &CONTEXT, &blob, Ambient::system().entropy()).unwrap();
    assert_eq!(
        (old.copies(), kek.copies(), dek.copies(), value.copies()),
        (1, 1, 0, 0),
        "after rewrap"
    );
    drop((key, new));
    assert_eq!((old.copies(), kek.copies()), (0, 0));
}

#[test]
fn signing_leaves_only_the_seed() {
    let _alone = alone();
    let seed = Needle::new(10);
    let key = SigningKey::generate(&Needles::new(&[seed])).unwrap();
    let prefix = signing_prefix(seed);
    zeroize::zeroize_stack::<{ 64 << 10 }>();
    assert_eq!((seed.copies(), prefix.copies()), (1, 0), "after generate");
    std::hint::black_box(key.sign(b"message"));
    assert_eq!((seed.copies(), prefix.copies()), (1, 0), "after sign");
    drop(key);
    assert_eq!(seed.copies(), 0);
}

/// RFC 8032's secret prefix, from which nonces are made: half of the seed's digest.
#[inline(never)]
fn signing_prefix(seed: Needle) -> Needle {
    seed.secret().expose(|bytes| {
        let digest = ring::digest::digest(&ring::digest::SHA512, bytes);
        Needle(std::array::from_fn(|at| digest.as_ref()[32 + at] ^ MASK))
    })
}

#[test]
fn identities_leave_only_their_two_keys() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("identity");
    let [age, seed] = [20, 21].map(Needle::new);
    let ambient = Ambient::new(Arc::new(Midnight), Arc::new(Needles::new(&[age, seed])));
    let identity = Identity::generate(&ambient).unwrap();
    assert_eq!((age.copies(), seed.copies()), (1, 1), "after generate");

    // the 32 characters of each key that come first in its text
    let text = identity.to_text();
    let line = |prefix: &str| {
        text.expose(|text| {
            let at = text
                .windows(prefix.len())
                .position(|part| part == prefix.as_bytes())
                .unwrap()
                + prefix.len();
            Needle(std::array::from_fn(|byte| text[at + byte] ^ MASK))
        })
    };
    let (age_text, seed_text) = (line("\nAGE-SECRET-KEY-1"), line("\nSTRONGROOM-SIGNING-KEY-1"));
    assert_eq!((age_text.copies(), seed_text.copies()), (1, 1), "after to_text");
    drop(text);

    identity.write_file(&path, None).unwrap();
    drop(identity);
    let all = || [age.copies(), seed.copies(), age_text.copies(), seed_text.copies()];
    assert_eq!(all(), [0, 0, 0, 0], "after write_file");
    let identity = Identity::read_file(&path, || None).unwrap();
    assert_eq!(all(), [1, 1, 0, 0], "after read_file");
    drop(identity);
    assert_eq!(all(), [0, 0, 0, 0], "at the end");
}

#[test]
fn opening_a_key_file_leaves_only_the_key() {
    let _alone = alone();
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/vectors/key-file-v1.json"
    );
    let vectors: serde_json::Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let hex = |value: &serde_json::Value, mask: u8| -> Vec<u8> {
        let hex = value.as_str().unwrap();
        (0..hex.len() / 2)
            .map(|at| u8::from_str_radix(&hex[2 * at..][..2], 16).unwrap() ^ mask)
            .collect()
    };
    let kek = Needle(hex(&vectors["kek"], MASK).try_into().unwrap());
    let file = hex(&vectors["file"], 0);
    let identity =
        Identity::from_text(vectors["identities"][0]["text"].as_str().unwrap().as_bytes()).unwrap();
    assert_eq!(kek.copies(), 0);
    let opened = unwrap(&file, &identity).unwrap();
    assert_eq!(kek.copies(), 1, "after unwrap");
    drop(opened);
    assert_eq!(kek.copies(), 0, "at the end");
}

struct Midnight;

impl Clock for Midnight {
    fn now(&self) -> Timestamp {
        Timestamp(0)
    }
}
