//! Sources as text: owns reading which modules a Rust file names, for the tests of the arrows. It
//! must not know the order of modules or any rule.

/// One token of a source: comments, strings, characters and lifetimes are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token<'a> {
    /// A word: an identifier, a keyword or a number.
    Word(&'a str),
    /// `::`
    Path,
    /// Any other character that is not white space.
    Mark(char),
}

/// The tokens of `text`, each with its line from 1.
#[must_use]
pub fn tokens(text: &str) -> Vec<(usize, Token<'_>)> {
    let mut out = Vec::new();
    let mut rest = text;
    let mut line = 1;
    while let Some(first) = rest.chars().next() {
        let after = if let Some(after) = skipped(rest) {
            after
        } else if first.is_alphanumeric() || first == '_' {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_'));
            let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
            out.push((line, Token::Word(word)));
            after
        } else if let Some(after) = rest.strip_prefix("::") {
            out.push((line, Token::Path));
            after
        } else {
            if !first.is_whitespace() {
                out.push((line, Token::Mark(first)));
            }
            &rest[first.len_utf8()..]
        };
        line += rest[..rest.len() - after.len()].matches('\n').count();
        rest = after;
    }
    out
}

/// What follows a comment, string, character or lifetime at the start of `rest`.
fn skipped(rest: &str) -> Option<&str> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').map_or("", |end| &rest[end..]));
    }
    if rest.starts_with("/*") {
        return Some(rest.find("*/").map_or("", |end| &rest[end + 2..]));
    }
    let plain = rest.strip_prefix('b').unwrap_or(rest);
    if let Some(raw) = plain.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if let Some(body) = raw[hashes..].strip_prefix('"') {
            let close = format!("\"{}", "#".repeat(hashes));
            return Some(body.find(&close).map_or("", |end| &body[end + close.len()..]));
        }
    }
    if let Some(body) = plain.strip_prefix('"') {
        return Some(after_quote(body, '"'));
    }
    let body = plain.strip_prefix('\'')?;
    // 'a' and '\n' are characters, 'a is a lifetime
    let mut chars = body.chars();
    match (chars.next(), chars.next()) {
        (Some('\\'), _) | (_, Some('\'')) => Some(after_quote(body, '\'')),
        _ => Some(body),
    }
}

fn after_quote(body: &str, quote: char) -> &str {
    let mut escaped = false;
    for (at, c) in body.char_indices() {
        if c == quote && !escaped {
            return &body[at + 1..];
        }
        escaped = c == '\\' && !escaped;
    }
    ""
}

/// A name directly below the crate's root that a file mentions: `line`, `name`.
pub type Mention<'a> = (usize, &'a str);

/// Every `crate::NAME` and every `super::` chain that reaches the root, in a file whose own module
/// path is `module` (empty for `lib.rs`). Groups (`crate::{a, b::c}`) give one mention each.
#[must_use]
pub fn mentions<'a>(text: &'a str, module: &[&str]) -> Vec<Mention<'a>> {
    let tokens = tokens(text);
    let mut out = Vec::new();
    // for every open brace: whether it is an inline module's
    let mut braces = Vec::new();
    let mut at = 0;
    while let Some((_, token)) = tokens.get(at) {
        match token {
            Token::Mark('{') => {
                let inline = at >= 2
                    && matches!(
                        (tokens[at - 2].1, tokens[at - 1].1),
                        (Token::Word("mod"), Token::Word(_))
                    );
                braces.push(inline);
            }
            Token::Mark('}') => {
                braces.pop();
            }
            Token::Word("crate") => {
                at = root_names(&tokens, at + 1, &mut out);
                continue;
            }
            Token::Word("super") => {
                let depth = module.len() + braces.iter().filter(|inline| **inline).count();
                let mut ups = 1;
                while matches!(
                    tokens.get(at + 1..at + 3),
                    Some([(_, Token::Path), (_, Token::Word("super"))])
                ) {
                    ups += 1;
                    at += 2;
                }
                at = if ups >= depth {
                    root_names(&tokens, at + 1, &mut out)
                } else {
                    at + 1
                };
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    out
}

/// Reads `::NAME` or `::{NAME.., NAME..}` at `at`; gives where to go on.
fn root_names<'a>(tokens: &[(usize, Token<'a>)], at: usize, out: &mut Vec<Mention<'a>>) -> usize {
    let Some((_, Token::Path)) = tokens.get(at) else {
        return at;
    };
    match tokens.get(at + 1) {
        Some((line, Token::Word(name))) => {
            out.push((*line, name));
            at + 2
        }
        Some((_, Token::Mark('{'))) => {
            let mut depth = 1;
            let mut first = true;
            let mut next = at + 2;
            while depth > 0 {
                match tokens.get(next) {
                    Some((_, Token::Mark('{'))) => depth += 1,
                    Some((_, Token::Mark('}'))) => depth -= 1,
                    Some((_, Token::Mark(','))) if depth == 1 => first = true,
                    Some((line, Token::Word(name))) if first => {
                        out.push((*line, name));
                        first = false;
                    }
                    Some(_) => {}
                    None => break,
                }
                next += 1;
            }
            next
        }
        _ => at + 1,
    }
}
