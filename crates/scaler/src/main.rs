//! `scaler`, the daemon: once every tick it looks at the host, lets the policy decide and plan,
//! starts what is planned, and shows it all over HTTP.

mod access;
mod act;
mod actions;
mod api;
mod certificate_watch;
mod changes;
mod clock;
mod cpu;
mod daemon;
mod deployment_watch;
mod doctor;
mod doors;
mod egress;
mod failures;
mod feed;
mod forgetting;
mod jobs;
mod journal;
mod json_lines;
mod kept_file;
mod ledger;
mod lock;
mod logins;
mod machine;
mod memory;
mod memory_file;
mod network_watch;
mod observe;
mod outage;
mod output;
mod overrides;
mod recordings;
mod room;
mod rotation;
mod services;
mod shared_state;
mod standing;
#[cfg(test)]
mod tests;
mod token_ends;
mod tokens;
mod under_way;
mod withdrawn;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use crate::act::Actor;
use crate::actions::Actions;
use crate::daemon::Daemon;
use crate::deployment_watch::DeploymentWatch;
use crate::doctor::Doctor;
use crate::doors::Doors;
use crate::egress::EgressSources;
use crate::jobs::JobDesk;
use crate::machine::Machine;
use crate::memory_file::MemoryFile;
use crate::network_watch::NetworkWatch;
use crate::rotation::Rotation;
use crate::services::Services;
use crate::shared_state::SharedState;
use anyhow::Context as _;
use clap::Parser;
use host::command::HostRunner;
use host::deployments::Deployments;
use host::haproxy::{Haproxy, HaproxySettings, HaproxySettingsError};
use host::jobs::HostJobs;
use host::lock::Lock;
use host::lxc::LxcContainers;
use host::network::Network;
use host::probe::HttpProbe;
use host::releases::Releases;
use host::secrets::SecretStore;
use host::settings::Settings;
use otlp::Traces;

/// Scales the services that `bellows up` deployed
#[derive(Debug, Parser)]
#[command(version, about, after_help = "Exit codes: 0 ended on a signal, 1 failed, 2 bad input")]
struct Arguments {
    /// The host's settings, as `bellows up` deployed them
    #[arg(long, value_name = "FILE")]
    settings: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let code = service::exit::report("scaler", error.as_ref());
            if error.is::<HaproxySettingsError>() {
                ExitCode::from(service::exit::BAD_INPUT)
            } else {
                code
            }
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let read = Settings::load(Some(&arguments.settings));
    let traces = begin_traces(read.as_ref().ok())?;
    let settings = read?;
    host::open_files::raise_limit().context("raising the limit of open files")?;
    // Held to the end of the process: two scalers would undo each other's work.
    let _lock = Lock::acquire(&settings.paths.run.join("scaler.lock"))?;
    let stop = service::shutdown::on_signal().context("handlers for signals")?;

    let deployments = Deployments::new(&settings.paths.state);
    let memory = deployments.memory_file();
    let memory = MemoryFile::open(&memory).with_context(|| memory.display().to_string())?;
    let (deployment, deployed) = DeploymentWatch::begin(deployments)?;
    let services = Arc::new(Services::new(deployed.services, settings.network.subnet));
    let starter = Arc::new(HostJobs::new(&settings.paths.state));
    let desk = JobDesk::new(&settings.paths.state, settings.sizes.clone(), starter);
    let haproxy = HaproxySettings::of_host(&settings)?;
    let bellows = Releases::new(&settings.paths.state).current().join("bellows");
    let doctor = Doctor::of_release(&bellows, &arguments.settings);
    let machine = Machine::new(&settings.paths.state, haproxy.clone(), doctor);
    let shared = SharedState::open(
        &settings.paths.state,
        settings.scaler.membership,
        host::memory::for_instances(&settings)?,
        Arc::clone(&services),
        SecretStore::new(&settings),
        (desk, Actions::new(settings.listen.services.into())?, machine),
    )?;
    let shared = Arc::new(shared);
    shared.note_deployed(&deployed.deploys);
    shared.report_unused();
    let haproxy = Haproxy::new(haproxy)?;
    let (launched, outputs) = tokio::sync::mpsc::unbounded_channel();
    let outputs = Arc::clone(shared.outputs()).run(outputs);
    let actor = Arc::new(Actor::new(
        LxcContainers::new(&settings)?.with_reader(launched)?,
        Rotation::new(haproxy, Arc::clone(&shared)),
        HttpProbe::new()?,
        Arc::clone(&services),
        EgressSources::new(&settings.egress_sources(), Arc::clone(&services)),
        settings.scaler.launch_timeout,
    ));

    let doors = Doors::open(&settings, &shared)?;
    tracing::info!(services = services.all().len(), "the loop begins");
    let network = NetworkWatch::new(Network::new(&settings, HostRunner));
    let (tick, watched) = (settings.scaler.tick, Arc::clone(&shared));
    let (haproxy, told) = (Arc::clone(&actor), Arc::clone(&shared));
    tokio::select! {
        () = Daemon::new(actor, shared, deployment, memory, settings.scaler).run(stop) => {}
        () = network.run(tick, &watched) => {}
        () = outputs => {}
        () = certificate_watch::run(haproxy.rotation().load_balancer()) => {}
        () = token_ends::run(&told) => {}
    }
    told.feed().close();
    doors.close().await;
    tokio::task::spawn_blocking(|| traces.end()).await?;
    Ok(())
}

/// Starts the log, and beside it what sends traces where the settings want them.
fn begin_traces(settings: Option<&Settings>) -> anyhow::Result<Traces> {
    let endpoint = settings.and_then(|settings| settings.traces.as_ref());
    let begun = endpoint.map_or_else(
        || Ok(Traces::default()),
        |endpoint| Traces::begin("scaler", endpoint.as_str()),
    );
    let (traces, problem) = match begun {
        Ok(traces) => (traces, None),
        // Services are scaled without.
        Err(error) => (Traces::default(), Some(error)),
    };
    service::telemetry::init_beside(traces.layer())?;
    if let Some(error) = problem {
        tracing::warn!(error = service::exit::chain(&error), "no traces are sent");
    }
    Ok(traces)
}
