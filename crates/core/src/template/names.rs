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

/// What `functions` are called with first, where each call has that as a text in quotes; `None` where the text does
/// not say all of it.
pub(super) fn asked(text: &str, functions: &[&str]) -> Option<BTreeSet<String>> {
    let mut asked = BTreeSet::new();
    let mut before = None;
    let mut tokens = Tokens::of(text).map(|(_, token)| token).peekable();
    while let Some(token) = tokens.next() {
        let is_part = matches!(before.replace(token), Some(Token::Sign("." | "|")));
        if is_part || !matches!(token, Token::Word(word) if functions.contains(&word)) {
            continue;
        }
        let (Some(Token::Sign("(")), Some(Token::Literal(literal))) = (tokens.next(), tokens.next()) else {
            return None;
        };
        if literal.contains('\\') || !matches!(tokens.peek(), Some(Token::Sign(")" | ","))) {
            return None;
        }
        asked.insert(literal.trim_matches(['"', '\'']).to_owned());
    }
    Some(asked)
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

/// The name in an engine's message that there is no such filter, test, method or function, where the text itself
/// has it as a word.
pub(super) fn named_in(text: &str, what: &str, message: &str) -> Option<String> {
    let name = match what {
        "method" => message.split_once(" has no method named ")?.1,
        "function" => message.strip_suffix(" is unknown")?,
        what => {
            let name = message.strip_prefix(what)?.strip_prefix(' ')?;
            name.strip_suffix(" is unknown")?
        }
    };
    let is_written = Tokens::of(text).any(|(_, token)| token == Token::Word(name));
    is_written.then(|| name.to_owned())
}
