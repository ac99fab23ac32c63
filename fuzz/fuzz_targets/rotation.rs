//! What a rotation goes by: records are read as exactly what is written of them, and no text of a plan,
//! a generator or a time panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_core::rotation::Running;
use strongroom_core::rotation::generate::Generator;
use strongroom_core::rotation::plan::{Plan, duration};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(running) = Running::decode(bytes) {
        assert_eq!(running.encode(), bytes);
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Err(problems) = text.parse::<Plan>() {
        assert!(!problems.0.is_empty(), "a plan is refused for nothing");
    }
    let _ = text.parse::<Generator>();
    let _ = duration(text);
});
