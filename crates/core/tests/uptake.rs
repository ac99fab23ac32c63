//! Uptake through the vault: which reports count, whoever writes to the storage.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod vault_kit;

use std::sync::Arc;
use std::time::Duration;

use strongroom_core::Vault;
use strongroom_core::ambient::{Ambient, Clock, Entropy, EntropyError, Timestamp};
use strongroom_core::crypto::identity::Identity;
use strongroom_core::id::{Revision, Version};
use strongroom_core::snapshot::Role;
use strongroom_core::store::{Store, StoredReport};
use strongroom_core::uptake::{Consumer, ConsumerKind, Missing, Presence, Reaction, Seen, Use, slot};
use strongroom_core::vault::{Edit, OpenOptions};
use vault_kit::{World, env, name, path};

const AT: &str = "web/password";

/// A clock that stands.
struct At(Timestamp);

impl Clock for At {
    fn now(&self) -> Timestamp {
        self.0
    }
}

impl Entropy for At {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        Ambient::system().entropy().fill(out)
    }
}

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
        reaction: Reaction::default(),
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
    let now = Ambient::system().now();
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
fn a_member_says_nothing_of_what_it_cannot_open() {
    let world = World::new();
    world.put("prod", AT, b"one");
    world.environment("dev");
    world.put("dev", AT, b"one");
    let web = world.member("web", Role::Reader, &["dev"]);
    let sidecar = world.open(&web).unwrap();
    let now = Ambient::system().now();
    let entry = |environment| {
        world
            .vault
            .snapshot()
            .entry(&env(environment), &path(AT))
            .unwrap()
    };
    // it can make the id of any entry, and would hold up its rotation
    let mut lie = reader(&world.vault, "a", now);
    lie.uses.push(Use {
        entry: entry("dev").id,
        ..lie.uses[0]
    });
    sidecar.report(vec![lie], 1).unwrap();
    let uptake = world.vault.uptake().unwrap();
    let uses = &uptake.reported[0].consumer.uses;
    assert_eq!(
        uses.iter().map(|one| one.entry).collect::<Vec<_>>(),
        [entry("dev").id]
    );
    let waiting = |environment| {
        let entry = entry(environment);
        let hour = Duration::from_secs(3600);
        uptake
            .waiting(entry.id, Version(9), entry.revision, now, hour)
            .len()
    };
    assert_eq!((waiting("prod"), waiting("dev")), (0, 1));
}

#[test]
fn what_is_old_is_removed_and_what_is_not_stays() {
    let day = 24 * 3600 * 1000;
    let world = World::new();
    world.put("prod", AT, b"one");
    let (web, job) = (
        world.member("web", Role::Reader, &["prod"]),
        world.member("job", Role::Reader, &["prod"]),
    );
    let at = |who: &Arc<Identity>, days: u64| {
        let clock = || Arc::new(At(Timestamp(1_900_000_000_000 + days * day)));
        let options = OpenOptions {
            ambient: Ambient::new(clock(), clock()),
            ..OpenOptions::default()
        };
        Vault::open(world.store.clone(), who.clone(), options).unwrap()
    };
    let first = at(&web, 0);
    let now = Timestamp(1);
    let ended = |name| Consumer {
        presence: Presence::Ended,
        ..reader(&first, name, now)
    };
    let sidecar = |of: &Vault| Consumer {
        kind: ConsumerKind::Sidecar,
        reaction: Reaction::default(),
        uses: Vec::new(),
        ..reader(of, "", now)
    };
    first
        .report(vec![reader(&first, "lives", now), ended("ended")], 1)
        .unwrap();
    let vanished = at(&job, 0);
    vanished
        .report(vec![reader(&vanished, "vanished", now)], 1)
        .unwrap();
    // what it did not sign lies in a place of its own, and what nobody can have signed anywhere
    let stored = world.store.reports().unwrap();
    let reported = world.vault.uptake().unwrap().reported;
    let own = reported.iter().find(|one| one.member == "web").unwrap();
    let own = stored
        .into_iter()
        .find(|one| one.slot == slot(own.author, own.place));
    let mut planted = own.unwrap();
    planted.slot[31] ^= 1;
    let junk = StoredReport {
        slot: [9; 32],
        counter: 1,
        bytes: b"junk".to_vec(),
    };
    world.store.put_reports(&[planted, junk]).unwrap();
    assert_eq!(world.vault.uptake().unwrap().refused, 2);

    let names = || {
        let mut names: Vec<_> = names(&world.vault).into_iter().map(|(_, name)| name).collect();
        names.retain(|name| !name.is_empty());
        names
    };
    assert_eq!(names(), ["vanished", "ended", "lives"]);
    at(&job, 0).tidy_reports().unwrap();
    assert_eq!(
        world.vault.uptake().unwrap().refused,
        1,
        "it may be of a later member"
    );
    at(&web, 0).tidy_reports().unwrap();
    assert_eq!(names(), ["vanished", "ended", "lives"]);
    assert_eq!(world.vault.uptake().unwrap().refused, 0);
    at(&web, 2).tidy_reports().unwrap();
    assert_eq!(names(), ["vanished", "lives"]);
    // it says that it lives, and with that what it said of others goes on to hold
    let later = at(&web, 31);
    later.report(vec![sidecar(&later)], 2).unwrap();
    later.tidy_reports().unwrap();
    assert_eq!(names(), ["lives"]);
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
