//! Flags of a sidecar by flagd's provider for Rust, which evaluates by itself what the sidecar sends it. It tells nobody
//! of changes: who wants to know of them asks again, as here.
//!
//! cargo add open-feature
//! cargo add open-feature-flagd --no-default-features --features in-process
//! flagd_in_process SOCKET CONTEXT KEY=DEFAULT...

mod show;

use std::error::Error;
use std::time::Duration;

use open_feature::OpenFeature;
use open_feature_flagd::{FlagdOptions, FlagdProvider, ResolverType};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (socket, question) = arguments
        .split_first()
        .ok_or("usage: flagd_in_process SOCKET CONTEXT KEY=DEFAULT...")?;
    let asked = show::Asked::new(question)?;

    let options = FlagdOptions {
        resolver_type: ResolverType::InProcess,
        socket_path: Some(socket.clone()),
        cache_settings: None,
        ..FlagdOptions::default()
    };
    let provider = FlagdProvider::new(options).await?;
    OpenFeature::singleton_mut().await.set_provider(provider).await;
    let flags = OpenFeature::singleton().await.create_client();
    let (mut why, mut last) = ("ready", String::new());
    loop {
        let now = asked.look(&flags).await;
        if now != last {
            println!("{why}\n{now}");
            (why, last) = ("changed", now);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
