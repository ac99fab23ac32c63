//! `policy explain`: which policy allows or denies, and why.

use std::fmt::Write as _;

use serde::Serialize;
use strongroom_core::ambient::{Ambient, Timestamp};
use strongroom_core::kind::Kind;
use strongroom_core::name::{CompartmentName, EntryPath, EnvironmentName, MemberName};
use strongroom_core::policy::{Action, Decision, Policies, Prepared, Principal, Resource};
use strongroom_core::snapshot::{Entry, Member, Role, Snapshot};

use super::asked;
use super::described::Described;
use crate::context::Context;
use crate::error::CliError;
use crate::output::{ADDED, REMOVED};
use crate::{moment, open, output};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The environment the entry is asked for in
    #[arg(value_name = "ENV")]
    environment: EnvironmentName,
    /// What is done: readSecret, describe, readConfig, evaluateFlag, watch, confirm, commit, rotate
    /// or administer
    #[arg(long, value_name = "ACTION")]
    action: Action,
    /// The path of the entry, which need not be there
    #[arg(long, value_name = "PATH")]
    path: EntryPath,
    /// When it is asked [default: now]
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    now: Option<Timestamp>,
    /// A member asks, in the role it has
    #[arg(long, value_name = "MEMBER", conflicts_with = "Described")]
    member: Option<MemberName>,
    /// Whoever evaluates flags through the sidecar's listener asks, of whom nothing else is known
    #[arg(long, value_name = "NAME", value_parser = ["tcp"], conflicts_with_all = ["Described", "member"])]
    listener: Option<String>,
    #[command(flatten)]
    workload: Described,
}

#[derive(Debug, Serialize)]
struct ExplanationJson<'a> {
    revision: u64,
    environment: &'a str,
    path: &'a str,
    action: &'a str,
    decision: &'a str,
    policies: Vec<String>,
    errors: Vec<String>,
    reason: String,
    /// The policies that were asked.
    asked: Vec<&'a str>,
    built_in: bool,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let snapshot = open::reader(&context.settings)?.vault.snapshot();
    let policies = Policies::of(&snapshot, &args.environment)?;
    let entry = snapshot.entry(&args.environment, &args.path).ok();
    let compartment = home(&snapshot, args)?;
    let none = std::collections::BTreeMap::new();
    let resource = match &entry {
        Some(entry) => Resource::from(&**entry),
        None => Resource {
            path: &args.path,
            kind: asked::kind_of(args.action),
            compartment: &compartment,
            labels: &none,
        },
    };
    let now = args.now.unwrap_or_else(|| Ambient::system().now());
    let (principal, member) = asking(args, &snapshot)?;
    let mut decision = policies.decide(&principal, args.action, resource, now);
    let about = policies.about(args.action);
    let mut reason = reason(args, &decision, &policies, about.len());
    if args.listener.is_some() {
        let is_answered = matches!(
            args.action,
            Action::EvaluateFlag | Action::Describe | Action::Watch
        );
        if !is_answered {
            decision.allowed = false;
            reason = format!("nothing but flags is answered over TCP; of the policies alone: {reason}");
        } else if decision.allowed {
            reason += "; over TCP only those flags are answered that `listener.flags` of the sidecar's settings names";
        }
    }
    // readers refuse what the role or the compartment does not allow, whatever policies say
    if let Some(besides) = member.and_then(|member| refused(&member, args.action, resource.compartment)) {
        decision.allowed = false;
        reason = format!("{besides}; of the policies alone: {reason}");
    }
    let explanation = ExplanationJson {
        revision: snapshot.revision().0,
        environment: args.environment.as_str(),
        path: args.path.as_str(),
        action: args.action.as_str(),
        decision: if decision.allowed { "allow" } else { "deny" },
        policies: decision.policies.iter().map(ToString::to_string).collect(),
        errors: decision.errors.clone(),
        asked: about.iter().map(|(name, _)| *name).collect(),
        built_in: policies.is_default(),
        reason,
    };
    let text = text(&explanation, entry.as_deref(), &about, &decision);
    context.output.answer(&explanation, &text)
}

/// The compartment an entry that is not there would be in.
fn home(snapshot: &Snapshot, args: &Args) -> Result<CompartmentName, CliError> {
    let kind = asked::kind_of(args.action);
    if kind == Kind::Policy {
        return Ok(asked::home(kind, args.environment.as_str())?);
    }
    let all = snapshot.environments();
    let environment = all.into_iter().find(|each| each.name == args.environment);
    environment
        .map(|environment| environment.compartment)
        .ok_or_else(|| CliError::failed(format!("there is no environment {:?}", args.environment)))
}

/// Why a member may not do it, whatever policies say; nothing when role and compartment allow it.
fn refused(member: &Member, action: Action, compartment: &CompartmentName) -> Option<String> {
    let name = &member.name;
    let may = match member.role {
        Role::Admin => true,
        Role::Writer => matches!(action, Action::Commit | Action::Rotate),
        Role::Rotator => action == Action::Rotate,
        Role::Reader => false,
    };
    if !may {
        return Some(format!(
            "{name} is a {}, and that role may not {action}",
            member.role
        ));
    }
    // policies lie where everyone reads and admins write
    let opens = action == Action::Administer || member.compartments.contains(compartment);
    (!opens).then(|| format!("{name} does not open the compartment {compartment}, where it lies"))
}

/// Who asks, and the member it is.
fn asking(args: &Args, snapshot: &Snapshot) -> Result<(Prepared, Option<Member>), CliError> {
    if args.action.is_of_members() != args.member.is_some() {
        let hint = if args.action.is_of_members() {
            "give --member"
        } else {
            "leave --member out"
        };
        return Err(CliError::usage(format!(
            "{} is for {}",
            args.action,
            if args.action.is_of_members() {
                "members"
            } else {
                "workloads"
            }
        ))
        .hint(hint));
    }
    if let Some(listener) = &args.listener {
        return Ok((Prepared::new(Principal::Guest { listener })?, None));
    }
    let Some(name) = &args.member else {
        let workload = args.workload.workload().map_err(CliError::usage)?;
        return Ok((Prepared::new(Principal::Workload(&workload))?, None));
    };
    let member = snapshot.members().into_iter().find(|member| member.name == *name);
    let member = member.ok_or_else(|| {
        CliError::failed(format!("there is no member {name:?}")).hint("`strongroom member list` shows them")
    })?;
    let principal = Prepared::new(Principal::Member {
        name,
        role: member.role,
    })?;
    Ok((principal, Some(member)))
}

fn reason(args: &Args, decision: &Decision, policies: &Policies, asked: usize) -> String {
    let names = decision.policies.join(", ");
    let environment = &args.environment;
    let governed = if policies.is_default() {
        format!("{environment} has no policy of its own and inherits none, so the built-in ones govern it")
    } else {
        format!("{asked} policies of {environment} are about {}", args.action)
    };
    match (decision.allowed, decision.policies.is_empty()) {
        (true, _) => format!("permitted by {names}, and no policy forbids it; {governed}"),
        (false, false) => format!("forbidden by {names}, which wins over every permission; {governed}"),
        (false, true) if decision.errors.is_empty() => {
            format!("no policy permits it, and what none permits is denied; {governed}")
        }
        (false, true) => format!("a policy failed, and that denies; {governed}"),
    }
}

fn text(
    explanation: &ExplanationJson<'_>,
    entry: Option<&Entry>,
    about: &[(&str, bool)],
    decision: &Decision,
) -> String {
    let style = if decision.allowed { ADDED } else { REMOVED };
    let mut text = format!(
        "{style}{}{style:#}  {} {} in {} at revision {}\n{}\n",
        explanation.decision,
        explanation.action,
        explanation.path,
        explanation.environment,
        explanation.revision,
        output::harmless(&explanation.reason)
    );
    if entry.is_none() {
        text += "there is no such entry that this identity opens: decided for one without labels\n";
    }
    for (name, forbids) in about {
        let decided = decision.policies.iter().any(|each| &**each == *name);
        let _ = writeln!(
            text,
            "  {} {}  {}",
            if decided { '*' } else { ' ' },
            if *forbids { "forbid" } else { "permit" },
            output::harmless(name)
        );
    }
    for error in &decision.errors {
        let _ = writeln!(text, "  error  {}", output::harmless(error));
    }
    text
}
