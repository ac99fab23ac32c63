//! Any bytes on the socket: no panic, the connection ends when its client has, what is answered
//! is HTTP, and a stranger never gets a value.
#![no_main]

use std::cell::OnceCell;
use std::sync::Arc;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use strongroom_core::Vault;
use strongroom_core::attest::Process;
use strongroom_core::ambient::Ambient;
use strongroom_core::config::Format;
use strongroom_core::crypto::identity::Identity;
use strongroom_core::kind::Kind;
use strongroom_core::name::{EntryPath, EnvironmentName, MemberName};
use strongroom_core::secret::Secret;
use strongroom_core::store::MemoryStore;
use strongroom_core::vault::{Change, Edit, Expect, Put};
use strongroom_sidecar::caller::Caller;
use strongroom_sidecar::grant::Gate;
use strongroom_sidecar::peer::{Attestor, Hold, Peer};
use strongroom_sidecar::serve::feed::Feed;
use strongroom_sidecar::serve::{Protocol, Rpc, Service, connection};
use strongroom_sidecar::settings::Limits;
use strongroom_sidecar::state::{Rules, State};
use strongroom_sidecar::worker::{Connection, Watched};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};

const CANARY: &str = "canary-7d1b0c5e";
const FRIEND: u32 = 1000;
const STRANGER: u32 = 1001;

struct Scene {
    runtime: Runtime,
    state: Arc<State>,
    attestor: Arc<Attestor>,
    rpc: Rpc,
}

thread_local! {
    static SCENE: OnceCell<Scene> = const { OnceCell::new() };
}

fn scene() -> Scene {
    let ambient = Ambient::system();
    let identity = Arc::new(Identity::generate(&ambient).expect("an identity"));
    let prod = EnvironmentName::new("prod").expect("a name");
    let store = Arc::new(MemoryStore::new());
    let admin = MemberName::new("alice").expect("a name");
    let vault = Vault::create(store, &admin, identity, ambient).expect("a store");
    let put = |path: &str, kind, format, value: &str| {
        Edit::Put(Put {
            environment: prod.clone(),
            path: EntryPath::new(path).expect("a path"),
            kind,
            value: Secret::new(value.as_bytes().to_vec()),
            format,
            labels: None,
            compartment: None,
            expect: Expect::Any,
        })
    };
    let flag = format!(r#"{{"state":"ENABLED","variants":{{"on":"{CANARY}"}},"defaultVariant":"on"}}"#);
    for edits in [
        vec![Edit::AddEnvironment {
            name: prod.clone(),
            parent: None,
            compartment: None,
        }],
        vec![
            put("web/token", Kind::Secret, Format::Text, CANARY),
            put(
                "web/settings",
                Kind::Config,
                Format::Toml,
                &format!("key = \"{CANARY}\"\n"),
            ),
            put("new-page", Kind::Flag, Format::Json, &flag),
        ],
        vec![put(
            "web/token",
            Kind::Secret,
            Format::Text,
            &format!("{CANARY} again"),
        )],
    ] {
        let message = String::new();
        vault.commit(&Change { message, edits }).expect("a commit");
    }
    let rules = Rules {
        allow_uids: vec![FRIEND],
        limits: Limits::default(),
    };
    Scene {
        runtime: Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime"),
        state: Arc::new(
            State::new(Arc::new(vault), prod, Arc::default(), rules, Gate::default(), Ambient::system()).expect("policies"),
        ),
        attestor: Attestor::start(None).expect("a thread"),
        rpc: Rpc::default(),
    }
}

impl Scene {
    /// What a client of `uid` gets that sends `bytes` and closes its end when there is
    /// nothing more to read.
    fn ask(&self, uid: u32, protocol: Protocol, bytes: &[u8]) -> Vec<u8> {
        let connected = Connection::new(Arc::default(), Some(uid));
        let pid = i32::try_from(std::process::id()).expect("a process id");
        let hold = Hold::Directory(Process::open(pid).expect("this process"));
        let peer = Peer::held(uid, uid, pid, hold, &self.attestor);
        // by another thread: a paused clock would not wait for it
        let _ = self.runtime.block_on(peer.workload());
        let feed = Feed::new(self.state.current().snapshot.revision().0, false);
        let (state, tally) = (Arc::clone(&self.state), Arc::default());
        let service = Service::new(state, feed, tally, Caller::Process(peer), Arc::clone(&connected), self.rpc.clone());
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        let limit = Limits::default().header_bytes;
        let serve = async { drop(connection(Watched::new(theirs, connected), protocol, service, limit).await) };
        let client = async {
            let (mut reading, mut writing) = tokio::io::split(ours);
            let mut answer = Vec::new();
            // the server may have hung up on us already
            let send = async { writing.write_all(bytes).await.is_ok() };
            // the clock is paused: it moves on when nobody has anything to do
            let pause = Duration::from_secs(1);
            let read = tokio::time::timeout(pause, reading.read_to_end(&mut answer));
            let _ = tokio::join!(read, send);
            // hyper drops what is unanswered when its client closes, hence only now
            let _ = writing.shutdown().await;
            reading.read_to_end(&mut answer).await.expect("a pipe in memory");
            answer
        };
        let both = async { tokio::join!(serve, client) };
        let within = async { tokio::time::timeout(Duration::from_secs(20), both).await };
        let ((), answer) = self.runtime.block_on(within).expect("the connection ends");
        answer
    }
}

fn holds(answer: &[u8], text: &str) -> bool {
    answer.windows(text.len()).any(|part| part == text.as_bytes())
}

fuzz_target!(
    init: {
        // the sentinel of the oracle below: a friend does get the value
        let scene = scene();
        let request = b"GET /api/v1/secrets/web/token HTTP/1.1\r\nhost: localhost\r\n\r\n";
        assert!(holds(&scene.ask(FRIEND, Protocol::Http1, request), CANARY));
    },
    |bytes: &[u8]| {
        let protocol = if bytes.starts_with(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") {
            Protocol::Http2
        } else {
            Protocol::Http1
        };
        SCENE.with(|cell| {
            let scene = cell.get_or_init(scene);
            let answer = scene.ask(FRIEND, protocol, bytes);
            if protocol == Protocol::Http1 && !answer.is_empty() {
                assert!(answer.starts_with(b"HTTP/1."), "the answer is not HTTP");
            }
            let denied = scene.ask(STRANGER, protocol, bytes);
            assert!(!holds(&denied, CANARY), "a stranger got a value");
            assert!(!holds(&denied, " 200 "), "a stranger was let in");
        });
    }
);
