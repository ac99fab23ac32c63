//! Settings: owns where each comes from. An option on the command line wins over `STRONGROOM_*`,
//! that over the nearest `strongroom.toml` upwards, that over the default; each remembers which.
//! It must not know commands, and reads the process environment only through what it is given.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use strongroom_core::id::Hash;
use strongroom_core::name::EnvironmentName;

use crate::error::CliError;
use crate::settings_file::{self, SettingsFile};

/// The options that set a setting; shared by every command.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Settings (each also as STRONGROOM_NAME or in strongroom.toml)")]
pub(crate) struct SettingOptions {
    /// Where the store lies: sqlite:PATH
    #[arg(long, global = true, hide_short_help = true, value_name = "LOCATION")]
    pub(crate) store: Option<String>,
    /// The identity file to open and sign with [default: ~/.config/strongroom/identity]
    #[arg(long, global = true, hide_short_help = true, value_name = "FILE")]
    pub(crate) identity: Option<PathBuf>,
    /// A file (or `/dev/fd/N`) that holds the identity's passphrase; otherwise it is asked for
    #[arg(long, global = true, hide_short_help = true, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// The fingerprint the store must have, as `strongroom status` shows it
    #[arg(long, global = true, hide_short_help = true, value_name = "HASH")]
    pub(crate) fingerprint: Option<Hash>,
    /// Where the highest verified revisions are remembered [default: ~/.local/state/strongroom/trust]
    #[arg(long, global = true, hide_short_help = true, value_name = "DIR")]
    pub(crate) trust_dir: Option<PathBuf>,
    /// Record every value that is read in the audit log in this directory, of this member's own
    #[arg(long, global = true, hide_short_help = true, value_name = "DIR")]
    pub(crate) audit: Option<PathBuf>,
    /// The settings file to use instead of the nearest strongroom.toml
    #[arg(long, global = true, hide_short_help = true, value_name = "FILE")]
    pub(crate) settings: Option<PathBuf>,
}

impl SettingOptions {
    /// These, and what they do not say as `other` says it.
    pub(crate) fn or(self, other: &Self) -> Self {
        let Self {
            store,
            identity,
            passphrase_file,
            fingerprint,
            trust_dir,
            audit,
            settings,
        } = other.clone();
        Self {
            store: self.store.or(store),
            identity: self.identity.or(identity),
            passphrase_file: self.passphrase_file.or(passphrase_file),
            fingerprint: self.fingerprint.or(fingerprint),
            trust_dir: self.trust_dir.or(trust_dir),
            audit: self.audit.or(audit),
            settings: self.settings.or(settings),
        }
    }
}

/// Where a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Option(&'static str),
    Variable(&'static str),
    File(PathBuf),
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Option(name) => write!(f, "option --{name}"),
            Self::Variable(name) => write!(f, "variable {name}"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A value and its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting<T> {
    pub(crate) value: T,
    pub(crate) origin: Origin,
}

/// Every setting; `None` where there is neither a value nor a default.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) store: Option<Setting<String>>,
    pub(crate) environment: Option<Setting<EnvironmentName>>,
    pub(crate) identity: Option<Setting<PathBuf>>,
    pub(crate) passphrase_file: Option<Setting<PathBuf>>,
    pub(crate) fingerprint: Option<Setting<Hash>>,
    pub(crate) trust_dir: Option<Setting<PathBuf>>,
    pub(crate) audit: Option<Setting<PathBuf>>,
}

impl Settings {
    /// Resolves every setting; `variable` looks up one environment variable.
    pub(crate) fn resolve(
        options: &SettingOptions,
        variable: &dyn Fn(&str) -> Option<OsString>,
        current_dir: &Path,
    ) -> Result<Self, CliError> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let home = set("HOME").map(PathBuf::from);
        let named = options
            .settings
            .clone()
            .or_else(|| set("STRONGROOM_SETTINGS").map(PathBuf::from));
        let file = match named {
            Some(path) => Some(settings_file::read(&path, home.as_deref())?),
            None => settings_file::find(current_dir, home.as_deref())?,
        };
        let layers = Layers {
            set: &set,
            file: file.as_ref(),
        };
        let base = |variable: &str, below: &str| {
            set(variable)
                .map(PathBuf::from)
                .or_else(|| home.as_ref().map(|home| home.join(below)))
        };
        let identity = base("XDG_CONFIG_HOME", ".config").map(|dir| dir.join("strongroom/identity"));
        let trust_dir = base("XDG_STATE_HOME", ".local/state").map(|dir| dir.join("strongroom/trust"));
        Ok(Self {
            store: layers.text("store", "STRONGROOM_STORE", options.store.as_ref(), |file| {
                &file.store
            })?,
            environment: layers.text("environment", "STRONGROOM_ENVIRONMENT", None, |file| {
                &file.environment
            })?,
            identity: layers
                .path(
                    "identity",
                    "STRONGROOM_IDENTITY",
                    options.identity.as_ref(),
                    |file| &file.identity,
                )
                .or_else(|| by_default(identity)),
            passphrase_file: layers.path(
                "passphrase-file",
                "STRONGROOM_PASSPHRASE_FILE",
                options.passphrase_file.as_ref(),
                |file| &file.passphrase_file,
            ),
            fingerprint: layers.text(
                "fingerprint",
                "STRONGROOM_FINGERPRINT",
                options.fingerprint.as_ref(),
                |file| &file.fingerprint,
            )?,
            trust_dir: layers
                .path(
                    "trust-dir",
                    "STRONGROOM_TRUST_DIR",
                    options.trust_dir.as_ref(),
                    |file| &file.trust_dir,
                )
                .or_else(|| by_default(trust_dir)),
            audit: layers.path("audit", "STRONGROOM_AUDIT", options.audit.as_ref(), |file| {
                &file.audit
            }),
        })
    }

    /// The store's location.
    pub(crate) fn store(&self) -> Result<&str, CliError> {
        self.store
            .as_ref()
            .map(|setting| setting.value.as_str())
            .ok_or_else(|| {
                CliError::usage("no store is named").hint(
                    "give --store sqlite:PATH, set STRONGROOM_STORE, or write `store` into strongroom.toml",
                )
            })
    }

    /// The identity file.
    pub(crate) fn identity(&self) -> Result<&Path, CliError> {
        self.identity
            .as_ref()
            .map(|setting| setting.value.as_path())
            .ok_or_else(|| {
                CliError::usage("no identity file is named and there is no home directory to look in")
                    .hint("give --identity FILE or set STRONGROOM_IDENTITY")
            })
    }
}

fn by_default<T>(value: Option<T>) -> Option<Setting<T>> {
    value.map(|value| Setting {
        value,
        origin: Origin::Default,
    })
}

/// What lies between an option and the default.
struct Layers<'a> {
    set: &'a dyn Fn(&str) -> Option<OsString>,
    file: Option<&'a SettingsFile>,
}

impl Layers<'_> {
    fn path(
        &self,
        name: &'static str,
        variable: &'static str,
        option: Option<&PathBuf>,
        key: fn(&SettingsFile) -> &Option<String>,
    ) -> Option<Setting<PathBuf>> {
        if let Some(value) = option {
            return Some(Setting {
                value: value.clone(),
                origin: Origin::Option(name),
            });
        }
        if let Some(value) = (self.set)(variable) {
            return Some(Setting {
                value: value.into(),
                origin: Origin::Variable(variable),
            });
        }
        let file = self.file?;
        let value = key(file).as_ref()?.into();
        Some(Setting {
            value,
            origin: Origin::File(file.path.clone()),
        })
    }

    fn text<T>(
        &self,
        name: &'static str,
        variable: &'static str,
        option: Option<&T>,
        key: fn(&SettingsFile) -> &Option<String>,
    ) -> Result<Option<Setting<T>>, CliError>
    where
        T: FromStr<Err: fmt::Display> + Clone,
    {
        if let Some(value) = option {
            return Ok(Some(Setting {
                value: value.clone(),
                origin: Origin::Option(name),
            }));
        }
        let (text, origin) = if let Some(value) = (self.set)(variable) {
            let text = value
                .into_string()
                .map_err(|_| CliError::usage(format!("{variable} is not UTF-8")))?;
            (text, Origin::Variable(variable))
        } else if let Some((file, text)) = self.file.and_then(|file| Some((file, key(file).clone()?))) {
            (text, Origin::File(file.path.clone()))
        } else {
            return Ok(None);
        };
        match text.parse() {
            Ok(value) => Ok(Some(Setting { value, origin })),
            Err(error) => Err(CliError::usage(format!("setting {name} ({origin}): {error}"))),
        }
    }
}
