//! The sidecar's socket: owns its wire types, the coding of its addresses and a client for them.
//! It must not know how a value is stored or opened.

pub mod client;
pub mod error;
pub mod evaluate;
pub mod uri;
pub mod watch;
pub mod wire;

mod connection;
mod pool;
mod sse;

/// Where every route of this API lies.
pub const PREFIX: &str = "/api/v1/";

/// Names of the headers that answers carry, in lower case.
pub mod header {
    /// The revision an answer was read at.
    pub const REVISION: &str = "strongroom-revision";
    /// The version of the entry that an answer holds.
    pub const VERSION: &str = "strongroom-version";
    /// The number of the request in the audit log, where there is one.
    pub const REQUEST: &str = "strongroom-request";
    /// RFC 3339 time since when the store is out of reach; absent while it is not.
    pub const STALE_SINCE: &str = "strongroom-stale-since";
}
