//! How the program of an instance starts and ends: its command line, settings, log, listener and drain.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use clap::Args;
use config_file::{Checked, Invalid, in_range};
use tokio::net::TcpListener;

use crate::listener::Tcp;
use crate::server::{self, Limits};
use crate::{exit, output, shutdown, telemetry};

/// The command line of the program of an instance.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The settings, in TOML.
    #[arg(long, value_name = "FILE", default_value = "/etc/bellows/service.toml")]
    config: PathBuf,
    /// Check the settings and end, with 2 when they cannot be used.
    #[arg(long)]
    check: bool,
}

/// Where a program listens and what it allows its clients: the settings that every program of an instance has, by the
/// keys `listen`, `max_connections` and `drain_timeout_ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Serving {
    /// The address to listen at.
    pub listen: SocketAddr,
    /// What clients are allowed.
    pub limits: Limits,
}

impl Serving {
    /// Checks what stands by the three keys.
    ///
    /// # Errors
    /// [`Invalid`] names the key, its value and what is allowed.
    pub fn checked(
        listen: &str,
        max_connections: usize,
        drain_timeout_ms: u64,
    ) -> Result<Self, Invalid> {
        let allowed = "an address and a port as in \"0.0.0.0:8000\"";
        let listen = listen.parse().map_err(|_| Invalid::new("listen", listen, allowed))?;
        let connections = in_range("max_connections", max_connections, 1..=10_000)?;
        let drain_ms = in_range("drain_timeout_ms", drain_timeout_ms, 0..=3_600_000)?;
        let drain_timeout = Duration::from_millis(drain_ms);
        Ok(Self { listen, limits: Limits { connections, drain_timeout, ..Limits::default() } })
    }
}

/// Reads the settings and works with them until it is done, with the outputs and the log in place; or only
/// checks them. The only caller is a program's `main`, and the first thing that it does after reading its command
/// line.
pub fn run<C: Checked>(
    program: &str,
    arguments: &Arguments,
    work: impl FnOnce(&C) -> anyhow::Result<()>,
) -> ExitCode {
    let led = output::take_over().context("outputs cannot be led to the host's pipes");
    match led.and_then(|()| start(arguments, work)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::report(program, error.as_ref()),
    }
}

fn start<C: Checked>(
    arguments: &Arguments,
    work: impl FnOnce(&C) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let config = config_file::read::<C>(&arguments.config)?;
    if arguments.check {
        return Ok(());
    }
    telemetry::init()?;
    work(&config)
}

/// Serves as the settings say, until a signal asks the process to end.
///
/// # Errors
/// When signals cannot be handled, or nothing can listen there.
pub async fn serve(serving: Serving, routes: Router) -> anyhow::Result<()> {
    let Serving { listen, limits } = serving;
    let stop = shutdown::on_signal().context("cannot handle signals")?;
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("cannot listen at {listen} (key listen)"))?;
    let address = listener.local_addr().context("cannot tell the address listened at")?;
    tracing::info!(%address, "listening");
    let drained = server::serve(Tcp(listener), |_| routes.clone(), limits, stop).await;
    tracing::info!(?drained, "ended");
    Ok(())
}
