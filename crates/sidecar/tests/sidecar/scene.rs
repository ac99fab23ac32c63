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
use strongroom_core::store::{SqliteStore, Store};
use strongroom_core::vault::{Change, Edit, Expect, OpenOptions, Put};

use crate::between::{Between, Over};

pub struct Scene {
    directory: tempfile::TempDir,
    /// Alice, who made the store.
    pub admin: Arc<Identity>,
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

pub fn delete(at: &str) -> Edit {
    Edit::Delete {
        environment: environment("prod"),
        path: path(at),
        expect: Expect::Any,
    }
}

impl Scene {
    /// Environments `base` and, inheriting from it, `prod`; `web.identity` reads both.
    pub fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("sr").tempdir().unwrap();
        let ambient = Ambient::system();
        let admin = Arc::new(Identity::generate(&ambient).unwrap());
        let store = Arc::new(SqliteStore::create(&directory.path().join("store.db")).unwrap());
        let vault = Vault::create(
            store,
            &MemberName::new("alice").unwrap(),
            Arc::clone(&admin),
            ambient.clone(),
        )
        .unwrap();
        let web = Identity::generate(&ambient).unwrap();
        web.write_file(&directory.path().join("web.identity"), None)
            .unwrap();
        let scene = Self {
            directory,
            admin,
            vault,
        };
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
        self.commit(vec![delete(at)])
    }

    /// Adds a writer of `compartments`; the store as it opens it.
    pub fn writer(&self, name: &str, compartments: &[&str]) -> Vault {
        let identity = Arc::new(Identity::generate(&Ambient::system()).unwrap());
        self.commit(vec![Edit::AddMember {
            name: MemberName::new(name).unwrap(),
            public: identity.public(),
            role: Role::Writer,
            compartments: compartments
                .iter()
                .map(|name| CompartmentName::new(name).unwrap())
                .collect(),
        }]);
        Vault::open(Arc::new(self.store()), identity, OpenOptions::default()).unwrap()
    }

    /// The store as somebody else opens it, who may write to it.
    pub fn store(&self) -> SqliteStore {
        SqliteStore::open(&self.file("store.db"), true).unwrap()
    }

    /// The store as the service opens it, with something between them.
    pub fn open_over<B: Between + 'static>(&self, between: B) -> (Arc<Vault>, Arc<Over<B>>) {
        let over = Over::new(Arc::new(self.store()), between);
        let store: Arc<dyn Store> = Arc::<Over<B>>::clone(&over);
        let identity = Identity::read_file(&self.file("web.identity"), || None).unwrap();
        let vault = Vault::open(store, Arc::new(identity), OpenOptions::default()).unwrap();
        (Arc::new(vault), over)
    }

    pub fn revision(&self) -> u64 {
        self.vault.snapshot().revision().0
    }

    /// Has this machine say `text` of the document `web`, where [`Self::settings_overriding`] are in use.
    pub fn override_with(&self, text: &str) {
        std::fs::write(self.file("web.local.json"), text).unwrap();
    }

    /// Writes the settings of a sidecar of `prod`; `more` follows the keys of `[socket]`.
    pub fn settings(&self, more: &str) -> PathBuf {
        self.settings_named("web", more)
    }

    /// The same under another name.
    pub fn settings_named(&self, name: &str, more: &str) -> PathBuf {
        self.settings_with(name, "", more)
    }

    /// The same, by which this machine says something of the document `web`.
    pub fn settings_overriding(&self, more: &str) -> PathBuf {
        self.settings_with("web", "overrides = { web = \"web.local.json\" }\n", more)
    }

    /// The same, with `top` among the keys that are in no table.
    pub fn settings_with(&self, name: &str, top: &str, more: &str) -> PathBuf {
        let text = format!(
            "{top}sandbox.syscalls = \"kill\"\nstore = \"sqlite:store.db\"\nidentity = \"web.identity\"\nenvironment = \"prod\"\n\
             [socket]\npath = \"{name}/s.sock\"\n{more}"
        );
        let file = self.file(format!("{name}.toml"));
        std::fs::write(&file, text).unwrap();
        file
    }
}
