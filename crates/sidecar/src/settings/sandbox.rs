//! The settings of the sandbox: owns the keys of `[sandbox]`. It must not put anything up.

use super::table::Table;

/// What threads that read foreign bytes may not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sandbox {
    /// Files that the settings do not name are out of reach.
    pub files: bool,
    /// What becomes of system calls that are not needed.
    pub syscalls: Syscalls,
}

/// What becomes of a system call that is not needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syscalls {
    /// It fails as if the kernel did not have it.
    Refuse,
    /// It ends the process.
    Kill,
    /// It is made.
    Off,
}

pub(super) fn sandbox(table: &Table<'_>) -> Sandbox {
    let syscalls = table.parse("syscalls", |text| match text {
        "refuse" => Ok(Syscalls::Refuse),
        "kill" => Ok(Syscalls::Kill),
        "off" => Ok(Syscalls::Off),
        _ => Err("refuse, kill or off is wanted"),
    });
    Sandbox {
        files: table.boolean("files", true),
        syscalls: syscalls.unwrap_or(Syscalls::Refuse),
    }
}
