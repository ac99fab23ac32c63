//! One flag, compiled: owns choosing the variant for a context, by flagd's algorithm. It must not know where
//! flags lie, nor clocks: the time comes in.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::definition::Definition;
use super::error::{Code, Failure, FlagError};
use super::evaluation::{Chosen, Evaluation, Reason};
use super::rule::{self, Asks, Choice, MAX_WORK, Node, Reader, Run, Stop};
use super::set::{Bucketing, Set};

/// What callers know of whom a flag is evaluated for; `targetingKey` is whom users are split by. A member
/// `$flagd` is ignored: the engine has its own. `$peer` is what a sidecar knows of who asks.
pub type Context = Map<String, Value>;

/// A flag that was compiled with what its set shares.
#[derive(Debug)]
pub struct Flag {
    key: Arc<str>,
    enabled: bool,
    variants: Variants,
    default: Option<usize>,
    targeting: Targeting,
    asks: Asks,
    bucketing: Bucketing,
    metadata: Arc<Map<String, Value>>,
    faults: Vec<FlagError>,
}

#[derive(Debug)]
enum Targeting {
    /// There is no rule.
    None,
    Rule(Node),
    /// There is one that cannot be evaluated.
    Broken,
}

/// Variants by name. Few have more than a handful, which are found by looking at each.
#[derive(Debug)]
struct Variants(Vec<(Box<str>, Value)>);

impl Variants {
    fn place(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|(known, _)| **known == *name)
    }

    fn at(&self, place: usize) -> Option<Chosen<'_>> {
        let (variant, value) = self.0.get(place)?;
        Some(Chosen { variant, value })
    }
}

impl Flag {
    /// Parses and compiles the flag `key` of `set`.
    ///
    /// A rule that cannot be evaluated is no error here: every evaluation fails then with
    /// [`Code::Parse`], as with flagd. [`Flag::faults`] says what is wrong.
    ///
    /// # Errors
    /// [`FlagError`] when the shape of the definition is wrong.
    pub fn parse(key: &str, definition: &[u8], set: &Set) -> Result<Self, FlagError> {
        Ok(Self::compile(key, Definition::parse(definition)?, set))
    }

    /// Compiles a definition that was parsed.
    #[must_use]
    pub fn compile(key: &str, definition: Definition, set: &Set) -> Self {
        let Definition {
            enabled,
            variants,
            default,
            targeting,
            metadata,
        } = definition;
        let variants = variants.into_iter().map(|(name, value)| (name.into(), value));
        let variants = Variants(variants.collect());
        let mut reader = Reader::new("/targeting", &set.evaluators);
        let targeting = match targeting.as_ref().map(|rule| reader.rule(rule)) {
            None => Targeting::None,
            Some(Ok(node)) => Targeting::Rule(node),
            Some(Err(error)) => {
                reader.faults.insert(0, error);
                Targeting::Broken
            }
        };
        let metadata = if metadata.is_empty() {
            Arc::clone(&set.metadata)
        } else {
            let mut merged = (*set.metadata).clone();
            merged.extend(metadata);
            Arc::new(merged)
        };
        Self {
            key: key.into(),
            enabled,
            default: default.and_then(|name| variants.place(&name)),
            variants,
            targeting,
            asks: reader.asks,
            bucketing: set.bucketing(),
            metadata,
            faults: reader.faults,
        }
    }

    /// Its key, which rules know as `$flagd.flagKey`.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether it is switched on.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Whether a rule decides, so that callers can differ.
    #[must_use]
    pub fn has_rule(&self) -> bool {
        !matches!(self.targeting, Targeting::None)
    }

    /// Whether the result may depend on the time: [`Flag::evaluate`] does not look at its own otherwise.
    #[must_use]
    pub fn tells_time(&self) -> bool {
        self.asks.time
    }

    /// Whether its rule splits users.
    pub(super) fn splits(&self) -> bool {
        self.asks.split
    }

    /// The same flag, splitting users in this way.
    pub(super) fn splitting_by(self, bucketing: Bucketing) -> Self {
        Self { bucketing, ..self }
    }

    /// The metadata of the set, overlaid by its own.
    #[must_use]
    pub fn metadata(&self) -> &Map<String, Value> {
        &self.metadata
    }

    /// What is wrong with its rule: what cannot be evaluated, and what flagd's schema forbids. A commit with
    /// faults is refused; an evaluation takes what it can, as flagd does.
    #[must_use]
    pub fn faults(&self) -> &[FlagError] {
        &self.faults
    }

    /// Chooses the variant for `context` at `now`, in seconds since 1970.
    ///
    /// # Errors
    /// [`Failure`]: [`Code::Parse`] for a rule that cannot be evaluated, [`Code::General`] for one that names
    /// no variant or takes too much work.
    pub fn evaluate<'a>(&'a self, context: &'a Context, now: u64) -> Result<Evaluation<'a>, Failure<'a>> {
        self.evaluate_for(context, None, now)
    }

    /// The same for a caller of whom something is known: rules find `peer` as `$peer`, whatever the caller says
    /// under that name.
    ///
    /// # Errors
    /// As [`Flag::evaluate`].
    pub fn evaluate_for<'a>(
        &'a self,
        context: &'a Context,
        peer: Option<&'a Value>,
        now: u64,
    ) -> Result<Evaluation<'a>, Failure<'a>> {
        let mut left = MAX_WORK;
        self.evaluate_within(context, peer, now, &mut left)
    }

    /// The same, taking what work it does from what is `left` of several evaluations, [`MAX_WORK`] at most.
    ///
    /// # Errors
    /// As [`Flag::evaluate`]; [`Code::General`] too where too little is left.
    pub fn evaluate_within<'a>(
        &'a self,
        context: &'a Context,
        peer: Option<&'a Value>,
        now: u64,
        left: &mut u32,
    ) -> Result<Evaluation<'a>, Failure<'a>> {
        if !self.enabled {
            return Ok(self.result(None, Reason::Disabled));
        }
        let rule = match &self.targeting {
            Targeting::None => {
                let reason = match self.default {
                    Some(_) => Reason::Static,
                    None => Reason::Default,
                };
                return Ok(self.result(self.default, reason));
            }
            Targeting::Broken => {
                return Err(self.failure(Code::Parse, "the targeting rule cannot be evaluated"));
            }
            Targeting::Rule(rule) => rule,
        };
        let granted = (*left).min(MAX_WORK);
        let mut run = Run {
            context,
            peer,
            key: &self.key,
            now,
            bucketing: self.bucketing,
            left: granted,
        };
        let chosen = rule::choose(rule, &mut run);
        *left -= granted - run.left;
        let place = match chosen {
            Ok(Choice::Nothing) => return Ok(self.result(self.default, Reason::Default)),
            Ok(Choice::Name(name)) => self.variants.place(name),
            Ok(Choice::Made(name)) => self.variants.place(&name),
            Ok(Choice::Other) => None,
            Err(Stop::Work) => {
                return Err(self.failure(Code::General, "the targeting rule takes too much work"));
            }
        };
        if place.is_none() {
            return Err(self.failure(Code::General, "the targeting rule names no variant of the flag"));
        }
        Ok(self.result(place, Reason::TargetingMatch))
    }

    fn result(&self, place: Option<usize>, reason: Reason) -> Evaluation<'_> {
        Evaluation {
            chosen: place.and_then(|place| self.variants.at(place)),
            reason,
            metadata: &self.metadata,
        }
    }

    fn failure<'a>(&'a self, code: Code, detail: &'a str) -> Failure<'a> {
        Failure {
            code,
            detail,
            metadata: &self.metadata,
        }
    }
}
