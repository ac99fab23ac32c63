//! Flags of a store that is opened in this process, without a sidecar, by Strongroom's own provider for Rust.
//! OpenFeature's SDK for Rust has no events: who wants to know of changes watches the vault, as here.
//!
//! cargo add open-feature strongroom-openfeature strongroom-core
//! cargo run -p strongroom-openfeature --example in_process -- STORE IDENTITY ENVIRONMENT CONTEXT KEY=DEFAULT...
#![allow(clippy::print_stdout)]

mod show;

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use open_feature::OpenFeature;
use strongroom_core::Vault;
use strongroom_core::crypto::identity::Identity;
use strongroom_core::vault::{Event, OpenOptions};
use strongroom_openfeature::InProcess;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [store, identity, environment, question @ ..] = arguments.as_slice() else {
        return Err("usage: in_process STORE IDENTITY ENVIRONMENT CONTEXT KEY=DEFAULT...".into());
    };
    let asked = show::Asked::new(question)?;

    let store = Arc::from(strongroom_core::store::open(store, false)?);
    let identity = Arc::new(Identity::read_file(Path::new(identity), || None)?);
    let vault = Arc::new(Vault::open(store, identity, OpenOptions::default())?);
    let mut watch = vault.watch();
    vault.follow()?;
    let provider = InProcess::new(vault, environment.parse()?)?;
    OpenFeature::singleton_mut().await.set_provider(provider).await;
    let flags = OpenFeature::singleton().await.create_client();
    asked.show("ready", &flags).await;
    while let Some(event) = watch.next().await {
        match event {
            Event::Revised(_) | Event::Lagged => asked.show("changed", &flags).await,
            Event::Refused { reason } | Event::StoreLost { reason, .. } => println!("stale: {reason}\n"),
            Event::StoreBack => {}
        }
    }
    Ok(())
}
