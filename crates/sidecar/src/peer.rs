//! Who is at the other end of a connection: owns what the kernel said when it was accepted.
//! No header can change it.

/// The process that connected, as the sidecar's namespaces see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
    /// Its process id; `None` when it lies in a namespace the sidecar does not see. A hint: the
    /// number may belong to another process by now.
    pub pid: Option<i32>,
}

impl Peer {
    /// Asks the kernel.
    ///
    /// # Errors
    /// The kernel's own.
    pub fn of(stream: &tokio::net::UnixStream) -> std::io::Result<Self> {
        let peer = stream.peer_cred()?;
        Ok(Self {
            uid: peer.uid(),
            gid: peer.gid(),
            pid: peer.pid(),
        })
    }
}
