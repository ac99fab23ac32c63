//! Who asks: owns the answer of `whoami`, which shows what the sidecar itself goes by.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use hyper::Response;
use strongroom_core::api::wire;

use super::answer::{self, Refusal};
use super::body::Body;
use crate::peer::Peer;
use crate::worker::{Connection, InProgress};

/// Answers with what is known of `peer`, once that is found out.
pub(super) fn whoami(
    peer: &Peer,
    connection: &Arc<Connection>,
) -> Pin<Box<dyn Future<Output = Response<Body>> + Send>> {
    let peer = peer.clone();
    let in_progress = InProgress::new(connection);
    Box::pin(async move {
        let _in_progress = in_progress;
        let workload = peer.workload().await;
        let still = peer.recheck().await;
        match workload.and_then(|workload| still.map(|()| workload)) {
            Ok(workload) => answer::json(&wire::Workload::from(&*workload)),
            Err(error) => Refusal::from(error).into_response(),
        }
    })
}
