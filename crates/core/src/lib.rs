//! Strongroom's core: a sealed store of secrets, config and flags that is opened in this process.
//!
//! Data flows one way: `store` holds sealed bytes, `commit` verifies the signed chain, `snapshot`
//! is the verified state with values still sealed, and `vault` is the face that reads, watches
//! and commits. Modules are listed in dependency order; each may use only those before it (a test
//! in `tests/` holds this). But for `api`, `attest` and `target` nothing here knows sockets, and nothing
//! knows terminals or environment variables; time and randomness come in through
//! [`ambient::Ambient`].

// The order below is the order of dependencies.
pub mod name;

pub mod kind;
#[cfg(any(feature = "client", feature = "vault"))]
mod number;
pub mod secret;
pub mod workload;

#[cfg(feature = "inject")]
pub mod inject;

#[cfg(feature = "vault")]
pub mod ambient;
#[cfg(feature = "vault")]
mod hex;
#[cfg(feature = "vault")]
pub mod id;
#[cfg(feature = "vault")]
mod lookup;

#[cfg(feature = "attest")]
pub mod attest;

#[cfg(feature = "vault")]
pub mod crypto;

#[cfg(feature = "vault")]
pub mod store;

#[cfg(feature = "vault")]
pub mod commit;

#[cfg(feature = "vault")]
pub mod config;
#[cfg(feature = "vault")]
pub mod flag;
#[cfg(feature = "vault")]
pub mod template;

#[cfg(feature = "vault")]
pub mod snapshot;

#[cfg(feature = "vault")]
pub mod policy;

#[cfg(feature = "vault")]
pub mod audit;

#[cfg(feature = "vault")]
pub mod rotation;

#[cfg(feature = "vault")]
pub mod uptake;

#[cfg(feature = "vault")]
pub mod vault;

#[cfg(feature = "generate")]
pub mod rotator;
#[cfg(feature = "targets")]
pub mod target;

#[cfg(feature = "client")]
pub mod api;

#[cfg(feature = "vault")]
pub use vault::Vault;
