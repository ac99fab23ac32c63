//! The plan of a rotation: owns the grammar of its document (`docs/rotation.md`, "Plans"). It must not
//! know where plans are stored nor how a target is reached.

use std::str::FromStr;
use std::time::Duration;

use super::generate::Generator;
use super::phase::Strategy;

mod authorized_keys;
mod keys;
mod nginx;
mod postgres;
mod redis;
mod server;
mod target;

use keys::Keys;

pub use authorized_keys::{AuthorizedKeysPlan, LoginPlan};
pub use nginx::NginxPlan;
pub use postgres::PostgresPlan;
pub use redis::{Persist, RedisPlan};
pub use server::{ServerPlan, Tls};
pub use target::{ExecPlan, TargetKind, TargetPlan};

/// How a secret is rotated.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How the target goes from one credential to the next.
    pub strategy: Strategy,
    /// What makes new values.
    pub generator: Generator,
    /// The two accounts that take turns, with [`Strategy::Alternate`].
    pub accounts: Option<[String; 2]>,
    /// How old a value becomes.
    pub every: Option<Duration>,
    /// Up to how much later each secret is due, so that not all are at once.
    pub jitter: Duration,
    /// How long consumers have at least, for those that nobody reports of.
    pub settle: Duration,
    /// A consumer that used the secret in this time is waited for.
    pub within: Duration,
    /// How long consumers are waited for.
    pub deadline: Duration,
    /// Where its credentials are valid.
    pub target: TargetPlan,
}

/// What is wrong with a plan: all of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct PlanError(pub Vec<String>);

impl FromStr for Plan {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let mut keys = Keys::of(text)?;
        let strategy = keys.word("strategy", Strategy::from_str);
        let generator = keys.word("generator", Generator::from_str);
        let accounts = keys.list("accounts");
        let every = keys.duration("every");
        let jitter = keys.duration("jitter");
        let settle = keys.duration("settle").unwrap_or(Duration::from_secs(10));
        let deadline = keys.duration("deadline").unwrap_or(Duration::from_secs(3600));
        let within = keys.duration("within").unwrap_or(Duration::from_secs(86_400));
        let (target, mut problems) = TargetPlan::read(keys.table("target"), strategy);
        if deadline < settle || deadline > Duration::from_secs(30 * 86_400) {
            problems.push("`deadline` is at least `settle`, and at most 30d".into());
        }
        // A sidecar says when somebody used a secret to within ten minutes.
        if within < Duration::from_secs(900) {
            problems.push("`within` is 15m at least".into());
        }
        if jitter.is_some_and(|jitter| every.is_none_or(|every| jitter > every)) {
            problems.push("`jitter` is at most `every`".into());
        }
        if every.is_some_and(|every| every.is_zero()) {
            problems.push("`every` is longer than nothing".into());
        }
        let accounts = match (strategy, accounts.as_deref()) {
            (Some(Strategy::Alternate), Some([a, b])) if a != b && !a.is_empty() && !b.is_empty() => {
                Some([a.clone(), b.clone()])
            }
            (Some(Strategy::Alternate), _) => {
                problems.push("`accounts` of `alternate` are two names that differ".into());
                None
            }
            (_, Some(_)) => {
                problems.push("`accounts` are for the strategy `alternate`".into());
                None
            }
            (_, None) => None,
        };
        let mut all = keys.end();
        all.append(&mut problems);
        match (strategy, generator, target) {
            (Some(strategy), Some(generator), Some(target)) if all.is_empty() => Ok(Self {
                strategy,
                generator,
                accounts,
                every,
                jitter: jitter.unwrap_or_default(),
                settle,
                within,
                deadline,
                target,
            }),
            _ => Err(PlanError(all)),
        }
    }
}

/// Reads `30d`: a number of seconds, minutes, hours, days or weeks.
///
/// # Errors
/// How it is written.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "a duration is written as 30s, 10m, 12h, 30d or 4w".to_owned();
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        _ => return Err(wrong()),
    };
    let number = text.strip_suffix(unit).unwrap_or_default();
    if number.is_empty() || number.len() > 6 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let number: u64 = number.parse().map_err(|_| wrong())?;
    Ok(Duration::from_secs(number * seconds))
}
