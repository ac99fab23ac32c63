//! The frozen bytes of sealed records and key files: read as they stand, and made again.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use strongroom_core::ambient::{Ambient, Clock, Entropy, EntropyError, Timestamp};
use strongroom_core::crypto::identity::Identity;
use strongroom_core::crypto::keyring::unwrap;
use strongroom_core::crypto::seal::{Context, Kek, Purpose, open, rewrap, seal, term_of};
use strongroom_core::id::{CompartmentId, Hash, StoreId, Term};

fn vectors(name: &str) -> Value {
    let path = format!("{}/../../tests/vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    let hex = value.as_str().unwrap();
    (0..hex.len() / 2)
        .map(|at| u8::from_str_radix(&hex[2 * at..][..2], 16).unwrap())
        .collect()
}

fn array<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value).try_into().unwrap()
}

fn number<T: TryFrom<u64>>(value: &Value) -> T {
    T::try_from(value.as_u64().unwrap()).unwrap_or_else(|_| panic!("{value} is out of range"))
}

/// Gives exactly these bytes as randomness, in one draw.
struct Fixed(Mutex<Vec<u8>>);

impl Fixed {
    fn new(value: &Value) -> Self {
        Self(Mutex::new(bytes(value)))
    }
}

impl Entropy for Fixed {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        out.copy_from_slice(&std::mem::take(&mut *self.0.lock().unwrap()));
        Ok(())
    }
}

fn kek(value: &Value) -> Kek {
    Kek::generate(&Fixed::new(value)).unwrap()
}

fn context(value: &Value) -> Context {
    Context {
        store: StoreId(array(&value["store"])),
        purpose: match number::<u8>(&value["purpose"]) {
            1 => Purpose::Meta,
            2 => Purpose::Value,
            3 => Purpose::Name,
            4 => Purpose::Message,
            other => panic!("no purpose {other}"),
        },
        compartment: CompartmentId(array(&value["compartment"])),
        subject: array(&value["subject"]),
        version: number(&value["version"]),
        kind: number(&value["kind"]),
    }
}

#[test]
fn records_of_format_1() {
    let vectors = vectors("record-v1.json");
    let records = vectors["records"].as_array().unwrap();
    assert_eq!(records.len(), 6);
    for record in records {
        let name = &record["name"];
        let (key, context) = (kek(&record["kek"]), context(&record["context"]));
        let (term, blob, plaintext) = (
            Term(number(&record["term"])),
            bytes(&record["record"]),
            bytes(&record["plaintext"]),
        );

        assert_eq!(term_of(&blob), Ok(term), "{name}");
        assert_eq!(
            Hash::of(&blob).to_string(),
            record["sha256"].as_str().unwrap(),
            "{name}"
        );
        assert!(
            open(&key, &context, &blob)
                .unwrap()
                .expose(|opened| opened == plaintext),
            "{name}"
        );
        let sealed = seal(&key, term, &context, &plaintext, &Fixed::new(&record["entropy"])).unwrap();
        assert_eq!(sealed, blob, "{name}");

        let next = &record["rewrap"];
        let (new, entropy) = (kek(&next["kek"]), Fixed::new(&next["entropy"]));
        let rewrapped = rewrap(&key, &new, Term(number(&next["term"])), &context, &blob, &entropy).unwrap();
        assert_eq!(rewrapped, bytes(&next["record"]), "{name}");
        assert!(
            open(&new, &context, &rewrapped)
                .unwrap()
                .expose(|opened| opened == plaintext),
            "{name}"
        );
    }
}

/// Gives these bytes as randomness, draw by draw.
struct Stream(Mutex<std::vec::IntoIter<u8>>);

impl Entropy for Stream {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        let mut stream = self.0.lock().unwrap();
        out.iter_mut().for_each(|byte| *byte = stream.next().unwrap());
        Ok(())
    }
}

struct Midnight;

impl Clock for Midnight {
    fn now(&self) -> Timestamp {
        Timestamp(0)
    }
}

#[test]
fn identities_and_a_key_file_of_format_1() {
    let vectors = vectors("key-file-v1.json");
    let key = kek(&vectors["kek"]);
    let context = context(&json!({
        "store": "00".repeat(16), "purpose": 2, "compartment": "00".repeat(16),
        "subject": "00".repeat(16), "version": 1, "kind": 1
    }));
    let blob = seal(&key, Term(1), &context, b"s3cret", Ambient::system().entropy()).unwrap();
    let identities = vectors["identities"].as_array().unwrap();
    assert_eq!(identities.len(), 2);
    for vector in identities {
        let text = vector["text"].as_str().unwrap();
        let identity = Identity::from_text(text.as_bytes()).unwrap();
        assert_eq!(identity.public().to_string(), vector["public"].as_str().unwrap());
        let stream = Stream(Mutex::new(bytes(&vector["entropy"]).into_iter()));
        let generated = Identity::generate(&Ambient::new(Arc::new(Midnight), Arc::new(stream))).unwrap();
        assert_eq!(generated.public(), identity.public());
        assert!(
            generated
                .to_text()
                .expose(|written| written.ends_with(text.as_bytes()))
        );

        let opened = unwrap(&bytes(&vectors["file"]), &identity).unwrap();
        assert!(open(&opened, &context, &blob).is_ok());
    }
}
