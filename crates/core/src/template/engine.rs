//! minijinja, bounded: owns how far it goes, and parsing and rendering with it. It must not know who asks.

use std::collections::BTreeSet;
use std::sync::Arc;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::ValueKind;
use minijinja::{Environment, UndefinedBehavior};
use zeroize::Zeroizing;

use super::error::{self, Problem, TemplateError};
use super::table::Notes;
use super::{Source, allowed, asking, guard, names, shape, text};
use crate::config::MAX_DELIVERED;
use crate::secret::Filling;

/// What a rendering may cost: an instruction is one, 64 bytes that are written or made are one.
const FUEL: u64 = 1_000_000;

/// How deeply macros and recursive loops may call themselves.
const DEPTH: usize = 64;

fn environment<'a>(notes: &Notes) -> Environment<'a> {
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(DEPTH);
    environment.set_syntax(syntax());
    let formatter = notes.clone();
    environment.set_formatter(move |out, _, value| {
        if let ValueKind::String | ValueKind::Number = value.kind() {
            return Ok(write!(out, "{value}")?);
        }
        Ok(out.write_str(&text::of(value, &formatter)?)?)
    });
    allowed::add(&mut environment, notes);
    environment
}

/// Lines that hold nothing but a statement leave no line behind, and the text's last newline stays.
fn syntax() -> SyntaxConfig {
    let mut syntax = SyntaxConfig::builder();
    syntax
        .keep_trailing_newline(true)
        .trim_blocks(true)
        .lstrip_blocks(true);
    // only delimiters can be refused
    syntax.build().unwrap_or_default()
}

/// Parses `text` and looks at the names it uses; what [`render`] takes of it.
pub(super) fn check(name: &str, text: &str) -> Result<Zeroizing<String>, TemplateError> {
    let notes = Notes::default();
    let environment = environment(&notes);
    let failed = |line, problem| TemplateError {
        template: name.to_owned(),
        line,
        problem,
    };
    shape::check(text).map_err(|(line, problem)| failed(line, problem))?;
    let guarded = guard::guarded(text);
    let text = guarded.as_str();
    let parsed = environment
        .template_from_named_str("template", text)
        .map_err(|error| failed(error.line().unwrap_or(1), error::of_engine(&error, text, None)))?;
    let mut unknown: BTreeSet<String> = parsed.undeclared_variables(false).into_iter().collect();
    unknown.retain(|name| {
        !asking::FUNCTIONS.contains(&name.as_str()) && !environment.globals().any(|(known, _)| known == name)
    });
    let Some(any) = unknown.first() else {
        return Ok(guarded);
    };
    let (line, first) = names::first_of(text, &unknown).unwrap_or((1, any));
    Err(failed(line, Problem::Name(first.to_owned())))
}

/// Renders what [`check`] gave.
pub(super) fn render(
    name: &str,
    text: &Arc<Zeroizing<String>>,
    source: Arc<dyn Source>,
) -> Result<crate::secret::Secret, TemplateError> {
    let notes = Notes::default();
    let mut environment = environment(&notes);
    asking::add(&mut environment, text, source, &notes);
    let mut out = Filling::new(MAX_DELIVERED);
    let rendered = environment
        .template_from_named_str("template", text)
        .and_then(|template| template.render_captured_to((), &mut out).map(drop));
    match rendered {
        Ok(()) => Ok(out.finish()),
        Err(error) => {
            let (problem, missed) = notes.with(|learnt| (learnt.problem.take(), learnt.missed.take()));
            let missed = missed.and_then(|missed| missed.shown(|word| names::is_written(text, word)));
            Err(TemplateError {
                template: name.to_owned(),
                line: error.line().unwrap_or(1),
                problem: problem.unwrap_or_else(|| error::of_engine(&error, text, missed)),
            })
        }
    }
}
