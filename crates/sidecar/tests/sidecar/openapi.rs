//! The OpenAPI document describes what is served: every route, and every answer's shape.

use std::collections::BTreeSet;

use serde_json::Value;
use strongroom_core::kind::Kind;
use strongroom_sidecar::serve::Route;

use crate::http::Events;
use crate::process::Sidecar;
use crate::scene::{Scene, put};

/// Checks a value against a schema as far as the document's schemas go: references, objects with
/// required properties and no others, arrays, enums, alternatives and primitive types.
fn check(document: &Value, schema: &Value, value: &Value, at: &str) {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.strip_prefix("#/components/schemas/").unwrap();
        return check(document, &document["components"]["schemas"][name], value, name);
    }
    if let Some(any) = schema["oneOf"].as_array().or(schema["anyOf"].as_array()) {
        let fits = |one: &Value| std::panic::catch_unwind(|| check(document, one, value, at)).is_ok();
        assert!(any.iter().any(fits), "{at}: {value} fits none of {any:?}");
        return;
    }
    if let Some(all) = schema["allOf"].as_array() {
        return all.iter().for_each(|one| check(document, one, value, at));
    }
    if let Some(allowed) = schema["enum"].as_array() {
        assert!(allowed.contains(value), "{at}: {value} is not one of {allowed:?}");
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        _ => vec![],
    };
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    assert!(
        types.is_empty() || types.contains(&found),
        "{at}: {value} is {found}, not {types:?}"
    );
    if let Value::Array(items) = value {
        items
            .iter()
            .for_each(|item| check(document, &schema["items"], item, at));
    }
    if let Value::Object(fields) = value {
        for required in schema["required"].as_array().into_iter().flatten() {
            assert!(
                fields.contains_key(required.as_str().unwrap()),
                "{at} lacks {required}"
            );
        }
        for (name, field) in fields {
            let known = &schema["properties"][name];
            let schema = if known.is_null() {
                &schema["additionalProperties"]
            } else {
                known
            };
            assert!(!schema.is_null(), "{at}.{name} is not described");
            check(document, schema, field, &format!("{at}.{name}"));
        }
    }
}

#[test]
fn every_route_is_described_and_every_description_is_served() {
    let scene = Scene::with_token();
    let sidecar = Sidecar::start(&scene, "");
    let document = sidecar.get("/api/v1/openapi.json").json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3."));
    let described: BTreeSet<&str> = document["paths"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let served: BTreeSet<&str> = Route::TEMPLATES.iter().map(|(template, _)| *template).collect();
    assert_eq!(described, served);
    for (template, route) in Route::TEMPLATES {
        let target = template.replace("{path}", "x").replace("{key}", "x");
        assert_eq!(Route::of(&target).as_ref(), Some(route), "{template}");
        let method = match route {
            Route::Confirm | Route::Evaluate(_) | Route::Evaluations => "post",
            _ => "get",
        };
        // every name the query may have is described, and no other
        let parameters = document["paths"][*template][method]["parameters"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let described: Vec<&str> = parameters
            .iter()
            .filter(|p| p["in"] == "query")
            .map(|p| p["name"].as_str().unwrap())
            .collect();
        assert_eq!(described, route.parameters(), "{template}");
        let operations: Vec<&String> = document["paths"][*template].as_object().unwrap().keys().collect();
        assert_eq!(operations, [method]);
    }
}

#[test]
fn real_answers_have_the_described_shape() {
    let scene = Scene::with_token();
    let flag = r#"{"state":"ENABLED","variants":{"on":true,"off":false},"defaultVariant":"on"}"#;
    scene.commit(vec![
        put("prod", "binary", Kind::Secret, &[0xff]),
        put("prod", "web/app", Kind::Config, b"{}"),
        put("prod", "ui", Kind::Flag, flag.as_bytes()),
    ]);
    let sidecar = Sidecar::start(&scene, "[[files]]\ndirectory = \"files\"\nprefix = \"web\"");
    let document = sidecar.get("/api/v1/openapi.json").json();
    let described = |template: &str, status: u16| {
        let response = &document["paths"][template]["get"]["responses"][status.to_string()];
        assert!(!response.is_null(), "{template} does not describe {status}");
        response["content"]["application/json"]["schema"].clone()
    };
    for (target, template) in [
        ("/api/v1/secrets/web/token", "/api/v1/secrets/{path}"),
        ("/api/v1/secrets/binary", "/api/v1/secrets/{path}"),
        ("/api/v1/secrets/none", "/api/v1/secrets/{path}"),
        ("/api/v1/secrets/a//b", "/api/v1/secrets/{path}"),
        ("/api/v1/configs/web/app", "/api/v1/configs/{path}"),
        ("/api/v1/flags/ui", "/api/v1/flags/{key}"),
        ("/api/v1/entries", "/api/v1/entries"),
        ("/api/v1/entries?at=99999", "/api/v1/entries"),
        ("/api/v1/values", "/api/v1/values"),
        ("/api/v1/values?kind=x", "/api/v1/values"),
        ("/api/v1/status", "/api/v1/status"),
        ("/api/v1/whoami", "/api/v1/whoami"),
        ("/api/v1/openapi.json", "/api/v1/openapi.json"),
        ("/healthz", "/healthz"),
        ("/readyz", "/readyz"),
    ] {
        let answer = sidecar.get(target);
        let schema = described(template, answer.status);
        assert!(!schema.is_null(), "{target}: {} has no schema", answer.status);
        if !target.ends_with("openapi.json") {
            check(&document, &schema, &answer.json(), target);
        }
    }
    let mut events = Events::open(&sidecar.socket, "/api/v1/watch", &[]);
    let schemas = &document["components"]["schemas"];
    check(
        &document,
        &schemas["RevisionEvent"],
        &events.next().unwrap().data,
        "watch",
    );
    scene.secret("web/token", "two");
    check(
        &document,
        &schemas["RevisionEvent"],
        &events.next().unwrap().data,
        "watch",
    );
    assert!(schemas["LaggedEvent"]["properties"]["missed"].is_object());
}
