//! The table `target.postgres` of a plan: owns its keys. It must not connect.

use super::keys::Keys;
use super::server::{ServerPlan, plain};
use crate::rotation::Strategy;

/// Roles of a PostgreSQL server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresPlan {
    /// The server, and who may change roles.
    pub server: ServerPlan,
    /// The database that is connected to.
    pub database: String,
    /// The role whose password is rotated, with [`Strategy::Replace`]; otherwise the value names it.
    pub role: Option<String>,
    /// Where logins are tried, when not at the server's host.
    pub probe: Option<String>,
}

impl PostgresPlan {
    pub(super) fn read(mut keys: Keys, strategy: Option<Strategy>) -> (Option<Self>, Vec<String>) {
        let probe = keys.may("probe", plain);
        let names_admin = keys.has("admin");
        let server = ServerPlan::read(&mut keys, 5432, probe.is_some());
        let database = keys.may("database", plain).unwrap_or_else(|| "postgres".into());
        let role = keys.may("role", plain);
        match (strategy, &role) {
            (Some(Strategy::Overlap), _) => {
                keys.wrong(
                    "role",
                    "a role has one password: the strategy is `replace` or `alternate`",
                );
            }
            (Some(Strategy::Replace), None) => {
                keys.wrong("role", "is missing: whose password is rotated, with `replace`");
            }
            (Some(Strategy::Alternate), Some(_)) => {
                keys.wrong(
                    "role",
                    "is for `replace`: with `alternate` the values name the roles",
                );
            }
            _ => {}
        }
        if let (Some(server), false) = (&server, names_admin) {
            match &server.admin_user {
                _ if !server.is_socket() => {
                    keys.wrong(
                        "admin",
                        "is missing: without a password an admin comes by a socket alone",
                    );
                }
                None => keys.wrong("admin", "is missing, or `admin_user` for peer authentication"),
                Some(_) => {}
            }
        }
        let plan = server.map(|server| Self {
            server,
            database,
            role,
            probe,
        });
        (plan, keys.end())
    }
}
