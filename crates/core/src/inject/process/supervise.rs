//! The entry to supervision: owns the checks before anything starts and what is set up around the
//! loop. It must not know what the loop does.

use rustix::process::Signal as Raw;

use super::channel::Updates;
use super::command::OnChangeCommand;
use super::signal::Listener;
use super::supervisor::{Phase, Supervisor};
use super::{Exit, Group, ProcessError, ProcessSettings, Report};
use crate::inject::Material;
use crate::inject::files::Directory;

/// Starts the process with `first` and stays until it has ended for good; blocks this thread.
///
/// The values of the running revision are kept in memory for as long as it runs, so that it can
/// be started again; they are wiped when they are replaced.
///
/// # Errors
/// [`ProcessError`] when nothing was started, or nothing could be started again.
pub fn supervise(
    settings: ProcessSettings,
    first: Material,
    updates: Updates,
    report: &mut dyn FnMut(Report<'_>),
) -> Result<Exit, ProcessError> {
    let failed = |action| move |source| ProcessError::System { action, source };
    if settings.command.is_empty() {
        return Err(ProcessError::NoCommand);
    }
    let shares_terminal = match settings.group {
        Group::Own => false,
        Group::Shared => true,
        Group::Detect => has_terminal(),
    };
    // before anything is there that a signal would have to end in good order
    let listener = if settings.pass_signals {
        Some(
            Listener::start(&heard(shares_terminal), updates.sender.clone())
                .map_err(failed("listen for signals"))?,
        )
    } else {
        None
    };
    let first = settings.trimmed(first);
    first.require(settings.all_required())?;
    settings.env.variables(&first)?;
    let files = settings.files.clone().map(Directory::open).transpose()?;
    files
        .iter()
        .flat_map(Directory::notes)
        .for_each(|note| report(Report::Note(note)));
    if settings.no_new_privs {
        rustix::thread::set_no_new_privs(true).map_err(|errno| failed("set no_new_privs")(errno.into()))?;
    }
    let mut supervisor = Supervisor {
        pause: settings.backoff.first,
        settings,
        events: updates.sender.clone(),
        report,
        files,
        current: first,
        shares_terminal,
        child: None,
        command: OnChangeCommand::default(),
        phase: Phase::Running,
        asked: None,
        revised: None,
        refused: None,
    };
    let result = supervisor.run(&updates);
    supervisor.end_command();
    drop(listener);
    supervisor.clear();
    result
}

impl ProcessSettings {
    /// Only what is wanted, in one order; the rest is wiped here.
    pub(super) fn trimmed(&self, mut material: Material) -> Material {
        let wanted = self.wanted();
        material.values.retain(|value| wanted.contains(&value.path));
        material.values.sort_by(|a, b| a.path.cmp(&b.path));
        material
    }
}

/// The signals to listen for. On a terminal it stops and continues the whole group by itself, and
/// the shell must see this process stop.
fn heard(shares_terminal: bool) -> Vec<Raw> {
    let mut heard = vec![
        Raw::CHILD,
        Raw::TERM,
        Raw::INT,
        Raw::QUIT,
        Raw::HUP,
        Raw::USR1,
        Raw::USR2,
    ];
    if !shares_terminal {
        heard.extend([Raw::WINCH, Raw::TSTP, Raw::CONT]);
    }
    heard
}

/// True when this process's session has a terminal.
fn has_terminal() -> bool {
    use rustix::fs::{Mode, OFlags};
    rustix::fs::open(
        "/dev/tty",
        OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOCTTY,
        Mode::empty(),
    )
    .is_ok()
}
