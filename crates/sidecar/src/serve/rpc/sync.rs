//! `flagd.sync.v1`: owns handing definitions out to clients that evaluate by themselves. They are read through the
//! gate like any other value.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use buffa::MessageField;
use buffa_types::google::protobuf::Struct;
use connectrpc::{
    ConnectError, RequestContext, Response, Router, ServiceRequest, ServiceResult, ServiceStream,
};
use futures_core::Stream;
use strongroom_core::id::Hash;

use super::super::selector::Selector;
use super::events::{Following, Step};
use super::protocols::flagd::sync::v1;
use super::{Caller, refused, stopped};

struct Sync;

pub(super) fn routes(router: Router) -> Router {
    v1::FlagSyncServiceExt::register(Arc::new(Sync), router)
}

#[allow(refining_impl_trait, reason = "nobody needs to know less")]
impl v1::FlagSyncService for Sync {
    async fn sync_flags(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, v1::SyncFlagsRequest>,
    ) -> ServiceResult<ServiceStream<v1::SyncFlagsResponse>> {
        let request = request.to_owned_message();
        let following = Following::start(&ctx, &request.selector).await?;
        let stream: ServiceStream<v1::SyncFlagsResponse> = Box::pin(Documents {
            making: Some(Box::pin(document(
                Arc::clone(&following.caller),
                following.selector.clone(),
            ))),
            following,
            last: Hash::ZERO,
        });
        Response::ok(stream)
    }

    async fn fetch_all_flags(
        &self,
        ctx: RequestContext,
        request: ServiceRequest<'_, v1::FetchAllFlagsRequest>,
    ) -> ServiceResult<v1::FetchAllFlagsResponse> {
        let request = request.to_owned_message();
        let selector = Selector::either(ctx.headers(), &request.selector).map_err(refused)?;
        Response::ok(v1::FetchAllFlagsResponse {
            flag_configuration: document(Caller::of(&ctx)?, selector).await?,
            ..Default::default()
        })
    }

    async fn get_metadata(
        &self,
        _ctx: RequestContext,
        _request: ServiceRequest<'_, v1::GetMetadataRequest>,
    ) -> ServiceResult<v1::GetMetadataResponse> {
        // Python's provider takes an answer without the member for a broken one
        Response::ok(v1::GetMetadataResponse {
            metadata: MessageField::some(Struct::new()),
            ..Default::default()
        })
    }
}

/// A file of flagd with the flags that the caller may evaluate.
async fn document(caller: Arc<Caller>, selector: Selector) -> Result<String, ConnectError> {
    let evaluator = caller.evaluator().await?;
    evaluator.document(&selector).await.map_err(refused)
}

type Making = Pin<Box<dyn Future<Output = Result<String, ConnectError>> + Send>>;

/// The document, and again whenever it is another one.
struct Documents {
    following: Following,
    /// The next one.
    making: Option<Making>,
    /// The digest of the last one.
    last: Hash,
}

impl Stream for Documents {
    type Item = Result<v1::SyncFlagsResponse, ConnectError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(making) = &mut this.making {
                let made = ready!(making.as_mut().poll(context));
                this.making = None;
                let document = match made {
                    Ok(document) => document,
                    Err(error) => return Poll::Ready(Some(Err(error))),
                };
                let digest = Hash::of(document.as_bytes());
                if digest != std::mem::replace(&mut this.last, digest) {
                    return Poll::Ready(Some(Ok(v1::SyncFlagsResponse {
                        flag_configuration: document,
                        ..Default::default()
                    })));
                }
            }
            // one document for all that has changed by now
            let mut has_changed = false;
            loop {
                match this.following.poll(context) {
                    Poll::Ready(Step::Alive) => {}
                    Poll::Ready(Step::Changed) => has_changed = true,
                    Poll::Ready(Step::Ended) => return Poll::Ready(Some(Err(stopped()))),
                    Poll::Pending if has_changed => break,
                    Poll::Pending => return Poll::Pending,
                }
            }
            let caller = Arc::clone(&this.following.caller);
            let selector = this.following.selector.clone();
            this.making = Some(Box::pin(document(caller, selector)));
        }
    }
}
