//! Feature flags: flagd's algorithm, every operator with its odd inputs, both ways to split users, and what is
//! refused, through the public face.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use serde_json::{Value, json};
use strongroom_core::flag::{
    Bucketing, Code, Context, Definition, Document, Flag, FlagError, Joined, Reason, Rollout, RolloutError,
    Set, Step, explain, lint,
};

const NOW: u64 = 1_700_000_000;

fn context(value: Value) -> Context {
    let Value::Object(context) = value else {
        panic!("a context is an object");
    };
    context
}

fn flag_in(set: &Set, rule: &Value) -> Flag {
    let flag = json!({
        "state": "ENABLED",
        "variants": {"true": "t", "false": "f", "a": "A", "b": "B", "": "empty", "1": "one", "0.5": "half"},
        "defaultVariant": "a",
        "targeting": rule,
    });
    Flag::parse("flag", flag.to_string().as_bytes(), set).unwrap()
}

fn flag(rule: &Value) -> Flag {
    flag_in(&Set::default(), rule)
}

/// Whether `rule` gives `text` when it is written by `cat`.
fn gives(rule: &Value, data: &Value, text: &str) -> bool {
    let definition = json!({
        "state": "ENABLED",
        "variants": {format!("<{text}>"): true},
        "targeting": {"cat": ["<", rule, ">"]},
    });
    let flag = Flag::parse("flag", definition.to_string().as_bytes(), &Set::default()).unwrap();
    flag.evaluate(&context(data.clone()), NOW).is_ok()
}

#[test]
fn operators_give_what_they_should() {
    let data = json!({
        "n": 5, "f": 1.5, "s": "abc", "t": true, "null": null, "list": [1, 2, 3], "none": [], "obj": {"a": {"b": 1}},
        "words": ["x", "y"], "people": [{"age": 10}, {"age": 20}], "text": "5", "deep": [[1, 2], [3]], "ü": "ö",
    });
    for (rule, text) in [
        // var
        (json!({"var": "n"}), "5"),
        (json!({"var": ["obj.a.b"]}), "1"),
        (json!({"var": "list.1"}), "2"),
        (json!({"var": "list.01"}), ""),
        (json!({"var": "list.9"}), ""),
        (json!({"var": ["gone", "else"]}), "else"),
        (json!({"var": ["null", "else"]}), "else"),
        (json!({"var": ["gone", {"var": "s"}]}), "abc"),
        (json!({"var": {"cat": ["o", "bj.a.b"]}}), "1"),
        (json!({"var": "ü"}), "ö"),
        (json!({"var": "$flagd.flagKey"}), "flag"),
        (json!({"var": "$flagd.timestamp"}), "1700000000"),
        (json!({"var": "s.length"}), ""),
        // truth
        (json!({"!": [""]}), "true"),
        (json!({"!": ["0"]}), "false"),
        (json!({"!!": [0]}), "false"),
        (json!({"!!": [[]]}), "false"),
        (json!({"!!": {"var": "obj"}}), "true"),
        (json!({"!!": [{}]}), "false"),
        (json!({"!": {"var": "gone"}}), "true"),
        // if, and, or
        (json!({"if": [false, 1, false, 2]}), ""),
        (json!({"if": [false, 1, true, 2, 3]}), "2"),
        (json!({"if": [false, 1, false, 2, 3]}), "3"),
        (json!({"if": [7]}), "7"),
        (json!({"if": []}), ""),
        (json!({"?:": [true, "y", "n"]}), "y"),
        (json!({"and": [1, 0, 2]}), "0"),
        (json!({"and": [1, 2]}), "2"),
        (json!({"or": [0, "", 3, 4]}), "3"),
        (json!({"or": []}), ""),
        // equality
        (json!({"==": [1, "1"]}), "true"),
        (json!({"==": [1, " 1 "]}), "true"),
        (json!({"==": [1, true]}), "true"),
        (json!({"==": ["", 0]}), "true"),
        (json!({"==": [null, 0]}), "false"),
        (json!({"==": [null, {"var": "gone"}]}), "true"),
        (json!({"==": ["abc", 0]}), "false"),
        (json!({"==": [[1], 1]}), "false"),
        (json!({"==": ["inf", "x"]}), "false"),
        (json!({"!=": [1, 2]}), "true"),
        (json!({"===": [1, 1.0]}), "true"),
        (json!({"===": [1, "1"]}), "false"),
        (json!({"===": [null, null]}), "true"),
        (json!({"!==": [1, "1"]}), "true"),
        (json!({"==": [1]}), "false"),
        // order
        (json!({"<": ["abc", "abd"]}), "true"),
        (json!({"<": ["10", "9"]}), "true"),
        (json!({"<": ["10", 9]}), "false"),
        (json!({"<": [null, 5]}), "true"),
        (json!({"<=": [null, 0]}), "true"),
        (json!({">": ["x", 1]}), "false"),
        (json!({"<": [1, 2, 3]}), "true"),
        (json!({"<": [1, 3, 2]}), "false"),
        (json!({">=": [3, 3, 1]}), "true"),
        (json!({">": [{"var": "n"}, 4]}), "true"),
        // arithmetic
        (json!({"+": [1, "2", true, null]}), "4"),
        (json!({"+": "3.5"}), "3.5"),
        (json!({"+": {"var": "list"}}), "6"),
        (json!({"-": [5]}), "-5"),
        (json!({"-": [5, 2]}), "3"),
        (json!({"*": [2, 3, 4]}), "24"),
        (json!({"/": [1, 4]}), "0.25"),
        (json!({"%": [-7, 3]}), "-1"),
        (json!({"%": [5.5, 2]}), "1.5"),
        (json!({"/": [1, 0]}), "Infinity"),
        (json!({"+": ["x"]}), "NaN"),
        (json!({"min": [3, 1, 2]}), "1"),
        (json!({"max": {"var": "list"}}), "3"),
        (json!({"max": []}), ""),
        (json!({"+": ["0x10", "0b11"]}), "19"),
        (json!({"*": [1e21, 1]}), "1e+21"),
        (
            json!({"*": [123_456_789_012_345_680_000.0, 1]}),
            "123456789012345680000",
        ),
        (json!({"/": [1, 10_000_000]}), "1e-7"),
        (json!({"+": [0.1, 0.2]}), "0.30000000000000004"),
        // texts
        (
            json!({"cat": ["a", null, 1, 1.0, true, [1, [2, "x"]], {"var": "obj"}]}),
            "a11true1,2,x[object Object]",
        ),
        (json!({"cat": "one"}), "one"),
        (json!({"substr": ["jsonlogic", 4]}), "logic"),
        (json!({"substr": ["jsonlogic", -5]}), "logic"),
        (json!({"substr": ["jsonlogic", 1, 3]}), "son"),
        (json!({"substr": ["jsonlogic", 4, -2]}), "log"),
        (json!({"substr": ["äöü", 1, 1]}), "ö"),
        (json!({"substr": ["abc", -9]}), "abc"),
        (json!({"substr": ["abc", 9]}), ""),
        (json!({"substr": ["abc", 0, -9]}), ""),
        (json!({"substr": ["abc", 1e300, 1e300]}), ""),
        (json!({"in": ["bc", {"var": "s"}]}), "true"),
        (json!({"in": [1, "a1"]}), "true"),
        (json!({"in": [null, "abc"]}), "false"),
        (json!({"in": ["1", [1]]}), "false"),
        (json!({"in": [1.0, [1]]}), "true"),
        (json!({"in": ["x", {"var": "words"}]}), "true"),
        (json!({"in": ["x", {"var": "gone"}]}), "false"),
        (json!({"starts_with": ["abc", "ab"]}), "true"),
        (json!({"ends_with": ["abc", "ab"]}), "false"),
        (json!({"starts_with": [1, "1"]}), ""),
        (json!({"starts_with": ["abc"]}), ""),
        // lists
        (json!({"merge": [[1, 2], 3, [[4]]]}), "1,2,3,4"),
        (json!({"map": [{"var": "people"}, {"var": "age"}]}), "10,20"),
        (
            json!({"filter": [{"var": "list"}, {">": [{"var": ""}, 1]}]}),
            "2,3",
        ),
        (json!({"map": [{"var": "gone"}, {"var": ""}]}), ""),
        (
            json!({"reduce": [{"var": "list"}, {"+": [{"var": "current"}, {"var": "accumulator"}]}, 10]}),
            "16",
        ),
        (json!({"reduce": [{"var": "gone"}, {"var": "current"}, 7]}), "7"),
        (json!({"all": [{"var": "list"}, {">": [{"var": ""}, 0]}]}), "true"),
        (json!({"all": [[], true]}), "false"),
        (
            json!({"some": [{"var": "people"}, {"==": [{"var": "age"}, 20]}]}),
            "true",
        ),
        (
            json!({"none": [{"var": "list"}, {"==": [{"var": ""}, 9]}]}),
            "true",
        ),
        (json!({"missing": ["n", "gone", "none"]}), "gone"),
        (json!({"missing": {"merge": ["n", "gone"]}}), "gone"),
        (json!({"missing_some": [1, ["n", "gone"]]}), ""),
        (json!({"missing_some": [2, ["n", "gone", "lost"]]}), "gone,lost"),
        // versions
        (json!({"sem_ver": ["1.2.3", ">", "1.2.3-rc.1"]}), "true"),
        (json!({"sem_ver": ["v1", "=", "1.0.0+build"]}), "true"),
        (json!({"sem_ver": [1.2, "~", "V1.2.9"]}), "true"),
        (json!({"sem_ver": ["1.9.9", "^", "1"]}), "true"),
        (json!({"sem_ver": ["1.0.0.0", "=", "1"]}), ""),
        (json!({"sem_ver": ["01.0.0", "=", "1"]}), ""),
        (json!({"sem_ver": ["1-alpha", "=", "1"]}), ""),
        (json!({"sem_ver": ["1", "===", "1"]}), ""),
        (json!({"sem_ver": [null, "=", "1"]}), ""),
    ] {
        assert!(gives(&rule, &data, text), "{rule} should give {text:?}");
    }
}

#[test]
fn the_result_of_a_rule_names_a_variant() {
    let chosen = |rule: Value| {
        let flag = flag(&rule);
        let none = Context::new();
        let variant = flag
            .evaluate(&none, NOW)
            .map(|found| (found.chosen.unwrap().variant.to_owned(), found.reason));
        variant.map_err(|failure| failure.code)
    };
    let matched = |name: &str| Ok((name.to_owned(), Reason::TargetingMatch));
    assert_eq!(chosen(json!({"if": ["b"]})), matched("b"));
    assert_eq!(chosen(json!({"!": [0]})), matched("true"));
    assert_eq!(chosen(json!({"+": [1]})), matched("1"));
    assert_eq!(chosen(json!({"if": [0.5]})), matched("0.5"));
    assert_eq!(chosen(json!({"cat": []})), matched(""));
    assert_eq!(
        chosen(json!({"if": [null]})),
        Ok(("a".to_owned(), Reason::Default))
    );
    assert_eq!(chosen(json!({"if": ["none"]})), Err(Code::General));
    assert_eq!(chosen(json!({"merge": ["a"]})), Err(Code::General));
    assert_eq!(chosen(json!({"var": ""})), Err(Code::General));
    assert_eq!(chosen(json!({"nope": []})), Err(Code::Parse));
    assert_eq!(chosen(json!({"$ref": "nope"})), Err(Code::Parse));
}

#[test]
fn states_and_defaults_are_flagds() {
    let evaluated = |definition: Value| {
        let flag = Flag::parse("flag", definition.to_string().as_bytes(), &Set::default()).unwrap();
        let none = Context::new();
        let found = flag.evaluate(&none, NOW).unwrap();
        (found.chosen.map(|chosen| chosen.value.clone()), found.reason)
    };
    let variants = json!({"on": true, "off": false});
    let off = json!({"state": "DISABLED", "variants": variants, "defaultVariant": "on"});
    assert_eq!(evaluated(off), (None, Reason::Disabled));
    let plain = json!({"state": "ENABLED", "variants": variants, "defaultVariant": "on"});
    assert_eq!(evaluated(plain), (Some(json!(true)), Reason::Static));
    for default in [json!(null), json!("")] {
        let none = json!({"state": "ENABLED", "variants": variants, "defaultVariant": default});
        assert_eq!(evaluated(none), (None, Reason::Default));
    }
    let named = json!({"state": "ENABLED", "variants": {"": true}, "defaultVariant": ""});
    assert_eq!(evaluated(named), (None, Reason::Default));
    let empty = json!({"state": "ENABLED", "variants": variants, "defaultVariant": "on", "targeting": {}});
    assert_eq!(evaluated(empty), (Some(json!(true)), Reason::Static));
    let null = json!({"state": "ENABLED", "variants": variants, "targeting": {"var": "gone"}});
    assert_eq!(evaluated(null), (None, Reason::Default));
}

#[test]
fn types_are_taken_without_loss_only() {
    let of = |value: Value| {
        let flag = json!({"state": "ENABLED", "variants": {"v": value}, "defaultVariant": "v"});
        Flag::parse("flag", flag.to_string().as_bytes(), &Set::default()).unwrap()
    };
    let none = Context::new();
    let check =
        |value: Value, bool: bool, string: bool, int: Option<i64>, float: Option<f64>, object: bool| {
            let flag = of(value);
            let found = flag.evaluate(&none, NOW).unwrap();
            assert_eq!(found.bool().is_ok(), bool);
            assert_eq!(found.string().is_ok(), string);
            assert_eq!(found.int().ok().and_then(|details| details.value), int);
            assert_eq!(found.float().ok().and_then(|details| details.value), float);
            assert_eq!(found.json().is_ok(), object);
            let failure = [found.bool().err(), found.string().err()];
            assert!(
                failure
                    .iter()
                    .flatten()
                    .all(|failure| failure.code == Code::TypeMismatch)
            );
        };
    check(json!(true), true, false, None, None, false);
    check(json!("x"), false, true, None, None, false);
    check(json!(10), false, false, Some(10), Some(10.0), false);
    check(json!(10.0), false, false, Some(10), Some(10.0), false);
    check(json!(3.5), false, false, None, Some(3.5), false);
    check(
        json!(-9_007_199_254_740_991_i64),
        false,
        false,
        Some(-9_007_199_254_740_991),
        Some(-9_007_199_254_740_991.0),
        false,
    );
    check(json!({"a": 1}), false, false, None, None, true);
    let object = of(json!({"width": 3}));
    let found = object.evaluate(&none, NOW).unwrap();
    let width: std::collections::BTreeMap<String, u8> = found.object().unwrap().value.unwrap();
    assert_eq!(width["width"], 3);
    assert_eq!(found.object::<Vec<u8>>().unwrap_err().code, Code::TypeMismatch);
    for number in ["10", "10.0"] {
        let flag = of(serde_json::from_str(number).unwrap());
        let found = flag.evaluate(&none, NOW).unwrap();
        assert_eq!(
            found.chosen.unwrap().value.to_string(),
            number,
            "as it is written"
        );
    }
}

fn cards(bucketing: Bucketing) -> (Set, Value) {
    let set = json!({"metadata": {"bucketing": bucketing.as_str()}});
    let rule = json!({"fractional": [
        {"cat": [{"var": "$flagd.flagKey"}, {"var": "user.name"}]},
        ["clubs", 25], ["diamonds", 25], ["hearts", 25], ["spades", 25]
    ]});
    (Set::parse(set.to_string().as_bytes()).unwrap(), rule)
}

#[test]
fn both_ways_to_split_agree_with_the_clients() {
    for (bucketing, wanted) in [
        (Bucketing::V2, ["hearts", "spades", "clubs", "diamonds", "clubs"]),
        (
            Bucketing::V3,
            ["diamonds", "diamonds", "clubs", "clubs", "spades"],
        ),
    ] {
        let (set, rule) = cards(bucketing);
        let definition = json!({
            "state": "ENABLED", "targeting": rule,
            "variants": {"clubs": 1, "diamonds": 2, "hearts": 3, "spades": 4},
        });
        let flag = Flag::parse("fractional-flag", definition.to_string().as_bytes(), &set).unwrap();
        assert_eq!(set.bucketing(), bucketing);
        let names = ["jack", "queen", "ten", "nine", "3"];
        for (name, wanted) in names.into_iter().zip(wanted) {
            let context = context(json!({"user": {"name": name}}));
            assert_eq!(
                flag.evaluate(&context, NOW).unwrap().chosen.unwrap().variant,
                wanted,
                "{name}"
            );
        }
    }
}

#[test]
fn odd_splits_give_the_default() {
    let v2 = Set::default();
    let v3 = Set::parse(br#"{"metadata":{"bucketing":"v3"}}"#).unwrap();
    let ada = json!({"targetingKey": "ada", "number": 7, "zero": 0});
    let all = |first: Value, weight: Value| json!({"fractional": [first, ["b", weight]]});
    let nothing = json!({"targetingKey": "ada"});
    let chosen = |set: &Set, rule: &Value, data: &Value| {
        let flag = flag_in(set, rule);
        let context = context(data.clone());
        let found = flag.evaluate(&context, NOW).unwrap();
        (found.reason == Reason::TargetingMatch).then(|| found.chosen.unwrap().variant.to_owned())
    };
    let b = Some("b".to_owned());
    for (rule, data, of_v2, of_v3) in [
        (json!({"fractional": [["b"]]}), &ada, true, true),
        (json!({"fractional": [["b"]]}), &json!({}), false, false),
        (
            json!({"fractional": [["b"]]}),
            &json!({"targetingKey": ""}),
            false,
            false,
        ),
        (
            json!({"fractional": [["b"]]}),
            &json!({"targetingKey": 5}),
            false,
            false,
        ),
        (json!({"fractional": []}), &ada, false, false),
        // Another key than a text: the second generation has none, the third hashes it.
        (all(json!({"var": "number"}), json!(1)), &ada, false, true),
        (all(json!({"var": "gone"}), json!(1)), &nothing, true, false),
        (all(json!("text"), json!(1)), &json!({}), true, true),
        (all(json!({"var": ""}), json!(1)), &ada, false, true),
        // Weights.
        (all(json!("k"), json!(0)), &ada, false, false),
        (all(json!("k"), json!(-1)), &ada, false, false),
        (all(json!("k"), json!(2.0)), &ada, true, true),
        (all(json!("k"), json!(2.5)), &ada, false, false),
        (all(json!("k"), json!("2")), &ada, false, false),
        (all(json!("k"), json!(2_147_483_647)), &ada, true, true),
        (all(json!("k"), json!(2_147_483_648_u64)), &ada, false, false),
        (all(json!("k"), json!(1e300)), &ada, false, false),
        (all(json!("k"), json!({"var": "number"})), &ada, true, true),
        (all(json!("k"), json!({"var": "zero"})), &ada, false, false),
        (
            json!({"fractional": ["k", ["a", 2_147_483_647], ["b", 1]]}),
            &ada,
            false,
            false,
        ),
        (json!({"fractional": ["k", ["a", 0], ["b", 1]]}), &ada, true, true),
        (
            json!({"fractional": ["k", ["a", -50], ["b", 1]]}),
            &ada,
            true,
            true,
        ),
        // Buckets.
        (json!({"fractional": ["k", "b"]}), &ada, false, false),
        (json!({"fractional": ["k", []]}), &ada, false, false),
        (json!({"fractional": ["k", ["b", 1, 2]]}), &ada, false, false),
        (json!({"fractional": ["k", [["b"], 1]]}), &ada, false, false),
        (
            json!({"fractional": ["k", {"merge": ["b", 1]}]}),
            &ada,
            true,
            true,
        ),
        (json!({"fractional": [{"merge": ["b", 1]}]}), &ada, true, true),
        (json!({"fractional": {"merge": [[["b", 1]]]}}), &ada, true, true),
    ] {
        let of = |is: bool| is.then(|| b.clone()).flatten();
        assert_eq!(chosen(&v2, &rule, data), of(of_v2), "v2: {rule} of {data}");
        assert_eq!(chosen(&v3, &rule, data), of(of_v3), "v3: {rule} of {data}");
    }
}

#[test]
fn a_rule_of_a_set_is_found_and_does_not_refer_further() {
    let set = json!({
        "$evaluators": {"is_ada": {"==": [{"var": "name"}, "ada"]}, "twice": {"$ref": "is_ada"}},
        "metadata": {"team": "web", "version": 1},
    });
    let set = Set::parse(set.to_string().as_bytes()).unwrap();
    assert_eq!(set.faults().len(), 1, "an evaluator that refers to another one");
    let ada = context(json!({"name": "ada"}));
    let rule = flag_in(&set, &json!({"if": [{"$ref": "is_ada"}, "b"]}));
    assert!(rule.faults().is_empty());
    let found = rule.evaluate(&ada, NOW).unwrap();
    assert_eq!(found.chosen.unwrap().variant, "b");
    assert_eq!(found.metadata["team"], "web");
    let rule = flag_in(&set, &json!({"if": [{"$ref": "twice"}, "b"]}));
    let failure = rule.evaluate(&ada, NOW).unwrap_err();
    assert_eq!(
        (failure.code, &failure.metadata["team"]),
        (Code::Parse, &json!("web"))
    );
    let lists = Set::parse(br#"{"$evaluators":{"list":[true,"b"]}}"#).unwrap();
    let none = Context::new();
    let of = |operator: &str| flag_in(&lists, &json!({operator: {"$ref": "list"}}));
    assert_eq!(
        of("if").evaluate(&none, NOW).unwrap_err().code,
        Code::General,
        "one argument, a list"
    );
    let own = json!({"state": "ENABLED", "variants": {"a": 1}, "metadata": {"version": 2}});
    let own = Flag::parse("own", own.to_string().as_bytes(), &set).unwrap();
    assert_eq!(own.metadata()["version"], 2);
    assert_eq!(own.metadata()["team"], "web");
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_without_its_content() {
    let faults = |rule: Value| -> Vec<FlagError> { flag(&rule).faults().to_vec() };
    for (rule, place) in [
        (json!({"canary": [1]}), "/targeting"),
        (json!({"if": [true, {"canary": 1}]}), "/targeting/if/1"),
        (
            json!({"if": [{"==": [{"var": ["x", {"canary": 1}]}, 1]}]}),
            "/targeting/if/0/==/0/var/1",
        ),
        (json!({"/": [1, {"canary": 1}]}), "/targeting/~1/1"),
        (json!({"$ref": "canary"}), "/targeting"),
        (json!({"sem_ver": ["1", "canary", "1"]}), "/targeting/sem_ver"),
        (json!({"sem_ver": ["1", "="]}), "/targeting/sem_ver"),
        (json!({"starts_with": ["canary"]}), "/targeting/starts_with"),
        (
            json!({"fractional": ["canary", ["a", 1.5]]}),
            "/targeting/fractional",
        ),
        (
            json!({"fractional": ["canary", ["a", 2_147_483_647], ["b", 1]]}),
            "/targeting/fractional",
        ),
        (json!({"if": [{"canary": 1, "b": 2}]}), "/targeting/if/0"),
        (json!({"==": ["canary"]}), "/targeting/=="),
        (json!({"map": [["canary"]]}), "/targeting/map"),
    ] {
        let faults = faults(rule.clone());
        let first = faults.first().unwrap_or_else(|| panic!("{rule} is not faulted"));
        assert_eq!(first.position(), place, "{rule}: {first}");
        assert!(!format!("{first} {first:?}").contains("canary"), "{first}");
    }
    for rule in [
        json!({"if": [{"in": ["a", ["a"]]}, "a", "b"]}),
        json!({"fractional": [["a", -1], ["b", 3]]}),
    ] {
        assert_eq!(faults(rule.clone()), [], "{rule}");
    }
}

#[test]
fn what_is_deep_or_heavy_is_refused() {
    let deep = |levels: usize| {
        let rule = format!("{}1{}", r#"{"!":["#.repeat(levels), "]}".repeat(levels));
        format!(r#"{{"state":"ENABLED","variants":{{"true":1,"false":2}},"targeting":{rule}}}"#)
    };
    let none = Context::new();
    let set = Set::default();
    let shallow = Flag::parse("flag", deep(45).as_bytes(), &set).unwrap();
    assert!(shallow.evaluate(&none, NOW).is_ok());
    let deeper = Flag::parse("flag", deep(55).as_bytes(), &set).unwrap();
    assert_eq!(deeper.evaluate(&none, NOW).unwrap_err().code, Code::Parse);
    assert!(Flag::parse("flag", deep(10_000).as_bytes(), &set).is_err());
    // A rule of a mebibyte is evaluated.
    let wide = json!({"or": vec![json!({"==": [{"var": "x"}, "a"]}); 30_000]});
    assert!(flag(&wide).evaluate(&none, NOW).is_ok());
    // Lists within lists, and a text that doubles: work ends, and the rest of the process goes on.
    let many: Vec<u32> = (0..2000).collect();
    let data = context(json!({"many": many}));
    let nested = json!({"map": [{"var": "many"}, {"map": [many, {"+": [{"var": ""}, 1]}]}]});
    assert_eq!(
        flag(&nested).evaluate(&data, NOW).unwrap_err().code,
        Code::General
    );
    let accumulator = json!({"var": "accumulator"});
    let doubling =
        json!({"reduce": [{"var": "many"}, {"cat": [accumulator, accumulator]}, "xxxxxxxxxxxxxxxx"]});
    assert_eq!(
        flag(&doubling).evaluate(&data, NOW).unwrap_err().code,
        Code::General
    );
    let doubling = json!({"reduce": [{"var": "many"}, {"merge": [accumulator, accumulator]}, ["x"]]});
    assert_eq!(
        flag(&doubling).evaluate(&data, NOW).unwrap_err().code,
        Code::General
    );
    // Evaluators are shared, not copied: many uses of a large one cost little.
    let set = json!({"$evaluators": {"big": {"or": vec![json!({"var": "x"}); 30_000]}}});
    let set = Set::parse(set.to_string().as_bytes()).unwrap();
    let uses = flag_in(&set, &json!({"or": vec![json!({"$ref": "big"}); 30_000]}));
    assert_eq!(uses.evaluate(&none, NOW).unwrap_err().code, Code::General);
}

#[test]
fn a_caller_cannot_say_what_is_the_engines() {
    let rule = json!({"if": [{"==": [{"var": "$flagd.flagKey"}, "flag"]}, "b"]});
    let liar = context(json!({"$flagd": {"flagKey": "other", "timestamp": 1}}));
    assert_eq!(
        flag(&rule).evaluate(&liar, NOW).unwrap().chosen.unwrap().variant,
        "b"
    );
}

#[test]
fn who_asks_is_the_same_in_every_scope() {
    let peer = json!({"uid": 7});
    let data = context(json!({
        "roles": [{"$peer": {"uid": 0}}], "$peer": {"uid": 0}, "": {"$peer": {"uid": 0}},
    }));
    let is_root = json!({"==": [{"var": "$peer.uid"}, 0]});
    let roles = json!({"var": "roles"});
    for rule in [
        is_root.clone(),
        json!({"some": [roles, is_root]}),
        json!({"all": [roles, is_root]}),
        json!({"!": {"none": [roles, is_root]}}),
        json!({"!!": {"filter": [roles, is_root]}}),
        json!({"in": [true, {"map": [roles, is_root]}]}),
        json!({"reduce": [roles, is_root, false]}),
        json!({"some": [roles, {"==": [{"var": {"cat": ["$peer", ".uid"]}}, 0]}]}),
        json!({"some": [[{"var": ""}], is_root]}),
    ] {
        let flag = flag(&json!({"if": [rule, "true", "false"]}));
        let of = |peer| {
            flag.evaluate_for(&data, peer, NOW)
                .unwrap()
                .chosen
                .unwrap()
                .variant
        };
        assert_eq!(of(Some(&peer)), "false", "{rule}");
    }
    // nothing is known, as without a sidecar: items have what they have
    let some = flag(&json!({"if": [{"some": [roles, is_root]}, "true", "false"]}));
    assert_eq!(some.evaluate(&data, NOW).unwrap().chosen.unwrap().variant, "true");
}

#[test]
fn only_rules_that_ask_for_the_time_tell_it() {
    let tells = |rule: Value| flag(&rule).tells_time();
    assert!(tells(json!({">": [{"var": "$flagd.timestamp"}, 5]})));
    assert!(tells(json!({"if": [{"!!": [{"var": ""}]}, "a"]})));
    assert!(tells(json!({"var": {"cat": ["$flagd", ".timestamp"]}})));
    assert!(!tells(
        json!({"cat": [{"var": "$flagd.flagKey"}, {"var": "email"}]})
    ));
    let set = Set::parse(br#"{"$evaluators":{"late":{">":[{"var":"$flagd.timestamp"},5]}}}"#).unwrap();
    assert!(flag_in(&set, &json!({"if": [{"$ref": "late"}, "a"]})).tells_time());
}

#[test]
fn a_file_is_read_and_written() {
    let file = json!({
        "flags": {"b": {"state": "ENABLED", "variants": {"on": 10.0}}, "a": {"state": "nonsense"}},
        "$evaluators": {"one": {"==": [1, 1]}},
        "metadata": {"flagSetId": "web"},
    });
    let document = Document::parse(file.to_string().as_bytes()).unwrap();
    assert_eq!(
        document.to_json().to_string(),
        file.to_string(),
        "with its order and literals"
    );
    let compiled: Vec<_> = document
        .compile()
        .map(|(key, flag)| (key, flag.is_ok()))
        .collect();
    assert_eq!(compiled, [("b", true), ("a", false)]);
    let list = json!({"flags": [{"key": "a", "state": "ENABLED", "variants": {"on": true}}]});
    let document = Document::parse(list.to_string().as_bytes()).unwrap();
    assert_eq!(document.flags["a"]["state"], "ENABLED");
    for bad in [
        "",
        "[]",
        "{}",
        r#"{"flags":1}"#,
        r#"{"flags":[{}]}"#,
        r#"{"flags":[1]}"#,
        r#"{"flags":[{"key":"canary"},{"key":"canary"}]}"#,
        r#"{"flags":{},"metadata":{"canary":[]}}"#,
    ] {
        let error = Document::parse(bad.as_bytes()).unwrap_err();
        assert!(!error.to_string().contains("canary"), "{error}");
    }
}

#[test]
fn a_rollout_is_plain_targeting_that_is_read_again() {
    let rollout = |steps: &[(u64, u32)]| Rollout {
        to: "b".to_owned(),
        from: "a".to_owned(),
        steps: steps
            .iter()
            .map(|(from, share)| Step {
                from: *from,
                share: *share,
            })
            .collect(),
    };
    let steps = rollout(&[(1000, 5_000), (2000, 25_000), (3000, 100_000)]);
    let rule = steps.rule().unwrap();
    assert_eq!(Rollout::read(&rule), Some(steps));
    assert_eq!(Rollout::read(&json!({"if": [true, "b", "a"]})), None);
    let nobody = rollout(&[(1000, 0)]).rule().unwrap();
    let read = Rollout::read(&nobody).unwrap();
    assert_eq!(
        (read.to.as_str(), read.rule()),
        ("a", Ok(nobody)),
        "nobody has another one"
    );
    let flag = flag(&rule);
    assert!(flag.faults().is_empty() && flag.tells_time());
    let has = |now: u64| -> Vec<bool> {
        let users = (0..2000).map(|user| context(json!({"targetingKey": format!("user-{user}")})));
        users
            .map(|user| flag.evaluate(&user, now).unwrap().chosen.unwrap().variant == "b")
            .collect()
    };
    let count = |users: &[bool]| users.iter().filter(|has| **has).count();
    let (before, first, second, all) = (has(999), has(1000), has(2999), has(3000));
    assert_eq!((count(&before), count(&all)), (0, 2000));
    assert!((50..200).contains(&count(&first)), "{}", count(&first));
    assert!((400..600).contains(&count(&second)), "{}", count(&second));
    assert!(
        first.iter().zip(&second).all(|(first, second)| !first || *second),
        "who has it keeps it"
    );
    assert_eq!(rollout(&[]).rule(), Err(RolloutError::Empty));
    assert_eq!(rollout(&[(2, 1), (1, 2)]).rule(), Err(RolloutError::Order));
    assert_eq!(rollout(&[(2, 100_001)]).rule(), Err(RolloutError::Share));
}

#[test]
fn the_way_through_a_rule_is_told() {
    let set = json!({"$evaluators": {"is_ada": {"==": [{"var": "name"}, "ada"]}}});
    let set = Set::parse(set.to_string().as_bytes()).unwrap();
    let definition = json!({
        "state": "ENABLED", "variants": {"a": 1, "b": 2},
        "targeting": {"if": [
            {"and": [{"$ref": "is_ada"}, {"var": "never"}]}, "a",
            {"fractional": [{"var": "name"}, ["a", 0], ["b", 3]]}, "b",
            {"var": "unreached"}
        ]},
    });
    let definition = Definition::parse(definition.to_string().as_bytes()).unwrap();
    let bob = context(json!({"name": "bob"}));
    let told = explain("flag", &definition, &set, &bob, NOW);
    let lines: Vec<_> = told
        .iter()
        .map(|part| (part.position.as_str(), part.result.clone()))
        .collect();
    assert_eq!(
        lines,
        [
            ("/targeting/if", json!("b")),
            ("/targeting/if/0/and", json!(false)),
            ("/targeting/if/0/and/0/$ref", json!(false)),
            ("/$evaluators/is_ada/==", json!(false)),
            ("/$evaluators/is_ada/==/0/var", json!("bob")),
            ("/targeting/if/2/fractional", json!("b")),
            ("/targeting/if/2/fractional/0/var", json!("bob")),
        ]
    );
    let note = told[5].note.as_deref().unwrap();
    assert!(
        note.starts_with("v2 hash 0x") && note.ends_with("of 3: \"a\" 0..0, *\"b\" 0..3"),
        "{note}"
    );
}

#[test]
fn odd_rules_are_found() {
    let kinds = |rule: Value, key: &str| -> Vec<(&'static str, String)> {
        let definition = json!({"state": "ENABLED", "variants": {"a": 1, "b": 2}, "targeting": rule});
        let definition = Definition::parse(definition.to_string().as_bytes()).unwrap();
        let found = lint(key, &definition, &Set::default(), NOW).into_iter();
        found.map(|finding| (finding.kind, finding.position)).collect()
    };
    let at = |kind: &'static str, place: &str| (kind, place.to_owned());
    assert_eq!(kinds(json!({"if": [{"var": "x"}, "a", "b"]}), "flag"), []);
    let always = json!({"if": [{"==": [1, 1]}, "a", "b"]});
    assert_eq!(
        kinds(always, "flag"),
        [
            at("constant", "/targeting/if/0"),
            at("unreachable", "/targeting/if/2")
        ]
    );
    let never = json!({"if": [{"==": [1, 2]}, "a", "b"]});
    assert_eq!(
        kinds(never, "flag"),
        [
            at("constant", "/targeting/if/0"),
            at("unreachable", "/targeting/if/1")
        ]
    );
    let split = json!({"fractional": [["a", 1], ["b", 1]]});
    assert_eq!(kinds(split.clone(), "flag"), [at("bucketing", "/targeting")]);
    assert_eq!(
        kinds(split, "flüg"),
        [at("bucketing", "/targeting"), at("non-ascii", "/targeting")]
    );
    assert_eq!(kinds(json!({"fractional": [["a", 1]]}), "flag"), []);
    assert_eq!(kinds(json!({"nope": 1}), "flag"), [at("fault", "/targeting")]);
}

/// What is odd about a flag of `set` with this rule: kinds and places.
fn odd(rule: &Value, set: &Set) -> Vec<(&'static str, String)> {
    let definition = json!({"state": "ENABLED", "variants": {"a": 1, "b": 2}, "targeting": rule});
    let definition = Definition::parse(definition.to_string().as_bytes()).unwrap();
    let found = lint("flag", &definition, set, NOW).into_iter();
    found.map(|finding| (finding.kind, finding.position)).collect()
}

#[test]
fn evaluators_are_looked_into_and_what_they_refer_to_is_not() {
    let set = json!({"$evaluators": {
        "itself": {"$ref": "itself"},
        "never": {"==": [1, 2]},
        "asks": {"var": "x"},
        "splits": {"fractional": [["a", 1], ["b", 1]]},
    }});
    let set = Set::parse(set.to_string().as_bytes()).unwrap();
    let of = |name: &str| odd(&json!({"if": [{"$ref": name}, "a"]}), &set);
    let at = |kind: &'static str, place: &str| (kind, place.to_owned());
    assert_eq!(of("itself"), [at("fault", "/targeting/if/0")]);
    assert_eq!(
        of("never"),
        [
            at("constant", "/targeting/if/0"),
            at("unreachable", "/targeting/if/1")
        ]
    );
    assert_eq!(of("asks"), []);
    assert_eq!(
        odd(&json!({"$ref": "splits"}), &set),
        [at("bucketing", "/targeting")]
    );
}

#[test]
fn lists_within_lists_end() {
    let data = context(json!({"many": vec![0; 200_000]}));
    let accumulator = json!({"var": "accumulator"});
    for nested in [
        json!([accumulator]),
        json!({"merge": [[accumulator]]}),
        json!({"map": [[1], accumulator]}),
        json!([accumulator, accumulator]),
    ] {
        let rule = json!({"reduce": [{"var": "many"}, nested, 1]});
        let flag = flag(&rule);
        assert_eq!(
            flag.evaluate(&data, NOW).unwrap_err().code,
            Code::General,
            "{rule}"
        );
    }
}

#[test]
fn texts_count_by_their_length() {
    let text = "1".repeat(400_000);
    let data = context(json!({
        "targetingKey": text, "items": vec![json!(0); 100], "long": text, "same": text,
        "objects": vec![json!({"a": 1, "b": 2}); 100],
    }));
    let v3 = Set::parse(br#"{"metadata":{"bucketing":"v3"}}"#).unwrap();
    let of_each = |rule: Value| json!({"map": [{"var": "items"}, rule]});
    let again = |rule: Value| json!({"cat": vec![rule; 100]});
    for rule in [
        of_each(json!({"+": [text]})),
        of_each(json!({"==": [text, 1]})),
        of_each(json!({"<": [text, text]})),
        of_each(json!({"===": [text, text]})),
        of_each(json!({"starts_with": [text, text]})),
        of_each(json!({"in": [text, [text]]})),
        of_each(json!({"in": ["x", [[text], text]]})),
        of_each(json!({"max": {"merge": [text, 1]}})),
        of_each(json!({"fractional": [text, ["a", 1]]})),
        of_each(json!({"var": text})),
        json!({"map": [{"var": "objects"}, {"var": text}]}),
        json!({"map": [{"var": "objects"}, {"var": ["gone", text]}]}),
        again(json!({"!": [{"==": [{"var": "long"}, 1]}]})),
        again(json!({"==": [{"var": {"cat": ["lo", "ng"]}}, 1]})),
        again(json!({"==": [{"var": "long"}, {"var": "same"}]})),
        again(json!({"fractional": [["a", 1]]})),
        again(json!({"fractional": [{"merge": [["a", 1]]}]})),
        again(json!({"in": ["x", [{"var": "long"}]]})),
    ] {
        for set in [&Set::default(), &v3] {
            let flag = flag_in(set, &rule);
            let failure = flag.evaluate(&data, NOW).map(|_| &rule).unwrap_err();
            let shown: String = rule.to_string().chars().take(60).collect();
            assert_eq!(
                (failure.code, failure.detail),
                (Code::General, "the targeting rule takes too much work"),
                "{shown}"
            );
        }
    }
    let hashed = again(json!({"fractional": [{"var": "person"}, ["a", 1]]}));
    for person in [
        json!({"name": text}),
        json!({(text.clone()): 1}),
        json!({"of": [text]}),
    ] {
        let context = context(json!({"person": person}));
        let flag = flag_in(&v3, &hashed);
        let failure = flag.evaluate(&context, NOW).unwrap_err();
        assert_eq!(failure.detail, "the targeting rule takes too much work");
    }
}

#[test]
fn what_is_sought_in_a_rule_ends() {
    let many = vec![0; 600];
    let slow = json!({"map": [many, {"map": [many, 1]}]});
    let set = json!({"$evaluators": {"slow": {"!": [slow]}}});
    let set = Set::parse(set.to_string().as_bytes()).unwrap();
    let mut rule = Vec::new();
    for _ in 0..100 {
        rule.extend([json!({"$ref": "slow"}), json!("a")]);
    }
    let found = odd(&json!({"if": rule}), &set);
    let constant = found.iter().filter(|(kind, _)| *kind == "constant").count();
    assert!((1..20).contains(&constant), "{constant}");
    let split = json!({"if": [{"$ref": "slow"}, "a", {"fractional": [["a", 1], ["b", 1]]}]});
    let definition = json!({"state": "ENABLED", "variants": {"a": 1, "b": 2}, "targeting": split});
    let definition = Definition::parse(definition.to_string().as_bytes()).unwrap();
    let found = lint("flag", &definition, &set, NOW);
    let split = found.iter().find(|each| each.kind == "bucketing").unwrap();
    assert!(!split.text.contains("of 1000 sample users"), "{}", split.text);
}

#[test]
fn a_user_that_there_is_no_work_left_for_did_not_move() {
    // at some of these sizes the work ends between the two evaluations of a user
    for size in [300, 350, 400, 450, 500, 550, 600] {
        let many = vec![0; size];
        let slow = json!({"map": [many, {"map": [many, {"var": "x"}]}]});
        // there is but one bucket: both generations put everybody there
        let split = json!({"if": [slow, {"fractional": [["a", 1]]}]});
        assert_eq!(odd(&split, &Set::default()), [], "{size}");
    }
}

#[test]
fn a_condition_that_is_too_much_is_not_told_as_one_that_does_not_hold() {
    let many = vec![0; 2000];
    let slow = json!({"map": [many, {"map": [many, 1]}]});
    let rule = json!({"if": [{"var": "name"}, "a", slow, "a", {"var": "never"}]});
    let definition = json!({"state": "ENABLED", "variants": {"a": 1, "b": 2}, "targeting": rule});
    let definition = Definition::parse(definition.to_string().as_bytes()).unwrap();
    let told = explain("flag", &definition, &Set::default(), &Context::new(), NOW);
    let of = |place: &str| {
        told.iter()
            .find(|part| part.position == format!("/targeting/if{place}"))
    };
    assert_eq!(of("/0/var").unwrap().note, None);
    assert_eq!(
        of("/2/map").unwrap().note.as_deref(),
        Some("it takes too much work")
    );
    assert!(of("/4/var").is_none(), "it goes on as if it did not hold");
}

#[test]
fn places_are_pointers_and_buckets_those_of_the_rule() {
    let told = |rule: Value| -> Vec<(String, Option<String>)> {
        let set = json!({"$evaluators": {"a/b~": {"!": [1]}}});
        let set = Set::parse(set.to_string().as_bytes()).unwrap();
        let definition = json!({"state": "ENABLED", "variants": {"b": 1}, "targeting": rule});
        let definition = Definition::parse(definition.to_string().as_bytes()).unwrap();
        let user = context(json!({"targetingKey": "ada"}));
        let told = explain("flag", &definition, &set, &user, NOW).into_iter();
        told.map(|part| (part.position, part.note)).collect()
    };
    let places = |rule: Value| -> Vec<String> { told(rule).into_iter().map(|(place, _)| place).collect() };
    assert_eq!(
        places(json!({"/": [{"$ref": "a/b~"}, 1]})),
        ["/targeting/~1", "/targeting/~1/0/$ref", "/$evaluators/a~1b~0/!"]
    );
    assert_eq!(places(json!({"!": {"!": 1}})), ["/targeting/!", "/targeting/!/!"]);
    assert_eq!(
        places(json!({"if": {"!": 1}})),
        ["/targeting/if", "/targeting/if/!"]
    );
    let of_list = told(json!({"fractional": {"merge": [[["b", 1]]]}}));
    let note = of_list[0].1.as_deref().unwrap();
    assert!(note.ends_with("place 0 of 1: *\"b\" 0..1"), "{note}");
    assert_eq!(of_list[1].0, "/targeting/fractional/merge");
    let none = told(json!({"fractional": [7, ["b", 1]]}));
    assert!(none[0].1.as_deref().unwrap().contains("not valid"));
}

#[test]
fn what_is_told_of_a_rule_ends() {
    let told = |set: &Value, rule: &Value, data: &Value| {
        let set = Set::parse(set.to_string().as_bytes()).unwrap();
        let definition = json!({"state": "ENABLED", "variants": {"a": 1}, "targeting": rule});
        let definition = Definition::parse(definition.to_string().as_bytes()).unwrap();
        explain("flag", &definition, &set, &context(data.clone()), NOW)
    };
    let size = |parts: &[strongroom_core::flag::Explained]| -> usize {
        parts.iter().map(|part| part.result.to_string().len()).sum()
    };
    let many = 30_000;
    let wide = json!({"$evaluators": {"big": {"or": vec![json!({"var": "x"}); many]}}});
    let parts = told(
        &wide,
        &json!({"or": vec![json!({"$ref": "big"}); many]}),
        &json!({}),
    );
    assert!(parts.len() <= 1000, "{}", parts.len());
    let note = parts.last().unwrap().note.as_deref();
    assert!(note.is_some_and(|note| note.contains("not told")), "{note:?}");
    // Each of them gives all of a large value.
    let large = json!({"list": vec![0; 100_000], "text": "x".repeat(1_000_000)});
    for name in ["list", "text"] {
        let parts = told(
            &json!({}),
            &json!({"and": vec![json!({"var": name}); 200]}),
            &large,
        );
        assert!(size(&parts) < 70_000_000, "{}", size(&parts));
    }
}

/// A file of flagd has one place for evaluators: a reference to what a flag's own set has not would find another's.
#[test]
fn a_joined_file_gives_no_flag_the_evaluators_of_another_set() {
    let set = br#"{"$evaluators":{"staff":{"ends_with":[{"var":"mail"},"@example.org"]}}}"#;
    let set = Set::parse(set).unwrap();
    let flag = br#"{"state":"ENABLED","variants":{"on":true,"off":false},"defaultVariant":"off",
        "targeting":{"if":[{"and":[true,{"$ref":"staff"}]},"on"]}}"#;
    let other = Set::parse(br#"{"$evaluators":{"testers":true}}"#).unwrap();
    let mut joined = Joined::default();
    joined.add("web/new", flag, Some(("web/@set", &set)));
    joined.add("new", flag, None);
    joined.add("api/new", flag, Some(("api/@set", &other)));
    joined.add(
        "plain",
        br#"{"state":"ENABLED","variants":{"on":true},"defaultVariant":"on"}"#,
        None,
    );
    let file = joined.into_json();
    let flags: Vec<_> = file["flags"].as_object().unwrap().keys().collect();
    assert_eq!(flags, ["web/new", "plain"]);
    assert_eq!(
        file["flags"]["web/new"]["targeting"]["if"][0]["and"][1]["$ref"],
        "staff"
    );
}
