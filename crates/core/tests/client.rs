//! The client against a server that follows a script: what a sidecar answers when all is well is
//! tested against a real one elsewhere; here it is slow, closed, foreign, too large or gone.
#![cfg(all(feature = "client", feature = "inject"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use strongroom_core::api::client::{Client, Query};
use strongroom_core::api::error::ClientError;
use strongroom_core::api::evaluate::{ErrorCode, EvaluateError};
use strongroom_core::api::watch::WatchEvent;
use strongroom_core::api::wire::Code;
use strongroom_core::inject::Wanted;
use strongroom_core::kind::Kind;
use strongroom_core::name::EntryPath;

fn path(text: &str) -> EntryPath {
    EntryPath::new(text).unwrap()
}

/// What the server does with one request.
enum Step {
    /// Answers and keeps the connection.
    Answer(String),
    /// Answers and closes it.
    Last(String),
    /// Closes it without an answer.
    Close,
    /// Says nothing, and keeps it.
    Silence,
}

/// A server that takes one step for each request, over however many connections.
struct Server {
    _directory: tempfile::TempDir,
    socket: PathBuf,
    /// The head of each request, and the number of its connection.
    requests: Receiver<(usize, String)>,
}

impl Server {
    fn new(steps: Vec<Step>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("sidecar.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let (sender, requests) = channel();
        std::thread::spawn(move || {
            let mut steps = steps.into_iter();
            let mut silent = Vec::new();
            for connection in 0.. {
                let Ok((mut stream, _)) = listener.accept() else {
                    return;
                };
                while let Some(head) = head(&stream) {
                    if sender.send((connection, head)).is_err() {
                        return;
                    }
                    match steps.next() {
                        Some(Step::Answer(text)) => stream.write_all(text.as_bytes()).unwrap(),
                        Some(Step::Last(text)) => {
                            let _ = stream.write_all(text.as_bytes());
                            break;
                        }
                        Some(Step::Close) => break,
                        Some(Step::Silence) => {
                            silent.push(stream.try_clone().unwrap());
                            break;
                        }
                        None => return,
                    }
                }
            }
        });
        Self {
            _directory: directory,
            socket,
            requests,
        }
    }

    fn client(&self) -> Client {
        Client::new(&self.socket)
    }

    fn request(&self) -> (usize, String) {
        self.requests.recv_timeout(Duration::from_secs(30)).unwrap()
    }
}

/// Reads a request, and gives its head; `None` at the end of the connection.
fn head(stream: &UnixStream) -> Option<String> {
    let mut head = String::new();
    // byte by byte, so that nothing of a next request is taken
    let mut lines = BufReader::with_capacity(1, stream);
    loop {
        let before = head.len();
        lines.read_line(&mut head).ok().filter(|read| *read > 0)?;
        if head.get(before..) == Some("\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
            lines.read_exact(&mut body).ok()?;
            return Some(head);
        }
    }
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn json(body: &str) -> String {
    answer("200 OK", "content-type: application/json\r\n", body)
}

fn values(revision: u64, entries: &str) -> String {
    json(&format!(
        r#"{{"environment":"prod","revision":{revision},"stale_since":null,"values":[{entries}]}}"#
    ))
}

fn value(path: &str, text: &str) -> String {
    format!(r#"{{"path":"{path}","kind":"secret","version":1,"format":"text","value":"{text}"}}"#)
}

fn block<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(work)
}

#[test]
fn a_value_is_read_with_what_is_known_of_it() {
    let headers =
        "strongroom-revision: 7\r\nstrongroom-version: 3\r\nstrongroom-stale-since: 2026-01-01T00:00:00Z\r\n";
    let server = Server::new(vec![Step::Answer(answer("200 OK", headers, "s3cret\n"))]);
    let reading = block(server.client().secret(&path("web/ü"))).unwrap();
    assert_eq!((reading.version, reading.revision), (3, 7));
    assert_eq!(reading.stale_since.as_deref(), Some("2026-01-01T00:00:00Z"));
    assert_eq!(reading.value.expose(<[u8]>::to_vec), b"s3cret\n");
    let (_, head) = server.request();
    assert!(
        head.starts_with("GET /api/v1/secrets/web/%C3%BC HTTP/1.1\r\n"),
        "{head}"
    );
    let head = head.to_lowercase();
    assert!(
        head.contains("host: localhost") && head.contains("accept: application/octet-stream"),
        "{head}"
    );
}

#[test]
fn one_connection_serves_many_requests_and_a_closed_one_is_replaced() {
    let server = Server::new(vec![
        Step::Answer(values(1, "")),
        Step::Last(values(2, "")),
        Step::Answer(values(3, "")),
        // closed under the request, as an idle timeout of the other side may do
        Step::Close,
        Step::Answer(values(4, "")),
    ]);
    let client = server.client();
    block(async {
        for revision in 1..=4 {
            assert_eq!(client.values(&Query::default()).await.unwrap().revision, revision);
        }
    });
    let connections: Vec<usize> = (0..5).map(|_| server.request().0).collect();
    assert_eq!(connections, [0, 0, 1, 1, 2]);
}

#[test]
fn a_query_is_worded_as_the_api_has_it() {
    let server = Server::new(vec![Step::Answer(values(5, ""))]);
    let query = Query {
        prefix: Some(path("web/a+b")),
        kind: Some(Kind::Config),
        at: Some(5),
    };
    block(server.client().values(&query)).unwrap();
    let (_, head) = server.request();
    assert!(
        head.starts_with("GET /api/v1/values?prefix=web/a%2Bb&kind=config&at=5 HTTP/1.1\r\n"),
        "{head}"
    );
}

#[test]
fn material_from_several_prefixes_is_of_the_first_answers_revision() {
    let server = Server::new(vec![
        Step::Answer(values(9, &value("web/z", "1"))),
        Step::Answer(values(9, &value("shared/ca", "2"))),
    ]);
    let mut wanted = Wanted::default();
    for prefix in ["web/deep", "web", "shared/ca"] {
        wanted.add(&path(prefix));
    }
    let material = block(server.client().material(&wanted)).unwrap();
    assert_eq!(material.revision, 9);
    let paths: Vec<_> = material
        .values
        .iter()
        .map(|value| value.path.as_str().to_owned())
        .collect();
    assert_eq!(paths, ["shared/ca", "web/z"]);
    assert!(
        server
            .request()
            .1
            .starts_with("GET /api/v1/values?prefix=web HTTP")
    );
    assert!(
        server
            .request()
            .1
            .starts_with("GET /api/v1/values?prefix=shared/ca&at=9 HTTP")
    );
}

#[test]
fn a_refusal_carries_its_code_and_reason() {
    let refusal = |status: &str, code: &str| {
        let body = format!(r#"{{"error":{{"code":"{code}","message":"because"}}}}"#);
        Step::Answer(answer(status, "", &body))
    };
    let server = Server::new(vec![
        refusal("404 Not Found", "not_found"),
        refusal("403 Forbidden", "denied"),
        refusal("503 Service Unavailable", "unavailable"),
        Step::Answer(answer("503 Service Unavailable", "", "busy")),
        refusal("418 I'm a teapot", "teapot"),
        Step::Answer(answer("500 Internal Server Error", "", "oops")),
    ]);
    let client = server.client();
    let expected = [
        (Code::NotFound, 1),
        (Code::Denied, 3),
        (Code::Unavailable, 5),
        (Code::Unavailable, 5),
        (Code::Unknown, 1),
    ];
    block(async {
        for (expected, exit) in expected {
            match client.secret(&path("a")).await.unwrap_err() {
                error @ ClientError::Refused { code, .. } => {
                    assert_eq!((code, error.exit_code()), (expected, exit))
                }
                other => panic!("{other:?}"),
            }
        }
        let error = client.secret(&path("a")).await.unwrap_err();
        assert!(matches!(error, ClientError::Foreign { .. }), "{error:?}");
    });
}

#[test]
fn an_answer_that_is_not_one_is_refused_without_repeating_it() {
    let bodies = [
        "canary".to_owned(),
        r#"{"revision":"canary"}"#.to_owned(),
        format!(r#"{{"environment":"p","revision":1,"stale_since":null,"values":[{}]}}"#, value("/canary", "x")),
        r#"{"environment":"p","revision":1,"stale_since":null,"values":[{"path":"a","kind":"secret","version":1,"format":"text","value_base64":"canary!"}]}"#.to_owned(),
    ];
    let count = bodies.len();
    let server = Server::new(bodies.iter().map(|body| Step::Answer(json(body))).collect());
    let client = server.client();
    block(async {
        for _ in 0..count {
            let error = client.values(&Query::default()).await.unwrap_err();
            assert!(matches!(error, ClientError::Foreign { .. }), "{error:?}");
            assert!(!format!("{error:?} {error}").contains("canary"), "{error:?}");
        }
    });
    let server = Server::new(vec![
        Step::Last("SSH-2.0-canary\r\n\r\n".to_owned()),
        Step::Last("SSH-2.0-canary\r\n\r\n".to_owned()),
    ]);
    let error = block(server.client().status()).unwrap_err();
    assert!(matches!(error, ClientError::Broken { .. }), "{error:?}");
}

#[test]
fn too_large_an_answer_is_not_taken_in() {
    let announced = "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n";
    let endless = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n200001\r\n{}\r\n0\r\n\r\n",
        "x".repeat(0x20_0001)
    );
    for text in [announced.to_owned(), endless] {
        let server = Server::new(vec![Step::Last(text)]);
        let error = block(server.client().secret(&path("a"))).unwrap_err();
        assert!(matches!(error, ClientError::TooLarge { .. }), "{error:?}");
    }
}

#[test]
fn a_silent_or_broken_sidecar_is_not_waited_for_without_end() {
    let server = Server::new(vec![Step::Silence]);
    let client = server.client().with_timeout(Duration::from_millis(200));
    let error = block(client.secret(&path("a"))).unwrap_err();
    assert!(
        matches!(error, ClientError::TimedOut { .. }) && error.is_temporary(),
        "{error:?}"
    );
    // a body that stops in the middle
    let half = "HTTP/1.1 200 OK\r\nstrongroom-revision: 1\r\nstrongroom-version: 1\r\ncontent-length: 100\r\n\r\nhalf";
    let server = Server::new(vec![Step::Last(half.to_owned())]);
    let error = block(server.client().secret(&path("a"))).unwrap_err();
    assert!(
        matches!(error, ClientError::Broken { .. }) && error.is_temporary(),
        "{error:?}"
    );
}

#[test]
fn a_request_that_is_given_up_does_not_spoil_the_next() {
    let server = Server::new(vec![Step::Silence, Step::Answer(values(2, ""))]);
    let client = server.client();
    block(async {
        let query = Query::default();
        let given_up = tokio::time::timeout(Duration::from_millis(200), client.values(&query)).await;
        assert!(given_up.is_err());
        assert_eq!(client.values(&query).await.unwrap().revision, 2);
    });
}

#[test]
fn a_request_that_is_not_answered_holds_up_no_other() {
    let server = Server::new(vec![Step::Silence, Step::Answer(values(2, ""))]);
    let client = server.client();
    block(async {
        let query = Query::default();
        // the first is sent, and still waits, when the second is
        let revision = tokio::select! {
            biased;
            first = client.values(&query) => panic!("nothing answers the first: {first:?}"),
            second = client.values(&query) => second.unwrap().revision,
        };
        assert_eq!(revision, 2);
    });
}

#[test]
fn sixteen_requests_are_under_way_and_others_wait() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("sidecar.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let server = std::thread::spawn(move || {
        let accept = |_| {
            let stream = listener.accept().unwrap().0;
            head(&stream).unwrap();
            stream
        };
        let mut streams: Vec<_> = (0..16).map(accept).collect();
        // one more comes on a connection that is free again, and not on one of its own
        let first = streams.first_mut().unwrap();
        first.write_all(values(1, "").as_bytes()).unwrap();
        head(first).unwrap();
        for stream in &mut streams {
            stream.write_all(values(1, "").as_bytes()).unwrap();
        }
    });
    let client = Arc::new(Client::new(&socket));
    block(async {
        let asked: Vec<_> = (0..17)
            .map(|_| {
                let client = Arc::clone(&client);
                tokio::spawn(async move { client.values(&Query::default()).await })
            })
            .collect();
        for asked in asked {
            assert_eq!(asked.await.unwrap().unwrap().revision, 1);
        }
    });
    server.join().unwrap();
}

fn evaluation(status: &str, body: &str) -> Step {
    Step::Answer(answer(status, "strongroom-revision: 7\r\n", body))
}

#[test]
fn an_evaluation_is_read_and_taken_for_a_type() {
    let server = Server::new(vec![
        evaluation(
            "200 OK",
            r#"{"key":"web/ü","reason":"STATIC","variant":"a","value":10.0,"metadata":{"owner":"web"}}"#,
        ),
        evaluation(
            "200 OK",
            r#"{"key":"off","reason":"DISABLED","variant":"","metadata":{}}"#,
        ),
        evaluation(
            "200 OK",
            r#"{"key":"o","reason":"STATIC","variant":"a","value":{"size":3}}"#,
        ),
    ]);
    let client = server.client();
    let context = [("targetingKey".to_owned(), "ada".into())].into_iter().collect();
    let [flag, off, object] = block(async {
        let evaluate = async |key: &str| client.evaluate(&path(key), &context).await.unwrap();
        [
            evaluate("web/ü").await,
            evaluate("off").await,
            evaluate("o").await,
        ]
    });
    assert_eq!(
        (flag.variant.as_deref(), &*flag.reason, flag.revision),
        (Some("a"), "STATIC", 7)
    );
    assert_eq!(flag.metadata.get("owner"), Some(&"web".into()));
    assert_eq!(
        (flag.int().unwrap(), flag.float().unwrap()),
        (Some(10), Some(10.0))
    );
    for other in [
        flag.bool().err(),
        flag.string().err(),
        flag.json().err(),
        flag.object::<u8>().err(),
    ] {
        let Some(EvaluateError::Failed { code, .. }) = other else {
            panic!("{other:?}")
        };
        assert_eq!(code, ErrorCode::TypeMismatch);
    }
    let (_, head) = server.request();
    assert!(
        head.starts_with("POST /ofrep/v1/evaluate/flags/web/%C3%BC HTTP/1.1\r\n"),
        "{head}"
    );
    assert_eq!(
        (off.variant.as_deref(), off.bool().unwrap(), off.int().unwrap()),
        (None, None, None)
    );
    #[derive(serde::Deserialize)]
    struct Sized {
        size: u8,
    }
    assert_eq!(object.object::<Sized>().unwrap().unwrap().size, 3);
}

#[test]
fn an_evaluation_that_failed_says_whether_the_flag_or_the_sidecar_did() {
    let failure = |status: &str, code: &str| {
        evaluation(
            status,
            &format!(r#"{{"key":"a","errorCode":"{code}","errorDetails":"because"}}"#),
        )
    };
    let server = Server::new(vec![
        failure("404 Not Found", "FLAG_NOT_FOUND"),
        failure("400 Bad Request", "PARSE_ERROR"),
        failure("400 Bad Request", "A_NEWER_ONE"),
        failure("403 Forbidden", "GENERAL"),
        failure("503 Service Unavailable", "GENERAL"),
        evaluation("503 Service Unavailable", "busy"),
        evaluation("200 OK", "canary"),
    ]);
    let client = server.client();
    block(async {
        let next = async || {
            client
                .evaluate(&path("a"), &serde_json::Map::new())
                .await
                .unwrap_err()
        };
        for expected in [ErrorCode::FlagNotFound, ErrorCode::ParseError, ErrorCode::General] {
            match next().await {
                EvaluateError::Failed { code, details } => {
                    assert_eq!((code, &*details), (expected, "because"));
                }
                other => panic!("{other:?}"),
            }
        }
        for expected in [Code::Denied, Code::Unavailable, Code::Unavailable] {
            match next().await {
                EvaluateError::Client(ClientError::Refused { code, .. }) => assert_eq!(code, expected),
                other => panic!("{other:?}"),
            }
        }
        let foreign = next().await;
        assert!(
            matches!(foreign, EvaluateError::Client(ClientError::Foreign { .. })),
            "{foreign:?}"
        );
        assert!(
            !format!("{foreign:?} {foreign}").contains("canary"),
            "{foreign:?}"
        );
    });
}

#[test]
fn a_socket_that_cannot_be_connected_to() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| Client::new(directory.path().join(name));
    let error = block(at("none").status()).unwrap_err();
    assert!(
        matches!(error, ClientError::Unreachable { .. }) && error.exit_code() == 5,
        "{error:?}"
    );
    let error = block(at(&"x".repeat(108)).status()).unwrap_err();
    assert!(matches!(error, ClientError::SocketPath { .. }), "{error:?}");
}

const STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";

fn revision(revision: u64, from: &str, resync: bool) -> String {
    format!(
        "event: revision\nid: {revision}\ndata: {{\"revision\":{revision},\"from\":{from},\"resync\":{resync},\"changes\":[]}}\n\n"
    )
}

#[test]
fn a_watch_resumes_where_it_broke_and_tells_an_outage_once() {
    let server = Server::new(vec![
        Step::Last(format!(
            "{STREAM}: keep-alive\n\n{}event: news\ndata: x\n\nevent: lagged\ndata: {{\"missed\":3}}\n\n{}",
            revision(4, "null", true),
            revision(8, "null", true)
        )),
        Step::Close,
        Step::Close,
        Step::Last(format!(
            "{STREAM}{}event: revision\ndata: {{}}\n\n",
            revision(9, "8", false)
        )),
        Step::Last(format!("{STREAM}{}", revision(9, "9", false))),
    ]);
    let mut watch = server.client().watch(Some(path("web")));
    block(async {
        let mut told = Vec::new();
        while told.len() < 7 {
            told.push(match watch.next().await {
                WatchEvent::Revision(event) => format!("{} {:?}", event.revision, event.from),
                WatchEvent::Lagged { missed } => format!("lagged {missed}"),
                WatchEvent::Lost(_) => "lost".to_owned(),
            });
        }
        assert_eq!(
            told,
            [
                "4 None",
                "lagged 3",
                "8 None",
                "lost",
                "9 Some(8)",
                "lost",
                "9 Some(9)"
            ]
        );
    });
    let heads: Vec<String> = (0..5).map(|_| server.request().1.to_lowercase()).collect();
    let resumed: Vec<Option<&str>> = heads
        .iter()
        .map(|head| head.lines().find_map(|line| line.strip_prefix("last-event-id: ")))
        .collect();
    assert_eq!(resumed, [None, Some("8"), Some("8"), Some("8"), Some("9")]);
    assert!(
        heads
            .iter()
            .all(|head| head.starts_with("get /api/v1/watch?prefix=web http/1.1"))
    );
}
