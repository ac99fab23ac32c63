//! One connection to PostgreSQL: owns how it is made and what is said on it. The server is told
//! verifiers and never passwords; it must not know why.

use std::time::Duration;

use postgres_protocol::escape::{escape_identifier, escape_literal};
use postgres_protocol::password::scram_sha_256;
use tokio::task::JoinHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::trouble;
use crate::rotation::plan::{PostgresPlan, Tls};
use crate::rotator::{Account, Trouble};
use crate::secret::Secret;
use crate::target::net::CONNECT;
use crate::target::tls;

/// A connection that is open.
pub(super) struct Session {
    client: Client,
    driver: JoinHandle<()>,
}

impl Session {
    /// As the admin.
    pub(super) async fn admin(plan: &PostgresPlan, admin: &Account) -> Result<Self, Trouble> {
        let password = (!admin.password.is_empty()).then_some(&admin.password);
        connect(plan, &plan.server.host, &admin.name, password)
            .await?
            .map_err(|error| trouble::of(&error, &format!("the admin {:?}", admin.name)))
    }

    /// Refuses a role that is not there, or whose password this one may not set: a superuser may set all,
    /// `CREATEROLE` those of no superuser, from version 16 on only with `ADMIN` on the role.
    pub(super) async fn may_set(&self, role: &str) -> Result<(), Trouble> {
        let query = format!(
            "SELECT me.rolsuper OR (me.rolcreaterole AND NOT other.rolsuper AND \
                CASE WHEN current_setting('server_version_num')::int < 160000 THEN true \
                ELSE pg_has_role(me.oid, other.oid, 'MEMBER WITH ADMIN OPTION') END) \
             FROM pg_roles me, pg_roles other \
             WHERE me.rolname = current_user AND other.rolname = {}",
            escape_literal(role)
        );
        let found = self
            .client
            .simple_query(&query)
            .await
            .map_err(|error| trouble::of(&error, &format!("a look for the role {role:?}")))?;
        let may = found.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        match may {
            Some("t") => Ok(()),
            Some(_) => Err(Trouble::Failed(format!(
                "the admin may not change the role {role:?}: it takes a superuser, or CREATEROLE and, from \
                 version 16 on, ADMIN on the role"
            ))),
            None => Err(Trouble::Failed(format!(
                "there is no role {role:?}: make it first"
            ))),
        }
    }

    /// Gives a role a password, or none. All or nothing, and one at a time: what a rotator that was
    /// killed left at work is waited for.
    pub(super) async fn set(
        self,
        role: &str,
        password: Option<&Secret>,
        limit: Duration,
    ) -> Result<(), Trouble> {
        let verifier = password.map_or_else(
            || "NULL".to_owned(),
            |password| escape_literal(&password.expose(scram_sha_256)),
        );
        // The server gives up first, so that nothing is at work there when the time is over.
        let patience = limit.saturating_mul(3) / 4;
        let statements = format!(
            "BEGIN;\
             SELECT set_config('synchronous_commit', 'on', true) \
                WHERE current_setting('synchronous_commit') = 'off';\
             SELECT pg_advisory_xact_lock(hashtextextended({name}, 0));\
             ALTER ROLE {role} PASSWORD {verifier};\
             COMMIT",
            name = escape_literal(&format!("strongroom {role}")),
            role = escape_identifier(role),
        );
        let what = format!("the password of {role:?}");
        let timeout = format!("SET statement_timeout = {}", patience.as_millis().max(1));
        let told = async {
            self.client.batch_execute(&timeout).await?;
            self.client.batch_execute(&statements).await
        }
        .await;
        self.close().await;
        match told {
            // Of a role that is not there no password is valid.
            Err(error) if password.is_none() && trouble::is_absent(&error) => {}
            told => told.map_err(|error| trouble::of(&error, &what))?,
        }
        Ok(())
    }

    /// Takes leave.
    pub(super) async fn close(self) {
        drop(self.client);
        let _ = self.driver.await;
    }
}

/// Refuses a server that asks for no password where logins are tried: then a login proves nothing.
pub(super) async fn asks(plan: &PostgresPlan, role: &str) -> Result<(), Trouble> {
    let host = plan.probe.as_ref().unwrap_or(&plan.server.host);
    match connect(plan, host, role, None).await? {
        Ok(session) => {
            session.close().await;
            Err(Trouble::Failed(format!(
                "{host} lets {role:?} in without a password, so that none can be tried: see its pg_hba.conf, or \
                 name another host as `probe`"
            )))
        }
        Err(error) if trouble::asked(&error) => Ok(()),
        Err(error) => Err(trouble::of(&error, &format!("a login as {role:?}"))),
    }
}

/// Logs in as a role with its password.
pub(super) async fn probe(plan: &PostgresPlan, account: &Account) -> Result<(), Trouble> {
    asks(plan, &account.name).await?;
    let host = plan.probe.as_ref().unwrap_or(&plan.server.host);
    let what = format!("a login as {:?}", account.name);
    let session = connect(plan, host, &account.name, Some(&account.password))
        .await?
        .map_err(|error| trouble::of(&error, &what))?;
    session.close().await;
    Ok(())
}

/// The outer error is of this side.
async fn connect(
    plan: &PostgresPlan,
    host: &str,
    user: &str,
    password: Option<&Secret>,
) -> Result<Result<Session, tokio_postgres::Error>, Trouble> {
    let mut config = Config::new();
    config
        .host(host)
        .port(plan.server.port)
        .user(user)
        .dbname(&plan.database)
        .application_name("strongroom")
        .connect_timeout(CONNECT);
    if let Some(password) = password {
        password.expose(|bytes| config.password(bytes));
    }
    Ok(match &plan.server.tls {
        Tls::Verified { ca } if !host.starts_with('/') => {
            let tls = MakeRustlsConnect::new(tls::verified(ca.as_deref())?);
            let connected = config.ssl_mode(SslMode::Require).connect(tls).await;
            connected.map(|(client, connection)| Session {
                client,
                driver: tokio::spawn(async { drop(connection.await) }),
            })
        }
        _ => {
            let connected = config.ssl_mode(SslMode::Disable).connect(NoTls).await;
            connected.map(|(client, connection)| Session {
                client,
                driver: tokio::spawn(async { drop(connection.await) }),
            })
        }
    })
}
