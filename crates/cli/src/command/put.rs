//! `put`: stores one value as a new version of an entry.

use std::collections::BTreeMap;
use std::path::Path;

use strongroom_core::config::Format;
use strongroom_core::id::Version;
use strongroom_core::name::CompartmentName;
use strongroom_core::rotation::generate::Generator;
use strongroom_core::snapshot::{Entry, Kind};
use strongroom_core::vault::{Edit, Expect, LabelEdit, Put, Relabel};

use crate::change::{self, ChangeOptions};
use crate::context::{Context, Target};
use crate::error::CliError;
use crate::generated;
use crate::open;
use crate::value::ValueOptions;

const EXAMPLES: &str = "\
The value is read from stdin, from --file, or typed at a prompt without echo. Bytes of a pipe or
file are stored as they are, a final newline too (`printf` writes none, `echo` does); text that is
typed ends before the newline. Empty and binary values are legal; 1 MiB is the most.

Examples:
  printf s3cret | strongroom put prod web/database/password
  strongroom put prod web/database/password               # asks, without echo
  strongroom put prod web/tls.key --file ./tls.key -m 'new certificate'
  strongroom put prod web/app --kind config --file ./app.toml
  strongroom put prod web/new-ui --kind flag --file ./new-ui.json
  strongroom put prod web/password --expect-version 3 < ./password
  strongroom put prod web/password --generate password:length=40,classes=lower+digit
  strongroom put prod web/tls --generate x509:dns=web.example.org,ca=ca/web";

/// Put a value: a new entry, or a new version of one
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    value: ValueOptions,
    /// Make the value up: password, bytes, uuid, ssh-ed25519, age, x509 or x509-ca, with options
    #[arg(long, value_name = "SPEC", conflicts_with_all = ["file", "value"])]
    generate: Option<Generator>,
    /// Deliver it to nobody yet: a pending version of a secret, for `strongroom label promote`
    #[arg(long, conflicts_with_all = ["create", "labels", "compartment", "format", "kind"])]
    pending: bool,
    #[command(flatten)]
    entry: EntryOptions,
    /// Only if there is no such entry yet
    #[arg(long, conflicts_with = "expect_version")]
    create: bool,
    /// Only if the entry is at this version
    #[arg(long, value_name = "N")]
    expect_version: Option<Version>,
    #[command(flatten)]
    change: ChangeOptions,
}

/// What an entry is, where it is put.
#[derive(Debug, clap::Args)]
pub(crate) struct EntryOptions {
    /// secret, config, flag, policy or schema [default: what the entry is, else secret]
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Option<Kind>,
    /// The format of a config document: text, json or toml [default: what it is, else the file's ending]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<Format>,
    /// The format where nothing else says one.
    #[arg(skip)]
    pub(crate) fallback: Option<Format>,
    /// A label to set (`NAME=VALUE`) or to take away (`NAME=`); others stay; may be repeated
    #[arg(long = "label", short = 'l', value_name = "NAME=VALUE")]
    pub(crate) labels: Vec<String>,
    /// The compartment of a new entry [default: the environment's]
    #[arg(long, value_name = "NAME")]
    pub(crate) compartment: Option<CompartmentName>,
}

impl EntryOptions {
    /// The kind: as given, as it is, else a secret.
    pub(crate) fn kind(&self, before: Option<&Entry>) -> Kind {
        self.kind
            .or(before.map(|entry| entry.kind))
            .unwrap_or(Kind::Secret)
    }

    /// The format: as given, as it is, by the file's ending, else text.
    pub(crate) fn format(
        &self,
        kind: Kind,
        before: Option<&Entry>,
        file: Option<&Path>,
    ) -> Result<Format, CliError> {
        if kind != Kind::Config {
            return match self.format {
                None => Ok(Format::Text),
                Some(_) => Err(CliError::usage(format!(
                    "--format is for config documents, and this is a {kind}"
                ))
                .hint("add --kind config, or leave --format out")),
            };
        }
        let is = before
            .filter(|entry| entry.kind == kind)
            .map(|entry| entry.format);
        let ending = file.and_then(Path::extension).and_then(|ending| ending.to_str());
        let by_ending = ending.and_then(|ending| ending.parse().ok());
        let format = self.format.or(is).or(by_ending).or(self.fallback);
        Ok(format.unwrap_or(Format::Text))
    }

    /// The labels: those there are with the given ones set or taken away; `None` leaves them.
    pub(crate) fn labels(
        &self,
        before: Option<&Entry>,
    ) -> Result<Option<BTreeMap<String, String>>, CliError> {
        if self.labels.is_empty() {
            return Ok(None);
        }
        let mut labels = before.map(|entry| entry.labels.clone()).unwrap_or_default();
        for label in &self.labels {
            match label.split_once('=') {
                Some((name, "")) if !name.is_empty() => {
                    labels.remove(name);
                }
                Some((name, value)) if !name.is_empty() => {
                    labels.insert(name.to_owned(), value.to_owned());
                }
                _ => return Err(CliError::usage("a label is given as NAME=VALUE")),
            }
        }
        Ok(Some(labels))
    }

    /// Whether an entry changes by what was given, whatever its value.
    pub(crate) fn changes(
        &self,
        before: &Entry,
        kind: Kind,
        format: Format,
        labels: Option<&BTreeMap<String, String>>,
    ) -> bool {
        let compartment = self.compartment.as_ref();
        (before.kind, before.format) != (kind, format)
            || labels.is_some_and(|labels| *labels != before.labels)
            || compartment.is_some_and(|compartment| *compartment != before.compartment)
    }
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), CliError> {
    let (environment, path) = args.target.resolve(context)?;
    let opened = open::writer(&context.settings)?;
    let snapshot = opened.vault.snapshot();
    let seen = snapshot.entry(&environment, &path).ok();
    let seen = seen.as_deref();
    let own = seen.filter(|entry| entry.environment == environment);
    let kind = args.entry.kind(seen);
    let format = args.entry.format(kind, seen, args.value.file.as_deref())?;
    let (value, public) = match &args.generate {
        None => (
            args.value.read(&format!("Value of {environment} {path}: "))?,
            None,
        ),
        Some(generator) if kind == Kind::Secret => {
            let generated = generated::generate(generator, &snapshot, &environment)?;
            (generated.value, generated.public)
        }
        Some(_) => {
            return Err(
                CliError::usage(format!("--generate makes secrets, and this is a {kind}"))
                    .hint("give the value with --file"),
            );
        }
    };
    let expect = match (args.create, args.expect_version) {
        (true, _) => Expect::Absent,
        (false, Some(version)) => Expect::Version(version),
        (false, None) => Expect::Any,
    };
    let edit = if args.pending {
        Edit::Label(LabelEdit {
            environment,
            path,
            to: Relabel::Pending(value),
            expect,
        })
    } else {
        Edit::Put(Put {
            kind,
            format,
            labels: args.entry.labels(own)?,
            compartment: args.entry.compartment.clone(),
            expect,
            value,
            environment,
            path,
        })
    };
    let change = args.change.change(vec![edit]);
    change::carry_out_and_tell(context, &opened, &change, &args.change, public.as_deref())
}
