//! Where a value ends: owns telling, token by token, whether what comes next follows a value. The engine's parser
//! knows; this is what of it is needed to judge a text before it and to put filters into it.

use super::tokens::Token;

/// Words that are operators.
pub(super) const OPERATORS: [&str; 7] = ["and", "or", "not", "if", "else", "in", "is"];

/// What was read last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Place {
    /// The end of a value, or of what may be one.
    Value,
    /// `is`.
    Is,
    /// `is not`, or a point in a test's name: what follows is one, whatever the word.
    Named,
    /// The name of a test, which may be followed by a value that is compared with.
    Test,
    /// `|`, which a filter's name follows, or a point in one.
    Pipe,
    /// The name of a filter.
    Filter,
    /// `.`, which an attribute's name follows.
    Point,
    /// `{%`.
    Statement,
    /// The word that a statement begins with.
    Begun,
    /// `not` of `not in`.
    Not,
    /// Anything else: a value follows.
    #[default]
    Other,
}

impl Place {
    /// Where one is after `token`.
    pub(super) fn after(self, token: Token<'_>) -> Self {
        match (token, self) {
            (Token::Statement, _) => Self::Statement,
            (Token::Word(_), Self::Statement) => Self::Begun,
            (Token::Word(_), Self::Pipe) => Self::Filter,
            (Token::Word(_), Self::Point) => Self::Value,
            (Token::Word("not"), Self::Is) => Self::Named,
            (Token::Word(_), Self::Is | Self::Named) => Self::Test,
            (Token::Sign("."), Self::Test) => Self::Named,
            (Token::Sign("."), Self::Filter) => Self::Pipe,
            (Token::Word("is"), _) => Self::Is,
            (Token::Word("not"), Self::Value | Self::Filter) => Self::Not,
            // after a test's name the engine takes it for a variable
            (Token::Word("not" | "in" | "if"), Self::Test) => Self::Value,
            (Token::Word(word), _) if OPERATORS.contains(&word) => Self::Other,
            // of a `for`
            (Token::Word("recursive"), Self::Value | Self::Filter) => Self::Other,
            (Token::Word(_) | Token::Literal(_) | Token::Sign(")" | "]" | "}"), _) => Self::Value,
            (Token::Sign("."), _) => Self::Point,
            (Token::Sign("|"), _) => Self::Pipe,
            (Token::Sign(_) | Token::Expression | Token::End, _) => Self::Other,
        }
    }

    /// What was read is a value, or makes another of one, or says of one what it is: an operator may follow.
    pub(super) fn is_after_value(self) -> bool {
        matches!(self, Self::Value | Self::Filter | Self::Test)
    }

    /// What follows is the name of a filter, an attribute or a test.
    pub(super) fn is_before_name(self) -> bool {
        matches!(self, Self::Pipe | Self::Point | Self::Is | Self::Named)
    }
}
