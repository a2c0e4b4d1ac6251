//! Where a server listens, and what it knows of who connects.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::serve::Listener;
use tokio::net::unix::UCred;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// How long a loop rests after an accept failed for want of descriptors or memory.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// Listens on TCP, and tells where a client comes from.
#[derive(Debug)]
pub struct Tcp(pub TcpListener);

/// Listens on a socket in the file system, and tells who a client is: the kernel says so (`SO_PEERCRED`).
#[derive(Debug)]
pub struct Unix(pub UnixListener);

impl Listener for Tcp {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            match self.0.accept().await {
                Ok((stream, address)) => {
                    // An answer is written at once and whole: waiting to fill a packet only adds 40 ms.
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "a client left before it was served");
                    }
                    return (stream, address);
                }
                Err(error) => rest(&error).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Listener for Unix {
    type Io = UnixStream;
    type Addr = UCred;

    async fn accept(&mut self) -> (UnixStream, UCred) {
        loop {
            match self.0.accept().await {
                Ok((stream, _)) => match stream.peer_cred() {
                    Ok(peer) => return (stream, peer),
                    Err(error) => tracing::debug!(%error, "a client left before it was served"),
                },
                Err(error) => rest(&error).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<UCred> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

async fn rest(error: &io::Error) {
    tracing::warn!(%error, "cannot accept a connection; trying again");
    tokio::time::sleep(ACCEPT_REST).await;
}
