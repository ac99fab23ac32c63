//! `fractional`: owns the key that users are split by, the weights, and the bucket a hash falls into. Two
//! generations are in use, which differ in what is hashed: a text (v2) or its CBOR (v3).

use super::args::Args;
use super::coerce::number;
use super::node::Node;
use super::run::{Run, Stop};
use super::value::{Scope, Val};
use crate::flag::murmur::Murmur;
use crate::flag::{Bucketing, cbor};

/// The most that weights add up to.
pub(super) const MAX_WEIGHTS: u64 = 2_147_483_647;

/// A `fractional`, prepared as far as its rule allows.
#[derive(Debug)]
pub(in crate::flag) enum Split {
    /// All variants and weights are literals, the usual case.
    Fixed {
        /// The rule that says the key; without one it is the flag's key and the targeting key.
        key: Option<Node>,
        entries: Box<[(Node, u32)]>,
        total: u64,
    },
    /// Something has to be evaluated first.
    Open(Args),
}

impl Split {
    #[inline(never)]
    pub(super) fn eval<'a>(&'a self, scope: &Scope<'a>, run: &mut Run<'a>) -> Result<Val<'a>, Stop> {
        let (key, entries, total) = match self {
            Self::Fixed { key, entries, total } => (key, entries, *total),
            Self::Open(args) => {
                let values = args.all(scope, run)?;
                return open(&values, scope, run);
            }
        };
        let key = match key {
            None => Key::Implicit,
            Some(node) => {
                let value = node.eval(scope, run)?;
                match Key::of(&value, run.bucketing) {
                    Some(key) => key,
                    // It was a bucket after all, or it is no key.
                    None => return after_all(value, entries, scope, run),
                }
            }
        };
        let Some(hash) = key.hash(scope, run)? else {
            return Ok(Val::Null);
        };
        let bucket = (u64::from(hash) * total) >> 32;
        let mut end = 0;
        for (variant, weight) in entries {
            end += u64::from(*weight);
            if bucket < end {
                return variant.eval(scope, run);
            }
        }
        Ok(Val::Null)
    }
}

fn after_all<'a>(
    first: Val<'a>,
    entries: &'a [(Node, u32)],
    scope: &Scope<'a>,
    run: &mut Run<'a>,
) -> Result<Val<'a>, Stop> {
    let mut values = vec![first];
    for (variant, weight) in entries {
        let pair = vec![variant.eval(scope, run)?, Val::Num(f64::from(*weight))];
        values.push(Val::list(pair)?);
    }
    open(&values, scope, run)
}

/// What is hashed.
enum Key<'a> {
    /// The flag's key and the targeting key.
    Implicit,
    Of(Val<'a>),
    /// There is none, so that there is no bucket either.
    Missing,
}

impl<'a> Key<'a> {
    /// The key that a first argument is; `None` when it is none.
    fn of(first: &Val<'a>, bucketing: Bucketing) -> Option<Self> {
        match bucketing {
            Bucketing::V2 if first.as_str().is_some() => Some(Self::Of(first.clone())),
            Bucketing::V2 if first.is_null() => Some(Self::Implicit),
            Bucketing::V2 => None,
            Bucketing::V3 if first.count().is_some() => None,
            Bucketing::V3 if first.is_null() => Some(Self::Missing),
            Bucketing::V3 => Some(Self::Of(first.clone())),
        }
    }

    fn hash(&self, scope: &Scope<'a>, run: &mut Run<'a>) -> Result<Option<u32>, Stop> {
        let mut out = Murmur::default();
        match (self, run.bucketing) {
            (Self::Missing, _) => return Ok(None),
            (Self::Implicit, bucketing) => {
                let Some(targeting_key) = run.targeting_key(scope) else {
                    return Ok(None);
                };
                run.spend_bytes(run.key.len() + targeting_key.len())?;
                if bucketing == Bucketing::V2 {
                    out.put(run.key.as_bytes());
                    out.put(targeting_key.as_bytes());
                } else {
                    cbor::list(2, &mut out);
                    cbor::text(run.key, &mut out);
                    cbor::text(targeting_key, &mut out);
                }
            }
            (Self::Of(value), Bucketing::V2) => out.put(value.as_str().unwrap_or_default().as_bytes()),
            (Self::Of(value), Bucketing::V3) => encode(value, &mut out, run, 0)?,
        }
        Ok(Some(out.finish()))
    }
}

/// Deepest value that is hashed.
const MAX_DEPTH: usize = 128;

fn encode<'a>(value: &Val<'a>, out: &mut Murmur, run: &mut Run<'a>, depth: usize) -> Result<(), Stop> {
    run.spend()?;
    if depth > MAX_DEPTH {
        return Err(Stop::Work);
    }
    match run.take(value.clone())? {
        Val::Null => cbor::null(out),
        Val::Bool(bool) => cbor::bool(bool, out),
        Val::Num(number) => cbor::float(number, out),
        Val::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(whole), _) => cbor::unsigned(whole, out),
            (None, Some(whole)) => cbor::signed(whole, out),
            (None, None) => cbor::float(number.as_f64().unwrap_or(f64::NAN), out),
        },
        Val::Str(text) => cbor::text(text, out),
        Val::Text(text) => cbor::text(&text, out),
        Val::List(_) | Val::Items(..) => {
            cbor::list(value.count().unwrap_or(0), out);
            for item in value.items() {
                encode(&item, out, run, depth + 1)?;
            }
        }
        Val::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by(|(a, _), (b, _)| cbor::key_order(a, b));
            cbor::map(members.len(), out);
            for (key, value) in members {
                run.spend_bytes(key.len())?;
                cbor::text(key, out);
                encode(&value.into(), out, run, depth + 1)?;
            }
        }
        // Everything there is, the time included: nobody means to be split by that.
        Val::Root | Val::Flagd => cbor::null(out),
    }
    Ok(())
}

/// The whole of it, when nothing was known before.
fn open<'a>(values: &[Val<'a>], scope: &Scope<'a>, run: &mut Run<'a>) -> Result<Val<'a>, Stop> {
    let Some(look) = look(values, scope, run)? else {
        return Ok(Val::Null);
    };
    let mut end = 0;
    for (variant, weight) in look.buckets {
        end += weight;
        if look.place < end {
            return Ok(variant);
        }
    }
    Ok(Val::Null)
}

/// Where a key falls.
pub(super) struct Look<'a> {
    pub(super) hash: u32,
    /// Below the sum of weights.
    pub(super) place: u64,
    pub(super) buckets: Vec<(Val<'a>, u64)>,
}

/// Where the key among evaluated arguments falls; `None` when there is no key, or no such buckets.
pub(super) fn look<'a>(
    values: &[Val<'a>],
    scope: &Scope<'a>,
    run: &mut Run<'a>,
) -> Result<Option<Look<'a>>, Stop> {
    let Some((first, rest)) = values.split_first() else {
        return Ok(None);
    };
    let (key, buckets) = match Key::of(first, run.bucketing) {
        Some(key) => (key, rest),
        None => (Key::Implicit, values),
    };
    let Some(hash) = key.hash(scope, run)? else {
        return Ok(None);
    };
    let weighed: Option<Vec<_>> = buckets.iter().map(weighed).collect();
    let Some(buckets) = weighed else {
        return Ok(None);
    };
    let total: u64 = buckets.iter().map(|(_, weight)| weight).sum();
    if total > MAX_WEIGHTS {
        return Ok(None);
    }
    let place = (u64::from(hash) * total) >> 32;
    Ok(Some(Look { hash, place, buckets }))
}

/// The variant of a bucket, a list of it and perhaps a weight, with its weight; `None` when it is no bucket.
fn weighed<'a>(bucket: &Val<'a>) -> Option<(Val<'a>, u64)> {
    let (variant, weight) = match bucket.count()? {
        1 => (bucket.item(0)?, None),
        2 => (bucket.item(0)?, Some(bucket.item(1)?)),
        _ => return None,
    };
    match variant {
        Val::Null | Val::Bool(_) | Val::Num(_) | Val::Number(_) | Val::Str(_) | Val::Text(_) => {}
        Val::List(_) | Val::Items(..) | Val::Object(_) | Val::Root | Val::Flagd => return None,
    }
    let weight = match weight {
        None => 1,
        Some(weight @ (Val::Num(_) | Val::Number(_))) => u64::from(whole_weight(number(&weight))?),
        Some(_) => return None,
    };
    Some((variant, weight))
}

/// A number as a weight: whole, at most [`MAX_WEIGHTS`]; less than nothing is nothing.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // whole and in range
pub(super) fn whole_weight(number: f64) -> Option<u32> {
    let most = f64::from(i32::MAX);
    (number.trunc() == number && number <= most).then(|| number.max(0.0) as u32)
}
