//! The words in which an operator says what to run and how: owns their grammar, shared by both
//! programs. It must not know options.

use std::ffi::OsString;
use std::time::Duration;

use strongroom_core::inject::env::VariableName;
use strongroom_core::inject::files::FileName;
use strongroom_core::inject::process::{OnChange, Restart};
use strongroom_core::name::EntryPath;

/// `restart`, `nothing`, `signal:HUP` or `exec:PROGRAM ARG...` (words parted by spaces).
///
/// # Errors
/// What is wrong, without the text.
pub fn on_change(text: &str) -> Result<OnChange, String> {
    let (word, rest) = text.split_once(':').unwrap_or((text, ""));
    match (word, rest) {
        ("restart", "") => Ok(OnChange::Restart),
        ("nothing", "") => Ok(OnChange::Nothing),
        ("signal", name) => name
            .parse()
            .map(OnChange::Signal)
            .map_err(|error| format!("{error}")),
        ("exec", command) => {
            let command: Vec<OsString> = command.split_whitespace().map(OsString::from).collect();
            if command.is_empty() {
                return Err("exec: is followed by a program and its arguments".to_owned());
            }
            Ok(OnChange::Run(command))
        }
        _ => Err("it is restart, nothing, signal:NAME or exec:COMMAND".to_owned()),
    }
}

/// `never`, `on-failure` or `always`.
///
/// # Errors
/// What is wrong, without the text.
pub fn restart(text: &str) -> Result<Restart, String> {
    match text {
        "never" => Ok(Restart::Never),
        "on-failure" => Ok(Restart::OnFailure),
        "always" => Ok(Restart::Always),
        _ => Err("it is never, on-failure or always".to_owned()),
    }
}

/// `NAME=path`: an environment variable and the entry it gets.
///
/// # Errors
/// What is wrong, without the text.
pub fn variable(text: &str) -> Result<(VariableName, EntryPath), String> {
    pair(text, VariableName::new)
}

/// `NAME=path`: a file and the entry it gets.
///
/// # Errors
/// What is wrong, without the text.
pub fn file(text: &str) -> Result<(FileName, EntryPath), String> {
    pair(text, FileName::new)
}

fn pair<T, E: std::fmt::Display>(
    text: &str,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<(T, EntryPath), String> {
    let (name, entry) = text.split_once('=').ok_or("it is NAME=path")?;
    let name = parse(name).map_err(|error| error.to_string())?;
    Ok((name, path(entry)?))
}

/// The path of an entry.
///
/// # Errors
/// What is wrong, without the text.
pub fn path(text: &str) -> Result<EntryPath, String> {
    EntryPath::new(text).map_err(|error| error.to_string())
}

/// Seconds, with a fraction or without: `10`, `0.5`; at most a day.
///
/// # Errors
/// What is wrong, without the text.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: Option<f64> = text
        .parse()
        .ok()
        .filter(|seconds| (0.0..=86_400.0).contains(seconds));
    match seconds {
        Some(seconds) => Ok(Duration::from_secs_f64(seconds)),
        None => Err("it is a number of seconds from 0 to 86400".to_owned()),
    }
}

/// Permission bits in octal: `0400`, `440`.
///
/// # Errors
/// What is wrong, without the text.
pub fn mode(text: &str) -> Result<u32, String> {
    let octal = text.strip_prefix("0o").unwrap_or(text);
    match u32::from_str_radix(octal, 8) {
        Ok(mode) if mode <= 0o777 => Ok(mode),
        _ => Err("it is an octal number up to 0777".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn changes_are_worded_in_four_ways() {
        assert_eq!(on_change("restart"), Ok(OnChange::Restart));
        assert_eq!(on_change("nothing"), Ok(OnChange::Nothing));
        assert_eq!(
            on_change("signal:HUP"),
            Ok(OnChange::Signal("SIGHUP".parse().unwrap()))
        );
        assert_eq!(
            on_change("exec:/bin/reload  now"),
            Ok(OnChange::Run(vec!["/bin/reload".into(), "now".into()]))
        );
        for wrong in [
            "",
            "restart:now",
            "signal:",
            "signal:NONE",
            "exec:",
            "exec: ",
            "canary",
        ] {
            let message = on_change(wrong).unwrap_err();
            assert!(!message.contains("canary"), "{message}");
        }
    }

    #[test]
    fn pairs_name_what_is_wrong_and_not_the_text() {
        let (name, path) = variable("DB=web/database").unwrap();
        assert_eq!((name.as_str(), path.as_str()), ("DB", "web/database"));
        let (name, _) = file("tls/key.pem=web/tls/key").unwrap();
        assert_eq!(name.as_str(), "tls/key.pem");
        for wrong in ["canary", "1canary=a", "A=", "A=/canary", "=canary"] {
            let message = variable(wrong).unwrap_err();
            assert!(!message.contains("canary"), "{message}");
        }
        assert!(file("../canary=a").is_err());
    }

    #[test]
    fn numbers_have_bounds() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for wrong in ["", "-1", "nan", "inf", "86401", "1s"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
        assert_eq!(mode("0440"), Ok(0o440));
        for wrong in ["", "8", "1000", "rw"] {
            assert!(mode(wrong).is_err(), "{wrong}");
        }
    }
}
