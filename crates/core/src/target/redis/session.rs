//! One connection to Redis: owns how it is made and what is said on it. It must not know why.

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, FromRedisValue, ProtocolVersion, RedisConnectionInfo, Value, cmd};
use tokio::task::AbortHandle;

use super::trouble;
use crate::rotation::plan::{Persist, ServerPlan};
use crate::rotator::Trouble;
use crate::secret::Secret;
use crate::target::{self, net};

/// A connection that is open.
pub(super) struct Session {
    connection: MultiplexedConnection,
    driver: AbortHandle,
}

impl Session {
    /// As nobody yet.
    pub(super) async fn open(server: &ServerPlan) -> Result<Self, Trouble> {
        let stream = net::connect(server).await?;
        // A login is a command of its own: the library would try a password of the default user too.
        let information = RedisConnectionInfo::default()
            .set_protocol(ProtocolVersion::RESP2)
            .set_skip_set_lib_name();
        // The time of the whole call is kept elsewhere.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let (connection, driver) = MultiplexedConnection::new_with_config(&information, stream, config)
            .await
            .map_err(|error| trouble::of(&error, "a connection"))?;
        Ok(Self {
            connection,
            driver: tokio::spawn(driver).abort_handle(),
        })
    }

    /// As the admin, or as whoever the server takes a connection for.
    pub(super) async fn admin(server: &ServerPlan, secret: Option<&Secret>) -> Result<Self, Trouble> {
        let mut session = Self::open(server).await?;
        if let Some(admin) = target::admin(server, secret)? {
            session.login(&admin.name, &admin.password).await?;
        }
        Ok(session)
    }

    /// Logs in.
    pub(super) async fn login(&mut self, user: &str, password: &Secret) -> Result<(), Trouble> {
        let mut login = cmd("AUTH");
        login.arg(user);
        password.expose(|bytes| {
            login.arg(bytes);
        });
        self.ask::<Value>(&login, &format!("a login as {user:?}")).await?;
        Ok(())
    }

    /// The flags of a user; `None` where there is none.
    pub(super) async fn flags(&mut self, user: &str) -> Result<Option<Vec<String>>, Trouble> {
        let mut ask = cmd("ACL");
        ask.arg("GETUSER").arg(user);
        let what = format!("the user {user:?}");
        let found: Option<Vec<Value>> = self.ask(&ask, &what).await?;
        let Some(fields) = found else {
            return Ok(None);
        };
        // Names and values in turn; the flags come first.
        let flags = fields.into_iter().nth(1).map(Vec::<String>::from_redis_value);
        let flags = flags.and_then(Result::ok);
        Ok(Some(flags.ok_or_else(|| {
            Trouble::Failed(format!("{what}: the server answers what is not understood"))
        })?))
    }

    /// Changes a user.
    pub(super) async fn set(&mut self, user: &str, rules: &[String]) -> Result<(), Trouble> {
        let mut set = cmd("ACL");
        set.arg("SETUSER").arg(user).arg(rules);
        self.ask::<Value>(&set, &format!("the passwords of {user:?}"))
            .await?;
        Ok(())
    }

    /// Makes changes outlive the server.
    pub(super) async fn persist(&mut self, how: Persist) -> Result<(), Trouble> {
        let words = match how {
            Persist::AclFile => ["ACL", "SAVE"],
            Persist::Config => ["CONFIG", "REWRITE"],
            Persist::None => return Ok(()),
        };
        let [first, second] = words;
        let mut save = cmd(first);
        save.arg(second);
        self.ask::<Value>(&save, &format!("`{}`", words.join(" ")))
            .await?;
        Ok(())
    }

    /// Which user this connection is of; `None` where it may not ask.
    pub(super) async fn who(&mut self) -> Result<Option<String>, Trouble> {
        let mut ask = cmd("ACL");
        ask.arg("WHOAMI");
        match ask.query_async::<String>(&mut self.connection).await {
            Ok(user) => Ok(Some(user)),
            Err(error) if error.code() == Some("NOPERM") => Ok(None),
            Err(error) => Err(trouble::of(&error, "who this connection is of")),
        }
    }

    /// Whether there is a file of users; `None` where the server does not say.
    pub(super) async fn acl_file(&mut self) -> Option<bool> {
        let mut ask = cmd("CONFIG");
        ask.arg("GET").arg("aclfile");
        let found: Vec<String> = ask.query_async(&mut self.connection).await.ok()?;
        Some(!found.get(1)?.is_empty())
    }

    /// Whether there is a file of its configuration; `None` where the server does not say.
    pub(super) async fn config_file(&mut self) -> Option<bool> {
        let mut ask = cmd("INFO");
        ask.arg("server");
        let found: String = ask.query_async(&mut self.connection).await.ok()?;
        let file = found.lines().find_map(|line| line.strip_prefix("config_file:"))?;
        Some(!file.trim().is_empty())
    }

    async fn ask<T: FromRedisValue>(&mut self, command: &Cmd, what: &str) -> Result<T, Trouble> {
        let asked = command.query_async(&mut self.connection).await;
        asked.map_err(|error| trouble::of(&error, what))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}
