//! Which paths are promoted: owns the patterns of `--only`. It must not know entries.

use std::str::FromStr;

use strongroom_core::name::EntryPath;

/// A path in which `*` stands for one segment and `**` for any number of them, also none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Only(Vec<String>);

impl FromStr for Only {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let segments: Vec<_> = text.split('/').map(str::to_owned).collect();
        for segment in segments.iter().filter(|segment| !is_wild(segment)) {
            EntryPath::new(segment.as_str()).map_err(|error| {
                format!("{error}; `*` stands for one segment, `**` for any number of them")
            })?;
        }
        Ok(Self(segments))
    }
}

impl Only {
    pub(super) fn holds(&self, path: &EntryPath) -> bool {
        let path: Vec<_> = path.as_str().split('/').collect();
        matches(&self.0, &path)
    }

    pub(super) fn text(&self) -> String {
        self.0.join("/")
    }
}

fn is_wild(segment: &str) -> bool {
    matches!(segment, "*" | "**")
}

fn matches(pattern: &[String], path: &[&str]) -> bool {
    let Some((first, rest)) = pattern.split_first() else {
        return path.is_empty();
    };
    let below = path.split_first();
    if first == "**" {
        return matches(rest, path) || below.is_some_and(|(_, below)| matches(pattern, below));
    }
    below.is_some_and(|(segment, below)| (first == "*" || first == segment) && matches(rest, below))
}
