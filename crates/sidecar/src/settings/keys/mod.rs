//! Every key of the settings file with its meaning and default: owns what a key is, and the order of
//! the tables. How they are shown is `shown`'s. It must not interpret values.

mod inject;
mod run;

pub use super::shown::{example, reference};

/// What happens when a key is not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// It must be given.
    Required,
    /// This TOML is used.
    Value(&'static str),
    /// Described in words.
    Words(&'static str),
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The table it is in; empty at the top.
    pub table: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What happens without it.
    pub default: Absent,
    /// TOML to show.
    pub example: &'static str,
    /// What it means.
    pub doc: &'static str,
    /// True when a change takes effect only at the next start.
    pub restart: bool,
}

const fn key(
    table: &'static str,
    name: &'static str,
    default: Absent,
    example: &'static str,
    doc: &'static str,
) -> Key {
    Key {
        table,
        name,
        default,
        example,
        doc,
        restart: false,
    }
}

const fn fixed(
    table: &'static str,
    name: &'static str,
    default: Absent,
    example: &'static str,
    doc: &'static str,
) -> Key {
    Key {
        restart: true,
        ..key(table, name, default, example, doc)
    }
}

/// The tables, in the order they are documented.
pub const TABLES: &[(&str, &str)] = &[
    (
        "",
        "Relative paths are resolved against the directory of the settings file. Durations are a whole number with `ms`, `s`, `m` or `h`.",
    ),
    (
        "socket",
        "The socket that containers talk to. Mount its directory into them, not the file.",
    ),
    (
        "listener",
        "A TCP address of this machine for browsers, and for programs that cannot reach a Unix socket: flags are evaluated there, and nothing else is answered. Nobody says who asks over TCP, so every program of the machine may; see [flags](flags.md#over-tcp). Without this table there is none.",
    ),
    ("limits", "What one sidecar puts up with."),
    (
        "attestation",
        "What is found out about processes that connect. What the kernel says needs no settings.",
    ),
    ("log", "What is written to standard error."),
    (
        "audit",
        "The audit log: a record is in it before anything is released. Without this table there is none, which the log says at each start.",
    ),
    (
        "sandbox",
        "What the threads that serve connections and follow the store may not do; see [hardening](hardening.md).",
    ),
    (
        "files",
        "A directory of files that always hold one revision; may be given many times, as `[[files]]`.",
    ),
    (
        "process",
        "A process that is started with the values in its environment.",
    ),
];

/// All keys, in the order they are documented.
pub fn all() -> impl Iterator<Item = &'static Key> {
    run::KEYS.iter().chain(inject::KEYS)
}

/// The keys of `table`.
pub fn of(table: &str) -> impl Iterator<Item = &'static Key> {
    all().filter(move |key| key.table == table)
}
