//! Rotation: owns how a secret gets a new value (`docs/rotation.md`). It must not know stores, nor
//! do anything at a target itself: what is to be done is returned.

#[cfg(feature = "generate")]
pub mod generate;
mod machine;
mod phase;
#[cfg(feature = "generate")]
pub mod plan;
mod record;

pub use machine::{Effect, Machine, Next, Refused};
pub use phase::{Move, Outcome, Phase, Step, Strategy, StrategyError};
pub use record::{RecordError, Running};
