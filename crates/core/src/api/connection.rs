//! One HTTP connection over a Unix socket: owns connecting, sending a request and collecting a
//! bounded body in memory that is wiped. It must not know what is asked.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request, Response, header};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use zeroize::{Zeroize as _, Zeroizing};

use super::error::ClientError;

/// The longest path that fits a socket's address.
const LONGEST_PATH: usize = 107;

/// An open connection; it closes when this is dropped.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
}

/// A request, but for the body that it may have.
pub(super) struct Get<'a> {
    /// Path and query, coded.
    pub(super) target: &'a str,
    pub(super) accept: &'static str,
    pub(super) last_event: Option<u64>,
}

impl Connection {
    pub(super) async fn open(socket: &Path) -> Result<Self, ClientError> {
        use std::os::unix::ffi::OsStrExt as _;
        let path = socket.as_os_str().as_bytes();
        if path.len() > LONGEST_PATH || path.contains(&0) {
            return Err(ClientError::SocketPath {
                socket: socket.to_owned(),
            });
        }
        let stream = UnixStream::connect(socket).await.map_err(|source| {
            let socket = socket.to_owned();
            match source.kind() {
                io::ErrorKind::PermissionDenied => ClientError::Forbidden { socket },
                _ => ClientError::Unreachable { socket, source },
            }
        })?;
        let broken = |source| ClientError::Broken {
            socket: socket.to_owned(),
            source,
        };
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        // what goes wrong in here is told to whoever waits for an answer
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self { sender })
    }

    /// False when the other side has closed it.
    pub(super) async fn is_usable(&mut self) -> bool {
        !self.sender.is_closed() && self.sender.ready().await.is_ok()
    }

    pub(super) async fn get(&mut self, get: &Get<'_>) -> Result<Response<Incoming>, hyper::Error> {
        self.send(get, None).await
    }

    /// With a body of JSON it is posted.
    pub(super) async fn send(
        &mut self,
        get: &Get<'_>,
        body: Option<Bytes>,
    ) -> Result<Response<Incoming>, hyper::Error> {
        let is_posted = body.is_some();
        let mut request = Request::new(Full::new(body.unwrap_or_default()));
        // targets are made of coded names and always parse; an empty one asks for nothing
        *request.uri_mut() = get.target.parse().unwrap_or_default();
        if is_posted {
            *request.method_mut() = Method::POST;
        }
        let headers = request.headers_mut();
        headers.insert(header::HOST, header::HeaderValue::from_static("localhost"));
        headers.insert(header::ACCEPT, header::HeaderValue::from_static(get.accept));
        if is_posted {
            let json = header::HeaderValue::from_static("application/json");
            headers.insert(header::CONTENT_TYPE, json);
        }
        if let Some(last) = get.last_event {
            headers.insert("last-event-id", last.into());
        }
        self.sender.send_request(request).await
    }
}

/// The body of `response`, if it has at most `limit` bytes.
pub(super) async fn collect(
    response: Response<Incoming>,
    limit: usize,
    socket: &Path,
) -> Result<Zeroizing<Vec<u8>>, ClientError> {
    let mut body = response.into_body();
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(ClientError::TooLarge { limit });
    }
    let mut frames = Frames {
        parts: Vec::new(),
        length: 0,
    };
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|source| ClientError::Broken {
            socket: socket.to_owned(),
            source,
        })?;
        if let Ok(data) = frame.into_data() {
            frames.push(data);
        }
        if frames.length > limit {
            return Err(ClientError::TooLarge { limit });
        }
    }
    Ok(frames.join())
}

/// Parts of a body, joined once they are all there: a buffer that grows leaves copies behind.
struct Frames {
    parts: Vec<Bytes>,
    length: usize,
}

impl Frames {
    fn push(&mut self, part: Bytes) {
        self.length = self.length.saturating_add(part.remaining());
        self.parts.push(part);
    }

    fn join(&self) -> Zeroizing<Vec<u8>> {
        let mut whole = Zeroizing::new(Vec::with_capacity(self.length));
        self.parts.iter().for_each(|part| whole.extend_from_slice(part));
        whole
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        for part in self.parts.drain(..) {
            // a part that hyper still shares cannot be wiped from here
            if let Ok(mut own) = part.try_into_mut() {
                own.as_mut().zeroize();
            }
        }
    }
}

/// Fails when `work` takes longer than `limit`.
pub(super) async fn within<T>(
    limit: Duration,
    socket: &Path,
    work: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result,
        Err(_) => Err(ClientError::TimedOut {
            socket: PathBuf::from(socket),
        }),
    }
}
