//! The socket's figures: reads, one change to many watchers, commit to consumer, a rotation to the last
//! consumer, the sidecar at rest. `cargo bench -p strongroom-tests --bench socket [-- reads|fanout|slow|consumers|config|flags|rotation|rest]`.
//!
//! The real sidecar, each control and this load generator are processes of their own; a control
//! is measured by turns with what it is a limit of. Read the ratios, not the times.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs,
    unreachable_pub
)]

mod bare;
mod client;
mod config;
mod consumers;
mod cores;
mod fanout;
mod flags;
mod grpc;
#[path = "../../../crates/core/benches/kit/mod.rs"]
mod kit;
mod process;
mod reads;
mod rest;
mod rotation;
mod slow;
#[path = "../../../crates/core/tests/vault_kit/mod.rs"]
mod vault_kit;
mod world;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // the controls are this program too, each in a process of its own
    match words[..] {
        ["bare-echo", socket] => return bare::echo(socket),
        ["bare-grpc", socket] => return bare::grpc(socket),
        ["consume", socket] => return rotation::consume(socket),
        ["bare-fanout", socket, count] => return bare::fanout(socket, count.parse().unwrap()),
        ["bare-round", socket, count] => return bare::round(socket, count.parse().unwrap()),
        ["bare-asker", socket] => return bare::asker(socket),
        _ => {}
    }
    let all: [(&str, fn()); 8] = [
        ("reads", reads::run),
        ("fanout", fanout::run),
        ("slow", slow::run),
        ("consumers", consumers::run),
        ("config", config::run),
        ("flags", flags::run),
        ("rotation", rotation::run),
        ("rest", rest::run),
    ];
    let some = all.iter().any(|(name, _)| words.contains(name));
    process::raise_descriptors();
    kit::head("Socket");
    for (_, bench) in all.iter().filter(|(name, _)| !some || words.contains(name)) {
        bench();
    }
}
