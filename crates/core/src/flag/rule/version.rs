//! `sem_ver`: owns comparing semantic versions, which may be partial, numbers, or begin with a `v`. Build
//! metadata does not count. What is no version, and an unknown operator, gives null.

use semver::Version;

use super::args::Args;
use super::coerce::text;
use super::run::{Run, Stop};
use super::value::{Scope, Val};

/// The operators of `sem_ver`.
pub(super) const OPERATORS: [&str; 8] = ["=", "!=", "<", "<=", ">", ">=", "^", "~"];

#[inline(never)]
pub(super) fn eval<'a>(args: &'a Args, scope: &Scope<'a>, run: &mut Run<'a>) -> Result<Val<'a>, Stop> {
    let args = args.ready(scope, run)?;
    if args.count() != 3 {
        return Ok(Val::Null);
    }
    let (a, b) = (args.get(0, scope, run)?, args.get(2, scope, run)?);
    let operator = args.get(1, scope, run)?;
    let (Some(a), Some(b)) = (parse(&text(&a, run)?), parse(&text(&b, run)?)) else {
        return Ok(Val::Null);
    };
    let order = a.cmp_precedence(&b);
    let holds = match operator.as_str() {
        Some("=") => order.is_eq(),
        Some("!=") => order.is_ne(),
        Some("<") => order.is_lt(),
        Some("<=") => order.is_le(),
        Some(">") => order.is_gt(),
        Some(">=") => order.is_ge(),
        Some("^") => a.major == b.major,
        Some("~") => (a.major, a.minor) == (b.major, b.minor),
        _ => return Ok(Val::Null),
    };
    Ok(Val::Bool(holds))
}

/// A version, or the beginning of one: `1` and `1.2` are `1.0.0` and `1.2.0`.
pub(super) fn parse(text: &str) -> Option<Version> {
    let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
    if let Ok(version) = Version::parse(text) {
        return Some(version);
    }
    let is_partial = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let zeros = match text.split('.').count() {
        1 => ".0.0",
        2 => ".0",
        _ => return None,
    };
    is_partial
        .then(|| Version::parse(&format!("{text}{zeros}")).ok())
        .flatten()
}
