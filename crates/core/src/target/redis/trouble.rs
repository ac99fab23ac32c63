//! What a Redis server refuses: owns which of that may pass by itself. The server's own words are not
//! passed on, since they may hold what they were given.

use redis::RedisError;

use crate::rotator::Trouble;

/// What an error means for `what`.
pub(super) fn of(error: &RedisError, what: &str) -> Trouble {
    let Some(code) = error.code() else {
        let text = format!("{what}: the connection to the server ended, or it says what is not understood");
        return if error.is_io_error() || error.is_connection_dropped() {
            Trouble::Later(text)
        } else {
            Trouble::Failed(text)
        };
    };
    let full = || {
        error
            .detail()
            .is_some_and(|detail| detail.contains("max number of clients"))
    };
    let (passes, words) = match code {
        "LOADING" => (true, "the server loads its data"),
        "BUSY" => (true, "the server is at work on a script"),
        "MASTERDOWN" | "READONLY" | "TRYAGAIN" | "CLUSTERDOWN" => (true, "the server takes no changes now"),
        "MISCONF" | "OOM" => (true, "the server cannot keep changes now"),
        "ERR" if full() => (true, "the server has too many connections"),
        "WRONGPASS" => (false, "the password is refused, or there is no such user"),
        "NOAUTH" => (false, "the server wants a login: the plan names an `admin`"),
        "NOPERM" => (false, "it may not do that"),
        _ => (false, "the server refuses"),
    };
    let text = format!("{what}: {words} ({code})");
    if passes {
        Trouble::Later(text)
    } else {
        Trouble::Failed(text)
    }
}
