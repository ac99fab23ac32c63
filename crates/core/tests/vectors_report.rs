//! The frozen bytes of reports: verified and opened as they stand, and made again.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::sync::Mutex;

use serde_json::Value;
use strongroom_core::ambient::{Entropy, EntropyError, Timestamp};
use strongroom_core::crypto::seal::{Context, Kek, Purpose, open, seal};
use strongroom_core::crypto::sign::SigningKey;
use strongroom_core::id::{CompartmentId, MemberId, StoreId, Term};
use strongroom_core::uptake::{Consumer, ConsumerKind, Presence, Report, decode};

fn bytes(value: &Value) -> Vec<u8> {
    let hex = value.as_str().unwrap();
    (0..hex.len() / 2)
        .map(|at| u8::from_str_radix(&hex[2 * at..][..2], 16).unwrap())
        .collect()
}

fn array<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value).try_into().unwrap()
}

struct Fixed(Mutex<Vec<u8>>);

impl Fixed {
    fn new(value: &Value) -> Self {
        Self(Mutex::new(bytes(value)))
    }
}

impl Entropy for Fixed {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        out.copy_from_slice(&self.0.lock().unwrap()[..out.len()]);
        Ok(())
    }
}

#[test]
fn reports_of_format_1() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/report-v1.json");
    let all: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let key = SigningKey::generate(&Fixed::new(&all["signing_seed"])).unwrap();
    assert_eq!(key.verify_key().0, array(&all["verify_key"]));
    let kek = Kek::generate(&Fixed::new(&all["kek"])).unwrap();
    let term = Term(u32::try_from(all["term"].as_u64().unwrap()).unwrap());
    let context = Context {
        store: StoreId(array(&all["store"])),
        purpose: Purpose::Report,
        compartment: CompartmentId(array(&all["compartment"])),
        subject: array(&all["place"]),
        version: 0,
        kind: 0,
    };
    let kinds = [ConsumerKind::Socket, ConsumerKind::Files, ConsumerKind::Sidecar];
    let cases = all["reports"].as_array().unwrap();
    assert_eq!(cases.len(), kinds.len());
    for (case, kind) in cases.iter().zip(kinds) {
        let name = &case["name"];
        let (report, signature) = decode(&bytes(&case["bytes"])).unwrap();
        report.verify(&key.verify_key(), &signature).unwrap();
        let plaintext = bytes(&case["plaintext"]);
        let opened = open(&kek, &context, &report.body).unwrap();
        assert!(opened.expose(|opened| opened == plaintext), "{name}");
        let consumer = Consumer::decode(&plaintext).unwrap();
        assert_eq!(consumer.kind, kind, "{name}");
        assert_eq!(consumer.host, "web-1", "{name}");
        let is_sidecar = kind == ConsumerKind::Sidecar;
        assert_eq!(consumer.presence == Presence::Ended, is_sidecar, "{name}");

        let again = Report {
            store: context.store,
            author: MemberId(array(&all["author"])),
            place: context.subject,
            counter: case["counter"].as_u64().unwrap(),
            time: Timestamp(case["time"].as_u64().unwrap()),
            body: seal(
                &kek,
                term,
                &context,
                &consumer.encode(),
                &Fixed::new(&all["entropy"]),
            )
            .unwrap(),
        };
        assert_eq!(again, report, "{name}");
        assert_eq!(again.sign(&key), bytes(&case["bytes"]), "{name}");
        for length in 0..bytes(&case["bytes"]).len() {
            assert!(decode(&bytes(&case["bytes"])[..length]).is_err(), "{name}");
        }
    }
}
