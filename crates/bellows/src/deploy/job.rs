//! The job of a deploy, from the folder that was laid out to the verdict.

use std::time::Instant;

use anyhow::Context as _;
use host::build::{Builds, Kept};
use host::command::HostRunner;
use host::deploys::{Deploys, Outcome};
use host::settings::Settings;
use host::trace;
use model::names::ServiceName;
use model::time::Timestamp;
use otlp::Traces;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::steps::Steps;
use crate::doctor::require_root;
use crate::mib;

/// Carries out the deploy of a service that was asked for then, and notes how it ended.
pub(crate) async fn run(
    settings: &Settings,
    service: &ServiceName,
    begun_at: Timestamp,
) -> anyhow::Result<()> {
    require_root()?;
    // The leader of a session of its own does not get the terminal's SIGHUP.
    let _ = nix::unistd::setsid();
    let files = Deploys::new(&settings.paths.state).of(service);
    let _lock = files.take().await?;
    let deploy = files.read()?.filter(|deploy| deploy.begun_at == begun_at);
    let mut deploy = deploy.context("another deploy of it was asked for meanwhile")?;
    let begun = Instant::now();
    let traces = begin_traces(settings);
    let steps = Steps::new(settings, &files, &mut deploy).take();
    let result = trace::deploy(service, steps).await;
    tokio::task::spawn_blocking(|| traces.end()).await?;
    if let Err(error) = bound_caches(settings).await {
        eprintln!("  what builds keep is not bounded: {error:#}");
    }
    let outcome = match result {
        Ok(serves) => {
            let verdict = format!("{serves}, after {:.1} s", begun.elapsed().as_secs_f64());
            Outcome { is_well: true, verdict }
        }
        Err(error) => Outcome { is_well: false, verdict: told(&error) },
    };
    // First, where the disk is full.
    let removed = files.remove_source();
    deploy.outcome = Some(outcome);
    files.write(&deploy)?;
    Ok(removed?)
}

/// Begins to send a trace of the deploy, where the settings want it. It is deployed without, too.
fn begin_traces(settings: &Settings) -> Traces {
    let Some(endpoint) = &settings.traces else { return Traces::default() };
    let traces = Traces::begin("deploy", endpoint.as_str()).unwrap_or_else(|error| {
        eprintln!("  traces       {error}");
        Traces::default()
    });
    tracing_subscriber::registry().with(traces.layer()).init();
    traces
}

/// Removes what builds keep above its bound; the verdict is the same with and without.
async fn bound_caches(settings: &Settings) -> anyhow::Result<()> {
    let pruned = Builds::new(settings, HostRunner).keep_within(settings.builds.caches_mib).await?;
    for Kept { service, bytes, .. } in pruned.removed {
        let told = mib::told(bytes);
        eprintln!(
            "  caches       {told} of builds of {service} removed, for the bound builds.caches_mib"
        );
    }
    Ok(())
}

/// The verdict on one that did not end well, in a line; what there is to be told beside it is written before.
fn told(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    let (verdict, more) = text.split_once('\n').unwrap_or((&text, ""));
    if !more.is_empty() {
        eprintln!("{more}");
    }
    verdict.to_owned()
}
