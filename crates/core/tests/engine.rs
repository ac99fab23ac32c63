//! A container engine that is absent, slow, foreign or lies: no label comes of it. What a real one
//! says is tested in `tests/`.
#![cfg(feature = "attest")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use strongroom_core::attest::engine::{Engine, EngineError, socket};
use strongroom_core::workload::{self, Container, Kernel, Runtime};

const ID: &str = "3f4c1a9d0b7e52886c1d2e3f4a5b6c7d8e9f00112233445566778899aabbccdd";

/// What a process in the container would be, as its control group says.
fn kernel() -> Kernel {
    Kernel {
        uid: 1000,
        gid: 1000,
        groups: Vec::new(),
        pid: None,
        executable: None,
        cgroup: Some(format!("/docker/{ID}")),
        container: Some(Container {
            runtime: Runtime::Docker,
            id: ID.into(),
            pod: None,
            user: None,
        }),
        unit: None,
        user_unit: None,
    }
}

/// Answers every request with the same text.
struct Server {
    _directory: tempfile::TempDir,
    socket: PathBuf,
    asked: Arc<AtomicUsize>,
}

impl Server {
    /// With `None` it never answers.
    fn new(answer: Option<String>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("engine.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let asked: Arc<AtomicUsize> = Arc::default();
        let count = Arc::clone(&asked);
        std::thread::spawn(move || {
            let mut kept = Vec::new();
            while let Ok((mut stream, _)) = listener.accept() {
                let head = BufReader::new(&stream).lines().map_while(Result::ok);
                let head: Vec<String> = head.take_while(|line| !line.is_empty()).collect();
                assert_eq!(
                    head.first().unwrap(),
                    &format!("GET /containers/{ID}/json HTTP/1.1")
                );
                count.fetch_add(1, Ordering::SeqCst);
                if let Some(answer) = &answer {
                    let _ = stream.write_all(answer.as_bytes());
                }
                kept.push(stream);
            }
        });
        Self {
            _directory: directory,
            socket,
            asked,
        }
    }

    fn answering(status: &str, body: &str) -> Self {
        let length = body.len();
        Self::new(Some(format!(
            "HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}"
        )))
    }

    fn engine(&self) -> Engine {
        Engine::new(self.socket.clone(), Duration::from_millis(300))
    }
}

fn ask(engine: &Engine, kernel: &Kernel) -> Result<Option<workload::Engine>, EngineError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(engine.ask(kernel))
}

fn inspected(id: &str, pid: u32) -> String {
    format!(
        r#"{{"Id":"{id}","Name":"/web","State":{{"Pid":{pid}}},"Config":{{"Image":"web:1","Labels":{{"app":"web"}}}}}}"#
    )
}

#[test]
fn only_an_answer_about_the_very_group_is_believed() {
    let own = std::process::id();
    for (what, status, body) in [
        (
            "another container",
            "200 OK",
            inspected(&ID.replace('3', "4"), own),
        ),
        ("a shortened id", "200 OK", inspected(&ID[..12], own)),
        // this process is in no such group: the name of the group was forged
        ("a process elsewhere", "200 OK", inspected(ID, own)),
        ("no process", "200 OK", inspected(ID, 0)),
        (
            "a process that is not there",
            "200 OK",
            inspected(ID, i32::MAX.cast_unsigned()),
        ),
        (
            "an unknown container",
            "404 Not Found",
            r#"{"message":"no such container"}"#.into(),
        ),
    ] {
        let server = Server::answering(status, &body);
        let said = ask(&server.engine(), &kernel());
        assert!(matches!(said, Ok(None)), "{what}: {said:?}");
        assert_eq!(server.asked.load(Ordering::SeqCst), 1, "{what}");
    }
}

#[test]
fn what_is_no_answer_is_an_error_that_holds_nothing_of_it() {
    let canary = "canary-of-an-environment";
    for (status, body) in [
        ("500 Internal Server Error", canary.to_owned()),
        ("200 OK", canary.to_owned()),
        ("200 OK", format!(r#"{{"Id":"{ID}","State":"{canary}"}}"#)),
        ("200 OK", format!("[{}", "[".repeat(100_000))),
        ("200 OK", format!("\"{}\"", "x".repeat(5 * 1024 * 1024))),
    ] {
        let server = Server::answering(status, &body);
        let error = ask(&server.engine(), &kernel()).unwrap_err();
        assert!(matches!(error, EngineError::Foreign { .. }), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
    let server = Server::new(Some("nonsense".into()));
    assert!(ask(&server.engine(), &kernel()).is_err());
}

#[test]
fn a_silent_engine_is_waited_for_once_and_then_left_alone() {
    let server = Server::new(None);
    let engine = server.engine();
    for _ in 0..2 {
        let error = ask(&engine, &kernel()).unwrap_err();
        assert!(matches!(error, EngineError::Slow { .. }), "{error:?}");
    }
    assert_eq!(server.asked.load(Ordering::SeqCst), 1);
}

#[test]
fn nobody_is_asked_about_a_process_in_no_container() {
    let engine = Engine::new("/nowhere/engine.sock".into(), Duration::from_secs(1));
    let mut outside = kernel();
    outside.container = None;
    assert!(matches!(ask(&engine, &outside), Ok(None)));
    let error = ask(&engine, &kernel()).unwrap_err();
    assert!(matches!(error, EngineError::Unreachable { .. }), "{error:?}");
}

#[test]
fn an_engine_is_named_by_a_socket() {
    assert_eq!(socket("unix:/run/p.sock"), Some("/run/p.sock".into()));
    assert_eq!(socket("unix:///run/p.sock"), Some("/run/p.sock".into()));
    for text in [
        "",
        "/run/p.sock",
        "unix:",
        "unix:p.sock",
        "unix://host/p",
        "tcp://1.2.3.4:2375",
        "http:/x",
    ] {
        assert_eq!(socket(text), None, "{text}");
    }
}
