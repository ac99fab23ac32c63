//! Running one rotation from this terminal: owns its lock, its program's environment, what is shown of
//! each step, and how the end is told.

use std::ffi::OsString;
use std::time::Duration;

use serde_json::{Value, json};
use strongroom_core::Vault;
use strongroom_core::ambient::Ambient;
use strongroom_core::id::Revision;
use strongroom_core::name::{EntryPath, EnvironmentName};
use strongroom_core::rotation::plan::{ExecPlan, TargetKind};
use strongroom_core::rotation::{Effect, Outcome, Step};
use strongroom_core::rotator::exec::Exec;
use strongroom_core::rotator::{
    DriveError, Driver, End, How, Lock, Named, PlanTrouble, Reports, Target, Told, Witness,
};
use strongroom_core::snapshot::Entry;
use strongroom_core::target;
use strongroom_core::vault::{Rotate, Rotation, RotationEdit};

use super::{Options, ask, lock, show};
use crate::command::uptake;
use crate::context::Context;
use crate::error::{CliError, Exit};
use crate::open::Opened;
use crate::output;

pub(super) type At<'a> = (&'a EnvironmentName, &'a EntryPath);

/// Variables that every program gets.
const VARIABLES: [&str; 6] = ["HOME", "LANG", "LC_ALL", "PATH", "TZ", "USER"];

/// How a rotation ended.
pub(super) struct Done {
    end: End,
    aborted: bool,
    keeps_old: bool,
    document: Value,
    version: u32,
    at: String,
}

/// Begins a rotation or goes on with one, to its end.
pub(super) fn run(
    context: &Context,
    opened: &Opened,
    (environment, path): At<'_>,
    options: &Options,
) -> Result<Done, CliError> {
    let vault = &opened.vault;
    let goes_on = options.resume || options.abort;
    let named = named(opened, (environment, path), goes_on)?;
    let limit = named.plan.target.limit + Duration::from_secs(5);
    let patience = if goes_on { limit } else { Duration::ZERO };
    let snapshot = vault.snapshot();
    let held = lock::take(context, &snapshot, &*snapshot.entry(environment, path)?, patience)?;
    // Whoever held it before may have gone on, and plans may have changed.
    vault.refresh()?;
    let named = self::named(opened, (environment, path), goes_on)?;
    let running = vault.rotation(environment, path)?;
    if let Some(rotation) = &running {
        ask::same_plan(vault, rotation, &named, options)?;
    }
    if !goes_on {
        let text: String = show::steps(&named)
            .iter()
            .map(|step| format!("  {step}\n"))
            .collect();
        ask::confirm(options, &text, &format!("Rotate {environment} {path}?"))?;
    }
    let ambient = Ambient::system();
    let mut reports = Reports::new(vault, &ambient, named.plan.settle, named.plan.within);
    let mut says = |line: &str| output::note(&format!("    | {}\n", output::harmless(line)));
    let mut target = target(&named.plan.target.kind, &held, &mut says)?;
    let mut shown = Shown {
        opened,
        at: (environment, path),
        watch: options.watch.then_some(named.plan.within),
        steps: Vec::new(),
    };
    let driver = Driver {
        vault,
        environment,
        path,
        named: &named,
        message: &options.message,
        ambient: &ambient,
        place: held.place(),
        target: &mut *target,
        uptake: &mut reports,
        witness: &mut shown,
    };
    let how = How {
        abort: options.abort,
        force: options.force,
        take_over: options.take_over,
    };
    let end = match (&running, goes_on) {
        (Some(rotation), true) => driver.go_on(rotation, how),
        (Some(rotation), false) => return Err(under_way(rotation)),
        (None, true) => return Err(not_under_way((environment, path))),
        (None, false) => driver.begin(options.force),
    };
    opened.remember();
    let end = match end {
        Ok(end) => end,
        Err(error) => {
            let error = told(error, (environment, path));
            return Err(if shown.steps.is_empty() {
                error
            } else {
                halfway(vault, (environment, path), error)
            });
        }
    };
    let version = vault.snapshot().entry(environment, path)?.version.0;
    let document = json!({
        "environment": environment.as_str(), "path": path.as_str(), "end": word(&end),
        "version": version, "revision": vault.snapshot().revision().0, "steps": shown.steps,
    });
    Ok(Done {
        end,
        aborted: options.abort,
        keeps_old: named.plan.strategy.keeps_previous(),
        document,
        version,
        at: format!("{environment} {path}"),
    })
}

/// What stopped a rotation that was begun: it stands halfway, unless it is known to have ended.
fn halfway(vault: &Vault, (environment, path): At<'_>, error: CliError) -> CliError {
    let running = vault.refresh().is_err() || !matches!(vault.rotation(environment, path), Ok(None));
    if !running {
        return error;
    }
    let text = format!("{environment} {path}: it stands halfway: {}", error.message);
    CliError::new(Exit::Stopped, text)
        .hint("`strongroom rotate ENV PATH --resume` goes on with it, `--abort` takes it back")
}

/// Forgets a rotation that cannot end.
pub(super) fn give_up(
    context: &Context,
    opened: &Opened,
    (environment, path): At<'_>,
    options: &Options,
) -> Result<(), CliError> {
    let edit = RotationEdit {
        environment: environment.clone(),
        path: path.clone(),
        to: Rotate::GiveUp {
            force: options.take_over,
        },
    };
    ask::confirm(
        options,
        "",
        &format!("Give up the rotation of {environment} {path}?"),
    )?;
    opened.vault.rotate(edit, &options.message)?;
    opened.remember();
    let text = format!(
        "{environment} {path}: the rotation is forgotten, its labels are where they were. Look at the target \
         which values are valid, then use `strongroom label promote`, `take-back`, `drop` or `retire`.\n"
    );
    context.output.answer(&json!({"given_up": true}), &text)
}

/// The plan to go by: of what runs, or the one in force.
fn named(opened: &Opened, (environment, path): At<'_>, goes_on: bool) -> Result<Named, CliError> {
    match (opened.vault.rotation(environment, path)?, goes_on) {
        (Some(rotation), true) => Named::by_record(&opened.vault, &rotation).map_err(no_plan),
        (Some(rotation), false) => Err(under_way(&rotation)),
        (None, true) => Err(not_under_way((environment, path))),
        (None, false) => Named::of(&opened.vault.snapshot(), environment, path).map_err(no_plan),
    }
}

/// What the plan names.
fn target<'a>(
    kind: &'a TargetKind,
    lock: &'a Lock,
    says: &'a mut dyn FnMut(&str),
) -> Result<Box<dyn Target + 'a>, CliError> {
    if let TargetKind::Exec(plan) = kind {
        return Ok(Box::new(Exec {
            plan,
            variables: variables(plan),
            lock,
            says,
        }));
    }
    target::builtin(kind).ok_or_else(|| CliError::failed("the plan names a target that is not built in"))
}

fn variables(plan: &ExecPlan) -> Vec<(OsString, OsString)> {
    let all = VARIABLES
        .into_iter()
        .chain(plan.variables.iter().map(String::as_str));
    all.filter_map(|name| Some((name.into(), std::env::var_os(name)?)))
        .collect()
}

pub(super) fn no_plan(error: PlanTrouble) -> CliError {
    match error {
        PlanTrouble::Read(error) => error.into(),
        PlanTrouble::Open(error) => error.into(),
        PlanTrouble::None { .. } => CliError::failed(error.to_string())
            .hint("`strongroom rotate policy set ENV PATH ...` gives it one; `--help` of it has an example"),
        PlanTrouble::Record => CliError::new(Exit::Denied, error.to_string())
            .hint("ask who ran it; an admin looks at the target and ends it by hand"),
        other => CliError::failed(other.to_string())
            .hint("`strongroom rotate policy set` or `strongroom edit` mends it"),
    }
}

pub(super) fn under_way(rotation: &Rotation) -> CliError {
    CliError::failed(format!(
        "a rotation of {} {} is under way: {} since {}, by {}",
        rotation.environment,
        rotation.path,
        rotation.phase(),
        rotation.since(),
        rotation.runner
    ))
    .hint("`strongroom rotate ENV PATH --resume` goes on with it, `--abort` takes it back")
}

fn not_under_way((environment, path): At<'_>) -> CliError {
    CliError::failed(format!("no rotation of {environment} {path} is under way"))
        .hint("`strongroom rotate ENV PATH` begins one")
}

fn told(error: DriveError, (environment, path): At<'_>) -> CliError {
    match error {
        DriveError::Commit(error) => error.into(),
        DriveError::Read(error) => error.into(),
        DriveError::Generate(error) => error.into(),
        DriveError::Account(_) => CliError::failed(format!("{environment} {path}: {error}")),
        DriveError::NotReady(_) => CliError::failed(format!("{environment} {path}: {error}"))
            .hint("mend the plan or the target, then rotate again"),
        DriveError::Refused(_) | DriveError::Outside(_) => CliError::failed(error.to_string()),
    }
}

fn word(end: &End) -> &'static str {
    match end {
        End::Rotated => "rotated",
        End::Undone(_) => "undone",
        End::Lagging(_) => "lagging",
        End::Stopped(..) => "stopped",
    }
}

impl Done {
    /// How it ended, as JSON.
    pub(super) fn document(&self) -> &Value {
        &self.document
    }

    /// True when the new credential alone is valid.
    pub(super) fn is_rotated(&self) -> bool {
        self.end == End::Rotated
    }

    /// Tells the end.
    pub(super) fn answer(&self, context: &Context) -> Result<(), CliError> {
        let at = &self.at;
        let text = match &self.end {
            End::Rotated => format!("{at}: rotated, version {} is current\n", self.version),
            End::Undone(None) => format!("{at}: taken back, version {} stays current\n", self.version),
            End::Undone(Some(_)) | End::Lagging(_) | End::Stopped(..) if !context.output.json => {
                return Ok(());
            }
            _ => String::new(),
        };
        context.output.answer(&self.document, &text)
    }

    /// The exit code, or what is wrong and what to do.
    pub(super) fn code(self) -> Result<u8, CliError> {
        let at = self.at;
        let stands = |text: String| CliError::new(Exit::Stopped, text);
        match self.end {
            End::Rotated => Ok(0),
            End::Undone(_) if self.aborted => Ok(0),
            End::Undone(why) => Err(CliError::failed(format!(
                "{at}: undone, the old credential stays: {}",
                why.unwrap_or_else(|| "it was being taken back".into())
            ))
            .hint("mend the target or its program, then rotate again")),
            End::Lagging(waiting) => {
                let who: Vec<_> = waiting.into_iter().map(|each| each.consumer).collect();
                Err(stands(format!("{at}: at the deadline these do not have the current version: {}", who.join(", ")))
                    .hint(if self.keeps_old {
                        "both credentials stay valid; --resume waits again, --abort goes back, --resume --force does not wait"
                    } else {
                        "they have the old credential, which is valid no more; --resume waits again, --resume --force does not wait"
                    }))
            }
            End::Stopped(effect, why) => Err(stands(format!(
                "{at}: it stands halfway, {} failed: {why}",
                verb(effect)
            ))
            .hint("nothing is lost: when the target is back, `strongroom rotate ENV PATH --resume` goes on")),
        }
    }
}

fn verb(effect: Effect) -> &'static str {
    match effect {
        Effect::Apply => "apply",
        Effect::ProbePending => "probe of the new credential",
        Effect::Undo => "undo",
        Effect::ProbeCurrent => "probe of the old credential",
        Effect::Retire => "retire",
    }
}

/// Shows each step on stderr, and records reads where a log is kept.
struct Shown<'a> {
    opened: &'a Opened,
    at: At<'a>,
    /// Whether who is waited for is a table, of those who used it in so long.
    watch: Option<Duration>,
    steps: Vec<Value>,
}

impl Witness for Shown<'_> {
    fn opens(&mut self, entries: &[&Entry], at: Revision) -> Result<(), String> {
        let entries = entries.iter().copied();
        self.opened
            .record((self.at.0, at), entries, "rotate")
            .map_err(|error| error.message)
    }

    fn told(&mut self, told: &Told<'_>) {
        let line = match told {
            Told::Committed(step, at) => format!("revision {at}: {}", decided(*step)),
            Told::TakenOver(phase) => format!("goes on where it was: {phase}"),
            Told::Done(effect) => format!("{}: done", verb(*effect)),
            Told::Again(effect, why) => format!("{}: {why}; again in a moment", verb(*effect)),
            Told::Failed(effect, why) => format!("{}: {why}", verb(*effect)),
            Told::Waiting(waiting) => {
                let who: Vec<_> = waiting.iter().map(|each| each.consumer.as_str()).collect();
                format!("waiting for {}", who.join(", "))
            }
        };
        output::note(&format!("  {}\n", output::harmless(&line)));
        self.steps.push(line.into());
        if let (Told::Waiting(_), Some(within)) = (told, self.watch)
            && let Ok(table) = uptake::of_entry(self.opened, self.at, within)
        {
            output::note(&table);
        }
    }
}

fn decided(step: Step) -> &'static str {
    match step {
        Step::Begin => "the new version is pending",
        Step::Deliver => "the new version is delivered",
        Step::Retire { forced: false } => "the old version is to end",
        Step::Retire { forced: true } => "the old version is to end, by force",
        Step::TakeBack => "the old version is delivered again",
        Step::Undo { .. } => "the new version is to end",
        Step::End(Outcome::Rotated) => "done, the old version has ended",
        Step::End(Outcome::Undone) => "undone, the new version has ended",
    }
}
