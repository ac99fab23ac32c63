//! The files that matter: owns looking at the modes of the store, the identity and their
//! directories. It must not open what is in them.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use strongroom_core::crypto::identity::is_passphrase_protected;

use super::Finding;
use crate::settings::Settings;

/// `f_type` of NFS and of SMB, where SQLite's locks do not hold.
const REMOTE: [u64; 3] = [0x6969, 0xff53_4d42, 0xfe53_4d42];

/// Every check of the files that the settings name.
pub(crate) fn findings(settings: &Settings) -> Vec<Finding> {
    let store = settings.store.as_ref().map(|setting| setting.value.as_str());
    let store = store
        .and_then(|location| location.strip_prefix("sqlite:"))
        .map(PathBuf::from);
    let identity = settings.identity.as_ref().map(|setting| setting.value.as_path());
    vec![
        store
            .as_deref()
            .map_or_else(|| Finding::skipped("store file", "no store is set"), store_file),
        store.as_deref().map_or_else(
            || Finding::skipped("store directory", "no store is set"),
            |path| directory("store directory", path),
        ),
        identity.map_or_else(|| Finding::skipped("identity", "none is set"), identity_file),
        identity.map_or_else(
            || Finding::skipped("identity directory", "no identity is set"),
            |path| directory("identity directory", path),
        ),
    ]
}

fn bits(metadata: &Metadata) -> u32 {
    metadata.mode() & 0o7777
}

fn store_file(path: &Path) -> Finding {
    const CHECK: &str = "store file";
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => return Finding::skipped(CHECK, format!("{}: {error}", path.display())),
    };
    let mode = bits(&metadata);
    if rustix::fs::statfs(path)
        .is_ok_and(|fs| u64::try_from(fs.f_type).is_ok_and(|kind| REMOTE.contains(&kind)))
    {
        return Finding::problem(
            CHECK,
            format!(
                "{} lies on a network file system, where SQLite's locks do not hold",
                path.display()
            ),
            "move it to a local disk",
        );
    }
    if mode & 0o002 != 0 {
        return Finding::problem(
            CHECK,
            format!(
                "{} may be written by everybody (mode {mode:04o}), who could destroy it",
                path.display()
            ),
            format!("chmod o-w {}", path.display()),
        );
    }
    if mode & 0o004 != 0 {
        return Finding::warning(
            CHECK,
            format!(
                "{} may be read by everybody (mode {mode:04o}): it is sealed, but shows when what changed",
                path.display()
            ),
            format!("chmod o-r {}", path.display()),
        );
    }
    Finding::ok(CHECK, format!("{}, mode {mode:04o}", path.display()))
}

/// Who writes a directory can replace what lies in it.
fn directory(check: &'static str, file: &Path) -> Finding {
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    let path = parent.unwrap_or(Path::new("."));
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => return Finding::skipped(check, format!("{}: {error}", path.display())),
    };
    let mode = bits(&metadata);
    let is_sticky = mode & 0o1000 != 0;
    if mode & 0o002 != 0 && !is_sticky {
        return Finding::problem(
            check,
            format!(
                "{} may be written by everybody (mode {mode:04o}), who could replace the file",
                path.display()
            ),
            format!("chmod o-w {}", path.display()),
        );
    }
    let own = rustix::process::geteuid().as_raw();
    if ![0, own].contains(&metadata.uid()) {
        return Finding::warning(
            check,
            format!(
                "{} belongs to uid {}, who can replace the file",
                path.display(),
                metadata.uid()
            ),
            "keep it in a directory of your own, or of root's",
        );
    }
    Finding::ok(check, format!("{}, mode {mode:04o}", path.display()))
}

fn identity_file(path: &Path) -> Finding {
    const CHECK: &str = "identity";
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => return Finding::skipped(CHECK, format!("{}: {error}", path.display())),
    };
    let mode = bits(&metadata);
    if mode & 0o077 != 0 {
        return Finding::problem(
            CHECK,
            format!(
                "{} may be read by others (mode {mode:04o}): it is refused, and whoever read it has the keys",
                path.display()
            ),
            format!(
                "chmod 600 {}, then make a new identity and remove the old member",
                path.display()
            ),
        );
    }
    match is_passphrase_protected(path) {
        Ok(true) => Finding::ok(
            CHECK,
            format!("{}, mode {mode:04o}, with a passphrase", path.display()),
        ),
        Ok(false) => Finding::ok(
            CHECK,
            format!(
                "{}, mode {mode:04o}, without a passphrase: its mode is all that protects it",
                path.display()
            ),
        ),
        Err(error) => Finding::problem(CHECK, error.to_string(), "restore it from a backup"),
    }
}
