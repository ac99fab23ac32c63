//! Who asks: owns the answer of `whoami`, which shows what the sidecar itself goes by.

use hyper::Response;
use strongroom_core::api::wire;

use super::answer::{self, Refusal};
use super::body::Body;
use crate::caller::Caller;

/// Answers with what is known of `caller`, once that is found out.
pub(super) async fn whoami(caller: &Caller) -> Response<Body> {
    let Some(peer) = caller.peer() else {
        return Refusal::denied("nothing is known of who asks over TCP").into_response();
    };
    let workload = peer.workload().await;
    let still = peer.recheck().await;
    match workload.and_then(|workload| still.map(|()| workload)) {
        Ok(workload) => answer::json(&wire::Workload::from(&*workload)),
        Err(error) => Refusal::from(error).into_response(),
    }
}
