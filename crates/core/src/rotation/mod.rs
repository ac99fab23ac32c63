//! Rotation: owns how a secret gets a new value (`docs/rotation.md`). It must not know stores, nor
//! do anything at a target itself.

pub mod generate;
