//! The editor on a plaintext: owns the scratch file in memory, starting the editor without a
//! shell, and wiping whatever way it ends. It must not know entries.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use strongroom_core::ambient::Ambient;
use strongroom_core::secret::Secret;

use crate::error::CliError;
use crate::{prompt, value};

const TMPFS: u64 = 0x0102_1994;
const RAMFS: u64 = 0x8584_58f6;
/// How long an editor may take to end after SIGTERM or SIGHUP.
const GRACE: Duration = Duration::from_secs(2);

/// What the signal thread must know. Whoever makes the directory or starts the editor holds the
/// lock until it is written here, so that a signal never comes between the two.
#[derive(Debug, Default)]
struct Shared {
    /// What is to be wiped.
    dir: Option<PathBuf>,
    editor: Option<Pid>,
    /// SIGTERM or SIGHUP came while the editor ran.
    ended_by: Option<i32>,
}

/// A private directory in memory with one file; wiped when dropped, and on signals.
#[derive(Debug)]
pub(crate) struct Scratch {
    file: PathBuf,
    shared: Arc<Mutex<Shared>>,
}

impl Scratch {
    /// Makes the directory (0700) in memory, or in `insecure_dir` where that was asked for, and
    /// the file (0600) with `bytes`.
    pub(crate) fn new(insecure_dir: Option<&Path>, name: &str, bytes: &Secret) -> Result<Self, CliError> {
        let base = match insecure_dir {
            Some(dir) => dir.to_path_buf(),
            None => memory_dir()?,
        };
        let random: [u8; 8] = Ambient::system()
            .random()
            .map_err(|error| CliError::failed(error.to_string()))?;
        let dir = base.join(format!("strongroom-edit-{:016x}", u64::from_be_bytes(random)));
        let shared = Arc::new(Mutex::new(Shared::default()));
        watch_signals(&shared)?;
        let scratch = Self {
            file: dir.join(name),
            shared,
        };
        // Declared after `scratch`: on an error it is released first, and then the scratch is wiped.
        let mut state = lock(&scratch.shared);
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&dir)
            .map_err(|error| CliError::io(dir.display(), &error))?;
        state.dir = Some(dir);
        std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&scratch.file)
            .and_then(|mut file| bytes.expose(|bytes| file.write_all(bytes)))
            .map_err(|error| CliError::io(scratch.file.display(), &error))?;
        drop(state);
        Ok(scratch)
    }

    /// Runs the editor on the file and waits for it to end well.
    pub(crate) fn edit(&self, editor: &Editor) -> Result<(), CliError> {
        let name = editor.program.to_string_lossy();
        let mut command = Command::new(&editor.program);
        command.args(&editor.arguments).arg(&self.file);
        let (mut child, pid) = {
            let mut state = lock(&self.shared);
            let child = command.spawn().map_err(|error| {
                CliError::io(format!("editor {name}"), &error)
                    .hint("set VISUAL or EDITOR to a program that is installed")
            })?;
            let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
            state.editor = pid;
            (child, pid)
        };
        if let Some(pid) = pid {
            // Not reaped yet: the signal thread can never hit another process with this number.
            while waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
                .is_err_and(|error| error == rustix::io::Errno::INTR)
            {}
        }
        let ended_by = {
            let mut shared = lock(&self.shared);
            shared.editor = None;
            shared.ended_by
        };
        let status = child
            .wait()
            .map_err(|error| CliError::io(format!("editor {name}"), &error))?;
        if let Some(signal) = ended_by {
            self.wipe();
            std::process::exit(128 + signal);
        }
        if status.success() {
            return Ok(());
        }
        let how = match (status.code(), status.signal()) {
            (Some(code), _) => format!("with exit code {code}"),
            (None, Some(signal)) => format!("by signal {signal}"),
            (None, None) => "without success".to_owned(),
        };
        Err(CliError::failed(format!(
            "editor {name} ended {how}: nothing was changed"
        )))
    }

    /// The file as it is now. A text that is too long is kept, for it is somebody's work.
    pub(crate) fn read(&self) -> Result<Secret, CliError> {
        // Editors replace the file, so it is opened by name again; a symlink is not followed.
        let file = std::fs::OpenOptions::new()
            .read(true)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
            .open(&self.file)
            .map_err(|error| CliError::io(self.file.display(), &error))?;
        value::read_bounded(file, "the edited text").map_err(|error| {
            error.hint(format!(
                "your text is kept in {}: take out of it what you need, then remove its directory",
                self.keep().display()
            ))
        })
    }

    /// Writes other bytes into the file, over those that are there.
    pub(crate) fn write(&self, bytes: &Secret) -> Result<(), CliError> {
        let failed = |error| CliError::io(self.file.display(), &error);
        overwrite(&self.file).map_err(failed)?;
        std::fs::OpenOptions::new()
            .write(true)
            .truncate(true)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
            .open(&self.file)
            .and_then(|mut file| bytes.expose(|bytes| file.write_all(bytes)))
            .map_err(failed)
    }

    /// Wipes now. Whoever answers on stdout does so first: a reader that has gone ends the process
    /// there, and nothing is dropped.
    pub(crate) fn wipe(&self) {
        if let Some(dir) = lock(&self.shared).dir.take() {
            wipe(&dir);
        }
    }

    /// Keeps the directory, so that work is not lost; its file.
    pub(crate) fn keep(&self) -> &Path {
        lock(&self.shared).dir = None;
        &self.file
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.wipe();
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A directory that lies in memory: `XDG_RUNTIME_DIR` or `/dev/shm`.
fn memory_dir() -> Result<PathBuf, CliError> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR")
        .filter(|dir| !dir.is_empty())
        .map(PathBuf::from);
    let candidates = [runtime, Some(PathBuf::from("/dev/shm"))];
    let in_memory = |dir: &PathBuf| {
        let kind = rustix::fs::statfs(dir).map(|about| u64::try_from(about.f_type).unwrap_or(0));
        let writable = rustix::fs::access(dir, rustix::fs::Access::WRITE_OK).is_ok();
        dir.is_dir() && writable && matches!(kind, Ok(TMPFS | RAMFS))
    };
    candidates.into_iter().flatten().find(in_memory).ok_or_else(|| {
        CliError::failed(
            "there is no directory in memory to edit in: neither XDG_RUNTIME_DIR nor /dev/shm is on tmpfs",
        )
        .hint("mount one, or name any directory with --insecure-dir: the text may stay readable on its disk")
    })
}

/// Handles SIGINT, SIGTERM and SIGHUP until the process ends: they go to the editor while it runs,
/// and otherwise wipe and end.
fn watch_signals(shared: &Arc<Mutex<Shared>>) -> Result<(), CliError> {
    prompt::release_interrupt();
    let mut signals =
        Signals::new([SIGINT, SIGTERM, SIGHUP]).map_err(|error| CliError::io("signals", &error))?;
    let shared = Arc::clone(shared);
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for signal in signals.forever() {
                on_signal(&shared, signal);
            }
        })
        .map_err(|error| CliError::io("a thread for signals", &error))?;
    Ok(())
}

fn on_signal(shared: &Mutex<Shared>, signal: i32) {
    let mut state = lock(shared);
    let Some(editor) = state.editor else {
        if let Some(dir) = state.dir.take() {
            wipe(&dir);
        }
        std::process::exit(128 + signal);
    };
    // An editor keeps Ctrl-C to itself; the other two are meant to end both.
    let _ = kill_process(editor, Signal::from_named_raw(signal).unwrap_or(Signal::TERM));
    if signal != SIGINT {
        state.ended_by = Some(signal);
        drop(state);
        std::thread::sleep(GRACE);
        if let Some(editor) = lock(shared).editor {
            let _ = kill_process(editor, Signal::KILL);
        }
    }
}

/// Overwrites and removes everything in `dir`, swap and backup files of editors too.
fn wipe(dir: &Path) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => wipe(&path),
            Ok(kind) if kind.is_file() => {
                let _ = overwrite(&path);
                let _ = std::fs::remove_file(&path);
            }
            _ => {
                let _ = std::fs::remove_file(&path);
            }
        }
    }
    let _ = std::fs::remove_dir(dir);
}

fn overwrite(path: &Path) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)?;
    let zeros = [0_u8; 4096];
    let mut left = file.metadata()?.len();
    while left > 0 {
        let count = usize::try_from(left).unwrap_or(zeros.len()).min(zeros.len());
        file.write_all(zeros.get(..count).unwrap_or_default())?;
        left -= count as u64;
    }
    file.flush()
}

/// The editor to start.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Editor {
    program: OsString,
    arguments: Vec<OsString>,
}

impl Editor {
    /// `VISUAL`, else `EDITOR`, else `vi`.
    pub(crate) fn of_environment() -> Result<Self, CliError> {
        let named = ["VISUAL", "EDITOR"].into_iter().find_map(|name| {
            let value = std::env::var(name)
                .ok()
                .filter(|value| !value.trim().is_empty())?;
            Some((name, value))
        });
        let (name, line) = named.unwrap_or(("EDITOR", "vi".to_owned()));
        Self::parse(&line).ok_or_else(|| {
            CliError::usage(format!(
                "{name} is not a program with arguments: a quote is not closed"
            ))
        })
    }

    /// Splits at blanks; `'` and `"` keep blanks together. No shell, so nothing else is special.
    fn parse(line: &str) -> Option<Self> {
        let mut words: Vec<String> = Vec::new();
        let mut word: Option<String> = None;
        let mut quote = None;
        for letter in line.chars() {
            match (quote, letter) {
                (Some(open), close) if open == close => quote = None,
                (None, '\'' | '"') => {
                    quote = Some(letter);
                    word.get_or_insert_default();
                }
                (None, blank) if blank.is_whitespace() => words.extend(word.take()),
                (_, letter) => word.get_or_insert_default().push(letter),
            }
        }
        words.extend(word);
        let mut words = words.into_iter().map(OsString::from);
        let program = words.next().filter(|program| !program.is_empty())?;
        quote.is_none().then(|| Self {
            program,
            arguments: words.collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_editor_is_split_without_a_shell() {
        let split = |line: &str| {
            Editor::parse(line).map(|editor| {
                let mut words = vec![editor.program];
                words.extend(editor.arguments);
                words
                    .into_iter()
                    .map(|word| word.into_string().unwrap())
                    .collect::<Vec<_>>()
            })
        };
        assert_eq!(split("vi").unwrap(), ["vi"]);
        assert_eq!(split("  code  --wait ").unwrap(), ["code", "--wait"]);
        assert_eq!(
            split("'/opt/my editor/ed' -x \"a b\"'c'").unwrap(),
            ["/opt/my editor/ed", "-x", "a bc"]
        );
        assert_eq!(split("ed ''").unwrap(), ["ed", ""]);
        assert_eq!(
            split("ed; rm $HOME `id`").unwrap(),
            ["ed;", "rm", "$HOME", "`id`"]
        );
        assert_eq!(split("ed 'open"), None);
        assert_eq!(split(""), None);
    }
}
