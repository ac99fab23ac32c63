//! Numbers of JSON: owns which of them are whole. It must not know what they are of.

use serde_json::Value;

/// Beyond it a float is no exact whole number.
pub(crate) const MAX_WHOLE: f64 = 9_007_199_254_740_991.0;

/// A value as a whole number; `10.0` is one, and `10.5` is none.
pub(crate) fn whole(value: &Value) -> Option<i64> {
    #[allow(clippy::cast_possible_truncation)] // whole and in range
    let of_float = |float: f64| (float.trunc() == float && float.abs() <= MAX_WHOLE).then_some(float as i64);
    value.as_i64().or_else(|| value.as_f64().and_then(of_float))
}
