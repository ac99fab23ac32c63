//! A storage that is away, lies, or is someone else's.

use std::sync::Arc;

use strongroom_core::ambient::Ambient;
use strongroom_core::crypto::identity::Identity;
use strongroom_core::id::Revision;
use strongroom_core::kind::Kind;
use strongroom_core::store::{SqliteStore, Store as _};

use strongroom_sidecar::grant::Gate;
use strongroom_sidecar::home::Home;
use strongroom_sidecar::keep::Keeper;
use strongroom_sidecar::mirror::Mirror;
use strongroom_sidecar::settings::{Settings, Surroundings};
use strongroom_sidecar::source::Source;
use strongroom_sidecar::state::{Current, Rules, State};

use crate::forge::append_unsigned;
use crate::http::Events;
use crate::process::{Sidecar, ends, until};
use crate::scene::{Scene, put};

/// Everything SQLite keeps for one database.
const PARTS: [&str; 3] = ["store.db", "store.db-wal", "store.db-shm"];

pub fn take_away(scene: &Scene) {
    for part in PARTS {
        let _ = std::fs::rename(scene.file(part), scene.file(format!("{part}.away")));
    }
}

pub fn bring_back(scene: &Scene) {
    for part in PARTS.iter().rev() {
        let _ = std::fs::rename(scene.file(format!("{part}.away")), scene.file(part));
    }
}

/// Waits until the sealed copy holds what is served.
pub fn copied(scene: &Scene) {
    until("the copy is complete", || {
        let copy = SqliteStore::open(&scene.file("web.state/copy.db"), false).ok()?;
        (copy.head().ok()??.revision.0 == scene.revision()).then_some(())
    });
    until("the revision is written down", || {
        let trust = std::fs::read_to_string(scene.file("web.state/trust")).ok()?;
        trust
            .contains(&format!("revision {}\n", scene.revision()))
            .then_some(())
    });
}

#[test]
fn a_sidecar_restarts_without_its_store_and_catches_up_when_it_is_back() {
    let scene = Scene::with_token();
    scene.commit(vec![put("base", "web/app", Kind::Config, b"{\"a\":1}")]);
    let sidecar = Sidecar::start(&scene, "");
    sidecar.serves(scene.secret("web/token", "two"));
    copied(&scene);
    sidecar.kill();
    take_away(&scene);
    let sidecar = Sidecar::start(&scene, "");
    let answer = sidecar.get("/api/v1/secrets/web/token");
    assert_eq!(answer.json()["value"], "two");
    let since = until("staleness is stated", || {
        sidecar
            .get("/api/v1/secrets/web/token")
            .header("strongroom-stale-since")
            .map(str::to_owned)
    });
    assert!(since.ends_with('Z') && since.contains('T'), "{since}");
    for target in ["entries", "values", "status", "configs/web/app"] {
        let answer = sidecar.get(&format!("/api/v1/{target}"));
        assert_eq!(answer.header("strongroom-stale-since"), Some(&*since), "{target}");
    }
    assert_eq!(sidecar.status()["stale_since"], *since);
    assert_eq!(sidecar.get("/api/v1/values").json()["stale_since"], *since);
    // the past is in the copy too
    let past = sidecar.get(&format!("/api/v1/secrets/web/token?at={}", scene.revision() - 2));
    assert_eq!(past.json()["value"], "one");
    let (head, mut events) = Events::open_with_head(&sidecar.socket, "/api/v1/watch", &[]);
    assert_eq!(head.header("strongroom-stale-since"), Some(&*since));
    events.next().unwrap();
    bring_back(&scene);
    until("it is not stale any more", || {
        sidecar.status()["stale_since"].is_null().then_some(())
    });
    let revision = scene.secret("web/token", "three");
    assert_eq!(events.next().unwrap().id, Some(revision));
    assert_eq!(sidecar.secret("web/token"), "three");
    sidecar.terminate();
}

#[test]
fn a_planted_checkpoint_does_not_spoil_the_copy() {
    let scene = Scene::with_token();
    let sidecar = Sidecar::start(&scene, "");
    let store = SqliteStore::open(&scene.file("store.db"), true).unwrap();
    store.put_checkpoint(Revision(1), b"not a checkpoint").unwrap();
    sidecar.serves(scene.secret("web/token", "two"));
    copied(&scene);
    let copy = SqliteStore::open(&scene.file("web.state/copy.db"), false).unwrap();
    assert_eq!(copy.checkpoint().unwrap(), None);
    drop((copy, store));
    sidecar.kill();
    take_away(&scene);
    let sidecar = Sidecar::start(&scene, "");
    assert_eq!(sidecar.secret("web/token"), "two");
    sidecar.terminate();
}

#[test]
fn commits_made_while_the_sidecar_was_offline_are_told_as_changes() {
    let scene = Scene::with_token();
    let sidecar = Sidecar::start(&scene, "");
    copied(&scene);
    sidecar.kill();
    let from = scene.revision();
    let revision = scene.secret("web/token", "two");
    take_away(&scene);
    let sidecar = Sidecar::start(&scene, "");
    assert_eq!(sidecar.secret("web/token"), "one");
    let mut events = Events::open(&sidecar.socket, "/api/v1/watch", &[]);
    events.next().unwrap();
    bring_back(&scene);
    let event = events.next().unwrap();
    assert_eq!(
        (event.id, event.data["from"].as_u64()),
        (Some(revision), Some(from))
    );
    assert_eq!(event.data["changes"][0]["path"], "web/token");
    sidecar.terminate();
}

#[test]
fn a_value_that_was_deleted_and_put_again_meanwhile_is_told_and_delivered() {
    let scene = Scene::with_token();
    let files = "[[files]]\ndirectory = \"files\"";
    let sidecar = Sidecar::start(&scene, files);
    copied(&scene);
    sidecar.kill();
    scene.delete("web/token");
    // its first version again, of another value
    let revision = scene.secret("web/token", "two");
    take_away(&scene);
    let sidecar = Sidecar::start(&scene, files);
    assert_eq!(sidecar.secret("web/token"), "one");
    let mut events = Events::open(&sidecar.socket, "/api/v1/watch", &[]);
    events.next().unwrap();
    bring_back(&scene);
    let event = events.next().unwrap();
    assert_eq!(event.id, Some(revision));
    assert_eq!(
        event.data["changes"],
        serde_json::json!([{"path": "web/token", "kind": "secret", "action": "updated", "version": 1}])
    );
    until("the file has the value", || {
        let file = std::fs::read(scene.file("files/web/token")).ok()?;
        (file == b"two").then_some(())
    });
    sidecar.terminate();
}

#[test]
fn a_store_that_goes_away_is_served_through() {
    let scene = Scene::with_token();
    let sidecar = Sidecar::start(&scene, "");
    take_away(&scene);
    until("staleness is stated", || {
        sidecar.status()["stale_since"].is_string().then_some(())
    });
    assert_eq!(sidecar.secret("web/token"), "one");
    bring_back(&scene);
    until("it is back", || {
        sidecar.status()["stale_since"].is_null().then_some(())
    });
    sidecar.serves(scene.secret("web/token", "two"));
    assert_eq!(sidecar.secret("web/token"), "two");
    assert_eq!(sidecar.get("/readyz").status, 200);
}

#[test]
fn a_forged_revision_is_refused_and_the_last_good_one_serves_also_after_a_restart() {
    let scene = Scene::with_token();
    let sidecar = Sidecar::start(&scene, "");
    copied(&scene);
    let good = scene.revision();
    append_unsigned(&scene.store());
    sidecar.refused();
    sidecar.logs("refused");
    assert_eq!(sidecar.status()["revision"], good);
    assert_eq!(sidecar.secret("web/token"), "one");
    sidecar.kill();
    let sidecar = Sidecar::start(&scene, "");
    assert_eq!(sidecar.secret("web/token"), "one");
    sidecar.refused();
    assert_eq!(sidecar.status()["revision"], good);
    sidecar.terminate();
}

#[test]
fn without_a_copy_a_store_that_is_away_or_forged_or_foreign_starts_nothing() {
    let scene = Scene::with_token();
    let settings = scene.settings("");
    let original = std::fs::read_to_string(&settings).unwrap();
    let with = |line: &str| std::fs::write(&settings, format!("{line}\n{original}")).unwrap();
    with("offline_copy = false");
    let sidecar = Sidecar::launch(crate::process::command(&settings), scene.file("web/s.sock"));
    sidecar.ready();
    sidecar.terminate();
    assert!(!scene.file("web.state/copy.db").exists());
    take_away(&scene);
    let (code, said) = ends(&settings, &[]);
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("store.db"), "{said}");
    bring_back(&scene);
    with(&format!("fingerprint = \"{}\"", "0".repeat(64)));
    let (code, said) = ends(&settings, &[]);
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("fingerprint"), "{said}");
    std::fs::write(&settings, &original).unwrap();
    let stranger = Identity::generate(&Ambient::system()).unwrap();
    std::fs::remove_file(scene.file("web.identity")).unwrap();
    stranger.write_file(&scene.file("web.identity"), None).unwrap();
    let (code, said) = ends(&settings, &[]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("not a member"), "{said}");
}

#[test]
fn identities_and_passphrases_are_checked() {
    use std::os::unix::fs::PermissionsExt as _;
    use strongroom_core::secret::Secret;
    let scene = Scene::with_token();
    let settings = scene.settings("");
    let mode = |file: &str, mode: u32| {
        std::fs::set_permissions(scene.file(file), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("web.identity", 0o640);
    let (code, said) = ends(&settings, &[]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("chmod 600"), "{said}");
    mode("web.identity", 0o600);
    let identity = Identity::read_file(&scene.file("web.identity"), || None).unwrap();
    std::fs::remove_file(scene.file("web.identity")).unwrap();
    identity
        .write_file(
            &scene.file("web.identity"),
            Some(&Secret::new(b"correct horse".to_vec())),
        )
        .unwrap();
    let (code, said) = ends(&settings, &[]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("needs its passphrase"), "{said}");
    let original = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, format!("passphrase = \"phrase\"\n{original}")).unwrap();
    std::fs::write(scene.file("phrase"), "wrong canary\n").unwrap();
    mode("phrase", 0o644);
    let (code, said) = ends(&settings, &[]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("chmod 600"), "{said}");
    mode("phrase", 0o600);
    let (code, said) = ends(&settings, &[]);
    assert_eq!(code, Some(3), "{said}");
    assert!(!said.contains("canary"), "{said}");
    std::fs::write(scene.file("phrase"), "correct horse\n").unwrap();
    let mut start = crate::process::command(&settings);
    let sidecar = Sidecar::launch(
        std::mem::replace(&mut start, std::process::Command::new("true")),
        scene.file("web/s.sock"),
    );
    sidecar.ready();
    assert_eq!(sidecar.secret("web/token"), "one");
    sidecar.terminate();
    // the same as a credential of the service manager
    std::fs::write(
        &settings,
        format!("passphrase = \"credential:phrase\"\n{original}"),
    )
    .unwrap();
    assert_eq!(ends(&settings, &["--check"]).0, Some(2));
    let mut start = crate::process::command(&settings);
    start.env("CREDENTIALS_DIRECTORY", scene.file(""));
    let sidecar = Sidecar::launch(start, scene.file("web/s.sock"));
    sidecar.ready();
    sidecar.terminate();
}

#[test]
fn what_is_served_was_written_down_before_the_first_answer() {
    let scene = Scene::with_token();
    for part in PARTS {
        let _ = std::fs::copy(scene.file(part), scene.file(format!("{part}.old")));
    }
    scene.secret("web/token", "two");
    let sidecar = Sidecar::launch(
        crate::process::command(&scene.settings("")),
        scene.file("web/s.sock"),
    );
    let first = until("the first answer", || {
        crate::http::get(&sidecar.socket, "/api/v1/secrets/web/token").ok()
    });
    sidecar.kill();
    assert_eq!(first.json()["value"], "two");
    // the storage goes back to what it was, and the copy is lost
    for part in PARTS {
        let _ = std::fs::remove_file(scene.file(part));
        let _ = std::fs::rename(scene.file(format!("{part}.old")), scene.file(part));
    }
    std::fs::remove_file(scene.file("web.state/copy.db")).unwrap();
    let (code, said) = ends(&scene.settings(""), &[]);
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("rolled back"), "{said}");
}

#[test]
fn a_long_history_is_copied_while_the_sidecar_serves() {
    let scene = Scene::with_token();
    for number in 0..40 {
        scene.secret("web/token", &number.to_string());
    }
    let sidecar = Sidecar::start(&scene, "");
    assert_eq!(sidecar.secret("web/token"), "39");
    copied(&scene);
    sidecar.kill();
    take_away(&scene);
    let sidecar = Sidecar::start(&scene, "");
    assert_eq!(sidecar.secret("web/token"), "39");
    sidecar.terminate();
}

#[test]
fn a_revision_that_was_not_copied_when_the_store_went_is_copied_when_it_is_back() {
    let scene = Scene::with_token();
    let settings = Settings::load(&Surroundings::of_process(&scene.settings(""))).unwrap();
    let home = Home::open(&settings.state).unwrap();
    let source = Arc::new(Source::new(&settings, &home).unwrap());
    let vault = source.open().unwrap().vault;
    let now = source.ambient.now();
    let rules = Rules::of(&settings);
    let environment = settings.environment;
    let ambient = source.ambient.clone();
    let state = State::new(
        vault,
        environment.clone(),
        Arc::default(),
        rules,
        Gate::default(),
        ambient.clone(),
    );
    let state = Arc::new(state.unwrap());
    let current = |stale| {
        Current::first(
            &state.vault().snapshot(),
            &environment,
            Arc::default(),
            &ambient,
            stale,
            None,
        )
        .unwrap()
    };
    state.serve(current(Some(now)));
    let keeper = Keeper {
        state: Arc::clone(&state),
        source,
        trust: home.trust(),
        mirror: Some(Mirror::new(home.copy())),
    };
    let bell = Arc::default();
    keeper.first(&bell, true).unwrap().start(bell).unwrap();
    assert!(!home.copy().exists());
    // nothing was committed meanwhile, so that nobody rings
    state.serve(current(None));
    copied(&scene);
}

#[test]
fn what_is_kept_is_sealed_and_private() {
    use std::os::unix::fs::MetadataExt as _;
    let scene = Scene::new();
    scene.commit(vec![put(
        "prod",
        "web/canary-name",
        Kind::Secret,
        b"canary-value",
    )]);
    let sidecar = Sidecar::start(&scene, "");
    assert_eq!(sidecar.secret("web/canary-name"), "canary-value");
    copied(&scene);
    sidecar.terminate();
    let mut files = 0;
    for file in std::fs::read_dir(scene.file("web.state")).unwrap() {
        let file = file.unwrap().path();
        let bytes = std::fs::read(&file).unwrap();
        assert!(
            !bytes.windows(6).any(|window| window == b"canary"),
            "{}",
            file.display()
        );
        assert_eq!(
            std::fs::metadata(&file).unwrap().mode() & 0o077,
            0,
            "{}",
            file.display()
        );
        files += 1;
    }
    assert!(files >= 3);
}

#[test]
fn a_copy_of_another_store_is_replaced_and_a_damaged_one_too() {
    let scene = Scene::with_token();
    let other = Scene::with_token();
    std::fs::create_dir(scene.file("web.state")).unwrap();
    std::fs::copy(other.file("store.db"), scene.file("web.state/copy.db")).unwrap();
    let sidecar = Sidecar::start(&scene, "");
    copied(&scene);
    sidecar.terminate();
    std::fs::write(
        scene.file("web.state/copy.db"),
        "not a database, whatever it may say",
    )
    .unwrap();
    let sidecar = Sidecar::start(&scene, "");
    sidecar.serves(scene.secret("web/token", "two"));
    copied(&scene);
    sidecar.terminate();
    let store: Arc<SqliteStore> = SqliteStore::open(&scene.file("web.state/copy.db"), false)
        .unwrap()
        .into();
    assert_eq!(store.head().unwrap().unwrap().revision.0, scene.revision());
}
