//! Which names a client may call the sidecar by: owns telling clients of a socket from web pages
//! that reached it through somebody's proxy. A page always names its own host.
//!
//! Clients of Unix sockets name what their libraries put there: nothing, `localhost` (curl, Node,
//! Go, gRPC, our own) or `unix`, the socket's path in percent signs (requests, gRPC's C core) or
//! hexadecimal digits (hyperlocal), or no address at all (`[::]:50051`, flagd's provider for Rust). None
//! of these is a name that DNS could give to somebody.

/// DNS has no percent sign. In HTTP/2 an `@` stands for it, see `worker::authority`; what follows one in a page's
/// address would be the page's host, in small letters.
fn is_slash(part: &[u8]) -> bool {
    matches!(part, [b'%', b'2', b'f' | b'F'] | b"@2F")
}

pub(super) fn is_local(host: &[u8]) -> bool {
    let is_port = |rest: &[u8]| rest.is_empty() || (rest.starts_with(b":") && rest.len() < 7);
    match host {
        b"" | b"unix" => true,
        [b'2', b'f' | b'F', digits @ ..] => digits.iter().all(u8::is_ascii_hexdigit),
        // a path as it is, of HTTP/2
        [b'@', ..] => true,
        _ if host.windows(3).any(is_slash) => true,
        _ => [&b"localhost"[..], b"[::]"]
            .iter()
            .any(|name| host.strip_prefix(*name).is_some_and(is_port)),
    }
}
