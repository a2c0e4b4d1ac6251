//! The program `matmul`: one instance of the service.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use matmul::config::Config;
use matmul::http;
use service::listener::Tcp;
use service::server::{self, Limits};
use service::{exit, output, shutdown, telemetry};
use tokio::net::TcpListener;

/// How long work that no client waits for any more may keep the process.
const LAST_WORK: Duration = Duration::from_secs(1);

/// Multiplies two random matrices for each request.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The settings, in TOML.
    #[arg(long, value_name = "FILE", default_value = "/etc/bellows/service.toml")]
    config: PathBuf,
    /// Check the settings and end, with 2 when they cannot be used.
    #[arg(long)]
    check: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let led = output::take_over().context("outputs cannot be led to the host's pipes");
    match led.and_then(|()| run(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::report("matmul", error.as_ref()),
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let config = config_file::read::<Config>(&arguments.config)?;
    if arguments.check {
        return Ok(());
    }
    telemetry::init()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        // Each thread keeps the memory of its last product: two of n = 1000 took 112 MB when any thread could work.
        .max_blocking_threads(config.concurrency)
        .enable_all()
        .build()
        .context("cannot start the threads")?;
    let served = runtime.block_on(serve(&config));
    runtime.shutdown_timeout(LAST_WORK);
    served
}

async fn serve(config: &Config) -> anyhow::Result<()> {
    let stop = shutdown::on_signal().context("cannot handle signals")?;
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("cannot listen at {} (key listen)", config.listen))?;
    let address = listener.local_addr().context("cannot tell the address listened at")?;
    let limits = Limits {
        connections: config.max_connections,
        drain_timeout: config.drain_timeout,
        ..Limits::default()
    };
    let routes = http::routes(config);
    tracing::info!(%address, "listening");
    let drained = server::serve(Tcp(listener), |_| routes.clone(), limits, stop).await;
    tracing::info!(?drained, "ended");
    Ok(())
}
