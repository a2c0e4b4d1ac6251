//! The program `matmul`: one instance of the service.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use matmul::config::Config;
use matmul::http;
use service::program::{self, Arguments};

/// How long work that no client waits for any more may keep the process.
const LAST_WORK: Duration = Duration::from_secs(1);

/// Multiplies two random matrices for each request.
#[derive(Debug, Parser)]
#[command(version)]
struct CommandLine {
    #[command(flatten)]
    arguments: Arguments,
}

fn main() -> ExitCode {
    program::run("matmul", &CommandLine::parse().arguments, run)
}

fn run(config: &Config) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        // Each thread keeps the memory of its last product: two of n = 1000 took 112 MB when any thread could work.
        .max_blocking_threads(config.concurrency)
        .enable_all()
        .build()
        .context("cannot start the threads")?;
    let served = runtime.block_on(program::serve(config.serving, http::routes(config)));
    runtime.shutdown_timeout(LAST_WORK);
    served
}
