//! The settings of limits: owns the keys of `[limits]`. It must not hold anybody to them.

use std::time::Duration;

use super::table::Table;

/// What one sidecar puts up with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Threads that serve connections.
    pub workers: Option<usize>,
    /// Connections at a time.
    pub connections: usize,
    /// Connections of one uid at a time.
    pub connections_per_uid: usize,
    /// Bytes of a request's head.
    pub header_bytes: usize,
    /// Bytes of a request's body.
    pub body_bytes: u64,
    /// From the first byte to the end of a head.
    pub header_timeout: Duration,
    /// Between requests.
    pub idle_timeout: Duration,
    /// For a client that does not take what it was sent.
    pub write_timeout: Duration,
    /// For running requests at the end.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            workers: None,
            connections: 8192,
            connections_per_uid: 6144,
            header_bytes: 16384,
            body_bytes: 65536,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(300),
            write_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(10),
        }
    }
}

pub(super) fn limits(table: &Table<'_>) -> Limits {
    let default = Limits::default();
    Limits {
        workers: table.integer("workers", 1..=64),
        connections: table
            .integer("connections", 1..=1_000_000)
            .unwrap_or(default.connections),
        connections_per_uid: table
            .integer("connections_per_uid", 1..=1_000_000)
            .unwrap_or(default.connections_per_uid),
        header_bytes: table
            .integer("header_bytes", 1024..=262_144)
            .unwrap_or(default.header_bytes),
        body_bytes: table
            .integer("body_bytes", 0..=16_777_216)
            .unwrap_or(default.body_bytes),
        header_timeout: table.duration("header_timeout", default.header_timeout),
        idle_timeout: table.duration("idle_timeout", default.idle_timeout),
        write_timeout: table.duration("write_timeout", default.write_timeout),
        drain_timeout: table.duration("drain_timeout", default.drain_timeout),
    }
}
