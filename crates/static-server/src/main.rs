//! `static-server`: one instance of a service that serves a folder of files.

mod config;
mod files;
mod prefix;
mod unchanged;

use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use clap::Parser;
use service::program::{self, Arguments};

use crate::config::Config;

/// Serves a folder of files.
#[derive(Debug, Parser)]
#[command(version)]
struct CommandLine {
    #[command(flatten)]
    arguments: Arguments,
}

fn main() -> ExitCode {
    program::run("static-server", &CommandLine::parse().arguments, run)
}

fn run(config: &Config) -> anyhow::Result<()> {
    let folder = &config.folder;
    // Else every path would be 404, by a version that is as healthy as any.
    ensure!(folder.is_dir(), "{} is no folder (key folder)", folder.display());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the threads")?;
    runtime.block_on(program::serve(config.serving, files::routes(config)))
}
