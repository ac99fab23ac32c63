//! Evaluating a flag at a sidecar: owns the request and the answers of the OpenFeature Remote Evaluation Protocol,
//! and taking a value for a type. It must not know how a flag is evaluated.

use std::fmt;

use hyper::StatusCode;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::client::{Client, JSON, failure, parsed, text};
use super::connection::Get;
use super::error::ClientError;
use super::pool::Answer;
use super::{header, uri, wire};
use crate::name::EntryPath;
use crate::number::whole;

const FLAGS: &str = "/ofrep/v1/evaluate/flags/";
/// The longest answer: a definition and a set have a megabyte each at most, and JSON escapes some of it.
const MOST: usize = 8 * 1024 * 1024;

/// What a flag is for a context.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluated {
    /// Its value; `None` leaves it to the caller's own default.
    pub value: Option<Value>,
    /// The name of the variant, where one was chosen.
    pub variant: Option<String>,
    /// Why: `STATIC`, `DEFAULT`, `TARGETING_MATCH`, `DISABLED`, or a word of a newer sidecar.
    pub reason: String,
    /// The metadata of the set, overlaid by that of the flag.
    pub metadata: Map<String, Value>,
    /// The revision it was evaluated at.
    pub revision: u64,
    /// RFC 3339 time since when the sidecar cannot reach its store.
    pub stale_since: Option<String>,
}

/// The error codes of OpenFeature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ErrorCode {
    /// There is no such flag, or none that this process may know of.
    FlagNotFound,
    /// The definition cannot be evaluated.
    ParseError,
    /// The value is of another type than asked for.
    TypeMismatch,
    /// The context has no targeting key, and the flag needs one.
    TargetingKeyMissing,
    /// The context is not understood.
    InvalidContext,
    /// Everything else.
    #[serde(other)]
    General,
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FlagNotFound => "FLAG_NOT_FOUND",
            Self::ParseError => "PARSE_ERROR",
            Self::TypeMismatch => "TYPE_MISMATCH",
            Self::TargetingKeyMissing => "TARGETING_KEY_MISSING",
            Self::InvalidContext => "INVALID_CONTEXT",
            Self::General => "GENERAL",
        })
    }
}

/// Why there is no value: the caller's own default holds.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    /// The flag has none for this context, or of this type.
    #[error("{code}: {details}")]
    Failed {
        /// Why, for programs.
        code: ErrorCode,
        /// Why, for people; without values.
        details: String,
    },
    /// The sidecar was not reached, or refused.
    #[error(transparent)]
    Client(#[from] ClientError),
}

#[derive(Serialize)]
struct Question<'a> {
    context: &'a Map<String, Value>,
}

#[derive(Deserialize)]
struct Success {
    value: Option<Value>,
    #[serde(default)]
    variant: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    metadata: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Failed {
    error_code: ErrorCode,
    #[serde(default)]
    error_details: String,
}

impl Client {
    /// Evaluates a flag for a context, a JSON object whose `targetingKey` is whom users are split by. What the
    /// sidecar knows of this process rules find as `$peer`.
    ///
    /// ```no_run
    /// # async fn demo() -> Result<(), Box<dyn std::error::Error>> {
    /// use strongroom_core::api::client::Client;
    /// let client = Client::new("/run/strongroom/sidecar.sock");
    /// let context = [("targetingKey".to_owned(), "ada".into())].into_iter().collect();
    /// let flag = client.evaluate(&"new-checkout".parse()?, &context).await?;
    /// let on = flag.bool()?.unwrap_or(false);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`EvaluateError`].
    pub async fn evaluate(
        &self,
        key: &EntryPath,
        context: &Map<String, Value>,
    ) -> Result<Evaluated, EvaluateError> {
        let question = serde_json::to_vec(&Question { context }).map_err(|_| ClientError::Foreign {
            problem: "a context that could not be written",
        })?;
        let get = Get {
            target: &format!("{FLAGS}{}", uri::encode(key.as_str())),
            accept: JSON,
            last_event: None,
        };
        let answer = self.pool.send(&get, MOST, Some(question.into())).await?;
        match answer.status {
            StatusCode::OK => Evaluated::of(&answer),
            _ => Err(refused(&answer)),
        }
    }
}

impl Evaluated {
    fn of(answer: &Answer) -> Result<Self, EvaluateError> {
        let success: Success = parsed(&answer.body)?;
        let revision = text(&answer.headers, header::REVISION).and_then(|text| text.parse().ok());
        Ok(Self {
            value: success.value,
            variant: Some(success.variant).filter(|variant| !variant.is_empty()),
            reason: success.reason,
            metadata: success.metadata,
            revision: revision.ok_or(ClientError::Foreign {
                problem: "no revision",
            })?,
            stale_since: text(&answer.headers, header::STALE_SINCE).map(str::to_owned),
        })
    }

    fn typed<'a, T>(
        &'a self,
        mismatch: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, EvaluateError> {
        let read = |value| {
            read(value).ok_or_else(|| EvaluateError::Failed {
                code: ErrorCode::TypeMismatch,
                details: mismatch.to_owned(),
            })
        };
        self.value.as_ref().map(read).transpose()
    }

    /// The value as a boolean.
    ///
    /// # Errors
    /// [`ErrorCode::TypeMismatch`].
    pub fn bool(&self) -> Result<Option<bool>, EvaluateError> {
        self.typed("the flag is no boolean", Value::as_bool)
    }

    /// The value as a text.
    ///
    /// # Errors
    /// [`ErrorCode::TypeMismatch`].
    pub fn string(&self) -> Result<Option<&str>, EvaluateError> {
        self.typed("the flag is no string", Value::as_str)
    }

    /// The value as a whole number; `10.0` is one.
    ///
    /// # Errors
    /// [`ErrorCode::TypeMismatch`], for a number with a fraction too.
    pub fn int(&self) -> Result<Option<i64>, EvaluateError> {
        self.typed("the flag is no whole number", whole)
    }

    /// The value as a number; `10` is one.
    ///
    /// # Errors
    /// [`ErrorCode::TypeMismatch`].
    pub fn float(&self) -> Result<Option<f64>, EvaluateError> {
        self.typed("the flag is no number", Value::as_f64)
    }

    /// The value as an object, as JSON.
    ///
    /// # Errors
    /// [`ErrorCode::TypeMismatch`].
    pub fn json(&self) -> Result<Option<&Map<String, Value>>, EvaluateError> {
        self.typed("the flag is no object", Value::as_object)
    }

    /// The value as an object, deserialised.
    ///
    /// # Errors
    /// [`ErrorCode::TypeMismatch`], when it does not fit the type too.
    pub fn object<T: DeserializeOwned>(&self) -> Result<Option<T>, EvaluateError> {
        self.typed(
            "the flag is no object, or not one of the type asked for",
            |value| {
                let object = value.is_object().then_some(value)?;
                T::deserialize(object).ok()
            },
        )
    }
}

/// What an answer that is not a success says.
fn refused(answer: &Answer) -> EvaluateError {
    let Ok(failed) = parsed::<Failed>(&answer.body) else {
        return failure(answer.status, &answer.body).into();
    };
    let (error_code, message) = (failed.error_code, failed.error_details);
    let code = match answer.status {
        // of the flag and the context
        StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND => {
            return EvaluateError::Failed {
                code: error_code,
                details: message,
            };
        }
        StatusCode::FORBIDDEN => wire::Code::Denied,
        StatusCode::PAYLOAD_TOO_LARGE => wire::Code::TooLarge,
        StatusCode::SERVICE_UNAVAILABLE => wire::Code::Unavailable,
        StatusCode::INTERNAL_SERVER_ERROR => wire::Code::Internal,
        _ => wire::Code::Unknown,
    };
    ClientError::Refused { code, message }.into()
}
