//! Two changes of one document: owns telling what both did, by keys and never by values, and
//! bringing two texts together. It must not know how either came about.

use std::fmt::Write as _;

use strongroom_core::config::{Differs, Key};
use strongroom_core::name::{EntryPath, EnvironmentName};
use strongroom_core::secret::Secret;

use crate::open::Opened;
use crate::output::{CHANGED, FAINT, REMOVED, harmless};

/// What they did and what you did, from the same beginning.
pub(crate) fn three_way(
    opened: &Opened,
    (environment, path): (&EnvironmentName, &EntryPath),
    theirs: &[(Key, Differs)],
    mine: &[(Key, Differs)],
) -> String {
    let last = opened.vault.history(Some((environment, path)), 1);
    let by = last.ok().and_then(|past| {
        let past = past.into_iter().next()?;
        Some(format!(
            "{} in revision {}",
            harmless(&past.author),
            past.revision
        ))
    });
    let by = by.unwrap_or_else(|| "somebody else".to_owned());
    let mut text = format!("{environment} {path} was changed by {by} meanwhile:\n");
    let meet = |key: &Key, others: &[(Key, Differs)]| {
        others
            .iter()
            .any(|(other, _)| other.holds(key) || key.holds(other))
    };
    for (who, all, others) in [("theirs", theirs, mine), ("yours", mine, theirs)] {
        for (key, differs) in all {
            let (style, both) = match meet(key, others) {
                true => (REMOVED, "  (both)"),
                false => (CHANGED, ""),
            };
            let (sign, key) = (differs.sign(), harmless(&key.to_string()));
            let _ = writeln!(
                text,
                "  {style}{sign}{style:#} {FAINT}{who:<6}{FAINT:#} {key}{both}"
            );
        }
    }
    text
}

/// Two texts that began as one.
#[derive(Debug)]
pub(crate) enum Merged {
    /// Both changes, none of which met.
    Clean(Secret),
    /// Both changes, with marks where they met.
    Marked(Secret),
}

/// Brings `mine` and `theirs` together, line by line; nothing when one of them is not UTF-8.
pub(crate) fn merge(base: &Secret, mine: &Secret, theirs: &Secret) -> Option<Merged> {
    base.expose(|base| {
        mine.expose(|mine| {
            theirs.expose(|theirs| {
                let text = |bytes| std::str::from_utf8(bytes).ok();
                Some(match diffy::merge(text(base)?, text(mine)?, text(theirs)?) {
                    Ok(clean) => Merged::Clean(Secret::new(clean.into_bytes())),
                    Err(marked) => Merged::Marked(Secret::new(marked.into_bytes())),
                })
            })
        })
    })
}
