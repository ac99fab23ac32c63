//! Values that name their account: owns the document that `alternate` keeps as the value of a secret.
//! It must not know targets.

use serde_json::Value;
use zeroize::{Zeroize, Zeroizing};

use crate::secret::Secret;

/// The value is not what `alternate` wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// It is no such document.
    #[error("with `alternate` the value is JSON: {{\"username\":\"NAME\",\"password\":\"...\"}}")]
    Shape,
    /// Neither account is named.
    #[error("the value names an account that the plan does not have")]
    Unknown,
    /// A generator made bytes that are no text.
    #[error("with `alternate` a generator has to make text")]
    Bytes,
}

/// An account and its password.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) password: Secret,
}

impl Account {
    /// What a value says.
    pub(crate) fn of(value: &Secret) -> Result<Self, AccountError> {
        let parsed: Value = value
            .expose(|bytes| serde_json::from_slice(bytes))
            .map_err(|_| AccountError::Shape)?;
        let Value::Object(mut object) = parsed else {
            return Err(AccountError::Shape);
        };
        let (name, password) = (object.remove("username"), object.remove("password"));
        let rest = object.is_empty();
        object.into_iter().for_each(|(_, left)| wipe(left));
        match (name, password) {
            (Some(Value::String(name)), Some(Value::String(password))) if rest => Ok(Self {
                name,
                password: Secret::new(password.into_bytes()),
            }),
            (name, password) => {
                [name, password].into_iter().flatten().for_each(wipe);
                Err(AccountError::Shape)
            }
        }
    }
}

/// What is no account may be a secret all the same.
fn wipe(value: Value) {
    match value {
        Value::String(mut text) => text.zeroize(),
        Value::Array(values) => values.into_iter().for_each(wipe),
        Value::Object(members) => members.into_iter().for_each(|(_, member)| wipe(member)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The value for the account whose turn it is: that of `current` rests.
pub(super) fn next(
    accounts: &[String; 2],
    current: &Secret,
    password: &Secret,
) -> Result<Secret, AccountError> {
    let current = Account::of(current)?;
    let [a, b] = accounts;
    let name = match current.name {
        name if name == *a => b,
        name if name == *b => a,
        _ => return Err(AccountError::Unknown),
    };
    password.expose(|bytes| {
        let text = std::str::from_utf8(bytes).map_err(|_| AccountError::Bytes)?;
        let mut out = Zeroizing::new(Vec::with_capacity(64 + 6 * (text.len() + name.len())));
        out.extend(b"{\"username\":");
        quote(&mut out, name);
        out.extend(b",\"password\":");
        quote(&mut out, text);
        out.push(b'}');
        Ok(Secret::new(std::mem::take(&mut *out)))
    })
}

/// Writes a text as JSON. Six bytes for each of it have to be reserved: then nothing moves.
pub(super) fn quote(out: &mut Vec<u8>, text: &str) {
    // Writing to memory does not fail.
    let _ = serde_json::to_writer(out, text);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.as_bytes().to_vec())
    }

    #[test]
    fn accounts_take_turns_whatever_numbers_versions_have() {
        let accounts = ["a".to_owned(), "b".to_owned()];
        let mut value = secret(r#"{"username":"a","password":"one"}"#);
        for expected in ["b", "a", "b"] {
            value = next(&accounts, &value, &secret("x\"y\n")).unwrap();
            let account = Account::of(&value).unwrap();
            assert_eq!(account.name, expected);
            assert!(account.password.same_as(&secret("x\"y\n")));
        }
    }

    #[test]
    fn another_value_is_refused() {
        let accounts = ["a".to_owned(), "b".to_owned()];
        let error = |value: &str| next(&accounts, &secret(value), &secret("x")).unwrap_err();
        assert_eq!(error("one"), AccountError::Shape);
        assert_eq!(error(r#"{"username":"a"}"#), AccountError::Shape);
        assert_eq!(
            error(r#"{"username":"a","password":"x","more":1}"#),
            AccountError::Shape
        );
        assert_eq!(error(r#"{"username":"c","password":"x"}"#), AccountError::Unknown);
        let current = secret(r#"{"username":"a","password":"x"}"#);
        let bytes = next(&accounts, &current, &Secret::new(vec![0xff]));
        assert!(matches!(bytes, Err(AccountError::Bytes)));
    }
}
