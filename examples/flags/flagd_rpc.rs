//! Flags of a sidecar by flagd's provider for Rust, which asks the sidecar for each evaluation. It has no events: who wants
//! to know of changes reads the sidecar's stream, as here.
//!
//! cargo add open-feature
//! cargo add open-feature-flagd --no-default-features --features rpc
//! flagd_rpc SOCKET CONTEXT KEY=DEFAULT...

mod show;

use std::error::Error;
use std::time::Duration;

use open_feature::{Client, OpenFeature};
use open_feature_flagd::{FlagdOptions, FlagdProvider, ResolverType};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

const EVENTS: &[u8] = b"GET /ofrep/v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (socket, question) = arguments
        .split_first()
        .ok_or("usage: flagd_rpc SOCKET CONTEXT KEY=DEFAULT...")?;
    let asked = show::Asked::new(question)?;

    let options = FlagdOptions {
        resolver_type: ResolverType::Rpc,
        socket_path: Some(socket.clone()),
        // it would keep for a minute what nobody tells it has changed
        cache_settings: None,
        ..FlagdOptions::default()
    };
    let provider = FlagdProvider::new(options).await?;
    OpenFeature::singleton_mut().await.set_provider(provider).await;
    let flags = OpenFeature::singleton().await.create_client();
    loop {
        if let Err(error) = follow(socket, &asked, &flags).await {
            eprintln!("the sidecar is away: {error}");
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Shows flags when the sidecar is there, and whenever it says that they may be others.
async fn follow(socket: &str, asked: &show::Asked, flags: &Client) -> Result<(), Box<dyn Error>> {
    let mut stream = UnixStream::connect(socket).await?;
    stream.write_all(EVENTS).await?;
    let mut lines = BufReader::new(stream).lines();
    while let Some(line) = lines.next_line().await? {
        if line.starts_with("HTTP/1.1 200 ") {
            asked.show("ready", flags).await;
        } else if line.contains("refetchEvaluation") {
            asked.show("changed", flags).await;
        }
    }
    Err("the stream has ended".into())
}
