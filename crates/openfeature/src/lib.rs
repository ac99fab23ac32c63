//! Strongroom's feature flags for OpenFeature's SDK: owns what the SDK's words mean here. It must not know how a flag is
//! evaluated, nor how a sidecar is asked.
//!
//! [`InProcess`] evaluates the flags of a [`Vault`](strongroom_core::Vault) of this process, [`Socket`] asks a sidecar.
//! Both give the value with its variant, reason and metadata, always of the newest revision.
//!
//! - A flag that leaves its value to who asks (it is switched off, or has no default variant) is
//!   [`FlagNotFound`](open_feature::EvaluationErrorCode::FlagNotFound): this SDK hands no default to providers, and
//!   whoever asks has its own in `unwrap_or`.
//! - The SDK has no events: who wants to know of changes watches the vault or the client.
//! - Times in a context become RFC 3339 texts in UTC. A struct in it is
//!   a [`StructValue`](open_feature::StructValue), an [`open_feature::Value`], or a [`serde_json::Value`];
//!   another one, and a number that is not finite, is [`InvalidContext`](open_feature::EvaluationErrorCode::InvalidContext).
//! - A member of an object that is null is left out, since the SDK has no null.

mod answer;
mod context;
#[cfg(feature = "in-process")]
mod in_process;
#[cfg(feature = "socket")]
mod socket;

/// The SDK that these providers are for.
pub use open_feature;

#[cfg(feature = "in-process")]
pub use in_process::InProcess;
#[cfg(feature = "socket")]
pub use socket::Socket;
