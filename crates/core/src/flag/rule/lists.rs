//! Lists and looking things up: owns `map`, `filter`, `reduce`, `all`, `some`, `none`, `merge`, `missing`,
//! `missing_some`, and `var` of a path that is not known before.

use super::args::Args;
use super::coerce::{number, text, truth};
use super::node::{Each, Node};
use super::run::{Run, Stop};
use super::value::{Path, Scope, Val};

/// `map`, `filter`, `all`, `some` and `none`; what is no list is an empty one.
#[inline(never)]
pub(super) fn each<'a>(
    each: Each,
    list: &'a Node,
    rule: &'a Node,
    scope: &Scope<'a>,
    run: &mut Run<'a>,
) -> Result<Val<'a>, Stop> {
    let list = list.eval(scope, run)?;
    let mut out = Vec::new();
    for item in list.items() {
        run.spend()?;
        let scope = Scope::Item(item.clone());
        let result = rule.eval(&scope, run)?;
        match each {
            Each::Map => out.push(result),
            Each::Filter if truth(&result) => out.push(item),
            Each::All if !truth(&result) => return Ok(Val::Bool(false)),
            Each::Some if truth(&result) => return Ok(Val::Bool(true)),
            Each::None if truth(&result) => return Ok(Val::Bool(false)),
            Each::Filter | Each::All | Each::Some | Each::None => {}
        }
    }
    Ok(match each {
        Each::Map | Each::Filter => Val::list(out)?,
        // JSONLogic has it so: nothing is true of all items of an empty list.
        Each::All => Val::Bool(list.count().is_some_and(|count| count > 0)),
        Each::Some => Val::Bool(false),
        Each::None => Val::Bool(true),
    })
}

#[inline(never)]
pub(super) fn reduce<'a>(
    list: &'a Node,
    rule: &'a Node,
    start: &'a Node,
    scope: &Scope<'a>,
    run: &mut Run<'a>,
) -> Result<Val<'a>, Stop> {
    let list = list.eval(scope, run)?;
    let mut accumulator = start.eval(scope, run)?;
    for current in list.items() {
        run.spend()?;
        accumulator = rule.eval(&Scope::Reduce { current, accumulator }, run)?;
    }
    Ok(accumulator)
}

/// `merge`: the items of all lists, and what is no list, in one list.
#[inline(never)]
pub(super) fn merge<'a>(args: &'a Args, scope: &Scope<'a>, run: &mut Run<'a>) -> Result<Val<'a>, Stop> {
    let args = args.ready(scope, run)?;
    let mut out = Vec::new();
    for at in 0..args.count() {
        let value = args.get(at, scope, run)?;
        if value.count().is_none() {
            out.push(value);
            continue;
        }
        for item in value.items() {
            run.spend()?;
            out.push(item);
        }
    }
    Val::list(out)
}

#[inline(never)]
pub(super) fn var<'a>(args: &'a Args, scope: &Scope<'a>, run: &mut Run<'a>) -> Result<Val<'a>, Stop> {
    let args = args.ready(scope, run)?;
    let path = args.get(0, scope, run)?;
    match look_up(&path, scope, run)? {
        Some(found) => run.take(found),
        None => args.get(1, scope, run),
    }
}

fn look_up<'a>(path: &Val<'a>, scope: &Scope<'a>, run: &mut Run<'a>) -> Result<Option<Val<'a>>, Stop> {
    Path::new(&text(path, run)?).find(scope, run)
}

/// `missing`: those of the paths under which nothing lies, or an empty text.
#[inline(never)]
pub(super) fn missing<'a>(args: &'a Args, scope: &Scope<'a>, run: &mut Run<'a>) -> Result<Val<'a>, Stop> {
    let mut paths = args.all(scope, run)?;
    if let Some(list) = paths.first().filter(|first| first.count().is_some()) {
        paths = list.items().collect();
    }
    let missing = those_missing(paths.into_iter(), scope, run)?;
    Val::list(missing)
}

fn those_missing<'a>(
    paths: impl Iterator<Item = Val<'a>>,
    scope: &Scope<'a>,
    run: &mut Run<'a>,
) -> Result<Vec<Val<'a>>, Stop> {
    let mut missing = Vec::new();
    for path in paths {
        run.spend()?;
        let found = look_up(&path, scope, run)?;
        if found.is_none_or(|found| found.as_str() == Some("")) {
            missing.push(path);
        }
    }
    Ok(missing)
}

/// `missing_some`: nothing when at least so many of the paths lead somewhere, else those that do not.
#[inline(never)]
pub(super) fn missing_some<'a>(
    args: &'a Args,
    scope: &Scope<'a>,
    run: &mut Run<'a>,
) -> Result<Val<'a>, Stop> {
    let args = args.ready(scope, run)?;
    let needed = number(&args.get(0, scope, run)?);
    let paths = args.get(1, scope, run)?;
    let missing = those_missing(paths.items(), scope, run)?;
    let found = paths.count().unwrap_or(0) - missing.len();
    #[allow(clippy::cast_precision_loss)] // counts of items in memory
    let enough = found as f64 >= needed;
    Val::list(if enough { Vec::new() } else { missing })
}
