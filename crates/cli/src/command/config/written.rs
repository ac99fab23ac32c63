//! The document that a command changes: owns reading it as it is, the plan by its keys, and what
//! happens when somebody else was first. It must not know how a command makes the new one.

use std::sync::Arc;

use serde_json::Value;
use strongroom_core::config::{self, Differs, Format, Key};
use strongroom_core::id::Version;
use strongroom_core::name::{EntryPath, EnvironmentName};
use strongroom_core::secret::Secret;
use strongroom_core::snapshot::{Entry, Kind, Snapshot};
use strongroom_core::vault::{Change, CommitError, Edit, Expect, Put};

use super::check::newly_deprecated;
use crate::change::{self, ChangeOptions, Plan};
use crate::context::Context;
use crate::error::CliError;
use crate::open::Opened;
use crate::{output, prompt};

/// How often a change is made anew when others are first.
const ATTEMPTS: usize = 8;

/// Which document.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) environment: EnvironmentName,
    pub(super) path: EntryPath,
}

/// A document as it is, and what its environment sees behind it.
#[derive(Debug)]
pub(super) struct Found {
    snapshot: Arc<Snapshot>,
    /// The environment's own entry.
    own: Option<Arc<Entry>>,
    /// The format that a new document gets: that of the nearest parent's, else TOML.
    pub(super) format: Format,
    /// The environment's own text; empty when there is none.
    pub(super) text: Secret,
    /// The layers of its parents, nearest first.
    pub(super) behind: Vec<Value>,
}

impl Found {
    fn at(snapshot: Arc<Snapshot>, place: &Place) -> Result<Self, CliError> {
        snapshot.layers(&place.environment)?;
        let mut layers = match snapshot.entry(&place.environment, &place.path) {
            Ok(_) => snapshot.config_layers(&place.environment, &place.path)?,
            Err(_) => Vec::new(),
        };
        let format = layers.first().map_or(Format::Toml, |(entry, _)| entry.format);
        let is_own = layers
            .first()
            .is_some_and(|(entry, _)| entry.environment == place.environment);
        let (own, text) = match is_own {
            true => {
                let (entry, text) = layers.remove(0);
                (Some(entry), text)
            }
            false => (None, Secret::new(Vec::new())),
        };
        let behind = layers.iter().map(|(entry, value)| {
            let read = value.expose(|bytes| config::layer(entry.format, bytes));
            read.map_err(|problem| {
                CliError::failed(format!("{} in {}: {problem}", place.path, entry.environment))
            })
        });
        Ok(Self {
            behind: behind.collect::<Result<_, _>>()?,
            snapshot,
            own,
            format,
            text,
        })
    }

    /// The own document; an empty one when there is none, or when it cannot be read.
    pub(super) fn document(&self) -> Value {
        let read = |bytes: &[u8]| config::layer(self.format, bytes).ok();
        let empty = || Value::Object(serde_json::Map::new());
        self.text
            .expose(read)
            .filter(|_| self.own.is_some())
            .unwrap_or_else(empty)
    }

    fn entry(&self) -> (Option<u64>, Version) {
        let own = self.own.as_deref();
        (
            own.map(|entry| entry.changed_at().0),
            own.map_or(Version(0), |entry| entry.version),
        )
    }
}

/// The new document of a change: its format and bytes.
pub(super) type Written = (Format, Secret);

/// Shows the plan, asks where a person is there, and commits what `write` makes of the document as it is.
/// When somebody else changed it meanwhile it is made anew, unless both changed the same keys.
pub(super) fn carry_out(
    context: &Context,
    opened: &Opened,
    place: &Place,
    (options, expected): (&ChangeOptions, Option<Version>),
    mut write: impl FnMut(&Found) -> Result<Written, CliError>,
) -> Result<(), CliError> {
    let mut found = Found::at(opened.vault.snapshot(), place)?;
    let mut is_agreed = options.dry_run || !prompt::is_attended(options.yes)?;
    for _ in 0..ATTEMPTS {
        opened.record(
            (&place.environment, found.snapshot.revision()),
            found.own.as_deref(),
            "config",
        )?;
        let (format, text) = write(&found)?;
        let after = text.expose(|bytes| config::layer(format, bytes)).ok();
        let differing = after
            .as_ref()
            .map(|after| config::differing(&found.document(), after))
            .unwrap_or_default();
        warn_of_types(&found, after.as_ref(), &differing);
        if let Some(after) = &after {
            let entry = (&place.environment, &place.path);
            for key in newly_deprecated(&found.snapshot, entry, &differing, after) {
                output::warn(&format!("`{key}` is deprecated by the schema"));
            }
        }
        let expect = match (expected, found.own.as_deref()) {
            (Some(version), _) => Expect::Version(version),
            (None, None) => Expect::Absent,
            (None, Some(entry)) => Expect::Revision(entry.changed_at()),
        };
        let change = options.change(vec![Edit::Put(Put {
            environment: place.environment.clone(),
            path: place.path.clone(),
            kind: Kind::Config,
            value: text,
            format,
            labels: None,
            compartment: None,
            expect,
        })]);
        let keys = signed(&differing);
        let outcome = attempt(context, opened, &change, (options, &mut is_agreed), &keys);
        let Err(Refusal::Stale(error)) = outcome else {
            return outcome.map_err(Refusal::into_error);
        };
        let theirs = Found::at(opened.vault.refresh()?, place)?;
        if expected.is_some() || theirs.entry() == found.entry() {
            return Err(error.into());
        }
        check_conflict(opened, place, (&found, &theirs), &differing)?;
        found = theirs;
    }
    Err(CliError::failed(
        "other writers were first again and again: nothing was changed",
    ))
}

/// Why an attempt came to nothing.
enum Refusal {
    /// Somebody else was first.
    Stale(CommitError),
    Other(CliError),
}

impl Refusal {
    fn into_error(self) -> CliError {
        match self {
            Self::Stale(error) => error.into(),
            Self::Other(error) => error,
        }
    }
}

impl From<CommitError> for Refusal {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Stale { .. } => Self::Stale(error),
            other => Self::Other(other.into()),
        }
    }
}

impl From<CliError> for Refusal {
    fn from(error: CliError) -> Self {
        Self::Other(error)
    }
}

fn attempt(
    context: &Context,
    opened: &Opened,
    change: &Change,
    (options, is_agreed): (&ChangeOptions, &mut bool),
    keys: &[String],
) -> Result<(), Refusal> {
    if options.dry_run {
        return Ok(Plan::of(opened, change)?.report(context, keys)?);
    }
    if !*is_agreed {
        let plan = Plan::of(opened, change)?;
        if plan.changes_entries() {
            output::note(&plan.text(&change::key_lines(keys)));
            if !prompt::confirm("Commit this?")? {
                return Err(CliError::failed("nothing was changed").into());
            }
        }
        *is_agreed = true;
    }
    let receipt = change::commit(opened, change)?;
    Ok(change::report(context, change, &receipt)?)
}

fn signed(differing: &[(Key, Differs)]) -> Vec<String> {
    let line = |(key, differs): &(Key, Differs)| format!("{} {key}", differs.sign());
    differing.iter().map(line).collect()
}

/// What replaces a value of another type may be meant so; it may also be a slip of the hand.
fn warn_of_types(found: &Found, after: Option<&Value>, differing: &[(Key, Differs)]) {
    let Some(after) = after else { return };
    let mut layers = vec![after.clone()];
    layers.extend(found.behind.iter().cloned());
    let retyped = config::origins(&layers)
        .into_iter()
        .filter(|origin| origin.layer == 0 && origin.retyped.is_some())
        .map(|origin| origin.key)
        .filter(|key| differing.iter().any(|(changed, _)| changed.holds(key)));
    for key in retyped {
        output::warn(&format!(
            "`{key}` has another type than a parent gives it: what the parent has there is replaced"
        ));
    }
}

/// Two changes of the same keys are no longer what was agreed to.
fn check_conflict(
    opened: &Opened,
    place: &Place,
    (base, theirs): (&Found, &Found),
    mine: &[(Key, Differs)],
) -> Result<(), CliError> {
    let changed = config::differing(&base.document(), &theirs.document());
    let both = |key: &Key| {
        changed
            .iter()
            .any(|(other, _)| other.holds(key) || key.holds(other))
    };
    if base.format == theirs.format && !mine.iter().any(|(key, _)| both(key)) {
        return Ok(());
    }
    output::note(&crate::conflict::three_way(
        opened,
        (&place.environment, &place.path),
        &changed,
        mine,
    ));
    Err(
        CliError::failed("somebody else changed the same keys: nothing was changed")
            .hint("look at what they did, then run this again"),
    )
}
