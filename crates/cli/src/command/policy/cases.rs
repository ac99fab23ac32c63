//! The cases beside policies: owns running them, and how they went.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;
use strongroom_core::name::{CompartmentName, EntryPath, EnvironmentName, MemberName};
use strongroom_core::policy::{Action, Decision, Policies, Prepared, Principal, Resource, Source};
use strongroom_core::snapshot::Role;

use super::asked;
use super::case_file::{Asked, Asking, Case, CaseFile};
use super::files::Directory;
use crate::error::CliError;
use crate::{moment, output};

/// How the cases of one directory went.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Outcome {
    pub(crate) cases: usize,
    /// Cases about the environment that was asked for, or one that inherits from it.
    #[serde(skip)]
    pub(crate) about: usize,
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
        output::harmless_lines(&text)
    }
}

/// Whose policies cases are about that do not say it, where nothing else does either.
const ENVIRONMENT: &str = "prod";

/// Runs all cases of a directory; those that do not say about which environment they are, are
/// about `environment`.
pub(crate) fn run(directory: &Directory, environment: Option<&EnvironmentName>) -> Result<Outcome, CliError> {
    let unsaid = environment.map_or(ENVIRONMENT, |environment| environment.as_str());
    let mut outcome = Outcome::default();
    let mut decided = BTreeSet::new();
    let mut names = BTreeSet::new();
    for file in &directory.cases {
        let cases = CaseFile::read(file)?;
        let wrong = |problem: String| CliError::failed(format!("{}: {problem}", file.display()));
        let named = cases.environment.as_deref().unwrap_or(unsaid);
        let layers = layers(named, &cases.inherits).map_err(&wrong)?;
        let is_about = environment.is_some_and(|environment| layers.contains(environment));
        let policies = policies(directory, layers).map_err(&wrong)?;
        names.extend(policies.names().into_iter().map(str::to_owned));
        for (number, case) in (1..).zip(&cases.cases) {
            let wrong = |problem: String| wrong(format!("case {number}: {problem}"));
            let decision = ask(case, &cases, named, &policies).map_err(wrong)?;
            decided.extend(decision.policies.iter().map(ToString::to_string));
            outcome.cases += 1;
            outcome.about += usize::from(is_about);
            let (expected, found) = verdicts(case, &decision);
            if expected != found {
                outcome.failures.push(Failure {
                    file: file.display().to_string(),
                    case: number,
                    question: format!("{} {} {}", case.principal, case.action, case.resource.path()),
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

fn layers(environment: &str, inherits: &[String]) -> Result<Vec<EnvironmentName>, String> {
    let names = [environment]
        .into_iter()
        .chain(inherits.iter().map(String::as_str));
    names
        .map(|name| EnvironmentName::new(name).map_err(text))
        .collect()
}

fn policies(directory: &Directory, layers: Vec<EnvironmentName>) -> Result<Policies, String> {
    let environment = layers.first().cloned().ok_or("it names no environment")?;
    let sources = directory.policies.iter().map(|file| Source {
        environment: &environment,
        path: &file.path,
        text: &file.text,
    });
    Policies::from_texts(layers, sources).map_err(text)
}

fn ask(case: &Case, cases: &CaseFile, environment: &str, policies: &Policies) -> Result<Decision, String> {
    let principal = cases
        .principals
        .get(&case.principal)
        .ok_or_else(|| "it names a principal that the file does not have".to_owned())?;
    let is_guest = matches!(principal, Asking::Guest(_));
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
        None => asked::kind_of(action),
    };
    let compartment = match compartment {
        Some(name) => CompartmentName::new(name).map_err(text)?,
        None => asked::home(kind, environment).map_err(text)?,
    };
    let resource = Resource {
        path: &EntryPath::new(case.resource.path()).map_err(text)?,
        kind,
        compartment: &compartment,
        labels: &labels,
    };
    let now = moment::parse(case.now.as_deref().unwrap_or("2000-01-01T00:00:00Z"))?;
    let mut decision = policies.decide(&principal, action, resource, now);
    if is_guest {
        // it has nothing that policies ask of processes: they are meant to fail
        decision.errors.clear();
    }
    Ok(decision)
}

fn prepare(principal: &Asking) -> Result<Prepared, String> {
    match principal {
        Asking::Workload(described) => {
            let workload = described.workload()?;
            Prepared::new(Principal::Workload(&workload)).map_err(text)
        }
        Asking::Guest(guest) => {
            let listener = &guest.listener;
            Prepared::new(Principal::Guest { listener }).map_err(text)
        }
        Asking::Member(member) => {
            let name = MemberName::new(&member.member).map_err(text)?;
            let role: Role = member.role.parse().map_err(text)?;
            Prepared::new(Principal::Member { name: &name, role }).map_err(text)
        }
    }
}

fn text(error: impl ToString) -> String {
    error.to_string()
}
