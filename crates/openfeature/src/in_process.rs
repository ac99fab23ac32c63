//! Flags of a vault of this process: owns the provider that evaluates them here. It must not know sockets.

use std::sync::Arc;

use open_feature::provider::{FeatureProvider, ProviderMetadata, ProviderStatus, ResolutionDetails};
use open_feature::{EvaluationContext, EvaluationError, EvaluationErrorCode, EvaluationResult, StructValue};
use strongroom_core::Vault;
use strongroom_core::flag::{Code, Evaluation, Failure};
use strongroom_core::name::EnvironmentName;
use strongroom_core::snapshot::ReadError;

use crate::{answer, context};

/// Evaluates the flags that an environment sees, of the vault's newest revision. It takes microseconds and waits for
/// nothing. Commits of other processes are seen after [`Vault::follow`].
///
/// Its status is stale while the store is out of reach or holds a revision that was refused.
///
/// ```no_run
/// # async fn demo(vault: std::sync::Arc<strongroom_core::Vault>) -> Result<(), Box<dyn std::error::Error>> {
/// use strongroom_openfeature::InProcess;
/// use strongroom_openfeature::open_feature::OpenFeature;
/// let provider = InProcess::new(vault, "prod".parse()?)?;
/// OpenFeature::singleton_mut().await.set_provider(provider).await;
/// let client = OpenFeature::singleton().await.create_client();
/// let on = client.get_bool_value("new-checkout", None, None).await.unwrap_or(false);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct InProcess {
    vault: Arc<Vault>,
    environment: EnvironmentName,
    metadata: ProviderMetadata,
}

impl InProcess {
    /// A provider of the flags of `environment`.
    ///
    /// # Errors
    /// [`ReadError::NoEnvironment`].
    pub fn new(vault: Arc<Vault>, environment: EnvironmentName) -> Result<Self, ReadError> {
        vault.flags(&environment)?;
        Ok(Self {
            vault,
            environment,
            metadata: ProviderMetadata::new("strongroom in-process"),
        })
    }

    fn resolve<T>(
        &self,
        key: &str,
        context: &EvaluationContext,
        read: impl for<'a> FnOnce(&Evaluation<'a>) -> Result<Option<T>, Failure<'a>>,
    ) -> EvaluationResult<ResolutionDetails<T>> {
        let context = context::of(context)?;
        let flags = self.vault.flags(&self.environment);
        let flags = flags.map_err(|error| answer::general(error.to_string()))?;
        let evaluation = flags.evaluate(key, &context).map_err(failed)?;
        let value = read(&evaluation).map_err(failed)?;
        let variant = evaluation.chosen.map(|chosen| chosen.variant);
        answer::details(value, variant, evaluation.reason.as_str(), evaluation.metadata)
    }
}

fn failed(failure: Failure<'_>) -> EvaluationError {
    let code = match failure.code {
        Code::FlagNotFound => EvaluationErrorCode::FlagNotFound,
        Code::Parse => EvaluationErrorCode::ParseError,
        Code::TypeMismatch => EvaluationErrorCode::TypeMismatch,
        Code::General => return answer::general(failure.detail),
    };
    answer::failed(code, failure.detail)
}

#[open_feature::async_trait]
impl FeatureProvider for InProcess {
    fn status(&self) -> ProviderStatus {
        let freshness = self.vault.freshness();
        if self.vault.flags(&self.environment).is_err() {
            // it was there when this provider was made
            ProviderStatus::Error
        } else if freshness.stale_since.is_some() || freshness.refused.is_some() {
            ProviderStatus::STALE
        } else {
            ProviderStatus::Ready
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
        self.resolve(key, context, |flag| Ok(flag.bool()?.value))
    }

    async fn resolve_int_value(
        &self,
        key: &str,
        context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<i64>> {
        self.resolve(key, context, |flag| Ok(flag.int()?.value))
    }

    async fn resolve_float_value(
        &self,
        key: &str,
        context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<f64>> {
        self.resolve(key, context, |flag| Ok(flag.float()?.value))
    }

    async fn resolve_string_value(
        &self,
        key: &str,
        context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<String>> {
        self.resolve(key, context, |flag| Ok(flag.string()?.value.map(str::to_owned)))
    }

    async fn resolve_struct_value(
        &self,
        key: &str,
        context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<StructValue>> {
        let details = self.resolve(key, context, |flag| Ok(flag.json()?.value.cloned()))?;
        answer::structured(details)
    }
}
