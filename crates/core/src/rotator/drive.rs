//! The driver: owns the loop that does what the machine says, within the time that the store was told.
//! It must not know what is next, nor what a target does.

use std::time::{Duration, Instant};

use super::account::{self, Account, AccountError};
use super::named::Named;
use super::{Action, Call, Check, Credential, Delivered, Target, Told, Trouble, Uptake, Waiting, Witness};
use crate::Vault;
use crate::ambient::Ambient;
use crate::id::PlaceId;
use crate::name::{EntryPath, EnvironmentName};
use crate::rotation::generate::GenerateError;
use crate::rotation::{Effect, Machine, Next, Outcome, Phase, Refused, Step};
use crate::secret::Secret;
use crate::snapshot::{Entry, Label, ReadError, Snapshot};
use crate::vault::{CommitError, Rotate, Rotation, RotationEdit};

/// Between a call's end and the end of the time that the store was told.
const MARGIN: Duration = Duration::from_secs(30);
/// At most between two looks at consumers, and first between two tries at a target.
const LOOK: Duration = Duration::from_secs(1);
const AGAIN: Duration = Duration::from_secs(1);

/// How to go on with a rotation that runs.
#[derive(Clone, Copy, Debug, Default)]
pub struct How {
    /// Take it back.
    pub abort: bool,
    /// Do not wait for consumers.
    pub force: bool,
    /// Take it over before the time of whoever runs it has ended.
    pub take_over: bool,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The new credential alone is valid.
    Rotated,
    /// The old credential alone is valid; why, where the target failed.
    Undone(Option<String>),
    /// Consumers do not have it at the deadline: both credentials are valid, it is to be resumed.
    Lagging(Vec<Waiting>),
    /// The target failed where there is no other way: it is to be resumed.
    Stopped(Effect, String),
}

/// Why it could not go on. What is stored says where it is.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// A commit.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// A read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The new value.
    #[error(transparent)]
    Generate(#[from] GenerateError),
    /// The value of an account.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// It cannot be taken back or forced now.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The target, before anything was begun.
    #[error("nothing was begun: {0}")]
    NotReady(String),
    /// A read that could not be recorded, or consumers of whom nobody can tell.
    #[error("{0}")]
    Outside(String),
}

/// A rotation that is being driven.
pub struct Driver<'a> {
    /// Where it is stored.
    pub vault: &'a Vault,
    /// The environment.
    pub environment: &'a EnvironmentName,
    /// The path of the secret.
    pub path: &'a EntryPath,
    /// What it goes by.
    pub named: &'a Named,
    /// What commits say, before what each decides.
    pub message: &'a str,
    /// Where the lock lies that keeps other programs away.
    pub place: PlaceId,
    /// Clock and random source.
    pub ambient: &'a Ambient,
    /// The target.
    pub target: &'a mut dyn Target,
    /// The consumers.
    pub uptake: &'a mut dyn Uptake,
    /// Who looks on.
    pub witness: &'a mut dyn Witness,
}

impl std::fmt::Debug for Driver<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Driver({} {})", self.environment, self.path)
    }
}

/// What is stored, and until when the target may be worked at.
struct Held {
    rotation: Option<Rotation>,
    until: Instant,
}

impl<'a> Driver<'a> {
    /// Begins a rotation and drives it to its end. Blocks.
    ///
    /// # Errors
    /// [`DriveError`].
    pub fn begin(mut self, force: bool) -> Result<End, DriveError> {
        self.fits()?;
        self.check()?;
        let value = self.new_value()?;
        let mut machine = Machine::begin(self.named.plan.strategy);
        let begin = |lease| Rotate::Begin {
            strategy: self.named.plan.strategy,
            plan: self.named.record(),
            value,
            place: self.place,
            lease,
        };
        let held = self.store(Some(Phase::Applying), "begin", begin)?;
        self.tell_step(Step::Begin, &held);
        machine.committed();
        self.run(machine, held, force)
    }

    /// Goes on with what runs. Blocks.
    ///
    /// # Errors
    /// [`DriveError`].
    pub fn go_on(mut self, rotation: &Rotation, how: How) -> Result<End, DriveError> {
        self.fits()?;
        let mut machine = rotation.machine();
        if how.abort {
            machine.abort()?;
        }
        let held = self.take_over(rotation, how.take_over)?;
        self.witness.told(&Told::TakenOver(rotation.phase()));
        self.run(machine, held, how.force)
    }

    fn run(&mut self, mut machine: Machine, mut held: Held, force: bool) -> Result<End, DriveError> {
        let mut why = None;
        let mut left_behind = None;
        loop {
            match machine.next() {
                Next::Commit(step) => {
                    held = self.advance(&machine, step, &held, left_behind.take())?;
                    self.tell_step(step, &held);
                    machine.committed();
                }
                Next::Perform(effect) => match self.perform(effect, &mut held)? {
                    Ok(()) => {
                        self.witness.told(&Told::Done(effect));
                        machine.done(effect);
                    }
                    Err(problem) => {
                        self.witness.told(&Told::Failed(effect, &problem));
                        machine.failed(effect);
                        why = Some(problem);
                    }
                },
                Next::Await if force => {
                    let delivered = self.delivered()?;
                    left_behind = Some(self.look(&delivered));
                    machine.force()?;
                }
                Next::Await => match self.wait()? {
                    None => machine.taken_up(),
                    Some(lagging) => return Ok(End::Lagging(lagging)),
                },
                Next::Stop(effect) => return Ok(End::Stopped(effect, why.unwrap_or_default())),
                Next::Ended(Outcome::Rotated) => return Ok(End::Rotated),
                Next::Ended(Outcome::Undone) => return Ok(End::Undone(why)),
            }
        }
    }

    /// Refuses a message that leaves no room for what steps decide.
    fn fits(&self) -> Result<(), DriveError> {
        if self.message.len() > MAX_OWN_MESSAGE {
            return Err(DriveError::Outside(format!(
                "the message of a rotation has at most {MAX_OWN_MESSAGE} bytes"
            )));
        }
        Ok(())
    }

    /// A new value; with two accounts, for the one whose turn it is.
    fn new_value(&mut self) -> Result<Secret, DriveError> {
        let snapshot = self.vault.snapshot();
        let plan = &self.named.plan;
        let current = plan.accounts.is_some().then_some(self.path);
        let opens = [current, plan.generator.authority()];
        let opens = opens.into_iter().flatten();
        let opens: Vec<_> = opens
            .map(|path| snapshot.entry(self.environment, path))
            .collect::<Result<_, _>>()?;
        if !opens.is_empty() {
            let opens: Vec<&Entry> = opens.iter().map(|entry| &**entry).collect();
            self.witness
                .opens(&opens, snapshot.revision())
                .map_err(DriveError::Outside)?;
        }
        let authority = match plan.generator.authority() {
            None => None,
            Some(path) => Some(snapshot.secret(self.environment, path)?),
        };
        let made = plan.generator.generate(self.ambient, authority.as_ref())?.value;
        match &plan.accounts {
            None => Ok(made),
            Some(accounts) => {
                let current = snapshot.secret(self.environment, self.path)?;
                Ok(account::next(accounts, &current, &made)?)
            }
        }
    }

    /// How long a phase may be at work at the target, or waits.
    fn lease(&self, phase: Option<Phase>) -> Duration {
        let plan = &self.named.plan;
        let call = plan.target.limit + plan.target.retry;
        match phase {
            None => Duration::ZERO,
            Some(Phase::Applying | Phase::Undoing) => call * 2 + MARGIN,
            Some(Phase::Retiring) => call + MARGIN,
            Some(Phase::Delivering | Phase::Returning) => plan.deadline + MARGIN,
        }
    }

    /// Commits one decision; time at the target is counted from before it.
    fn store(
        &self,
        phase: Option<Phase>,
        words: &str,
        to: impl FnOnce(u64) -> Rotate,
    ) -> Result<Held, CommitError> {
        let lease = self.lease(phase);
        let now = Instant::now();
        let edit = RotationEdit {
            environment: self.environment.clone(),
            path: self.path.clone(),
            to: to(u64::try_from(lease.as_millis()).unwrap_or(u64::MAX)),
        };
        let rotation = self
            .vault
            .rotate(edit, &within(MAX_MESSAGE, format!("{}: {words}", self.message)))?;
        Ok(Held {
            rotation,
            until: now.checked_add(lease).unwrap_or(now),
        })
    }

    /// Commits a decision; `left_behind` are the consumers that it does not wait for.
    fn advance(
        &self,
        machine: &Machine,
        step: Step,
        held: &Held,
        left_behind: Option<Vec<Waiting>>,
    ) -> Result<Held, CommitError> {
        let to = step.from(self.named.plan.strategy, machine.phase());
        let at = self.at(held)?;
        let words = words(step, left_behind.as_deref());
        self.store(to.and_then(|(phase, _)| phase), &words, |lease| Rotate::Advance {
            at,
            step,
            lease,
        })
    }

    fn take_over(&self, rotation: &Rotation, force: bool) -> Result<Held, CommitError> {
        let at = rotation.at;
        let words = if force { "take over, by force" } else { "take over" };
        self.store(Some(rotation.phase()), words, |lease| Rotate::TakeOver {
            at,
            place: self.place,
            lease,
            force,
        })
    }

    fn at(&self, held: &Held) -> Result<crate::id::Revision, CommitError> {
        let rotation = held.rotation.as_ref().ok_or_else(|| self.not_rotating())?;
        Ok(rotation.at)
    }

    fn not_rotating(&self) -> CommitError {
        CommitError::NotRotating {
            environment: self.environment.clone(),
            path: self.path.clone(),
        }
    }

    /// What the plan names as the admin's secret, opened after it was recorded with `others`.
    fn admin(&mut self, snapshot: &Snapshot, others: &[&Entry]) -> Result<Option<Secret>, DriveError> {
        let path = self.named.plan.target.kind.admin();
        let entry = path
            .map(|path| snapshot.entry(self.environment, path))
            .transpose()?;
        let opens: Vec<&Entry> = others.iter().copied().chain(entry.as_deref()).collect();
        if !opens.is_empty() {
            self.witness
                .opens(&opens, snapshot.revision())
                .map_err(DriveError::Outside)?;
        }
        let opened = path.map(|path| snapshot.secret(self.environment, path));
        Ok(opened.transpose()?)
    }

    /// Refuses to begin what a target cannot do: a rotation that began goes by its plan to its end.
    fn check(&mut self) -> Result<(), DriveError> {
        let admin = self.admin(&self.vault.snapshot(), &[])?;
        let check = Check {
            strategy: self.named.plan.strategy,
            accounts: self.named.plan.accounts.as_ref(),
            admin: admin.as_ref(),
        };
        let (limit, retry) = (self.named.plan.target.limit, self.named.plan.target.retry);
        let mut again = Again::new(retry);
        loop {
            match self.target.check(&check, limit) {
                Ok(()) => return Ok(()),
                Err(Trouble::Later(_)) if again.pause() => {}
                Err(trouble) => return Err(DriveError::NotReady(trouble.to_string())),
            }
        }
    }

    /// Makes sure that nobody else went on meanwhile, and that there is time for what is to be done: this
    /// program may have slept, or been held up. What is left is a moment between this and the call.
    fn is_ours(&self, held: &mut Held, needed: Duration) -> Result<(), DriveError> {
        self.vault.refresh().map_err(CommitError::from)?;
        let known = self.at(held)?;
        let running = self.vault.rotation(self.environment, self.path)?;
        let running = running.ok_or_else(|| self.not_rotating())?;
        if running.at != known {
            return Err(running.in_the_way().into());
        }
        let millis = u64::try_from(needed.as_millis()).unwrap_or(u64::MAX);
        // The monotonic clock stands still while a machine is suspended, the other one may be set back.
        let short = held.until.saturating_duration_since(Instant::now()) < needed
            || self.ambient.now().later(millis) > running.running.until;
        if short {
            *held = self.take_over(&running, false)?;
        }
        Ok(())
    }

    /// With two accounts, that values are of these two: whoever runs a rotation made them, and must not
    /// choose whose password the admin changes.
    fn are_accounts(&self, new: &Secret, old: &Secret) -> Result<(), AccountError> {
        let Some(accounts) = &self.named.plan.accounts else {
            return Ok(());
        };
        let (new, old) = (Account::of(new)?, Account::of(old)?);
        if new.name != old.name && accounts.contains(&new.name) && accounts.contains(&old.name) {
            Ok(())
        } else {
            Err(AccountError::Unknown)
        }
    }

    /// Does something at the target, as often as it says "later". The outer error is ours.
    fn perform(&mut self, effect: Effect, held: &mut Held) -> Result<Result<(), String>, DriveError> {
        let (limit, retry) = (self.named.plan.target.limit, self.named.plan.target.retry);
        self.is_ours(held, limit + retry)?;
        let (new, old) = match effect {
            Effect::Retire => (Label::Current, Label::Previous),
            _ => (Label::Pending, Label::Current),
        };
        let snapshot = self.vault.snapshot();
        let described = |label| snapshot.labelled_entry(self.environment, self.path, label);
        let (new_entry, old_entry) = (described(new)?, described(old)?);
        let admin = self.admin(&snapshot, &[&*new_entry, &*old_entry])?;
        let opened = |label| snapshot.labelled(self.environment, self.path, label);
        let (new_value, old_value) = (opened(new)?.value, opened(old)?.value);
        self.are_accounts(&new_value, &old_value)?;
        let call = Call {
            action: Action::from(effect),
            environment: self.environment,
            path: self.path,
            strategy: self.named.plan.strategy,
            new: Credential {
                version: new_entry.version,
                value: &new_value,
            },
            old: Credential {
                version: old_entry.version,
                value: &old_value,
            },
            admin: admin.as_ref(),
        };
        let mut again = Again::new(retry);
        loop {
            match self.target.perform(&call, limit) {
                Ok(()) => return Ok(Ok(())),
                Err(Trouble::Later(problem)) if again.is_left() => {
                    self.witness.told(&Told::Again(effect, &problem));
                    again.pause();
                    self.is_ours(held, limit)?;
                }
                Err(Trouble::Later(problem) | Trouble::Failed(problem)) => return Ok(Err(problem)),
            }
        }
    }

    fn delivered(&self) -> Result<Delivered<'a>, DriveError> {
        let entry = self.vault.snapshot().entry(self.environment, self.path)?;
        Ok(Delivered {
            environment: self.environment,
            path: self.path,
            entry: entry.id,
            version: entry.version,
            revision: entry.revision,
            since: self.ambient.now(),
        })
    }

    /// Who does not have the current version. What cannot be read is waited for like a consumer: it may be
    /// there again, and whoever does not want to wait says so.
    fn look(&mut self, delivered: &Delivered<'_>) -> Vec<Waiting> {
        self.uptake.waiting(delivered).unwrap_or_else(|problem| {
            vec![Waiting {
                consumer: format!("everybody: what they have cannot be read ({problem})"),
                since: delivered.since,
            }]
        })
    }

    /// Waits until consumers have the current version, or tells who has not at the deadline.
    fn wait(&mut self) -> Result<Option<Vec<Waiting>>, DriveError> {
        let delivered = self.delivered()?;
        let began = Instant::now();
        let mut before = Vec::new();
        loop {
            let waiting = self.look(&delivered);
            if waiting.is_empty() {
                return Ok(None);
            }
            if began.elapsed() >= self.named.plan.deadline {
                return Ok(Some(waiting));
            }
            if waiting != before {
                self.witness.told(&Told::Waiting(&waiting));
                before = waiting;
            }
            let left = self.named.plan.deadline.saturating_sub(began.elapsed());
            self.uptake.pause(LOOK.min(left));
        }
    }

    fn tell_step(&mut self, step: Step, held: &Held) {
        let at = held.rotation.as_ref().map(|rotation| rotation.at);
        let at = at.unwrap_or_else(|| self.vault.snapshot().revision());
        self.witness.told(&Told::Committed(step, at));
    }
}

/// How a target that says "later" is asked again: after pauses that grow, for so long.
struct Again {
    until: Instant,
    pause: Duration,
}

impl Again {
    fn new(retry: Duration) -> Self {
        let now = Instant::now();
        Self {
            until: now.checked_add(retry).unwrap_or(now),
            pause: AGAIN,
        }
    }

    fn is_left(&self) -> bool {
        self.until.saturating_duration_since(Instant::now()) >= self.pause
    }

    /// Waits for the next time; false when there is none.
    fn pause(&mut self) -> bool {
        if !self.is_left() {
            return false;
        }
        std::thread::sleep(self.pause);
        self.pause = (self.pause * 2).min(Duration::from_secs(30));
        true
    }
}

/// Longest message of a commit, and what of it is left to who rotates, bytes.
const MAX_MESSAGE: usize = 4096;
const MAX_OWN_MESSAGE: usize = 3072;

/// The first bytes of a text: consumers name themselves, and must not keep a commit from being made.
fn within(limit: usize, mut text: String) -> String {
    text.truncate(text.floor_char_boundary(limit));
    text
}

/// Consumers that a message names.
const NAMED: usize = 20;

/// What a step decides, for the history. Whoever forces one leaves there whom they left behind: the
/// record of a rotation goes with its end.
fn words(step: Step, left_behind: Option<&[Waiting]>) -> String {
    let word = match step {
        Step::Begin => "begin",
        Step::Deliver => "deliver",
        Step::Retire { .. } => "retire",
        Step::TakeBack => "take back",
        Step::Undo { .. } => "undo",
        Step::End(Outcome::Rotated) => "done",
        Step::End(Outcome::Undone) => "undone",
    };
    let Some(waiting) = left_behind else {
        return word.to_owned();
    };
    let mut names: Vec<_> = waiting.iter().map(|each| each.consumer.as_str()).collect();
    let more = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    let more = if more == 0 {
        String::new()
    } else {
        format!(" and {more} more")
    };
    match names.is_empty() {
        true => format!("{word}, by force"),
        false => format!("{word}, by force, without {}{more}", names.join(", ")),
    }
}
