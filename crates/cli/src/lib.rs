//! What the programs of this crate share. It must not know stores, keys or terminals: the smaller of
//! them has none.

pub mod run;
