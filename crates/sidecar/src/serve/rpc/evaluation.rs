//! `flagd.evaluation.v1` and `v2`: owns how an evaluation stands in their messages.

use buffa::{Inline, MessageField};
use buffa_types::google::protobuf::Struct;
use connectrpc::{
    ConnectError, RequestContext, Response, Router, ServiceRequest, ServiceResult, ServiceStream,
};
use strongroom_core::flag::{Details, Evaluation, Failure, Reason};

use super::super::selector::Selector;
use super::events::{Events, Said};
use super::protocols::flagd::evaluation::{v1, v2};
use super::{Caller, convert, failed, refused};

struct Evaluation1;
struct Evaluation2;

pub(super) fn routes(router: Router) -> Router {
    use std::sync::Arc;

    let router = v1::ServiceExt::register(Arc::new(Evaluation1), router);
    v2::ServiceExt::register(Arc::new(Evaluation2), router)
}

/// What a flag is, of a type.
struct Resolved<T> {
    value: Option<T>,
    variant: Option<String>,
    reason: Reason,
    metadata: MessageField<Struct, Inline<Struct>>,
}

/// Reads an evaluation as a type, and owns what it says.
type As<T> = for<'a> fn(&Evaluation<'a>) -> Result<Resolved<T>, Failure<'a>>;

fn owned<T, U>(details: Details<'_, T>, own: impl FnOnce(T) -> U) -> Resolved<U> {
    Resolved {
        value: details.value.map(own),
        variant: details.variant.map(str::to_owned),
        reason: details.reason,
        metadata: MessageField::some(convert::fields(details.metadata)),
    }
}

async fn resolve<T>(
    context: &RequestContext,
    key: &str,
    fields: MessageField<Struct, Inline<Struct>>,
    read: As<T>,
) -> Result<Resolved<T>, ConnectError> {
    let caller = Caller::of(context)?;
    let evaluator = caller.evaluator().await?;
    if !evaluator.permits(key).await.map_err(refused)? {
        return Err(failed(&Failure::not_found()));
    }
    let fields = convert::members(fields);
    let evaluated = evaluator
        .evaluate(key, &fields)
        .and_then(|evaluation| read(&evaluation));
    evaluated.map_err(|failure| failed(&failure))
}

/// How one type is read.
const BOOLEAN: As<bool> = |evaluation| Ok(owned(evaluation.bool()?, |value| value));
const STRING: As<String> = |evaluation| Ok(owned(evaluation.string()?, str::to_owned));
const INT: As<i64> = |evaluation| Ok(owned(evaluation.int()?, |value| value));
const FLOAT: As<f64> = |evaluation| Ok(owned(evaluation.float()?, |value| value));
const OBJECT: As<Struct> = |evaluation| Ok(owned(evaluation.json()?, convert::fields));

/// Version 1 has no way to leave a value to its caller, but for a flag that is off.
fn or_zero<T: Default>(resolved: &mut Resolved<T>) -> Result<T, ConnectError> {
    match (resolved.value.take(), resolved.reason) {
        (Some(value), _) => Ok(value),
        (None, Reason::Disabled) => Ok(T::default()),
        (None, _) => Err(failed(&Failure::no_default())),
    }
}

/// What both versions have: a call for each type, and the stream of changes.
macro_rules! calls {
    ($version:ident) => {
        calls! { $version:
            resolve_boolean, ResolveBooleanRequest, ResolveBooleanResponse, BOOLEAN;
            resolve_string, ResolveStringRequest, ResolveStringResponse, STRING;
            resolve_float, ResolveFloatRequest, ResolveFloatResponse, FLOAT;
            resolve_int, ResolveIntRequest, ResolveIntResponse, INT;
            resolve_object, ResolveObjectRequest, ResolveObjectResponse, OBJECT;
        }

        async fn event_stream(
            &self,
            ctx: RequestContext,
            _request: ServiceRequest<'_, $version::EventStreamRequest>,
        ) -> ServiceResult<ServiceStream<$version::EventStreamResponse>> {
            let make = |said: Said| {
                let (kind, data) = said.into_parts();
                $version::EventStreamResponse {
                    r#type: kind.to_owned(),
                    data: data.into(),
                    ..Default::default()
                }
            };
            Response::ok(Events::start(&ctx, make).await?)
        }
    };
    ($version:ident: $($name:ident, $request:ident, $response:ident, $read:ident;)*) => { $(
        async fn $name(
            &self,
            ctx: RequestContext,
            request: ServiceRequest<'_, $version::$request>,
        ) -> ServiceResult<$version::$response> {
            let request = request.to_owned_message();
            let resolved = resolve(&ctx, &request.flag_key, request.context, $read).await?;
            Response::ok(made!($version, $response, resolved))
        }
    )* };
}

macro_rules! made {
    (v1, $response:ident, $resolved:ident) => {{
        let mut resolved = $resolved;
        v1::$response {
            value: or_zero(&mut resolved)?.into(),
            reason: resolved.reason.as_str().to_owned(),
            variant: resolved.variant.unwrap_or_default(),
            metadata: resolved.metadata,
            ..Default::default()
        }
    }};
    (v2, $response:ident, $resolved:ident) => {
        v2::$response {
            value: $resolved.value.into(),
            reason: $resolved.reason.as_str().to_owned(),
            variant: $resolved.variant,
            metadata: $resolved.metadata,
            ..Default::default()
        }
    };
}

#[allow(refining_impl_trait, reason = "nobody needs to know less")]
impl v1::Service for Evaluation1 {
    async fn resolve_all(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, v1::ResolveAllRequest>,
    ) -> ServiceResult<v1::ResolveAllResponse> {
        let selector = Selector::of(ctx.headers()).map_err(refused)?;
        let caller = Caller::of(&ctx)?;
        let evaluator = caller.evaluator().await?;
        let mut all = v1::ResolveAllResponse {
            metadata: MessageField::some(convert::fields(selector.metadata())),
            ..Default::default()
        };
        let entries = evaluator.permitted(&selector).await.map_err(refused)?;
        let fields = convert::members(request.to_owned_message().context);
        for (key, result) in evaluator.evaluate_all(&entries, &fields).await {
            // what has no value is left out: there is no way to say so
            if let Ok(evaluation) = result
                && let Some(flag) = any(&evaluation)
            {
                all.flags.insert(key.to_owned(), flag);
            }
        }
        Response::ok(all)
    }

    calls! { v1 }
}

#[allow(refining_impl_trait, reason = "nobody needs to know less")]
impl v2::Service for Evaluation2 {
    calls! { v2 }
}

/// A flag of any type.
fn any(evaluation: &Evaluation<'_>) -> Option<v1::AnyFlag> {
    use serde_json::Value;
    use v1::any_flag::Value as Any;

    let chosen = evaluation.chosen?;
    let value = match chosen.value {
        Value::Bool(value) => Any::BoolValue(*value),
        Value::String(text) => Any::StringValue(text.clone()),
        Value::Number(number) => Any::DoubleValue(number.as_f64()?),
        Value::Object(members) => Any::ObjectValue(Box::new(convert::fields(members))),
        Value::Null | Value::Array(_) => return None,
    };
    Some(v1::AnyFlag {
        reason: evaluation.reason.as_str().to_owned(),
        variant: chosen.variant.to_owned(),
        value: Some(value),
        metadata: MessageField::some(convert::fields(evaluation.metadata)),
        ..Default::default()
    })
}
