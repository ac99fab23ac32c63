//! Requests that do not parse: owns that what is told of them repeats nothing of them. It must not know what is called.

use bytes::Bytes;
use connectrpc::dispatcher::{Dispatcher, MethodDescriptor, RequestStream, StreamingResult, UnaryResult};
use connectrpc::{CodecFormat, ConnectError, ErrorCode, Payload, RequestContext, Router};

/// The router, whose errors of JSON that does not parse repeat the part that is wrong.
pub(super) struct Discreet(pub(super) Router);

/// What such an error begins with.
const REPEATING: &str = "failed to decode JSON";

fn discreet(error: ConnectError) -> ConnectError {
    match &error.message {
        Some(message) if message.starts_with(REPEATING) => {
            ConnectError::new(ErrorCode::InvalidArgument, "the body is no JSON of this call")
        }
        _ => error,
    }
}

impl Dispatcher for Discreet {
    fn lookup(&self, path: &str) -> Option<MethodDescriptor> {
        self.0.lookup(path)
    }

    fn call_unary(
        &self,
        path: &str,
        ctx: RequestContext,
        request: Payload,
        format: CodecFormat,
    ) -> UnaryResult {
        let answered = self.0.call_unary(path, ctx, request, format);
        match format {
            CodecFormat::Json => Box::pin(async move { answered.await.map_err(discreet) }),
            _ => answered,
        }
    }

    fn call_server_streaming(
        &self,
        path: &str,
        ctx: RequestContext,
        request: Bytes,
        format: CodecFormat,
    ) -> StreamingResult {
        let answered = self.0.call_server_streaming(path, ctx, request, format);
        match format {
            CodecFormat::Json => Box::pin(async move { answered.await.map_err(discreet) }),
            _ => answered,
        }
    }

    fn call_client_streaming(
        &self,
        path: &str,
        ctx: RequestContext,
        requests: RequestStream,
        format: CodecFormat,
    ) -> UnaryResult {
        self.0.call_client_streaming(path, ctx, requests, format)
    }

    fn call_bidi_streaming(
        &self,
        path: &str,
        ctx: RequestContext,
        requests: RequestStream,
        format: CodecFormat,
    ) -> StreamingResult {
        self.0.call_bidi_streaming(path, ctx, requests, format)
    }
}
