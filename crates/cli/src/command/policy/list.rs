//! `policy list`: which policies govern which environment, and where they come from.

use serde::Serialize;
use strongroom_core::kind::Kind;
use strongroom_core::name::EnvironmentName;
use strongroom_core::policy::Policies;
use strongroom_core::snapshot::Snapshot;

use crate::context::Context;
use crate::error::CliError;
use crate::open;
use crate::output::Table;

#[derive(Debug, Serialize)]
struct GovernedJson {
    environment: String,
    /// True when the environment has and inherits no policy.
    built_in: bool,
    entries: Vec<EntryJson>,
    policies: Vec<String>,
}

#[derive(Debug, Serialize)]
struct EntryJson {
    environment: String,
    path: String,
    version: u32,
    revision: u64,
}

pub(crate) fn run(environment: Option<&EnvironmentName>, context: &Context) -> Result<(), CliError> {
    let snapshot = open::reader(&context.settings)?.vault.snapshot();
    let environments = match environment {
        Some(one) => vec![one.clone()],
        None => snapshot
            .environments()
            .into_iter()
            .map(|each| each.name)
            .collect(),
    };
    let mut all = Vec::new();
    let mut table = Table::new(&["ENVIRONMENT", "POLICY ENTRY", "VERSION", "REVISION"]);
    for environment in &environments {
        let governed = governed(&snapshot, environment)?;
        for entry in &governed.entries {
            table.row(vec![
                governed.environment.clone(),
                format!("{}/{}", entry.environment, entry.path),
                entry.version.to_string(),
                entry.revision.to_string(),
            ]);
        }
        if governed.built_in {
            table.row(vec![governed.environment.clone(), "(built in)".into()]);
        }
        all.push(governed);
    }
    let json = serde_json::json!({"revision": snapshot.revision().0, "environments": all});
    context.output.answer(&json, &table.render())
}

fn governed(snapshot: &Snapshot, environment: &EnvironmentName) -> Result<GovernedJson, CliError> {
    let policies = Policies::of(snapshot, environment)?;
    let mut entries = Vec::new();
    for layer in snapshot.layers(environment)? {
        let own = snapshot.entries(&layer, None)?;
        entries.extend(
            own.iter()
                .filter(|entry| entry.kind == Kind::Policy)
                .map(|entry| EntryJson {
                    environment: entry.environment.to_string(),
                    path: entry.path.to_string(),
                    version: entry.version.0,
                    revision: entry.revision.0,
                }),
        );
    }
    Ok(GovernedJson {
        environment: environment.to_string(),
        built_in: policies.is_default(),
        entries,
        policies: policies.names().into_iter().map(str::to_owned).collect(),
    })
}
