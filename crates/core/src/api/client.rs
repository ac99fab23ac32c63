//! A client of the sidecar's socket: owns the requests of `/api/v1` and what becomes of their
//! answers. It must not know how a connection works.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::{Response, header::HeaderMap};
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::connection::{self, Get};
use super::error::ClientError;
use super::pool::Pool;
use super::watch::Watch;
use super::{PREFIX, header, uri, wire};
use crate::kind::Kind;
use crate::name::EntryPath;
use crate::secret::Secret;

pub(super) const JSON: &str = "application/json";
const BYTES: &str = "application/octet-stream";

/// The longest value there is.
const MOST_VALUE: usize = 1024 * 1024;
/// The longest list that is taken in.
const MOST_LIST: usize = 256 * 1024 * 1024;
/// The longest answer that is only about the sidecar or a failure.
const MOST_TEXT: usize = 1024 * 1024;

/// A client of one sidecar. It connects when it is first used and again when it has to; requests
/// may be made at the same time, each then has a connection of its own, of at most 16. Needs a tokio
/// runtime with I/O and time.
///
/// ```no_run
/// # async fn demo() -> Result<(), Box<dyn std::error::Error>> {
/// use strongroom_core::api::client::Client;
/// let client = Client::new("/run/strongroom/sidecar.sock");
/// let password = client.secret(&"web/database/password".parse()?).await?;
/// password.value.expose(|bytes| println!("{} bytes", bytes.len()));
/// # Ok(()) }
/// ```
pub struct Client {
    pub(super) pool: Pool,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("socket", &self.pool.socket)
            .finish_non_exhaustive()
    }
}

/// One opened entry.
#[derive(Debug)]
pub struct Reading {
    /// Its bytes; a flag's are its definition.
    pub value: Secret,
    /// Its version.
    pub version: u32,
    /// The revision it was read at.
    pub revision: u64,
    /// RFC 3339 time since when the sidecar cannot reach its store.
    pub stale_since: Option<String>,
}

/// What to list.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// At or below this path only.
    pub prefix: Option<EntryPath>,
    /// Of this kind only.
    pub kind: Option<Kind>,
    /// At this revision; the current one when `None`.
    pub at: Option<u64>,
}

/// What is confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirm {
    /// This version of the entry.
    Version(u32),
    /// The version of the entry that is current at this revision.
    Revision(u64),
}

/// Every value that matched, all of one revision.
#[derive(Debug)]
pub struct Values {
    /// The environment.
    pub environment: String,
    /// The revision.
    pub revision: u64,
    /// RFC 3339 time since when the sidecar cannot reach its store.
    pub stale_since: Option<String>,
    /// The values, by path.
    pub values: Vec<Value>,
}

/// One value as injected: config merged, a flag as the text of its default variant.
#[derive(Debug)]
pub struct Value {
    /// Its path.
    pub path: EntryPath,
    /// What it is.
    pub kind: Kind,
    /// Its version.
    pub version: u32,
    /// Its bytes.
    pub bytes: Secret,
}

impl Client {
    /// A client of the sidecar that listens at `socket`. Nothing is connected yet.
    #[must_use]
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self {
            pool: Pool::new(socket.into(), Duration::from_secs(10)),
        }
    }

    /// How long a request may take, from waiting for a place among sixteen to the last byte; 10 seconds unless set.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.pool.timeout = timeout;
        self
    }

    /// The socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.pool.socket
    }

    /// Reads a secret.
    ///
    /// # Errors
    /// [`ClientError`]; a missing one is [`ClientError::Refused`] with `NotFound`.
    pub async fn secret(&self, path: &EntryPath) -> Result<Reading, ClientError> {
        self.read("secrets", path, None).await
    }

    /// Reads a config document, layers merged.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn config(&self, path: &EntryPath) -> Result<Reading, ClientError> {
        self.read("configs", path, None).await
    }

    /// Reads a flag's definition.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn flag(&self, path: &EntryPath) -> Result<Reading, ClientError> {
        self.read("flags", path, None).await
    }

    /// Reads a secret as it was at a past revision.
    ///
    /// # Errors
    /// [`ClientError`]; `Gone` when the sidecar does not have that revision any more.
    pub async fn secret_at(&self, path: &EntryPath, revision: u64) -> Result<Reading, ClientError> {
        self.read("secrets", path, Some(revision)).await
    }

    async fn read(&self, kind: &str, path: &EntryPath, at: Option<u64>) -> Result<Reading, ClientError> {
        let mut target = format!("{PREFIX}{kind}/{}", uri::encode(path.as_str()));
        if let Some(at) = at {
            target.push_str(&format!("?at={at}"));
        }
        let (headers, body) = self.get(&target, BYTES, MOST_VALUE).await?;
        let number = |name| text(&headers, name)?.parse::<u64>().ok();
        let foreign = ClientError::Foreign {
            problem: "no revision or version",
        };
        let found = number(header::REVISION).zip(number(header::VERSION).and_then(|n| u32::try_from(n).ok()));
        let (revision, version) = found.ok_or(foreign)?;
        Ok(Reading {
            value: Secret::new(take(body)),
            version,
            revision,
            stale_since: text(&headers, header::STALE_SINCE).map(str::to_owned),
        })
    }

    /// Every value that matches, as injected, all of one revision.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn values(&self, query: &Query) -> Result<Values, ClientError> {
        let list: wire::ValueList = self.json(&query.target("values"), MOST_LIST).await?;
        let values = list.values.into_iter().map(|value| {
            Ok(Value {
                path: path(&value.path)?,
                kind: value.kind.into(),
                version: value.version,
                bytes: value.into_secret()?,
            })
        });
        Ok(Values {
            environment: list.environment,
            revision: list.revision,
            stale_since: list.stale_since,
            values: values.collect::<Result<_, ClientError>>()?,
        })
    }

    /// What there is, without values.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn entries(&self, query: &Query) -> Result<wire::EntryList, ClientError> {
        self.json(&query.target("entries"), MOST_LIST).await
    }

    /// How the sidecar is.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn status(&self) -> Result<wire::Status, ClientError> {
        self.json(&format!("{PREFIX}status"), MOST_TEXT).await
    }

    /// What the sidecar sees of this process.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn whoami(&self) -> Result<wire::Workload, ClientError> {
        self.json(&format!("{PREFIX}whoami"), MOST_TEXT).await
    }

    /// Says that what was read of an entry is in use, so that a rotation need not keep the value
    /// before it. False when there is a newer one already: read that.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn confirm(&self, path: &EntryPath, what: Confirm) -> Result<bool, ClientError> {
        let (version, revision) = match what {
            Confirm::Version(version) => (Some(version), None),
            Confirm::Revision(revision) => (None, Some(revision)),
        };
        let path = path.as_str().to_owned();
        let body = serde_json::to_vec(&wire::Confirmation {
            path,
            version,
            revision,
        });
        let body = body.map_err(|_| ClientError::Foreign {
            problem: "a confirmation that could not be written",
        })?;
        let target = format!("{PREFIX}confirm");
        let (_, answer) = self.send(&target, JSON, MOST_TEXT, Some(body.into())).await?;
        let answer: wire::Confirmed = parsed(&answer)?;
        Ok(answer.current)
    }

    /// A stream of revisions on a connection of its own, which is made again whenever it breaks.
    /// The first event tells the current revision.
    #[must_use]
    pub fn watch(&self, prefix: Option<EntryPath>) -> Watch {
        Watch::new(self.pool.socket.clone(), self.pool.timeout, prefix)
    }

    /// The values that `wanted` covers, for injection. All are of one revision, also when several
    /// requests are needed.
    ///
    /// # Errors
    /// [`ClientError`].
    #[cfg(feature = "inject")]
    pub async fn material(
        &self,
        wanted: &crate::inject::Wanted,
    ) -> Result<crate::inject::Material, ClientError> {
        let Some(prefixes) = wanted.prefixes() else {
            return Ok(self.values(&Query::default()).await?.into());
        };
        let [first, rest @ ..] = prefixes else {
            let revision = self.status().await?.revision;
            return Ok(crate::inject::Material {
                revision,
                values: Vec::new(),
                made: Vec::new(),
            });
        };
        let mut query = Query {
            prefix: Some(first.clone()),
            ..Query::default()
        };
        let mut material: crate::inject::Material = self.values(&query).await?.into();
        query.at = Some(material.revision);
        for prefix in rest {
            query.prefix = Some(prefix.clone());
            let more: crate::inject::Material = self.values(&query).await?.into();
            material.values.extend(more.values);
        }
        material.values.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(material)
    }

    async fn json<T: DeserializeOwned>(&self, target: &str, limit: usize) -> Result<T, ClientError> {
        let (_, body) = self.get(target, JSON, limit).await?;
        parsed(&body)
    }

    async fn get(
        &self,
        target: &str,
        accept: &'static str,
        limit: usize,
    ) -> Result<(HeaderMap, Zeroizing<Vec<u8>>), ClientError> {
        self.send(target, accept, limit, None).await
    }

    /// What is sent may be sent twice: a read and a confirmation can be repeated.
    async fn send(
        &self,
        target: &str,
        accept: &'static str,
        limit: usize,
        body: Option<Bytes>,
    ) -> Result<(HeaderMap, Zeroizing<Vec<u8>>), ClientError> {
        let get = Get {
            target,
            accept,
            last_event: None,
        };
        let answer = self.pool.send(&get, limit, body).await?;
        match answer.status {
            StatusCode::OK => Ok((answer.headers, answer.body)),
            status => Err(failure(status, &answer.body)),
        }
    }
}

impl Query {
    fn target(&self, route: &str) -> String {
        let Self { prefix, kind, at } = self;
        let prefix = prefix
            .as_ref()
            .map(|prefix| format!("prefix={}", uri::encode(prefix.as_str())));
        let kind = kind.map(|kind| format!("kind={kind}"));
        let at = at.map(|at| format!("at={at}"));
        let parts: Vec<String> = [prefix, kind, at].into_iter().flatten().collect();
        let separator = if parts.is_empty() { "" } else { "?" };
        format!("{PREFIX}{route}{separator}{}", parts.join("&"))
    }
}

#[cfg(feature = "inject")]
impl From<Values> for crate::inject::Material {
    fn from(values: Values) -> Self {
        let Values { revision, values, .. } = values;
        let values = values.into_iter().map(|value| crate::inject::Value {
            path: value.path,
            kind: value.kind,
            bytes: value.bytes,
        });
        Self {
            revision,
            values: values.collect(),
            made: Vec::new(),
        }
    }
}

/// What an answer that is not a success says.
pub(super) async fn refusal(status: StatusCode, response: Response<Incoming>, socket: &Path) -> ClientError {
    match connection::collect(response, MOST_TEXT, socket).await {
        Ok(body) => failure(status, &body),
        Err(error) => error,
    }
}

/// What the body of an answer that is not a success says.
pub(super) fn failure(status: StatusCode, body: &[u8]) -> ClientError {
    match serde_json::from_slice::<wire::Failure>(body) {
        Ok(failure) => ClientError::Refused {
            code: failure.error.code,
            message: failure.error.message,
        },
        Err(_) if status == StatusCode::SERVICE_UNAVAILABLE => ClientError::Refused {
            code: wire::Code::Unavailable,
            message: "the sidecar is not ready: try again".to_owned(),
        },
        Err(_) => ClientError::Foreign {
            problem: "a failure without its reason",
        },
    }
}

pub(super) fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, ClientError> {
    // the parser's error may quote what it read
    serde_json::from_slice(body).map_err(|_| ClientError::Foreign {
        problem: "not the JSON that was asked for",
    })
}

pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn path(text: &str) -> Result<EntryPath, ClientError> {
    EntryPath::new(text).map_err(|_| ClientError::Foreign {
        problem: "a path that is not one",
    })
}

/// Takes the bytes out; they are a [`Secret`]'s from here on.
fn take(mut body: Zeroizing<Vec<u8>>) -> Vec<u8> {
    std::mem::take(&mut *body)
}
