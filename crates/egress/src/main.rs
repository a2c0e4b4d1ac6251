//! `egress`: the way out of instances. An HTTP proxy (RFC 9110, 7.3 and 9.3.6) on the bridge's address that
//! knows which instance speaks by its address, and what its service may reach by a file of the scaler's. It
//! looks up names itself and connects to the very address that it has checked.
//!
//! It is the one program that instances and strangers both speak to, so it runs as a user without rights, and
//! refuses to run as root.

mod asked;
mod connect;
mod forward;
mod idle;
mod places;
mod refusal;
mod refusal_log;
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
use clap::Parser;
use host::egress::SourcesFile;
use host::slots::Subnet;
use nix::sys::prctl::set_no_new_privs;
use nix::unistd::geteuid;
use tokio::net::TcpListener;

use crate::rights::Rights;
use crate::server::Proxy;

/// Lets instances reach what their services may
#[derive(Debug, Parser)]
#[command(version, about, after_help = "Exit codes: 0 ended on a signal, 1 failed, 2 bad input")]
struct Arguments {
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

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => service::exit::report("egress", error.as_ref()),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    ensure!(!geteuid().is_root(), "this is not for root: start it as a user without rights");
    set_no_new_privs().context("giving up what set-uid programs would give")?;
    service::telemetry::init()?;
    host::open_files::raise_limit().context("raising the limit of open files")?;
    let stop = service::shutdown::on_signal().context("handlers for signals")?;
    let listener = listener(arguments.listen).await?;
    let rights = Arc::new(Rights::new(SourcesFile::new(&arguments.sources)));
    let proxy = Arc::new(Proxy::new(Arc::clone(&rights), arguments.subnet));
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
