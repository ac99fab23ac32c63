//! Where a rotation changes credentials: owns the table `target` of a plan and which kinds there are.
//! What the keys of a kind mean, its own file knows.

use std::fmt;
use std::time::Duration;

use super::authorized_keys::AuthorizedKeysPlan;
use super::keys::Keys;
use super::nginx::NginxPlan;
use super::postgres::PostgresPlan;
use super::redis::RedisPlan;
use crate::name::EntryPath;
use crate::rotation::Strategy;

/// Where credentials are valid, and how long it may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetPlan {
    /// What it is.
    pub kind: TargetKind,
    /// How long one call may take.
    pub limit: Duration,
    /// How long a target that says "later" is asked again.
    pub retry: Duration,
}

/// What a target is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TargetKind {
    /// Whatever a program knows.
    Exec(ExecPlan),
    /// A file of keys that may log in.
    AuthorizedKeys(AuthorizedKeysPlan),
    /// A certificate that nginx serves.
    Nginx(NginxPlan),
    /// Roles of a PostgreSQL server.
    Postgres(PostgresPlan),
    /// A user of a Redis server.
    Redis(RedisPlan),
}

/// A program that knows a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecPlan {
    /// Its path, absolute.
    pub program: String,
    /// Its first arguments.
    pub arguments: Vec<String>,
    /// The names of variables that it gets.
    pub variables: Vec<String>,
}

/// The tables and the list of which a target has one.
const KINDS: [&str; 5] = ["exec", "authorized_keys", "nginx", "postgres", "redis"];

impl TargetPlan {
    /// Reads the table, with all that is wrong in it.
    pub(super) fn read(mut keys: Keys, strategy: Option<Strategy>) -> (Option<Self>, Vec<String>) {
        let limit = keys.duration("limit").unwrap_or(Duration::from_secs(60));
        let retry = keys.duration("retry").unwrap_or(Duration::from_secs(10));
        let mut problems = Vec::new();
        if limit.is_zero() || limit > Duration::from_secs(3600) || retry > Duration::from_secs(3600) {
            problems.push("`target.limit` is 1s to 1h, `target.retry` at most 1h".into());
        }
        let mut named = KINDS.into_iter().filter(|kind| keys.has(kind));
        let kind = match (named.next(), named.next()) {
            (Some(kind), None) => kind,
            (Some(_), Some(_)) => {
                problems.push(format!("`target` has one of {}", KINDS.join(", ")));
                return (None, problems);
            }
            // The key that was always there.
            (None, _) => "exec",
        };
        let (kind, more) = match kind {
            "authorized_keys" => {
                let (plan, more) = AuthorizedKeysPlan::read(keys.table("authorized_keys"), strategy);
                (plan.map(TargetKind::AuthorizedKeys), more)
            }
            "nginx" => {
                let (plan, more) = NginxPlan::read(keys.table("nginx"), strategy);
                (plan.map(TargetKind::Nginx), more)
            }
            "postgres" => {
                let (plan, more) = PostgresPlan::read(keys.table("postgres"), strategy);
                (plan.map(TargetKind::Postgres), more)
            }
            "redis" => {
                let (plan, more) = RedisPlan::read(keys.table("redis"), strategy);
                (plan.map(TargetKind::Redis), more)
            }
            _ => {
                let (plan, more) = ExecPlan::read(&mut keys);
                (plan.map(TargetKind::Exec), more)
            }
        };
        problems.extend(keys.end());
        problems.extend(more);
        let target = kind.map(|kind| Self { kind, limit, retry });
        (target, problems)
    }
}

impl ExecPlan {
    fn read(keys: &mut Keys) -> (Option<Self>, Vec<String>) {
        let mut words = keys.list("exec").unwrap_or_default().into_iter();
        let variables = keys.list("env").unwrap_or_default();
        let mut problems = Vec::new();
        if variables.iter().any(|name| !is_variable(name)) {
            problems.push(
                "`target.env` names variables of letters, digits and `_`, none of Strongroom's own".into(),
            );
        }
        let plan = match words.next() {
            None => {
                problems.push(format!(
                    "`target.exec` is a list: a program and its arguments; or `target` has a table: {}",
                    KINDS.get(1..).unwrap_or_default().join(", ")
                ));
                None
            }
            Some(program) if !program.starts_with('/') => {
                problems.push("`target.exec` begins with the absolute path of a program".into());
                None
            }
            Some(program) => Some(Self {
                program,
                arguments: words.collect(),
                variables,
            }),
        };
        (plan, problems)
    }
}

impl TargetKind {
    /// The path of the secret by which its credentials are changed, in the same environment.
    #[must_use]
    pub fn admin(&self) -> Option<&EntryPath> {
        match self {
            Self::Exec(_) | Self::AuthorizedKeys(_) | Self::Nginx(_) => None,
            Self::Postgres(plan) => plan.server.admin.as_ref(),
            Self::Redis(plan) => plan.server.admin.as_ref(),
        }
    }
}

/// For people: the program, or the kind and where it is.
impl fmt::Display for TargetKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exec(plan) => f.write_str(&plan.program),
            Self::AuthorizedKeys(plan) => write!(f, "authorized_keys at {}", plan.file),
            Self::Nginx(plan) => write!(f, "nginx at {}", plan.file),
            Self::Postgres(plan) => write!(f, "postgres at {}", plan.server),
            Self::Redis(plan) => write!(f, "redis at {}", plan.server),
        }
    }
}

/// Names that may be passed on: none that would hand on this program's own keys.
fn is_variable(name: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(word)
        && !name.starts_with("STRONGROOM_")
}
