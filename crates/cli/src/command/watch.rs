//! `watch`: prints changes as they are committed, by whatever process.

use serde::Serialize;
use strongroom_core::name::{EntryPath, EnvironmentName};
use strongroom_core::snapshot::Changed;
use strongroom_core::vault::{Event, Revised};

use crate::change::{ChangedJson, changed_line};
use crate::context::Context;
use crate::error::CliError;
use crate::open::{self, Opened};
use crate::output::{self, STRONG};

const EXAMPLES: &str = "\
With --json every event is one line. A refused revision is reported and the last good one stays.

Examples:
  strongroom watch
  strongroom watch prod --prefix web --json
  strongroom watch prod --once && systemctl reload web";

/// Print changes as they come
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Only changes of this environment
    #[arg(value_name = "ENV")]
    environment: Option<EnvironmentName>,
    /// Only entries at or below this path
    #[arg(long, short = 'p', value_name = "PATH")]
    prefix: Option<EntryPath>,
    /// End after the first change
    #[arg(long)]
    once: bool,
}

#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum EventJson {
    Revision {
        revision: u64,
        from: u64,
        changes: Vec<ChangedJson>,
    },
    Refused {
        reason: String,
    },
    StoreLost {
        since: String,
        reason: String,
    },
    StoreBack,
    Lagged,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let opened = open::reader(&context.settings)?;
    let snapshot = opened.vault.snapshot();
    // A name that is not there would wait for ever without a word.
    if let Some(environment) = &args.environment {
        snapshot.layers(environment)?;
    }
    let mut watch = opened.vault.watch();
    opened.vault.follow()?;
    output::note(&format!(
        "watching {} from revision {}\n",
        opened.vault.location(),
        snapshot.revision()
    ));
    while let Some(event) = watch.next_blocking() {
        let shown = show(args, context, &opened, event)?;
        if shown && args.once {
            break;
        }
    }
    Ok(())
}

/// Prints an event; true when it was a change that is watched for.
fn show(args: &Args, context: &Context, opened: &Opened, event: Event) -> Result<bool, CliError> {
    let (json, text) = match event {
        Event::Revised(revised) => {
            opened.remember();
            return show_revision(args, context, opened, &revised);
        }
        Event::Refused { reason } => {
            let text = format!("refused, the last good revision stays: {reason}");
            (
                EventJson::Refused {
                    reason: reason.to_string(),
                },
                text,
            )
        }
        Event::StoreLost { since, reason } => {
            let since = since.to_string();
            let text = format!("the store is out of reach since {since}: {reason}");
            (
                EventJson::StoreLost {
                    since,
                    reason: reason.to_string(),
                },
                text,
            )
        }
        Event::StoreBack => (EventJson::StoreBack, "the store is back".to_owned()),
        Event::Lagged => (
            EventJson::Lagged,
            "some changes were missed: look with `strongroom history`".to_owned(),
        ),
    };
    if context.output.json {
        context.output.json_line(&json)?;
    } else {
        output::warn(&text);
    }
    Ok(false)
}

fn show_revision(
    args: &Args,
    context: &Context,
    opened: &Opened,
    revised: &Revised,
) -> Result<bool, CliError> {
    let Revised {
        revision,
        from,
        changes,
    } = revised;
    let layers = match &args.environment {
        Some(environment) => Some(opened.vault.snapshot().layers(environment)?),
        None => None,
    };
    let watched = |changed: &&Changed| {
        let seen = layers.as_ref().is_none_or(|layers| {
            let nearest = layers.first() == Some(&changed.environment);
            nearest || (changed.kind.is_inherited() && layers.contains(&changed.environment))
        });
        seen && args
            .prefix
            .as_ref()
            .is_none_or(|prefix| changed.path.is_under(prefix))
    };
    let changes: Vec<&Changed> = changes.iter().filter(watched).collect();
    if changes.is_empty() {
        return Ok(false);
    }
    if context.output.json {
        context.output.json_line(&EventJson::Revision {
            revision: revision.0,
            from: from.0,
            changes: changes.into_iter().map(Into::into).collect(),
        })?;
    } else {
        let mut text = format!("{STRONG}revision {revision}{STRONG:#}\n");
        for changed in changes {
            text.push_str(&format!("  {}\n", changed_line(changed)));
        }
        context.output.text(&text)?;
    }
    Ok(true)
}
