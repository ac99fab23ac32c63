//! The limits, each a process of its own: bare hyper that answers the same bytes, a loop that writes the
//! same bytes into as many sockets, and the same with what a rotation cannot do without. They find
//! their bytes in a file beside the socket.

use std::convert::Infallible;
use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::client;
use super::process::Process;

fn bytes_beside(socket: &str) -> PathBuf {
    format!("{socket}.bytes").into()
}

/// Serves for ever on one current-thread runtime.
pub fn echo(socket: &str) {
    let body = Bytes::from(std::fs::read(bytes_beside(socket)).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let listener = tokio::net::UnixListener::bind(socket).unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let body = body.clone();
            let answer = service_fn(move |_: Request<hyper::body::Incoming>| {
                let mut response = Response::new(Full::new(body.clone()));
                let json = HeaderValue::from_static("application/json");
                response.headers_mut().insert(CONTENT_TYPE, json);
                std::future::ready(Ok::<_, Infallible>(response))
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
        }
    });
}

/// The same over HTTP/2, with the trailers of gRPC.
pub fn grpc(socket: &str) {
    let body = Bytes::from(std::fs::read(bytes_beside(socket)).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let listener = tokio::net::UnixListener::bind(socket).unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let body = body.clone();
            let answer = service_fn(move |_: Request<hyper::body::Incoming>| {
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", HeaderValue::from_static("0"));
                let whole = Full::new(body.clone()).with_trailers(std::future::ready(Some(Ok(trailers))));
                let mut response = Response::new(whole);
                let grpc = HeaderValue::from_static("application/grpc");
                response.headers_mut().insert(CONTENT_TYPE, grpc);
                std::future::ready(Ok::<_, Infallible>(response))
            });
            let builder = http2::Builder::new(TokioExecutor::new());
            tokio::spawn(builder.serve_connection(TokioIo::new(stream), answer));
        }
    });
}

/// Writes the bytes to `count` clients for every byte that comes in on standard input.
pub fn fanout(socket: &str, count: usize) {
    let bytes = std::fs::read(bytes_beside(socket)).unwrap();
    let listener = UnixListener::bind(socket).unwrap();
    let mut streams: Vec<UnixStream> = (0..count).map(|_| listener.accept().unwrap().0).collect();
    let mut order = [0];
    while std::io::stdin().read_exact(&mut order).is_ok() {
        for stream in &mut streams {
            stream.write_all(&bytes).unwrap();
        }
    }
}

/// For every byte of the first client: two durable commits of bare SQLite, the bytes to `count` others,
/// and an answer to each of them when it asks. Then the first one gets a byte.
pub fn round(socket: &str, count: usize) {
    let bytes = std::fs::read(bytes_beside(socket)).unwrap();
    let database = rusqlite::Connection::open(format!("{socket}.db")).unwrap();
    database
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE commits (bytes BLOB) STRICT",
        )
        .unwrap();
    let listener = UnixListener::bind(socket).unwrap();
    let mut first = listener.accept().unwrap().0;
    let mut streams: Vec<UnixStream> = (0..count).map(|_| listener.accept().unwrap().0).collect();
    let poll = client::poll(streams.iter());
    let mut events = Vec::with_capacity(count);
    let mut buffer = [0; 4096];
    while first.read_exact(&mut [0]).is_ok() {
        for _ in 0..2 {
            database
                .execute("INSERT INTO commits VALUES (?1)", [[b'x'; 1024]])
                .unwrap();
        }
        for stream in &mut streams {
            stream.write_all(&bytes).unwrap();
        }
        let mut waiting = count;
        while waiting > 0 {
            for number in client::wait(&poll, &mut events) {
                assert!(streams[number].read(&mut buffer).unwrap() > 0);
                streams[number].write_all(&bytes).unwrap();
                waiting -= 1;
            }
        }
        first.write_all(b"!").unwrap();
    }
}

/// Asks whenever something comes. A process of its own.
pub fn asker(socket: &str) {
    let mut stream = client::connect(Path::new(socket));
    let request = client::request("/");
    let mut buffer = [0; 4096];
    while stream.read(&mut buffer).is_ok_and(|count| count > 0) {
        stream.write_all(&request).unwrap();
        assert!(stream.read(&mut buffer).unwrap() > 0);
    }
}

/// A running control.
pub struct Bare {
    pub process: Process,
    pub socket: PathBuf,
}

impl Bare {
    /// Starts `name` in `directory` with its arguments; it answers with or writes `bytes`.
    pub fn start(directory: &Path, name: &str, bytes: &[u8], arguments: &[String]) -> Self {
        let socket = directory.join(name);
        std::fs::write(bytes_beside(socket.to_str().unwrap()), bytes).unwrap();
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.arg(name).arg(&socket).args(arguments);
        Self {
            process: Process::start(&mut command),
            socket,
        }
    }
}
