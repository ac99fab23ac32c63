//! The table `target.authorized_keys` of a plan: owns its keys. It must not touch files.

use super::keys::Keys;
use super::server::{absolute, plain};
use crate::rotation::Strategy;

/// A file of keys that may log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizedKeysPlan {
    /// The file, absolute.
    pub file: String,
    /// What stands before the key.
    pub options: Option<String>,
    /// What stands behind it, when not the key's own comment.
    pub comment: Option<String>,
    /// Where a key is tried; without it the file is looked into.
    pub login: Option<LoginPlan>,
}

/// Where a key logs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginPlan {
    /// Who logs in.
    pub user: String,
    /// The host.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The file of the keys by which hosts are known, absolute; without one that of the system.
    pub known_hosts: Option<String>,
}

impl AuthorizedKeysPlan {
    pub(super) fn read(mut keys: Keys, strategy: Option<Strategy>) -> (Option<Self>, Vec<String>) {
        let file = keys.word("file", absolute);
        let options = keys.may("options", plain);
        let comment = keys.may("comment", plain);
        if strategy == Some(Strategy::Alternate) {
            keys.wrong(
                "file",
                "has keys and no accounts: the strategy is `overlap` or `replace`",
            );
        }
        let login = keys.may("login", place);
        let port = keys.port("port");
        let known_hosts = keys.may("known_hosts", absolute);
        if login.is_none() && (port.is_some() || known_hosts.is_some()) {
            keys.wrong("login", "is missing: `port` and `known_hosts` are for it");
        }
        let login = login.map(|(user, host)| LoginPlan {
            user,
            host,
            port: port.unwrap_or(22),
            known_hosts,
        });
        let plan = file.map(|file| Self {
            file,
            options,
            comment,
            login,
        });
        (plan, keys.end())
    }
}

/// A user and a host, neither of which `ssh` could take for an option.
fn place(text: &str) -> Result<(String, String), &'static str> {
    let wrong = "is a user and a host: `deploy@web.example.org`";
    let (user, host) = text.split_once('@').ok_or(wrong)?;
    let word = |word: &str| {
        let fine = |c: char| c.is_ascii_alphanumeric() || "._-:".contains(c);
        !word.is_empty() && !word.starts_with('-') && word.chars().all(fine)
    };
    if word(user) && word(host) {
        Ok((user.to_owned(), host.to_owned()))
    } else {
        Err(wrong)
    }
}
