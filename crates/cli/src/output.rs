//! Output: owns the two forms of every answer (text for people, one JSON document), tables and
//! colours. Answers go to stdout, everything else to stderr. Colours only reach a terminal.

use std::fmt::Write as _;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::error::CliError;
use crate::wiped::Wiped;

/// Headings and titles.
pub(crate) const STRONG: Style = Style::new().bold();
/// What is new.
pub(crate) const ADDED: Style = AnsiColor::Green.on_default();
/// What changes.
pub(crate) const CHANGED: Style = AnsiColor::Yellow.on_default();
/// What goes, and errors.
pub(crate) const REMOVED: Style = AnsiColor::Red.on_default().bold();
/// What matters less.
pub(crate) const FAINT: Style = Style::new().dimmed();

/// How answers are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// True for one JSON document instead of text.
    pub(crate) json: bool,
}

impl Output {
    /// Writes an answer in the form that was asked for.
    pub(crate) fn answer(self, json: &impl Serialize, text: &str) -> Result<(), CliError> {
        if self.json {
            self.json(json)
        } else {
            self.text(text)
        }
    }

    /// Writes one JSON document and a newline.
    pub(crate) fn json(self, value: &impl Serialize) -> Result<(), CliError> {
        let mut out = Wiped::default();
        serde_json::to_writer_pretty(&mut out, value).map_err(|error| CliError::failed(error.to_string()))?;
        out.write_all(b"\n")
            .map_err(|error| CliError::io("a buffer", &error))?;
        raw(out.as_bytes())
    }

    /// Writes one line of JSON, for streams of events.
    pub(crate) fn json_line(self, value: &impl Serialize) -> Result<(), CliError> {
        let mut out = serde_json::to_vec(value).map_err(|error| CliError::failed(error.to_string()))?;
        out.push(b'\n');
        raw(&out)
    }

    /// Writes text with styles to stdout.
    pub(crate) fn text(self, text: &str) -> Result<(), CliError> {
        let mut out = anstream::stdout();
        check(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
    }
}

/// Writes bytes to stdout past every buffer, so that no copy of a value stays behind.
pub(crate) fn raw(bytes: &[u8]) -> Result<(), CliError> {
    use std::os::fd::AsFd;
    let written = io::stdout()
        .as_fd()
        .try_clone_to_owned()
        .and_then(|fd| std::fs::File::from(fd).write_all(bytes));
    check(written)
}

/// A reader that has gone (`| head`) wants no more: that is no failure.
fn check(written: io::Result<()>) -> Result<(), CliError> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => Err(CliError::io("standard output", &error)),
        Ok(()) => Ok(()),
    }
}

/// Writes text with styles to stderr; there is nobody to tell when that fails.
pub(crate) fn note(text: &str) {
    let mut out = anstream::stderr();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// A line on stderr that deserves attention.
pub(crate) fn warn(text: &str) {
    note(&format!(
        "{CHANGED}warning:{CHANGED:#} {}\n",
        harmless_lines(text)
    ));
}

/// Shows an error and what to do next, in the form that was asked for.
pub(crate) fn show_error(error: &CliError, json: bool) {
    if json {
        let document = serde_json::json!({"error": {
            "code": error.exit.word(),
            "exit": error.exit as u8,
            "message": error.message,
            "hint": error.hint,
        }});
        note(&format!("{}\n", escaped(&document.to_string())));
        return;
    }
    note(&format!(
        "{REMOVED}error:{REMOVED:#} {}\n",
        harmless_lines(&error.message)
    ));
    if let Some(hint) = &error.hint {
        note(&format!("{STRONG}next:{STRONG:#} {}\n", harmless_lines(hint)));
    }
}

/// Rows under headings, aligned.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(headings: &[&str]) -> Self {
        Self {
            rows: vec![headings.iter().map(|heading| (*heading).to_owned()).collect()],
        }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// The table as text; the headings are bold.
    pub(crate) fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut out = String::new();
        for (index, row) in self.rows.iter().enumerate() {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                let _ = write!(line, "{cell:<width$}  ");
            }
            let line = line.trim_end();
            if index == 0 {
                let _ = writeln!(out, "{STRONG}{line}{STRONG:#}");
            } else {
                let _ = writeln!(out, "{line}");
            }
        }
        out
    }
}

/// Text of others made harmless for a terminal: control characters become `?`.
pub(crate) fn harmless(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

/// The same for text of several lines, which keeps its newlines and tabs.
pub(crate) fn harmless_lines(text: &str) -> String {
    let shown = |c: char| c == '\n' || c == '\t' || !c.is_control();
    text.chars().map(|c| if shown(c) { c } else { '?' }).collect()
}

/// JSON made harmless for a terminal and meaning the same: serde escapes what is below a space, and
/// leaves the control characters above it.
pub(crate) fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_control() && c != '\n' {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}
