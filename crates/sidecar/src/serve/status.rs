//! The sidecar itself: owns `status`, `healthz` and `readyz`.

use std::sync::atomic::Ordering;

use hyper::Response;
use strongroom_core::api::wire::{Audit, Rotations, Status};

use super::answer::{self, Refusal};
use super::body::Body;
use super::service::Asked;
use crate::state::State;

/// Answers with what is served and how well.
pub(super) fn status(asked: &Asked<'_>, state: &State) -> Result<Response<Body>, Refusal> {
    let current = asked.current;
    let snapshot = &current.snapshot;
    let mut response = answer::json(&Status {
        environment: asked.environment.as_str().to_owned(),
        revision: snapshot.revision().0,
        hash: snapshot.hash().to_string(),
        fingerprint: snapshot.fingerprint().to_string(),
        stale_since: current.stale_since.as_deref().map(str::to_owned),
        refused: current.refused.as_deref().map(str::to_owned),
        started: state.started().to_string(),
        entries: snapshot.entries(asked.environment, None)?.len() as u64,
        watchers: state.watchers.load(Ordering::Relaxed),
        listener: state.listener.get().map(ToString::to_string),
        injections: state.injections().into_iter().map(|one| one.shown).collect(),
        unreported: state.uptake().problem(),
        rotations: rotations(state),
        audit: state.gate().sink().map(|sink| {
            let trouble = sink.trouble();
            Audit {
                problem: trouble.as_ref().map(|trouble| trouble.problem.clone()),
                since: trouble.map(|trouble| trouble.since.to_string()),
            }
        }),
    });
    answer::name_revision(&mut response, current.snapshot.revision(), current);
    Ok(response)
}

fn rotations(state: &State) -> Rotations {
    let found = state.schedule().at(state.now());
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    Rotations {
        running: number(found.running),
        left_behind: number(found.left),
        overdue: number(found.overdue),
        unknown: number(found.unknown),
    }
}

/// Answers that the process lives.
pub(super) fn healthz() -> Response<Body> {
    answer::json(&serde_json::json!({"status": "ok"}))
}

/// Answers whether everything that is injected was delivered once, and values can be recorded.
pub(super) fn readyz(asked: &Asked<'_>, state: &State) -> Result<Response<Body>, Refusal> {
    if !state.is_ready() {
        return Err(Refusal::unavailable(
            "not everything that is injected was delivered yet: see /api/v1/status",
        ));
    }
    if state.gate().sink().is_some_and(|sink| sink.trouble().is_some()) {
        return Err(Refusal::unavailable(
            "the audit log cannot be written, and nothing is released that is not recorded: see \
             /api/v1/status",
        ));
    }
    let mut response = answer::json(&serde_json::json!({"status": "ready"}));
    answer::name_revision(&mut response, asked.current.snapshot.revision(), asked.current);
    Ok(response)
}
