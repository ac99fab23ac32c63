//! Which protocol a client speaks: owns looking at its first bytes without taking them.

use std::io;

use super::stream::Stream;
use crate::serve::Protocol;
use rustix::net::RecvFlags;

/// What every HTTP/2 client sends first.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Waits for the first bytes and tells the protocol; `None` when the client left without any.
///
/// # Errors
/// The socket's own.
pub(super) async fn sniff(stream: &Stream) -> io::Result<Option<Protocol>> {
    loop {
        stream.readable().await?;
        let mut seen = [0; PREFACE.len()];
        let looked = stream.try_read(|| {
            let (count, _) = rustix::net::recv(stream, &mut seen[..], RecvFlags::PEEK)?;
            let seen = seen.get(..count).unwrap_or_default();
            if seen.is_empty() {
                return Ok(None);
            }
            if seen == PREFACE {
                return Ok(Some(Protocol::Http2));
            }
            if PREFACE.starts_with(seen) {
                // not decided yet: wait until more arrives, not until this much is there again
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Ok(Some(Protocol::Http1))
        });
        match looked {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            looked => return looked,
        }
    }
}
