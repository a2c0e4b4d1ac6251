//! One run, from a scenario to the folder of its results.

use std::path::PathBuf;
use std::sync::Arc;

use run::{Recorder, ResultsFolder};
use scaler_client::Scaler;

use crate::client::Client;
use crate::driver::objects::RunIdentity;
use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::measurements::Measurements;
use crate::open_files;
use crate::progress::{Length, Progress};
use crate::run_report::RunReport;
use crate::scenario_file::LoadedScenario;
use crate::serving::WallMicros;
use crate::session::Session;
use crate::stored_objects::StoredObjects;
use crate::target::Target;

/// What to run, where, and where to write.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// The load.
    pub scenario: LoadedScenario,
    /// Where it goes.
    pub target: Target,
    /// The scaler to ask about the fleet; without one, the figures of instances are unknown.
    pub scaler: Option<Scaler>,
    /// The folder of all results.
    pub results: PathBuf,
}

/// The name of a run of this scenario that begins now.
pub(crate) fn name(loaded: &LoadedScenario) -> String {
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    format!("{}-{now}", loaded.scenario.name)
}

/// Runs a scenario: stores its objects where it has any, offers its load, records until the fleet has
/// settled, writes the results and removes the objects.
///
/// # Errors
/// An [`Error`]; an interrupt before the load is one. One that comes after the load, when the scaler
/// is gone or the objects cannot be removed, comes after the results have been written.
pub async fn run(options: RunOptions, interrupt: Interrupt) -> Result<RunReport, Error> {
    run_as(&name(&options.scenario), options, interrupt).await
}

/// The same with a folder of that name.
pub(crate) async fn run_as(
    name: &str,
    options: RunOptions,
    mut interrupt: Interrupt,
) -> Result<RunReport, Error> {
    let RunOptions { scenario: loaded, target, scaler, results } = options;
    let LoadedScenario { scenario, offered, .. } = &loaded;
    if scenario.limits.back_to_min && scaler.is_none() {
        return Err(Error::NeedsScaler);
    }
    open_files::make_room(scenario.in_flight.get())?;
    if let Some(scaler) = &scaler {
        scaler.service(&scenario.service).await?;
    }
    let folder = ResultsFolder::create(&results, name)?;
    let identity = RunIdentity::new(scenario.seed, WallMicros::now());
    let client = Arc::new(Client::new(target, name, identity));

    let mut progress = Progress::new();
    // The first rate of a closed load is not known: the lowest one is taken.
    let first_rps = offered.first_rps().unwrap_or(0.0);
    let mut objects = StoredObjects::new(&scenario.operations, first_rps);
    if let Some(expected) = objects.expected() {
        progress.stage("storing", Length::Time(expected));
    }
    let stored = objects.store(&client, scenario.seed, &mut interrupt).await;
    if !matches!(stored, Ok(true)) {
        folder.discard();
        let removed = objects.remove(&client).await;
        // Where they could not be stored, that is the reason to tell.
        stored?;
        removed?;
        return Err(Error::Interrupted);
    }
    let measurements = Measurements::new(Recorder::new(scenario.warm_up, scenario.timeout));
    let mut session = Session {
        loaded: &loaded,
        interrupt,
        // The load has connections of its own: those that stored live on another thread's runtime.
        client: Arc::new(client.with_own_connections()),
        measurements: Arc::new(measurements),
        progress,
    };
    let report = session.record(scaler, &folder).await;
    if let Some(expected) = objects.expected() {
        session.progress.stage("removing", Length::Time(expected));
    }
    let removed = objects.remove(&client).await;
    let report = report?;
    removed?;
    Ok(report)
}
