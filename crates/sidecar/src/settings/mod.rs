//! The settings file: owns its shape and its checks. Every problem is
//! reported at once, by key and never with a value. It must not open what it names, but for overrides and
//! templates, which are part of it.

mod accounts;
mod attestation;
mod audit;
mod changed;
mod inject;
pub mod keys;
mod limits;
mod listener;
mod made;
mod overrides;
mod parts;
mod regular;
mod reload;
mod sandbox;
mod shown;
mod surroundings;
mod table;

use std::path::{Path, PathBuf};

use strongroom_core::id::Hash;
use strongroom_core::name::EnvironmentName;
use tracing::Level;

use crate::error::StartError;

pub use attestation::Attestation;
pub use inject::{Files, OnChange, OnFiles, Process, Selection};
pub use limits::Limits;
pub use listener::Listener;
pub use made::{Made, What};
pub use overrides::Overrides;
pub(crate) use parts::parts;
pub use sandbox::{Sandbox, Syscalls};
pub use surroundings::Surroundings;
pub use table::{Problem, Problems};

use table::{Collected, Table};

/// The longest path that `bind` takes: `sun_path` less its NUL.
pub const LONGEST_SOCKET_PATH: usize = 107;

/// A whole, valid settings file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The store's location, its path absolute when the settings file's is.
    pub store: String,
    /// The pinned fingerprint.
    pub fingerprint: Option<Hash>,
    /// The identity file.
    pub identity: PathBuf,
    /// The file with the identity's passphrase.
    pub passphrase: Option<PathBuf>,
    /// The environment that is served.
    pub environment: EnvironmentName,
    /// The state directory.
    pub state: PathBuf,
    /// Whether a sealed copy is kept there.
    pub offline_copy: bool,
    /// The socket.
    pub socket: Socket,
    /// Where flags are evaluated over TCP; nowhere when `None`.
    pub listener: Option<Listener>,
    /// Limits.
    pub limits: Limits,
    /// What is found out about clients.
    pub attestation: Attestation,
    /// Logging.
    pub log: Log,
    /// The audit log; none when `None`.
    pub audit: Option<crate::audit::Options>,
    /// What threads that read foreign bytes may not do.
    pub sandbox: Sandbox,
    /// What this machine says of config, as it was read.
    pub overrides: Overrides,
    /// Directories of files.
    pub files: Vec<Files>,
    /// The supervised process.
    pub process: Option<Process>,
}

/// The socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    /// Its path.
    pub path: PathBuf,
    /// Its permission bits.
    pub mode: u32,
    /// Its group.
    pub group: Option<u32>,
    /// Who may connect; the sidecar's own uid when `None`.
    pub allow_uids: Option<Vec<u32>>,
}

/// Logging.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// The least important level that is written.
    pub level: Level,
    /// JSON instead of text.
    pub json: bool,
}

impl Settings {
    /// Parses `text` as if it lay in the current directory.
    ///
    /// # Errors
    /// Every [`Problem`].
    pub fn parse(text: &str) -> Result<Self, Problems> {
        Self::parse_in(text, &Surroundings::default())
    }

    /// Parses the text of the settings file that `around` names.
    ///
    /// # Errors
    /// Every [`Problem`].
    pub fn parse_in(text: &str, around: &Surroundings) -> Result<Self, Problems> {
        let values: toml::Table = text.parse().map_err(|error| syntax(text, &error))?;
        let collected = Collected::default();
        let top = Table::new("", String::new(), Some(&values), &collected);
        let settings = read(&top, around);
        collected.into_result(settings)
    }

    /// Reads and parses the settings file that `around` names.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn load(around: &Surroundings) -> Result<Self, StartError> {
        let file = around.file.display().to_string();
        let text = std::fs::read_to_string(&around.file);
        let text = text.map_err(|source| StartError::SettingsFile {
            file: file.clone(),
            source,
        })?;
        Self::parse_in(&text, around).map_err(|problems| StartError::Settings { file, problems })
    }

    /// The files that are part of them.
    pub fn parts(&self) -> impl Iterator<Item = &Path> {
        let made = self.files.iter().flat_map(|files| &files.made);
        let made = made.chain(self.process.iter().flat_map(|process| &process.made));
        let overrides = self.overrides.files.iter().map(PathBuf::as_path);
        overrides.chain(made.filter_map(Made::file))
    }
}

/// Where the text is no TOML. The parser's messages are fixed sentences without the text.
fn syntax(text: &str, error: &toml::de::Error) -> Problems {
    let before = error
        .span()
        .and_then(|span| text.get(..span.start))
        .unwrap_or_default();
    let line = before.matches('\n').count().saturating_add(1);
    let column = before
        .rsplit('\n')
        .next()
        .map_or(0, |last| last.chars().count())
        .saturating_add(1);
    let problem = format!(
        "line {line}, column {column}: this is not TOML: {}",
        error.message()
    );
    Problems(vec![Problem {
        key: String::new(),
        problem,
    }])
}

fn read(top: &Table<'_>, around: &Surroundings) -> Option<Settings> {
    // every key is read before the first `?`, so that all problems are found
    let store = top.required("store").and_then(|text| store(top, text, around));
    let fingerprint = top.parse("fingerprint", str::parse::<Hash>);
    let identity = top.required("identity");
    let identity = identity.and_then(|_| top.parse("identity", |text| around.resolve_or_credential(text)));
    let passphrase = top.parse("passphrase", |text| around.resolve_or_credential(text));
    let environment = top
        .required("environment")
        .and_then(|_| top.parse("environment", EnvironmentName::new));
    let state = top.text("state").map(|path| around.resolve(path));
    let state = state
        .or_else(|| around.state.clone())
        .unwrap_or_else(|| around.file.with_extension("state"));
    let offline_copy = top.boolean("offline_copy", true);
    let overrides = overrides::overrides(top, around);
    let socket = socket(&top.table("socket"), around);
    let has_listener = top.has("listener");
    let listener = has_listener.then(|| listener::listener(&top.table("listener")));
    let limits = limits::limits(&top.table("limits"));
    let attestation = attestation::attestation(&top.table("attestation"));
    let log = log(&top.table("log"));
    let has_audit = top.has("audit");
    let audit = has_audit.then(|| audit::audit(&top.table("audit"), around));
    let sandbox = sandbox::sandbox(&top.table("sandbox"));
    let files = inject::files(&top.tables("files"), around);
    let process = if top.has("process") {
        inject::process(&top.table("process"), around)
    } else {
        None
    };
    Some(Settings {
        store: store?,
        fingerprint,
        identity: identity?,
        passphrase,
        environment: environment?,
        state,
        offline_copy,
        socket: socket?,
        listener: listener.flatten(),
        limits,
        attestation,
        log,
        audit: audit.flatten(),
        sandbox,
        overrides,
        files,
        process,
    })
}

fn store(top: &Table<'_>, text: &str, around: &Surroundings) -> Option<String> {
    let path = text.strip_prefix("sqlite:").filter(|path| !path.is_empty());
    if path.is_none() {
        top.problem("store", "a store is given as `sqlite:PATH`");
    }
    let path = around.resolve(path?);
    Some(format!("sqlite:{}", path.display()))
}

fn socket(table: &Table<'_>, around: &Surroundings) -> Option<Socket> {
    let path = table.required("path").map(|path| around.resolve(path));
    if let Some(length) = path.as_ref().map(|path| path.as_os_str().len())
        && length > LONGEST_SOCKET_PATH
    {
        table.problem(
            "path",
            format!("the whole path has {length} bytes, and a socket's has at most {LONGEST_SOCKET_PATH}: choose a shorter directory"),
        );
    }
    let mode = table.parse("mode", mode).unwrap_or(0o660);
    let group = table.parse("group", accounts::group);
    let allow_uids = table.raw("allow_uids").map(|value| uids(table, value));
    Some(Socket {
        path: path?,
        mode,
        group,
        allow_uids,
    })
}

fn uids(table: &Table<'_>, value: &toml::Value) -> Vec<u32> {
    let list = value.as_array().map(Vec::as_slice);
    let uids: Option<Vec<u32>> = list.and_then(|list| {
        list.iter()
            .map(|uid| {
                uid.as_integer()
                    .and_then(|uid| u32::try_from(uid).ok())
                    .filter(|uid| *uid != u32::MAX)
            })
            .collect()
    });
    uids.unwrap_or_else(|| {
        table.problem("allow_uids", "a list of uids is wanted, as numbers");
        Vec::new()
    })
}

fn log(table: &Table<'_>) -> Log {
    let level = table.parse("level", |text| match text {
        "error" => Ok(Level::ERROR),
        "warn" => Ok(Level::WARN),
        "info" => Ok(Level::INFO),
        "debug" => Ok(Level::DEBUG),
        "trace" => Ok(Level::TRACE),
        _ => Err("one of error, warn, info, debug, trace is wanted"),
    });
    let json = table.parse("format", |text| match text {
        "text" => Ok(false),
        "json" => Ok(true),
        _ => Err("text or json is wanted"),
    });
    Log {
        level: level.unwrap_or(Level::INFO),
        json: json.unwrap_or(false),
    }
}

/// Permission bits, as text so that they read as octal.
fn mode(text: &str) -> Result<u32, &'static str> {
    let bits = u32::from_str_radix(text, 8).ok().filter(|bits| *bits <= 0o777);
    bits.filter(|_| text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit()))
        .ok_or("octal permission bits up to 0777 are wanted, as a text like \"0640\"")
}
