//! The JSON of the socket: owns the shape of every body under `/api/v1`. Domain types are
//! converted here, exhaustively; it must not know HTTP, stores or snapshots.

mod workload;

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

pub use workload::{Container, Engine, Executable, Kernel, Runtime, Workload};

use crate::secret::Secret;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A secret.
    Secret,
    /// A config document.
    Config,
    /// A feature flag.
    Flag,
    /// A policy.
    Policy,
    /// A schema.
    Schema,
}

impl From<crate::kind::Kind> for Kind {
    fn from(kind: crate::kind::Kind) -> Self {
        use crate::kind::Kind as Domain;
        match kind {
            Domain::Secret => Self::Secret,
            Domain::Config => Self::Config,
            Domain::Flag => Self::Flag,
            Domain::Policy => Self::Policy,
            Domain::Schema => Self::Schema,
        }
    }
}

impl From<Kind> for crate::kind::Kind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Secret => Self::Secret,
            Kind::Config => Self::Config,
            Kind::Flag => Self::Flag,
            Kind::Policy => Self::Policy,
            Kind::Schema => Self::Schema,
        }
    }
}

/// The format of a config document; `text` for everything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Any bytes.
    Text,
    /// JSON.
    Json,
    /// TOML.
    Toml,
}

#[cfg(feature = "vault")]
impl From<crate::config::Format> for Format {
    fn from(format: crate::config::Format) -> Self {
        use crate::config::Format as Domain;
        match format {
            Domain::Text => Self::Text,
            Domain::Json => Self::Json,
            Domain::Toml => Self::Toml,
        }
    }
}

/// What happened to an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is new.
    Created,
    /// It has a new version, or an inherited layer of it has.
    Updated,
    /// It is gone.
    Deleted,
}

#[cfg(feature = "vault")]
impl From<crate::snapshot::Action> for Action {
    fn from(action: crate::snapshot::Action) -> Self {
        use crate::snapshot::Action as Domain;
        match action {
            Domain::Created => Self::Created,
            Domain::Updated => Self::Updated,
            Domain::Deleted => Self::Deleted,
        }
    }
}

/// A plaintext in a body: wiped when dropped, redacted in `Debug`.
#[derive(Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = String))]
#[serde(transparent)]
pub struct Plain(Box<str>);

impl Plain {
    /// Takes `text` over.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text.into_boxed_str())
    }

    fn into_bytes(mut self) -> Vec<u8> {
        std::mem::take(&mut self.0).into_boxed_bytes().into_vec()
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Plain([redacted])")
    }
}

/// The body carries no value, two values, or base64 that does not decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the answer holds no readable value: is this a Strongroom sidecar?")]
pub struct ContentError;

fn content(value: Option<Plain>, value_base64: Option<Plain>) -> Result<Secret, ContentError> {
    match (value, value_base64) {
        (Some(text), None) => Ok(Secret::new(text.into_bytes())),
        (None, Some(coded)) => {
            let coded = Zeroizing::new(coded.into_bytes());
            // exact room up front: growing would leave copies behind
            let mut out = Vec::with_capacity(base64::decoded_len_estimate(coded.len()));
            STANDARD.decode_vec(&*coded, &mut out).map_err(|_| ContentError)?;
            Ok(Secret::new(out))
        }
        _ => Err(ContentError),
    }
}

/// One opened entry: the body of `secrets/{path}`, `configs/{path}` and `flags/{key}`.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EntryValue {
    /// The environment asked for.
    pub environment: String,
    /// Its path.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// Its version.
    pub version: u32,
    /// The revision it was read at.
    pub revision: u64,
    /// The format of a config document.
    pub format: Format,
    /// The key whose value alone this is, which is JSON then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The value when it is UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Plain>,
    /// The value in base64 (standard alphabet, padded) when it is not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_base64: Option<Plain>,
}

impl EntryValue {
    /// The value's bytes.
    ///
    /// # Errors
    /// [`ContentError`].
    pub fn into_secret(self) -> Result<Secret, ContentError> {
        content(self.value, self.value_base64)
    }
}

/// The body of `entries`: what there is, without values.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EntryList {
    /// The environment.
    pub environment: String,
    /// The revision.
    pub revision: u64,
    /// The entries, by path.
    pub entries: Vec<EntrySummary>,
}

/// One entry without its value.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EntrySummary {
    /// Its path.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// Its version.
    pub version: u32,
    /// The revision that made this version.
    pub revision: u64,
    /// The format of a config document.
    pub format: Format,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The compartment it is sealed in.
    pub compartment: String,
    /// Length of its own value in bytes.
    pub size: u64,
}

/// The body of `values`: every value of one revision, as injected.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ValueList {
    /// The environment.
    pub environment: String,
    /// The revision every value is of.
    pub revision: u64,
    /// RFC 3339 time since when the store is out of reach.
    pub stale_since: Option<String>,
    /// The values, by path: flags as the text of their default variant, config merged.
    pub values: Vec<InjectedValue>,
}

/// One value as injected.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InjectedValue {
    /// Its path.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// Its version.
    pub version: u32,
    /// The format of a config document.
    pub format: Format,
    /// The value when it is UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Plain>,
    /// The value in base64 (standard alphabet, padded) when it is not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_base64: Option<Plain>,
}

impl InjectedValue {
    /// The value's bytes.
    ///
    /// # Errors
    /// [`ContentError`].
    pub fn into_secret(self) -> Result<Secret, ContentError> {
        content(self.value, self.value_base64)
    }
}

/// The body of `status`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Status {
    /// The environment this sidecar serves.
    pub environment: String,
    /// The revision it serves.
    pub revision: u64,
    /// The hash of that revision's commit, 64 hexadecimal digits.
    pub hash: String,
    /// The store's fingerprint, 64 hexadecimal digits.
    pub fingerprint: String,
    /// RFC 3339 time since when the store is out of reach.
    pub stale_since: Option<String>,
    /// Why the store's newest revision was refused.
    pub refused: Option<String>,
    /// RFC 3339 time at which this sidecar started.
    pub started: String,
    /// How many entries it serves.
    pub entries: u64,
    /// How many watchers are connected.
    pub watchers: u64,
    /// The TCP address at which it evaluates flags; null when the settings want none.
    #[serde(default)]
    pub listener: Option<String>,
    /// What it injects besides the socket.
    pub injections: Vec<Injection>,
    /// Why it is not reported beside the store who uses which version; null while it is.
    #[serde(default)]
    pub unreported: Option<String>,
    /// How the secrets it serves stand with their rotations.
    #[serde(default)]
    pub rotations: Rotations,
    /// Its audit log; null when the settings want none.
    #[serde(default)]
    pub audit: Option<Audit>,
}

/// How many of the secrets that are served stand how with their rotations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Rotations {
    /// One runs.
    pub running: u64,
    /// One was left behind by who ran it.
    pub left_behind: u64,
    /// The next one is overdue.
    pub overdue: u64,
    /// It is not known: the plan or the record cannot be read.
    pub unknown: u64,
}

/// The body that is sent to `confirm`: one of version and revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Confirmation {
    /// The entry.
    pub path: String,
    /// The version that is in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// The revision whose version is in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
}

/// The body of the answer of `confirm`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Confirmed {
    /// The environment.
    pub environment: String,
    /// The entry.
    pub path: String,
    /// The version that is current.
    pub version: u32,
    /// The revision that is served.
    pub revision: u64,
    /// Whether that was confirmed. If not, a newer version is there already: read it.
    pub current: bool,
}

/// How an audit log is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Audit {
    /// Why it cannot be written now; values are not answered meanwhile.
    pub problem: Option<String>,
    /// RFC 3339 time since when.
    pub since: Option<String>,
}

/// One directory of files or supervised process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Injection {
    /// `files` or `process`.
    pub kind: String,
    /// The directory, or the command's first word.
    pub target: String,
    /// The revision that was delivered last.
    pub revision: Option<u64>,
    /// RFC 3339 time of that delivery.
    pub since: Option<String>,
    /// Why the newest revision is not delivered; it is tried again.
    pub problem: Option<String>,
}

/// The data of a `revision` event of `watch`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RevisionEvent {
    /// The revision that is served now.
    pub revision: u64,
    /// The revision `changes` begin from; null when it is not known.
    pub from: Option<u64>,
    /// True when `from` is not known: read everything again.
    pub resync: bool,
    /// What changed since `from` for this environment; empty when `resync` is true.
    pub changes: Vec<Change>,
}

/// One changed entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Change {
    /// Its path.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// What happened.
    pub action: Action,
    /// The new version, or the last one of a deleted entry.
    pub version: u32,
    /// The keys of a document that deliver something else now, as in `pool.size`; absent for other kinds,
    /// for who may not read the document, and where they are not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<Vec<String>>,
}

/// The data of a `lagged` event of `watch`: events were dropped for a slow client. A `revision`
/// event with `resync` follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LaggedEvent {
    /// How many events were dropped.
    pub missed: u64,
}

/// The body of every answer that is not a success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Failure {
    /// What failed.
    pub error: FailureDetail,
}

/// What failed and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FailureDetail {
    /// For programs.
    pub code: Code,
    /// For people; never holds a value.
    pub message: String,
}

/// Why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// 400, or 405 for the method: the request is not understood.
    BadRequest,
    /// 404: no such entry among those the sidecar opens, or no such route.
    NotFound,
    /// 403: this peer may not.
    Denied,
    /// 410: the revision asked for is not available any more.
    Gone,
    /// 413: the request is too large.
    TooLarge,
    /// 503: not ready, or too many requests; try again.
    Unavailable,
    /// 500: the sidecar failed, or the store was tampered with.
    Internal,
    /// A code of a newer sidecar.
    #[serde(other)]
    Unknown,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const BODY: &str =
        r#"{"environment":"prod","path":"a","kind":"secret","version":1,"revision":2,"format":"text""#;

    fn parse(rest: &str) -> Result<Vec<u8>, ContentError> {
        let entry: EntryValue = serde_json::from_str(&format!("{BODY}{rest}}}")).unwrap();
        entry.into_secret().map(|secret| secret.expose(<[u8]>::to_vec))
    }

    #[test]
    fn text_and_base64_both_become_the_bytes() {
        assert_eq!(parse(r#","value":"s3\ncret""#), Ok(b"s3\ncret".to_vec()));
        assert_eq!(parse(r#","value":"""#), Ok(Vec::new()));
        assert_eq!(parse(r#","value_base64":"/wA=""#), Ok(vec![0xff, 0]));
    }

    #[test]
    fn an_answer_without_one_readable_value_is_refused() {
        assert_eq!(parse(""), Err(ContentError));
        assert_eq!(parse(r#","value":"a","value_base64":"YQ==""#), Err(ContentError));
        assert_eq!(parse(r#","value_base64":"=""#), Err(ContentError));
    }

    #[test]
    fn a_plaintext_is_redacted() {
        assert!(!format!("{:?}", Plain::new("canary".into())).contains("canary"));
    }

    #[test]
    fn a_code_of_a_newer_sidecar_is_read() {
        let body = r#"{"error":{"code":"teapot","message":"m"}}"#;
        let failure: Failure = serde_json::from_str(body).unwrap();
        assert_eq!(failure.error.code, Code::Unknown);
    }
}
