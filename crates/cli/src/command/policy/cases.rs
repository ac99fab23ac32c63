//! The cases beside policies: owns their file format and running them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use strongroom_core::kind::Kind;
use strongroom_core::name::{CompartmentName, EntryPath, EnvironmentName, MemberName};
use strongroom_core::policy::{Action, Decision, Policies, Prepared, Principal, Resource, Source};
use strongroom_core::snapshot::Role;

use super::described::Described;
use super::files::{self, Directory};
use crate::error::CliError;
use crate::moment;

/// A file of cases.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseFile {
    /// Whose policies they are.
    #[serde(default = "prod")]
    environment: String,
    /// What that environment inherits from, nearest first.
    #[serde(default)]
    inherits: Vec<String>,
    #[serde(default)]
    principals: BTreeMap<String, Asking>,
    #[serde(rename = "case")]
    cases: Vec<Case>,
}

fn prod() -> String {
    "prod".to_owned()
}

/// Who asks.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Asking {
    Member(AskingMember),
    Workload(Box<Described>),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AskingMember {
    member: String,
    role: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    principal: String,
    action: String,
    resource: Asked,
    /// When it is asked; 2000-01-01 if nothing is said.
    now: Option<String>,
    decision: Expected,
    /// The deciding policies, in any order.
    #[serde(default)]
    policies: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Asked {
    Path(String),
    Entry(AskedEntry),
}

/// An entry that is not the plain one its action is about.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AskedEntry {
    path: String,
    kind: Option<String>,
    compartment: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Expected {
    Allow,
    Deny,
}

impl Expected {
    fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

/// How the cases of one directory went.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Outcome {
    pub(crate) cases: usize,
    pub(crate) failures: Vec<Failure>,
    /// Policies that decided no case.
    pub(crate) untested: Vec<String>,
}

/// A case that went otherwise.
#[derive(Debug, Serialize)]
pub(crate) struct Failure {
    file: String,
    /// Which of the file, from 1.
    case: usize,
    question: String,
    expected: Verdict,
    decided: Verdict,
}

#[derive(Debug, Serialize, PartialEq, Eq)]
struct Verdict {
    decision: &'static str,
    policies: Vec<String>,
    errors: Vec<String>,
}

impl Failure {
    /// As a difference between what was expected and what was decided.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{}: case {}: {}\n", self.file, self.case, self.question);
        let side = |verdict: &Verdict| {
            let mut line = format!("{} by {:?}", verdict.decision, verdict.policies);
            for error in &verdict.errors {
                let _ = write!(line, ", error {error}");
            }
            line
        };
        let _ = writeln!(text, "  - {}", side(&self.expected));
        let _ = writeln!(text, "  + {}", side(&self.decided));
        text
    }
}

/// Runs all cases of a directory.
pub(crate) fn run(directory: &Directory) -> Result<Outcome, CliError> {
    let mut outcome = Outcome::default();
    let mut decided = BTreeSet::new();
    let mut names = BTreeSet::new();
    for file in &directory.cases {
        let cases = parse(file)?;
        let wrong = |problem: String| CliError::failed(format!("{}: {problem}", file.display()));
        let policies = policies(directory, &cases).map_err(&wrong)?;
        names.extend(policies.names().into_iter().map(str::to_owned));
        for (number, case) in (1..).zip(&cases.cases) {
            let wrong = |problem: String| wrong(format!("case {number}: {problem}"));
            let decision = ask(case, &cases, &policies).map_err(wrong)?;
            decided.extend(decision.policies.iter().map(ToString::to_string));
            outcome.cases += 1;
            let (expected, found) = verdicts(case, &decision);
            if expected != found {
                outcome.failures.push(Failure {
                    file: file.display().to_string(),
                    case: number,
                    question: format!("{} {} {}", case.principal, case.action, path_of(&case.resource)),
                    expected,
                    decided: found,
                });
            }
        }
    }
    outcome.untested = names.difference(&decided).cloned().collect();
    Ok(outcome)
}

fn verdicts(case: &Case, decision: &Decision) -> (Verdict, Verdict) {
    let mut policies = case.policies.clone();
    policies.sort();
    let expected = Verdict {
        decision: case.decision.word(),
        policies,
        errors: Vec::new(),
    };
    let found = Verdict {
        decision: if decision.allowed { "allow" } else { "deny" },
        policies: decision.policies.iter().map(ToString::to_string).collect(),
        errors: decision.errors.clone(),
    };
    (expected, found)
}

fn parse(file: &Path) -> Result<CaseFile, CliError> {
    let text = files::text(file)?;
    toml::from_str(&text).map_err(|error| {
        let before = error
            .span()
            .and_then(|span| text.get(..span.start))
            .unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        CliError::failed(format!("{}: line {line}: {}", file.display(), error.message()))
    })
}

fn policies(directory: &Directory, cases: &CaseFile) -> Result<Policies, String> {
    let names = [&cases.environment].into_iter().chain(&cases.inherits);
    let layers: Vec<_> = names
        .map(|name| EnvironmentName::new(name))
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())?;
    let environment = layers.first().cloned().ok_or("it names no environment")?;
    let sources = directory.policies.iter().map(|file| Source {
        environment: &environment,
        path: &file.path,
        text: &file.text,
    });
    Policies::from_texts(layers, sources).map_err(|error| error.to_string())
}

fn ask(case: &Case, cases: &CaseFile, policies: &Policies) -> Result<Decision, String> {
    let principal = cases
        .principals
        .get(&case.principal)
        .ok_or_else(|| format!("there are no [principals.{}]", case.principal))?;
    let principal = prepare(principal)?;
    let action: Action = case.action.parse().map_err(text)?;
    let (kind, compartment, labels) = match &case.resource {
        Asked::Path(_) => (None, None, BTreeMap::new()),
        Asked::Entry(entry) => (
            entry.kind.as_deref(),
            entry.compartment.as_deref(),
            entry.labels.clone(),
        ),
    };
    let kind = match kind {
        Some(word) => word.parse().map_err(text)?,
        None => kind_of(action),
    };
    let home = if kind == Kind::Policy {
        "common"
    } else {
        &cases.environment
    };
    let resource = Resource {
        path: &EntryPath::new(path_of(&case.resource)).map_err(text)?,
        kind,
        compartment: &CompartmentName::new(compartment.unwrap_or(home)).map_err(text)?,
        labels: &labels,
    };
    let now = moment::parse(case.now.as_deref().unwrap_or("2000-01-01T00:00:00Z"))?;
    Ok(policies.decide(&principal, action, resource, now))
}

fn prepare(principal: &Asking) -> Result<Prepared, String> {
    match principal {
        Asking::Workload(described) => {
            let workload = described.workload()?;
            Prepared::new(Principal::Workload(&workload)).map_err(text)
        }
        Asking::Member(member) => {
            let name = MemberName::new(&member.member).map_err(text)?;
            let role: Role = member.role.parse().map_err(text)?;
            Prepared::new(Principal::Member { name: &name, role }).map_err(text)
        }
    }
}

/// The kind an action is about when nothing else is said.
pub(crate) fn kind_of(action: Action) -> Kind {
    match action {
        Action::ReadConfig => Kind::Config,
        Action::EvaluateFlag => Kind::Flag,
        Action::Administer => Kind::Policy,
        Action::ReadSecret
        | Action::Describe
        | Action::Watch
        | Action::Confirm
        | Action::Commit
        | Action::Rotate => Kind::Secret,
    }
}

fn path_of(resource: &Asked) -> &str {
    match resource {
        Asked::Path(path) => path,
        Asked::Entry(entry) => &entry.path,
    }
}

fn text(error: impl ToString) -> String {
    error.to_string()
}
