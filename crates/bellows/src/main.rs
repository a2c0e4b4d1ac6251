//! `bellows`: the operator's command line.

// `println!` panics where nobody reads the output any more: see `command_line::terminal`.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod ask;
mod boot;
mod changes;
mod cli;
mod clock;
mod code;
mod console;
mod cost;
mod deploy;
mod deployed;
mod destroy;
mod doctor;
mod down;
mod error;
mod events;
mod experiment;
mod explain;
#[cfg(test)]
mod fake_scaler;
mod help;
mod instances;
mod job;
mod json;
mod link;
mod logs;
mod open;
mod operator;
mod programs;
mod progress;
mod prune;
mod record;
mod release;
mod replay;
mod rollback;
mod run_folder;
mod scale;
mod scaler;
mod secret;
mod services;
mod set;
mod share;
mod status;
mod support;
mod text;
mod token;
mod top;
mod tree;
mod up;
mod validate;
mod versions;
mod why_not;

use std::process::ExitCode;

use clap::Parser;
use host::settings::Settings;
use nix::sys::stat::{Mode, umask};

use cli::{Cli, Command};

/// Files and folders that others must be able to read are made with the usual rights, whatever those of
/// whoever calls: instances run as somebody else. It holds for all that is started from here.
const UMASK: Mode = Mode::S_IWGRP.union(Mode::S_IWOTH);

fn main() -> ExitCode {
    umask(UMASK);
    let cli = match Cli::try_parse() {
        // What clap tells of a command comes in the place of an error.
        Ok(Cli { command: Command::Help { words }, .. }) => match help::run(&words) {
            Ok(code) => return code,
            Err(told) => return error::report_usage(&told),
        },
        Ok(cli) => cli,
        Err(told) => return error::report_usage(&told),
    };
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error::report(&error),
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    let place = &cli.place;
    let settings = || tree::settings(place).map(|(settings, _)| settings);
    let running = || deployed::running(place, &Settings::default());
    match cli.command {
        // Told before.
        Command::Help { .. } => Ok(()),
        Command::Completions { shell } => share::print(shell.shell()),
        Command::Support { file, output } => wait(support::run(&running()?, file, output)),
        Command::Open { service, json } => wait(open::run(&running()?, service.as_ref(), json)),
        Command::Doctor { json } => wait(doctor::run(&settings()?, json)),
        Command::Validate { json } => wait(validate::run(place, json)),
        Command::Up { no_boot } => wait(up::run(place, no_boot)),
        Command::Boot => wait(boot::run(&running()?)),
        Command::Deploy { folder, name } => wait(deploy::run(&running()?, &folder, name.as_ref())),
        Command::Job { id } => wait(job::run(&running()?, id)),
        Command::Destroy { service, yes, data } => {
            wait(destroy::run(&running()?, &service, yes, data))
        }
        Command::Prune { yes, caches, json } => wait(prune::run(&running()?, yes, caches, json)),
        Command::Init { folder, name } => deploy::init(&running()?, &folder, name.as_ref()),
        Command::Down => wait(down::run(&running()?)),
        Command::Policy(asked) => wait(set::policy::run(place.tree(), &running()?, asked)),
        Command::Bounds { service, bounds, json } => {
            wait(set::bounds(&running()?, &service, &bounds, json))
        }
        Command::Services { json } => wait(services::run(&running()?, json)),
        Command::Top => wait(top::run(&running()?)),
        Command::Events(asked) => wait(events::run(&running()?, asked)),
        Command::Cost(asked) => wait(cost::run(&running()?, asked)),
        Command::Scale(asked) => wait(scale::run(&running()?, asked)),
        Command::Instances { what: Some(what), .. } => wait(instances::change(&running()?, what)),
        Command::Instances { service, json, what: None } => {
            wait(instances::list(&running()?, service.as_ref(), json))
        }
        Command::Membership { way, json } => wait(set::membership(&running()?, way, json)),
        Command::Token { what } => wait(token::run(&running()?, what)),
        Command::Secret { what } => wait(secret::run(&running()?, what)),
        Command::Logs(asked) => wait(logs::run(&running()?, asked)),
        Command::Explain { service, at, json } => {
            wait(explain::run(&running()?, &service, at.as_deref(), json))
        }
        Command::WhyNot { service, ready, json } => {
            wait(why_not::run(&running()?, &service, ready, json))
        }
        Command::Versions { service, json } => wait(versions::run(&running()?, &service, json)),
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
        Command::Supervise { run, user, limits, sockets, name, command } => {
            match host::units::supervise(&run, &name, user.as_deref(), limits, &sockets, &command)? {}
        }
    }
}

/// Runs a command to its end.
#[tokio::main(flavor = "current_thread")]
async fn wait(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    command.await
}
