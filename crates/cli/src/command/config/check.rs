//! `config check`: whether documents are as their schemas say, and what else is odd about them.

use serde::Serialize;
use strongroom_core::config;
use strongroom_core::name::{EntryPath, EnvironmentName};
use strongroom_core::snapshot::{Snapshot, Unfit};

use crate::context::Context;
use crate::error::CliError;
use crate::open::{self, Opened};
use crate::output::harmless;

const EXAMPLES: &str = "\
The document at PATH, or every one of ENV that has a schema. It fails when one is not as its schema
says. Warnings tell keys that are deprecated, and values of another type than a parent's.

Examples:
  strongroom config check prod web
  strongroom config check prod";

/// Check config documents by their schemas
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The environment
    #[arg(value_name = "ENV")]
    environment: EnvironmentName,
    /// The path of one document
    #[arg(value_name = "PATH")]
    path: Option<EntryPath>,
}

#[derive(Debug, Serialize)]
struct UnfitJson {
    environment: String,
    path: String,
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    layer: Option<String>,
    rule: String,
    mend: String,
}

impl From<&Unfit> for UnfitJson {
    fn from(unfit: &Unfit) -> Self {
        let Unfit {
            environment,
            path,
            key,
            layer,
            rule,
            mend,
        } = unfit;
        Self {
            environment: environment.to_string(),
            path: path.to_string(),
            key: key.to_string(),
            layer: layer.as_ref().map(ToString::to_string),
            rule: rule.clone(),
            mend: mend.clone(),
        }
    }
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let opened = open::reader(&context.settings)?;
    let snapshot = opened.vault.snapshot();
    let environment = &args.environment;
    let paths = match &args.path {
        Some(path) => vec![path.clone()],
        None => snapshot.documents(environment)?,
    };
    let (mut unfit, mut warnings) = (Vec::new(), Vec::new());
    for path in &paths {
        super::get::recorded(&opened, &snapshot, environment, path, "config check")?;
        unfit.extend(snapshot.check_config(environment, path)?);
        warnings.extend(warnings_of(&opened, &snapshot, environment, path)?);
    }
    let mut text = String::new();
    for line in unfit.iter().map(ToString::to_string) {
        text.push_str(&format!("{}\n", harmless(&line)));
    }
    for line in &warnings {
        text.push_str(&format!("warning: {}\n", harmless(line)));
    }
    if text.is_empty() {
        text = format!("{} checked: all as their schemas say\n", paths.len());
    }
    let json = serde_json::json!({
        "revision": snapshot.revision().0,
        "checked": paths.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "unfit": unfit.iter().map(UnfitJson::from).collect::<Vec<_>>(),
        "warnings": warnings,
    });
    context.output.answer(&json, &text)?;
    if unfit.is_empty() {
        Ok(())
    } else {
        Err(CliError::failed("documents are not as their schemas say"))
    }
}

fn warnings_of(
    opened: &Opened,
    snapshot: &Snapshot,
    environment: &EnvironmentName,
    path: &EntryPath,
) -> Result<Vec<String>, CliError> {
    let mut warnings = Vec::new();
    let Ok(document) = snapshot.config::<serde_json::Value>(environment, path) else {
        return Ok(warnings);
    };
    if let Some(Ok(schema)) = snapshot.schema(environment, path)? {
        for key in schema.deprecated(&document) {
            warnings.push(format!("{path} in {environment}: `{key}` is deprecated"));
        }
    } else {
        warnings.push(format!("{path} in {environment}: no schema governs it"));
    }
    for origin in opened.vault.origins(environment, path)? {
        if let Some(behind) = origin.retyped {
            let (key, layer) = (origin.key, origin.layer);
            warnings.push(format!(
                "{path} in {environment}: `{key}` in {layer} has another type than in {behind}, and replaces it"
            ));
        }
    }
    Ok(warnings)
}

/// The keys of a new document that are deprecated and were not there before.
pub(super) fn newly_deprecated(
    snapshot: &Snapshot,
    (environment, path): (&EnvironmentName, &EntryPath),
    differing: &[(config::Key, config::Differs)],
    after: &serde_json::Value,
) -> Vec<config::Key> {
    let Ok(Some(Ok(schema))) = snapshot.schema(environment, path) else {
        return Vec::new();
    };
    let mut keys = schema.deprecated(after);
    keys.retain(|key| differing.iter().any(|(changed, _)| changed.holds(key)));
    keys
}
