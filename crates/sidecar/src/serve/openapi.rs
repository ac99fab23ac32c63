//! The description of the API: owns the OpenAPI document, which a test holds against the routes
//! and against real answers.

use bytes::Bytes;
use hyper::Response;
use strongroom_core::api::wire;
use utoipa::OpenApi;

use super::answer::{self, Refusal};
use super::body::Body;

/// Answers with the document.
pub(super) fn document() -> Response<Body> {
    match Document::openapi().to_json() {
        Ok(text) => answer::ok(answer::JSON, Bytes::from(text)),
        Err(_) => Refusal::internal("the document could not be written").into_response(),
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Strongroom sidecar",
        description = "What a sidecar answers on its Unix socket, over HTTP/1.1 and HTTP/2. Who asks is known from the kernel."
    ),
    paths(
        secret,
        config,
        flag,
        entries,
        values,
        status,
        whoami,
        watch,
        confirm,
        openapi,
        healthz,
        readyz,
        metrics,
        evaluate,
        evaluate_all,
        flag_events
    ),
    components(schemas(wire::RevisionEvent, wire::LaggedEvent))
)]
struct Document;

/// Describes one operation each; the handlers are in their own modules.
macro_rules! described {
    ($($(#[$meta:meta])* $name:ident;)*) => { $( $(#[$meta])* #[allow(dead_code, reason = "only described")] fn $name() {} )* };
}

described! {
    /// Read a secret
    ///
    /// JSON, or the bytes alone with `Accept: application/octet-stream`.
    #[utoipa::path(get, path = "/api/v1/secrets/{path}", tag = "read",
        params(
            ("path" = String, Path, description = "The entry's path; its slashes may stay as they are", example = "web/database/password"),
            ("at" = Option<u64>, Query, description = "Read at this revision"),
            ("label" = Option<String>, Query, description = "The version that this label points at: `current`, `pending` or `previous`"),
            ("if-none-match" = Option<String>, Header, description = "An etag: 304 when the value is still that one"),
        ),
        responses(
            (status = 200, description = "The secret", headers(
                ("strongroom-revision" = u64, description = "The revision the answer was read at"),
                ("strongroom-version" = u32, description = "The entry's version"),
                ("strongroom-stale-since" = String, description = "Since when the store is out of reach, RFC 3339; absent while it is not"),
                ("etag" = String, description = "For If-None-Match"),
            ), content((wire::EntryValue = "application/json"), (String = "application/octet-stream"))),
            (status = 304, description = "It has not changed"),
            (status = 400, description = "The path or query does not parse", body = wire::Failure),
            (status = 403, description = "This peer may not", body = wire::Failure),
            (status = 404, description = "There is no such entry of this kind", body = wire::Failure),
            (status = 410, description = "The revision is not available any more", body = wire::Failure),
            (status = 500, description = "The sealed record does not open", body = wire::Failure),
        )
    )]
    secret;

    /// Read a config document
    ///
    /// Merged with the documents of the environments it inherits from, with secrets in the place of references
    /// to them: who reads it must be allowed to read those too.
    #[utoipa::path(get, path = "/api/v1/configs/{path}", tag = "read",
        params(
            ("path" = String, Path, description = "The entry's path"),
            ("at" = Option<u64>, Query, description = "Read at this revision"),
            ("key" = Option<String>, Query, description = "Only what stands under this key, as JSON; a text comes bare as octet-stream"),
            ("format" = Option<String>, Query, description = "The whole as `json` or `toml`, whatever it is stored as"),
            ("if-none-match" = Option<String>, Header, description = "An etag: 304 when the document is still that one"),
        ),
        responses(
            (status = 200, description = "The document", content((wire::EntryValue = "application/json"), (String = "application/octet-stream"))),
            (status = 304, description = "It has not changed"),
            (status = 400, description = "The path or query does not parse", body = wire::Failure),
            (status = 403, description = "This peer may not", body = wire::Failure),
            (status = 404, description = "There is no such entry of this kind, or no such key in it", body = wire::Failure),
            (status = 410, description = "The revision is not available any more", body = wire::Failure),
            (status = 500, description = "A layer of the document does not parse, or it refers to a secret that is not there", body = wire::Failure),
        )
    )]
    config;

    /// Read a flag's definition
    #[utoipa::path(get, path = "/api/v1/flags/{key}", tag = "read",
        params(
            ("key" = String, Path, description = "The flag's path"),
            ("at" = Option<u64>, Query, description = "Read at this revision"),
            ("if-none-match" = Option<String>, Header, description = "An etag: 304 when the definition is still that one"),
        ),
        responses(
            (status = 200, description = "The definition", content((wire::EntryValue = "application/json"), (String = "application/octet-stream"))),
            (status = 304, description = "It has not changed"),
            (status = 400, description = "The key or query does not parse", body = wire::Failure),
            (status = 403, description = "This peer may not", body = wire::Failure),
            (status = 404, description = "There is no such entry of this kind", body = wire::Failure),
            (status = 410, description = "The revision is not available any more", body = wire::Failure),
        )
    )]
    flag;

    /// List entries, without values
    #[utoipa::path(get, path = "/api/v1/entries", tag = "read",
        params(
            ("prefix" = Option<String>, Query, description = "Only entries at or under this path"),
            ("kind" = Option<wire::Kind>, Query, description = "Only entries of this kind"),
            ("at" = Option<u64>, Query, description = "Read at this revision"),
        ),
        responses(
            (status = 200, description = "The entries, by path", body = wire::EntryList),
            (status = 400, description = "The query does not parse", body = wire::Failure),
            (status = 403, description = "This peer may not", body = wire::Failure),
            (status = 404, description = "The revision is not there yet, or the environment is gone", body = wire::Failure),
            (status = 410, description = "The revision is not available any more", body = wire::Failure),
        )
    )]
    entries;

    /// Read every value of one revision, as injected
    ///
    /// Flags are the text of their default variant; policies and schemas are left out.
    #[utoipa::path(get, path = "/api/v1/values", tag = "read",
        params(
            ("prefix" = Option<String>, Query, description = "Only entries at or under this path"),
            ("kind" = Option<wire::Kind>, Query, description = "Only entries of this kind"),
            ("at" = Option<u64>, Query, description = "Read at this revision"),
        ),
        responses(
            (status = 200, description = "The values, by path", body = wire::ValueList),
            (status = 400, description = "The query does not parse", body = wire::Failure),
            (status = 403, description = "This peer may not", body = wire::Failure),
            (status = 404, description = "The revision is not there yet, or the environment is gone", body = wire::Failure),
            (status = 410, description = "The revision is not available any more", body = wire::Failure),
            (status = 500, description = "A value does not open or a document does not parse", body = wire::Failure),
        )
    )]
    values;

    /// What is served, and how well
    #[utoipa::path(get, path = "/api/v1/status", tag = "sidecar",
        responses(
            (status = 200, description = "The status", body = wire::Status),
            (status = 403, description = "This peer may not", body = wire::Failure),
        )
    )]
    status;

    /// Who asks, as the sidecar sees it
    ///
    /// What the kernel says and what a container engine says are told apart. What is not known is
    /// null.
    #[utoipa::path(get, path = "/api/v1/whoami", tag = "sidecar",
        responses(
            (status = 200, description = "The process at the other end of the connection", body = wire::Workload),
            (status = 403, description = "This peer may not, or it is not the process any more that connected", body = wire::Failure),
            (status = 503, description = "It cannot be found out now", body = wire::Failure),
        )
    )]
    whoami;

    /// Follow revisions as server-sent events
    ///
    /// The first event comes at once: `revision`, with the changes since `Last-Event-ID` where
    /// they are known, else with `resync`. `lagged` is sent to a client that was too slow; a
    /// `revision` event with `resync` follows it. A comment is sent every 15 seconds.
    #[utoipa::path(get, path = "/api/v1/watch", tag = "read",
        params(
            ("prefix" = Option<String>, Query, description = "List only changes at or under this path"),
            ("last-event-id" = Option<u64>, Header, description = "The last revision that was seen"),
        ),
        responses(
            (status = 200, description = "Events of the schemas RevisionEvent and LaggedEvent", content((String = "text/event-stream"))),
            (status = 400, description = "The query does not parse", body = wire::Failure),
            (status = 403, description = "This peer may not", body = wire::Failure),
        )
    )]
    watch;

    /// Confirm that a version is in use
    ///
    /// For clients that know when they use a new value: a rotation waits for those that confirm, and
    /// takes reading for using with those that never did.
    #[utoipa::path(post, path = "/api/v1/confirm", tag = "read",
        request_body = wire::Confirmation,
        responses(
            (status = 200, description = "Whether what was confirmed is what is current", body = wire::Confirmed),
            (status = 400, description = "The body does not parse", body = wire::Failure),
            (status = 403, description = "This peer may not", body = wire::Failure),
            (status = 404, description = "There is no such entry, or no such version yet", body = wire::Failure),
            (status = 413, description = "The body is too long", body = wire::Failure),
            (status = 503, description = "It cannot be recorded or noted now", body = wire::Failure),
        )
    )]
    confirm;

    /// This document
    #[utoipa::path(get, path = "/api/v1/openapi.json", tag = "sidecar",
        responses((status = 200, description = "OpenAPI", content_type = "application/json", body = inline(std::collections::BTreeMap<String, serde_json::Value>)))
    )]
    openapi;

    /// Whether the process lives
    #[utoipa::path(get, path = "/healthz", tag = "sidecar",
        responses((status = 200, description = "It does", body = inline(std::collections::BTreeMap<String, String>)))
    )]
    healthz;

    /// Whether everything that is injected was delivered
    #[utoipa::path(get, path = "/readyz", tag = "sidecar",
        responses(
            (status = 200, description = "It was", body = inline(std::collections::BTreeMap<String, String>)),
            (status = 503, description = "Not yet", body = wire::Failure),
        )
    )]
    readyz;

    /// Numbers for who watches over the sidecar
    ///
    /// OpenMetrics text. No label has the name of an entry but of flags that who asks may know of.
    #[utoipa::path(get, path = "/metrics", tag = "sidecar",
        responses(
            (status = 200, description = "The numbers", content((String = "application/openmetrics-text"))),
            (status = 403, description = "This peer may not", body = wire::Failure),
        )
    )]
    metrics;

    /// Evaluate one flag (OFREP)
    ///
    /// The OpenFeature Remote Evaluation Protocol, 0.3.0. Rules find what is known of who asks as `$peer`.
    #[utoipa::path(post, path = "/ofrep/v1/evaluate/flags/{key}", tag = "flags",
        params(("key" = String, Path, description = "The flag's key, which is its path", example = "new-checkout")),
        request_body(content = inline(std::collections::BTreeMap<String, serde_json::Value>), description = "`{\"context\":{\"targetingKey\":\"ada\"}}`; it may be left out"),
        responses(
            (status = 200, description = "What it is: `key`, `reason`, `variant`, `value`, `metadata`. Without `value` the caller's own default holds", body = inline(std::collections::BTreeMap<String, serde_json::Value>)),
            (status = 400, description = "It cannot be evaluated, or the body does not parse: `key`, `errorCode`, `errorDetails`", body = inline(std::collections::BTreeMap<String, serde_json::Value>)),
            (status = 403, description = "This peer may not", body = inline(std::collections::BTreeMap<String, serde_json::Value>)),
            (status = 404, description = "There is no such flag", body = inline(std::collections::BTreeMap<String, serde_json::Value>)),
            (status = 413, description = "The body is too long", body = inline(std::collections::BTreeMap<String, serde_json::Value>)),
            (status = 503, description = "It cannot be recorded now, or it is not known who asks", body = inline(std::collections::BTreeMap<String, serde_json::Value>)),
        )
    )]
    evaluate;

    /// Evaluate all flags (OFREP)
    #[utoipa::path(post, path = "/ofrep/v1/evaluate/flags", tag = "flags",
        params(
            ("flagConfigEtag" = Option<String>, Query, description = "The configuration that the client knows of; another one is answered with 200"),
            ("flagConfigLastModified" = Option<String>, Query, description = "Not looked at"),
            ("if-none-match" = Option<String>, Header, description = "An etag: 304 when the answer is still that one"),
            ("flagd-selector" = Option<String>, Header, description = "`flagSetId=SET`, or `source=PATH` for flags at or under a path"),
        ),
        request_body(content = inline(std::collections::BTreeMap<String, serde_json::Value>), description = "As for one flag"),
        responses(
            (status = 200, description = "The flags that this peer may evaluate: `flags`, `metadata`, `eventStreams`", body = inline(std::collections::BTreeMap<String, serde_json::Value>), headers(("etag" = String, description = "For If-None-Match"))),
            (status = 304, description = "The answer is still that one"),
            (status = 400, description = "The body or the selector does not parse", body = inline(std::collections::BTreeMap<String, serde_json::Value>)),
            (status = 403, description = "This peer may not", body = inline(std::collections::BTreeMap<String, serde_json::Value>)),
            (status = 413, description = "The body is too long", body = inline(std::collections::BTreeMap<String, serde_json::Value>)),
            (status = 503, description = "It cannot be recorded now, or it is not known who asks", body = inline(std::collections::BTreeMap<String, serde_json::Value>)),
        )
    )]
    evaluate_all;

    /// Learn when to evaluate flags anew (OFREP)
    ///
    /// Server-sent events `message` with `{"type":"refetchEvaluation"}`: flags that this peer may evaluate have
    /// changed, or what it may evaluate. A comment is sent every 15 seconds.
    #[utoipa::path(get, path = "/ofrep/v1/events", tag = "flags",
        params(("last-event-id" = Option<u64>, Header, description = "The last event that was seen: what was missed is told at once")),
        responses(
            (status = 200, description = "The events", content((String = "text/event-stream"))),
            (status = 403, description = "This peer may not", body = wire::Failure),
        )
    )]
    flag_events;
}
