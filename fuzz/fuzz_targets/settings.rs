//! The sidecar's settings file: nothing panics, reading it twice says the same, and what is valid
//! differs from itself in nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_sidecar::settings::{LONGEST_SOCKET_PATH, Settings};

fuzz_target!(|text: &str| {
    let once = Settings::parse(text);
    match (&once, Settings::parse(text)) {
        (Ok(settings), Ok(again)) => {
            assert!(*settings == again && settings.needs_restart(&again).is_empty());
            assert!(settings.socket.path.as_os_str().len() <= LONGEST_SOCKET_PATH);
            assert!(settings.with_reloadable_of(again) == *settings);
        }
        (Err(problems), Err(again)) => {
            assert_eq!(problems.to_string(), again.to_string());
            assert!(!problems.to_string().is_empty());
        }
        _ => panic!("valid once and not again"),
    }
});
