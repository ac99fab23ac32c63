//! `status`: every setting with its origin, and the store as this identity sees it.

use std::fmt::Display;

use serde::Serialize;

use super::rotate::overdue;
use crate::context::Context;
use crate::error::CliError;
use crate::output::{CHANGED, FAINT, Table, harmless, show_error};
use crate::settings::Setting;
use crate::{open, output};

const EXAMPLES: &str = "\
Examples:
  strongroom status
  strongroom status --json | jq -r .fingerprint";

/// Show the settings, where each comes from, and the state of the store
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {}

#[derive(Debug, Serialize)]
struct SettingJson {
    name: &'static str,
    value: Option<String>,
    origin: Option<String>,
}

#[derive(Debug, Serialize)]
struct StatusJson {
    #[serde(flatten)]
    about: serde_json::Value,
    #[serde(flatten)]
    store: Option<StoreJson>,
}

#[derive(Debug, Serialize)]
struct StoreJson {
    location: String,
    fingerprint: String,
    revision: u64,
    hash: String,
    committed_at: String,
    member: Option<String>,
    role: Option<&'static str>,
    opens: Vec<String>,
    environments: Vec<String>,
    rotations: Vec<RotationJson>,
    overdue: Vec<OverdueJson>,
}

/// A rotation that runs.
#[derive(Debug, Serialize)]
struct RotationJson {
    environment: String,
    path: String,
    phase: &'static str,
    runner: String,
    since: String,
}

/// A secret whose rotation needs somebody.
#[derive(Debug, Serialize)]
struct OverdueJson {
    environment: String,
    path: String,
    why: String,
}

/// The exit code is that of the store: a status that shows a broken one does not end with 0.
pub(crate) fn run(_args: &Args, context: &Context) -> Result<u8, CliError> {
    let settings = settings(context);
    let trust_file = context
        .settings
        .store()
        .ok()
        .and_then(|location| open::trust_file(&context.settings, location))
        .map(|path| path.display().to_string());
    let store = store(context);
    let (store, error) = match store {
        Ok(store) => (Some(store), None),
        Err(error) => (None, Some(error)),
    };
    let code = error.as_ref().map_or(0, |error| error.exit as u8);
    if context.output.json {
        let problem = error.as_ref().map(|error| {
            serde_json::json!({"code": error.exit.word(), "exit": code, "message": error.message, "hint": error.hint})
        });
        let json = serde_json::json!({
            "version": env!("CARGO_PKG_VERSION"),
            "settings": settings,
            "trust_file": trust_file,
            "error": problem,
        });
        context.output.json(&StatusJson { about: json, store })?;
        return Ok(code);
    }
    let mut text = setting_lines(&settings, trust_file.as_deref());
    if let Some(store) = &store {
        text.push('\n');
        text.push_str(&store_lines(store));
    }
    context.output.text(&text)?;
    if let Some(error) = &error {
        output::note("\n");
        show_error(error, false);
    }
    Ok(code)
}

fn settings(context: &Context) -> Vec<SettingJson> {
    fn line<T>(name: &'static str, setting: Option<&Setting<T>>, show: impl Fn(&T) -> String) -> SettingJson {
        SettingJson {
            name,
            value: setting.map(|setting| show(&setting.value)),
            origin: setting.map(|setting| setting.origin.to_string()),
        }
    }
    fn text(value: &impl Display) -> String {
        value.to_string()
    }
    let settings = &context.settings;
    vec![
        line("store", settings.store.as_ref(), text),
        line("environment", settings.environment.as_ref(), text),
        line("identity", settings.identity.as_ref(), |path| {
            path.display().to_string()
        }),
        line("passphrase_file", settings.passphrase_file.as_ref(), |path| {
            path.display().to_string()
        }),
        line("fingerprint", settings.fingerprint.as_ref(), text),
        line("trust_dir", settings.trust_dir.as_ref(), |path| {
            path.display().to_string()
        }),
        line("audit", settings.audit.as_ref(), |path| {
            path.display().to_string()
        }),
    ]
}

fn setting_lines(settings: &[SettingJson], trust_file: Option<&str>) -> String {
    let mut table = Table::new(&["SETTING", "VALUE", "FROM"]);
    for setting in settings {
        let value = setting.value.as_deref().map_or_else(|| "-".to_owned(), harmless);
        let origin = setting
            .origin
            .as_deref()
            .map_or_else(|| "not set".to_owned(), harmless);
        table.row(vec![setting.name.into(), value, origin]);
    }
    let mut text = table.render();
    if let Some(file) = trust_file {
        text.push_str(&format!("{FAINT}trust file {}{FAINT:#}\n", harmless(file)));
    }
    text
}

fn store(context: &Context) -> Result<StoreJson, CliError> {
    let opened = open::reader(&context.settings)?;
    let snapshot = opened.vault.snapshot();
    let me = snapshot.members().into_iter().find(|member| member.is_self);
    let running = opened.vault.rotations().into_iter().flatten();
    let overdue = overdue(&opened, None)?;
    Ok(StoreJson {
        location: opened.vault.location(),
        fingerprint: snapshot.fingerprint().to_string(),
        revision: snapshot.revision().0,
        hash: snapshot.hash().to_string(),
        committed_at: snapshot.committed_at().to_string(),
        member: me.as_ref().map(|member| member.name.to_string()),
        role: me.as_ref().map(|member| member.role.as_str()),
        opens: snapshot
            .compartments()
            .iter()
            .filter(|compartment| compartment.open)
            .map(|compartment| compartment.name.to_string())
            .collect(),
        environments: snapshot
            .environments()
            .iter()
            .map(|environment| environment.name.to_string())
            .collect(),
        rotations: running
            .map(|rotation| RotationJson {
                environment: rotation.environment.to_string(),
                path: rotation.path.to_string(),
                phase: rotation.phase().as_str(),
                since: rotation.since().to_string(),
                runner: rotation.runner,
            })
            .collect(),
        overdue: overdue
            .iter()
            .map(|each| OverdueJson {
                environment: each.environment.to_string(),
                path: each.path.to_string(),
                why: each.words(),
            })
            .collect(),
    })
}

fn store_lines(store: &StoreJson) -> String {
    let member = store.member.as_deref().unwrap_or("-");
    let role = store.role.unwrap_or("-");
    let mut text: String = [
        ("store", store.location.clone()),
        ("fingerprint", store.fingerprint.clone()),
        (
            "revision",
            format!("{} of {}", store.revision, store.committed_at),
        ),
        ("hash", store.hash.clone()),
        ("you are", format!("{member} ({role})")),
        ("you open", store.opens.join(", ")),
        ("environments", store.environments.join(", ")),
    ]
    .iter()
    .map(|(name, value)| format!("{name:<13} {value}\n"))
    .collect();
    for each in &store.rotations {
        text.push_str(&format!(
            "{:<13} {} {}: {} since {}, by {}\n",
            "rotating",
            each.environment,
            each.path,
            each.phase,
            each.since,
            harmless(&each.runner)
        ));
    }
    for each in &store.overdue {
        text.push_str(&format!(
            "{CHANGED}{:<13}{CHANGED:#} {} {}: {}\n",
            "overdue",
            each.environment,
            each.path,
            harmless(&each.why)
        ));
    }
    text
}
