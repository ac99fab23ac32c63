//! Names in a template's text: owns telling what the text itself says from what was computed.

use std::collections::BTreeSet;

use super::tokens::{Token, Tokens, is_letter};

/// The first of `names` that stands in an expression or statement, with its line, from 1.
pub(super) fn first_of<'a>(text: &'a str, names: &BTreeSet<String>) -> Option<(usize, &'a str)> {
    let mut last = None;
    Tokens::of(text).find_map(|(line, token)| {
        let before = last.replace(token);
        match token {
            Token::Word(word) if names.contains(word) && !matches!(before, Some(Token::Sign("." | "|"))) => {
                Some((line, word))
            }
            _ => None,
        }
    })
}

/// Whether the text has `name` as a literal: in quotes, or after a point.
pub(super) fn is_written(text: &str, name: &str) -> bool {
    let follows_point = |at: usize| {
        let before = text.get(..at).is_some_and(|before| before.ends_with('.'));
        let after = text.get(at.saturating_add(name.len())..).unwrap_or_default();
        before && !after.starts_with(is_letter)
    };
    text.contains(&format!("\"{name}\""))
        || text.contains(&format!("'{name}'"))
        || text.match_indices(name).any(|(at, _)| follows_point(at))
}

/// The word of an engine's message that stands in the text after a `|`, an `is` or a point.
pub(super) fn named_in(text: &str, message: &str) -> Option<String> {
    let mut words = message
        .split(|letter| !is_letter(letter))
        .filter(|word| !word.is_empty());
    words
        .find(|word| {
            text.match_indices(*word).any(|(at, _)| {
                let before = text.get(..at).unwrap_or_default().trim_end();
                before.ends_with(['|', '.']) || before.ends_with(" is") || before.ends_with(" not")
            })
        })
        .map(str::to_owned)
}
