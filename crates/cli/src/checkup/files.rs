//! The files that matter: owns looking at the modes of the store, the identity and their
//! directories. It must not open what is in them.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use strongroom_core::crypto::identity::is_passphrase_protected;

use super::Finding;
use crate::settings::{Origin, Setting, Settings};

/// `f_type` of NFS and of SMB, where SQLite's locks do not hold.
const REMOTE: [u64; 3] = [0x6969, 0xff53_4d42, 0xfe53_4d42];

/// Every check of the files that the settings name.
pub(crate) fn findings(settings: &Settings) -> Vec<Finding> {
    let store = settings.store.as_ref().and_then(|setting| {
        Some(Named {
            path: PathBuf::from(setting.value.strip_prefix("sqlite:")?),
            origin: &setting.origin,
        })
    });
    let identity = settings.identity.as_ref().map(Named::of);
    let passphrase = settings.passphrase_file.as_ref().map(Named::of);
    let mut findings = vec![
        store
            .as_ref()
            .map_or_else(|| Finding::skipped("store file", "no store is set"), store_file),
        store.as_ref().map_or_else(
            || Finding::skipped("store directory", "no store is set"),
            |named| directory("store directory", named),
        ),
        identity
            .as_ref()
            .map_or_else(|| Finding::skipped("identity", "none is set"), identity_file),
        identity.as_ref().map_or_else(
            || Finding::skipped("identity directory", "no identity is set"),
            |named| directory("identity directory", named),
        ),
    ];
    findings.extend(passphrase.as_ref().map(passphrase_file));
    findings.extend(
        settings
            .audit
            .as_ref()
            .map(|setting| audit_directory(&setting.value)),
    );
    findings
}

/// A file of a setting.
struct Named<'a> {
    path: PathBuf,
    origin: &'a Origin,
}

impl<'a> Named<'a> {
    fn of(setting: &'a Setting<PathBuf>) -> Self {
        Self {
            path: setting.value.clone(),
            origin: &setting.origin,
        }
    }

    /// What somebody named has to be there; the default need not.
    fn look(&self, check: &'static str, path: &Path, next: &str) -> Result<Metadata, Finding> {
        std::fs::metadata(path).map_err(|error| match self.origin {
            Origin::Default => Finding::skipped(check, format!("{}: {error}", path.display())),
            origin => Finding::problem(check, format!("{}: {error} ({origin})", path.display()), next),
        })
    }
}

fn bits(metadata: &Metadata) -> u32 {
    metadata.mode() & 0o7777
}

fn store_file(named: &Named<'_>) -> Finding {
    const CHECK: &str = "store file";
    let path = named.path.as_path();
    let metadata = match named.look(
        CHECK,
        path,
        "name the store's file, or make one with `strongroom init`",
    ) {
        Ok(metadata) => metadata,
        Err(finding) => return finding,
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
fn directory(check: &'static str, named: &Named<'_>) -> Finding {
    let parent = named
        .path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let path = parent.unwrap_or(Path::new("."));
    let metadata = match named.look(check, path, "name a file in a directory that is there") {
        Ok(metadata) => metadata,
        Err(finding) => return finding,
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
    if mode & 0o020 != 0 && !is_sticky {
        return Finding::warning(
            check,
            format!(
                "{} may be written by group {} (mode {mode:04o}), whose members could replace the file",
                path.display(),
                metadata.gid()
            ),
            format!("chmod g-w {}, unless all of them may", path.display()),
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

/// It may be a pipe, `/dev/fd/N`, which has no mode that says something.
fn passphrase_file(named: &Named<'_>) -> Finding {
    const CHECK: &str = "passphrase file";
    let path = named.path.as_path();
    let metadata = match named.look(CHECK, path, "name the file that holds the passphrase") {
        Ok(metadata) => metadata,
        Err(finding) => return finding,
    };
    let mode = bits(&metadata);
    if metadata.is_file() && mode & 0o077 != 0 {
        return Finding::problem(
            CHECK,
            format!(
                "{} may be read by others (mode {mode:04o}): it is refused",
                path.display()
            ),
            format!("chmod 600 {}, and change the passphrase", path.display()),
        );
    }
    Finding::ok(CHECK, format!("{}, mode {mode:04o}", path.display()))
}

/// The first read makes it.
fn audit_directory(path: &Path) -> Finding {
    const CHECK: &str = "audit directory";
    let shown = path.display();
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Finding::ok(CHECK, format!("{shown} is made by the first read"));
        }
        Err(error) => return Finding::problem(CHECK, format!("{shown}: {error}"), "name a directory"),
    };
    let (mode, own) = (bits(&metadata), rustix::process::geteuid().as_raw());
    if !metadata.is_dir() {
        return Finding::problem(CHECK, format!("{shown} is no directory"), "name a directory");
    }
    if mode & 0o022 != 0 {
        return Finding::problem(
            CHECK,
            format!("{shown} may be written by others (mode {mode:04o}): it is refused, and nothing is read"),
            format!("chmod go-w {shown}"),
        );
    }
    if ![0, own].contains(&metadata.uid()) {
        return Finding::problem(
            CHECK,
            format!(
                "{shown} belongs to uid {}: it is refused, and nothing is read",
                metadata.uid()
            ),
            "name a directory of your own",
        );
    }
    Finding::ok(CHECK, format!("{shown}, mode {mode:04o}"))
}

fn identity_file(named: &Named<'_>) -> Finding {
    const CHECK: &str = "identity";
    let path = named.path.as_path();
    let metadata = match named.look(
        CHECK,
        path,
        "name the identity's file, or make one with `strongroom identity new`",
    ) {
        Ok(metadata) => metadata,
        Err(finding) => return finding,
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
