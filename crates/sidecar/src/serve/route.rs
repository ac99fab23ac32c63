//! Which address means what: owns the routes and their queries. It must not answer them.

use std::borrow::Cow;

use strongroom_core::api::{PREFIX, uri};
use strongroom_core::config::{Delivered, Key};
use strongroom_core::id::Revision;
use strongroom_core::kind::Kind;
use strongroom_core::name::EntryPath;
use strongroom_core::policy::Action;
use strongroom_core::snapshot::Label;

use super::answer::Refusal;
use super::ofrep;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route<'a> {
    /// One opened entry of a kind; its path is still as the client wrote it.
    Entry(Kind, &'a str),
    /// What there is.
    Entries,
    /// Every value.
    Values,
    /// The sidecar itself.
    Status,
    /// Who asks.
    Whoami,
    /// The stream of revisions.
    Watch,
    /// That a version is in use. Posted.
    Confirm,
    /// What one flag is for who asks; its key is still as the client wrote it. Posted.
    Evaluate(&'a str),
    /// What all flags are. Posted.
    Evaluations,
    /// The stream that says when to evaluate anew.
    FlagEvents,
    /// A call of flagd's protocols. Posted.
    Rpc,
    /// The description of all of this.
    OpenApi,
    /// Whether the process lives.
    Healthz,
    /// Whether everything was delivered.
    Readyz,
    /// Numbers for who watches over it.
    Metrics,
}

/// The places of answers that are no route's: calls of flagd's protocols, and what is nothing.
const RPC: usize = Route::TEMPLATES.len();
const OTHER: usize = RPC + 1;

impl Route<'static> {
    /// The names of all addresses, in the order of their places.
    pub(super) fn places() -> impl Iterator<Item = &'static str> {
        let routes = Self::TEMPLATES.iter().map(|(template, _)| *template);
        routes.chain(["/flagd.*", "other"])
    }

    /// Every route with its address, as the OpenAPI document writes it.
    pub const TEMPLATES: &'static [(&'static str, Self)] = &[
        ("/api/v1/secrets/{path}", Self::Entry(Kind::Secret, "x")),
        ("/api/v1/configs/{path}", Self::Entry(Kind::Config, "x")),
        ("/api/v1/flags/{key}", Self::Entry(Kind::Flag, "x")),
        ("/api/v1/entries", Self::Entries),
        ("/api/v1/values", Self::Values),
        ("/api/v1/status", Self::Status),
        ("/api/v1/whoami", Self::Whoami),
        ("/api/v1/watch", Self::Watch),
        ("/api/v1/confirm", Self::Confirm),
        ("/api/v1/openapi.json", Self::OpenApi),
        ("/healthz", Self::Healthz),
        ("/readyz", Self::Readyz),
        ("/metrics", Self::Metrics),
        ("/ofrep/v1/evaluate/flags/{key}", Self::Evaluate("x")),
        ("/ofrep/v1/evaluate/flags", Self::Evaluations),
        ("/ofrep/v1/events", Self::FlagEvents),
    ];
}

impl<'a> Route<'a> {
    /// The route of a path.
    #[must_use]
    pub fn of(path: &'a str) -> Option<Self> {
        let Some(rest) = path.strip_prefix(PREFIX) else {
            return match path {
                "/healthz" => Some(Self::Healthz),
                "/readyz" => Some(Self::Readyz),
                "/metrics" => Some(Self::Metrics),
                "/ofrep/v1/evaluate/flags" | "/ofrep/v1/evaluate/flags/" => Some(Self::Evaluations),
                ofrep::EVENTS => Some(Self::FlagEvents),
                _ if path.starts_with("/flagd.") => Some(Self::Rpc),
                _ => path.strip_prefix("/ofrep/v1/evaluate/flags/").map(Self::Evaluate),
            };
        };
        match rest.split_once('/') {
            Some(("secrets", path)) => Some(Self::Entry(Kind::Secret, path)),
            Some(("configs", path)) => Some(Self::Entry(Kind::Config, path)),
            Some(("flags", path)) => Some(Self::Entry(Kind::Flag, path)),
            Some(_) => None,
            None => match rest {
                "entries" => Some(Self::Entries),
                "values" => Some(Self::Values),
                "status" => Some(Self::Status),
                "whoami" => Some(Self::Whoami),
                "watch" => Some(Self::Watch),
                "confirm" => Some(Self::Confirm),
                "openapi.json" => Some(Self::OpenApi),
                _ => None,
            },
        }
    }

    /// The number of the address of `path`, by which its answers are counted: that of its template, and more for
    /// what has none.
    pub(super) fn place(path: &'a str) -> usize {
        match Self::of(path) {
            Some(Self::Entry(Kind::Secret, _)) => 0,
            Some(Self::Entry(Kind::Config, _)) => 1,
            Some(Self::Entry(..)) => 2,
            Some(Self::Entries) => 3,
            Some(Self::Values) => 4,
            Some(Self::Status) => 5,
            Some(Self::Whoami) => 6,
            Some(Self::Watch) => 7,
            Some(Self::Confirm) => 8,
            Some(Self::OpenApi) => 9,
            Some(Self::Healthz) => 10,
            Some(Self::Readyz) => 11,
            Some(Self::Metrics) => 12,
            Some(Self::Evaluate(_)) => 13,
            Some(Self::Evaluations) => 14,
            Some(Self::FlagEvents) => 15,
            Some(Self::Rpc) => RPC,
            None => OTHER,
        }
    }

    /// What it does, in the words of policies.
    #[must_use]
    pub fn action(self) -> Action {
        match self {
            Self::Entry(kind, _) => Action::read_of(kind),
            Self::Values => Action::ReadSecret,
            Self::Watch | Self::FlagEvents => Action::Watch,
            Self::Evaluate(_) | Self::Evaluations | Self::Rpc => Action::EvaluateFlag,
            Self::Confirm => Action::Confirm,
            _ => Action::Describe,
        }
    }

    /// The entry it is about, if it has a name.
    #[must_use]
    pub fn path(self) -> Option<EntryPath> {
        match self {
            Self::Entry(_, path) | Self::Evaluate(path) => EntryPath::new(&decode(path).ok()?).ok(),
            _ => None,
        }
    }

    /// The names its query may have.
    #[must_use]
    pub fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::Entry(Kind::Secret, _) => &["at", "label"],
            Self::Entry(Kind::Config, _) => &["at", "key", "format"],
            Self::Entry(..) => &["at"],
            Self::Entries | Self::Values => &["prefix", "kind", "at"],
            Self::Watch => &["prefix"],
            Self::Evaluations => &["flagConfigEtag", "flagConfigLastModified"],
            Self::Confirm
            | Self::Evaluate(_)
            | Self::FlagEvents
            | Self::Rpc
            | Self::Status
            | Self::Whoami
            | Self::OpenApi
            | Self::Healthz
            | Self::Readyz
            | Self::Metrics => &[],
        }
    }

    /// Parses the query.
    ///
    /// # Errors
    /// [`Refusal`] for names this route does not have, and values that do not parse.
    pub fn query(self, query: Option<&str>) -> Result<Query, Refusal> {
        let mut out = Query::default();
        let pairs = query
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty());
        for pair in pairs {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if !self.parameters().contains(&name) {
                return Err(self.unknown_parameter());
            }
            let value = decode(value)?;
            if matches!(name, "key" | "format") && out.part.is_some() {
                return Err(Refusal::bad(
                    "a document is asked for by one key, or in one format",
                ));
            }
            match name {
                "at" => out.at = Some(revision(&value)?),
                "label" => {
                    let label = value
                        .parse()
                        .map_err(|error| Refusal::bad(format!("label: {error}")))?;
                    out.label = Some(label);
                }
                "key" => {
                    let key = value
                        .parse()
                        .map_err(|error| Refusal::bad(format!("key: {error}")))?;
                    out.part = Some(Part::Key(key));
                }
                "format" => {
                    let format = match &*value {
                        "json" => Delivered::Json,
                        "toml" => Delivered::Toml,
                        _ => return Err(Refusal::bad("format: one of json and toml is wanted")),
                    };
                    out.part = Some(Part::As(format));
                }
                "flagConfigEtag" => out.etag = Some(value.into_owned()),
                // what changed since then is not asked for: the etag tells more
                "flagConfigLastModified" => {}
                "prefix" => {
                    let prefix =
                        EntryPath::new(&value).map_err(|error| Refusal::bad(format!("prefix: {error}")))?;
                    out.prefix = Some(prefix);
                }
                _ => {
                    let kind = value
                        .parse()
                        .map_err(|error| Refusal::bad(format!("kind: {error}")))?;
                    out.kind = Some(kind);
                }
            }
        }
        Ok(out)
    }

    fn unknown_parameter(self) -> Refusal {
        match self.parameters() {
            [] => Refusal::bad("this route takes no query"),
            known => Refusal::bad(format!(
                "the query has a name that is not known here; known: {}",
                known.join(", ")
            )),
        }
    }
}

fn revision(text: &str) -> Result<Revision, Refusal> {
    let revision = text.parse().ok().filter(|revision: &Revision| revision.0 > 0);
    revision.ok_or_else(|| Refusal::bad("at: a revision is a whole number from 1"))
}

/// Decodes a part of an address.
pub(super) fn decode(text: &str) -> Result<Cow<'_, str>, Refusal> {
    uri::decode(text).map_err(|error| Refusal::bad(error.to_string()))
}

/// What of a document is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Only the value of this key.
    Key(Key),
    /// The whole in this format.
    As(Delivered),
}

/// A query that fits its route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Read at this revision.
    pub at: Option<Revision>,
    /// Only entries at or under this path.
    pub prefix: Option<EntryPath>,
    /// Only entries of this kind.
    pub kind: Option<Kind>,
    /// The version that this label points at.
    pub label: Option<Label>,
    /// What of a document is wanted, where it is not the whole as it is.
    pub part: Option<Part>,
    /// The configuration of flags that the client knows of.
    pub etag: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_is_counted_in_its_own_place() {
        for (place, (template, _)) in Route::TEMPLATES.iter().enumerate() {
            assert_eq!(Route::place(template), place, "{template}");
        }
        assert_eq!(Route::place("/flagd.evaluation.v1.Service/ResolveAll"), RPC);
        assert_eq!(Route::place("/nowhere"), OTHER);
        const { assert!(OTHER < crate::tally::PLACES) };
    }
}
