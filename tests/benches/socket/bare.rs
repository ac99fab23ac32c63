//! The limits, each a process of its own: bare hyper that answers the same bytes, and a loop that
//! writes the same bytes into as many sockets. Both find their bytes in a file beside the socket.

use std::convert::Infallible;
use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;

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
