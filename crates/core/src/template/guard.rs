//! The text that the engine gets instead of the author's: owns putting filters of ours beside operators and into the
//! keys of tables, and methods of ours in the place of subscripts. It must not know what these do: `care` and
//! `subscript` do.

use zeroize::Zeroizing;

use super::care::{KEY, PLAIN, WEIGHED, WRITTEN};
use super::place::Place;
use super::subscript::{ITEM, PART, WHOLE};
use super::tokens::{Token, Tokens};

/// An operator, by what it does to what stands beside it.
#[derive(Debug, Default, Clone, Copy)]
struct Operator {
    /// For both of its operands.
    filter: Option<&'static str>,
    /// Of two operators that one value stands between, it is an operand of the one that binds tighter.
    binds: u8,
}

/// What ends an operand and has none, or does nothing to them.
const NONE: Operator = Operator {
    filter: None,
    binds: 0,
};
const COMPARING: Operator = Operator {
    filter: Some(WEIGHED),
    binds: 1,
};

impl Operator {
    fn of(sign: &str) -> Self {
        let (filter, binds) = match sign {
            "==" | "!=" | "<" | ">" | "<=" | ">=" => return COMPARING,
            "+" => (Some(PLAIN), 2),
            "-" => (None, 2),
            "~" => (Some(WRITTEN), 3),
            "*" => (Some(PLAIN), 4),
            "/" | "//" | "%" => (None, 4),
            "**" => (None, 5),
            _ => return NONE,
        };
        Self { filter, binds }
    }
}

struct Guarding<'a> {
    text: &'a str,
    out: Zeroizing<String>,
    /// How much of the text is in `out`.
    copied: usize,
    /// Where the last token ended.
    end: usize,
    place: Place,
    levels: Vec<Level>,
    /// In a `for` before its `in`.
    is_target: bool,
    /// The last word is `changed`, as in `loop.changed(...)`, which compares.
    is_changed: bool,
}

/// A bracket that is open, or the whole expression.
#[derive(Debug, Default)]
struct Level {
    /// The operator on the left of what is read.
    left: Operator,
    parts: Parts,
    /// A part is to begin.
    is_awaited: bool,
    /// A part has begun.
    has_begun: bool,
    /// It is behind a value.
    subscript: Option<Subscript>,
}

#[derive(Debug, Clone, Copy)]
struct Subscript {
    /// Where its bracket is in what the engine gets.
    at: usize,
    /// Where what is in it begins in the text.
    begin: usize,
    /// It has a `:`.
    is_part: bool,
    /// It has what a call can have in brackets and a subscript cannot: the engine is to see that.
    is_wrong: bool,
}

/// What of a bracket's content goes through a filter as a whole.
#[derive(Debug, Default, Clone, Copy)]
enum Parts {
    #[default]
    None,
    /// The keys of a table.
    Keys,
    /// What is compared with what it was before.
    Compared,
}

impl Parts {
    /// The filter of each, what it begins after, and what ends it beside the bracket.
    fn of(self) -> Option<(&'static str, &'static str, &'static str)> {
        match self {
            Self::None => None,
            Self::Keys => Some((KEY, ",", ":")),
            Self::Compared => Some((WEIGHED, ",", ",")),
        }
    }
}

impl Level {
    fn new(parts: Parts) -> Self {
        Self {
            parts,
            is_awaited: parts.of().is_some(),
            ..Self::default()
        }
    }
}

/// `text` with its operands through the filters; its lines stay where they are.
pub(super) fn guarded(text: &str) -> Zeroizing<String> {
    let mut guarding = Guarding {
        text,
        out: Zeroizing::new(String::with_capacity(text.len())),
        copied: 0,
        end: 0,
        place: Place::default(),
        levels: Vec::new(),
        is_target: false,
        is_changed: false,
    };
    let mut tokens = Tokens::of(text);
    while let Some((_, token)) = tokens.next() {
        let end = text.len().saturating_sub(tokens.rest().len());
        guarding.begin_part(token);
        guarding.take(token, end);
        guarding.place = guarding.place.after(token);
        guarding.end = end;
    }
    guarding.copy(text.len());
    guarding.out
}

impl Guarding<'_> {
    /// Takes what ends at `end`.
    fn take(&mut self, token: Token<'_>, end: usize) {
        let is_changed = (token, self.place) == (Token::Word("changed"), Place::Point);
        let was_changed = std::mem::replace(&mut self.is_changed, is_changed);
        if let (Token::Sign(sign), Some(level)) = (token, self.levels.last_mut())
            && let Some(subscript) = &mut level.subscript
        {
            subscript.is_part |= sign == ":";
            subscript.is_wrong |= match sign {
                "," | "=" => true,
                "*" | "**" => !self.place.is_after_value(),
                _ => false,
            };
        }
        match token {
            Token::Expression | Token::Statement => {
                self.levels = vec![Level::default()];
                self.is_target = false;
            }
            Token::Word(word) => self.word(word),
            Token::Literal(literal) => {
                if self.place == Place::Point && is_integer(literal) {
                    self.copy(end.saturating_sub(literal.len()));
                    self.push(ITEM);
                    self.push("(");
                    self.copy(end);
                    self.push(")");
                }
            }
            Token::Sign("[") if self.place == Place::Value => self.begin_subscript(end),
            Token::Sign(sign @ ("(" | "[" | "{")) => self.levels.push(Level::new(match sign {
                "{" => Parts::Keys,
                "(" if was_changed => Parts::Compared,
                _ => Parts::None,
            })),
            Token::Sign(sign @ (")" | "]" | "}")) => {
                self.operator(NONE);
                self.end_part();
                let closed = self.levels.pop().and_then(|level| level.subscript);
                if let ("]", Some(subscript)) = (sign, closed) {
                    self.end_subscript(subscript, end);
                }
            }
            Token::Sign(sign @ ("," | ":")) => {
                self.operator(NONE);
                let parts = self.levels.last().and_then(|level| level.parts.of());
                if parts.is_some_and(|(_, _, end)| end == sign) {
                    self.end_part();
                }
                if let Some(level) = self.levels.last_mut() {
                    level.is_awaited = parts.is_some_and(|(_, begin, _)| begin == sign);
                }
            }
            Token::Sign("." | "|") => {}
            // before a value, also one that a test compares with, these are no operators
            Token::Sign("-" | "+") if self.place == Place::Test => {}
            Token::Sign(sign) if self.place.is_after_value() => self.operator(Operator::of(sign)),
            Token::Sign(_) => {}
            Token::End => self.operator(NONE),
        }
    }

    fn word(&mut self, word: &str) {
        if self.place == Place::Statement {
            self.is_target = word == "for";
            return;
        }
        let after = self.place.after(Token::Word(word));
        match word {
            _ if matches!(
                after,
                Place::Value | Place::Filter | Place::Test | Place::Is | Place::Named
            ) => {}
            "in" if self.place == Place::Not => {}
            "in" if self.is_target && self.levels.len() == 1 => self.is_target = false,
            "in" => self.operator(COMPARING),
            "not" if after == Place::Not => self.operator(COMPARING),
            _ => self.operator(NONE),
        }
    }

    /// What stood before ends, with what the operators on both sides of it ask.
    fn operator(&mut self, right: Operator) {
        let Some(level) = self.levels.last_mut() else {
            return;
        };
        let left = std::mem::replace(&mut level.left, right);
        if !self.place.is_after_value() {
            return;
        }
        let binds = left.binds.max(right.binds);
        let [left, right] = [left, right].map(|side| side.filter.filter(|_| side.binds == binds));
        self.put("|", left);
        self.put("|", right.filter(|_| left != right));
    }

    /// Opens a bracket around a part that begins with `token`.
    fn begin_part(&mut self, token: Token<'_>) {
        if matches!(token, Token::End | Token::Sign("," | ":" | ")" | "]" | "}")) {
            return;
        }
        let Some(level) = self.levels.last_mut().filter(|level| level.is_awaited) else {
            return;
        };
        (level.is_awaited, level.has_begun) = (false, true);
        let rest = self.text.get(self.end..).unwrap_or_default();
        let blank = rest.len().saturating_sub(rest.trim_start().len());
        self.copy(self.end.saturating_add(blank));
        self.push("(");
    }

    /// Closes it, and puts the filter behind.
    fn end_part(&mut self) {
        let Some(level) = self.levels.last_mut() else {
            return;
        };
        let has_begun = std::mem::take(&mut level.has_begun);
        let filter = level.parts.of().map(|(filter, ..)| filter);
        self.put(")|", filter.filter(|_| has_begun));
    }

    fn begin_subscript(&mut self, end: usize) {
        self.copy(end.saturating_sub(1));
        let mut level = Level::new(Parts::None);
        level.subscript = Some(Subscript {
            at: self.out.len(),
            begin: end,
            is_part: false,
            is_wrong: false,
        });
        self.levels.push(level);
    }

    /// An empty one stays for the engine to refuse.
    fn end_subscript(&mut self, subscript: Subscript, end: usize) {
        if subscript.is_wrong || subscript.begin == self.end {
            return;
        }
        if subscript.is_part {
            self.copy(end);
            self.insert(subscript.at, 0, &format!(".{WHOLE}()"));
            self.push(".");
            self.push(PART);
            self.push("()");
        } else {
            self.copy(end.saturating_sub(1));
            self.insert(subscript.at, 1, &format!(".{ITEM}("));
            self.push(")");
            self.copied = end;
        }
    }

    fn put(&mut self, before: &str, filter: Option<&str>) {
        if let Some(filter) = filter {
            self.copy(self.end);
            self.push(before);
            self.push(filter);
        }
    }

    fn copy(&mut self, end: usize) {
        let text = self.text.get(self.copied..end).unwrap_or_default();
        self.push(text);
        self.copied = end.max(self.copied);
    }

    fn push(&mut self, text: &str) {
        self.grow(text.len());
        self.out.push_str(text);
    }

    /// Puts `text` in the place of so many bytes at `at`.
    fn insert(&mut self, at: usize, bytes: usize, text: &str) {
        self.grow(text.len());
        self.out.replace_range(at..at.saturating_add(bytes), text);
    }

    /// What it outgrows is wiped.
    fn grow(&mut self, bytes: usize) {
        let length = self.out.len().saturating_add(bytes);
        if length > self.out.capacity() {
            let mut larger = Zeroizing::new(String::with_capacity(length.saturating_mul(2)));
            larger.push_str(&self.out);
            self.out = larger;
        }
    }
}

/// As a step into a list, behind a point.
fn is_integer(literal: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || byte == b'_';
    let radix = literal.get(..2).unwrap_or_default().to_ascii_lowercase();
    literal.bytes().all(is_digit) || matches!(radix.as_str(), "0x" | "0b" | "0o")
}
