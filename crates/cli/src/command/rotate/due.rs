//! `rotate --check` and `--due`: owns which secrets are overdue. It must not know how one is rotated.

use serde_json::json;
use strongroom_core::ambient::{Ambient, Timestamp};
use strongroom_core::name::{EntryPath, EnvironmentName};
use strongroom_core::rotator::{Standing, StandingError};

use super::several::Several;
use super::{Options, drive};
use crate::context::Context;
use crate::error::{CliError, Exit};
use crate::open::{self, Opened};
use crate::output::{self, Table};

/// A secret that needs somebody.
pub(crate) struct Overdue {
    pub(crate) environment: EnvironmentName,
    pub(crate) path: EntryPath,
    what: What,
}

enum What {
    /// Since then.
    Since(Timestamp),
    /// A rotation was left behind.
    Left,
    /// It cannot be said.
    Unknown(CliError),
}

impl Overdue {
    /// Why, in words.
    pub(crate) fn words(&self) -> String {
        match &self.what {
            What::Since(at) => format!("overdue since {at}"),
            What::Left => "a rotation was left behind".into(),
            What::Unknown(error) => error.message.clone(),
        }
    }
}

pub(super) fn run(
    options: &Options,
    environment: Option<&EnvironmentName>,
    context: &Context,
) -> Result<u8, CliError> {
    let opened = if options.due {
        open::writer(&context.settings)?
    } else {
        open::reader(&context.settings)?
    };
    let found = overdue(&opened, environment)?;
    if options.check {
        answer(context, &found)?;
        return Ok(u8::from(!found.is_empty()));
    }
    let mut several = Several::default();
    for each in found {
        let (environment, path) = (each.environment.clone(), each.path.clone());
        // What came before may have taken long: somebody else may have done it.
        opened.vault.refresh()?;
        let found = overdue(&opened, Some(&environment))?;
        let Some(each) = found.into_iter().find(|other| other.path == path) else {
            continue;
        };
        let options = Options {
            resume: matches!(each.what, What::Left),
            ..options.clone()
        };
        let at = (&environment, &path);
        let done = match each.what {
            What::Unknown(error) => Err(error),
            _ => drive::run(context, &opened, at, &options),
        };
        several.took(context, at, done);
    }
    let (worst, ends) = several.end();
    if context.output.json {
        context.output.json(&json!({"rotations": ends}))?;
    }
    Ok(worst)
}

/// Secrets of `only`, or of all environments, that need somebody.
pub(crate) fn overdue(opened: &Opened, only: Option<&EnvironmentName>) -> Result<Vec<Overdue>, CliError> {
    let snapshot = opened.vault.snapshot();
    let now = Ambient::system().now();
    if let Some(only) = only {
        snapshot.layers(only)?;
    }
    let secrets: Vec<_> = snapshot
        .all_entries()
        .filter(|entry| Standing::is_of(entry) && only.is_none_or(|only| *only == entry.environment))
        .collect();
    let oldest = secrets.iter().map(|entry| entry.revision).min();
    let times = oldest.map(|oldest| opened.vault.times(oldest)).transpose()?;
    let times = times.unwrap_or_default();
    let mut found = Vec::new();
    for entry in secrets {
        let what = match Standing::of(&snapshot, entry, &times) {
            Err(StandingError::Rotation(error)) => Some(What::Unknown(error.into())),
            Err(StandingError::Plan(error)) => Some(What::Unknown(drive::no_plan(error))),
            Ok(Standing::Running(rotation)) => rotation.is_left(now).then_some(What::Left),
            Ok(Standing::Due(due)) => (due <= now).then_some(What::Since(due)),
            Ok(Standing::Unscheduled) => None,
        };
        found.extend(what.map(|what| Overdue {
            environment: entry.environment.clone(),
            path: entry.path.clone(),
            what,
        }));
    }
    // What was left behind may wait long for consumers.
    let key = |each: &Overdue| {
        let is_left = matches!(each.what, What::Left);
        (is_left, each.environment.clone(), each.path.clone())
    };
    found.sort_by_key(key);
    let damaged =
        |each: &Overdue| matches!(&each.what, What::Unknown(error) if error.exit == Exit::Integrity);
    if found.iter().any(damaged) {
        output::warn("something in the store does not open: run `strongroom verify`");
    }
    Ok(found)
}

fn answer(context: &Context, found: &[Overdue]) -> Result<(), CliError> {
    let mut table = Table::new(&["ENVIRONMENT", "PATH", "WHY"]);
    let mut list = Vec::new();
    for each in found {
        table.row(vec![
            each.environment.to_string(),
            each.path.to_string(),
            each.words(),
        ]);
        let since = match &each.what {
            What::Since(at) => Some(at.to_string()),
            _ => None,
        };
        list.push(json!({
            "environment": each.environment.as_str(), "path": each.path.as_str(),
            "why": each.words(), "due": since,
        }));
    }
    let text = if found.is_empty() {
        "nothing is overdue\n".into()
    } else {
        table.render()
    };
    context.output.answer(&json!({"overdue": list}), &text)
}
