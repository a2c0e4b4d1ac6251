//! How long launches took, step by step.

use explain::words::span_ms;
use maud::{Markup, html};
use model::action::{LaunchStep, StepTime};
use model::names::InstanceName;
use strum::IntoEnumIterator as _;

use crate::api::Known;
use crate::api::asker::Asker;
use crate::events::{Happened, Kind};
use crate::history::Wanted;

/// As many launches as are looked at.
const LAUNCHES: usize = 200;

/// A launch that ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Launch {
    instance: InstanceName,
    took_ms: u64,
    steps: Vec<StepTime>,
}

/// The last ones of the services that one may see, by the history; those of which no steps are known are left out.
pub(super) async fn last(known: &Known, asker: &Asker) -> Vec<Launch> {
    let started = known.history.events(Wanted::newest(LAUNCHES), Some(Kind::Started)).await;
    let launches = started.unwrap_or_default().into_iter().filter_map(|it| match it.happened {
        Happened::Started { instance, took_ms, steps } => Some(Launch { instance, took_ms, steps }),
        _ => None,
    });
    launches
        .filter(|launch| !launch.steps.is_empty() && asker.sees(launch.instance.service()).is_ok())
        .collect()
}

/// The times of one step.
#[derive(Debug, PartialEq, Eq)]
struct Times<'a> {
    /// The step; `None` for the whole launch, from its plan to the rotation.
    step: Option<LaunchStep>,
    /// How many launches took it.
    count: usize,
    median_ms: u64,
    worst_ms: u64,
    worst: &'a InstanceName,
}

/// Those of each step that was taken, in the order of a launch, and of the whole.
fn times(launches: &[Launch]) -> Vec<Times<'_>> {
    let steps = LaunchStep::iter().map(Some).chain([None]);
    steps.filter_map(|step| times_of(step, launches)).collect()
}

fn times_of(step: Option<LaunchStep>, launches: &[Launch]) -> Option<Times<'_>> {
    let took = |launch: &Launch| match step {
        Some(step) => launch.steps.iter().find(|it| it.step == step).map(|it| it.took_ms),
        None => Some(launch.took_ms),
    };
    let mut all: Vec<_> =
        launches.iter().filter_map(|it| Some((took(it)?, &it.instance))).collect();
    all.sort_unstable();
    let (worst_ms, worst) = *all.last()?;
    // Of an even number the smaller one of the two in the middle: a time that a launch did take.
    let (median_ms, _) = all[(all.len() - 1) / 2];
    Some(Times { step, count: all.len(), median_ms, worst_ms, worst })
}

/// A table of them.
pub(super) fn table(launches: &[Launch]) -> Markup {
    let times = times(launches);
    html! {
        h2 { "Launches by step" }
        @if times.is_empty() {
            p { "No launch is kept yet whose steps are known." }
        } @else {
            p { "Of the last " (launches.len()) " launches that ended well:" }
            div.scroll tabindex="0" role="region" aria-label="Launches by step" {
                table.stacks.narrow {
                    thead {
                        tr {
                            th scope="col" { "Step" }
                            th.n scope="col" { "Launches" }
                            th.n scope="col" { "Median" }
                            th.n scope="col" { "Worst" }
                            th scope="col" { "Which" }
                        }
                    }
                    tbody { @for line in times { (row(&line)) } }
                }
            }
        }
    }
}

fn row(times: &Times<'_>) -> Markup {
    html! {
        tr {
            th scope="row" { (step(times.step)) }
            td.n data-label="Launches" { (times.count) }
            td.n data-label="Median" { (span_ms(times.median_ms)) }
            td.n data-label="Worst" { (span_ms(times.worst_ms)) }
            td { a href={ "/services/" (times.worst.service()) } { code { (times.worst) } } }
        }
    }
}

const fn step(step: Option<LaunchStep>) -> &'static str {
    match step {
        Some(LaunchStep::Clone) => "Clone and start",
        Some(LaunchStep::Release) => "Release command",
        Some(LaunchStep::Health) => "Until it is healthy",
        Some(LaunchStep::Rotation) => "Into rotation",
        None => "All, from the plan on",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch(slot: u32, clone_ms: u64, release_ms: Option<u64>) -> Launch {
        let step = |step, took_ms| StepTime { step, took_ms };
        let steps = [step(LaunchStep::Clone, clone_ms), step(LaunchStep::Health, 2)].into_iter();
        let steps = steps.chain(release_ms.map(|ms| step(LaunchStep::Release, ms))).collect();
        let instance = format!("bw-shop-{slot}-a").parse().unwrap();
        Launch { instance, took_ms: clone_ms + 10, steps }
    }

    #[test]
    fn each_step_has_the_median_and_the_worst_of_the_launches_that_took_it() {
        let launches = [
            launch(1, 30, None),
            launch(2, 10, Some(500)),
            launch(3, 20, None),
            launch(4, 40, None),
        ];
        let told: Vec<_> = times(&launches)
            .iter()
            .map(|it| (step(it.step), it.count, it.median_ms, it.worst_ms, it.worst.slot().get()))
            .collect();
        assert_eq!(
            told,
            [
                ("Clone and start", 4, 20, 40, 4),
                ("Release command", 1, 500, 500, 2),
                ("Until it is healthy", 4, 2, 2, 4),
                ("All, from the plan on", 4, 30, 50, 4),
            ]
        );
        assert_eq!(times(&[]), []);
    }
}
