//! The keys as they are shown: owns the documented example and the reference in the
//! documentation. It must not know a key by itself.

use std::fmt::Write as _;

use super::keys::Absent::{Required, Value, Words};
use super::keys::{TABLES, of};

/// A settings file that documents every key: what must be given is given, the rest is a comment.
#[must_use]
pub fn example() -> String {
    let mut out = String::from(
        "# Settings of strongroom-sidecar. Every key is shown; those in comments have the value shown.\n",
    );
    for (table, doc) in TABLES {
        let optional = matches!(*table, "listener" | "audit" | "files" | "process");
        let comment = if optional { "# " } else { "" };
        let _ = writeln!(out, "\n# {doc}");
        match *table {
            "" => {}
            "files" => out.push_str("# [[files]]\n"),
            _ => {
                let _ = writeln!(out, "{comment}[{table}]");
            }
        }
        for key in of(table) {
            let (comment, note) = match key.default {
                Required => (comment, "required".to_owned()),
                Value(value) => ("# ", format!("default: {value}")),
                Words(words) => ("# ", format!("default: {words}")),
            };
            let _ = writeln!(out, "# {} ({note})", key.doc);
            let _ = writeln!(out, "{comment}{} = {}", key.name, key.example);
        }
    }
    out
}

/// The reference for the documentation, as Markdown.
#[must_use]
pub fn reference() -> String {
    let mut out = String::new();
    for (table, doc) in TABLES {
        let title = match *table {
            "" => "Top level".to_owned(),
            "files" => "`[[files]]`".to_owned(),
            _ => format!("`[{table}]`"),
        };
        let _ = writeln!(out, "### {title}\n\n{doc}\n");
        out.push_str("| key | default | meaning |\n| --- | --- | --- |\n");
        for key in of(table) {
            let default = match key.default {
                Required => "required".to_owned(),
                Value(value) => format!("`{value}`"),
                Words(words) => words.to_owned(),
            };
            let restart = if key.restart {
                " A change needs a restart."
            } else {
                ""
            };
            let _ = writeln!(
                out,
                "| `{}` | {default} | {}{restart} Example: `{}` |",
                key.name, key.doc, key.example
            );
        }
        out.push('\n');
    }
    out
}
