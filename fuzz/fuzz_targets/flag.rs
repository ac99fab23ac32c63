//! Flags, which any writer commits, and contexts, which any client sends: nothing panics, hangs or needs more stack
//! than there is, what is told of a flag ends, and the same context gives the same variant.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_core::flag::{Context, Definition, Document, Flag, Set, explain, lint};

fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.split(|byte| *byte == 0);
    let (definition, set, context) = (parts.next(), parts.next(), parts.next());
    let _ = Document::parse(bytes).map(|document| document.compile().count());
    let set = Set::parse(set.unwrap_or_default()).unwrap_or_default();
    let Ok(definition) = Definition::parse(definition.unwrap_or_default()) else { return };
    let context: Context = serde_json::from_slice(context.unwrap_or_default()).unwrap_or_default();
    let flag = Flag::compile("flag", definition.clone(), &set);
    let first = flag.evaluate(&context, 1);
    assert_eq!(first, flag.evaluate(&context, 1));
    if let Ok(found) = first {
        let types = [found.bool().is_ok(), found.string().is_ok(), found.float().is_ok(), found.json().is_ok()];
        assert!(found.chosen.is_none() || types.iter().filter(|is| **is).count() == 1);
    }
    let _ = lint("flag", &definition, &set, 1);
    let _ = explain("flag", &definition, &set, &context, 1);
});
