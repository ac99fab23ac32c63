//! `edit`: opens one value in an editor, on a file in memory that is wiped afterwards.

use std::path::PathBuf;

use strongroom_core::config::{self, Format};
use strongroom_core::name::{EntryPath, EnvironmentName};
use strongroom_core::secret::Secret;
use strongroom_core::snapshot::{Entry, Kind, Snapshot};
use strongroom_core::vault::{Change, CommitError, Edit, Expect, Put, Receipt};

use super::put::EntryOptions;
use crate::change::{self, ChangeOptions, Plan};
use crate::conflict::{self, Merged};
use crate::context::{Context, Target};
use crate::editor::{Editor, Scratch};
use crate::error::CliError;
use crate::open::{self, Opened};
use crate::{output, prompt};

const EXAMPLES: &str = "\
The text lies in a private directory in memory (XDG_RUNTIME_DIR or /dev/shm), which is overwritten
and removed when the editor ends, and on signals. An unchanged text changes nothing. A final newline
that the editor adds to a value that had none is taken off. When somebody else was first, what both
did is shown by keys, and both are brought together in the editor. When the text cannot be committed
it is kept, and where it lies is said.

Examples:
  strongroom edit prod web/app
  VISUAL='code --wait' strongroom edit prod web/new-ui --kind flag";

/// Edit a value in $VISUAL or $EDITOR
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) entry: EntryOptions,
    /// Edit in this directory where nothing in memory is there: the text may stay on its disk
    #[arg(long, value_name = "DIR")]
    pub(crate) insecure_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) change: ChangeOptions,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let (environment, path) = args.target.resolve(context)?;
    let editor = Editor::of_environment()?;
    let opened = open::writer(&context.settings)?;
    let snapshot = opened.vault.snapshot();
    let seen = snapshot.entry(&environment, &path).ok();
    let seen = seen.as_deref();
    let own = seen.filter(|entry| entry.environment == environment);
    let kind = args.entry.kind(seen);
    let format = args.entry.format(kind, seen, None)?;
    // What can be refused before anybody has worked on the text.
    let labels = args.entry.labels(own)?;
    let attended = !args.change.dry_run && prompt::is_attended(args.change.yes)?;
    let mut before = starting_text(&opened, &snapshot, (seen, own), &environment, format)?;
    let mut own = own.cloned();
    if before.expose(|bytes| std::str::from_utf8(bytes).is_err()) {
        return Err(
            CliError::failed("the value is not text").hint("put a new one with `strongroom put --file`")
        );
    }
    if let Some(dir) = &args.insecure_dir {
        output::warn(&format!(
            "the text may stay readable on the disk of {}",
            dir.display()
        ));
    }
    let name = match (kind, format) {
        (Kind::Flag | Kind::Schema, _) | (_, Format::Json) => "value.json",
        (_, Format::Toml) => "value.toml",
        (Kind::Policy, _) => "value.cedar",
        _ => "value.txt",
    };
    let scratch = Scratch::new(args.insecure_dir.as_deref(), name, &before)?;
    loop {
        scratch.edit(&editor)?;
        let edited = scratch.read()?;
        let is_unchanged = match &own {
            Some(own) => !args.entry.changes(own, kind, format, labels.as_ref()),
            None => edited.is_empty(),
        };
        if is_unchanged && edited.same_as(&before) {
            scratch.wipe();
            let json = serde_json::json!({"committed": false, "revision": snapshot.revision().0});
            return context.output.answer(&json, "unchanged: nothing was committed\n");
        }
        let put = Put {
            environment: environment.clone(),
            path: path.clone(),
            kind,
            value: without_added_newline(edited, &before, kind),
            format,
            labels: labels.clone(),
            compartment: args.entry.compartment.clone(),
            expect: own
                .as_ref()
                .map_or(Expect::Absent, |entry| Expect::Revision(entry.changed_at())),
        };
        let change = args.change.change(vec![Edit::Put(put)]);
        match attempt(&opened, &change, attended, args.change.dry_run, &scratch)? {
            Next::EditAgain => {}
            Next::BringTogether(error) => {
                let place = (&environment, &path, kind, format);
                let theirs = newest(&opened, place)?;
                match bring_together(&opened, place, (&before, theirs), attended, &scratch)? {
                    Some((text, entry)) => (before, own) = (text, Some(entry)),
                    None => return Err(kept(error.into(), &scratch)),
                }
            }
            Next::Planned(plan) => {
                scratch.wipe();
                return plan.report(context, &[]);
            }
            Next::Committed(receipt) => {
                scratch.wipe();
                return change::report(context, &change, &receipt);
            }
        }
    }
}

enum Next<'a> {
    EditAgain,
    /// Somebody else was first.
    BringTogether(CommitError),
    Planned(Plan<'a>),
    Committed(Receipt),
}

/// Commits, or asks what to do with a text that is refused. Work is never lost by an error.
fn attempt<'a>(
    opened: &'a Opened,
    change: &'a Change,
    attended: bool,
    dry_run: bool,
    scratch: &Scratch,
) -> Result<Next<'a>, CliError> {
    let plan = match Plan::of(opened, change) {
        Ok(plan) => plan,
        Err(error) => return refused(error, attended, scratch),
    };
    if dry_run {
        return Ok(Next::Planned(plan));
    }
    if attended {
        output::note(&plan.text(""));
        match prompt::choose("Commit this? [y]es, [e]dit again, [d]iscard", 'e')? {
            'y' => {}
            'd' => return Err(CliError::failed("discarded: nothing was changed")),
            _ => return Ok(Next::EditAgain),
        }
    }
    match change::commit(opened, change) {
        Ok(receipt) => Ok(Next::Committed(receipt)),
        Err(error) => refused(error, attended, scratch),
    }
}

fn refused<'a>(error: CommitError, attended: bool, scratch: &Scratch) -> Result<Next<'a>, CliError> {
    if matches!(error, CommitError::Stale { .. }) {
        return Ok(Next::BringTogether(error));
    }
    let can_be_mended = matches!(error, CommitError::Invalid { .. } | CommitError::Unfit { .. });
    let error = CliError::from(error);
    if attended && can_be_mended {
        output::show_error(&error, false);
        match prompt::choose("[e]dit again, [k]eep the text and end, [d]iscard it", 'e')? {
            'k' => {}
            'd' => return Err(CliError::failed("discarded: nothing was changed")),
            _ => return Ok(Next::EditAgain),
        }
    }
    Err(kept(error, scratch))
}

fn kept(error: CliError, scratch: &Scratch) -> CliError {
    let kept = scratch.keep().display();
    error.hint(format!(
        "your text is kept in {kept}: `strongroom put ENV PATH --file {kept}` stores it; then remove its directory"
    ))
}

type Place<'a> = (&'a EnvironmentName, &'a EntryPath, Kind, Format);

/// The own text as it is now, if that is still the same kind of thing.
fn newest(
    opened: &Opened,
    (environment, path, kind, format): Place<'_>,
) -> Result<Option<(Secret, Entry)>, CliError> {
    let snapshot = opened.vault.refresh()?;
    let now = snapshot
        .entry(environment, path)
        .ok()
        .filter(|entry| entry.environment == *environment && entry.kind == kind && entry.format == format);
    let Some(entry) = now else { return Ok(None) };
    opened.record((environment, snapshot.revision()), [&*entry], "edit")?;
    let text = snapshot.expose(&entry, |bytes| Secret::new(bytes.to_vec()))?;
    Ok(Some((text, Entry::clone(&entry))))
}

/// Shows what both did, and puts both into the scratch file to be looked at; nothing when there is
/// nobody to look, or no text to put together. Then what was edited stays as it is.
fn bring_together(
    opened: &Opened,
    (environment, path, kind, format): Place<'_>,
    (before, theirs): (&Secret, Option<(Secret, Entry)>),
    attended: bool,
    scratch: &Scratch,
) -> Result<Option<(Secret, Entry)>, CliError> {
    let Some((theirs, entry)) = theirs.filter(|_| kind != Kind::Secret) else {
        return Ok(None);
    };
    let mine = scratch.read()?;
    let document = |text: &Secret| {
        let format = if kind == Kind::Flag { Format::Json } else { format };
        let read = text.expose(|bytes| config::layer(format, bytes));
        read.unwrap_or_default()
    };
    let began = document(before);
    output::note(&conflict::three_way(
        opened,
        (environment, path),
        &config::differing(&began, &document(&theirs)),
        &config::differing(&began, &document(&mine)),
    ));
    let merged = match conflict::merge(before, &mine, &theirs) {
        Some(merged) if attended => merged,
        _ => return Ok(None),
    };
    let (text, what) = match merged {
        Merged::Clean(text) => (text, "both changes go together"),
        Merged::Marked(text) => (text, "where both changed the same lines stand marks"),
    };
    let question = format!("[e]dit both together ({what}), [k]eep your text and end, [d]iscard it");
    match prompt::choose(&question, 'e')? {
        'k' => Ok(None),
        'd' => Err(CliError::failed("discarded: nothing was changed")),
        _ => {
            scratch.write(&text)?;
            Ok(Some((theirs, entry)))
        }
    }
}

/// The own text, or what a new one begins with.
fn starting_text(
    opened: &Opened,
    snapshot: &Snapshot,
    (seen, own): (Option<&Entry>, Option<&Entry>),
    environment: &EnvironmentName,
    format: Format,
) -> Result<Secret, CliError> {
    let copy = |entry: &Entry| -> Result<Secret, CliError> {
        opened.record((environment, snapshot.revision()), [entry], "edit")?;
        Ok(snapshot.expose(entry, |bytes| Secret::new(bytes.to_vec()))?)
    };
    let Some(inherited) = seen.filter(|_| own.is_none()) else {
        return own.map_or_else(|| Ok(Secret::new(Vec::new())), copy);
    };
    let merges = inherited.kind == Kind::Config && format != Format::Text;
    if merges {
        output::note(&format!(
            "{} has this document; write here only the keys that differ, they are merged over it\n",
            inherited.environment
        ));
        return Ok(Secret::new(Vec::new()));
    }
    output::note(&format!(
        "{} has this entry; what is written here replaces it whole\n",
        inherited.environment
    ));
    copy(inherited)
}

/// Most editors end a file with a newline; a secret that had none must not gain one.
fn without_added_newline(edited: Secret, before: &Secret, kind: Kind) -> Secret {
    let had_none = if before.is_empty() {
        kind == Kind::Secret
    } else {
        before.expose(|bytes| bytes.last() != Some(&b'\n'))
    };
    edited
        .expose(|bytes| match bytes.strip_suffix(b"\n") {
            Some(rest) if had_none => Some(Secret::new(rest.to_vec())),
            _ => None,
        })
        .unwrap_or(edited)
}
