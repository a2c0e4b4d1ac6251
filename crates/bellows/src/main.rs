//! `bellows`: the operator's command line.

mod ask;
mod boot;
mod changes;
mod cli;
mod clock;
mod deploy;
mod deployed;
mod destroy;
mod doctor;
mod down;
mod error;
mod logs;
mod mib;
mod operator;
mod programs;
mod progress;
mod prune;
mod record;
mod release;
mod replay;
mod rollback;
mod run_folder;
mod scaler;
mod secret;
mod set;
mod status;
mod token;
mod tree;
mod up;
mod validate;
mod versions;

use std::process::ExitCode;

use clap::Parser;
use host::settings::Settings;
use model::time::Timestamp;
use nix::sys::stat::{Mode, umask};

use cli::{Cli, Command};

/// Files and folders that others must be able to read are made with the usual rights, whatever those of
/// whoever calls: instances run as somebody else. It holds for all that is started from here.
const UMASK: Mode = Mode::S_IWGRP.union(Mode::S_IWOTH);

fn main() -> ExitCode {
    umask(UMASK);
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bellows: {error:#}");
            error::exit_code(&error)
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    let place = &cli.place;
    let settings = || tree::settings(place).map(|(settings, _)| settings);
    let running = || deployed::running(place, &Settings::default());
    match cli.command {
        Command::Doctor => wait(doctor::run(&settings()?)),
        Command::Validate => wait(validate::run(place)),
        Command::Up { no_boot } => wait(up::run(place, no_boot)),
        Command::Boot => wait(boot::run(&running()?)),
        Command::Deploy { folder, name } => wait(deploy::run(&running()?, &folder, name.as_ref())),
        Command::DeployJob { service, begun_at } => {
            wait(deploy::run_job(&running()?, &service, Timestamp::from_millis(begun_at)))
        }
        Command::Destroy { service, yes, data } => {
            wait(destroy::run(&running()?, &service, yes, data))
        }
        Command::Prune { yes, caches } => wait(prune::run(&running()?, yes, caches)),
        Command::Init { folder, name } => deploy::init(&running()?, &folder, name.as_ref()),
        Command::Down => wait(down::run(&running()?)),
        Command::Policy { service, policy } => {
            wait(set::policy(place.tree(), &running()?, &service, policy.as_deref()))
        }
        Command::Bounds { service, bounds } => wait(set::bounds(&running()?, &service, &bounds)),
        Command::Membership { way } => wait(set::membership(&running()?, way)),
        Command::Token { what } => wait(token::run(&running()?, what)),
        Command::Secret { what } => wait(secret::run(&running()?, what)),
        Command::Logs(asked) => wait(logs::run(&running()?, asked)),
        Command::Versions { service } => wait(versions::run(&running()?, &service)),
        Command::Rollback { service, version, revision } => {
            wait(rollback::run(&running()?, &service, version, revision))
        }
        Command::Record { service, file, span } => {
            wait(record::run(&running()?, &service, &file, &span))
        }
        Command::Replay { file, policy, json } => {
            replay::run(place.tree(), &file, policy.as_deref(), json)
        }
        Command::Changes { json } => wait(changes::run(&running()?, json)),
        Command::Status { json } => wait(status::run(&running()?, json)),
        // The supervisor sleeps for most of its life: it gets no runtime.
        Command::Supervise { run, user, sockets, name, command } => {
            match host::units::supervise(&run, &name, user.as_deref(), &sockets, &command)? {}
        }
    }
}

/// Runs a command to its end.
#[tokio::main(flavor = "current_thread")]
async fn wait(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    command.await
}
