//! What an evaluation gives: owns the answer, its reason, and taking its value for a type. It must not know
//! rules.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::error::{Code, Failure};
use crate::number::whole;

/// Why a flag has the value it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// There is no rule: it is the default variant for everybody.
    Static,
    /// No rule chose: it is the default variant, or the caller's own default.
    Default,
    /// A rule chose the variant.
    TargetingMatch,
    /// The flag is switched off: the caller's own default holds.
    Disabled,
}

impl Reason {
    /// The reason as the protocols have it, such as `TARGETING_MATCH`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Static => "STATIC",
            Self::Default => "DEFAULT",
            Self::TargetingMatch => "TARGETING_MATCH",
            Self::Disabled => "DISABLED",
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A variant that was chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chosen<'a> {
    /// Its name.
    pub variant: &'a str,
    /// Its value, with numbers as the definition writes them: `10` or `10.0`.
    pub value: &'a Value,
}

/// What a flag is for a context.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation<'a> {
    /// The variant; `None` leaves the value to the caller's own default.
    pub chosen: Option<Chosen<'a>>,
    /// Why.
    pub reason: Reason,
    /// The metadata of the set, overlaid by that of the flag.
    pub metadata: &'a Map<String, Value>,
}

/// A value as a type that was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Details<'a, T> {
    /// The value; `None` leaves it to the caller's own default.
    pub value: Option<T>,
    /// The name of the variant, where one was chosen.
    pub variant: Option<&'a str>,
    /// Why.
    pub reason: Reason,
    /// The metadata of the set, overlaid by that of the flag.
    pub metadata: &'a Map<String, Value>,
}

impl<'a> Evaluation<'a> {
    fn typed<T>(
        &self,
        mismatch: &'static str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Details<'a, T>, Failure<'a>> {
        let value = match self.chosen {
            None => None,
            Some(chosen) => Some(read(chosen.value).ok_or(Failure {
                code: Code::TypeMismatch,
                detail: mismatch,
                metadata: self.metadata,
            })?),
        };
        Ok(Details {
            value,
            variant: self.chosen.map(|chosen| chosen.variant),
            reason: self.reason,
            metadata: self.metadata,
        })
    }

    /// The value as a boolean.
    ///
    /// # Errors
    /// [`Code::TypeMismatch`].
    pub fn bool(&self) -> Result<Details<'a, bool>, Failure<'a>> {
        self.typed("the flag is no boolean", Value::as_bool)
    }

    /// The value as a text.
    ///
    /// # Errors
    /// [`Code::TypeMismatch`].
    pub fn string(&self) -> Result<Details<'a, &'a str>, Failure<'a>> {
        self.typed("the flag is no string", Value::as_str)
    }

    /// The value as a whole number; `10.0` is one.
    ///
    /// # Errors
    /// [`Code::TypeMismatch`], for a number with a fraction too.
    pub fn int(&self) -> Result<Details<'a, i64>, Failure<'a>> {
        self.typed("the flag is no whole number", whole)
    }

    /// The value as a number; `10` is one.
    ///
    /// # Errors
    /// [`Code::TypeMismatch`].
    pub fn float(&self) -> Result<Details<'a, f64>, Failure<'a>> {
        self.typed("the flag is no number", Value::as_f64)
    }

    /// The value as an object, as JSON.
    ///
    /// # Errors
    /// [`Code::TypeMismatch`].
    pub fn json(&self) -> Result<Details<'a, &'a Map<String, Value>>, Failure<'a>> {
        self.typed("the flag is no object", Value::as_object)
    }

    /// The value as an object, deserialised.
    ///
    /// # Errors
    /// [`Code::TypeMismatch`], when it does not fit the type too.
    pub fn object<T: DeserializeOwned>(&self) -> Result<Details<'a, T>, Failure<'a>> {
        self.typed(
            "the flag is no object, or not one of the type asked for",
            |value| {
                let object = value.is_object().then_some(value)?;
                T::deserialize(object).ok()
            },
        )
    }
}
