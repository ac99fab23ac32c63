//! `rotate`: gives secrets new values without an outage. Owns the grammar and which of its ways is taken.

mod ask;
mod drive;
mod due;
mod exposed;
mod lock;
mod policy;
mod several;
mod show;

pub(crate) use due::overdue;
pub(crate) use exposed::exposed;

use crate::context::{Context, OptionalTarget};
use crate::error::CliError;
use crate::open::{self, Opened};

const EXAMPLES: &str = "\
A rotation makes a new value, has the program of the plan apply it at the target, tries it, delivers
it, gives consumers time, and only then ends the old one. Each decision is a commit: whoever dies
when, --resume goes on and --abort takes it back.

Exit codes: 0 done (with --abort: taken back), 1 failed and undone or not begun, 6 it stands halfway:
the target fails or consumers lag; both credentials are valid, go on with --resume or --abort.
With --check: 1 when a secret is overdue.

Example:
  strongroom rotate policy set prod web/password --every 30d --strategy overlap \\
    --generator password --target exec:/usr/local/libexec/rotate-web
  strongroom rotate prod web/password --plan
  strongroom rotate prod web/password
  strongroom rotate --check
  strongroom rotate --due --yes";

/// Give a secret a new value without an outage
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    target: OptionalTarget,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    #[command(subcommand)]
    Policy(policy::Command),
}

/// How a rotation is run.
#[derive(Debug, Clone, Default, clap::Args)]
struct Options {
    /// Go on with a rotation that was left behind
    #[arg(long, group = "mode")]
    resume: bool,
    /// Take a rotation back: the old credential stays
    #[arg(long, group = "mode")]
    abort: bool,
    /// Show what would happen and change nothing
    #[arg(long, group = "mode")]
    plan: bool,
    /// List the secrets that are overdue, of ENV or of all; exit code 1 when there are any
    #[arg(long, group = "mode")]
    check: bool,
    /// Rotate all that are overdue, and go on with what was left behind
    #[arg(long, group = "mode")]
    due: bool,
    /// As an admin, forget a rotation that cannot end, since its target is gone or its record cannot be
    /// read; labels stay where they are
    #[arg(long, group = "mode")]
    give_up: bool,
    /// Do not wait for consumers: who lags loses access. It is kept who did that
    #[arg(long, conflicts_with_all = ["plan", "check", "due", "give_up"])]
    force: bool,
    /// With --resume, --abort, --give-up: do not wait until the other runner's time is over. Its program
    /// must have ended
    #[arg(long)]
    take_over: bool,
    /// While consumers are waited for, show which has what, as `strongroom uptake` does
    #[arg(long, conflicts_with_all = ["plan", "check", "give_up"])]
    watch: bool,
    /// Do it without asking (nothing is asked when no terminal is there)
    #[arg(long, short = 'y')]
    yes: bool,
    /// What the commits say; kept in the history, sealed
    #[arg(long, short = 'm', value_name = "TEXT", default_value = "rotate")]
    message: String,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<u8, CliError> {
    let options = &args.options;
    if let Some(Command::Policy(command)) = &args.command {
        return policy::run(command, context).map(|()| 0);
    }
    if options.take_over && !(options.resume || options.abort || options.give_up) {
        return Err(CliError::usage(
            "--take-over is for --resume, --abort and --give-up",
        ));
    }
    if options.check || options.due {
        let environment = args.target.environment_alone()?;
        return due::run(options, environment.as_ref(), context);
    }
    let (environment, path) = args.target.resolve(context)?.ok_or_else(|| {
        CliError::usage("no secret is named")
            .hint("give ENV PATH, or --check or --due for all that are overdue")
    })?;
    let opened: Opened = open::writer(&context.settings)?;
    let at = (&environment, &path);
    if options.plan {
        return show::plan(context, &opened, at).map(|()| 0);
    }
    if options.give_up {
        return drive::give_up(context, &opened, at, options).map(|()| 0);
    }
    let done = drive::run(context, &opened, at, options)?;
    done.answer(context)?;
    done.code()
}
