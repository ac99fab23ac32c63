//! Real containers: two of different users, each with a sidecar and an identity of its own, in
//! different compartments. Each sees its own by environment, file and socket, sees it change
//! without a restart, and cannot open the other's, even with the store file in hand.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use strongroom_tests::container::{Container, Engine, Spec};
use strongroom_tests::program;
use strongroom_tests::scene::Scene;
use strongroom_tests::sidecar::{Settings, Sidecar};
use strongroom_tests::wait;

const SOCKET: &str = "/run/strongroom/sidecar.sock";

/// One service: its user, its environment and compartment, and the two values of its secret.
struct Service {
    name: &'static str,
    uid: u32,
    first: &'static str,
    second: &'static str,
}

const SHOP: Service = Service {
    name: "shop",
    uid: 2001,
    first: "canary-shop-one",
    second: "canary-shop-two",
};
const BANK: Service = Service {
    name: "bank",
    uid: 2002,
    first: "canary-bank-one",
    second: "canary-bank-two",
};

impl Service {
    fn sidecar(&self, scene: &Scene, identity: &Path) -> Sidecar {
        let settings = Settings::new(scene, self.name, identity, self.name);
        Sidecar::start(scene, &settings.for_user(self.uid).files("web"))
    }

    fn spec(&self, suffix: &str, sidecar: &Sidecar) -> Spec {
        Spec::new(&format!("{}-{suffix}", self.name), self.uid)
            .mount(sidecar.directory(), "/run/strongroom")
            .mount(&program::static_run(), "/bin/strongroom-run")
            .mount(&program::static_consumer(), "/bin/consumer")
    }

    /// A container that prints its environment and then follows its secret by socket and file.
    fn container<'a>(&self, engine: &'a Engine, sidecar: &Sidecar) -> Container<'a> {
        let script = format!("env; exec consumer {SOCKET} web/token /run/strongroom/files token");
        engine.start(
            self.spec("app", sidecar),
            &["strongroom-run", "--socket", SOCKET, "--", "sh", "-c", &script],
        )
    }
}

#[test]
fn each_container_has_its_own_values_live_and_never_the_others() {
    let Some(engine) = Engine::new("real containers") else {
        return;
    };
    let scene = Scene::with(&[SHOP.name, BANK.name]);
    let mut running = Vec::new();
    for service in [&SHOP, &BANK] {
        scene.put(service.name, "web/token", service.first);
        let identity = scene.reader(service.name, service.name);
        let sidecar = service.sidecar(&scene, &identity);
        let container = service.container(&engine, &sidecar);
        running.push((service, identity, sidecar, container));
    }

    for (service, _, _, container) in &running {
        let variable = format!("WEB_TOKEN={}", service.first);
        container.line("its environment", |line| line == variable);
        seen(container, "socket", service.first);
        seen(container, "file", service.first);
    }

    // a change on the host, and no restart
    for (service, _, _, container) in &mut running {
        let pid = container.pid();
        scene.put(service.name, "web/token", service.second);
        seen(container, "socket", service.second);
        seen(container, "file", service.second);
        let (code, text) = container.exec(&["cat", "/run/strongroom/files/token"]);
        assert_eq!((code, text.as_str()), (Some(0), service.second));
        assert!(
            container.running() && container.pid() == pid,
            "the container was restarted"
        );
    }

    for (mine, other) in [(0, 1), (1, 0)] {
        let (service, identity, sidecar, container) = &running[mine];
        let (foreign, _, foreign_sidecar, _) = &running[other];
        assert!(
            !container.output().contains(&format!("canary-{}", foreign.name)),
            "the other's value reached {}",
            service.name
        );
        store_in_hand(&engine, &scene, service, foreign, identity, sidecar);
        foreign_socket(&engine, service, foreign_sidecar);
    }
}

/// Waits for the consumer's line for `value`: `WAY NANOSECONDS VALUE`.
fn seen(container: &Container<'_>, way: &str, value: &str) {
    container.line(&format!("{value} by {way}"), |line| {
        let mut words = line.split(' ');
        words.next() == Some(way) && words.next_back() == Some(value)
    });
}

/// With a copy of the store, its identity and the whole CLI, a container opens its own and no other.
fn store_in_hand(
    engine: &Engine,
    scene: &Scene,
    service: &Service,
    foreign: &Service,
    identity: &Path,
    sidecar: &Sidecar,
) {
    let loot = loot(scene, service, identity);
    let spec = |name: &str| {
        let mut spec = service
            .spec(name, sidecar)
            .mount(&loot, "/loot")
            .mount(&program::path("strongroom"), "/bin/strongroom")
            .env("HOME", "/tmp")
            .env("STRONGROOM_STORE", "sqlite:/tmp/store.db")
            .env("STRONGROOM_IDENTITY", "/loot/identity");
        // the CLI is not static: lend it the host's libraries
        for libraries in ["/lib", "/lib64", "/usr/lib"] {
            if Path::new(libraries).is_dir() {
                spec = spec.mount(Path::new(libraries), libraries);
            }
        }
        spec
    };
    let get = |environment: &str| {
        format!("cp /loot/store.db* /tmp/ && exec strongroom get {environment} web/token")
    };

    let (code, text) = engine.run(spec("own"), &["sh", "-c", &get(service.name)]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains(service.second), "{text}");

    let (code, text) = engine.run(spec("foreign"), &["sh", "-c", &get(foreign.name)]);
    assert!(matches!(code, Some(1 | 3)), "{code:?}: {text}");
    assert!(!text.contains("canary"), "{text}");

    // and nothing of either lies in the file as it is
    for file in fs::read_dir(&loot).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        assert!(
            !bytes.windows(6).any(|window| window == b"canary"),
            "a value lies in the store file"
        );
        assert!(
            !bytes.windows(9).any(|window| window == b"web/token"),
            "a name lies in the store file"
        );
    }
}

/// A copy of the store and of the service's identity that the service's user may read.
fn loot(scene: &Scene, service: &Service, identity: &Path) -> PathBuf {
    let directory = scene.file(format!("{}-loot", service.name));
    fs::create_dir(&directory).unwrap();
    for file in ["store.db", "store.db-wal", "store.db-shm"] {
        let to = directory.join(file);
        if scene.file(file).exists() {
            fs::copy(scene.file(file), &to).unwrap();
            fs::set_permissions(&to, fs::Permissions::from_mode(0o644)).unwrap();
        }
    }
    let to = directory.join("identity");
    fs::copy(identity, &to).unwrap();
    fs::set_permissions(&to, fs::Permissions::from_mode(0o600)).unwrap();
    std::os::unix::fs::chown(&to, Some(service.uid), Some(service.uid)).unwrap();
    directory
}

/// The other's socket directory, mounted by mistake, answers nothing to this user.
fn foreign_socket(engine: &Engine, service: &Service, foreign: &Sidecar) {
    let (code, text) = engine.run(
        service.spec("stray", foreign),
        &["strongroom-run", "--socket", SOCKET, "--", "env"],
    );
    assert!(matches!(code, Some(3 | 5)), "{code:?}: {text}");
    assert!(!text.contains("canary"), "{text}");
    let (code, text) = engine.run(
        service.spec("stray", foreign),
        &["cat", "/run/strongroom/files/token"],
    );
    assert!(code != Some(0) && !text.contains("canary"), "{code:?}: {text}");
}

#[test]
fn a_container_comes_and_goes_with_its_sidecar_restarted_under_it() {
    let Some(engine) = Engine::new("a restarted sidecar under a container") else {
        return;
    };
    let scene = Scene::with(&[SHOP.name]);
    scene.put(SHOP.name, "web/token", SHOP.first);
    let identity = scene.reader(SHOP.name, SHOP.name);
    let sidecar = SHOP.sidecar(&scene, &identity);
    let mut container = SHOP.container(&engine, &sidecar);
    seen(&container, "socket", SHOP.first);

    // killed without warning: the directory is mounted, so the new socket appears in the container
    sidecar.kill();
    let _sidecar = SHOP.sidecar(&scene, &identity);
    scene.put(SHOP.name, "web/token", SHOP.second);
    seen(&container, "socket", SHOP.second);
    seen(&container, "file", SHOP.second);
    assert!(container.running());
    wait::until("a fresh read in the container", || {
        let (code, text) = container.exec(&["strongroom-run", "--socket", SOCKET, "--", "env"]);
        (code == Some(0) && text.contains(SHOP.second)).then_some(())
    });
}

#[test]
fn the_first_containers_of_an_engine_start_at_once() {
    let Some(engine) = Engine::new("containers that start at once") else {
        return;
    };
    let names = ["a", "b", "c", "d"];
    let containers = names.map(|name| engine.start(Spec::new(name, SHOP.uid), &["sleep", "1000"]));
    let mut ids = containers.each_ref().map(Container::id).to_vec();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), names.len());
}

#[test]
fn an_empty_image_gets_environment_files_and_socket() {
    let Some(engine) = Engine::new("a container FROM scratch") else {
        return;
    };
    let scene = Scene::with(&[SHOP.name]);
    scene.put(SHOP.name, "web/token", SHOP.first);
    let identity = scene.reader(SHOP.name, SHOP.name);
    let sidecar = SHOP.sidecar(&scene, &identity);
    // no shell, no library, no file but the two that are mounted; files go to the container's own tmpfs
    let mut container = engine.start(
        SHOP.spec("scratch", &sidecar).from_scratch(),
        &[
            "/bin/strongroom-run",
            "--socket",
            SOCKET,
            "--prefix",
            "web",
            "--files",
            "/tmp/values",
            "--",
            "/bin/consumer",
            SOCKET,
            "web/token",
            "/tmp/values",
            "token",
        ],
    );
    for value in [SHOP.first, SHOP.second] {
        scene.put(SHOP.name, "web/token", value);
        seen(&container, "socket", value);
        seen(&container, "file", value);
    }
    assert!(container.running());
}
