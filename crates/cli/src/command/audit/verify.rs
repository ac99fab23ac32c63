//! `audit verify`: walks along the chain and tells what is wrong with it.

use std::fmt::Write as _;

use serde::Serialize;
use strongroom_core::audit::{Fault, Position, Problem, Report, Verifier, verify_directory};
use strongroom_core::crypto::identity::PublicIdentity;
use strongroom_core::crypto::sign::VerifyKey;
use strongroom_core::id::Hash;

use super::{Log, io};
use crate::context::Context;
use crate::error::{CliError, Exit};
use crate::open;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    log: Log,
    /// Who must have signed: the sidecar's public identity, or its key as this command prints it;
    /// may be repeated
    #[arg(long, value_name = "KEY", value_parser = key)]
    public: Vec<VerifyKey>,
    /// A member of the store must have signed: opens the store to see who they are
    #[arg(long)]
    members: bool,
    /// A head that was noted before: the log must come by it
    #[arg(long, value_name = "HEAD")]
    since: Option<Position>,
    /// Records at the end that no signed head vouches for are a fault too
    #[arg(long)]
    signed: bool,
}

/// A public identity as `identity show` prints it, or 64 hexadecimal digits.
fn key(text: &str) -> Result<VerifyKey, String> {
    if let Ok(hash) = text.parse::<Hash>() {
        return Ok(VerifyKey(hash.0));
    }
    let public = text.trim().parse::<PublicIdentity>();
    public
        .map(|public| public.verify_key)
        .map_err(|error| error.to_string())
}

#[derive(Debug, Serialize)]
struct Json<'a> {
    directory: String,
    whole: bool,
    files: u64,
    records: u64,
    bytes: u64,
    first: Option<u64>,
    head: Option<String>,
    signed: u64,
    signed_at: Option<&'a str>,
    unsigned: u64,
    keys: Vec<String>,
    closed: bool,
    clock_set_back: u64,
    begun_again: u32,
    faults: u64,
    problems: Vec<ProblemJson<'a>>,
}

#[derive(Debug, Serialize)]
struct ProblemJson<'a> {
    file: &'a str,
    line: u64,
    problem: String,
}

impl<'a> From<&'a Problem> for ProblemJson<'a> {
    fn from(problem: &'a Problem) -> Self {
        Self {
            file: &problem.file,
            line: problem.line,
            problem: problem.fault.to_string(),
        }
    }
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let mut keys = args.public.clone();
    if args.members {
        let opened = open::reader(&context.settings)?;
        keys.extend(
            opened
                .vault
                .snapshot()
                .members()
                .iter()
                .map(|member| member.public.verify_key),
        );
    }
    let directory = &args.log.directory;
    let is_named = !keys.is_empty();
    let mut verifier = Verifier::new(keys, args.since);
    if args.signed {
        verifier = verifier.to_its_end();
    }
    let report = verify_directory(directory, verifier).map_err(|error| io(directory, &error))?;
    let name = directory.display().to_string();
    let json = Json {
        directory: name.clone(),
        whole: report.is_whole(),
        files: report.files,
        records: report.lines,
        bytes: report.bytes,
        first: report.first.map(|first| first.seq.saturating_add(1)),
        head: report.last.map(|last| last.to_string()),
        signed: report.signed,
        signed_at: report.signed_at.as_deref(),
        unsigned: report.unsigned,
        keys: report.keys.iter().map(hex).collect(),
        closed: report.closed,
        clock_set_back: report.clock_back,
        begun_again: report.begun_again,
        faults: report.faults,
        problems: report.problems.iter().map(Into::into).collect(),
    };
    context.output.answer(&json, &text(&name, &report, is_named))?;
    match report.problems.first() {
        None => Ok(()),
        Some(Problem {
            fault: fault @ Fault::Unsigned { .. },
            ..
        }) => Err(CliError::new(
            Exit::Integrity,
            format!("the audit log in {name} is not signed to its end: {fault}"),
        )
        .hint("a sidecar that writes it signs soon, and one that was killed when it starts again; then verify again")),
        Some(first) => Err(CliError::new(
            Exit::Integrity,
            format!("the audit log in {name} is not whole: {first}"),
        )
        .hint("keep the files as they are; whoever may write them did this, or their disk")),
    }
}

fn hex(key: &VerifyKey) -> String {
    Hash(key.0).to_string()
}

fn text(name: &str, report: &Report, is_named: bool) -> String {
    let mut out = String::new();
    if report.is_whole() {
        let _ = writeln!(out, "{name} is whole");
    }
    for problem in &report.problems {
        let _ = writeln!(out, "{problem}");
    }
    let shown = u64::try_from(report.problems.len()).unwrap_or(u64::MAX);
    if let Some(more) = report.faults.checked_sub(shown).filter(|more| *more > 0) {
        let _ = writeln!(out, "and {more} more");
    }
    let Report { files, lines, .. } = report;
    let _ = writeln!(out, "{lines} records in {files} files");
    if let Some(first) = report.first.filter(|first| first.seq > 0) {
        let _ = writeln!(
            out,
            "begins at record {}: what was before is not here",
            first.seq.saturating_add(1)
        );
    }
    for key in &report.keys {
        let note = if is_named {
            ""
        } else {
            ": compare it, or name it with --public"
        };
        let _ = writeln!(out, "signed by {}{note}", hex(key));
    }
    let at = report.signed_at.as_deref().unwrap_or("never");
    let _ = match (report.unsigned, report.closed) {
        (0, true) => writeln!(out, "closed and signed to its end at {at}"),
        (0, false) => writeln!(
            out,
            "signed to its end at {at}, where no sidecar closed it: what was cut off there shows only beside a \
             head that was noted elsewhere"
        ),
        (unsigned, _) => writeln!(
            out,
            "signed up to record {}, last at {at}; unsigned: {unsigned} records after it, which somebody \
             without the key could have written, changed or cut off",
            report.signed
        ),
    };
    if let Some((file, line)) = &report.clock_back_at {
        let _ = writeln!(
            out,
            "the clock was set back {} times, first at {file}:{line}",
            report.clock_back
        );
    }
    if let Some(last) = report.last {
        let _ = writeln!(out, "head {last}");
    }
    out
}
