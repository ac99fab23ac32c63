//! Built-in targets: owns which there are, and that a call ends in time. What one does at its server,
//! its own file knows; none of them knows stores, plans' documents or terminals.

mod authorized_keys;
mod file;
mod net;
mod nginx;
mod postgres;
mod redis;
mod ssh;
mod tls;

use std::time::Duration;

use crate::rotation::plan::{ServerPlan, TargetKind};
use crate::rotator::{Account, Target, Trouble};
use crate::secret::Secret;

/// The built-in target that a plan names; `None` where it names a program.
#[must_use]
pub fn builtin(kind: &TargetKind) -> Option<Box<dyn Target + '_>> {
    match kind {
        TargetKind::Exec(_) => None,
        TargetKind::AuthorizedKeys(plan) => Some(Box::new(authorized_keys::AuthorizedKeys(plan))),
        TargetKind::Nginx(plan) => Some(Box::new(nginx::Nginx(plan))),
        TargetKind::Postgres(plan) => Some(Box::new(postgres::Postgres(plan))),
        TargetKind::Redis(plan) => Some(Box::new(redis::Redis(plan))),
    }
}

/// Who changes credentials; without a secret the server has to know the admin otherwise.
fn admin(server: &ServerPlan, secret: Option<&Secret>) -> Result<Option<Account>, Trouble> {
    match (secret, &server.admin_user) {
        (None, _) => Ok(None),
        (Some(secret), Some(user)) => Ok(Some(Account {
            name: user.clone(),
            password: secret.expose(|bytes| Secret::new(bytes.to_vec())),
        })),
        (Some(secret), None) => Account::of(secret).map(Some).map_err(|_| {
            Trouble::Failed(
                "the admin's secret is JSON: {\"username\":\"NAME\",\"password\":\"...\"}; \
                 or the plan names the admin as `admin_user`"
                    .into(),
            )
        }),
    }
}

/// Runs something to its end, or ends it. Must not be called where a runtime drives this thread.
fn within(limit: Duration, work: impl Future<Output = Result<(), Trouble>>) -> Result<(), Trouble> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Trouble::Failed(format!("no connection can be made here: {error}")))?;
    let done = runtime.block_on(async { tokio::time::timeout(limit, work).await });
    // A name that is still being resolved is not waited for.
    runtime.shutdown_background();
    done.unwrap_or_else(|_| {
        Err(Trouble::Failed(format!(
            "it was not done after {} s: whether it was done is not known",
            limit.as_secs()
        )))
    })
}
