//! The static program where there is nothing else: no libraries, no /proc, no /dev, no /tmp, a
//! read-only root, any user.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use strongroom_tests::component;
use strongroom_tests::program;
use strongroom_tests::sidecar::Sidecar;

use crate::copied;
use crate::stage::{Ran, Stage};

/// A root with nothing in it but the program and the sidecar's directory; unmounted when dropped.
struct Root(tempfile::TempDir);

impl Root {
    fn new(sidecar: &Sidecar) -> Self {
        let root = Self(tempfile::tempdir().unwrap());
        let at = |name: &str| root.0.path().join(name);
        fs::create_dir(at("run")).unwrap();
        mount(&[
            "--bind",
            sidecar.directory().to_str().unwrap(),
            at("run").to_str().unwrap(),
        ]);
        copied::copy(program::static_run(), &at("strongroom-run"));
        fs::create_dir(at("secrets")).unwrap();
        mount(&[
            "-t",
            "tmpfs",
            "-o",
            "mode=1777,size=1m",
            "none",
            at("secrets").to_str().unwrap(),
        ]);
        fs::set_permissions(root.0.path(), fs::Permissions::from_mode(0o555)).unwrap();
        root
    }

    fn run(&self, user: u32, arguments: &[&str]) -> Ran {
        let mut command = Command::new("/usr/sbin/chroot");
        command
            .arg(format!("--userspec={user}:{user}"))
            .arg("--groups=")
            .arg(self.0.path());
        command
            .args(["/strongroom-run", "--socket", "/run/sidecar.sock"])
            .args(arguments)
            .env_clear();
        Ran::of(command.output().unwrap())
    }
}

fn mount(arguments: &[&str]) {
    assert!(
        Command::new("mount").args(arguments).status().unwrap().success(),
        "mount {arguments:?}"
    );
}

impl Drop for Root {
    fn drop(&mut self) {
        for name in ["secrets", "run"] {
            let _ = Command::new("umount")
                .arg("-l")
                .arg(self.0.path().join(name))
                .status();
        }
    }
}

#[test]
fn it_runs_where_there_is_nothing_else() {
    if !rustix::process::geteuid().is_root() {
        component::lacking(
            "root, for another root directory,",
            "the program where there is nothing else",
        );
        return;
    }
    let stage = Stage::new();
    let sidecar = Sidecar::start(&stage.scene, &stage.settings().for_user(12345));
    let root = Root::new(&sidecar);
    // there is no other program to start, so it starts itself
    let options = [
        "--prefix",
        "web",
        "--files",
        "/secrets",
        "--on-change",
        "restart",
        "-v",
    ];
    let ran = root.run(
        12345,
        &[&options[..], &["--", "/strongroom-run", "--version"]].concat(),
    );
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(
        ran.out,
        concat!("strongroom-run ", env!("CARGO_PKG_VERSION"), "\n")
    );
    assert!(
        ran.err.contains("started process") && !ran.err.contains("tmpfs"),
        "{}",
        ran.err
    );
    assert_eq!(fs::read_dir(root.0.path().join("secrets")).unwrap().count(), 0);

    root.run(12345, &["--require", "no/such", "--", "/strongroom-run"])
        .failed(1, &["no/such"]);
    root.run(12345, &["--", "/sh"]).failed(127, &["/sh"]);
    root.run(12345, &["--files", "/else", "--", "/strongroom-run"])
        .failed(1, &["/else"]);
    root.run(54321, &["--", "/strongroom-run", "--version"])
        .failed(3, &[]);
}

#[test]
fn it_is_static_and_small() {
    let program = program::static_run();
    assert!(fs::metadata(&program).unwrap().len() < 3 * 1024 * 1024);
    let headers = Command::new("readelf")
        .args(["--wide", "--program-headers"])
        .arg(&program)
        .output();
    let Ok(headers) = headers else {
        eprintln!("skipped: there is no readelf; the build script has looked for a loader already");
        return;
    };
    let text = String::from_utf8_lossy(&headers.stdout);
    assert!(text.contains("LOAD") && !text.contains("INTERP"), "{text}");
}
