//! Changed settings: owns noticing that the file changed, and applying what can be applied
//! without a restart. It must not touch connections that stay allowed.

use std::ffi::CStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use tokio::sync::Notify;

use crate::follow::Follower;
use crate::inject::Injector;
use crate::log::Level;
use crate::settings::{self, Settings, Surroundings};
use crate::state::{Rules, State};
use crate::worker::Workers;

/// The names of the files in the settings' directory that are read with the settings, also where these are refused.
#[derive(Clone, Debug, Default)]
pub struct Beside(Arc<Mutex<Vec<Vec<u8>>>>);

impl Beside {
    /// Whether a file of this name is one.
    #[must_use]
    pub fn has(&self, name: &[u8]) -> bool {
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.iter().any(|one| one == name)
    }

    /// Reads which they are; where it cannot be read they stay as they were.
    pub fn look(&self, around: &Surroundings) {
        let text = std::fs::read_to_string(&around.file);
        let Some(Ok(settings)) = text.ok().map(|text| text.parse::<toml::Table>()) else {
            return;
        };
        let files = settings::parts(&settings, around).into_iter();
        let beside = files.filter(|file| file.parent() == around.file.parent());
        let names = beside.filter_map(|file| Some(file.file_name()?.as_bytes().to_vec()));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = names.collect();
    }
}

/// Editors and deployments write in several steps.
const SETTLE: Duration = Duration::from_millis(200);

/// Notices changes of `file`, and of what it names `beside` it, by watching its directory, in a thread of its own:
/// also when one is replaced by a rename, or when the directory is a mounted volume that is switched by its
/// `..data` link. The bell rings when a file may have changed and has settled.
///
/// # Errors
/// The system's: then only SIGHUP reloads.
pub fn notice(file: &Path, beside: Beside) -> io::Result<Arc<Notify>> {
    let directory = file
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let inotify = inotify::init(CreateFlags::CLOEXEC)?;
    let events = WatchFlags::CLOSE_WRITE
        | WatchFlags::MOVED_TO
        | WatchFlags::CREATE
        | WatchFlags::DELETE
        | WatchFlags::MOVE_SELF;
    inotify::add_watch(&inotify, directory, events)?;
    let name = file.file_name().unwrap_or_default().as_bytes().to_vec();
    let bell = Arc::new(Notify::new());
    let rung = Arc::clone(&bell);
    std::thread::Builder::new()
        .name("settings".into())
        .stack_size(256 * 1024)
        .spawn(move || {
            while let Ok(ours) = concerns(&inotify, &name, &beside) {
                if ours {
                    std::thread::sleep(SETTLE);
                    rung.notify_one();
                }
            }
            tracing::warn!("changes of the settings file are not noticed any more: send SIGHUP");
        })?;
    Ok(bell)
}

/// Waits for events; true when one of them concerns the file.
fn concerns(inotify: &OwnedFd, name: &[u8], beside: &Beside) -> rustix::io::Result<bool> {
    let mut room = [std::mem::MaybeUninit::uninit(); 4096];
    let mut reader = inotify::Reader::new(inotify, &mut room);
    let mut ours = false;
    loop {
        let event = match reader.next() {
            Err(Errno::INTR) => continue,
            event => event?,
        };
        // the directory itself went, and another one of its name would not be watched
        if event
            .events()
            .intersects(ReadFlags::IGNORED | ReadFlags::MOVE_SELF)
        {
            return Err(Errno::NOENT);
        }
        let of = event.file_name().map(CStr::to_bytes).unwrap_or_default();
        ours |= of == name
            || beside.has(of)
            || of.starts_with(b"..")
            || event.events().contains(ReadFlags::QUEUE_OVERFLOW);
        if reader.is_buffer_empty() {
            return Ok(ours);
        }
    }
}

/// What a reload acts on.
#[derive(Debug)]
pub struct Reload<'a> {
    /// The settings file and what it depends on.
    pub around: &'a Surroundings,
    /// The settings that hold.
    pub settings: Settings,
    /// What is served.
    pub state: &'a State,
    /// Who serves it.
    pub workers: &'a Workers,
    /// Who injects it.
    pub injector: &'a Injector,
    /// Who follows the store.
    pub follower: &'a Follower,
    /// Which files beside the settings are watched.
    pub beside: Beside,
    /// The log.
    pub level: &'a Level,
    /// Whether other settings were refused for what may go by itself, so that it is worth trying again.
    pub is_held_up: bool,
}

impl Reload<'_> {
    /// Reads the file again and applies it. Settings that are not valid are refused whole.
    pub fn reload(&mut self) {
        self.is_held_up = false;
        self.beside.look(self.around);
        let new = match Settings::load(self.around) {
            Ok(new) => new,
            Err(error) => {
                tracing::error!(%error, "the settings were not changed");
                return;
            }
        };
        if new == self.settings {
            return;
        }
        let held = self.settings.needs_restart(&new);
        if !held.is_empty() {
            tracing::warn!(
                keys = held.join(", "),
                "these settings changed and take effect at the next start only"
            );
        }
        let new = self.settings.with_reloadable_of(new);
        let changed = self.settings.takes_effect(&new);
        if changed.is_empty() {
            return;
        }
        let makes_other = (&new.files, &new.process) != (&self.settings.files, &self.settings.process);
        if new.overrides != self.settings.overrides {
            if let Err(error) = self.follower.overridden(&new) {
                self.is_held_up = error.is_temporary();
                tracing::error!(%error, "the settings were not changed: their overrides do not fit");
                return;
            }
        } else if makes_other && let Err(error) = self.follower.plan(&new) {
            self.is_held_up = error.is_temporary();
            tracing::error!(%error, "the settings were not changed: what they want made cannot be");
            return;
        }
        self.level.set(new.log);
        self.state.rule(Rules::of(&new));
        self.workers.ruled();
        if makes_other {
            self.injector.plan(&new);
        }
        self.follower.again();
        self.apply_to_socket(&new);
        self.settings = new;
        tracing::info!(keys = changed.join(", "), "the settings were reloaded");
    }

    fn apply_to_socket(&self, new: &Settings) {
        use std::os::unix::fs::PermissionsExt as _;
        let (old, new) = (&self.settings.socket, &new.socket);
        if (old.mode, old.group) == (new.mode, new.group) {
            return;
        }
        let owned = std::os::unix::fs::lchown(&new.path, None, new.group);
        let mode = std::fs::Permissions::from_mode(new.mode);
        if let Err(error) = owned.and_then(|()| std::fs::set_permissions(&new.path, mode)) {
            tracing::warn!(%error, "the socket's group and mode were not changed");
        }
    }
}
