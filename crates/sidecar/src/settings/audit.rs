//! The `[audit]` table: owns its reading. It must not open the log.

use std::path::PathBuf;

use crate::audit::{Durability, Options};

use super::Surroundings;
use super::table::Table;

pub(super) fn audit(table: &Table<'_>, around: &Surroundings) -> Option<Options> {
    let directory = table.required("directory").map(|path| around.resolve(path));
    let hashed_names = table.parse("names", |text| match text {
        "clear" => Ok(false),
        "hashed" => Ok(true),
        _ => Err("clear or hashed is wanted"),
    });
    let durability = table.parse("durability", |text| match text {
        "written" => Ok(Durability::Written),
        "fsync" => Ok(Durability::Fsync),
        _ => Err("written or fsync is wanted"),
    });
    let default = Options::new(directory.clone().unwrap_or_default());
    let options = Options {
        hashed_names: hashed_names.unwrap_or(default.hashed_names),
        durability: durability.unwrap_or(default.durability),
        rotate_bytes: table
            .integer("rotate_bytes", 65_536..=1 << 40)
            .unwrap_or(default.rotate_bytes),
        rotate_every: table.duration("rotate_every", default.rotate_every),
        keep: table.integer("keep", 2..=1_000_000),
        head_every_records: table
            .integer("head_every_records", 1..=4096)
            .unwrap_or(default.head_every_records),
        head_every: table.duration("head_every", default.head_every),
        timeout: table.duration("timeout", default.timeout),
        syslog: table.text("syslog").map(|path| around.resolve(path)),
        stdout: table.boolean("stdout", default.stdout),
        evaluations: table
            .parse("evaluations", |text| match text {
                "denials" => Ok(false),
                "all" => Ok(true),
                _ => Err("denials or all is wanted"),
            })
            .unwrap_or(default.evaluations),
        directory: default.directory,
    };
    directory.map(|_| options)
}

/// Each key, and whether it differs. No log is compared as one with defaults in no directory.
pub(super) fn changed(one: Option<&Options>, other: Option<&Options>) -> [(&'static str, bool); 12] {
    let none = Options::new(PathBuf::new());
    let (one, other) = (one.unwrap_or(&none), other.unwrap_or(&none));
    [
        ("audit.directory", one.directory != other.directory),
        ("audit.names", one.hashed_names != other.hashed_names),
        ("audit.durability", one.durability != other.durability),
        ("audit.rotate_bytes", one.rotate_bytes != other.rotate_bytes),
        ("audit.rotate_every", one.rotate_every != other.rotate_every),
        ("audit.keep", one.keep != other.keep),
        (
            "audit.head_every_records",
            one.head_every_records != other.head_every_records,
        ),
        ("audit.head_every", one.head_every != other.head_every),
        ("audit.timeout", one.timeout != other.timeout),
        ("audit.syslog", one.syslog != other.syslog),
        ("audit.stdout", one.stdout != other.stdout),
        ("audit.evaluations", one.evaluations != other.evaluations),
    ]
}
