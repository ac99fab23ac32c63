//! Roles of a PostgreSQL server: owns what each action does to which role (`docs/rotation.md`,
//! "PostgreSQL"). How a server is spoken to, `session` knows.

mod session;
mod trouble;

use std::time::Duration;

use session::Session;

use super::within;
use crate::rotation::Strategy;
use crate::rotation::plan::PostgresPlan;
use crate::rotator::{Account, Action, Call, Check, Target, Trouble};
use crate::secret::Secret;

pub(super) struct Postgres<'a>(pub(super) &'a PostgresPlan);

impl Target for Postgres<'_> {
    fn check(&mut self, check: &Check<'_>, limit: Duration) -> Result<(), Trouble> {
        let admin = admin(self.0, check.admin)?;
        within(limit, async {
            let session = Session::admin(self.0, &admin).await?;
            let accounts = check.accounts.into_iter().flatten();
            for role in accounts.chain(&self.0.role) {
                is_another(self.0, &admin, role)?;
                session.may_set(role).await?;
                session::asks(self.0, role).await?;
            }
            session.close().await;
            Ok(())
        })
    }

    fn perform(&mut self, call: &Call<'_>, limit: Duration) -> Result<(), Trouble> {
        let plan = self.0;
        let (new, old) = (
            account(plan, call, call.new.value)?,
            account(plan, call, call.old.value)?,
        );
        let alternates = call.strategy == Strategy::Alternate;
        if alternates && new.name == old.name {
            return Err(Trouble::Failed(
                "both values are of one role: with `alternate` they are of two".into(),
            ));
        }
        within(limit, async {
            match call.action {
                Action::ProbeNew => session::probe(plan, &new).await,
                Action::ProbeOld => session::probe(plan, &old).await,
                Action::Apply => set(plan, call, limit, &new.name, Some(&new.password)).await,
                // The old password took the new one's place, or none did.
                Action::Undo if !alternates => set(plan, call, limit, &old.name, Some(&old.password)).await,
                Action::Undo => set(plan, call, limit, &new.name, None).await,
                Action::Retire if alternates => set(plan, call, limit, &old.name, None).await,
                Action::Retire => Ok(()),
            }
        })
    }
}

/// The role and the password that a value is.
fn account(plan: &PostgresPlan, call: &Call<'_>, value: &Secret) -> Result<Account, Trouble> {
    match (call.strategy, &plan.role) {
        (Strategy::Alternate, _) => Account::of(value).map_err(|error| Trouble::Failed(error.to_string())),
        (Strategy::Replace, Some(role)) => Ok(Account {
            name: role.clone(),
            password: value.expose(|bytes| Secret::new(bytes.to_vec())),
        }),
        _ => Err(Trouble::Failed(
            "a role has one password: `overlap` is not for it".into(),
        )),
    }
}

/// Gives a role a password, or none: then no password is accepted, and sessions that are there go on.
async fn set(
    plan: &PostgresPlan,
    call: &Call<'_>,
    limit: Duration,
    role: &str,
    password: Option<&Secret>,
) -> Result<(), Trouble> {
    let admin = admin(plan, call.admin)?;
    is_another(plan, &admin, role)?;
    let session = Session::admin(plan, &admin).await?;
    session.set(role, password, limit).await
}

/// An admin that has a password must not lose it.
fn is_another(plan: &PostgresPlan, admin: &Account, role: &str) -> Result<(), Trouble> {
    if plan.server.admin.is_some() && admin.name == role {
        return Err(Trouble::Failed(
            "the admin's secret is of the role itself: it would be worth nothing afterwards".into(),
        ));
    }
    Ok(())
}

/// Who changes roles; the password is empty for peer authentication.
fn admin(plan: &PostgresPlan, secret: Option<&Secret>) -> Result<Account, Trouble> {
    match (super::admin(&plan.server, secret)?, &plan.server.admin_user) {
        (Some(admin), _) => Ok(admin),
        (None, Some(user)) => Ok(Account {
            name: user.clone(),
            password: Secret::new(Vec::new()),
        }),
        (None, None) => Err(Trouble::Failed("the plan names no admin".into())),
    }
}
