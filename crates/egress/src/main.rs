//! `egress`: the way out of instances and of builds. An HTTP proxy (RFC 9110, 7.3 and 9.3.6) that looks up names
//! itself and connects to the very address that it has checked.
//!
//! For instances it listens on the bridge's address, knows who speaks by the address, and what its service may reach
//! by a file of the scaler's. For one build it listens on a Unix socket, and its arguments say what may be
//! reached. In the container of a build, which has that socket and no network, it is the way from the loopback
//! address, where programs look for a proxy, to the socket.
//!
//! It is the one program that instances and strangers both speak to, so it runs as a user without rights, and
//! as a proxy refuses to run as root.

mod asked;
mod asker;
mod connect;
mod for_build;
mod forward;
mod idle;
mod places;
mod refusal;
mod refusal_log;
mod relay;
mod resolve;
mod rights;
mod server;
mod tunnel;
mod verdict;

use std::net::SocketAddrV4;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use clap::{Args, Parser, Subcommand};
use host::egress::SourcesFile;
use host::slots::Subnet;
use nix::sys::prctl::set_no_new_privs;
use nix::unistd::geteuid;
use tokio::net::TcpListener;

use crate::asker::Asker;
use crate::rights::Rights;
use crate::server::Proxy;

/// Lets instances and builds reach what they may
#[derive(Debug, Parser)]
#[command(
    version,
    about,
    after_help = "Exit codes: 0 ended on a signal, 1 failed, 2 bad input",
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    arg_required_else_help = true
)]
struct Arguments {
    #[command(flatten)]
    instances: Option<ForInstances>,
    #[command(subcommand)]
    other: Option<Mode>,
}

/// The proxy of the host's instances.
#[derive(Debug, Args)]
struct ForInstances {
    /// Where to listen, unless a socket is inherited
    #[arg(long, value_name = "ADDRESS")]
    listen: SocketAddrV4,
    /// Which instance may reach what: a file of the scaler's
    #[arg(long, value_name = "FILE")]
    sources: PathBuf,
    /// The instances' network, which is never reached from here
    #[arg(long, value_name = "NETWORK")]
    subnet: Subnet,
}

#[derive(Debug, Subcommand)]
enum Mode {
    /// Lets one build reach what the arguments say, until the standard input ends
    Build(for_build::Arguments),
    /// Runs a program beside a way from an address to a Unix socket, and ends as it does
    Relay(relay::Arguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let ran = match (arguments.instances, arguments.other) {
        (_, Some(Mode::Relay(arguments))) => return relay::run(&arguments),
        (_, Some(Mode::Build(arguments))) => for_build::run(&arguments),
        (Some(arguments), None) => run(&arguments),
        // Clap asks for the one or the other.
        (None, None) => Ok(()),
    };
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => service::exit::report("egress", error.as_ref()),
    }
}

/// What both proxies do first.
///
/// # Errors
/// This runs as root, or the system refuses something.
fn prepare() -> anyhow::Result<()> {
    ensure!(!geteuid().is_root(), "this is not for root: start it as a user without rights");
    set_no_new_privs().context("giving up what set-uid programs would give")?;
    service::telemetry::init()?;
    host::open_files::raise_limit().context("raising the limit of open files")?;
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn run(arguments: &ForInstances) -> anyhow::Result<()> {
    prepare()?;
    let stop = service::shutdown::on_signal().context("handlers for signals")?;
    let listener = listener(arguments.listen).await?;
    let rights = Arc::new(Rights::new(SourcesFile::new(&arguments.sources)));
    let proxy = Arc::new(Proxy::new(Arc::clone(&rights), arguments.subnet, Asker::Service));
    tracing::info!(address = %arguments.listen, "listening");
    tokio::select! {
        () = Arc::clone(&proxy).serve(listener) => {}
        () = rights.follow() => {}
        () = stop => {}
    }
    proxy.drain().await;
    Ok(())
}

/// The socket that was inherited, or else a new one.
async fn listener(address: SocketAddrV4) -> anyhow::Result<TcpListener> {
    let inherited = host::units::inherited(host::egress::SOCKET)
        .with_context(|| format!("the socket of {}", host::egress::SOCKET))?;
    Ok(match inherited {
        Some(socket) => TcpListener::from_std(socket)?,
        None => {
            let bound = TcpListener::bind(address).await;
            bound.with_context(|| format!("cannot listen at {address}"))?
        }
    })
}
