//! From text to policies: owns parsing, validation against the schema, and the place of what is
//! wrong. It must not know whose text it is.

use std::sync::OnceLock;
use std::thread;

use cedar_policy::{Effect, Policy, PolicyId, PolicySet, ValidationError, ValidationMode};
use miette::Diagnostic;

use super::error::{Fault, Place, PolicyError};
use super::vocabulary::{internal, vocabulary};

/// Longest text, bytes.
pub const MAX_TEXT: usize = 256 * 1024;
/// Deepest nesting of brackets in one policy; every `if` counts as a level.
const MAX_NESTED: usize = 64;
/// Most operators, dots, `[` and `{` in one policy: what follows one another becomes a tree that is
/// as deep.
const MAX_OPERATORS: usize = 1024;
/// What parsing and validating walk on, with room to spare for a text within these bounds. On a
/// stack that ends too soon, Cedar's validator would find nothing wrong and say that all is well.
const STACK: usize = 8 << 20;

const WRITTEN: &str =
    "what is in `datetime(...)` or `duration(...)` is written as \"2026-11-29T12:00:00Z\" or \"1h30m\"";
const UNTAGGED: &str = "`getTag` may find no such tag: ask with `hasTag` before";

/// One policy of a text.
#[derive(Clone, Debug)]
pub(super) struct Parsed {
    pub(super) policy: Policy,
    /// Its `@id` annotation.
    pub(super) name: Option<String>,
    pub(super) forbids: bool,
    /// True when it may ask for the time: the context has nothing else.
    pub(super) is_timed: bool,
}

/// Policies that are part of the program, parsed once.
pub(super) struct BuiltIn {
    text: &'static str,
    parsed: OnceLock<Result<Vec<Parsed>, PolicyError>>,
}

impl BuiltIn {
    pub(super) const fn new(text: &'static str) -> Self {
        Self {
            text,
            parsed: OnceLock::new(),
        }
    }

    pub(super) fn parsed(&self) -> Result<&[Parsed], PolicyError> {
        let parsed = self.parsed.get_or_init(|| parse(self.text).map_err(internal));
        parsed.as_deref().map_err(Clone::clone)
    }
}

/// Whether `text` is policies that validate, and how many.
///
/// # Errors
/// [`Fault`].
pub fn check(text: &str) -> Result<usize, Fault> {
    parse(text).map(|policies| policies.len())
}

/// The policies of `text`, validated, in their order.
pub(super) fn parse(text: &str) -> Result<Vec<Parsed>, Fault> {
    bounded(text)?;
    let no_thread = || fault("there is no thread to validate it on".to_owned());
    thread::scope(|scope| {
        let walk = thread::Builder::new().name("policy".to_owned()).stack_size(STACK);
        let walk = walk
            .spawn_scoped(scope, || validated(text))
            .map_err(|_| no_thread())?;
        walk.join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn validated(text: &str) -> Result<Vec<Parsed>, Fault> {
    let set: PolicySet = text.parse().map_err(|error| unparsed(text, &error))?;
    if let Some(template) = set.templates().next() {
        return Err(Fault {
            place: None,
            policy: number(template.id()),
            reason: "it has a slot (`?principal` or `?resource`): templates are not supported".to_owned(),
        });
    }
    let words = vocabulary().map_err(|error| fault(error.to_string()))?;
    let result = words.validator.validate(&set, ValidationMode::Strict);
    let invalid = result.validation_errors().map(|error| {
        let policy = number(error.policy_id());
        let said = error.to_string();
        let prefix = format!("for policy `{}`, ", error.policy_id());
        let reason = match error {
            // These repeat the string.
            ValidationError::FunctionArgumentValidation(_) => WRITTEN.to_owned(),
            ValidationError::UnsafeTagAccess(_) => UNTAGGED.to_owned(),
            _ => with_help(said.strip_prefix(&prefix).unwrap_or(&said), error),
        };
        Fault {
            place: place(text, error),
            policy,
            reason,
        }
    });
    // The validator goes through the policies in no order.
    if let Some(first) =
        invalid.min_by_key(|fault| (fault.place.map(|at| (at.line, at.column)), fault.policy))
    {
        return Err(first);
    }
    let mut policies: Vec<_> = set
        .policies()
        .map(|policy| (number(policy.id()), policy))
        .collect();
    policies.sort_by_key(|(number, _)| *number);
    Ok(policies.into_iter().map(|(_, policy)| parsed(policy)).collect())
}

fn parsed(policy: &Policy) -> Parsed {
    Parsed {
        name: policy
            .annotation("id")
            .filter(|id| !id.is_empty())
            .map(str::to_owned),
        forbids: policy.effect() == Effect::Forbid,
        is_timed: policy.to_string().contains("context"),
        policy: policy.clone(),
    }
}

/// Cedar numbers the policies of a text from 0: `policy0`.
fn number(id: &PolicyId) -> Option<usize> {
    let id: &str = id.as_ref();
    id.strip_prefix("policy")?.parse::<usize>().ok()?.checked_add(1)
}

fn fault(reason: String) -> Fault {
    Fault {
        place: None,
        policy: None,
        reason,
    }
}

fn unparsed(text: &str, error: &cedar_policy::ParseErrors) -> Fault {
    // A text that is no policy at all may be anything: its words are not repeated.
    let expected = error
        .labels()
        .and_then(|mut labels| Some(labels.next()?.label()?.to_owned()));
    let reason = match (expected, error.help()) {
        (Some(expected), _) => format!("this is no Cedar: {expected}"),
        (None, Some(help)) => format!("this is no Cedar: {help}"),
        (None, None) => "this is no Cedar policy".to_owned(),
    };
    Fault {
        place: place(text, error),
        policy: None,
        reason,
    }
}

fn place(text: &str, error: &dyn Diagnostic) -> Option<Place> {
    let label = error.labels()?.next()?;
    Some(Place::of(text, label.offset()))
}

fn with_help(reason: &str, error: &dyn Diagnostic) -> String {
    match error.help() {
        Some(help) => format!("{reason}: {help}"),
        None => reason.to_owned(),
    }
}

/// Refuses what is too long, or would be walked too deep. Strings and comments count as nothing;
/// the count starts anew with every policy.
fn bounded(text: &str) -> Result<(), Fault> {
    if text.len() > MAX_TEXT {
        return Err(fault(format!(
            "the text has {} bytes; at most {MAX_TEXT} are allowed: spread it over several entries",
            text.len()
        )));
    }
    let (mut open, mut ifs, mut operators) = (0_usize, 0_usize, 0_usize);
    let mut chars = text.char_indices().peekable();
    while let Some((at, char)) = chars.next() {
        let mut next_is = |next: char| chars.next_if(|(_, char)| *char == next).is_some();
        match char {
            '"' => {
                while let Some((_, char)) = chars.next() {
                    match char {
                        '\\' => drop(chars.next()),
                        '"' => break,
                        _ => {}
                    }
                }
            }
            // Cedar's comments end at either.
            '/' if next_is('/') => drop(chars.find(|(_, char)| matches!(char, '\n' | '\r'))),
            ';' => (open, ifs, operators) = (0, 0, 0),
            '(' | '[' | '{' => open += 1,
            ')' | ']' | '}' => open = open.saturating_sub(1),
            'i' if next_is('f') => ifs += 1,
            '&' | '|' => operators += usize::from(next_is(char)),
            '.' | '!' | '-' | '+' | '*' => operators += 1,
            _ => {}
        }
        // An index follows like a dot, and one `when` or `unless` another like `&&`.
        operators += usize::from(matches!(char, '[' | '{'));
        let what = if open + ifs > MAX_NESTED {
            format!("one policy nests brackets and `if` more than {MAX_NESTED} deep")
        } else if operators > MAX_OPERATORS {
            format!("one policy has more than {MAX_OPERATORS} operators")
        } else {
            continue;
        };
        return Err(Fault {
            place: Some(Place::of(text, at)),
            policy: None,
            reason: format!("{what}: split it into several"),
        });
    }
    Ok(())
}
