//! Texts: owns `cat`, `substr`, `in`, `starts_with` and `ends_with`. Characters are Unicode's, so that no
//! text is cut within one.

use super::args::Args;
use super::coerce::{number, same, text};
use super::run::{Run, Stop};
use super::value::{Scope, Val};

#[inline(never)]
pub(super) fn cat<'a>(args: &'a Args, scope: &Scope<'a>, run: &mut Run<'a>) -> Result<Val<'a>, Stop> {
    let args = args.ready(scope, run)?;
    let mut out = String::new();
    for at in 0..args.count() {
        let value = args.get(at, scope, run)?;
        out.push_str(&text(&value, run)?);
    }
    Ok(out.into())
}

/// `substr` of a text, from a place on, for so many characters; negative ones count from the end.
#[inline(never)]
pub(super) fn substr<'a>(args: &'a Args, scope: &Scope<'a>, run: &mut Run<'a>) -> Result<Val<'a>, Stop> {
    let args = args.ready(scope, run)?;
    let value = args.get(0, scope, run)?;
    let text = text(&value, run)?;
    let count = whole(text.chars().count());
    let start = args.at(1, scope, run)?.map_or(0, |from| integer(&from));
    let start = if start < 0 {
        (count + start).max(0)
    } else {
        start.min(count)
    };
    let length = match args.at(2, scope, run)?.map(|length| integer(&length)) {
        None => count - start,
        Some(length) if length < 0 => (count - start).saturating_add(length).max(0),
        Some(length) => length,
    };
    let from = usize::try_from(start).unwrap_or(0);
    let many = usize::try_from(length).unwrap_or(0);
    Ok(text.chars().skip(from).take(many).collect::<String>().into())
}

fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A number without its fraction; none is zero. Bounded so that sums of two do not overflow.
#[allow(clippy::cast_possible_truncation)]
fn integer(value: &Val<'_>) -> i64 {
    let bound = f64::from(i32::MAX);
    number(value).clamp(-bound, bound) as i64
}

/// `in`: whether a text is in a text, or a value in a list.
#[inline(never)]
pub(super) fn contains<'a>(args: &'a Args, scope: &Scope<'a>, run: &mut Run<'a>) -> Result<Val<'a>, Stop> {
    let args = args.ready(scope, run)?;
    let needle = args.get(0, scope, run)?;
    let hay = args.get(1, scope, run)?;
    let found = if let Some(hay) = hay.as_str() {
        // As JavaScript looks for it; nobody means the empty text that `cat` has for null.
        let needle = if needle.is_null() {
            Val::Str("null")
        } else {
            needle
        };
        hay.contains(&*text(&needle, run)?)
    } else {
        let mut found = false;
        for item in hay.items() {
            run.spend()?;
            found = same(&needle, &run.take(item)?);
            if found {
                break;
            }
        }
        found
    };
    Ok(Val::Bool(found))
}

/// `starts_with` and `ends_with`: null unless both arguments are texts.
#[inline(never)]
pub(super) fn affix<'a>(
    args: &'a Args,
    end: bool,
    scope: &Scope<'a>,
    run: &mut Run<'a>,
) -> Result<Val<'a>, Stop> {
    let args = args.ready(scope, run)?;
    if args.count() != 2 {
        return Ok(Val::Null);
    }
    let (value, part) = (args.get(0, scope, run)?, args.get(1, scope, run)?);
    Ok(match (value.as_str(), part.as_str()) {
        (Some(value), Some(part)) if end => Val::Bool(value.ends_with(part)),
        (Some(value), Some(part)) => Val::Bool(value.starts_with(part)),
        _ => Val::Null,
    })
}
