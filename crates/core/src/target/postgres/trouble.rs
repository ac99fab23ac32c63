//! What a PostgreSQL server refuses: owns which of that may pass by itself. The server's own words are
//! not passed on, since they may hold what they were given.

use std::error::Error as _;
use std::io;

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::rotator::Trouble;

/// What an error means for `what`.
pub(super) fn of(error: &Error, what: &str) -> Trouble {
    if let Some(state) = error.code() {
        let text = format!("{what}: {} (SQLSTATE {})", words(state), state.code());
        return if passes(state) {
            Trouble::Later(text)
        } else {
            Trouble::Failed(text)
        };
    }
    if error.is_closed() {
        return Trouble::Later(format!("{what}: the server ended the connection"));
    }
    match cause(error) {
        // What a certificate or another protocol is refused for.
        Some(io) if io.kind() == io::ErrorKind::InvalidData => {
            Trouble::Failed(format!("{what}: TLS with the server: {io}"))
        }
        Some(io) => Trouble::Later(format!("{what}: the server cannot be reached: {io}")),
        None => Trouble::Failed(format!("{what}: {error}")),
    }
}

/// True when a login without a password came to nothing because the server asked for one.
pub(super) fn asked(error: &Error) -> bool {
    error.code().is_none() && !error.is_closed() && cause(error).is_none() && !is_tls(error)
}

/// True when there is no such role.
pub(super) fn is_absent(error: &Error) -> bool {
    error.code() == Some(&SqlState::UNDEFINED_OBJECT)
}

fn is_tls(error: &Error) -> bool {
    error.to_string().contains("TLS")
}

fn cause(error: &Error) -> Option<&io::Error> {
    error.source().and_then(|source| source.downcast_ref())
}

/// Of a server that starts, stops, has no room, stands by, or waits for somebody else.
fn passes(state: &SqlState) -> bool {
    let class = state.code().get(..2);
    matches!(class, Some("08" | "53" | "40"))
        || [
            SqlState::ADMIN_SHUTDOWN,
            SqlState::CRASH_SHUTDOWN,
            SqlState::CANNOT_CONNECT_NOW,
            SqlState::QUERY_CANCELED,
            SqlState::LOCK_NOT_AVAILABLE,
            SqlState::READ_ONLY_SQL_TRANSACTION,
            // What it calls a role that somebody else changed at the same time.
            SqlState::INTERNAL_ERROR,
        ]
        .contains(state)
}

fn words(state: &SqlState) -> &'static str {
    match state.code() {
        "28P01" => "the password is refused",
        "28000" => "this login is refused: see the server's pg_hba.conf, and whether the role may log in",
        "3D000" => "there is no such database",
        "42501" => "it may not do that",
        "42704" => "there is no such role",
        "57P01" | "57P02" | "57P03" => "the server starts or stops",
        "53300" => "the server has too many connections",
        "57014" => "it took too long at the server: somebody else may be changing the role",
        "XX000" => "somebody else may have changed the role at the same time",
        "25006" => "the server takes no changes now: it stands by",
        _ => "the server refuses",
    }
}
