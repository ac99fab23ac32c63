//! A template's text as tokens: owns where the engine finds expressions and statements, and their words and
//! signs. It must not know what they mean. One pass, on no more stack for a long text than for a short one.

/// What stands in an expression or statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// `{{`.
    Expression,
    /// `{%`.
    Statement,
    /// `}}` or `%}`.
    End,
    /// A name or keyword.
    Word(&'a str),
    /// A text in quotes, with them, or a number.
    Literal(&'a str),
    /// Anything else; `==` and its like are one.
    Sign(&'a str),
}

/// The tokens of a text, each with its line, from 1.
pub(super) struct Tokens<'a> {
    rest: &'a str,
    line: usize,
    /// What ends what was begun.
    end: Option<&'static str>,
    /// Brackets that are open: in them, `}}` is two signs.
    open: isize,
    /// What was taken last is a point.
    is_after_point: bool,
}

const SIGNS: [&str; 6] = ["//", "**", "==", "!=", ">=", "<="];

impl<'a> Tokens<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self {
            rest: text,
            line: 1,
            end: None,
            open: 0,
            is_after_point: false,
        }
    }

    /// What comes after the last token.
    pub(super) fn rest(&self) -> &'a str {
        self.rest
    }

    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self
            .rest
            .split_at_checked(bytes)
            .unwrap_or((self.rest, Default::default()));
        self.rest = rest;
        self.line = self
            .line
            .saturating_add(taken.bytes().filter(|byte| *byte == b'\n').count());
        taken
    }

    /// The next beginning that is neither a comment nor raw.
    fn begin(&mut self) -> Option<Token<'a>> {
        loop {
            let at = self.rest.find('{')?;
            self.take(at);
            let (token, end) = match self.rest.as_bytes().get(1) {
                Some(b'{') => (Token::Expression, "}}"),
                Some(b'%') => (Token::Statement, "%}"),
                Some(b'#') => {
                    // as in the engine, what ends it may begin with the `#` that began it
                    let end = self.rest.get(2..)?.find("#}")?;
                    self.take(end.saturating_add(4));
                    continue;
                }
                _ => {
                    self.take(1);
                    continue;
                }
            };
            self.take(2);
            if self.rest.starts_with(['-', '+']) {
                self.take(1);
            }
            if token == Token::Statement
                && let Some(raw) = tag(self.rest, "raw")
            {
                self.take(raw);
                self.skip_raw()?;
                continue;
            }
            self.end = Some(end);
            self.open = 0;
            return Some(token);
        }
    }

    fn skip_raw(&mut self) -> Option<()> {
        loop {
            let at = self.rest.find("{%")?;
            self.take(at.saturating_add(2));
            let inside = self.rest.strip_prefix(['-', '+']).unwrap_or(self.rest);
            if let Some(end) = tag(inside, "endraw") {
                let sign = self.rest.len().saturating_sub(inside.len());
                self.take(sign.saturating_add(end));
                return Some(());
            }
        }
    }

    fn inside(&mut self, end: &str) -> Option<Token<'a>> {
        let blank = self.rest.find(|letter: char| !letter.is_ascii_whitespace())?;
        self.take(blank);
        if self.open == 0 {
            let after = self.rest.strip_prefix(['-', '+']).unwrap_or(self.rest);
            if after.starts_with(end) {
                let sign = self.rest.len().saturating_sub(after.len());
                self.take(sign.saturating_add(end.len()));
                self.end = None;
                return Some(Token::End);
            }
        }
        let first = self.rest.chars().next()?;
        let token = match first {
            '"' | '\'' => {
                let length = quoted(self.rest, first)?;
                Token::Literal(self.take(length))
            }
            '0'..='9' => {
                let length = number(self.rest, self.is_after_point);
                Token::Literal(self.take(length))
            }
            letter if is_letter(letter) => {
                let length = self.rest.find(|letter| !is_letter(letter));
                Token::Word(self.take(length.unwrap_or(self.rest.len())))
            }
            letter => {
                match letter {
                    '(' | '[' | '{' => self.open = self.open.saturating_add(1),
                    ')' | ']' | '}' => self.open = self.open.saturating_sub(1),
                    _ => {}
                }
                let pair = SIGNS.iter().find(|sign| self.rest.starts_with(**sign));
                let length = pair.map_or(letter.len_utf8(), |pair| pair.len());
                Token::Sign(self.take(length))
            }
        };
        self.is_after_point = token == Token::Sign(".");
        Some(token)
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = (usize, Token<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let token = match self.end {
            None => self.begin()?,
            Some(end) => self.inside(end)?,
        };
        // a text in quotes may have ended on a later line than it began, which tells nobody anything
        Some((self.line, token))
    }
}

pub(super) fn is_letter(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// How long a number is, as the engine reads it: `1e+2` is one, `1+2` is not.
fn number(text: &str, is_after_point: bool) -> usize {
    let digits = |text: &str| {
        let length = text.find(|letter: char| !(letter.is_ascii_digit() || letter == '_'));
        length.unwrap_or(text.len())
    };
    let rest = |at: usize| text.get(at..).unwrap_or_default();
    if let Some(radix) = text.get(..2)
        && matches!(radix.to_ascii_lowercase().as_str(), "0x" | "0b" | "0o")
    {
        let more = rest(2).find(|letter| !is_letter(letter));
        return more.map_or(text.len(), |more| more.saturating_add(2));
    }
    let mut at = digits(text);
    if let Some(after) = rest(at).strip_prefix('.')
        && !is_after_point
    {
        let exponent = after.strip_prefix(['e', 'E']).unwrap_or_default();
        let is_exponent = exponent.starts_with(|sign: char| matches!(sign, '+' | '-' | '0'..='9'));
        if is_exponent
            || !after.starts_with(is_letter)
            || after.starts_with(|first: char| first.is_ascii_digit())
        {
            at = at.saturating_add(1);
            at = at.saturating_add(digits(rest(at)));
        }
    }
    if rest(at).starts_with(['e', 'E']) {
        at = at.saturating_add(1);
        if rest(at).starts_with(['+', '-']) {
            at = at.saturating_add(1);
        }
        at = at.saturating_add(digits(rest(at)));
    }
    at
}

/// How long the rest of a tag is that has nothing but `name`.
fn tag(text: &str, name: &str) -> Option<usize> {
    let blank = |letter: char| letter.is_ascii_whitespace();
    let rest = text.trim_start_matches(blank).strip_prefix(name)?;
    let rest = rest.trim_start_matches(blank);
    let rest = rest.strip_prefix(['-', '+']).unwrap_or(rest).strip_prefix("%}")?;
    Some(text.len().saturating_sub(rest.len()))
}

/// How long a text in quotes is, with them.
fn quoted(text: &str, quote: char) -> Option<usize> {
    let mut is_escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            letter if letter == quote => return Some(at.saturating_add(1)),
            _ => {}
        }
    }
    None
}
