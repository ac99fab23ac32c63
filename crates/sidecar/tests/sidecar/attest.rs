//! Who is at the other end: what the kernel says of a client, and that no other process passes for
//! it, after it ended, began another program, or gave its connection away.

use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use strongroom_core::attest::{self, Digests, Lost, Process};
use strongroom_sidecar::peer::{Attestor, Hold, NotAttested, Peer, Unaccepted};

use crate::http::{Client, get};
use crate::process::{PATIENCE, Sidecar, command, until};
use crate::scene::Scene;

/// Runs an `#[ignore]`d test of this file as a process of its own, with a word for it to go by.
fn as_process(test: &str, word: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", &format!("attest::{test}"), "--ignored", "--nocapture"])
        .env("ATTEST_WORD", word);
    command
}

fn word() -> std::path::PathBuf {
    std::env::var_os("ATTEST_WORD").unwrap().into()
}

fn output(command: &mut Command) -> String {
    String::from_utf8(command.output().unwrap().stdout).unwrap()
}

#[test]
fn a_client_is_told_what_the_kernel_says_of_it() {
    let scene = Scene::with_token();
    let sidecar = Sidecar::start(&scene, "");
    let seen = sidecar.get("/api/v1/whoami").json();
    let kernel = &seen["kernel"];
    assert_eq!(kernel["uid"], rustix::process::geteuid().as_raw());
    assert_eq!(kernel["gid"], rustix::process::getegid().as_raw());
    assert_eq!(kernel["pid"], std::process::id());
    let groups = rustix::process::getgroups().unwrap();
    let groups: Vec<u32> = groups.iter().map(|group| group.as_raw()).collect();
    assert_eq!(kernel["groups"], serde_json::json!(groups));
    let own = std::env::current_exe().unwrap();
    assert_eq!(kernel["executable"]["path"], own.to_str().unwrap());
    let sum = output(Command::new("sha256sum").arg(&own));
    assert_eq!(kernel["executable"]["sha256"], sum.split(' ').next().unwrap());
    let cgroup = std::fs::read_to_string("/proc/self/cgroup").unwrap();
    let path = kernel["cgroup"].as_str().unwrap();
    assert!(
        cgroup.lines().any(|line| line.ends_with(&format!(":{path}"))),
        "{path}"
    );
    assert!(seen["engine"].is_null(), "no engine is asked");
    // nothing a client sends, or binds its own end to, has a say
    let own = rustix::net::socket(
        rustix::net::AddressFamily::UNIX,
        rustix::net::SocketType::STREAM,
        None,
    )
    .unwrap();
    let name = rustix::net::SocketAddrUnix::new_abstract_name(b"1/unit/web.service/secret").unwrap();
    rustix::net::bind(&own, &name).unwrap();
    let to = rustix::net::SocketAddrUnix::new(&sidecar.socket).unwrap();
    rustix::net::connect(&own, &to).unwrap();
    let mut forged = Client(std::io::BufReader::new(UnixStream::from(own)));
    let headers = ["x-forwarded-for: 10.0.0.1", "x-remote-uid: 12345"];
    let answer = forged.request("GET", "/api/v1/whoami", &headers).unwrap();
    assert_eq!(answer.json(), seen);
}

#[test]
fn a_connection_ends_with_the_process_that_made_it() {
    let scene = Scene::with_token();
    let sidecar = Sidecar::start(&scene, "");
    for test in ["it_gives_its_connection_away", "it_gives_its_watch_away"] {
        let ended = as_process(test, &sidecar.socket)
            .stdout(Stdio::piped())
            .output()
            .unwrap();
        // the child has the connection and our pipe: its end comes once the sidecar closed
        let said = String::from_utf8_lossy(&ended.stdout);
        assert!(
            ended.status.success() && said.contains("the rest is: closed"),
            "{test}: {said}"
        );
    }
}

/// Starts a child that has the connection as its input and tells how it goes on; does not wait.
#[expect(clippy::zombie_processes, reason = "it is to outlive this process")]
fn give_away(stream: &UnixStream, script: &str) {
    let stream = stream.as_fd().try_clone_to_owned().unwrap();
    Command::new("sh")
        .args(["-c", script])
        .stdin(stream)
        .spawn()
        .unwrap();
}

#[test]
#[ignore = "a process of another test"]
fn it_gives_its_connection_away() {
    let mut client = Client::connect(&word()).unwrap();
    assert_eq!(client.request("GET", "/healthz", &[]).unwrap().status, 200);
    // as soon as the sidecar has noticed, there is nobody to be answered
    let ask = "GET /api/v1/secrets/web/token HTTP/1.1\\r\\nhost: unix\\r\\n\\r\\n";
    let script = format!(
        "trap '' PIPE; sleep 0.2; printf '{ask}' >&0; echo \"the rest is: $(cat 2>/dev/null)closed\""
    );
    give_away(client.0.get_ref(), &script);
}

#[test]
#[ignore = "a process of another test"]
fn it_gives_its_watch_away() {
    let mut client = Client::connect(&word()).unwrap();
    client
        .send(b"GET /api/v1/watch HTTP/1.1\r\nhost: unix\r\n\r\n")
        .unwrap();
    assert_eq!(client.head().unwrap().status, 200);
    give_away(client.0.get_ref(), "cat >/dev/null; echo 'the rest is: closed'");
}

#[test]
fn a_client_that_begins_another_program_is_not_that_one() {
    let scene = Scene::with_token();
    let sidecar = Sidecar::start(&scene, "");
    for test in [
        "it_becomes_another",
        "it_is_known_and_becomes_another",
        "it_is_known_and_another_reads",
    ] {
        let said = output(&mut as_process(test, &sidecar.socket));
        assert!(
            said.contains("HTTP/1.1 403") && said.contains("another program") && !said.contains("sha256"),
            "{test}: {said}"
        );
    }
}

/// Goes on as a shell that asks for `target` over the connection it was given.
fn become_another(stream: &UnixStream, target: &str) {
    let stream = stream.as_fd().try_clone_to_owned().unwrap();
    let ask = &format!(
        "printf 'GET {target} HTTP/1.1\\r\\nhost: unix\\r\\nconnection: close\\r\\n\\r\\n' >&0; cat"
    );
    let error = Command::new("sh").args(["-c", ask]).stdin(stream).exec();
    panic!("{error}");
}

#[test]
#[ignore = "a process of another test"]
fn it_becomes_another() {
    let mut client = Client::connect(&word()).unwrap();
    assert_eq!(client.request("GET", "/healthz", &[]).unwrap().status, 200);
    become_another(client.0.get_ref(), "/api/v1/whoami");
}

#[test]
#[ignore = "a process of another test"]
fn it_is_known_and_becomes_another() {
    let mut client = Client::connect(&word()).unwrap();
    let known = client.request("GET", "/api/v1/whoami", &[]).unwrap();
    assert_eq!(known.json()["kernel"]["pid"], std::process::id());
    become_another(client.0.get_ref(), "/api/v1/whoami");
}

#[test]
#[ignore = "a process of another test"]
fn it_is_known_and_another_reads() {
    let mut client = Client::connect(&word()).unwrap();
    assert_eq!(client.request("GET", "/api/v1/whoami", &[]).unwrap().status, 200);
    become_another(client.0.get_ref(), "/api/v1/secrets/web/token");
}

#[test]
fn a_client_that_is_not_seen_is_refused() {
    if !crate::root::can("make a pid namespace") {
        return;
    }
    let scene = Scene::with_token();
    let mut hidden = Command::new("unshare");
    hidden
        .args(["--pid", "--fork", "--kill-child", "--mount-proc"])
        .arg(command(&scene.settings("")).get_program())
        .arg("--settings")
        .arg(scene.settings(""));
    let sidecar = Sidecar::launch(hidden, scene.file("web/s.sock"));
    // this process is outside, and has no number inside
    let answer =
        until("it listens", || Client::connect(&sidecar.socket).ok()).request("GET", "/healthz", &[]);
    assert!(answer.is_err(), "{answer:?}");
    sidecar.logs("the client's process is not visible to the sidecar");
}

#[test]
fn the_uid_of_all_who_are_not_mapped_is_refused() {
    if !crate::root::can("become another user") {
        return;
    }
    use std::os::unix::fs::PermissionsExt as _;
    let open = |path: &Path| std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let scene = Scene::with_token();
    open(&scene.file(""));
    let sidecar = Sidecar::start(&scene, "mode = \"0666\"\nallow_uids = [0, 65534, 65533]");
    open(&scene.file("web"));
    let ask = |uid: u32| {
        let uid = uid.to_string();
        output(
            Command::new("setpriv")
                .args(["--reuid", &uid, "--regid", &uid, "--clear-groups"])
                .args([
                    "curl",
                    "-s",
                    "-o",
                    "/dev/null",
                    "-w",
                    "%{http_code}",
                    "--unix-socket",
                ])
                .arg(&sidecar.socket)
                .arg("http://localhost/healthz"),
        )
    };
    assert_eq!(ask(65533), "200");
    assert_eq!(ask(65534), "000");
    sidecar.logs("stands for every user");
}

/// A process that connects to `socket`, and lives until its input ends.
fn caller(socket: &Path) -> Child {
    as_process("it_calls", socket)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
#[ignore = "a process of another test"]
fn it_calls() {
    let mut stream = UnixStream::connect(word()).unwrap();
    stream.write_all(b"here").unwrap();
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

#[test]
fn a_number_that_another_process_has_by_now_is_not_taken_for_it() {
    if !crate::root::can("make a pid namespace") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut inside = as_process("numbers_come_back", &directory.path().join("s.sock"));
    let ended = Command::new("unshare")
        .args(["--pid", "--fork", "--kill-child", "--mount-proc"])
        .arg(inside.get_program())
        .args(inside.get_args())
        .envs(inside.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .output()
        .unwrap();
    inside.arg("");
    let said = String::from_utf8_lossy(&ended.stdout).into_owned() + &String::from_utf8_lossy(&ended.stderr);
    assert!(
        ended.status.success() && said.contains("the number came back"),
        "{said}"
    );
}

#[test]
#[ignore = "a process of another test, in a pid namespace of its own"]
fn numbers_come_back() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let attestor = Attestor::start(None).unwrap();
    let socket = word();
    let listener = UnixListener::bind(&socket).unwrap();
    let mut first = caller(&socket);
    let (mut stream, _) = listener.accept().unwrap();
    stream.read_exact(&mut [0; 4]).unwrap();
    stream.set_nonblocking(true).unwrap();
    let number = i32::try_from(first.id()).unwrap();
    let uid = rustix::process::geteuid().as_raw();

    // the same process, held in both ways
    let by_socket = runtime.block_on(async {
        let stream = tokio::net::UnixStream::from_std(stream.try_clone().unwrap()).unwrap();
        Peer::of(&stream, &attestor).unwrap()
    });
    assert_eq!((by_socket.pid, by_socket.uid), (number, uid));
    let hold = Hold::directory(number, uid).unwrap();
    let by_directory = Peer::held(uid, uid, number, hold, &attestor);
    let known = Peer::held(uid, uid, number, Hold::directory(number, uid).unwrap(), &attestor);
    let workload = runtime.block_on(known.workload()).unwrap();
    assert_eq!(workload.kernel.pid, Some(number));
    let process = Process::open(number).unwrap();
    assert!(by_socket.is_alive() && by_directory.is_alive() && process.is_alive());

    drop(first.stdin.take());
    first.wait().unwrap();
    runtime.block_on(async {
        let both = async { tokio::join!(by_socket.gone(), by_directory.gone()) };
        tokio::time::timeout(PATIENCE, both).await.unwrap();
    });

    // another process gets the number
    let second = until("the number comes back", || {
        std::fs::write("/proc/sys/kernel/ns_last_pid", (number - 1).to_string()).unwrap();
        let mut second = caller(&socket);
        if second.id() == number.cast_unsigned() {
            return Some(second);
        }
        drop(second.stdin.take());
        second.wait().unwrap();
        None
    });
    let (mut stream, _) = listener.accept().unwrap();
    stream.read_exact(&mut [0; 4]).unwrap();
    assert!(Process::open(number).unwrap().is_alive(), "somebody has it");

    assert!(!process.is_alive());
    let read = attest::kernel(&process, uid, uid, &Digests::default());
    assert_eq!(read.unwrap_err(), Lost::Ended);
    for peer in [&by_socket, &by_directory, &known] {
        assert!(!peer.is_alive());
        assert_eq!(peer.check(), Err(Lost::Ended));
    }
    for peer in [&by_socket, &by_directory] {
        let attested = runtime.block_on(peer.workload());
        assert_eq!(attested.unwrap_err(), NotAttested::Lost(Lost::Ended));
    }
    // a connection of the first one's that is only accepted now is not the second one's
    let late = runtime.block_on(async {
        let stream = stream_of_the_dead(&socket, &listener);
        Peer::of(&tokio::net::UnixStream::from_std(stream).unwrap(), &attestor)
    });
    assert!(matches!(late, Err(Unaccepted::Ended)), "{late:?}");
    drop(second);
    writeln!(std::io::stdout(), "the number came back").unwrap();
}

/// A connection that is accepted after its process was waited for.
fn stream_of_the_dead(socket: &Path, listener: &UnixListener) -> UnixStream {
    let mut caller = caller(socket);
    drop(caller.stdin.take());
    caller.wait().unwrap();
    listener.set_nonblocking(true).unwrap();
    // callers before it may still be in the queue
    let mut last = None;
    while let Ok((stream, _)) = listener.accept() {
        last = Some(stream);
    }
    let last = last.unwrap();
    last.set_nonblocking(true).unwrap();
    last
}

#[test]
fn an_engine_that_does_not_answer_takes_nothing_but_its_labels_away() {
    let scene = Scene::with_token();
    let engine = "[attestation]\nengine = \"unix:/nowhere/engine.sock\"";
    let sidecar = Sidecar::start(&scene, engine);
    // this process is in no container: the engine is not even asked
    let seen = get(&sidecar.socket, "/api/v1/whoami").unwrap().json();
    assert_eq!(seen["kernel"]["pid"], std::process::id());
    assert!(seen["engine"].is_null() && seen["kernel"]["container"].is_null());
    assert_eq!(sidecar.secret("web/token"), "one");
}

#[test]
fn as_many_groups_as_a_process_may_have_are_read_whole() {
    if !crate::root::can("become another user") {
        return;
    }
    // seven bytes each in /proc/PID/status; a cut in the middle of one would be another group
    let groups: Vec<_> = (100_000..115_000).collect();
    let list: Vec<_> = groups.iter().map(u32::to_string).collect();
    let mut child = Command::new("setpriv")
        .args(["--groups", &list.join(","), "sleep", "60"])
        .spawn()
        .unwrap();
    let process = Process::open(i32::try_from(child.id()).unwrap()).unwrap();
    until("it has its groups", || {
        let read = process.groups().unwrap();
        (read == groups).then_some(())
    });
    child.kill().unwrap();
    child.wait().unwrap();
}
