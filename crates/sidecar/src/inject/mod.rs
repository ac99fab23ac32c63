//! Injections: owns the thread that delivers each served revision into directories and to the
//! process, one after the other, and tries again what failed. It must not know the socket.

mod action;
mod carried;
mod files;
mod heard;
mod leash;
mod making;
mod process;

use std::sync::Arc;
use std::time::Duration;

use strongroom_core::ambient::{Ambient, Timestamp};
use strongroom_core::api::wire;
use strongroom_core::id::{EntryId, Version};
use strongroom_core::inject::Wanted;
use strongroom_core::name::EnvironmentName;
use strongroom_core::snapshot::Snapshot;
use strongroom_core::uptake::{Consumer, ConsumerKind, Presence, Reaction};

use crate::bell::Bell;
use crate::settings::{Files, Process, Selection, Settings};
use crate::state::{Injected, State};
use leash::Leash;

/// Pauses between attempts.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What the settings want to be injected.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Plan {
    files: Vec<Files>,
    process: Option<Process>,
}

impl Plan {
    fn of(settings: &Settings) -> Self {
        Self {
            files: settings.files.clone(),
            process: settings.process.clone(),
        }
    }
}

#[derive(Debug)]
enum Order {
    /// Other settings, and whether what is delivered has other values besides.
    Plan(Plan, bool),
    Again,
    Stop(std::sync::mpsc::Sender<()>),
}

impl Order {
    /// Other settings, after an order that was not followed yet: neither may be lost.
    fn plan(plan: Plan, earlier: Option<Self>) -> Self {
        match earlier {
            Some(stop @ Self::Stop(_)) => stop,
            Some(Self::Again | Self::Plan(_, true)) => Self::Plan(plan, true),
            Some(Self::Plan(_, false)) | None => Self::Plan(plan, false),
        }
    }

    /// Other values, likewise.
    fn again(earlier: Option<Self>) -> Self {
        match earlier {
            Some(stop @ Self::Stop(_)) => stop,
            Some(Self::Plan(plan, _)) => Self::Plan(plan, true),
            Some(Self::Again) | None => Self::Again,
        }
    }
}

/// The injecting thread, from outside.
#[derive(Debug)]
pub struct Injector {
    bell: Arc<Bell<Order>>,
    leash: Arc<Leash>,
}

impl Injector {
    /// Injects what `settings` want, beginning at once.
    ///
    /// # Errors
    /// The system's, when there is no thread.
    pub fn start(settings: &Settings, state: Arc<State>, ambient: Ambient) -> std::io::Result<Self> {
        let bell: Arc<Bell<Order>> = Arc::default();
        let leash: Arc<Leash> = Arc::default();
        let mut inside = Inside {
            bell: Arc::clone(&bell),
            leash: Arc::clone(&leash),
            state,
            ambient,
            files: Vec::new(),
            process: None,
        };
        inside.plan(Plan::of(settings));
        inside.show();
        std::thread::Builder::new()
            .name("inject".into())
            // templates and documents nest; what is not touched costs nothing
            .stack_size(4 << 20)
            .spawn(move || inside.run())?;
        Ok(Self { bell, leash })
    }

    /// Says that another revision is served.
    pub fn ring(&self) {
        self.bell.ring();
    }

    /// Injects what other settings want; what is the same in both goes on undisturbed.
    pub fn plan(&self, settings: &Settings) {
        let plan = Plan::of(settings);
        self.bell.send_after(|earlier| Order::plan(plan, earlier));
    }

    /// Says that the revision that is served has other values than before.
    pub fn again(&self) {
        self.bell.send_after(Order::again);
    }

    /// Stops the process and ends the thread; waits for it at most `patience`.
    pub fn stop(&self, patience: Duration) {
        let (sender, receiver) = std::sync::mpsc::channel();
        self.bell.send(Order::Stop(sender));
        // when it takes longer, the process is left to the caller's end
        let _ = receiver.recv_timeout(patience);
    }

    /// Kills the process, whatever else the thread is busy with, and lets none be started any more;
    /// waits for its end at most `patience`.
    pub fn kill(&self, patience: Duration) {
        self.leash.kill(patience);
    }
}

/// One consumer of whole revisions.
trait Target {
    /// Delivers a revision unless it is there already.
    ///
    /// # Errors
    /// Why not, for people; it is tried again.
    fn deliver(&mut self, state: &Arc<State>, snapshot: &Arc<Snapshot>) -> Result<(), String>;

    /// Whether what it uses is known whole.
    fn is_whole(&self) -> bool;

    /// Has the next revision delivered even if it is the one that is there.
    fn again(&mut self);

    /// The versions in `snapshot` of what it is to have.
    fn listed(&self, environment: &EnvironmentName, snapshot: &Snapshot) -> Vec<(EntryId, Version)>;

    /// Which versions it has.
    fn carried(&self) -> carried::Carried;

    /// What it is and how far.
    fn report(&self) -> Report;
}

/// How far a consumer is.
#[derive(Clone, Debug, Default)]
struct Report {
    kind: &'static str,
    target: String,
    /// What follows on a new value.
    reaction: Reaction,
    revision: Option<u64>,
    problem: Option<String>,
}

/// One consumer with what became of it.
#[derive(Debug)]
struct Delivery<T> {
    target: T,
    since: Option<(u64, Timestamp)>,
    problem: Option<String>,
    /// What is wrong, that it is known of itself or not.
    shown: Option<String>,
    failures: u64,
}

impl<T: Target> Delivery<T> {
    fn new(target: T) -> Self {
        Self {
            target,
            since: None,
            problem: None,
            shown: None,
            failures: 0,
        }
    }

    fn deliver(&mut self, state: &Arc<State>, snapshot: &Arc<Snapshot>, now: Timestamp) {
        let result = self.target.deliver(state, snapshot);
        let report = self.target.report();
        let shown = result.as_ref().err().or(report.problem.as_ref());
        // what a process does in its own time fails once, however often it is looked at
        if result.is_err() || (shown.is_some() && shown != self.shown.as_ref()) {
            self.failures = self.failures.saturating_add(1);
        }
        self.shown = shown.cloned();
        if let Err(problem) = &result
            && self.problem.as_ref() != Some(problem)
        {
            tracing::error!(kind = report.kind, target = report.target, %problem, "not delivered; it is tried again");
        }
        self.problem = match result {
            Err(problem) => Some(problem),
            // what goes on in a thread of its own is no success before it says so
            Ok(()) => self
                .problem
                .take()
                .filter(|problem| report.problem.as_ref() == Some(problem)),
        };
        if let Some(revision) = report.revision
            && self.since.is_none_or(|(before, _)| before != revision)
        {
            self.since = Some((revision, now));
            tracing::info!(kind = report.kind, target = report.target, revision, "delivered");
        }
    }

    fn consumer(&self, environment: &EnvironmentName, snapshot: &Snapshot) -> Consumer {
        let report = self.target.report();
        let wanted = self.target.listed(environment, snapshot);
        let carried = self.target.carried();
        Consumer {
            kind: match report.kind {
                "process" => ConsumerKind::Process,
                _ => ConsumerKind::Files,
            },
            reaction: report.reaction,
            presence: match carried.has_ended {
                true => Presence::Ended,
                false => Presence::Present,
            },
            // whoever reports knows these
            host: String::new(),
            sidecar: String::new(),
            since: Timestamp(0),
            name: report.target,
            environment: environment.clone(),
            revision: carried.revision(),
            problem: self.problem.clone().or(report.problem).unwrap_or_default(),
            is_whole: self.target.is_whole(),
            uses: carried.uses(&wanted),
        }
    }

    fn shown(&self) -> Injected {
        let report = self.target.report();
        let shown = wire::Injection {
            kind: report.kind.to_owned(),
            target: report.target,
            revision: report.revision,
            since: self.since.map(|(_, since)| since.to_string()),
            problem: self.problem.clone().or(report.problem),
        };
        Injected {
            shown,
            failures: self.failures,
        }
    }
}

/// The thread's own side.
struct Inside {
    bell: Arc<Bell<Order>>,
    leash: Arc<Leash>,
    state: Arc<State>,
    ambient: Ambient,
    files: Vec<Delivery<files::Target>>,
    process: Option<Delivery<process::Target>>,
}

impl Inside {
    fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let snapshot = Arc::clone(&self.state.current().snapshot);
            self.deliver(&snapshot);
            self.show();
            let failed = self.files.iter().any(|one| one.problem.is_some())
                || self.process.as_ref().is_some_and(|one| one.problem.is_some());
            let wait = failed.then_some(pause);
            pause = if failed {
                pause.saturating_mul(2).min(LONGEST_PAUSE)
            } else {
                FIRST_PAUSE
            };
            match self.bell.wait(wait) {
                None => {}
                Some(Order::Plan(plan, is_again)) => {
                    self.plan(plan);
                    if is_again {
                        self.again();
                    }
                }
                Some(Order::Again) => self.again(),
                Some(Order::Stop(done)) => {
                    if let Some(process) = &mut self.process {
                        process.target.stop();
                    }
                    let _ = done.send(());
                    return;
                }
            }
        }
    }

    fn again(&mut self) {
        self.files.iter_mut().for_each(|one| one.target.again());
        self.process.iter_mut().for_each(|one| one.target.again());
    }

    fn deliver(&mut self, snapshot: &Arc<Snapshot>) {
        let now = self.ambient.now();
        for files in &mut self.files {
            files.deliver(&self.state, snapshot, now);
        }
        if let Some(process) = &mut self.process {
            process.deliver(&self.state, snapshot, now);
        }
    }

    fn show(&self) {
        let files = self.files.iter().map(Delivery::shown);
        let shown: Vec<Injected> = files.chain(self.process.iter().map(Delivery::shown)).collect();
        self.state
            .set_ready(self.state.is_ready() || shown.iter().all(|one| one.shown.revision.is_some()));
        self.state.set_injections(shown);
        let environment = self.state.environment();
        let snapshot = &self.state.current().snapshot;
        let files = self.files.iter().map(|one| one.consumer(environment, snapshot));
        let process = self.process.iter().map(|one| one.consumer(environment, snapshot));
        self.state.uptake().inject(files.chain(process).collect());
    }

    fn plan(&mut self, plan: Plan) {
        let mut old = std::mem::take(&mut self.files);
        for settings in plan.files {
            match old.iter_mut().position(|one| one.target.adopt(&settings)) {
                Some(at) => self.files.push(old.swap_remove(at)),
                None => {
                    // the directory's lock must be free before it is opened with other settings
                    if let Some(at) = old.iter().position(|one| one.target.is_at(&settings.directory)) {
                        drop(old.swap_remove(at));
                    }
                    self.files.push(Delivery::new(files::Target::new(settings)));
                }
            }
        }
        // plaintext nobody wants any more does not stay
        old.into_iter().for_each(|one| one.target.clear());
        // one that is not kept is stopped before another one begins
        let kept = self.process.take().and_then(|mut one| {
            let new = plan.process.as_ref()?;
            one.target.adopt(new).then_some(one)
        });
        self.process = kept.or_else(|| {
            let process = plan.process?;
            Some(Delivery::new(process::Target::new(
                process,
                Arc::clone(&self.bell),
                Arc::clone(&self.leash),
            )))
        });
    }
}

/// The entries a consumer may use and those it names.
fn wanted<'a>(
    selection: &'a Selection,
    named: impl Iterator<Item = &'a strongroom_core::name::EntryPath>,
) -> Wanted {
    let mut wanted = Wanted::default();
    if selection.derive {
        wanted.add_prefix(selection.prefix.as_ref());
    }
    named.chain(&selection.required).for_each(|path| wanted.add(path));
    wanted
}
