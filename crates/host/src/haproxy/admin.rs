//! Conversations with HAProxy's sockets: one connection, each reply read to its end, a deadline.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::error::HaproxyError;

/// A command takes 0.3 ms, and those that list 1,000 servers a few: past this HAProxy hangs.
const DEADLINE: Duration = Duration::from_secs(1);

/// What ends each reply once the session has asked for a prompt. No reply has a line that starts
/// with it.
const PROMPT: &[u8] = b"\n> ";

/// A session of several commands on the admin socket.
#[derive(Debug)]
pub(super) struct Session {
    socket: PathBuf,
    stream: UnixStream,
}

impl Session {
    pub(super) async fn open(socket: &Path) -> Result<Self, HaproxyError> {
        let stream = within(socket, UnixStream::connect(socket)).await?;
        let mut session = Self { socket: socket.to_owned(), stream };
        session.ask("prompt").await?;
        Ok(session)
    }

    /// Sends one command and gives its reply, without the white space around it.
    pub(super) async fn ask(&mut self, command: &str) -> Result<String, HaproxyError> {
        let Self { socket, stream } = self;
        let reply = within(socket, async {
            stream.write_all(format!("{command}\n").as_bytes()).await?;
            let mut reply = Vec::new();
            while !reply.ends_with(PROMPT) {
                if stream.read_buf(&mut reply).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            reply.truncate(reply.len() - PROMPT.len());
            Ok(reply)
        });
        Ok(String::from_utf8_lossy(&reply.await?).trim().to_owned())
    }

    /// Sends a command whose success is an empty reply, or what a change of address is answered with.
    pub(super) async fn tell(&mut self, command: &str) -> Result<(), HaproxyError> {
        let reply = self.ask(command).await?;
        if reply.is_empty() || reply.ends_with("by 'stats socket command'") {
            Ok(())
        } else {
            Err(HaproxyError::Refused { command: command.to_owned(), reply })
        }
    }
}

/// Sends one command on a connection of its own and gives all that comes back. The master's
/// socket answers `reload` with nothing and closes.
pub(super) async fn ask_once(socket: &Path, command: &str) -> Result<String, HaproxyError> {
    within(socket, async {
        let mut stream = UnixStream::connect(socket).await?;
        stream.write_all(format!("{command}\n").as_bytes()).await?;
        stream.shutdown().await?;
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).await?;
        Ok(String::from_utf8_lossy(&reply).into_owned())
    })
    .await
}

async fn within<T>(
    socket: &Path,
    talk: impl Future<Output = io::Result<T>>,
) -> Result<T, HaproxyError> {
    let outcome =
        timeout(DEADLINE, talk).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    outcome.map_err(|source| HaproxyError::Socket { socket: socket.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixListener;

    use super::*;

    /// A socket whose first client gets these pieces, one after another.
    async fn server(folder: &Path, pieces: &'static [&'static str]) -> PathBuf {
        let path = folder.join("admin.sock");
        let listener = UnixListener::bind(&path).unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            for piece in pieces {
                stream.write_all(piece.as_bytes()).await.unwrap();
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            // Holds the connection open: the end of a reply is its prompt, not the end of all.
            tokio::time::sleep(Duration::from_secs(60)).await;
        });
        path
    }

    #[tokio::test]
    async fn a_reply_that_comes_in_pieces_is_read_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = server(folder.path(), &["\n", "> ", "Pid: 1", "2\nx: y\n", "\n", "> "]).await;
        let mut session = Session::open(&path).await.unwrap();
        assert_eq!(session.ask("show info").await.unwrap(), "Pid: 12\nx: y");
    }

    #[tokio::test]
    async fn a_reply_other_than_silence_is_a_refusal() {
        let folder = tempfile::tempdir().unwrap();
        let path = server(folder.path(), &["\n> ", "No such server.\n\n> "]).await;
        let mut session = Session::open(&path).await.unwrap();
        let error = session.tell("set server b/s9 state ready").await.unwrap_err();
        assert!(
            matches!(error, HaproxyError::Refused { ref reply, .. } if reply == "No such server.")
        );
    }

    #[tokio::test]
    async fn silence_ends_at_the_deadline() {
        let folder = tempfile::tempdir().unwrap();
        let path = server(folder.path(), &[]).await;
        let error = Session::open(&path).await.unwrap_err();
        assert!(
            matches!(error, HaproxyError::Socket { ref source, .. } if source.kind() == io::ErrorKind::TimedOut)
        );
    }
}
