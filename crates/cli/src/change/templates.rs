//! What a change makes of templates: owns finding those that it may reach, and rendering each in memory as it was and
//! as it would be. It says no value, and writes nothing.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use anstyle::Style;
use serde::Serialize;
use strongroom_core::id::Revision;
use strongroom_core::kind::Kind;
use strongroom_core::name::{EntryPath, EnvironmentName};
use strongroom_core::secret::Secret;
use strongroom_core::snapshot::{Changed, Snapshot, governed_by, is_below_set, is_flag_set};
use strongroom_core::template::Template;
use strongroom_core::vault::{Change, CommitError, Edit};

use crate::open::Opened;
use crate::output::{self, ADDED, CHANGED, FAINT, REMOVED, harmless};
use crate::source::{self, Unrendered, Values};

/// Most templates that are rendered for one change.
const MAX_RENDERED: usize = 100;

/// What becomes of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    /// It gives the same text.
    Same,
    /// It gives another one.
    Changed,
    /// It renders, and was not there or is not known as it was.
    New,
    /// It renders, and did not.
    Mended,
    /// It does not render, and did.
    Broken,
    /// It does not render, and did not or was not there.
    Unrendered,
    /// This member cannot tell.
    Unknown,
}

/// A template that a change may reach, in one environment.
#[derive(Debug, Serialize)]
pub(super) struct Reached {
    environment: String,
    path: String,
    outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// The templates that `change` would reach.
pub(super) fn foreseen(opened: &Opened, change: &Change) -> Result<Vec<Reached>, CommitError> {
    let before = opened.vault.snapshot();
    let puts =
        |edit: &Edit| matches!(edit, Edit::Put(put) if put.kind == Kind::Config && put.path.is_template());
    let has_any = before.all_entries().any(|entry| entry.path.is_template()) || change.edits.iter().any(puts);
    if !has_any {
        return Ok(Vec::new());
    }
    let Some((after, changes)) = opened.vault.foreseen(change)? else {
        return Ok(Vec::new());
    };
    // nobody has stored what would be
    let revision = before.revision();
    let after = Arc::new(after);
    let snapshots = [(&before, revision), (&after, revision)];
    Ok(reached(opened, snapshots, &changes, "plan"))
}

/// Whoever commits should know what can be rendered no more: a sidecar that delivers it serves nothing newer.
pub(super) fn warn_of_broken(
    opened: &Opened,
    (before, after): (&Arc<Snapshot>, &Arc<Snapshot>),
    changes: &[Changed],
) {
    let snapshots = [before, after].map(|snapshot| (snapshot, snapshot.revision()));
    let reached = reached(opened, snapshots, changes, "commit");
    for one in reached.iter().filter(|one| one.outcome == Outcome::Broken) {
        let environment = &one.environment;
        output::note(&format!(
            "warning: sidecars of {environment} that deliver {} hold back every revision since it {}: \
             `strongroom template check {environment}`",
            one.path,
            harmless(&one.said())
        ));
    }
}

/// The templates that `changes` may reach, in every environment that sees these, as before and after them. Reads are
/// recorded for `command`, each with the revision that stands beside the snapshot.
fn reached(
    opened: &Opened,
    [before, after]: [(&Arc<Snapshot>, Revision); 2],
    changes: &[Changed],
    command: &'static str,
) -> Vec<Reached> {
    let mut all = Vec::new();
    for environment in after.0.environments() {
        let name = environment.name;
        let reach = Reach::of((before.0, after.0), &name, changes);
        if reach.paths.is_empty() {
            continue;
        }
        let paths = source::templates(after.0, &name).unwrap_or_default();
        let paths = paths.into_iter().filter(|path| reach.has_template(path));
        let values = |of| Values::of(opened, of, &name, command);
        let (was, will) = (values(before), values(after));
        for path in paths {
            let (outcome, error) = match all.len() {
                0..MAX_RENDERED => {
                    let is_new = before.0.entry(&name, &path).is_err();
                    let was = (!is_new).then(|| was.rendered(&path));
                    outcome(was, will.rendered(&path))
                }
                _ => (Outcome::Unknown, Some(LEFT_OUT.to_owned())),
            };
            all.push(Reached {
                environment: name.to_string(),
                path: path.to_string(),
                outcome,
                error,
            });
        }
    }
    all
}

/// Why the rest is not rendered.
const LEFT_OUT: &str = "a plan renders so many templates at most";

type Rendered = Result<Secret, Unrendered>;

fn outcome(was: Option<Rendered>, will: Rendered) -> (Outcome, Option<String>) {
    let (was, will) = match (was, will) {
        (_, Err(error)) if !error.is_known => return (Outcome::Unknown, Some(error.said)),
        (Some(Err(error)), will) if !error.is_known => (None, will),
        both => both,
    };
    match (was, will) {
        (Some(Ok(was)), Ok(will)) if was.len() == will.len() && was.same_as(&will) => (Outcome::Same, None),
        (Some(Ok(_)), Ok(_)) => (Outcome::Changed, None),
        (Some(Err(_)), Ok(_)) => (Outcome::Mended, None),
        (None, Ok(_)) => (Outcome::New, None),
        (Some(Ok(_)), Err(error)) => (Outcome::Broken, Some(error.said)),
        (Some(Err(_)) | None, Err(error)) => (Outcome::Unrendered, Some(error.said)),
    }
}

/// What of a change an environment sees.
struct Reach<'a> {
    snapshots: (&'a Arc<Snapshot>, &'a Arc<Snapshot>),
    environment: &'a EnvironmentName,
    /// What changed, and documents that a schema governs which did.
    paths: BTreeSet<EntryPath>,
    /// Sets of flags that changed; whatever lies at such a path hides the one of a parent.
    sets: Vec<EntryPath>,
}

impl<'a> Reach<'a> {
    fn of(
        snapshots: (&'a Arc<Snapshot>, &'a Arc<Snapshot>),
        environment: &'a EnvironmentName,
        changes: &[Changed],
    ) -> Self {
        let (before, after) = snapshots;
        let mut layers = after.layers(environment).unwrap_or_default();
        layers.extend(before.layers(environment).unwrap_or_default());
        let mut reach = Self {
            snapshots,
            environment,
            paths: BTreeSet::new(),
            sets: Vec::new(),
        };
        for change in changes {
            let is_seen = match change.kind {
                Kind::Secret => change.environment == *environment,
                _ => layers.contains(&change.environment),
            };
            if !is_seen {
                continue;
            }
            if is_flag_set(&change.path) {
                reach.sets.push(change.path.clone());
            }
            reach.paths.extend(governed_by(change.kind, &change.path));
            reach.paths.insert(change.path.clone());
        }
        reach
    }

    /// Whether the template itself changed, or something that it asks for or may ask for.
    fn has_template(&self, path: &EntryPath) -> bool {
        if self.paths.contains(path) {
            return true;
        }
        // its names alone: what it renders to is opened by whoever renders it
        let Ok(reading) = self.snapshots.1.read(self.environment, path) else {
            return false;
        };
        let parsed = reading.value.expose(|text| Template::parse(path.as_str(), text));
        let asks = parsed.ok().and_then(|template| template.asks_for());
        asks.is_none_or(|asks| asks.iter().any(|path| self.has(path)))
    }

    fn has(&self, path: &str) -> bool {
        let Ok(path) = EntryPath::new(path) else {
            return false;
        };
        self.paths.contains(&path)
            || self.sets.iter().any(|set| is_below_set(&path, set))
            || self.refers(self.snapshots.0, &path)
            || self.refers(self.snapshots.1, &path)
    }

    /// Whether it is a document with a secret in it that changed.
    fn refers(&self, snapshot: &Snapshot, path: &EntryPath) -> bool {
        let Ok(entry) = snapshot.entry(self.environment, path) else {
            return false;
        };
        let secrets = snapshot.secrets_in(self.environment, &entry);
        secrets.is_ok_and(|secrets| secrets.iter().any(|secret| self.paths.contains(&secret.path)))
    }
}

impl Reached {
    fn said(&self) -> String {
        let error = self.error.as_deref().unwrap_or_default();
        match self.outcome {
            Outcome::Same => "renders as before".to_owned(),
            Outcome::Changed => "gives another text".to_owned(),
            Outcome::New => "renders".to_owned(),
            Outcome::Mended => "can be rendered again".to_owned(),
            Outcome::Broken => format!("cannot be rendered any more: {error}"),
            Outcome::Unrendered => format!("cannot be rendered: {error}"),
            Outcome::Unknown => format!("is not known: {error}"),
        }
    }

    fn sign(&self) -> (Style, char) {
        match self.outcome {
            Outcome::Same => (FAINT, '='),
            Outcome::Changed => (CHANGED, '~'),
            Outcome::New | Outcome::Mended => (ADDED, '+'),
            Outcome::Broken | Outcome::Unrendered => (REMOVED, '!'),
            Outcome::Unknown => (FAINT, '?'),
        }
    }
}

/// The same as lines of a plan.
pub(super) fn lines(reached: &[Reached]) -> String {
    let mut text = String::new();
    if !reached.is_empty() {
        text.push_str("Templates that may use it:\n");
    }
    for one in reached.iter().take(MAX_RENDERED) {
        let (style, sign) = one.sign();
        let line = format!("{} {}  {}", one.environment, one.path, one.said());
        let _ = writeln!(text, "  {style}{sign}{style:#} {}", harmless(&line));
    }
    if reached.len() > MAX_RENDERED {
        let more = reached.len() - MAX_RENDERED;
        let _ = writeln!(
            text,
            "  and {more} more are not rendered: `strongroom template check` renders all of an environment"
        );
    }
    text
}
