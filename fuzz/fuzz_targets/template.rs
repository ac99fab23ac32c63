//! Templates, which any writer of config commits: parsing and rendering neither panics nor hangs nor needs more stack
//! or memory than there is, and no error holds a value.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use strongroom_core::config::{Delivered, deliver};
use strongroom_core::flag::{Flag, Set};
use strongroom_core::name::EntryPath;
use strongroom_core::secret::Secret;
use strongroom_core::template::{Source, Template, Unavailable};

/// In every value.
const CANARY: &str = "canary7f3a";

struct Values;

impl Source for Values {
    fn secret(&self, path: &EntryPath) -> Result<Secret, Unavailable> {
        match path.as_str() {
            "s" => Ok(Secret::new(CANARY.into())),
            _ => Err(Unavailable::Missing),
        }
    }

    fn config(&self, path: &EntryPath) -> Result<Value, Unavailable> {
        match path.as_str() {
            "a" => Ok(json!({ "pool": { "size": 20, CANARY: 0.5 }, "hosts": [CANARY, null], "x": u64::MAX })),
            _ => Err(Unavailable::Missing),
        }
    }

    fn flag(&self, key: &EntryPath) -> Result<Flag, Unavailable> {
        let definition = br#"{"state":"ENABLED","variants":{"canary7f3a":[true,"canary7f3a"],"off":{}},
            "defaultVariant":"off","targeting":{"if":[{"in":["a",{"var":"user"}]},"canary7f3a"]}}"#;
        Flag::parse(key.as_str(), definition, &Set::default()).map_err(|error| Unavailable::Flag(error.to_string()))
    }

    fn now(&self) -> u64 {
        0
    }
}

fuzz_target!(|bytes: &[u8]| {
    for format in [
        Delivered::Toml,
        Delivered::Yaml,
        Delivered::Dotenv,
        Delivered::Properties,
    ] {
        let document = serde_json::from_slice::<Value>(bytes);
        let _ = document.map(|document| deliver(format, &document).map(drop));
    }
    let written = bytes.windows(CANARY.len()).any(|part| part == CANARY.as_bytes());
    // on what a thread of the standard library has, whatever the fuzzer's own has
    let said = std::thread::scope(|scope| {
        let run = || match Template::parse("t", bytes) {
            Ok(template) => template.render(Arc::new(Values)).err(),
            Err(error) => Some(error),
        };
        let thread = std::thread::Builder::new().stack_size(2 << 20);
        let thread = thread.spawn_scoped(scope, run).expect("a thread");
        thread.join().expect("no panic")
    });
    if let Some(error) = said {
        assert!(written || !format!("{error} {error:?}").contains(CANARY));
    }
});
