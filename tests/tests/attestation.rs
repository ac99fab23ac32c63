//! Who is in a container: its id by the kernel's word, its labels by the engine's, for real
//! containers of a real engine. Another container's labels cannot be had, not even by who may name
//! control groups.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "../../crates/core/tests/group/mod.rs"]
mod group;
#[path = "../../crates/core/tests/root/mod.rs"]
mod root;

use std::path::Path;
use std::process::Stdio;

use group::Group;
use serde_json::Value;
use strongroom_tests::container::{Container, Engine, Spec};
use strongroom_tests::program;
use strongroom_tests::scene::Scene;
use strongroom_tests::sidecar::{Settings, Sidecar};

const SOCKET: &str = "/run/strongroom/sidecar.sock";
const UID: u32 = 2001;

/// A container that waits, with what it takes to ask who it is.
fn waiting<'a>(engine: &'a Engine, sidecar: &Sidecar, name: &str, owner: &str) -> Container<'a> {
    let mut spec = Spec::new(name, UID)
        .mount(sidecar.directory(), "/run/strongroom")
        .mount(&program::path("strongroom"), "/bin/strongroom")
        .env("HOME", "/tmp")
        .label("owner", owner)
        .label("com.docker.compose.project", "shop")
        .label("com.docker.compose.service", name);
    // the CLI is not static: lend it the host's libraries
    for libraries in ["/lib", "/lib64", "/usr/lib"] {
        if Path::new(libraries).is_dir() {
            spec = spec.mount(Path::new(libraries), libraries);
        }
    }
    engine.start(spec, &["sh", "-c", "echo waiting; exec sleep 600"])
}

fn whoami(container: &Container<'_>) -> Value {
    container.line("waiting", |line| line == "waiting");
    let (code, text) = container.exec(&["strongroom", "--json", "sidecar", "whoami", "--socket", SOCKET]);
    assert_eq!(code, Some(0), "{text}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn explain(scene: &Scene, pid: u32, engine: &Path) -> Value {
    let output = scene
        .command(program::path("strongroom"))
        .args(["--json", "workload", "explain", &pid.to_string(), "--engine"])
        .arg(format!("unix:{}", engine.display()))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_container_is_who_the_kernel_and_the_engine_say() {
    let Some(engine) = Engine::new("labels of real containers") else {
        return;
    };
    let scene = Scene::with(&["shop"]);
    let identity = scene.reader("shop", "shop");
    let api = engine.api();
    let settings = Settings::new(&scene, "shop", &identity, "shop");
    let sidecar = Sidecar::start(&scene, &settings.for_user(UID).engine(api.socket()));
    let web = waiting(&engine, &sidecar, "web", "shop");
    // started by somebody else, with the same words on it but one
    let other = waiting(&engine, &sidecar, "other", "mallory");

    for (container, name, owner) in [(&web, "web", "shop"), (&other, "other", "mallory")] {
        let seen = whoami(container);
        let (kernel, said) = (&seen["kernel"], &seen["engine"]);
        assert_eq!((&kernel["uid"], &kernel["gid"]), (&UID.into(), &UID.into()));
        assert_eq!(kernel["container"]["id"], container.id());
        assert_eq!(kernel["container"]["runtime"], "podman");
        assert_eq!(kernel["executable"]["path"], "/bin/strongroom");
        assert!(kernel["pid"].as_u64().unwrap() > 1, "a number of the host's");
        assert_eq!(
            (&said["name"], &said["labels"]["owner"]),
            (&name.into(), &owner.into())
        );
        assert_eq!(said["compose_project"], "shop");
        assert_eq!(said["compose_service"], name);

        let explained = explain(&scene, container.pid(), api.socket());
        assert_eq!(explained["kernel"]["container"], kernel["container"]);
        assert_eq!(&explained["engine"], said);
        assert_eq!(
            explained["from"]["cgroup"],
            format!("/proc/{}/cgroup", container.pid())
        );
    }

    // A process of the host that is put into a group named after the container is in the
    // container as far as names go. The engine's word is not given to it.
    if let Some(group) = Group::named(&format!("libpod-{}", web.id())) {
        let forged = whoami_in(&group, &scene, &sidecar.socket());
        assert_eq!(forged["kernel"]["container"]["id"], web.id(), "{forged}");
        assert!(forged["engine"].is_null(), "{forged}");
    }

    // without the engine nothing but its word is gone
    drop(api);
    let third = waiting(&engine, &sidecar, "third", "shop");
    let seen = whoami(&third);
    assert_eq!(seen["kernel"]["container"]["id"], third.id());
    assert!(seen["engine"].is_null(), "{seen}");
}

/// Who a process of `group` is.
fn whoami_in(group: &Group, scene: &Scene, socket: &Path) -> Value {
    let mut shell = scene.command("sh");
    let output = group
        .inside(&mut shell, &program::path("strongroom"))
        .args(["--json", "sidecar", "whoami", "--socket"])
        .arg(socket)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).unwrap()
}
