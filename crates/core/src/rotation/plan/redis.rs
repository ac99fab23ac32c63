//! The table `target.redis` of a plan: owns its keys. It must not connect.

use super::keys::Keys;
use super::server::{ServerPlan, plain};
use crate::rotation::Strategy;

/// A user of a Redis server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisPlan {
    /// The server, and who may change users.
    pub server: ServerPlan,
    /// The user whose passwords are rotated.
    pub user: String,
    /// How a change outlives the server's process.
    pub persist: Persist,
}

/// How users outlive the server's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persist {
    /// In the file of users (`ACL SAVE`).
    AclFile,
    /// In the server's own configuration (`CONFIG REWRITE`).
    Config,
    /// Not at all, or somebody else sees to it.
    None,
}

impl RedisPlan {
    pub(super) fn read(mut keys: Keys, strategy: Option<Strategy>) -> (Option<Self>, Vec<String>) {
        let server = ServerPlan::read(&mut keys, 6379, false);
        let user = keys.word("user", |text| match plain(text) {
            Ok(_) if text.contains(' ') => Err("has no blanks"),
            other => other,
        });
        let persist = keys.word("persist", |word| match word {
            "acl-file" => Ok(Persist::AclFile),
            "config" => Ok(Persist::Config),
            "none" => Ok(Persist::None),
            _ => Err("is `acl-file`, `config` or `none`"),
        });
        if strategy == Some(Strategy::Alternate) {
            keys.wrong(
                "user",
                "has two passwords at once: the strategy is `overlap` or `replace`",
            );
        }
        let plan = match (server, user, persist) {
            (Some(server), Some(user), Some(persist)) => Some(Self {
                server,
                user,
                persist,
            }),
            _ => None,
        };
        (plan, keys.end())
    }
}
