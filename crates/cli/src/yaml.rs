//! YAML, which is read and never written: owns the one parser of it and how it is bounded. Texts
//! like `no` stay texts.

use serde_json::Value;

use crate::error::CliError;

/// Aliases are rarely used in configuration, and are what documents explode by.
const MAX_ALIASES: usize = 1000;

/// Parses one document that repeats no key; says where it fails, never what stands there.
pub(crate) fn parse(text: &[u8]) -> Result<Value, CliError> {
    let text = std::str::from_utf8(text).map_err(|_| CliError::failed("not YAML: it is not UTF-8"))?;
    let mut options = serde_saphyr::options! { strict_booleans: true };
    if let Some(budget) = &mut options.budget {
        budget.max_aliases = MAX_ALIASES;
    }
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let line = error.location().map_or(1, |location| location.line());
        CliError::failed(format!(
            "line {line}: not one YAML document as it is understood here (a key may be there twice, or an alias too often)"
        ))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn yaml_is_read_as_json_has_it() {
        let text = "# c\npool: {size: 20, ratio: 0.5}\nlist:\n- a\n- no\n- 'yes'\n- true\nbase: &b {x: 1}\nsame: *b\n";
        let expected = serde_json::json!({
            "pool": {"size": 20, "ratio": 0.5},
            "list": ["a", "no", "yes", true],
            "base": {"x": 1},
            "same": {"x": 1},
        });
        assert_eq!(parse(text.as_bytes()).unwrap(), expected);
    }

    #[test]
    fn what_is_bad_is_refused_by_its_line_alone() {
        let mut bomb = "a0: &a0 [x, x]\n".to_owned();
        for level in 1..40 {
            let before = level - 1;
            bomb.push_str(&format!("a{level}: &a{level} [*a{before}, *a{before}]\n"));
        }
        let deep = format!("a: {}", "[".repeat(100_000));
        for bad in [
            "a: 1\na: canary\n",
            "a: [canary\n",
            "a: 1\n---\nb: canary\n",
            "a: *canary\n",
            &bomb,
            &deep,
        ] {
            let error = parse(bad.as_bytes()).unwrap_err();
            assert!(error.message.starts_with("line "), "{}", error.message);
            assert!(!error.message.contains("canary"), "{}", error.message);
        }
    }
}
