//! `audit tail`: the newest records, and with `-f` those to come.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::time::Duration;

use strongroom_core::audit::{Body, Line, LogFile, MAX_LINE, lines};

use super::{Log, io, show};
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
    let files = args.log.files()?;
    let mut newest: VecDeque<Vec<u8>> = VecDeque::new();
    let mut end = 0;
    for (at, file) in files.iter().rev().enumerate() {
        let (found, length) = last_lines(args, file)?;
        if at == 0 {
            end = length;
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
    match files.into_iter().next_back() {
        Some(file) if args.follow => follow(args, file, end, context),
        _ => Ok(()),
    }
}

/// The last lines of a file, and how long its whole lines are.
fn last_lines(args: &Args, file: &LogFile) -> Result<(VecDeque<Vec<u8>>, u64), CliError> {
    let mut reader = BufReader::new(File::open(&file.path).map_err(|error| io(&file.path, &error))?);
    let mut found = VecDeque::new();
    let mut length: u64 = 0;
    lines(&mut reader, |line, is_torn| {
        if !is_torn {
            length = length
                .saturating_add(u64::try_from(line.len()).unwrap_or(0))
                .saturating_add(1);
            if is_wanted(args, line) {
                found.push_back(line.to_vec());
                if found.len() > args.lines {
                    found.pop_front();
                }
            }
        }
        true
    })
    .map_err(|error| io(&file.path, &error))?;
    Ok((found, length))
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
fn follow(args: &Args, mut file: LogFile, mut at: u64, context: &Context) -> Result<(), CliError> {
    loop {
        let mut opened = File::open(&file.path).map_err(|error| io(&file.path, &error))?;
        opened
            .seek(SeekFrom::Start(at))
            .map_err(|error| io(&file.path, &error))?;
        let mut reader = BufReader::new(opened);
        let mut line = Vec::new();
        let mut newer: Option<LogFile> = None;
        let next = loop {
            let room = u64::try_from(MAX_LINE.saturating_sub(line.len())).unwrap_or(0);
            let read = reader
                .by_ref()
                .take(room)
                .read_until(b'\n', &mut line)
                .map_err(|error| io(&file.path, &error))?;
            if line.last() == Some(&b'\n') || line.len() >= MAX_LINE {
                line.pop();
                write(args, &line, context)?;
                line.clear();
            } else if read == 0 {
                // a file that has one after it may have grown until then: it is read once more
                if let Some(newer) = newer.take() {
                    break newer;
                }
                newer = args
                    .log
                    .files()?
                    .into_iter()
                    .find(|other| other.first > file.first);
                if newer.is_none() {
                    std::thread::sleep(LOOK);
                }
            }
        };
        file = next;
        at = 0;
    }
}
