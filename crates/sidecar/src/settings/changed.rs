//! What differs between two plans of injections: owns naming the keys, never their values. It must
//! not know what follows from it.

use super::{Files, Made, Process, Selection, What};

/// The keys that differ, as they are called in `new`. A directory is the same under another number.
pub(super) fn files(old: &[Files], new: &[Files]) -> Vec<String> {
    let mut keys = Vec::new();
    for (at, files) in new.iter().enumerate() {
        let Some(before) = old.iter().find(|old| old.directory == files.directory) else {
            keys.push(format!("files[{at}] (new)"));
            continue;
        };
        let Files {
            directory: _,
            selection,
            names,
            made,
            mode,
            uid,
            gid,
            on_change,
        } = files;
        let more = [
            (
                "names",
                *names != before.names || named_made(made) != named_made(&before.made),
            ),
            ("keys", by_key(made) != by_key(&before.made)),
            ("mode", *mode != before.mode),
            ("owner", *uid != before.uid),
            ("group", *gid != before.gid),
            ("on_change", *on_change != before.on_change),
        ];
        keys.extend(named(&format!("files[{at}]"), selection, &before.selection, more));
    }
    let there = |old: &&Files| new.iter().any(|new| new.directory == old.directory);
    let gone = old.iter().filter(|old| !there(old)).count();
    if gone > 0 {
        keys.push(format!("files ({gone} gone)"));
    }
    keys
}

/// The same of the process.
pub(super) fn process(old: Option<&Process>, new: Option<&Process>) -> Vec<String> {
    let (old, new) = match (old, new) {
        (None, None) => return Vec::new(),
        (None, Some(_)) => return vec!["process (new)".to_owned()],
        (Some(_), None) => return vec!["process (gone)".to_owned()],
        (Some(old), Some(new)) => (old, new),
    };
    let Process {
        command,
        selection,
        env,
        made,
        on_change,
        command_limit,
        restart,
        clean_env,
        grace,
    } = new;
    let more = [
        ("command", *command != old.command),
        (
            "env",
            *env != old.env || named_made(made) != named_made(&old.made),
        ),
        ("keys", by_key(made) != by_key(&old.made)),
        ("on_change", *on_change != old.on_change),
        ("command_limit", *command_limit != old.command_limit),
        ("restart", *restart != old.restart),
        ("clean_env", *clean_env != old.clean_env),
        ("grace", *grace != old.grace),
    ];
    named("process", selection, &old.selection, more).collect()
}

fn named_made(made: &[Made]) -> Vec<&Made> {
    made.iter()
        .filter(|made| !matches!(made.what, What::Keys(_)))
        .collect()
}

fn by_key(made: &[Made]) -> Vec<&Made> {
    made.iter()
        .filter(|made| matches!(made.what, What::Keys(_)))
        .collect()
}

fn named(
    table: &str,
    new: &Selection,
    old: &Selection,
    more: impl IntoIterator<Item = (&'static str, bool)>,
) -> impl Iterator<Item = String> {
    let Selection {
        prefix,
        derive,
        required,
    } = new;
    [
        ("prefix", *prefix != old.prefix),
        ("derive", *derive != old.derive),
        ("required", *required != old.required),
    ]
    .into_iter()
    .chain(more)
    .filter(|(_, changed)| *changed)
    .map(move |(key, _)| format!("{table}.{key}"))
}
