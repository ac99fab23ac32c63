//! `audit tail`: the newest records, and with `-f` those to come.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::time::Duration;

use strongroom_core::audit::{Body, Line, MAX_LINE};

use super::{Log, open, show};
use crate::context::Context;
use crate::error::CliError;
use crate::output;

/// How often is looked for more.
const LOOK: Duration = Duration::from_millis(200);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    log: Log,
    /// Show so many
    #[arg(long, short = 'n', value_name = "N", default_value = "10")]
    lines: usize,
    /// Go on showing what is written
    #[arg(long, short = 'f')]
    follow: bool,
    /// Signed heads as well
    #[arg(long)]
    all: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let mut newest: VecDeque<Vec<u8>> = VecDeque::new();
    let mut last = None;
    for file in args.log.files()?.iter().rev() {
        let Some(opened) = open(file)? else {
            continue;
        };
        let mut found = VecDeque::new();
        let end = whole_lines(&opened, 0, |line| {
            if is_wanted(args, line) {
                found.push_back(line.to_vec());
                if found.len() > args.lines {
                    found.pop_front();
                }
            }
            Ok(())
        })?;
        if last.is_none() {
            last = Some((file.first, opened, end));
        }
        for line in found.into_iter().rev() {
            if newest.len() < args.lines {
                newest.push_front(line);
            }
        }
        if newest.len() >= args.lines {
            break;
        }
    }
    for bytes in &newest {
        write(args, bytes, context)?;
    }
    match last {
        Some((first, file, end)) if args.follow => follow(args, first, file, end, context),
        _ => Ok(()),
    }
}

/// Calls `f` with the whole lines behind the first `at` bytes of a file, and with what is longer than any; where
/// the last of them ends. A line without an end is left: it may be finished, or cut off and written anew.
fn whole_lines(
    mut file: &File,
    at: u64,
    mut f: impl FnMut(&[u8]) -> Result<(), CliError>,
) -> Result<u64, CliError> {
    let failed = |error| CliError::io("the audit log", &error);
    // what was taken back is written anew
    let mut at = at.min(file.metadata().map_err(failed)?.len());
    file.seek(SeekFrom::Start(at)).map_err(failed)?;
    let mut reader = BufReader::new(file);
    let most = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut taken = reader
            .by_ref()
            .take(most)
            .read_until(b'\n', &mut line)
            .map_err(failed)?;
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if line.len() < MAX_LINE {
            return Ok(at);
        } else {
            taken += reader.skip_until(b'\n').map_err(failed)?;
        }
        f(&line)?;
        at = at.saturating_add(u64::try_from(taken).unwrap_or(0));
    }
}

fn is_wanted(args: &Args, line: &[u8]) -> bool {
    args.all || !matches!(Line::parse(line).map(|line| line.body), Ok(Body::Head(_)))
}

fn write(args: &Args, bytes: &[u8], context: &Context) -> Result<(), CliError> {
    match Line::parse(bytes) {
        Ok(_) if !is_wanted(args, bytes) => Ok(()),
        Ok(line) => show::write(&line, bytes, context),
        Err(error) => {
            output::warn(&error.to_string());
            Ok(())
        }
    }
}

/// Shows what is appended to `file` and to the files that follow it, until the process is ended.
fn follow(
    args: &Args,
    mut first: u64,
    mut file: File,
    mut at: u64,
    context: &Context,
) -> Result<(), CliError> {
    loop {
        // looked for before reading: nothing is appended to a file that has one after it
        let mut later = args.log.files()?.into_iter().filter(|other| other.first > first);
        let next = later.find_map(|other| Some((other.first, other.open().ok()??)));
        at = whole_lines(&file, at, |line| write(args, line, context))?;
        match next {
            Some(next) => ((first, file), at) = (next, 0),
            None => std::thread::sleep(LOOK),
        }
    }
}
