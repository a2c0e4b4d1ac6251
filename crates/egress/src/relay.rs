//! The way from an address, where programs look for a proxy, to the Unix socket of one: for a container whose
//! network is its loopback interface alone.

use std::net::SocketAddrV4;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::process::Command;
use tokio::time::sleep;

/// What a shell ends with where a program cannot be started.
const NOT_STARTED: u8 = 127;

/// How long the accept loop rests after an accept failed.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// Where from and where to, and what runs meanwhile.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Where to listen
    #[arg(value_name = "ADDRESS")]
    listen: SocketAddrV4,
    /// The socket that every connection is carried to
    #[arg(value_name = "SOCKET")]
    socket: PathBuf,
    /// The program that runs meanwhile, and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Runs the program beside the way, which is there before it, and gives the code that it ended with.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    match run_beside(arguments) {
        Ok(status) => exit_code(status),
        Err(error) => {
            service::exit::report("egress", error.as_ref());
            ExitCode::from(NOT_STARTED)
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn run_beside(arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    let listener = TcpListener::bind(arguments.listen).await;
    let listener = listener.with_context(|| format!("cannot listen at {}", arguments.listen))?;
    let (name, rest) = arguments.command.split_first().context("no command")?;
    let child = Command::new(name).args(rest).spawn();
    let mut child = child.with_context(|| format!("{name} cannot be started"))?;
    let socket = Arc::from(arguments.socket.as_path());
    tokio::select! {
        ended = child.wait() => ended.context("waiting for the program"),
        never = carry(listener, socket) => match never {},
    }
}

/// What a shell ends with.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX))
}

async fn carry(listener: TcpListener, socket: Arc<Path>) -> std::convert::Infallible {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(carry_one(stream, Arc::clone(&socket)));
            }
            Err(_) => sleep(ACCEPT_REST).await,
        }
    }
}

/// Carries one connection, both ways, until both sides have ended. A client whose proxy is not there finds its
/// connection closed.
async fn carry_one(mut stream: TcpStream, socket: Arc<Path>) {
    if let Ok(mut proxy) = UnixStream::connect(&socket).await {
        let _ = copy_bidirectional(&mut stream, &mut proxy).await;
    }
}
