//! What is freed was wiped: an allocator that looks into every block before it is given back.
// `GlobalAlloc` cannot be implemented without `unsafe`; only this file allows it.
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use strongroom_core::ambient::{Ambient, Clock, Entropy, EntropyError, Timestamp};
use strongroom_core::crypto::identity::Identity;
use strongroom_core::crypto::keyring::{unwrap, wrap};
use strongroom_core::crypto::seal::{Context, Kek, Purpose, open, rewrap, seal};
use strongroom_core::id::{CompartmentId, StoreId, Term};
use strongroom_core::secret::Secret;

/// Every key and plaintext of these tests is this byte over and over: 0xA7 is no UTF-8 and no
/// byte of a pointer to user space, and eight of them in a row come from nowhere else.
const MARK: u8 = 0xa7;
const RUN: usize = 8;
/// Sixteen of the characters that a key of marks has in an identity's text; also the passphrase.
const TEXT: &[u8] = b"57N60FA857N60FA8";

struct Inspecting;

/// Freed blocks that still held marked bytes.
static DIRTY: AtomicUsize = AtomicUsize::new(0);

fn inspect(bytes: &[u8]) -> bool {
    [&[MARK; RUN][..], TEXT]
        .iter()
        .any(|mark| memchr::memmem::find(bytes, mark).is_some())
}

// SAFETY: every call is the system allocator's own, with the same arguments; new memory is zeroed,
// so that all bytes of a live block are initialised and may be looked at.
unsafe impl GlobalAlloc for Inspecting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps `GlobalAlloc`'s contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block is live until the next line, and initialised.
        let bytes = unsafe { std::slice::from_raw_parts(block, layout.size()) };
        DIRTY.fetch_add(usize::from(inspect(bytes)), Ordering::SeqCst);
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the block is live until the next line, and initialised.
        let bytes = unsafe { std::slice::from_raw_parts(block, layout.size()) };
        let (whole, cut) = (inspect(bytes), inspect(bytes.get(size..).unwrap_or_default()));
        // SAFETY: as above.
        let new = unsafe { System.realloc(block, layout, size) };
        DIRTY.fetch_add(
            usize::from(if new == block { cut } else { whole }),
            Ordering::SeqCst,
        );
        if size > layout.size() && !new.is_null() {
            // SAFETY: the block has `size` bytes now, of which those behind the old size are new.
            unsafe { new.add(layout.size()).write_bytes(0, size - layout.size()) };
        }
        new
    }
}

#[global_allocator]
static ALLOCATOR: Inspecting = Inspecting;

/// How many blocks `work` freed with marked bytes in them.
fn dirty(work: impl FnOnce()) -> usize {
    let before = DIRTY.load(Ordering::SeqCst);
    work();
    DIRTY.load(Ordering::SeqCst) - before
}

struct Marks;

impl Entropy for Marks {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        // a nonce, which comes first where there is one, is no secret
        let secret = out.len().saturating_sub(32);
        out[secret..].fill(MARK);
        Ok(())
    }
}

impl Clock for Marks {
    fn now(&self) -> Timestamp {
        Timestamp(0)
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

fn marked() -> Secret {
    Secret::new(vec![MARK; 100])
}

fn kek() -> Kek {
    Kek::generate(&Marks).unwrap()
}

fn identity() -> Identity {
    Identity::generate(&Ambient::new(Arc::new(Marks), Arc::new(Marks))).unwrap()
}

/// One test, since the count is of the whole process.
#[test]
fn everything_is_wiped_before_it_is_freed() {
    // the instrument works
    assert_eq!(dirty(|| drop(vec![MARK; RUN])), 1);
    assert_eq!(dirty(|| drop(vec![MARK; RUN - 1])), 0);
    assert_eq!(dirty(|| vec![MARK; RUN].reserve(1 << 20)), 2, "a move and a drop");

    assert_eq!(dirty(|| drop(TEXT.to_vec())), 1);
    identity().to_text().expose(|text| {
        assert!(
            memchr::memmem::find_iter(text, TEXT).count() >= 4,
            "both keys are marked"
        );
    });

    assert_eq!(dirty(|| drop(marked())), 0);
    let spare = || {
        let mut bytes = vec![MARK; 100];
        bytes.truncate(1);
        Secret::new(bytes)
    };
    assert_eq!(dirty(|| drop(spare())), 0, "behind the length");
    assert_eq!(dirty(|| drop(kek())), 0);

    let sealed = || marked().expose(|bytes| seal(&kek(), Term(1), &CONTEXT, bytes, &Marks).unwrap());
    assert_eq!(dirty(|| drop(sealed())), 0, "seal");
    let blob = sealed();
    assert_eq!(dirty(|| drop(open(&kek(), &CONTEXT, &blob).unwrap())), 0, "open");
    let mut changed = blob.clone();
    changed[100] ^= 1;
    assert_eq!(
        dirty(|| assert!(open(&kek(), &CONTEXT, &changed).is_err())),
        0,
        "a refused open"
    );
    let new = Kek::generate(Ambient::system().entropy()).unwrap();
    let rewrapped = || {
        rewrap(
            &kek(),
            &new,
            Term(2),
            &CONTEXT,
            &blob,
            Ambient::system().entropy(),
        )
    };
    assert_eq!(dirty(|| drop(rewrapped().unwrap())), 0, "rewrap");

    assert_eq!(dirty(|| drop(identity())), 0, "identity");
    let public = identity().public();
    let file = wrap(&kek(), &[&public]).unwrap();
    assert_eq!(dirty(|| drop(unwrap(&file, &identity()).unwrap())), 0, "unwrap");
    let dir = tempfile::tempdir().unwrap();
    let (plain, sealed) = (dir.path().join("plain"), dir.path().join("sealed"));
    assert_eq!(dirty(|| drop(identity().to_text())), 0, "to_text");
    assert_eq!(
        dirty(|| identity().write_file(&plain, None).unwrap()),
        0,
        "write_file"
    );
    assert_eq!(
        dirty(|| drop(Identity::read_file(&plain, || None).unwrap())),
        0,
        "read_file"
    );

    // Age's writer frees its buffer as it is, with the last 64 KiB of what it sealed. Nothing
    // outside can reach it, so these two leave one block each; programs that seal key files or
    // identities cover it with an allocator that wipes. Where this fails with 0, age wipes now.
    assert_eq!(dirty(|| drop(wrap(&kek(), &[&public]).unwrap())), 1, "wrap");
    let passphrase = || Secret::new(TEXT.repeat(2));
    assert_eq!(
        dirty(|| identity().write_file(&sealed, Some(&passphrase())).unwrap()),
        1,
        "write_file, sealed"
    );
    let read = || Identity::read_file(&sealed, || Some(passphrase())).unwrap();
    assert_eq!(dirty(|| drop(read())), 0, "read_file, sealed");
}
