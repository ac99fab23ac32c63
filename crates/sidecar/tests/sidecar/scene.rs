//! A store with two environments, an admin, and the identity of a service that reads one of them:
//! owns changing it through the library, as another process would.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use strongroom_core::Vault;
use strongroom_core::ambient::Ambient;
use strongroom_core::config::Format;
use strongroom_core::crypto::identity::Identity;
use strongroom_core::kind::Kind;
use strongroom_core::name::{CompartmentName, EntryPath, EnvironmentName, MemberName};
use strongroom_core::secret::Secret;
use strongroom_core::snapshot::Role;
use strongroom_core::store::SqliteStore;
use strongroom_core::vault::{Change, Edit, Expect, Put};

pub struct Scene {
    directory: tempfile::TempDir,
    pub vault: Vault,
}

pub fn environment(name: &str) -> EnvironmentName {
    EnvironmentName::new(name).unwrap()
}

pub fn path(text: &str) -> EntryPath {
    EntryPath::new(text).unwrap()
}

pub fn put(in_environment: &str, at: &str, kind: Kind, value: &[u8]) -> Edit {
    let format = match (kind, value.first()) {
        (Kind::Config, Some(b'{')) => Format::Json,
        _ => Format::Text,
    };
    Edit::Put(Put {
        environment: environment(in_environment),
        path: path(at),
        kind,
        value: Secret::new(value.to_vec()),
        format,
        labels: None,
        compartment: None,
        expect: Expect::Any,
    })
}

impl Scene {
    /// Environments `base` and, inheriting from it, `prod`; `web.identity` reads both.
    pub fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("sr").tempdir().unwrap();
        let ambient = Ambient::system();
        let admin = Arc::new(Identity::generate(&ambient).unwrap());
        let store = Arc::new(SqliteStore::create(&directory.path().join("store.db")).unwrap());
        let vault = Vault::create(store, &MemberName::new("alice").unwrap(), admin, ambient.clone()).unwrap();
        let web = Identity::generate(&ambient).unwrap();
        web.write_file(&directory.path().join("web.identity"), None)
            .unwrap();
        let scene = Self { directory, vault };
        scene.commit(vec![
            Edit::AddEnvironment {
                name: environment("base"),
                parent: None,
                compartment: None,
            },
            Edit::AddEnvironment {
                name: environment("prod"),
                parent: Some(environment("base")),
                compartment: None,
            },
        ]);
        scene.commit(vec![Edit::AddMember {
            name: MemberName::new("web").unwrap(),
            public: web.public(),
            role: Role::Reader,
            compartments: ["base", "prod"]
                .map(|name| CompartmentName::new(name).unwrap())
                .to_vec(),
        }]);
        scene
    }

    /// A scene whose `prod` has one secret, `web/token`, of value `one`.
    pub fn with_token() -> Self {
        let scene = Self::new();
        scene.secret("web/token", "one");
        scene
    }

    pub fn file(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Commits and returns the revision.
    pub fn commit(&self, edits: Vec<Edit>) -> u64 {
        let change = Change {
            message: "test".into(),
            edits,
        };
        self.vault.commit(&change).unwrap().revision.0
    }

    /// Puts a secret of `prod`.
    pub fn secret(&self, at: &str, value: &str) -> u64 {
        self.commit(vec![put("prod", at, Kind::Secret, value.as_bytes())])
    }

    /// Deletes an entry of `prod`.
    pub fn delete(&self, at: &str) -> u64 {
        self.commit(vec![Edit::Delete {
            environment: environment("prod"),
            path: path(at),
            expect: Expect::Any,
        }])
    }

    pub fn revision(&self) -> u64 {
        self.vault.snapshot().revision().0
    }

    /// Writes the settings of a sidecar of `prod`; `more` follows the keys of `[socket]`.
    pub fn settings(&self, more: &str) -> PathBuf {
        self.settings_named("web", more)
    }

    /// The same under another name.
    pub fn settings_named(&self, name: &str, more: &str) -> PathBuf {
        let text = format!(
            "sandbox.syscalls = \"kill\"\nstore = \"sqlite:store.db\"\nidentity = \"web.identity\"\nenvironment = \"prod\"\n\
             [socket]\npath = \"{name}/s.sock\"\n{more}"
        );
        let file = self.file(format!("{name}.toml"));
        std::fs::write(&file, text).unwrap();
        file
    }
}
