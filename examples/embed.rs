//! An application that opens the store in its own process, without a sidecar: it reads a secret,
//! and reads it again whenever any process commits.
//!
//! `cargo run -p strongroom-core --example embed -- sqlite:./store.db ./web.identity prod web/database/password`
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use strongroom_core::Vault;
use strongroom_core::crypto::identity::Identity;
use strongroom_core::name::{EntryPath, EnvironmentName};
use strongroom_core::vault::OpenOptions;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [store, identity, environment, path] = arguments.as_slice() else {
        return Err("usage: embed STORE IDENTITY ENVIRONMENT PATH".into());
    };
    let (environment, path) = (EnvironmentName::new(environment)?, EntryPath::new(path)?);

    let store = Arc::from(strongroom_core::store::open(store, false)?);
    let identity = Arc::new(Identity::read_file(Path::new(identity), || None)?);
    let vault = Arc::new(Vault::open(store, identity, OpenOptions::default())?);
    let mut watch = vault.watch();
    vault.follow()?;
    loop {
        let secret = vault.secret(&environment, &path)?;
        let revision = vault.snapshot().revision();
        secret.expose(|bytes| println!("revision {revision}: a secret of {} bytes", bytes.len()));
        if watch.next_blocking().is_none() {
            return Ok(());
        }
    }
}
