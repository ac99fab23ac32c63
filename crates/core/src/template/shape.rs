//! How far a template's text goes: owns refusing, before the engine reads it, what would take more stack or
//! memory than there is. The engine counts work, but neither how deep a syntax tree gets nor how deep values
//! nest, nor how large a value is that holds another many times.

use super::error::Problem;
use super::place::{OPERATORS, Place};
use super::tokens::{Token, Tokens};

/// How long a chain in one expression may be: operators, filters, points, calls and brackets.
const CHAIN: usize = 200;
/// How long a name may be, in bytes: whatever has names looks it up again and again, and is not charged for it.
pub(super) const MAX_NAME: usize = 1024;
/// How many `elif` may lie in one another: each is an `if` in the `else` of the one before.
const BRANCHES: usize = 100;
/// How deep values may nest by way of variables.
const NESTING: usize = 1000;
/// How many times over a value may come to hold another, as a power of two.
const SHARING: usize = 10;
/// How often a macro may be in its own call, by the engine's limit of recursion.
const IN_MACRO: usize = 12;
/// The same for loops that call themselves.
const IN_LOOP: usize = 64;

const CONSTANTS: [&str; 6] = ["true", "True", "false", "False", "none", "None"];
/// Filters whose result may hold what they are given.
const WRAPPING: [&str; 17] = [
    "batch",
    "chain",
    "dictsort",
    "groupby",
    "items",
    "list",
    "map",
    "reject",
    "rejectattr",
    "reverse",
    "select",
    "selectattr",
    "slice",
    "sort",
    "unique",
    "zip",
    "split",
];

/// A bracket that is open, or the whole expression.
#[derive(Debug, Default)]
struct Level {
    kind: Kind,
    /// Of what stands between two commas.
    chain: usize,
    /// The deepest bracket in it.
    inner: usize,
    /// The deepest of what stood before.
    before: usize,
    /// Variables in it.
    held: usize,
    /// It is a group with a comma.
    is_tuple: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The whole, a group, or a tuple.
    #[default]
    Group,
    /// Arguments, whose function keeps nothing of them.
    Call,
    /// `[` after a value.
    Index,
    /// A list or a table.
    Literal,
    /// Those of `zip` and `chain`, which keep them.
    Chain,
    /// Those of `map`, which may be for one of these two.
    Map,
    /// Those of `flag`, which keeps nothing of them.
    Flag,
}

impl Level {
    fn depth(&self) -> usize {
        self.before.max(self.now())
    }

    /// It makes a value that holds others.
    fn is_holding(&self) -> bool {
        match self.kind {
            Kind::Literal | Kind::Chain => true,
            Kind::Map => self.held > 0,
            Kind::Group => self.is_tuple,
            Kind::Call | Kind::Index | Kind::Flag => false,
        }
    }

    fn now(&self) -> usize {
        self.chain.saturating_add(self.inner)
    }
}

#[derive(Debug, Default)]
struct Shape<'a> {
    levels: Vec<Level>,
    /// The chains of all levels but the last.
    around: usize,
    last: Option<Token<'a>>,
    place: Place,
    /// Where one was before the last token.
    before: Place,
    /// It is the bracket of `.cycle(`.
    is_cycle: bool,
    /// The last word was taken for a variable, until a bracket says that it is a function.
    is_variable: bool,
    /// It is `flag`, which nothing but a call may follow.
    is_flag: bool,
    /// It is a `not` before a value.
    is_not: bool,
    /// The word that a statement begins with; none in an expression.
    statement: Option<&'a str>,
    /// The `elif` of each `if`.
    branches: Vec<usize>,
    macros: usize,
    is_recursive: bool,
    nesting: usize,
    sharing: usize,
}

/// Refuses `text` where it goes too far.
pub(super) fn check(text: &str) -> Result<(), (usize, Problem)> {
    let mut shape = Shape::default();
    for (line, token) in Tokens::of(text) {
        shape.take(token).map_err(|problem| (line, problem))?;
        shape.last = Some(token);
        shape.before = shape.place;
        shape.place = shape.place.after(token);
    }
    Ok(())
}

fn begins_value(token: Token<'_>) -> bool {
    match token {
        Token::Literal(_) | Token::Sign("(" | "[" | "{" | "-" | "+") => true,
        Token::Word(word) => word == "not" || !OPERATORS.contains(&word),
        _ => false,
    }
}

impl<'a> Shape<'a> {
    fn take(&mut self, token: Token<'a>) -> Result<(), Problem> {
        // by another name its arguments would not be known
        if self.is_flag && token != Token::Sign("(") {
            return Err(Problem::Flag);
        }
        self.is_flag = false;
        if matches!(token, Token::Word(name) if name.len() > MAX_NAME) {
            return Err(Problem::LongName);
        }
        // the engine divides by how many there are
        if std::mem::take(&mut self.is_cycle) && !begins_value(token) {
            return Err(Problem::Arguments);
        }
        if std::mem::take(&mut self.is_not) && !begins_value(token) {
            return Err(Problem::Name("not".to_owned()));
        }
        match token {
            Token::Expression | Token::Statement => {
                self.levels.clear();
                self.levels.push(Level::default());
                self.around = 0;
                self.statement = None;
            }
            Token::Word(word) if self.place == Place::Statement => self.begin(word)?,
            Token::Word(word) => self.word(word)?,
            Token::Sign(sign) => self.sign(sign)?,
            Token::End => self.end()?,
            Token::Literal(_) => {}
        }
        self.is_variable &= matches!(token, Token::Word(_));
        Ok(())
    }

    fn begin(&mut self, word: &'a str) -> Result<(), Problem> {
        self.statement = Some(word);
        match word {
            "if" => self.branches.push(0),
            "endif" => drop(self.branches.pop()),
            "elif" => {
                if let Some(last) = self.branches.last_mut() {
                    *last = last.saturating_add(1);
                }
                if self.branches.iter().sum::<usize>() > BRANCHES {
                    return Err(Problem::Chain);
                }
            }
            "macro" | "call" => self.macros = self.macros.saturating_add(1),
            "endmacro" | "endcall" => self.macros = self.macros.saturating_sub(1),
            _ => {}
        }
        Ok(())
    }

    fn word(&mut self, word: &str) -> Result<(), Problem> {
        let is_part = self.place.is_before_name();
        if OPERATORS.contains(&word) {
            if !is_part {
                self.operator_word(word)?;
            }
            return self.operator();
        }
        if self.place == Place::Pipe && WRAPPING.contains(&word) {
            // these hold two
            if matches!(word, "zip" | "chain") {
                self.share(2)?;
            }
            return self.nest();
        }
        if word == "recursive" && self.statement == Some("for") {
            self.is_recursive = true;
        }
        if word == "flag" && !is_part {
            if self.last == Some(Token::Word("macro")) {
                return Err(Problem::Flag);
            }
            self.is_flag = true;
        }
        if let Some(level) = self.levels.last_mut()
            && !is_part
            && !CONSTANTS.contains(&word)
        {
            level.held = level.held.saturating_add(1);
            self.is_variable = true;
        }
        Ok(())
    }

    /// To the engine a word like `in` is a variable where a value is wanted. Nobody else would see that it is one.
    fn operator_word(&mut self, word: &str) -> Result<(), Problem> {
        let follows_value = self.place.is_after_value();
        let is_macro = self.place == Place::Begun && self.last == Some(Token::Word("macro"));
        match word {
            // `is odd not` names a variable too
            "not" | "in" | "if" if self.place == Place::Test => return Err(Problem::Name(word.to_owned())),
            "not" if !is_macro => self.is_not = !follows_value,
            "in" if self.place == Place::Not => {}
            _ if follows_value => {}
            _ => return Err(Problem::Name(word.to_owned())),
        }
        Ok(())
    }

    fn sign(&mut self, sign: &str) -> Result<(), Problem> {
        match sign {
            "," | ":" => {
                let Some(level) = self.levels.last_mut() else {
                    return Ok(());
                };
                level.before = level.depth();
                (level.chain, level.inner) = (0, 0);
                level.is_tuple |= sign == "," && level.kind == Kind::Group;
                // a part of a list is one that holds it
                if sign == ":" && level.kind == Kind::Index {
                    return self.nest();
                }
                Ok(())
            }
            "(" => {
                self.unhold();
                self.is_cycle = self.last == Some(Token::Word("cycle")) && self.before == Place::Point;
                let kind = match self.last {
                    Some(Token::Word("flag")) => Kind::Flag,
                    Some(Token::Word("zip" | "chain")) => Kind::Chain,
                    Some(Token::Word("map")) => Kind::Map,
                    _ if self.place.is_after_value() => Kind::Call,
                    _ => Kind::Group,
                };
                self.open(kind)
            }
            "[" if self.place == Place::Value => self.open(Kind::Index),
            "[" | "{" => self.open(Kind::Literal),
            ")" | "]" | "}" => self.close(),
            // they would be put together again by each call
            "**" if !self.place.is_after_value() => Err(Problem::FromTable),
            // an argument's name
            "=" if self.is_variable => {
                self.unhold();
                self.operator()
            }
            _ => self.operator(),
        }
    }

    /// The last word was no variable.
    fn unhold(&mut self) {
        if let (true, Some(level)) = (self.is_variable, self.levels.last_mut()) {
            level.held = level.held.saturating_sub(1);
        }
    }

    fn operator(&mut self) -> Result<(), Problem> {
        let Some(level) = self.levels.last_mut() else {
            return Ok(());
        };
        level.chain = level.chain.saturating_add(1);
        if self.around.saturating_add(level.now()) > CHAIN {
            return Err(Problem::Chain);
        }
        Ok(())
    }

    fn open(&mut self, kind: Kind) -> Result<(), Problem> {
        self.operator()?;
        self.around = self
            .around
            .saturating_add(self.levels.last().map_or(0, Level::now));
        self.levels.push(Level {
            kind,
            ..Level::default()
        });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Problem> {
        // one that closes nothing is for the engine to refuse
        if self.levels.len() < 2 {
            return Ok(());
        }
        let Some(closed) = self.levels.pop() else {
            return Ok(());
        };
        if let Some(level) = self.levels.last_mut() {
            self.around = self.around.saturating_sub(level.now());
            level.inner = level.inner.max(closed.depth());
            if self.around.saturating_add(level.now()) > CHAIN {
                return Err(Problem::Chain);
            }
        }
        if closed.is_holding() {
            self.nest()?;
            // what lies in another counts with it
            if !self.levels.iter().any(Level::is_holding) {
                // beside what is mapped
                let mapped = usize::from(closed.kind == Kind::Map);
                self.share(closed.held.saturating_add(mapped))?;
            }
        }
        if closed.kind != Kind::Flag
            && let Some(level) = self.levels.last_mut()
        {
            level.held = level.held.saturating_add(closed.held);
        }
        Ok(())
    }

    /// The end of an expression or statement: `set` makes a tuple without brackets.
    fn end(&mut self) -> Result<(), Problem> {
        match self.levels.first() {
            Some(whole) if whole.is_tuple && self.statement == Some("set") => {
                let held = whole.held;
                self.nest()?;
                self.share(held)
            }
            _ => Ok(()),
        }
    }

    /// Whether a value that is made here may be in a variable when the next is made.
    fn is_kept(&self) -> bool {
        let is_binding = !matches!(self.statement, None | Some("if" | "elif"));
        let is_for_flag = self.levels.iter().any(|level| level.kind == Kind::Flag);
        !is_for_flag && (is_binding || self.macros > 0 || self.is_recursive)
    }

    /// How often this place may be in its own call.
    fn times(&self) -> usize {
        match (self.is_recursive, self.macros) {
            (true, _) => IN_LOOP,
            (false, 0) => 1,
            (false, _) => IN_MACRO,
        }
    }

    fn nest(&mut self) -> Result<(), Problem> {
        if self.is_kept() {
            self.nesting = self.nesting.saturating_add(self.times());
        }
        if self.nesting > NESTING {
            return Err(Problem::Tangled);
        }
        Ok(())
    }

    /// What holds variables may hold one value as many times.
    fn share(&mut self, held: usize) -> Result<(), Problem> {
        let power = held.max(1).next_power_of_two().trailing_zeros() as usize;
        // what a loop goes through is taken out of its list again
        let is_gone_through = self.statement == Some("for") && self.levels.len() == 1;
        if self.is_kept() && !is_gone_through {
            self.sharing = self.sharing.saturating_add(power.saturating_mul(self.times()));
        }
        if self.sharing > SHARING || power > SHARING {
            return Err(Problem::Tangled);
        }
        Ok(())
    }
}
