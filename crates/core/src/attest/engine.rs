//! What a container engine says of a container: owns asking Podman or Docker at a Unix socket,
//! within a time and a size, and believing only an answer about the group the kernel named. It
//! must not know what the answer allows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::UnixStream;
use zeroize::Zeroizing;

use super::bounded::Bounded;
use super::{Process, cgroup};
use crate::workload::{self, Kernel};

/// The longest answer that is taken in.
const MOST: usize = 4 * 1024 * 1024;

/// How many containers are remembered.
const REMEMBERED: usize = 1024;

/// An engine that did not answer is left alone this long.
const REST: Duration = Duration::from_secs(1);

/// Why an engine was of no help. Never holds what it answered.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Nobody answers.
    #[error("no container engine answers at {}: {source}", socket.display())]
    Unreachable {
        /// Its socket.
        socket: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It did not answer, or not within the time.
    #[error("the container engine at {} did not answer in time", socket.display())]
    Slow {
        /// Its socket.
        socket: PathBuf,
    },
    /// It answered something else.
    #[error("the container engine at {} did not answer as Docker and Podman do", socket.display())]
    Foreign {
        /// Its socket.
        socket: PathBuf,
    },
}

/// A container engine.
#[derive(Debug)]
pub struct Engine {
    socket: PathBuf,
    timeout: Duration,
    known: Mutex<Bounded<String, Known>>,
    failed: Mutex<Option<Instant>>,
}

/// A container that the engine vouched for.
#[derive(Clone, Debug)]
struct Known {
    group: String,
    said: workload::Engine,
}

/// Its answer, as far as it is looked at. The rest, the environment above all, is passed over.
#[derive(Deserialize)]
struct Inspected {
    #[serde(rename = "Id")]
    id: String,
    #[serde(rename = "Name", default)]
    name: Option<String>,
    #[serde(rename = "State")]
    state: State,
    #[serde(rename = "Config")]
    config: Config,
}

#[derive(Deserialize)]
struct State {
    #[serde(rename = "Pid")]
    pid: i32,
}

#[derive(Deserialize)]
struct Config {
    #[serde(rename = "Image", default)]
    image: Option<String>,
    #[serde(rename = "Labels", default)]
    labels: Option<BTreeMap<String, String>>,
}

/// The socket that `unix:PATH` or `unix://PATH` names; the path is absolute.
#[must_use]
pub fn socket(address: &str) -> Option<PathBuf> {
    let path = address.strip_prefix("unix:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    path.starts_with('/').then(|| PathBuf::from(path))
}

impl Engine {
    /// The engine that listens at `socket`; it has `timeout` for each answer.
    #[must_use]
    pub fn new(socket: PathBuf, timeout: Duration) -> Self {
        Self {
            socket,
            timeout,
            known: Mutex::new(Bounded::new(REMEMBERED)),
            failed: Mutex::default(),
        }
    }

    /// Its socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// What the engine says of the container that `kernel` names. `None` when it names none, or
    /// none that the engine keeps in that very control group. Needs a tokio runtime with I/O and
    /// time.
    ///
    /// # Errors
    /// [`EngineError`] when it could not be asked; for a moment after that it is not asked again.
    pub async fn ask(&self, kernel: &Kernel) -> Result<Option<workload::Engine>, EngineError> {
        let id = kernel.container.as_ref().map(|container| &container.id);
        let Some((id, path)) = id.zip(kernel.cgroup.as_deref()) else {
            return Ok(None);
        };
        let Some(group) = cgroup::down_to(path, id) else {
            return Ok(None);
        };
        let known = lock(&self.known).get(id);
        if let Some(known) = known.filter(|known| known.group == group) {
            return Ok(Some(known.said));
        }
        let slow = || EngineError::Slow {
            socket: self.socket.clone(),
        };
        if lock(&self.failed).is_some_and(|failed| failed.elapsed() < REST) {
            return Err(slow());
        }
        let asked = tokio::time::timeout(self.timeout, self.inspect(id)).await;
        let asked = asked.unwrap_or_else(|_| Err(slow()));
        *lock(&self.failed) = asked.is_err().then(Instant::now);
        let Some(inspected) = asked?.filter(|inspected| inspected.id == *id) else {
            return Ok(None);
        };
        // Who may name groups can name one after any container. The engine knows the container's
        // first process, and the kernel the group of that one.
        if group_of(inspected.state.pid, id).as_deref() != Some(group) {
            return Ok(None);
        }
        let known = Known {
            group: group.to_owned(),
            said: said(inspected),
        };
        lock(&self.known).insert(id.clone(), known.clone());
        Ok(Some(known.said))
    }

    /// `None` when the engine has no such container.
    async fn inspect(&self, id: &str) -> Result<Option<Inspected>, EngineError> {
        let foreign = || EngineError::Foreign {
            socket: self.socket.clone(),
        };
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|source| EngineError::Unreachable {
                socket: self.socket.clone(),
                source,
            })?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|_| foreign())?;
        // it ends with the sender, and what goes wrong in it is told to the sender
        tokio::spawn(async move { drop(connection.await) });
        // an id is hexadecimal digits alone
        let request = Request::get(format!("/containers/{id}/json"))
            .header(header::HOST, "localhost")
            .body(Empty::<Bytes>::new())
            .map_err(|_| foreign())?;
        let response = sender.send_request(request).await.map_err(|_| foreign())?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            _ => return Err(foreign()),
        }
        let body = Limited::new(response.into_body(), MOST).collect().await;
        let body = body.map_err(|_| foreign())?.to_bytes();
        // it holds the container's whole environment
        let body = Zeroizing::new(Vec::from(body));
        serde_json::from_slice(&body).map(Some).map_err(|_| foreign())
    }
}

/// The group of the container `id` that the process `pid` is in.
fn group_of(pid: i32, id: &str) -> Option<String> {
    // a container that does not run has no process
    let text = Process::open(Some(pid).filter(|pid| *pid > 0)?)
        .ok()?
        .cgroup()
        .ok()?;
    let place = cgroup::place(&text);
    cgroup::down_to(&place.path?, id).map(str::to_owned)
}

fn said(inspected: Inspected) -> workload::Engine {
    let labels = inspected.config.labels.unwrap_or_default();
    let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
    let compose = |what: &str| {
        ["com.docker.compose", "io.podman.compose"]
            .iter()
            .find_map(|by| labels.get(&format!("{by}.{what}")).cloned())
    };
    workload::Engine {
        name: filled(inspected.name.map(|name| name.trim_start_matches('/').to_owned())),
        image: filled(inspected.config.image),
        compose_project: compose("project"),
        compose_service: compose("service"),
        labels,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
