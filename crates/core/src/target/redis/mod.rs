//! A user of a Redis server: owns what each action does to its passwords (`docs/rotation.md`, "Redis").
//! How a server is spoken to, `session` knows.

mod session;
mod trouble;

use std::time::Duration;

use session::Session;

use super::within;
use crate::id::Hash;
use crate::rotation::Strategy;
use crate::rotation::plan::{Persist, RedisPlan};
use crate::rotator::{Action, Call, Check, Target, Trouble};
use crate::secret::Secret;

pub(super) struct Redis<'a>(pub(super) &'a RedisPlan);

impl Target for Redis<'_> {
    fn check(&mut self, check: &Check<'_>, limit: Duration) -> Result<(), Trouble> {
        within(limit, async {
            let mut session = Session::admin(&self.0.server, check.admin).await?;
            there(self.0, &mut session).await?;
            let problem = match (
                self.0.persist,
                session.acl_file().await,
                session.config_file().await,
            ) {
                (Persist::AclFile, Some(false), _) => {
                    "the server has no file of users: `persist` is `config` or `none`, or the server gets an `aclfile`"
                }
                (Persist::Config, Some(true), _) => {
                    "the server has a file of users, which its configuration leaves to that: `persist` is `acl-file`"
                }
                (Persist::Config, _, Some(false)) => {
                    "the server was started without a file of its configuration: `persist` is `none`, or it gets one"
                }
                _ => return Ok(()),
            };
            Err(Trouble::Failed(problem.into()))
        })
    }

    fn perform(&mut self, call: &Call<'_>, limit: Duration) -> Result<(), Trouble> {
        let (new, old) = (digest(call.new.value), digest(call.old.value));
        let overlaps = match call.strategy {
            Strategy::Overlap => true,
            Strategy::Replace => false,
            Strategy::Alternate => {
                return Err(Trouble::Failed("two users in turn are not for Redis".into()));
            }
        };
        // Each says where it leads, whatever was there: a password is taken away by adding it first,
        // since one that is not there cannot be removed. Of one command nobody sees half.
        let rules = match call.action {
            Action::ProbeNew => return self.probe(call.new.value, limit),
            Action::ProbeOld => return self.probe(call.old.value, limit),
            Action::Apply if overlaps => vec![format!("#{new}")],
            Action::Apply => vec!["resetpass".into(), format!("#{new}")],
            Action::Undo if overlaps => vec![format!("#{old}"), format!("#{new}"), format!("!{new}")],
            Action::Undo => vec!["resetpass".into(), format!("#{old}")],
            Action::Retire if overlaps => vec![format!("#{old}"), format!("!{old}")],
            Action::Retire => return Ok(()),
        };
        within(limit, async {
            let mut session = Session::admin(&self.0.server, call.admin).await?;
            there(self.0, &mut session).await?;
            session.set(&self.0.user, &rules).await?;
            session.persist(self.0.persist).await
        })
    }
}

impl Redis<'_> {
    fn probe(&self, password: &Secret, limit: Duration) -> Result<(), Trouble> {
        within(limit, async {
            let mut session = Session::open(&self.0.server).await?;
            session.login(&self.0.user, password).await
        })
    }
}

/// The user has to be there, since Redis would make one up; to be another one than who changes it, which
/// would lock itself out; and to want a password, since one that wants none would begin to, and shut out
/// whoever knows none.
async fn there(plan: &RedisPlan, session: &mut Session) -> Result<(), Trouble> {
    let user = &plan.user;
    if session.who().await?.as_ref() == Some(user) {
        return Err(Trouble::Failed(format!(
            "{user:?} is who changes users itself: the plan names another user as `admin`"
        )));
    }
    match session.flags(user).await? {
        None => Err(Trouble::Failed(format!(
            "there is no user {user:?}: make it first"
        ))),
        Some(flags) if flags.iter().any(|flag| flag == "nopass") => Err(Trouble::Failed(format!(
            "the user {user:?} takes any password (nopass): give it the current one first"
        ))),
        Some(_) => Ok(()),
    }
}

/// A password as Redis keeps it: the server never hears another form, but for a login.
fn digest(password: &Secret) -> String {
    password.expose(|bytes| Hash::of(bytes).to_string())
}
