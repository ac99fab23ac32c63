//! Errors of the command line's grammar: owns their wording. What was typed is not repeated unless
//! it is the name of an option, for it may be a secret in the wrong place.

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, Error, ErrorKind};

use crate::error::{CliError, Exit};
use crate::output;

const ELLIPSIS: &str = "...";

/// Shows help, the version or the error; the exit code to end with.
pub(crate) fn show(mut error: Error, json: bool) -> u8 {
    if !error.use_stderr() {
        let shown = output::Output { json: false }.text(&error.render().ansi().to_string());
        return if shown.is_ok() { 0 } else { Exit::Failed as u8 };
    }
    redact(&mut error);
    if json {
        let message = match error.kind() {
            ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                "no command is given".to_owned()
            }
            _ => one_line(&error.render().to_string()),
        };
        output::show_error(
            &CliError::usage(message).hint("add --help to see how it is called"),
            true,
        );
    } else {
        output::note(&error.render().ansi().to_string());
    }
    Exit::Usage as u8
}

/// The first paragraph of an error without its heading: what is wrong, and below it the names of
/// the arguments that it is about.
fn one_line(text: &str) -> String {
    let mut lines = text
        .trim_start_matches("error: ")
        .lines()
        .map(str::trim)
        .take_while(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    let rest: Vec<&str> = lines.collect();
    format!("{first} {}", rest.join(", ")).trim_end().to_owned()
}

fn redact(error: &mut Error) {
    if error.get(ContextKind::InvalidValue).is_some() {
        error.insert(
            ContextKind::InvalidValue,
            ContextValue::String(ELLIPSIS.to_owned()),
        );
    }
    // Of a command that is missing it is the name of the program.
    if error.kind() == ErrorKind::InvalidSubcommand {
        error.insert(
            ContextKind::InvalidSubcommand,
            ContextValue::String(ELLIPSIS.to_owned()),
        );
    }
    error.remove(ContextKind::TrailingArg);
    if error.kind() == ErrorKind::UnknownArgument {
        let typed = match error.get(ContextKind::InvalidArg) {
            Some(ContextValue::String(typed)) => typed.clone(),
            _ => String::new(),
        };
        let name = typed.split('=').next().unwrap_or_default();
        let is_option = name.starts_with("--")
            && name.chars().all(|c| c.is_ascii_lowercase() || c == '-')
            && name.len() < 24;
        let shown = if is_option { name } else { ELLIPSIS };
        error.insert(ContextKind::InvalidArg, ContextValue::String(shown.to_owned()));
        let mut tips = Vec::new();
        if !is_option {
            tips.push(StyledStr::from(
                "a value is given on stdin, with --file, or typed at the prompt",
            ));
        }
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
    }
}
