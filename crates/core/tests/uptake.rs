//! Uptake through the vault: which reports count, whoever writes to the storage.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod vault_kit;

use std::time::Duration;

use strongroom_core::Vault;
use strongroom_core::ambient::Timestamp;
use strongroom_core::id::{Revision, Version};
use strongroom_core::snapshot::Role;
use strongroom_core::store::{Store, StoredReport};
use strongroom_core::uptake::{Consumer, ConsumerKind, Missing, Presence, Seen, Use};
use strongroom_core::vault::Edit;
use vault_kit::{World, env, name, path};

const AT: &str = "web/password";

fn seen(version: Version, revision: Revision, at: Timestamp) -> Seen {
    Seen {
        version,
        revision,
        at,
    }
}

/// A client of the socket called `name` that has read what is current for `vault`.
fn reader(vault: &Vault, name: &str, at: Timestamp) -> Consumer {
    let snapshot = vault.snapshot();
    let entry = snapshot.entry(&env("prod"), &path(AT)).unwrap();
    Consumer {
        kind: ConsumerKind::Socket,
        presence: Presence::Present,
        host: "web-1".to_owned(),
        sidecar: "/run/sidecar.sock".to_owned(),
        name: name.to_owned(),
        environment: env("prod"),
        revision: Revision(0),
        since: at,
        problem: String::new(),
        is_whole: true,
        uses: vec![Use {
            entry: entry.id,
            read: seen(entry.version, snapshot.revision(), at),
            confirmed: Seen::default(),
        }],
    }
}

fn names(vault: &Vault) -> Vec<(String, String)> {
    let reported = vault.uptake().unwrap().reported;
    let names = reported.into_iter().map(|one| (one.member, one.consumer.name));
    names.collect()
}

fn pair(a: &str, b: &str) -> (String, String) {
    (a.to_owned(), b.to_owned())
}

#[test]
fn a_reader_reports_and_every_member_sees_who_is_waited_for() {
    let world = World::new();
    world.put("prod", AT, b"one");
    let web = world.member("web", Role::Reader, &["prod"]);
    let sidecar = world.open(&web).unwrap();
    let now = Timestamp(1_800_000_000_000);
    sidecar
        .report(vec![reader(&sidecar, "a", now), reader(&sidecar, "b", now)], 1)
        .unwrap();
    assert_eq!(names(&world.vault), [pair("web", "a"), pair("web", "b")]);

    world.put("prod", AT, b"two");
    let waiting = || {
        let uptake = world.vault.uptake().unwrap();
        let entry = world.vault.snapshot().entry(&env("prod"), &path(AT)).unwrap();
        let hour = Duration::from_secs(3600);
        let lags = uptake.waiting(entry.id, entry.version, entry.revision, now, hour);
        let lags = lags
            .iter()
            .map(|lag| (lag.reported.consumer.name.clone(), lag.missing));
        lags.collect::<Vec<_>>()
    };
    assert_eq!(
        waiting(),
        [("a".to_owned(), Missing::Read), ("b".to_owned(), Missing::Read)]
    );
    sidecar.refresh().unwrap();
    sidecar.report(vec![reader(&sidecar, "a", now)], 2).unwrap();
    assert_eq!(waiting(), [("b".to_owned(), Missing::Read)]);
    // a report that is older by its counter changes nothing, whenever it comes
    sidecar.report(vec![reader(&sidecar, "b", now)], 1).unwrap();
    assert_eq!(waiting(), [("b".to_owned(), Missing::Read)]);
    sidecar.report(vec![reader(&sidecar, "b", now)], 3).unwrap();
    assert_eq!(waiting(), []);
}

#[test]
fn only_what_a_member_of_now_signed_for_this_store_counts() {
    let world = World::new();
    world.put("prod", AT, b"one");
    let web = world.member("web", Role::Reader, &["prod"]);
    let sidecar = world.open(&web).unwrap();
    let now = Timestamp(1);
    sidecar.report(vec![reader(&sidecar, "a", now)], 7).unwrap();
    let [good] = world.store.reports().unwrap().try_into().unwrap();
    let good: StoredReport = good;

    // whoever has the storage puts in what they like, all of it newer
    let newer = |change: &dyn Fn(&mut StoredReport)| {
        let mut other = good.clone();
        other.counter += 1;
        change(&mut other);
        other
    };
    let counter_at = 8 + 2 + 16 + 16 + 16;
    let forged: Vec<StoredReport> = vec![
        // the same report under another number, in another place
        newer(&|_| {}),
        newer(&|one| one.slot[31] ^= 1),
        newer(&|one| {
            one.slot[0] ^= 1;
            one.counter -= 1;
        }),
        // and changed to fit
        newer(&|one| {
            one.slot[1] ^= 1;
            one.bytes[counter_at + 7] += 1;
        }),
        newer(&|one| {
            one.slot[2] ^= 1;
            one.bytes.truncate(100);
        }),
        newer(&|one| {
            one.slot[3] ^= 1;
            one.bytes.clear();
        }),
    ];
    world.store.put_reports(&forged[1..]).unwrap();
    let uptake = world.vault.uptake().unwrap();
    assert_eq!((uptake.reported.len(), uptake.refused), (1, 5));
    // a storage that replaces a report withholds it, and that is all
    world.store.put_reports(&forged[..1]).unwrap();
    let uptake = world.vault.uptake().unwrap();
    assert_eq!((uptake.reported.len(), uptake.refused), (0, 6));

    // those of another store
    let other = World::new();
    other.put("prod", AT, b"one");
    other
        .vault
        .report(vec![reader(&other.vault, "elsewhere", now)], 9)
        .unwrap();
    world.store.put_reports(&other.store.reports().unwrap()).unwrap();
    assert_eq!(world.vault.uptake().unwrap().reported, []);

    // a member that left says nothing any more, and cannot say more
    sidecar.report(vec![reader(&sidecar, "a", now)], 20).unwrap();
    assert_eq!(names(&world.vault), [pair("web", "a")]);
    world
        .commit(vec![Edit::RemoveMember { name: name("web") }])
        .unwrap();
    assert_eq!(names(&world.vault), []);
    sidecar.report(vec![reader(&sidecar, "a", now)], 21).unwrap();
    assert_eq!(names(&world.vault), []);
}

#[test]
fn what_is_reported_is_sealed_and_beside_the_chain() {
    let world = World::new();
    world.put("prod", AT, b"one");
    let revision = world.vault.snapshot().revision();
    let now = Timestamp(1);
    world
        .vault
        .report(vec![reader(&world.vault, "a-telling-name", now)], 1)
        .unwrap();
    assert_eq!(world.store.head().unwrap().unwrap().revision, revision);
    for stored in world.store.reports().unwrap() {
        for word in ["a-telling-name", "web-1", "sidecar.sock", "prod"] {
            let found = stored
                .bytes
                .windows(word.len())
                .any(|part| part == word.as_bytes());
            assert!(!found, "{word} lies in the clear");
        }
    }
}

#[test]
fn a_sidecar_that_fell_silent_is_told_apart_and_still_waited_for() {
    let world = World::new();
    world.put("prod", AT, b"one");
    let now = Timestamp(1);
    world
        .vault
        .report(vec![reader(&world.vault, "a", now)], 1)
        .unwrap();
    let uptake = world.vault.uptake().unwrap();
    let one = &uptake.reported[0];
    assert_eq!(uptake.silent_since(one, one.time), None);
    let later = Timestamp(one.time.0 + 90_001);
    assert_eq!(uptake.silent_since(one, later), Some(one.time));
}
