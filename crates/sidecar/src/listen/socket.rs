//! The socket file: owns making it safely, telling a stale one from one in use, and taking over a
//! socket that the service manager opened.

use std::fs::{File, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::settings::Socket;

/// Why the socket is not served.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another sidecar has it.
    #[error("{}: another sidecar serves this socket: stop it, or choose another path", path.display())]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// Something else answers there.
    #[error("{}: another program listens here: choose another path", path.display())]
    Foreign {
        /// The socket.
        path: PathBuf,
    },
    /// Something that is no socket lies there.
    #[error("{}: this is not a socket; it was left as it is: choose another path, or remove it", path.display())]
    NotASocket {
        /// The socket.
        path: PathBuf,
    },
    /// Others could replace the socket.
    #[error("{}: its directory may be written by others (mode {mode:04o}), who could replace the socket: run `chmod go-w` on it", path.display())]
    Directory {
        /// The socket.
        path: PathBuf,
        /// The directory's permission bits.
        mode: u32,
    },
    /// The system refused an address.
    #[error(
        "listener.address {address}: could not listen there: {source}; choose another port, or end who has it"
    )]
    Tcp {
        /// The address.
        address: SocketAddr,
        /// The reason.
        source: io::Error,
    },
    /// The system refused.
    #[error("{}: could not {action}: {source}", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The reason.
        source: io::Error,
    },
}

/// A listening socket; the file is removed when it is dropped, if it is ours.
#[derive(Debug)]
pub struct Bound {
    listener: UnixListener,
    /// `None` when the service manager made the socket.
    own: Option<Own>,
}

/// A socket file that is this process's.
#[derive(Debug)]
struct Own {
    path: PathBuf,
    /// Held while the socket is served.
    _lock: File,
}

impl Bound {
    /// The listener, for the calling thread's runtime.
    ///
    /// # Errors
    /// The system's.
    pub fn listener(&self) -> io::Result<tokio::net::UnixListener> {
        let listener = self.listener.try_clone()?;
        listener.set_nonblocking(true)?;
        tokio::net::UnixListener::from_std(listener)
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        if let Some(own) = &self.own {
            // under the lock: nobody else's socket can lie there
            let _ = std::fs::remove_file(&own.path);
        }
    }
}

/// Serves a socket that the service manager listens on.
#[must_use]
pub fn take_over(listener: UnixListener) -> Bound {
    Bound { listener, own: None }
}

/// Makes the socket. A stale one is removed; one that is in use is left alone.
///
/// # Errors
/// [`ListenError`].
pub fn bind(socket: &Socket) -> Result<Bound, ListenError> {
    let path = &socket.path;
    let failed = |action| {
        move |source| ListenError::Io {
            path: path.clone(),
            action,
            source,
        }
    };
    directory(socket)?;
    let lock = lock(path)?;
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed("look at it")(error)),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(ListenError::NotASocket { path: path.clone() });
        }
        Ok(_) => remove_stale(path)?,
    }
    // the process's umask is 077, so nobody else can connect before the mode is set
    let listener = UnixListener::bind(path).map_err(failed("bind it"))?;
    let bound = Bound {
        listener,
        own: Some(Own {
            path: path.clone(),
            _lock: lock,
        }),
    };
    std::os::unix::fs::lchown(path, None, socket.group).map_err(failed("give it to its group"))?;
    let mode = Permissions::from_mode(socket.mode);
    std::fs::set_permissions(path, mode).map_err(failed("set its mode"))?;
    Ok(bound)
}

/// The directory is what containers mount: it is made once and stays.
fn directory(socket: &Socket) -> Result<(), ListenError> {
    let path = &socket.path;
    let failed = |action| {
        move |source| ListenError::Io {
            path: path.clone(),
            action,
            source,
        }
    };
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    match std::fs::DirBuilder::new().mode(0o750).create(directory) {
        Ok(()) => {
            std::os::unix::fs::chown(directory, None, socket.group)
                .map_err(failed("give its directory to its group"))?;
            let mode = Permissions::from_mode(0o750);
            std::fs::set_permissions(directory, mode).map_err(failed("set the mode of its directory"))?;
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed("make its directory")(error)),
    }
    let mode = std::fs::metadata(directory)
        .map_err(failed("look at its directory"))?
        .mode();
    let is_sticky = mode & 0o1000 != 0;
    if mode & 0o022 != 0 && !is_sticky {
        return Err(ListenError::Directory {
            path: path.clone(),
            mode: mode & 0o7777,
        });
    }
    Ok(())
}

/// One sidecar a path: the lock lies beside the socket and goes with the process, however it ends.
fn lock(path: &Path) -> Result<File, ListenError> {
    let failed = |errno: Errno| ListenError::Io {
        path: path.to_owned(),
        action: "lock it",
        source: errno.into(),
    };
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let lock = rustix::fs::open(&name, flags, Mode::RUSR | Mode::WUSR).map_err(failed)?;
    match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(File::from(lock)),
        Err(Errno::WOULDBLOCK) => Err(ListenError::InUse {
            path: path.to_owned(),
        }),
        Err(errno) => Err(failed(errno)),
    }
}

/// Nobody answers at a stale socket: only then may it be removed.
fn remove_stale(path: &Path) -> Result<(), ListenError> {
    let failed = |action| {
        move |source| ListenError::Io {
            path: path.to_owned(),
            action,
            source,
        }
    };
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(failed("remove the stale socket"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(_) => Err(ListenError::Foreign {
            path: path.to_owned(),
        }),
        Err(error) => Err(failed("find out whether it is in use")(error)),
    }
}
