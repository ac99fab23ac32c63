//! Connections to targets: owns sockets and TLS on them. It must not know what is said.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::tls;
use crate::rotation::plan::{ServerPlan, Tls};
use crate::rotator::Trouble;

/// How long a connection may take to come about; a call's limit may be less.
pub(super) const CONNECT: Duration = Duration::from_secs(10);

/// A connection, guarded or not.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A connection as the plan says.
pub(super) async fn connect(server: &ServerPlan) -> Result<Box<dyn Stream>, Trouble> {
    if server.is_socket() {
        let stream = in_time(server, UnixStream::connect(&server.host)).await?;
        return Ok(Box::new(stream));
    }
    let stream = tcp(&server.host, server.port).await?;
    let Tls::Verified { ca } = &server.tls else {
        return Ok(Box::new(stream));
    };
    let config = tls::verified(ca.as_deref())?;
    let name = ServerName::try_from(server.host.clone())
        .map_err(|_| Trouble::Failed(format!("{:?} is no name of a host", server.host)))?;
    let connector = TlsConnector::from(Arc::new(config));
    let stream = in_time(server, connector.connect(name, stream)).await?;
    Ok(Box::new(stream))
}

/// A connection to a host.
pub(super) async fn tcp(host: &str, port: u16) -> Result<TcpStream, Trouble> {
    in_time(&format_args!("{host}:{port}"), TcpStream::connect((host, port))).await
}

async fn in_time<T>(
    server: &impl fmt::Display,
    work: impl Future<Output = io::Result<T>>,
) -> Result<T, Trouble> {
    let done = tokio::time::timeout(CONNECT, work).await;
    match done {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => {
            Err(Trouble::Failed(format!("TLS with {server}: {error}")))
        }
        Ok(Err(error)) => Err(Trouble::Later(format!("{server} cannot be reached: {error}"))),
        Err(_) => Err(Trouble::Later(format!(
            "{server} does not answer within {} s",
            CONNECT.as_secs()
        ))),
    }
}
