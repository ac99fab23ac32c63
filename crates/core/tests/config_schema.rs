//! Schemas: what is taken for one, what they say of documents, and that neither takes long.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use serde_json::{Value, json};
use strongroom_core::config::{Format, Schema, SchemaError, infer};

fn parse(schema: &Value) -> Result<Schema, SchemaError> {
    Schema::parse(schema.to_string().as_bytes())
}

fn told(schema: &Value, document: &Value) -> Vec<String> {
    let faults = parse(schema).unwrap().check(document);
    let mut told: Vec<_> = faults
        .iter()
        .map(|fault| format!("{} {}", fault.key, fault.rule))
        .collect();
    told.sort();
    told
}

#[test]
fn all_faults_are_told_at_once_and_no_value() {
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["name", "there"],
        "additionalProperties": false,
        "$defs": {"port": {"type": "integer", "minimum": 1, "maximum": 65535}},
        "properties": {
            "name": {"type": "string"},
            "there": {},
            "port": {"$ref": "#/$defs/port"},
            "level": {"enum": ["info", "debug"]},
            "hosts": {"type": "array", "items": {"format": "ipv4"}, "uniqueItems": true},
            "tag": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 3},
            "either": {"anyOf": [{"type": "integer"}, {"type": "object", "required": ["x"]}]},
            "pool": {"type": ["object", "null"], "properties": {"size": {"type": "number", "exclusiveMaximum": 9}}},
        },
    });
    let document = json!({
        "name": 1, "port": 0, "level": "canary", "hosts": ["10.0.0.1", "canary"], "tag": "CANARY",
        "either": "canary", "pool": {"size": 99}, "naem": "canary",
    });
    let expected = [
        "either fits none of the alternatives of the schema",
        "hosts.1 must have the format ipv4",
        "level must be one of [\"info\",\"debug\"]",
        "naem is not known to the schema",
        "name must be a text",
        "pool.size must be less than 9",
        "port must be at least 1",
        "tag must have at most 3 characters",
        "tag must match the pattern ^[a-z]+$",
        "there must be there",
    ];
    assert_eq!(told(&schema, &document), expected);
    let faults = parse(&schema).unwrap().check(&document);
    assert!(
        !format!("{faults:?}").to_lowercase().contains("canary"),
        "{faults:?}"
    );
    let whole = json!({"name": "web", "there": null, "port": 80, "pool": null});
    assert_eq!(told(&schema, &whole), Vec::<String>::new());
}

#[test]
fn a_schema_is_whole_in_itself() {
    for (schema, at) in [
        (json!([]), ""),
        (
            json!({"$schema": "http://json-schema.org/draft-07/schema#"}),
            "/$schema",
        ),
        (json!({"$ref": "https://example.com/schema"}), "/$ref"),
        (json!({"$ref": "file:///etc/passwd"}), "/$ref"),
        (json!({"items": {"$ref": "other.json"}}), "/items/$ref"),
        (json!({"$ref": "#/$defs/none"}), "/$ref"),
        (
            json!({"$ref": "#name", "$defs": {"a": {"$anchor": "name"}}}),
            "/$ref",
        ),
        (json!({"$defs": {"a": {"$anchor": "name"}}}), "/$defs/a/$anchor"),
        (
            json!({"properties": {"default": {"$ref": "http://x/"}}}),
            "/properties/default/$ref",
        ),
        (json!({"$id": "https://example.com/"}), "/$id"),
        (json!({"$dynamicRef": "#"}), "/$dynamicRef"),
        (json!({"type": "text"}), "/type"),
        (
            json!({"properties": {"a": {"minimum": "1"}}}),
            "/properties/a/minimum",
        ),
        (json!({"pattern": "("}), "/pattern"),
        (json!({"pattern": "(?=a)"}), "/pattern"),
    ] {
        match parse(&schema) {
            Err(SchemaError::Form { at: found, .. }) => assert_eq!(found, at, "{schema}"),
            other => assert!(
                matches!(other, Err(SchemaError::TooLarge { .. })),
                "{schema}: {other:?}"
            ),
        }
    }
    assert!(matches!(Schema::parse(b"{"), Err(SchemaError::Document(_))));
    // data and names of keys are not what they look like
    let fine = json!({
        "default": {"$ref": "http://x/"}, "const": {"$id": "x"},
        "properties": {"$ref": {"type": "string"}, "$id": {}},
        "$defs": {"a/b": true}, "items": {"$ref": "#/$defs/a~1b"},
    });
    parse(&fine).unwrap();
}

/// `count` parts of which each refers to the next one twice.
fn doubling(count: usize, part: impl Fn(Value) -> Value) -> Value {
    let mut parts = serde_json::Map::new();
    for at in 0..count {
        let next = json!({"$ref": format!("#/$defs/p{}", at + 1)});
        parts.insert(format!("p{at}"), part(next));
    }
    parts.insert(format!("p{count}"), json!({"type": "object"}));
    json!({"$defs": parts, "$ref": "#/$defs/p0"})
}

#[test]
fn what_would_never_end_is_refused() {
    for endless in [
        json!({"$ref": "#"}),
        json!({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"allOf": [{"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"}),
        json!({"properties": {"a": {"not": {"$ref": "#/properties/a"}}}}),
    ] {
        assert_eq!(parse(&endless).unwrap_err(), SchemaError::Endless, "{endless}");
    }
    let here = doubling(30, |next| json!({"allOf": [next, next]}));
    assert!(matches!(parse(&here).unwrap_err(), SchemaError::TooLarge { .. }));
    let long = doubling(5000, |next| json!({"allOf": [next]}));
    assert!(matches!(parse(&long).unwrap_err(), SchemaError::TooLarge { .. }));
    let many: serde_json::Map<_, _> = (0..30_000).map(|at| (format!("k{at}"), json!({}))).collect();
    let many = json!({"properties": many});
    assert!(matches!(parse(&many).unwrap_err(), SchemaError::TooLarge { .. }));
}

#[test]
fn nothing_hides_where_data_stands() {
    // Reached by a reference, it is a schema; a name may be that of a keyword.
    let refers = json!({"$ref": "http://x/"});
    for hidden in [
        json!({"$ref": "#/$defs/default", "$defs": {"default": {"allOf": [{"$ref": "#/$defs/%64efault"}]}}}),
        json!({"$ref": "#/$defs/const", "$defs": {"const": {"$anchor": "a"}}}),
        json!({"$ref": "#/examples/0", "examples": [refers]}),
        json!({"$ref": "#/default", "default": {"$dynamicRef": "#a"}}),
        json!({"properties": {"a": {"$ref": "#/const"}}, "const": {"allOf": [{"$ref": "#/x%2Fy"}]}}),
        json!({"patternProperties": {"default": refers}}),
        json!({"dependentSchemas": {"enum": refers}}),
    ] {
        let refused = Schema::parse(hidden.to_string().as_bytes());
        assert!(
            matches!(refused, Err(SchemaError::Form { .. })),
            "{hidden}: {refused:?}"
        );
    }
}

#[test]
fn patterns_defaults_and_faults_are_bounded() {
    let too_large = |schema: Value| {
        let refused = Schema::parse(schema.to_string().as_bytes());
        assert!(refused.is_err(), "not refused");
    };
    too_large(json!({"pattern": "^(?:a?){20000}b"}));
    let patterns: Vec<_> = (0..600)
        .map(|at| json!({"pattern": format!("^[a-z]{{1,9}}-number-{at}-of-many$")}))
        .collect();
    too_large(json!({"allOf": patterns}));
    let pattern = json!({"pattern": "x".repeat(8000)});
    assert_eq!(told(&pattern, &json!("a".repeat(500_000))).len(), 1);
    // Many keys that many parts name.
    let names: serde_json::Map<_, _> = (0..90)
        .map(|at| (format!("a{at}"), json!({"$ref": "#"})))
        .collect();
    let wide = json!({"properties": names.clone(), "default": {}});
    let tables: serde_json::Map<_, _> = (0..90).map(|at| (format!("a{at}"), json!({}))).collect();
    let tables: serde_json::Map<_, _> = (0..90).map(|at| (format!("a{at}"), json!(tables))).collect();
    let faults = parse(&wide)
        .unwrap()
        .fill_and_check(Format::Json, &mut json!(tables));
    assert_eq!(faults.len(), 1);
    assert!(faults[0].rule.contains("too long"), "{}", faults[0].rule);
    // Of a great document the first fault alone.
    let texts = parse(&json!({"items": {"type": "string"}})).unwrap();
    assert_eq!(texts.check(&json!(vec![1; 150_000])).len(), 1);
}

#[test]
fn what_cannot_be_delivered_is_no_default() {
    for reserved in [json!({"strongroom": "unset"}), json!({"a": {"strongroom": "x"}})] {
        let schema = json!({"properties": {"a": {"default": reserved}}});
        let refused = Schema::parse(schema.to_string().as_bytes());
        assert!(matches!(refused, Err(SchemaError::Form { .. })), "{refused:?}");
    }
    // TOML has no null and no such number: there the key is missing.
    for default in [json!({"b": null}), json!(u64::MAX)] {
        let schema = json!({"properties": {"a": {"default": default}}, "required": ["a"]});
        let schema = parse(&schema).unwrap();
        assert!(schema.fill_and_check(Format::Json, &mut json!({})).is_empty());
        assert_eq!(schema.fill_and_check(Format::Toml, &mut json!({})).len(), 1);
    }
}

fn nested(depth: usize) -> Value {
    (0..depth).fold(json!(1), |inner, _| json!({"x": inner}))
}

#[test]
fn schemas_that_refer_to_themselves_are_checked_and_bounded() {
    let tree = json!({
        "type": "object",
        "properties": {"x": {"anyOf": [{"type": "integer"}, {"$ref": "#"}]}},
        "additionalProperties": false,
    });
    assert_eq!(told(&tree, &nested(25)), Vec::<String>::new());
    assert_eq!(told(&tree, &json!({"x": {"y": 1}})).len(), 1);
    // each level asks twice about the next one
    let twice =
        json!({"allOf": [{"properties": {"x": {"$ref": "#"}}}, {"properties": {"x": {"$ref": "#"}}}]});
    assert_eq!(told(&twice, &nested(5)), Vec::<String>::new());
    let too_long = ["(the document) would take too long to check by its schema"];
    assert_eq!(told(&twice, &nested(30)), too_long);
    // deeper than any configuration
    assert_eq!(told(&json!({"type": "object"}), &nested(100)), too_long);
    // the same through names that are not shared costs nothing
    let names = doubling(60, |next| json!({"properties": {"a": next, "b": next}}));
    assert_eq!(told(&names, &json!({"a": {"b": {}}})), Vec::<String>::new());
}

#[test]
fn large_documents_and_schemas_are_checked() {
    let list: Vec<_> = (0..200_000).collect();
    let schema = json!({"properties": {"list": {"items": {"type": "integer"}, "uniqueItems": true}}});
    assert_eq!(told(&schema, &json!({"list": list})), Vec::<String>::new());
    let words: Vec<_> = (0..20_000).map(|at| format!("word{at}")).collect();
    let costly = json!({"items": {"enum": words}});
    let document = json!(vec!["word1"; 20_000]);
    assert_eq!(told(&costly, &document).len(), 1);
    let faults = json!({"items": {"type": "string"}});
    assert_eq!(parse(&faults).unwrap().check(&json!(vec![1; 5000])).len(), 100);
    let pattern = json!({"pattern": "^(a+)+$"});
    assert_eq!(told(&pattern, &json!("a".repeat(100_000) + "b")).len(), 1);
}

#[test]
fn a_small_stack_is_enough() {
    // that of the sidecar's thread which follows the store
    let check = || {
        let here = doubling(7, |next| json!({"allOf": [next]}));
        let below = doubling(2000, |next| json!({"properties": {"a": next}}));
        let tree = json!({"anyOf": [{"type": "integer"}, {"properties": {"x": {"$ref": "#"}}}]});
        assert_eq!(told(&here, &json!({})), Vec::<String>::new());
        assert_eq!(told(&below, &json!({"a": {"a": {}}})), Vec::<String>::new());
        assert_eq!(told(&tree, &nested(30)), Vec::<String>::new());
        // as many at one value as there may be, at every depth
        let mut both = doubling(6, |next| json!({"allOf": [next]}));
        both["$defs"]["p6"] = json!({"properties": {"x": {"$ref": "#"}}});
        assert_eq!(told(&both, &nested(30)), Vec::<String>::new());
    };
    let small = std::thread::Builder::new().stack_size(512 * 1024);
    small.spawn(check).unwrap().join().unwrap();
}

#[test]
fn a_schema_describes_its_keys() {
    let schema = json!({
        "allOf": [{"$ref": "#/$defs/base"}],
        "required": ["pool"],
        "$defs": {"base": {"properties": {"name": {"type": "string", "title": "What it is called", "deprecated": true}}}},
        "properties": {
            "pool": {"type": "object", "required": ["size"], "properties": {
                "size": {"type": ["integer", "null"], "default": 10, "description": "Connections"},
                "key": {"secret": true},
            }},
            "self": {"$ref": "#"},
        },
    });
    let schema = parse(&schema).unwrap();
    let fields: Vec<_> = schema
        .fields()
        .into_iter()
        .filter(|field| field.key.names().len() < 3)
        .collect();
    let find = |key: &str| {
        let found = fields.iter().find(|field| field.key.to_string() == key);
        found.unwrap_or(&fields[0]).clone()
    };
    let size = find("pool.size");
    assert_eq!(
        (size.types.join(" "), size.required),
        ("integer null".into(), true)
    );
    assert_eq!(
        (size.default, size.meaning.as_deref()),
        (Some(json!(10)), Some("Connections"))
    );
    assert!(find("pool").required && find("pool.key").secret && !find("self").required);
    let name = find("name");
    assert!(name.deprecated && name.meaning.as_deref() == Some("What it is called"));
    assert!(
        schema.fields().len() <= 1000,
        "a schema that holds itself is described without end"
    );
    let used = schema.deprecated(&json!({"self": {"self": {"name": 1}}, "name": 2, "x": {"name": 3}}));
    let used: Vec<_> = used.iter().map(ToString::to_string).collect();
    assert_eq!(used, ["self.self.name", "name"]);
}

#[test]
fn a_schema_is_inferred_that_its_documents_fit() {
    let one = json!({"name": "canary", "pool": {"size": 1, "wait": 0.5}, "hosts": [{"a": 1}, {"a": "x"}], "n": null});
    let other = json!({"name": "canary", "pool": {"size": 2}, "hosts": []});
    let inferred = infer(&[&one, &other]);
    let schema = parse(&inferred).unwrap();
    for document in [&one, &other] {
        assert_eq!(schema.check(document), []);
    }
    assert!(!inferred.to_string().contains("canary"), "{inferred}");
    assert_eq!(inferred["required"], json!(["name", "pool", "hosts"]));
    assert_eq!(inferred["properties"]["pool"]["required"], json!(["size"]));
    assert_eq!(
        told(&inferred, &json!({"name": "x", "pool": {"size": 1}})),
        ["hosts must be there"]
    );
    assert_eq!(
        told(
            &inferred,
            &json!({"name": "x", "pool": {"size": 1, "x": 1}, "hosts": []})
        ),
        ["pool.x is not known to the schema"]
    );
}

#[test]
fn a_reference_stands_for_a_text_where_the_schema_marks_one() {
    let reference = json!({"secret": "web/x"});
    let schema = json!({
        "type": "object",
        "$defs": {"hidden": {"type": "string", "minLength": 40, "secret": true}},
        "properties": {
            "own": {"type": "string", "pattern": "^k-", "secret": true},
            "by_ref": {"$ref": "#/$defs/hidden"},
            "by_all": {"allOf": [{"$ref": "#/$defs/hidden"}, {"description": "x"}]},
            "through": {"$ref": "#/properties/own"},
            "list": {"type": "array", "prefixItems": [{"type": "integer"}], "items": {"secret": true}},
            "others": {"additionalProperties": {"type": "string", "secret": true}},
            "number": {"type": "integer", "secret": true},
            "plain": {"type": "string"},
            "table": {"properties": {"secret": {"type": "string"}}},
            "patterned": {"patternProperties": {"^a": {"secret": true}}, "additionalProperties": {"secret": true}},
        },
    });
    let fits = json!({
        "own": reference, "by_ref": reference, "by_all": reference, "through": reference,
        "list": [1, reference, "x"], "others": {"any": reference},
    });
    assert_eq!(told(&schema, &fits), [] as [&str; 0]);
    // a value is held to what the schema says
    let values = json!({"own": "x", "by_ref": "short", "through": "x"});
    assert_eq!(
        told(&schema, &values),
        [
            "by_ref must have at least 40 characters",
            "own must match the pattern ^k-",
            "through must match the pattern ^k-",
        ]
    );
    let misplaced = json!({
        "number": reference, "plain": reference, "table": reference, "unknown": reference,
        "list": [reference], "patterned": {"a": reference},
    });
    let allows_none = "refers to a secret, and the schema allows none there";
    assert_eq!(
        told(&schema, &misplaced),
        [
            format!("list.0 {allows_none}"),
            "number refers to a secret, which is a text, and the schema asks for another type".to_owned(),
            format!("patterned.a {allows_none}"),
            format!("plain {allows_none}"),
            format!("table {allows_none}"),
            format!("unknown {allows_none}"),
        ]
    );
    // marks that stand apart from what else is said
    let apart = json!({
        "$defs": {"hidden": {"secret": true}},
        "properties": {
            "ref": {"$ref": "#/$defs/hidden", "type": "string"},
            "all": {"type": "string", "allOf": [{"secret": true}]},
            "": {"type": "string", "secret": true},
        },
    });
    assert_eq!(
        told(
            &apart,
            &json!({"ref": reference, "all": reference, "": reference})
        ),
        [] as [&str; 0]
    );
    assert_eq!(told(&apart, &json!({"ref": 1, "all": 1, "": 1})).len(), 3);
    // names that are no keywords
    let names = json!({"properties": {"secret": true, "a": {"properties": {"secret": {"type": "string"}}}}});
    let document = json!({"secret": 5, "a": {"secret": 7}});
    assert_eq!(told(&names, &document), ["a.secret must be a text"]);
}

#[test]
fn a_schema_that_is_inferred_knows_references() {
    let document = json!({"db": {"password": {"secret": "x"}, "user": "u"}});
    let schema = infer(&[&document]);
    assert_eq!(
        schema["properties"]["db"]["properties"]["password"],
        json!({"type": "string", "secret": true})
    );
    assert_eq!(told(&schema, &document), [] as [&str; 0]);
}
