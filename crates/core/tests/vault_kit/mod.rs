//! A small world for vault tests: one store in memory, one admin, one environment `prod`.
#![allow(dead_code, unreachable_pub)]

use std::sync::Arc;

use strongroom_core::Vault;
use strongroom_core::ambient::Ambient;
use strongroom_core::config::Format;
use strongroom_core::crypto::identity::Identity;
use strongroom_core::name::{CompartmentName, EntryPath, EnvironmentName, MemberName};
use strongroom_core::secret::Secret;
use strongroom_core::snapshot::{Kind, ReadError, Role};
use strongroom_core::store::MemoryStore;
use strongroom_core::vault::{Change, CommitError, Edit, Expect, OpenError, OpenOptions, Put, Receipt};

pub struct World {
    pub store: Arc<MemoryStore>,
    pub identity: Arc<Identity>,
    pub vault: Vault,
}

impl World {
    pub fn new() -> Self {
        let store = Arc::new(MemoryStore::new());
        let identity = identity();
        let vault =
            Vault::create(store.clone(), &name("alice"), identity.clone(), Ambient::system()).unwrap();
        let world = Self {
            store,
            identity,
            vault,
        };
        world.environment("prod");
        world
    }

    pub fn environment(&self, environment: &str) {
        self.commit(vec![Edit::AddEnvironment {
            name: env(environment),
            parent: None,
            compartment: None,
        }])
        .unwrap();
    }

    pub fn child(&self, environment: &str, parent: &str) {
        self.commit(vec![Edit::AddEnvironment {
            name: env(environment),
            parent: Some(env(parent)),
            compartment: None,
        }])
        .unwrap();
    }

    pub fn member(&self, member: &str, role: Role, compartments: &[&str]) -> Arc<Identity> {
        let identity = identity();
        self.commit(vec![Edit::AddMember {
            name: name(member),
            public: identity.public(),
            role,
            compartments: compartments.iter().map(|each| compartment(each)).collect(),
        }])
        .unwrap();
        identity
    }

    pub fn open(&self, identity: &Arc<Identity>) -> Result<Vault, OpenError> {
        Vault::open(self.store.clone(), identity.clone(), OpenOptions::default())
    }

    pub fn commit(&self, edits: Vec<Edit>) -> Result<Receipt, CommitError> {
        self.vault.commit(&change(edits))
    }

    pub fn put(&self, environment: &str, at: &str, value: &[u8]) -> Receipt {
        self.commit(vec![secret(environment, at, value)]).unwrap()
    }

    pub fn get(&self, environment: &str, at: &str) -> Result<Vec<u8>, ReadError> {
        get(&self.vault, environment, at)
    }
}

pub fn identity() -> Arc<Identity> {
    Arc::new(Identity::generate(&Ambient::system()).unwrap())
}

pub fn env(text: &str) -> EnvironmentName {
    EnvironmentName::new(text).unwrap()
}

pub fn path(text: &str) -> EntryPath {
    EntryPath::new(text).unwrap()
}

pub fn name(text: &str) -> MemberName {
    MemberName::new(text).unwrap()
}

pub fn compartment(text: &str) -> CompartmentName {
    CompartmentName::new(text).unwrap()
}

pub fn change(edits: Vec<Edit>) -> Change {
    Change {
        message: "a test".into(),
        edits,
    }
}

pub fn secret(environment: &str, at: &str, value: &[u8]) -> Edit {
    put(environment, at, Kind::Secret, Format::Text, value)
}

pub fn put(environment: &str, at: &str, kind: Kind, format: Format, value: &[u8]) -> Edit {
    Edit::Put(Put {
        environment: env(environment),
        path: path(at),
        kind,
        value: Secret::new(value.to_vec()),
        format,
        labels: None,
        compartment: None,
        expect: Expect::Any,
    })
}

pub fn delete(environment: &str, at: &str) -> Edit {
    Edit::Delete {
        environment: env(environment),
        path: path(at),
        expect: Expect::Any,
    }
}

pub fn set_expect(edit: &mut Edit, expect: Expect) {
    if let Edit::Put(put) = edit {
        put.expect = expect;
    }
}

pub fn set_compartment(edit: &mut Edit, into: &str) {
    if let Edit::Put(put) = edit {
        put.compartment = Some(compartment(into));
    }
}

pub fn expose(secret: &Secret) -> Vec<u8> {
    secret.expose(<[u8]>::to_vec)
}

pub fn get(vault: &Vault, environment: &str, at: &str) -> Result<Vec<u8>, ReadError> {
    vault
        .read(&env(environment), &path(at))
        .map(|reading| expose(&reading.value))
}
