//! The library's figures: read, commit, apply, open. `cargo bench -p strongroom-core --bench vault`.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::indexing_slicing)]

mod kit;
#[path = "../tests/vault_kit/mod.rs"]
mod vault_kit;

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kit::{head, line, pair, per_call, percentile, row, show, time};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rusqlite::Connection;
use strongroom_core::Vault;
use strongroom_core::ambient::Ambient;
use strongroom_core::commit::decode;
use strongroom_core::crypto::identity::Identity;
use strongroom_core::id::{Hash, Revision};
use strongroom_core::store::{MemoryStore, SqliteStore, Store};
use strongroom_core::vault::{Edit, OpenOptions};
use vault_kit::{change, env, identity, name, path, secret};

fn main() {
    // `follower PATH IDENTITY` is the other process of `propagation`.
    let args: Vec<_> = std::env::args().collect();
    if let Some(at) = args.iter().position(|arg| arg == "follower") {
        return follower(&args[at + 1], &args[at + 2]);
    }
    if args.iter().any(|arg| arg == "open-in-child") {
        return open_in_child(&args);
    }
    let all: [(&str, fn()); 5] = [
        ("read", read),
        ("commit", commit),
        ("apply", apply),
        ("open", open),
        ("propagation", propagation),
    ];
    let chosen = |name: &str| args.iter().any(|arg| arg == name);
    let some = all.iter().any(|(name, _)| chosen(name));
    head("Library");
    for (_, bench) in all.iter().filter(|(name, _)| !some || chosen(name)) {
        bench();
    }
}

fn new_vault(store: Arc<dyn Store>, identity: &Arc<Identity>) -> Vault {
    let vault = Vault::create(store, &name("alice"), identity.clone(), Ambient::system()).unwrap();
    vault
        .commit(&change(vec![Edit::AddEnvironment {
            name: env("prod"),
            parent: None,
            compartment: None,
        }]))
        .unwrap();
    vault
}

fn fill(vault: &Vault, entries: usize, size: usize) {
    for chunk in (0..entries).collect::<Vec<_>>().chunks(1000) {
        let edits = chunk
            .iter()
            .map(|n| {
                secret(
                    "prod",
                    &format!("service-{}/key-{n}", n % 97),
                    &vec![*n as u8; size],
                )
            })
            .collect();
        vault.commit(&change(edits)).unwrap();
    }
}

fn read() {
    let vault = new_vault(Arc::new(MemoryStore::new()), &identity());
    fill(&vault, 1000, 64);
    let (prod, at) = (env("prod"), path("service-0/key-97"));
    // Bare ring: unwrap a data key and open 64 bytes with it, both schedules made per call.
    let key = |bytes: &[u8]| LessSafeKey::new(UnboundKey::new(&AES_256_GCM, bytes).unwrap());
    let nonce = || Nonce::assume_unique_for_key([0; 12]);
    let (kek, dek) = ([1_u8; 32], [2_u8; 32]);
    let aad = [3_u8; 100];
    let mut wrap = dek.to_vec();
    key(&kek)
        .seal_in_place_append_tag(nonce(), Aad::from(&aad), &mut wrap)
        .unwrap();
    let mut sealed = vec![4_u8; 64];
    key(&dek)
        .seal_in_place_append_tag(nonce(), Aad::from(&aad), &mut sealed)
        .unwrap();
    let bare = || {
        let mut unwrapped = [0_u8; 48];
        unwrapped.copy_from_slice(&wrap);
        let dek = key(&kek)
            .open_in_place(nonce(), Aad::from(&aad), &mut unwrapped)
            .unwrap();
        let mut value = [0_u8; 80];
        value.copy_from_slice(&sealed);
        black_box(
            key(dek)
                .open_in_place(nonce(), Aad::from(&aad), &mut value)
                .unwrap(),
        );
    };
    let ours = || {
        black_box(vault.secret(&prod, &at).unwrap());
    };
    let (ours, bare) = pair(15, || per_call(20_000, ours), || per_call(20_000, bare));
    row(
        "secret of 64 B read in the library, 1,000 entries",
        "bare ring unwrap and open",
        ours,
        bare,
        2.0,
    );
}

fn commit() {
    let dir = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(SqliteStore::create(&dir.path().join("store.db")).unwrap());
    let vault = new_vault(store.clone(), &identity());
    fill(&vault, 100, 256);
    let bare = Connection::open(dir.path().join("bare.db")).unwrap();
    bare.execute_batch(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA trusted_schema=OFF;
         CREATE TABLE commits(revision INTEGER PRIMARY KEY, hash BLOB, bytes BLOB);
         CREATE TABLE objects(hash BLOB PRIMARY KEY, bytes BLOB) WITHOUT ROWID;",
    )
    .unwrap();
    let mut put_object = bare.prepare("INSERT INTO objects VALUES (?1, ?2)").unwrap();
    let mut put_commit = bare.prepare("INSERT INTO commits VALUES (?1, ?2, ?3)").unwrap();
    let mut n = 0_u32;
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    for _ in 0..400 {
        n += 1;
        let change = change(vec![secret(
            "prod",
            "service-0/key-0",
            &n.to_be_bytes().repeat(64),
        )]);
        let mut revision = Revision(0);
        ours.push(time(|| revision = vault.commit(&change).unwrap().revision));
        // The same bytes, with nothing but SQLite.
        let stored = store.commits(revision, 1).unwrap().remove(0);
        let value = decode(&stored.bytes).unwrap().0.entries[0].value.unwrap();
        let mut object = Vec::new();
        store
            .objects(&[value], &mut |_, bytes| {
                object = bytes.to_vec();
                true
            })
            .unwrap();
        theirs.push(time(|| {
            bare.execute_batch("BEGIN IMMEDIATE").unwrap();
            put_object.execute((&value.0[..], &object)).unwrap();
            put_commit
                .execute((n, &stored.head.hash.0[..], &stored.bytes))
                .unwrap();
            bare.execute_batch("COMMIT").unwrap();
        }));
    }
    row(
        "durable commit of one change, p50 of 400",
        "SQLite commit of the same bytes and pragmas",
        percentile(&mut ours, 50),
        percentile(&mut theirs, 50),
        2.0,
    );
}

fn apply() {
    let world = |entries: usize| {
        let store = Arc::new(MemoryStore::new());
        let identity = identity();
        let writer = new_vault(store.clone(), &identity);
        fill(&writer, entries, 256);
        let reader = Vault::open(store, identity, OpenOptions::default()).unwrap();
        (writer, reader)
    };
    let (small, large) = (world(100), world(100_000));
    let mut n = 0_u32;
    let mut one = |(writer, reader): &(Vault, Vault)| {
        n += 1;
        let at = "service-0/key-0";
        writer
            .commit(&change(vec![secret("prod", at, &n.to_be_bytes())]))
            .unwrap();
        time(|| drop(reader.refresh().unwrap()))
    };
    let (mut at_small, mut at_large) = (Vec::new(), Vec::new());
    for _ in 0..300 {
        at_small.push(one(&small));
        at_large.push(one(&large));
    }
    row(
        "a one-entry commit verified and applied, 100,000 entries",
        "the same at 100 entries",
        percentile(&mut at_large, 50),
        percentile(&mut at_small, 50),
        3.0,
    );
}

fn open() {
    const ENTRIES: usize = 100_000;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("store.db");
    let identity = identity();
    {
        let store: Arc<dyn Store> = Arc::new(SqliteStore::create(&file).unwrap());
        let vault = new_vault(store, &identity);
        fill(&vault, ENTRIES, 256);
    }
    // The limit: every stored byte scanned and hashed, and every metadata record opened.
    let meta = {
        let vault = new_vault(Arc::new(MemoryStore::new()), &identity);
        fill(&vault, 1, 64);
        vault
    };
    let (prod, at) = (env("prod"), path("service-0/key-0"));
    let mut stored = 0_usize;
    let mut bare = || {
        time(|| {
            let db = Connection::open(&file).unwrap();
            stored = 0;
            for table in ["commits", "objects"] {
                let mut scan = db.prepare(&format!("SELECT bytes FROM {table}")).unwrap();
                let mut rows = scan.query([]).unwrap();
                while let Some(row) = rows.next().unwrap() {
                    let bytes = row.get_ref(0).unwrap().as_blob().unwrap();
                    stored += bytes.len();
                    black_box(Hash::of(bytes));
                }
            }
            for _ in 0..ENTRIES {
                black_box(meta.secret(&prod, &at).unwrap());
            }
        })
    };
    let key = dir.path().join("id");
    identity.write_file(&key, None).unwrap();
    let mut memory = 0;
    // In a process of its own, so that memory is counted from nothing.
    let ours = || {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .arg("open-in-child")
            .args([&file, &key])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let (took, used) = text.trim().split_once(' ').unwrap();
        memory = memory.max(used.parse::<u64>().unwrap());
        Duration::from_nanos(took.parse().unwrap())
    };
    let (ours, bare) = pair(5, ours, &mut bare);
    row(
        "open a store of 100,000 records of 256 B",
        "SQLite scan, SHA-256 and opening the metadata",
        ours,
        bare,
        2.0,
    );
    let allowed = 2 * stored as u64 + (10 << 20);
    line(
        "its memory",
        &format!("{} MB for {} MB stored", memory >> 20, stored >> 20),
        "at most 2x the stored bytes + 10 MB",
        memory <= allowed,
    );
}

fn open_in_child(args: &[String]) {
    let at = args.iter().position(|arg| arg == "open-in-child").unwrap();
    let (file, key) = (&args[at + 1], &args[at + 2]);
    let identity = Arc::new(Identity::read_file(key.as_ref(), || None).unwrap());
    let before = kit::resident();
    let start = Instant::now();
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(file.as_ref(), false).unwrap());
    let vault = Vault::open(store, identity, OpenOptions::default()).unwrap();
    let took = start.elapsed();
    assert_eq!(vault.snapshot().len(), 100_000);
    println!("{} {}", took.as_nanos(), kit::resident().saturating_sub(before));
    std::process::exit(0);
}

/// Time from the start of a commit here to the swapped snapshot in another process.
fn propagation() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("store.db");
    let key = dir.path().join("id");
    let identity = identity();
    identity.write_file(&key, None).unwrap();
    let store: Arc<dyn Store> = Arc::new(SqliteStore::create(&file).unwrap());
    let vault = new_vault(store, &identity);
    fill(&vault, 100, 64);
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .arg("follower")
        .args([&file, &key])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    let mut samples = Vec::new();
    let mut commits = Vec::new();
    for n in 0..500_u32 {
        let change = change(vec![secret("prod", "service-0/key-0", &n.to_be_bytes())]);
        let began = monotonic();
        vault.commit(&change).unwrap();
        commits.push(monotonic().saturating_sub(began));
        let seen: u64 = lines.next().unwrap().unwrap().parse().unwrap();
        samples.push(Duration::from_nanos(seen).saturating_sub(began));
        // As an operator would: not in a burst.
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let p99 = percentile(&mut samples, 99);
    line(
        "commit in one process to the swapped snapshot in another, p50 / p99 of 500",
        &format!(
            "{} / {} (of it the commit: {} / {})",
            show(percentile(&mut samples, 50)),
            show(p99),
            show(percentile(&mut commits, 50)),
            show(percentile(&mut commits, 99))
        ),
        "p99 under 5 ms",
        p99 < Duration::from_millis(5),
    );
}

fn follower(file: &str, key: &str) {
    let identity = Arc::new(Identity::read_file(key.as_ref(), || None).unwrap());
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(file.as_ref(), false).unwrap());
    let vault = Arc::new(Vault::open(store, identity, OpenOptions::default()).unwrap());
    let mut watch = vault.watch();
    vault.follow().unwrap();
    println!("ready");
    while let Some(event) = watch.next_blocking() {
        if let strongroom_core::vault::Event::Revised(_) = event {
            println!("{}", monotonic().as_nanos());
        }
    }
}

/// The clock that both processes share.
fn monotonic() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}
