//! `bellows`: the operator's command line.

mod cli;
mod deployed;
mod doctor;
mod down;
mod error;
mod programs;
mod progress;
mod set;
mod status;
mod supervise;
mod tree;
mod up;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};
use error::Error;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let exit_code = error.exit_code();
            eprintln!("bellows: {:#}", anyhow::Error::from(error));
            exit_code
        }
    }
}

fn run(cli: Cli) -> Result<(), Error> {
    let place = &cli.place;
    let settings = || tree::settings(place).map(|(settings, _)| settings);
    let running = || settings().map(|edited| deployed::settings(&edited).unwrap_or(edited));
    match cli.command {
        Command::Doctor => wait(doctor::run(&settings()?)),
        Command::Up => wait(up::run(place)),
        Command::Down => wait(down::run(&running()?)),
        Command::Policy { service, policy } => wait(async {
            Ok(set::policy(&place.tree, &running()?, &service, policy.as_deref()).await?)
        }),
        Command::Bounds { service, bounds } => {
            wait(async { Ok(set::bounds(&running()?, &service, &bounds).await?) })
        }
        Command::Membership { way } => wait(async { Ok(set::membership(&running()?, way).await?) }),
        Command::Status { json } => wait(status::run(&running()?, json)),
        // The supervisor sleeps for most of its life: it gets no runtime.
        Command::Supervise { run, name, command } => supervise::run(&run, &name, &command),
    }
}

/// Runs a command to its end.
#[tokio::main(flavor = "current_thread")]
async fn wait(command: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    command.await
}
