//! Which flags a client asks for: owns flagd's selectors, `flagSetId=SET`, `source=PATH` or a bare path. It must
//! not know protocols.

use hyper::header::HeaderMap;
use serde_json::{Map, Value};
use strongroom_core::name::EntryPath;
use strongroom_core::snapshot::FlagEntry;
use strongroom_core::vault::Flags;

use super::answer::Refusal;

/// The header that names it.
const HEADER: &str = "flagd-selector";
const SET: &str = "flagSetId";

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Selector {
    what: What,
    /// The selector itself, for answers.
    metadata: Map<String, Value>,
}

#[derive(Clone, Debug, Default)]
enum What {
    #[default]
    All,
    /// Flags whose metadata name this set; those that name none, where it is empty.
    Set(String),
    /// Flags at or under a path: what a file is to flagd.
    Source(EntryPath),
}

impl Selector {
    /// The one in a request's headers.
    ///
    /// # Errors
    /// [`Refusal`] for what is none.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        match headers.get(HEADER).map(|text| text.to_str()) {
            None => Ok(Self::default()),
            Some(Ok(text)) => Self::parse(text),
            Some(Err(_)) => Err(Refusal::bad("the selector is not plain text")),
        }
    }

    /// The one in a request's headers, else `text`.
    ///
    /// # Errors
    /// [`Refusal`] for what is none.
    pub(super) fn either(headers: &HeaderMap, text: &str) -> Result<Self, Refusal> {
        if headers.contains_key(HEADER) {
            Self::of(headers)
        } else {
            Self::parse(text)
        }
    }

    /// Parses one.
    ///
    /// # Errors
    /// [`Refusal`].
    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        let text = text.trim();
        let (name, value) = text.split_once('=').unwrap_or(("source", text));
        let what = match (name, value) {
            (SET, set) => What::Set(set.to_owned()),
            ("source", "") => What::All,
            ("source", path) => {
                let path =
                    EntryPath::new(path).map_err(|error| Refusal::bad(format!("selector: {error}")))?;
                What::Source(path)
            }
            _ => return Err(Refusal::bad("a selector is flagSetId=SET or source=PATH")),
        };
        let mut metadata = Map::new();
        if !matches!(what, What::All) {
            metadata.insert(name.to_owned(), value.into());
        }
        Ok(Self { what, metadata })
    }

    /// False for a flag that is not asked for, as far as its place tells.
    pub(super) fn may_be(&self, entry: &FlagEntry) -> bool {
        match &self.what {
            What::Source(path) => entry.flag.path.is_under(path),
            What::All | What::Set(_) => true,
        }
    }

    /// Whether a flag is asked for.
    pub(super) fn is_of(&self, flags: &Flags, key: &str) -> bool {
        let What::Set(wanted) = &self.what else {
            return true;
        };
        let set = flags.get(key).ok().and_then(|flag| flag.metadata().get(SET));
        set.and_then(Value::as_str).unwrap_or_default() == wanted
    }

    /// What answers say of it.
    pub(super) fn metadata(&self) -> &Map<String, Value> {
        &self.metadata
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_is_a_set_a_source_or_a_bare_path() {
        let read = |text: &str| match Selector::parse(text).map(|selector| selector.what) {
            Ok(What::All) => "all".to_owned(),
            Ok(What::Set(set)) => format!("set {set}"),
            Ok(What::Source(path)) => format!("source {path}"),
            Err(_) => "none".to_owned(),
        };
        for (text, what) in [
            ("flagSetId=shop", "set shop"),
            ("flagSetId=", "set "),
            ("source=web", "source web"),
            (" web/shop ", "source web/shop"),
            ("", "all"),
            ("sourc=web", "none"),
            ("source=/web", "none"),
            ("flagSetID=x", "none"),
            ("a//b", "none"),
        ] {
            assert_eq!(read(text), what, "{text}");
        }
    }
}
