//! Rollouts on a schedule: owns writing them as plain targeting on `$flagd.timestamp`, which every flagd client
//! evaluates. It must not know clocks or stores.

use serde_json::{Value, json};

/// The weights of a step add up to this: a thousandth of a percent is the finest.
const WHOLE: u32 = 100_000;

/// One step of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// When it begins, in seconds since 1970.
    pub from: u64,
    /// The part of users that gets the variant, in thousandths of a percent: 0 to 100000.
    pub share: u32,
}

/// A variant that more and more users get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollout {
    /// The variant that is rolled out; the one that everybody keeps where none is.
    pub to: String,
    /// The variant that everybody else keeps.
    pub from: String,
    /// The steps, in the order of their time.
    pub steps: Vec<Step>,
}

/// Why a rollout cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RolloutError {
    /// There is no step.
    #[error("a rollout has at least one step")]
    Empty,
    /// A step is not after the one before it.
    #[error("each step of a rollout begins after the one before it")]
    Order,
    /// More than everybody.
    #[error("a step of a rollout is of at most 100 %")]
    Share,
}

impl Rollout {
    /// The targeting rule. Who has the variant at a step has it at every larger one, since the same users come
    /// first in each; before the first step nobody has it.
    ///
    /// # Errors
    /// [`RolloutError`].
    pub fn rule(&self) -> Result<Value, RolloutError> {
        if self.steps.is_empty() {
            return Err(RolloutError::Empty);
        }
        if self.steps.is_sorted_by(|a, b| a.from < b.from) {
            if self.steps.iter().any(|step| step.share > WHOLE) {
                return Err(RolloutError::Share);
            }
        } else {
            return Err(RolloutError::Order);
        }
        // The last step that has begun decides.
        let mut branches = Vec::new();
        for step in self.steps.iter().rev() {
            branches.push(json!({">=": [{"var": "$flagd.timestamp"}, step.from]}));
            branches.push(self.split(step.share));
        }
        branches.push(json!(self.from));
        Ok(json!({ "if": branches }))
    }

    fn split(&self, share: u32) -> Value {
        match share {
            0 => json!(self.from),
            WHOLE => json!(self.to),
            _ => json!({"fractional": [[self.to, share], [self.from, WHOLE - share]]}),
        }
    }

    /// Whether everybody has the variant at `now`, in seconds since 1970, for good.
    #[must_use]
    pub fn is_complete(&self, now: u64) -> bool {
        let last = self.steps.last();
        last.is_some_and(|step| step.from <= now && step.share == WHOLE)
    }

    /// The rollout that a rule is, as [`Rollout::rule`] writes it; `None` for any other rule.
    #[must_use]
    pub fn read(rule: &Value) -> Option<Self> {
        let (last, pairs) = rule.get("if")?.as_array()?.split_last()?;
        let from = last.as_str()?;
        let mut to = None;
        let mut steps = Vec::new();
        for pair in pairs.chunks(2).rev() {
            let [time, split] = pair else { return None };
            let begins = time.get(">=")?.get(1)?.as_u64()?;
            let share = match split {
                Value::String(name) if name == from => 0,
                Value::String(name) => {
                    to = Some(name.as_str());
                    WHOLE
                }
                other => {
                    let bucket = other.get("fractional")?.get(0)?;
                    to = Some(bucket.get(0)?.as_str()?);
                    u32::try_from(bucket.get(1)?.as_u64()?).ok()?
                }
            };
            steps.push(Step { from: begins, share });
        }
        let read = Self {
            // Nobody gets another one when all steps are of 0 %.
            to: to.unwrap_or(from).to_owned(),
            from: from.to_owned(),
            steps,
        };
        (read.rule().as_ref() == Ok(rule)).then_some(read)
    }
}
