//! A rotation as a whole: a target, a sidecar, a service that reloads its file, and the command line.
//! The old credential ends when the service has the new one, and not before.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Output};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use strongroom_tests::program;
use strongroom_tests::scene::Scene;
use strongroom_tests::sidecar::{Settings, Sidecar};
use strongroom_tests::wait;

/// A secret that a file of accepted passwords takes, and a service that a sidecar hands it to: what it
/// goes by lies in `running`, and its reload fails while there is a file `stuck`.
struct Service {
    scene: Scene,
    sidecar: Sidecar,
}

impl Service {
    fn new(settle: &str, deadline: &str) -> Self {
        let scene = Scene::with(&["prod"]);
        scene.put("prod", "web/password", "first0");
        fs::write(scene.file("accepted"), "first0\n").unwrap();
        let script = program::workspace().join("examples/rotate-file.sh");
        let target = scene.file("target");
        let text = format!(
            "#!/bin/sh\nexec sh {} {} \"$1\"\n",
            script.display(),
            scene.file("accepted").display()
        );
        fs::write(&target, text).unwrap();
        fs::set_permissions(&target, fs::Permissions::from_mode(0o755)).unwrap();
        let exec = format!("exec:{}", target.display());
        let words = "rotate policy set prod web/password --strategy overlap --generator password";
        let mut words: Vec<_> = words.split(' ').collect();
        words.extend(["--target", &exec, "--settle", settle, "--deadline", deadline]);
        scene.ok(&words);
        let identity = scene.reader("web", "prod");
        let here = scene.path().display();
        let reload = format!(
            "test ! -e {here}/stuck && cp {here}/web/files/password {here}/next && mv {here}/next {here}/running"
        );
        let settings = Settings::new(&scene, "web", &identity, "prod")
            .on_change(&reload)
            .files("web");
        let sidecar = Sidecar::start(&scene, &settings);
        let service = Self { scene, sidecar };
        wait::until("the service has a password", || {
            (service.running() == "first0").then_some(())
        });
        service
    }

    fn running(&self) -> String {
        fs::read_to_string(self.scene.file("running")).unwrap_or_default()
    }

    fn accepted(&self) -> Vec<String> {
        let text = fs::read_to_string(self.scene.file("accepted")).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    fn rotate(&self, options: &[&str]) -> Output {
        let words = [&["rotate", "prod", "web/password"], options].concat();
        self.scene.run(&words)
    }

    /// Whether the service could log in; not judged where it took another password meanwhile.
    fn logs_in(&self) -> bool {
        let before = self.running();
        self.accepted().contains(&before) || self.running() != before
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_service_that_reloads_never_has_a_password_that_is_refused() {
    let service = Service::new("2s", "1m");
    let (over, failures, tries) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let failed = !service.logs_in();
                failures.fetch_add(u64::from(failed), Ordering::Relaxed);
                tries.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let mut seen = vec!["first0".to_owned()];
        for _ in 0..4 {
            let ran = service.rotate(&[]);
            assert_eq!(ran.status.code(), Some(0), "{}", stderr(&ran));
            // Nothing is left but what the service has.
            assert_eq!(service.accepted(), [service.running()]);
            assert!(!seen.contains(&service.running()), "{}", service.sidecar.log());
            seen.push(service.running());
        }
        over.store(true, Ordering::Relaxed);
    });
    assert_eq!(failures.into_inner(), 0);
    assert!(tries.into_inner() > 100, "nobody tried");
}

#[test]
fn a_service_that_cannot_reload_keeps_its_password_until_it_can_or_is_left_behind() {
    let service = Service::new("0s", "6s");
    let plan = service.scene.ok(&["rotate", "prod", "web/password", "--plan"]);
    wait::until("the plan names who uses it", || {
        let plan = service.scene.ok(&["rotate", "prod", "web/password", "--plan"]);
        plan.contains("switches, and a program runs").then_some(())
    });
    assert!(plan.contains("the new value is delivered"), "{plan}");
    fs::write(service.scene.file("stuck"), "").unwrap();
    let ran = service.rotate(&["--watch"]);
    let said = stderr(&ran);
    assert_eq!(ran.status.code(), Some(6), "{said}");
    assert!(said.contains("files ") && said.contains("WAITING FOR"), "{said}");
    assert_eq!(service.running(), "first0");
    assert_eq!(service.accepted().len(), 2);
    assert!(service.logs_in());
    let status = service.scene.ok(&["status"]);
    assert!(
        status.contains("rotating      prod web/password: delivering"),
        "{status}"
    );

    fs::remove_file(service.scene.file("stuck")).unwrap();
    let ran = service.rotate(&["--resume"]);
    assert_eq!(ran.status.code(), Some(0), "{}", stderr(&ran));
    assert_eq!(service.accepted(), [service.running()]);

    // And one that is not waited for: who did that, and whom they left behind, is kept.
    fs::write(service.scene.file("stuck"), "").unwrap();
    let ran = service.rotate(&["--force"]);
    assert_eq!(ran.status.code(), Some(0), "{}", stderr(&ran));
    assert!(!service.logs_in());
    let history = service.scene.ok(&["history", "prod", "web/password"]);
    assert!(history.contains("by force, without files "), "{history}");
}

/// As many clients that policies can tell apart: each runs a file of its own.
struct Crowd {
    programs: tempfile::TempDir,
    clients: Vec<Child>,
}

impl Crowd {
    fn new(service: &Service, count: usize) -> Self {
        let program = program::path("strongroom-run");
        // a second name for a file is on the same filesystem
        let programs = tempfile::tempdir_in(program.parent().unwrap()).unwrap();
        let names: Vec<_> = (0..count)
            .map(|number| programs.path().join(format!("run-{number}")))
            .collect();
        for name in &names {
            fs::hard_link(&program, name).unwrap();
        }
        let socket = service.sidecar.socket();
        let start = |name| {
            let mut command = service.scene.command(name);
            command.arg("--socket").arg(&socket);
            command.args(["--only-mapped", "--map", "PASSWORD=web/password"]);
            command.args(["--", "/bin/sleep", "1000"]).spawn().unwrap()
        };
        let clients = names.iter().map(start).collect();
        Self { programs, clients }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        for client in &mut self.clients {
            let id = rustix::process::Pid::from_child(client);
            let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        }
        for client in &mut self.clients {
            let _ = client.wait();
        }
        let _ = fs::remove_dir_all(self.programs.path());
    }
}

#[test]
fn clients_that_are_not_kept_track_of_are_waited_for() {
    const SENTENCE: &str = "this sidecar has more clients than it keeps track of";
    let service = Service::new("0s", "5s");
    // one more than one user may have names
    let crowd = Crowd::new(&service, 257);
    let present = || -> Vec<String> {
        let text = service.scene.ok(&["uptake", "prod", "web/password", "--json"]);
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let all = json["consumers"].as_array().unwrap().iter();
        let there = all.filter(|one| one["present"] == true);
        there
            .map(|one| one["consumer"].as_str().unwrap().to_owned())
            .collect()
    };
    let is_further = |name: &String| name == "further clients";
    wait::until("all are reported", || {
        let present = present();
        (present.len() == 1 + 256 + 1 && present.iter().any(is_further)).then_some(())
    });
    let ran = service.rotate(&[]);
    let said = stderr(&ran);
    assert_eq!(ran.status.code(), Some(6), "{said}");
    assert!(said.contains(SENTENCE), "{said}");
    assert_eq!(service.accepted().len(), 2, "the old one is still taken");

    drop(crowd);
    wait::until("they have ended", || {
        assert!(service.sidecar.secret("web/password").is_some());
        (!present().iter().any(is_further)).then_some(())
    });
    let ran = service.rotate(&["--resume"]);
    assert_eq!(ran.status.code(), Some(0), "{}", stderr(&ran));
}
