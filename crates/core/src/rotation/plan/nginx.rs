//! The table `target.nginx` of a plan: owns its keys. It must not touch files nor connect.

use super::keys::Keys;
use super::server::{absolute, plain};
use crate::rotation::Strategy;

/// A certificate and its key that nginx serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NginxPlan {
    /// The file of both, absolute.
    pub file: String,
    /// The file with the number of nginx's master process, absolute.
    pub pid: String,
    /// A program that tells whether nginx would take its configuration, and its arguments.
    pub test: Option<Vec<String>>,
    /// Where nginx serves it: host and port.
    pub probe: (String, u16),
    /// The name that is asked for there, when not the host.
    pub name: Option<String>,
}

impl NginxPlan {
    pub(super) fn read(mut keys: Keys, strategy: Option<Strategy>) -> (Option<Self>, Vec<String>) {
        let file = keys.word("file", absolute);
        let pid = keys
            .may("pid", absolute)
            .unwrap_or_else(|| "/run/nginx.pid".into());
        let test = keys.list("test");
        let probe = keys.word("probe", place);
        let name = keys.may("name", plain);
        if matches!(strategy, Some(Strategy::Overlap | Strategy::Alternate)) {
            keys.wrong("file", "has one certificate: the strategy is `replace`");
        }
        let is_program = |words: &Vec<String>| words.first().is_some_and(|word| word.starts_with('/'));
        if test.as_ref().is_some_and(|words| !is_program(words)) {
            keys.wrong("test", "begins with the absolute path of a program");
        }
        let plan = match (file, probe) {
            (Some(file), Some(probe)) => Some(Self {
                file,
                pid,
                test,
                probe,
                name,
            }),
            _ => None,
        };
        (plan, keys.end())
    }
}

fn place(text: &str) -> Result<(String, u16), &'static str> {
    let wrong = "is a host and a port: `web.example.org:443`";
    let (host, port) = text.rsplit_once(':').ok_or(wrong)?;
    let host = plain(host.trim_start_matches('[').trim_end_matches(']')).map_err(|_| wrong)?;
    let port = port.parse().ok().filter(|port| *port != 0).ok_or(wrong)?;
    Ok((host, port))
}
