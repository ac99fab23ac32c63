//! Landlock: owns which paths the threads behind the fence reach, and how. TCP is out of reach
//! whole. It must not open what it names.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, PathBeneath, PathFd,
    Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetError, RulesetStatus, make_bitflags,
};

use crate::settings::{Settings, Surroundings};

/// The newest rules that are asked for; an older kernel holds those it knows. Later ones forbid
/// connecting to sockets by path, which the service manager's is.
const RULES: ABI = ABI::V5;

/// How a path is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Files are read and directories listed.
    Read,
    /// Files are made, changed and removed too; no program, no device.
    Write,
}

impl Access {
    fn rights(self) -> BitFlags<AccessFs> {
        let read = make_bitflags!(AccessFs::{ReadFile | ReadDir});
        match self {
            Self::Read => read,
            Self::Write => {
                read | make_bitflags!(AccessFs::{
                    WriteFile | Truncate | MakeReg | RemoveFile | MakeSock | MakeSym | MakeDir | RemoveDir | Refer
                })
            }
        }
    }
}

/// How much of it the kernel holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// All.
    Whole,
    /// What its version knows.
    Part,
    /// None: it has no Landlock.
    Nothing,
}

/// Everything that is reached behind the fence after the start. The identity is not: it was read.
/// Whoever adds a setting that names a path adds it here.
#[must_use]
pub fn paths(settings: &Settings, around: &Surroundings) -> Vec<(PathBuf, Access)> {
    let directory = |path: &Path| {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        parent.unwrap_or(Path::new(".")).to_owned()
    };
    let mut paths = vec![
        // a file that is replaced is another file: hence its directory
        (directory(&around.file), Access::Read),
        (settings.state.clone(), Access::Write),
        (directory(&settings.socket.path), Access::Write),
        // names of users and groups in reloaded settings
        ("/etc/passwd".into(), Access::Read),
        ("/etc/group".into(), Access::Read),
        // whether a peer still lives; the kernel's own limits apply
        ("/proc".into(), Access::Read),
    ];
    paths.extend(settings.parts().map(|file| (directory(file), Access::Read)));
    if let Some(store) = settings.store.strip_prefix("sqlite:") {
        paths.push((directory(Path::new(store)), Access::Write));
    }
    if let Some(audit) = &settings.audit {
        paths.push((audit.directory.clone(), Access::Write));
    }
    paths
}

/// Puts everything else out of the reach of this thread and those it starts. A path that is not
/// there stays out of reach also when it comes.
pub(super) fn restrict(paths: &[(PathBuf, Access)]) -> Result<Held, RulesetError> {
    let handled = AccessFs::from_all(RULES);
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(handled)?
        .handle_access(AccessNet::from_all(RULES))?
        .create()?;
    for (path, access) in paths {
        let Ok(fd) = PathFd::new(path) else { continue };
        let mut rights = access.rights() & handled;
        if !path.is_dir() {
            rights &= AccessFs::from_file(RULES);
        }
        rules = rules.add_rule(PathBeneath::new(fd, rights))?;
    }
    let held = rules.restrict_self()?;
    Ok(match held.ruleset {
        RulesetStatus::FullyEnforced => Held::Whole,
        RulesetStatus::PartiallyEnforced => Held::Part,
        RulesetStatus::NotEnforced => Held::Nothing,
    })
}
