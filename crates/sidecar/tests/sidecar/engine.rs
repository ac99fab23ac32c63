//! A container engine that has to be heard before anybody in a container is let in. The engine is a
//! socket of the test's, the container a control group that is named like one.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use strongroom_core::attest::engine::Engine;
use strongroom_core::kind::Kind;
use strongroom_sidecar::peer::{Attestor, NotAttested, Peer, Unaccepted};

use crate::grant::{audit_of, decisions};
use crate::group::Group;
use crate::process::{Sidecar, until};
use crate::scene::{Scene, put};

/// The id of a container that no engine has.
fn id() -> String {
    format!("{:064x}", std::process::id())
}

/// Curl by a process of the container: the status and the body.
fn ask(group: &Group, sidecar: &Sidecar, target: &str) -> (String, Value) {
    let mut shell = Command::new("sh");
    let output = group
        .inside(&mut shell, Path::new("curl"))
        .args(["-s", "-w", "\n%{http_code}", "--unix-socket"])
        .arg(&sidecar.socket)
        .arg(format!("http://localhost/api/v1/{target}"))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    (status.to_owned(), serde_json::from_str(body).unwrap_or_default())
}

/// Answers everybody that the container is called `web`, with `first` as its first process.
fn engine(socket: &Path, first: &Child) {
    let listener = UnixListener::bind(socket).unwrap();
    let (id, pid) = (id(), first.id());
    let body = format!(
        r#"{{"Id":"{id}","Name":"/web","State":{{"Pid":{pid}}},"Config":{{"Labels":{{"role":"quarantine"}}}}}}"#
    );
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let head = BufReader::new(&stream).lines().map_while(Result::ok);
            head.take_while(|line| !line.is_empty()).for_each(drop);
            let length = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}"
            );
        }
    });
}

#[test]
fn who_is_in_a_container_is_not_let_in_before_a_required_engine_has_told() {
    let Some(group) = Group::named(&format!("libpod-{}", id())) else {
        return;
    };
    let scene = Scene::with_token();
    let policy = r#"permit (principal, action, resource);
        @id("quarantine") forbid (principal is Workload, action, resource)
        when { principal.hasTag("role") && principal.getTag("role") == "quarantine" };"#;
    scene.commit(vec![put("prod", "policy/test", Kind::Policy, policy.as_bytes())]);
    let socket = scene.file("engine.sock");
    let (audit, directory) = audit_of(&scene);
    let settings = |required: &str| {
        let socket = socket.display();
        format!("{audit}[attestation]\nengine = \"unix:{socket}\"\n{required}")
    };
    let read = "secrets/web/token";
    // as long as nobody asks for more, its labels are absent, and a `forbid` by them does not hold
    let sidecar = Sidecar::start(&scene, &settings(""));
    let (status, body) = ask(&group, &sidecar, read);
    assert_eq!(status, "200", "{body}");
    sidecar.terminate();

    let sidecar = Sidecar::start(&scene, &settings("engine_required = true\n"));
    for target in [read, "whoami", "entries", "watch"] {
        let (status, body) = ask(&group, &sidecar, target);
        assert_eq!(
            (&*status, &body["error"]["code"]),
            ("503", &"unavailable".into()),
            "{target}: {body}"
        );
        let message = body["error"]["message"].as_str().unwrap();
        assert!(message.contains("attestation.engine_required"), "{message}");
    }
    sidecar.logs("no container engine answers");
    sidecar.logs("clients in containers are refused meanwhile");
    let refused = until("it is recorded", || {
        let mut all = decisions(&directory).into_iter();
        all.find(|record| record["name"] == "prod/web/token" && record["decision"] == "deny")
    });
    assert_eq!(
        refused["reason"],
        "a container engine has to know its container, and does not say"
    );
    // this process is in no container
    assert_eq!(sidecar.secret("web/token"), "one");

    let mut shell = Command::new("sh");
    let mut first = group
        .inside(&mut shell, Path::new("cat"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    engine(&socket, &first);
    // it counts once the first process is in the group
    until("the engine is asked again, and heard", || {
        let (_, seen) = ask(&group, &sidecar, "whoami");
        (seen["engine"]["name"] == "web").then_some(())
    });
    let (status, body) = ask(&group, &sidecar, read);
    assert_eq!(status, "404", "what may not be described is not there: {body}");
    sidecar.terminate();
    drop(first.stdin.take());
    first.wait().unwrap();
}

#[test]
fn where_nobody_sees_who_is_in_a_container_a_required_engine_is_of_no_use() {
    if !crate::root::can("make a pid namespace") {
        return;
    }
    // `/proc` stays that of the namespace outside
    let inside = Command::new("unshare")
        .args(["--pid", "--fork", "--kill-child"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "engine::control_groups_are_not_seen", "--ignored"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&inside.stdout);
    assert!(
        inside.status.success() && said.contains("running 1 test"),
        "{said}"
    );
}

#[test]
#[ignore = "a process of another test, in a pid namespace of its own"]
fn control_groups_are_not_seen() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("s.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for (required, wanted) in [(false, Ok(None)), (true, Err(NotAttested::NoEngine))] {
        let engine = Engine::new("/nowhere/engine.sock".into(), Duration::from_secs(1));
        let attestor = Attestor::start_with(Some(engine), required).unwrap();
        let _client = UnixStream::connect(&socket).unwrap();
        let (stream, _) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        let seen = runtime.block_on(async {
            let stream = tokio::net::UnixStream::from_std(stream).unwrap();
            match Peer::of(&stream, &attestor) {
                Ok(peer) => peer.workload().await,
                // without `SO_PEERPIDFD` such a client is not let in at all
                Err(error) => {
                    assert!(matches!(error, Unaccepted::Io(_)), "{error}");
                    std::process::exit(0);
                }
            }
        });
        assert_eq!(seen.map(|seen| seen.kernel.cgroup.clone()), wanted);
    }
}
