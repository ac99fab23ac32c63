//! Arithmetic: owns `+ - * / %`, `min` and `max`. Values become numbers as `coerce` has it.

use super::args::Args;
use super::coerce::number;
use super::node::Math;
use super::run::{Run, Stop};
use super::value::{Scope, Val};

#[inline(never)]
pub(super) fn eval<'a>(
    math: Math,
    args: &'a Args,
    scope: &Scope<'a>,
    run: &mut Run<'a>,
) -> Result<Val<'a>, Stop> {
    let args = args.ready(scope, run)?;
    let count = match math {
        Math::Remainder => args.count().min(2),
        _ => args.count(),
    };
    let first = args.at(0, scope, run)?;
    let Some(first) = first else {
        return Ok(match math {
            Math::Multiply => Val::Num(1.0),
            Math::Min | Math::Max => Val::Null,
            Math::Add | Math::Subtract | Math::Divide | Math::Remainder => Val::Num(0.0),
        });
    };
    let mut result = number(&first);
    if count == 1 && math == Math::Subtract {
        return Ok(Val::Num(-result));
    }
    for at in 1..count {
        let next = number(&args.get(at, scope, run)?);
        result = match math {
            Math::Add => result + next,
            Math::Subtract => result - next,
            Math::Multiply => result * next,
            Math::Divide => result / next,
            Math::Remainder => result % next,
            // What is no number spoils the result, as in JavaScript.
            Math::Min | Math::Max if result.is_nan() || next.is_nan() => f64::NAN,
            Math::Min => result.min(next),
            Math::Max => result.max(next),
        };
    }
    Ok(Val::Num(result))
}
