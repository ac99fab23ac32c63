//! What an evaluation allocates: nothing for a flag without rule, for one that compares, and for one that splits users.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod vault_kit;

use serde_json::{Value, json};
use strongroom_core::config::Format;
use strongroom_core::flag::Context;
use strongroom_core::snapshot::Kind;
use vault_kit::*;

#[test]
fn the_usual_rules_allocate_nothing() {
    let world = World::new();
    let flag = |rule: Value| json!({"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off", "targeting": rule});
    let rules = [
        json!({}),
        json!({"if": [{"==": [{"var": "email"}, "ada@example.org"]}, "on", "off"]}),
        json!({"if": [{"and": [{"ends_with": [{"var": "email"}, "org"]}, {">": [{"var": "age"}, 18]}]}, "on"]}),
        json!({"fractional": [["on", 50], ["off", 50]]}),
        json!({"in": [{"var": "email"}, ["x", "y"]]}),
    ];
    let edits = rules.iter().enumerate().map(|(at, rule)| {
        let definition = flag(if at == 4 {
            json!({"if": [rule, "on"]})
        } else {
            rule.clone()
        });
        put(
            "prod",
            &format!("flag-{at}"),
            Kind::Flag,
            Format::Text,
            definition.to_string().as_bytes(),
        )
    });
    world.commit(edits.collect()).unwrap();
    let flags = world.vault.flags(&env("prod")).unwrap();
    let context = json!({"targetingKey": "user-1", "email": "ada@example.org", "age": 36});
    let context: Context = serde_json::from_value(context).unwrap();
    #[allow(clippy::needless_range_loop)]
    for at in 0..rules.len() {
        let key = format!("flag-{at}");
        let compiled = flags.bool(&key, &context).unwrap();
        assert!(compiled.is_some());
        let measured = allocation_counter::measure(|| {
            assert_eq!(flags.bool(&key, &context).unwrap(), compiled);
        });
        assert_eq!(measured.count_total, 0, "{}", rules[at]);
    }
    // It counts at all.
    let text = allocation_counter::measure(|| drop(flags.revision().to_string()));
    assert!(text.count_total > 0);
}
