//! The program `object-store`: one instance of the storage service.

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use clap::Parser;
use object_store::config::Config;
use object_store::http;
use object_store::store::Store;
use service::exit;
use service::program::{self, Arguments};

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
struct CommandLine {
    #[command(flatten)]
    arguments: Arguments,
}

fn main() -> ExitCode {
    program::run("object-store", &CommandLine::parse().arguments, run)
}

fn run(config: &Config) -> anyhow::Result<()> {
    let store = Store::open(&config.objects_dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .max_blocking_threads(DISK_THREADS)
        .enable_all()
        .build()
        .context("cannot start the threads")?;
    let served = runtime.block_on(serve(config, store));
    runtime.shutdown_timeout(LAST_WORK);
    served
}

async fn serve(config: &Config, store: Store) -> anyhow::Result<()> {
    tokio::spawn(sweep_for_ever(store.clone()));
    program::serve(config.serving, http::routes(store, config)).await
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
