//! The program `object-store`: one instance of the storage service.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use clap::Parser;
use object_store::config::Config;
use object_store::http;
use object_store::store::Store;
use service::listener::Tcp;
use service::server::{self, Limits};
use service::{exit, output, shutdown, telemetry};
use tokio::net::TcpListener;

/// Threads that wait for the disk. More than the some 30 writers whose syncs a disk can join add
/// nothing, and an instance may have 64 processes and threads in all.
const DISK_THREADS: usize = 32;

/// How often abandoned uploads are looked for.
const SWEEP_PERIOD: Duration = Duration::from_secs(300);

/// How long work on the disk that no client waits for any more may keep the process.
const LAST_WORK: Duration = Duration::from_secs(5);

/// Stores objects in one folder, which any number of instances may share.
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
        Err(error) => exit::report("object-store", error.as_ref()),
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let config = config_file::read::<Config>(&arguments.config)?;
    if arguments.check {
        return Ok(());
    }
    telemetry::init()?;
    let store = Store::open(&config.objects_dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .max_blocking_threads(DISK_THREADS)
        .enable_all()
        .build()
        .context("cannot start the threads")?;
    let served = runtime.block_on(serve(&config, store));
    runtime.shutdown_timeout(LAST_WORK);
    served
}

async fn serve(config: &Config, store: Store) -> anyhow::Result<()> {
    let stop = shutdown::on_signal().context("cannot handle signals")?;
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("cannot listen at {} (key listen)", config.listen))?;
    let address = listener.local_addr().context("cannot tell the address listened at")?;
    tokio::spawn(sweep_for_ever(store.clone()));
    let limits = Limits {
        connections: config.max_connections,
        drain_timeout: config.drain_timeout,
        ..Limits::default()
    };
    let routes = http::routes(store, config);
    tracing::info!(%address, "listening");
    let drained = server::serve(Tcp(listener), |_| routes.clone(), limits, stop).await;
    tracing::info!(?drained, "ended");
    Ok(())
}

async fn sweep_for_ever(store: Store) {
    let mut period = tokio::time::interval(SWEEP_PERIOD);
    loop {
        period.tick().await;
        let store = store.clone();
        let swept = tokio::task::spawn_blocking(move || store.sweep(SystemTime::now())).await;
        match swept {
            Ok(Ok(0)) => {}
            Ok(Ok(removed)) => tracing::info!(removed, "abandoned uploads were removed"),
            Ok(Err(error)) => {
                tracing::warn!(error = exit::chain(&error), "abandoned uploads were not removed");
            }
            // The runtime ends, or the sweep panicked, which is logged already.
            Err(_) => return,
        }
    }
}
