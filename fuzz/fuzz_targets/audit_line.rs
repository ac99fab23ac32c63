//! A line of an audit log: nothing panics, and what is accepted is JSON that says the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_core::audit::{Body, Line, Verifier};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(line) = Line::parse(bytes) {
        let value: serde_json::Value = serde_json::from_slice(bytes).expect("a line is JSON");
        assert_eq!(value["seq"], line.seq);
        assert_eq!(value["time"], line.time);
        if let Body::Record(record) = line.body {
            assert_eq!(value["action"], record.action.get().as_ref());
            let policies = value["policies"].as_array().map_or(0, Vec::len);
            assert_eq!(record.policies().count(), policies);
        }
    }
    let mut verifier = Verifier::default();
    verifier.file("audit-0000000000000001.jsonl", 1);
    bytes.split(|byte| *byte == b'\n').for_each(|line| verifier.line(line));
    let _ = verifier.finish();
});
