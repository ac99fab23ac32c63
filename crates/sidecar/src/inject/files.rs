//! A directory of files as a consumer: owns opening it, delivering into it and what follows a
//! switch.

use std::path::Path;
use std::sync::Arc;

use strongroom_core::id::{EntryId, Version};
use strongroom_core::inject::Wanted;
use strongroom_core::inject::files::{Directory, FilesSettings};
use strongroom_core::name::EnvironmentName;
use strongroom_core::snapshot::Snapshot;
use strongroom_core::uptake::Reaction;

use super::carried::Carried;
use super::making::Makes;
use super::{Report, action, wanted};
use crate::asker::Asker;
use crate::make::Names;
use crate::read;
use crate::settings::{Files, OnFiles};
use crate::state::State;

#[derive(Debug)]
pub(super) struct Target {
    settings: Files,
    wanted: Wanted,
    asker: Arc<Asker>,
    makes: Makes,
    directory: Option<Directory>,
    revision: Option<u64>,
    carried: Carried,
    /// The files switched, and what follows has not worked yet.
    is_due: bool,
}

impl Target {
    pub(super) fn new(settings: Files) -> Self {
        Self {
            asker: Arc::new(Asker::injection(&settings.directory.display().to_string())),
            makes: Makes::new(Names::Files),
            wanted: wanted(&settings.selection, settings.names.iter().map(|(_, path)| path)),
            settings,
            directory: None,
            revision: None,
            carried: Carried::default(),
            // whether it worked for the files that an earlier run left is not known
            is_due: true,
        }
    }

    /// Takes other settings where only what is made is another thing: what comes out the same stays as it is.
    pub(super) fn adopt(&mut self, settings: &Files) -> bool {
        let same = Files {
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

    pub(super) fn is_at(&self, directory: &Path) -> bool {
        self.settings.directory == directory
    }

    /// Removes what was delivered.
    pub(super) fn clear(mut self) {
        let directory = self.directory.take();
        if let Some(Err(error)) = directory.map(|mut directory| directory.clear()) {
            tracing::warn!(%error, "files that are not wanted any more were not removed");
        }
    }

    fn open(&mut self) -> Result<&mut Directory, String> {
        if self.directory.is_none() {
            let directory = Directory::open(FilesSettings {
                directory: self.settings.directory.clone(),
                prefix: self.settings.selection.prefix.clone(),
                derive: self.settings.selection.derive,
                names: self.settings.names.clone(),
                mode: self.settings.mode,
                uid: self.settings.uid,
                gid: self.settings.gid,
            });
            let directory = directory.map_err(|error| error.to_string())?;
            directory.notes().iter().for_each(|note| tracing::warn!("{note}"));
            self.directory = Some(directory);
        }
        self.directory.as_mut().ok_or_else(String::new)
    }
}

impl super::Target for Target {
    fn deliver(&mut self, state: &Arc<State>, snapshot: &Arc<Snapshot>) -> Result<(), String> {
        if self.revision != Some(snapshot.revision().0) {
            self.makes.known(snapshot)?;
            let current = state.current();
            let question = state.question(&current, &self.asker, snapshot);
            let material = read::material(state.gate(), &question, snapshot, &self.wanted);
            let mut material = material.map_err(|error| error.to_string())?;
            material
                .require(&self.settings.selection.required)
                .map_err(|error| error.to_string())?;
            material.made = self
                .makes
                .make((state, &self.asker), snapshot, &self.settings.made)?;
            let applied = self.open()?.apply(&material).map_err(|error| error.to_string())?;
            applied.notes.iter().for_each(|note| tracing::warn!("{note}"));
            self.revision = Some(applied.revision);
            let listed = self.listed(state.environment(), snapshot);
            self.carried.hand(state, snapshot, listed);
            self.is_due |= applied.switched;
        }
        if self.is_due {
            match &self.settings.on_change {
                OnFiles::Nothing => {}
                OnFiles::Signal { signal, pidfile } => action::signal(*signal, pidfile)?,
                OnFiles::Command(command) => action::run(command)?,
            }
            self.is_due = false;
        }
        self.carried.apply(state.now(), snapshot.revision().0);
        Ok(())
    }

    fn is_whole(&self) -> bool {
        self.makes.is_whole(&self.settings.made)
    }

    fn again(&mut self) {
        self.revision = None;
        self.makes.forget();
    }

    fn listed(&self, environment: &EnvironmentName, snapshot: &Snapshot) -> Vec<(EntryId, Version)> {
        self.makes.listed(environment, snapshot, &self.wanted)
    }

    fn carried(&self) -> Carried {
        self.carried.clone()
    }

    fn report(&self) -> Report {
        Report {
            kind: "files",
            target: self.settings.directory.display().to_string(),
            reaction: match &self.settings.on_change {
                OnFiles::Nothing => Reaction::Nothing,
                OnFiles::Signal { .. } => Reaction::Signal,
                OnFiles::Command(_) => Reaction::Command,
            },
            revision: self.revision,
            problem: None,
        }
    }
}
