//! Names: nothing panics, nothing is normalised, and what is accepted keeps the grammar.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_core::name::{CompartmentName, EntryPath, EnvironmentName, FlagKey, MemberName};

fuzz_target!(|text: &str| {
    if let Ok(path) = EntryPath::new(text) {
        assert_eq!(path.as_str(), text);
        assert!(text.len() <= 512);
        for segment in text.split('/') {
            assert!((1..=128).contains(&segment.len()));
            assert!(segment != "." && !segment.starts_with(".."));
            assert!(
                segment
                    .chars()
                    .all(|char| char.is_alphanumeric() || "-_.@:+=~".contains(char))
            );
            assert!(FlagKey::new(segment).is_ok());
        }
        assert!(path.is_under(&path));
    }
    if let Ok(name) = EnvironmentName::new(text) {
        assert_eq!(name.as_str(), text);
        assert!(CompartmentName::new(text).is_ok());
        assert!(
            EntryPath::new(text).is_ok(),
            "every environment's name is also a path"
        );
    }
    if let Ok(name) = MemberName::new(text) {
        assert_eq!(name.as_str(), text);
        assert!(text.is_ascii());
    }
});
