//! Flags that a sidecar evaluates: owns the provider that asks it, and what its answers say of the provider's status. It
//! must not know the protocol.

use std::sync::{Arc, Mutex, PoisonError};

use open_feature::provider::{FeatureProvider, ProviderMetadata, ProviderStatus, ResolutionDetails};
use open_feature::{EvaluationContext, EvaluationError, EvaluationErrorCode, EvaluationResult, StructValue};
use strongroom_core::api::client::Client;
use strongroom_core::api::error::ClientError;
use strongroom_core::api::evaluate::{ErrorCode, EvaluateError, Evaluated};
use strongroom_core::name::EntryPath;

use crate::{answer, context};

/// Asks a sidecar for each evaluation, so that nothing old is ever answered; rules find as `$peer` what the sidecar knows
/// of this process. Needs a tokio runtime with I/O and time. The client's timeout bounds an evaluation.
///
/// Its status is what the last answer said: stale while the sidecar cannot reach its store, an error while the
/// sidecar is not reached or answers what is not understood.
///
/// ```no_run
/// # async fn demo() {
/// use strongroom_core::api::client::Client;
/// use strongroom_openfeature::Socket;
/// use strongroom_openfeature::open_feature::OpenFeature;
/// let provider = Socket::new(Client::new("/run/strongroom/web/sidecar.sock"));
/// OpenFeature::singleton_mut().await.set_provider(provider).await;
/// let client = OpenFeature::singleton().await.create_client();
/// let on = client.get_bool_value("new-checkout", None, None).await.unwrap_or(false);
/// # }
/// ```
#[derive(Debug)]
pub struct Socket {
    client: Arc<Client>,
    seen: Mutex<Seen>,
    metadata: ProviderMetadata,
}

/// What the last answer said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Nothing,
    Current,
    Stale,
    Away,
}

impl Seen {
    fn of(stale_since: Option<&str>) -> Self {
        stale_since.map_or(Self::Current, |_| Self::Stale)
    }
}

impl Socket {
    /// A provider that asks by `client`, which others may share.
    #[must_use]
    pub fn new(client: impl Into<Arc<Client>>) -> Self {
        Self {
            client: client.into(),
            seen: Mutex::new(Seen::Nothing),
            metadata: ProviderMetadata::new("strongroom socket"),
        }
    }

    async fn resolve<T>(
        &self,
        key: &str,
        context: &EvaluationContext,
        read: impl FnOnce(&Evaluated) -> Result<Option<T>, EvaluateError> + Send,
    ) -> EvaluationResult<ResolutionDetails<T>> {
        let context = context::of(context)?;
        // no flag has such a name
        let key = EntryPath::new(key).map_err(|_| {
            answer::failed(
                EvaluationErrorCode::FlagNotFound,
                "the key is none that a flag can have",
            )
        })?;
        let evaluated = match self.client.evaluate(&key, &context).await {
            Ok(evaluated) => evaluated,
            Err(error) => return Err(self.failed(error)),
        };
        self.saw(Seen::of(evaluated.stale_since.as_deref()));
        let value = read(&evaluated).map_err(|error| self.failed(error))?;
        let Evaluated {
            variant,
            reason,
            metadata,
            ..
        } = &evaluated;
        answer::details(value, variant.as_deref(), reason, metadata)
    }

    fn saw(&self, seen: Seen) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    }

    fn seen(&self) -> Seen {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, error: EvaluateError) -> EvaluationError {
        match error {
            EvaluateError::Failed { code, details } => {
                self.reached();
                let code = match code {
                    ErrorCode::FlagNotFound => EvaluationErrorCode::FlagNotFound,
                    ErrorCode::ParseError => EvaluationErrorCode::ParseError,
                    ErrorCode::TypeMismatch => EvaluationErrorCode::TypeMismatch,
                    ErrorCode::TargetingKeyMissing => EvaluationErrorCode::TargetingKeyMissing,
                    ErrorCode::InvalidContext => EvaluationErrorCode::InvalidContext,
                    ErrorCode::General => return answer::general(details),
                };
                answer::failed(code, details)
            }
            EvaluateError::Client(error) => {
                match &error {
                    ClientError::Refused { .. } if !error.is_temporary() => self.reached(),
                    _ => self.saw(Seen::Away),
                }
                answer::general(error.to_string())
            }
        }
    }

    /// An answer that does not say how current it is.
    fn reached(&self) {
        if matches!(self.seen(), Seen::Nothing | Seen::Away) {
            self.saw(Seen::Current);
        }
    }
}

#[open_feature::async_trait]
impl FeatureProvider for Socket {
    /// Asks whether the sidecar is there; one that is not may come later.
    async fn initialize(&mut self, _context: &EvaluationContext) {
        let seen = match self.client.status().await {
            Ok(status) => Seen::of(status.stale_since.as_deref()),
            Err(_) => Seen::Away,
        };
        self.saw(seen);
    }

    fn status(&self) -> ProviderStatus {
        match self.seen() {
            Seen::Nothing => ProviderStatus::NotReady,
            Seen::Current => ProviderStatus::Ready,
            Seen::Stale => ProviderStatus::STALE,
            Seen::Away => ProviderStatus::Error,
        }
    }

    fn metadata(&self) -> &ProviderMetadata {
        &self.metadata
    }

    async fn resolve_bool_value(
        &self,
        key: &str,
        context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<bool>> {
        self.resolve(key, context, Evaluated::bool).await
    }

    async fn resolve_int_value(
        &self,
        key: &str,
        context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<i64>> {
        self.resolve(key, context, Evaluated::int).await
    }

    async fn resolve_float_value(
        &self,
        key: &str,
        context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<f64>> {
        self.resolve(key, context, Evaluated::float).await
    }

    async fn resolve_string_value(
        &self,
        key: &str,
        context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<String>> {
        let read = |flag: &Evaluated| Ok(flag.string()?.map(str::to_owned));
        self.resolve(key, context, read).await
    }

    async fn resolve_struct_value(
        &self,
        key: &str,
        context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<StructValue>> {
        let read = |flag: &Evaluated| Ok(flag.json()?.cloned());
        answer::structured(self.resolve(key, context, read).await?)
    }
}
