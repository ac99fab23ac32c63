//! The settings of the listener: owns the keys of `[listener]`. It must not listen.

use std::net::SocketAddr;

use hyper::http::uri::Authority;
use strongroom_core::name::EntryPath;

use super::table::Table;

/// A TCP address of this machine at which flags are evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The address, which no other machine reaches; port 0 is any that is free.
    pub address: SocketAddr,
    /// The flags, at or under these paths.
    pub flags: Vec<EntryPath>,
    /// Whose web pages may ask, as browsers write it.
    pub origins: Vec<String>,
}

pub(super) fn listener(table: &Table<'_>) -> Option<Listener> {
    let address = table.required("address");
    let address = address.and_then(|_| table.parse("address", address_of));
    let flags = table.list("flags", EntryPath::new);
    if table.raw("flags").is_none() {
        table.problem("flags", "it is missing");
    } else if flags.is_empty() {
        table.problem(
            "flags",
            "a list of at least one path is wanted: without flags there is nothing to listen for",
        );
    }
    let origins = table.list("origins", origin_of);
    Some(Listener {
        address: address?,
        flags,
        origins,
    })
}

fn address_of(text: &str) -> Result<SocketAddr, &'static str> {
    let address: SocketAddr = text
        .parse()
        .map_err(|_| "an address with its port is wanted, like `127.0.0.1:8016` or `[::1]:8016`")?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err(
            "only an address of this machine's own is listened on, `127.0.0.1` or `[::1]`: over TCP nobody says who asks, and others could listen in",
        )
    }
}

/// An origin as browsers write it: anything else would never be one.
fn origin_of(text: &str) -> Result<String, &'static str> {
    const WANTED: &str = "an origin is wanted as browsers send it, in small letters and without a path, like `https://app.example` or `http://localhost:5173`";
    if text.contains('*') {
        return Err("each origin is named whole: a pattern would let pages in that nobody thought of");
    }
    let (scheme, host) = text.split_once("://").ok_or(WANTED)?;
    let usual = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return Err(WANTED),
    };
    let authority: Authority = host.parse().map_err(|_| WANTED)?;
    let is_plain = !authority.host().is_empty()
        && !host.contains('@')
        && !host.ends_with(':')
        && !host.bytes().any(|byte| byte.is_ascii_uppercase());
    match authority.port_u16() {
        Some(port) if port == usual => Err("browsers leave out the usual port of a scheme: leave it out too"),
        _ if is_plain => Ok(text.to_owned()),
        _ => Err(WANTED),
    }
}

/// Each key, and whether it differs.
pub(super) fn changed(one: Option<&Listener>, other: Option<&Listener>) -> [(&'static str, bool); 3] {
    let differs = |is_same: fn(&Listener, &Listener) -> bool| match (one, other) {
        (Some(one), Some(other)) => !is_same(one, other),
        (None, None) => false,
        _ => true,
    };
    [
        (
            "listener.address",
            differs(|one, other| one.address == other.address),
        ),
        ("listener.flags", differs(|one, other| one.flags == other.flags)),
        (
            "listener.origins",
            differs(|one, other| one.origins == other.origins),
        ),
    ]
}
