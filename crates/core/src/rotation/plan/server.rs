//! A server and who may change credentials there: owns the keys that its tables share. It must not know
//! any protocol.

use std::fmt;

use super::keys::Keys;
use crate::name::EntryPath;

/// Where a server is, and who may change credentials there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerPlan {
    /// A name or an address, or the absolute path of a Unix socket (PostgreSQL: of its directory).
    pub host: String,
    /// The port.
    pub port: u16,
    /// How a connection to a host is guarded; one by a socket is not.
    pub tls: Tls,
    /// The path of the admin's secret; without one the server has to know the admin otherwise.
    pub admin: Option<EntryPath>,
    /// The admin's name; without one the admin's secret has it.
    pub admin_user: Option<String>,
}

/// How a connection is guarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Not at all.
    Off,
    /// The server shows a certificate for its name.
    Verified {
        /// The file of the certificates that vouch for it; without one those of the system.
        ca: Option<String>,
    },
}

impl ServerPlan {
    /// Takes the keys of a server. `elsewhere` says that a host is connected to also where the server is
    /// reached by a socket.
    pub(super) fn read(keys: &mut Keys, port: u16, elsewhere: bool) -> Option<Self> {
        let host = keys.word("host", plain);
        let port = keys.port("port").unwrap_or(port);
        let tls = keys.may("tls", |word| match word {
            "verify-full" => Ok(true),
            "off" => Ok(false),
            _ => Err("is `verify-full` or `off`"),
        });
        let ca = keys.may("ca", absolute);
        let admin = keys.may("admin", EntryPath::new);
        let admin_user = keys.may("admin_user", plain);
        let has_tls = elsewhere || host.as_ref().is_none_or(|host| !host.starts_with('/'));
        if !has_tls && (tls == Some(true) || ca.is_some()) {
            keys.wrong("tls", "is for hosts: a socket has none");
        }
        if tls == Some(false) && ca.is_some() {
            keys.wrong("ca", "is for `tls = \"verify-full\"`");
        }
        let tls = match (has_tls, tls) {
            (false, _) | (_, Some(false)) => Tls::Off,
            _ => Tls::Verified { ca },
        };
        host.map(|host| Self {
            host,
            port,
            tls,
            admin,
            admin_user,
        })
    }

    /// True for a Unix socket.
    #[must_use]
    pub fn is_socket(&self) -> bool {
        self.host.starts_with('/')
    }
}

impl fmt::Display for ServerPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_socket() {
            f.write_str(&self.host)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// A word that is something and can be shown.
pub(super) fn plain(text: &str) -> Result<String, &'static str> {
    if text.is_empty() || text.contains(char::is_control) {
        return Err("is a text that is not empty, without control characters");
    }
    Ok(text.to_owned())
}

/// The absolute path of a file.
pub(super) fn absolute(text: &str) -> Result<String, &'static str> {
    if text.starts_with('/') && !text.contains(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err("is an absolute path")
    }
}
