//! What is measured: owns a real store on disk, and a real sidecar that reads it with an identity
//! of its own.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use strongroom_core::Vault;
use strongroom_core::ambient::Ambient;
use strongroom_core::snapshot::Role;
use strongroom_core::store::SqliteStore;
use strongroom_core::vault::Edit;
use strongroom_tests::program;
use tempfile::TempDir;

use super::process::{self, Process};
use super::vault_kit::{change, compartment, env, identity, name, secret};

/// The entry that is read and changed.
pub const PATH: &str = "web/database/password";
/// Its address.
pub const TARGET: &str = "/api/v1/secrets/web/database/password";

/// A store of 100 secrets of 64 B in one environment.
pub struct World {
    pub directory: TempDir,
    vault: Vault,
    changes: AtomicU32,
}

impl World {
    pub fn new() -> Self {
        let world = Self::bare();
        let others = (1..100).map(|number| secret("prod", &format!("web/other-{number}"), &[b'x'; 64]));
        let all = others.chain([secret("prod", PATH, value(0).as_bytes())]);
        world.vault.commit(&change(all.collect())).unwrap();
        world
    }

    /// The same without a secret.
    pub fn bare() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (admin, reader) = (identity(), identity());
        reader
            .write_file(&directory.path().join("web.identity"), None)
            .unwrap();
        let store = Arc::new(SqliteStore::create(&directory.path().join("store.db")).unwrap());
        let vault = Vault::create(store, &name("alice"), admin, Ambient::system()).unwrap();
        let edits = vec![
            Edit::AddEnvironment {
                name: env("prod"),
                parent: None,
                compartment: None,
            },
            Edit::AddMember {
                name: name("web"),
                public: reader.public(),
                role: Role::Reader,
                compartments: vec![compartment("prod")],
            },
        ];
        vault.commit(&change(edits)).unwrap();
        Self {
            directory,
            vault,
            changes: AtomicU32::new(0),
        }
    }

    /// The store, as its admin has it.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Commits another value of the entry; gives it back.
    pub fn change(&self) -> String {
        let value = value(self.changes.fetch_add(1, Ordering::Relaxed) + 1);
        let change = change(vec![secret("prod", PATH, value.as_bytes())]);
        self.vault.commit(&change).unwrap();
        value
    }
}

/// 64 bytes.
fn value(number: u32) -> String {
    format!("{number:064}")
}

/// A running sidecar.
pub struct Sidecar {
    pub process: Process,
    pub socket: PathBuf,
}

impl Sidecar {
    /// Starts a sidecar called `name` with default settings and `more`, and waits until it serves.
    pub fn start(world: &World, name: &str, more: &str) -> Self {
        let at = |file: &str| world.directory.path().join(file);
        let settings = format!(
            "store = \"sqlite:store.db\"\nidentity = \"web.identity\"\nenvironment = \"prod\"\n\
             [socket]\npath = \"{name}/sidecar.sock\"\n{more}\n"
        );
        std::fs::write(at(&format!("{name}.toml")), settings).unwrap();
        let log = at(&format!("{name}.log"));
        let mut process = Process::start(
            Command::new(Self::program())
                .arg("--settings")
                .arg(at(&format!("{name}.toml")))
                .stdout(Stdio::null())
                .stderr(std::fs::File::create(&log).unwrap()),
        );
        let socket = at(name).join("sidecar.sock");
        process::until("the sidecar serves", || {
            let said = std::fs::read_to_string(&log).unwrap();
            assert!(!process.has_ended(), "the sidecar ended: {said}");
            said.contains("serving") && UnixStream::connect(&socket).is_ok()
        });
        Self { process, socket }
    }

    /// The release binary as `make install` builds it, built now unless it is fresh; or, to compare
    /// builds, the one that `STRONGROOM_BENCH_SIDECAR` names.
    pub fn program() -> PathBuf {
        static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
        PROGRAM.get_or_init(build).clone()
    }
}

fn build() -> PathBuf {
    if let Some(named) = std::env::var_os("STRONGROOM_BENCH_SIDECAR") {
        return named.into();
    }
    let status = program::cargo()
        .args(["build", "--release", "--locked", "--quiet"])
        .args(["-p", "strongroom-sidecar"])
        .status();
    assert!(status.unwrap().success(), "the sidecar does not build");
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| program::workspace().join("target"));
    target.join("release/strongroom-sidecar")
}
