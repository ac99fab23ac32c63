//! A supervised process as a consumer: owns the thread that supervises it and what it reported.

use std::ffi::OsString;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use strongroom_core::id::{EntryId, Version};
use strongroom_core::inject::env::EnvSettings;
use strongroom_core::inject::process::{self, Backoff, Group, Handle, ProcessSettings, Signal};
use strongroom_core::inject::{Material, Wanted};
use strongroom_core::name::EnvironmentName;
use strongroom_core::snapshot::Snapshot;
use strongroom_core::uptake::Reaction;

use super::carried::Carried;
use super::heard::Heard;
use super::leash::Leash;
use super::making::Makes;
use super::{Order, Report, wanted};
use crate::asker::Asker;
use crate::bell::Bell;
use crate::make::Names;
use crate::read;
use crate::settings::{OnChange, Process};
use crate::state::State;

#[derive(Debug)]
pub(super) struct Target {
    settings: Process,
    wanted: Wanted,
    asker: Arc<Asker>,
    makes: Makes,
    bell: Arc<Bell<Order>>,
    leash: Arc<Leash>,
    heard: Arc<Mutex<Heard>>,
    running: Option<(Handle, JoinHandle<()>)>,
    /// The revision that was handed over last.
    handed: Option<u64>,
    carried: Carried,
}

impl Target {
    pub(super) fn new(settings: Process, bell: Arc<Bell<Order>>, leash: Arc<Leash>) -> Self {
        Self {
            asker: Arc::new(Asker::injection(
                settings.command.first().map_or("", String::as_str),
            )),
            makes: Makes::new(Names::Variables),
            wanted: wanted(&settings.selection, settings.env.iter().map(|(_, path)| path)),
            settings,
            bell,
            leash,
            heard: Arc::default(),
            running: None,
            handed: None,
            carried: Carried::default(),
        }
    }

    /// Takes other settings where only what is made is another thing: what comes out the same stays as it is.
    pub(super) fn adopt(&mut self, settings: &Process) -> bool {
        let same = Process {
            made: settings.made.clone(),
            ..self.settings.clone()
        };
        let is_same = same == *settings;
        if is_same && self.settings != *settings {
            self.settings = same;
            super::Target::again(self);
        }
        is_same
    }

    fn heard(&self) -> std::sync::MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the process in good order.
    pub(super) fn stop(&mut self) {
        if let Some((handle, thread)) = self.running.take() {
            handle.stop();
            let _ = thread.join();
        }
    }

    fn start(&mut self, first: Material) -> Result<(), String> {
        let (handle, updates) = process::channel();
        let settings = self.process_settings();
        let heard = Arc::clone(&self.heard);
        let bell = Arc::clone(&self.bell);
        let leash = Arc::clone(&self.leash);
        if !leash.hold(&handle) {
            return Err("the sidecar is going down".to_owned());
        }
        let thread = std::thread::Builder::new()
            .name("process".into())
            .stack_size(512 * 1024)
            .spawn(move || {
                let tell = |change: &mut dyn FnMut(&mut Heard)| {
                    change(&mut heard.lock().unwrap_or_else(PoisonError::into_inner));
                    bell.ring();
                };
                let ended = process::supervise(settings, first, updates, &mut |report| {
                    tracing::info!("process: {report}");
                    tell(&mut |heard| heard.hear(&report));
                });
                tell(&mut |heard| heard.end(&ended));
                leash.release();
            });
        let thread = thread.map_err(|error| {
            self.leash.release();
            format!("no thread to supervise it: {error}")
        })?;
        self.running = Some((handle, thread));
        Ok(())
    }

    fn process_settings(&self) -> ProcessSettings {
        let settings = &self.settings;
        ProcessSettings {
            env: EnvSettings {
                prefix: settings.selection.prefix.clone(),
                derive: settings.selection.derive,
                names: settings.env.clone(),
            },
            clean_env: settings.clean_env,
            required: settings.selection.required.clone(),
            on_change: match &settings.on_change {
                OnChange::Restart => process::OnChange::Restart,
                OnChange::Nothing => process::OnChange::Nothing,
                OnChange::Signal(signal) => process::OnChange::Signal(*signal),
                OnChange::Command(command) => {
                    process::OnChange::Run(command.iter().map(OsString::from).collect())
                }
            },
            command_limit: settings.command_limit,
            restart: settings.restart,
            backoff: Backoff::default(),
            stop_signal: Signal::TERM,
            grace: settings.grace,
            pass_signals: false,
            group: Group::Own,
            no_new_privs: true,
            ..ProcessSettings::new(&settings.command)
        }
    }
}

impl super::Target for Target {
    fn deliver(&mut self, state: &Arc<State>, snapshot: &Arc<Snapshot>) -> Result<(), String> {
        // what the process has is known by now of what was handed over earlier
        let has = self.heard().has();
        if let Some(revision) = has {
            self.carried.apply(state.now(), revision);
        }
        let failed_to_start = std::mem::take(&mut self.heard().failed_to_start);
        if failed_to_start {
            self.stop();
            self.handed = None;
            // the caller waits before it tries again
            return Err(self.heard().problem.clone().unwrap_or_default());
        }
        if self.handed == Some(snapshot.revision().0) {
            return Ok(());
        }
        self.makes.known(snapshot)?;
        let current = state.current();
        let question = state.question(&current, &self.asker, snapshot);
        let material = read::material(state.gate(), &question, snapshot, &self.wanted);
        let mut material = material.map_err(|error| error.to_string())?;
        material.made = self
            .makes
            .make((state, &self.asker), snapshot, &self.settings.made)?;
        let revision = material.revision;
        match &self.running {
            // a process that ended for good stays ended
            Some((handle, _)) => {
                let _ = handle.deliver(material);
            }
            None => self.start(material)?,
        }
        // not before: without a thread it is tried again
        self.handed = Some(revision);
        let listed = self.listed(state.environment(), snapshot);
        self.carried.hand(state, snapshot, listed);
        Ok(())
    }

    fn is_whole(&self) -> bool {
        self.makes.is_whole(&self.settings.made)
    }

    fn again(&mut self) {
        self.handed = None;
        self.makes.forget();
    }

    fn carried(&self) -> Carried {
        let mut carried = self.carried.clone();
        let heard = self.heard();
        (carried.is_down, carried.has_ended) = (heard.is_down, heard.has_ended);
        carried
    }

    fn listed(&self, environment: &EnvironmentName, snapshot: &Snapshot) -> Vec<(EntryId, Version)> {
        self.makes.listed(environment, snapshot, &self.wanted)
    }

    fn report(&self) -> Report {
        let heard = self.heard();
        Report {
            kind: "process",
            target: self.settings.command.first().cloned().unwrap_or_default(),
            reaction: match &self.settings.on_change {
                OnChange::Restart => Reaction::Restart,
                OnChange::Nothing => Reaction::Nothing,
                OnChange::Signal(_) => Reaction::Signal,
                OnChange::Command(_) => Reaction::Command,
            },
            revision: heard.revision,
            problem: heard.problem.clone(),
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.stop();
    }
}
