//! Flags of a sidecar by Strongroom's own provider for Rust, which asks the sidecar for each evaluation. OpenFeature's SDK
//! for Rust has no events: who wants to know of changes watches the sidecar, as here.
//!
//! cargo add open-feature strongroom-openfeature strongroom-core
//! cargo run -p strongroom-openfeature --example socket -- SOCKET CONTEXT KEY=DEFAULT...
#![allow(clippy::print_stdout)]

mod show;

use std::error::Error;
use std::sync::Arc;

use open_feature::OpenFeature;
use strongroom_core::api::client::Client;
use strongroom_core::api::watch::WatchEvent;
use strongroom_openfeature::Socket;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (socket, question) = arguments
        .split_first()
        .ok_or("usage: socket SOCKET CONTEXT KEY=DEFAULT...")?;
    let asked = show::Asked::new(question)?;

    let sidecar = Arc::new(Client::new(socket));
    let mut watch = sidecar.watch(None);
    OpenFeature::singleton_mut()
        .await
        .set_provider(Socket::new(sidecar))
        .await;
    let flags = OpenFeature::singleton().await.create_client();
    let mut why = "ready";
    loop {
        match watch.next().await {
            WatchEvent::Revision(_) => asked.show(std::mem::replace(&mut why, "changed"), &flags).await,
            // a revision follows
            WatchEvent::Lagged { .. } => {}
            WatchEvent::Lost(_) => println!("the sidecar is away\n"),
        }
    }
}
