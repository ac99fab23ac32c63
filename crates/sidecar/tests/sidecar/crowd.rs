//! Many streams of flags at once, of both protocols: each is told of a change and of the end, evaluations are answered
//! meanwhile, and a stream costs little.

use rustix::process::{Resource, Signal};
use serde_json::json;
use strongroom_core::kind::Kind;

use crate::hostile::own_memory;
use crate::http::Events;
use crate::process::{Sidecar, until};
use crate::rpc::Stream;
use crate::scene::{Scene, put};

/// Streams of each protocol.
const EACH: usize = 2500;
/// What one may take of the sidecar's memory, in KiB: two buffers of a connection, and who it is.
const KIB: u64 = 24;

/// Lets this process have as many descriptors as streams take.
fn descriptors() {
    let mut limit = rustix::process::getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX);
    assert!(
        most >= 6000,
        "this test takes 6000 descriptors, and may have {most}: raise the hard limit (ulimit -Hn)"
    );
    limit.current = limit.maximum;
    rustix::process::setrlimit(Resource::Nofile, limit).unwrap();
}

#[test]
fn five_thousand_streams_are_told_of_a_change_and_of_the_end() {
    descriptors();
    let scene = Scene::new();
    let flag = |number: u32| {
        let text =
            json!({"state": "ENABLED", "variants": {"few": number}, "defaultVariant": "few"}).to_string();
        scene.commit(vec![put("prod", "count", Kind::Flag, text.as_bytes())])
    };
    flag(1);
    let sidecar = Sidecar::start(&scene, "");
    let before = own_memory(&sidecar);
    let mut events: Vec<Events> = (0..EACH)
        .map(|_| Events::open(&sidecar.socket, "/ofrep/v1/events", &[]))
        .collect();
    let mut streams: Vec<Stream> = (0..EACH)
        .map(|number| {
            let method = format!("evaluation.v{}.Service/EventStream", 1 + number % 2);
            let mut stream = Stream::open(&sidecar, &method, &json!({}));
            assert_eq!(stream.next().unwrap(), json!({"type": "provider_ready"}));
            stream
        })
        .collect();
    until("all are counted", || {
        (sidecar.status()["watchers"] == 2 * EACH).then_some(())
    });
    let grown = own_memory(&sidecar).saturating_sub(before);
    let most = KIB * 2 * EACH as u64;
    assert!(grown < most, "{grown} KiB more, of {most}");

    let changed = flag(2);
    for stream in &mut events {
        assert_eq!(stream.next().unwrap().id, Some(changed));
    }
    for stream in &mut streams {
        let told = stream.next().unwrap();
        assert_eq!(told["data"], json!({"flags": {"count": {"type": "update"}}}));
    }
    let answer = crate::ofrep::evaluate(&sidecar, "count", json!({}));
    assert_eq!(answer.json()["value"], 2);

    rustix::process::kill_process(sidecar.pid(), Signal::TERM).unwrap();
    for stream in &mut events {
        assert!(stream.next().is_none());
    }
    for stream in &mut streams {
        assert_eq!(stream.next().unwrap(), json!({"type": "provider_shutdown"}));
        assert_eq!(stream.next().unwrap()["error"]["code"], "unavailable");
    }
}
