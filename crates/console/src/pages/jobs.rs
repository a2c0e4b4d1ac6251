//! What was asked for of a service and takes its time: how far it has come, how long each step took, and how it ended.

use explain::words::age;
use maud::{Markup, html};
use model::job::{JobKind, JobStatus, Outcome, Stage};
use model::output::harmless;
use model::time::Timestamp;

use super::event::moment;

/// Jobs on a page.
const JOBS: usize = 10;

/// What a job does, in a word or two.
pub(super) const fn what(kind: JobKind) -> &'static str {
    match kind {
        JobKind::Deploy => "Deploy",
        JobKind::Rollback => "Going back",
        JobKind::File => "Its file",
        JobKind::Destroy => "Removal",
        JobKind::Stop => "Stop of everything",
        JobKind::Experiment => "Experiment",
    }
}

/// The jobs, the one that was asked for last first.
pub(super) fn list(jobs: &[JobStatus], now: Timestamp) -> Markup {
    html! {
        @if jobs.is_empty() {
            p { "None is known." }
        } @else {
            div.scroll tabindex="0" role="region" aria-label="Deploys" {
                table {
                    thead {
                        tr {
                            th scope="col" { "What" }
                            th scope="col" { "Began" }
                            th scope="col" { "Took" }
                            th scope="col" { "State" }
                            th scope="col" { "Steps" }
                            th scope="col" { span.hidden { "Log" } }
                        }
                    }
                    tbody { @for job in jobs.iter().take(JOBS) { (row(job, now)) } }
                }
            }
        }
    }
}

fn row(job: &JobStatus, now: Timestamp) -> Markup {
    html! {
        tr id={ "job-" (job.id) } data-goes-on=[job.outcome.is_none().then(|| job.id.to_string())] {
            th scope="row" { (what(job.kind)) @if let Some(who) = &job.who { small { (harmless(&who.to_string())) } } }
            td { (moment(job.begun_at)) }
            td { (took(job, now)) }
            td.wide { (outcome(job)) }
            td.wide { (steps(job, now)) }
            td { button type="button" data-needs-scripts hidden data-job=(job.id) { "Log" } }
        }
    }
}

fn outcome(job: &JobStatus) -> Markup {
    match &job.outcome {
        None => html! { span.health.warn { "under way: " (stage(job.stage)) } },
        Some(Outcome { is_well: true, verdict }) => {
            html! { span.health.good { "well" } small { (harmless(verdict)) } }
        }
        Some(Outcome { is_well: false, verdict }) => {
            html! { span.health.bad { "failed: " (stage(job.stage)) } small { (harmless(verdict)) } }
        }
    }
}

/// How long it took, or takes; nothing of one that was cut off, whose end nobody wrote down.
fn took(job: &JobStatus, now: Timestamp) -> String {
    let end = job.ended_at.or(job.outcome.is_none().then_some(now));
    end.map(|end| seconds(job.begun_at, end)).unwrap_or_default()
}

/// The stages that it came to, and how long it was at each.
fn steps(job: &JobStatus, now: Timestamp) -> String {
    let ends = job.steps.iter().skip(1).map(|step| Some(step.begun_at));
    let ends = ends.chain([job.ended_at.or(job.outcome.is_none().then_some(now))]);
    let told = job.steps.iter().zip(ends).map(|(step, end)| match end {
        Some(end) => format!("{} {}", stage(step.stage), seconds(step.begun_at, end)),
        None => stage(step.stage).to_owned(),
    });
    told.collect::<Vec<_>>().join(", ")
}

fn seconds(from: Timestamp, to: Timestamp) -> String {
    age(from.as_millis(), to.as_millis())
}

/// What it is at, in a word.
const fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Begin => "begin",
        Stage::Image => "image",
        Stage::Health => "health",
        Stage::Template => "template",
        Stage::Rollout => "rollout",
        Stage::Removal => "removal",
        Stage::Load => "load",
    }
}

/// Where scripts show what a job writes, and what is said there as long as none is shown. Without that it is there once a job
/// was begun.
pub(super) fn log(unless_shown: Option<&str>) -> Markup {
    html! {
        div #job-log data-needs-scripts[unless_shown.is_some()] hidden {
            h2 { "What it writes" }
            p #job-log-said role="status" { (unless_shown.unwrap_or_default()) }
            pre #job-log-text tabindex="0" role="region" aria-label="Log of the job" hidden {}
        }
    }
}

#[cfg(test)]
mod tests {
    use model::job::{JobId, Step};

    use super::*;

    fn at(second: u64) -> Timestamp {
        Timestamp::from_millis(second * 1000)
    }

    fn job(ended: Option<u64>, outcome: Option<Outcome>) -> JobStatus {
        let step = |stage, second| Step { stage, begun_at: at(second) };
        JobStatus {
            id: JobId::new(1),
            kind: JobKind::Deploy,
            service: None,
            who: None,
            begun_at: at(10),
            ended_at: ended.map(at),
            stage: Stage::Image,
            steps: vec![step(Stage::Begin, 10), step(Stage::Image, 12)],
            outcome,
        }
    }

    #[test]
    fn a_step_took_until_the_next_one_and_the_last_until_the_end_or_now() {
        let failed = || Some(Outcome { is_well: false, verdict: String::new() });
        let told = |job: &JobStatus| (took(job, at(17)), steps(job, at(17)));
        assert_eq!(told(&job(None, None)), ("7 s".to_owned(), "begin 2 s, image 5 s".to_owned()));
        let ended = told(&job(Some(12), failed()));
        assert_eq!(ended, ("2 s".to_owned(), "begin 2 s, image 0 s".to_owned()));
        assert_eq!(told(&job(None, failed())), (String::new(), "begin 2 s, image".to_owned()));
    }
}
