//! Series as JSON: what was not known is `null`, and a span in which nothing was recorded is not there.

use host::answer_pipe::Class;
use model::instance::Phase;
use model::names::{InstanceName, ServiceName};
use serde::Serialize;

use crate::history::Step;
use crate::series::answers::Answers;
use crate::series::figure::Figure;
use crate::series::point::{InstancePoint, Measure, Row, ServicePoint};

/// The mean of what was known of a figure, and the largest; nothing where nothing was.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Shown {
    mean: f64,
    max: f64,
}

/// What a service answered over a span: within how many ms half of its answers began, nine of ten and 99 of 100, from
/// the whole request on; and how many there were with a status of 2xx (or 101), 3xx, 4xx and 5xx.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ShownAnswers {
    p50_ms: u32,
    p90_ms: u32,
    p99_ms: u32,
    success: u64,
    redirection: u64,
    client_error: u64,
    server_error: u64,
}

/// A service over a span.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ShownService {
    at_ms: u64,
    turns: u32,
    offered_rps: Option<Shown>,
    served_rps: Option<Shown>,
    rejected_rps: Option<Shown>,
    queued: Option<Shown>,
    in_flight: Option<Shown>,
    cpu_cores: Option<Shown>,
    starting: Option<Shown>,
    ready: Option<Shown>,
    draining: Option<Shown>,
    failed: Option<Shown>,
    target: Option<Shown>,
    answers: Option<ShownAnswers>,
}

/// An instance over a span.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ShownInstance {
    at_ms: u64,
    phase: Phase,
    cpu_cores: Option<Shown>,
    in_flight: Option<Shown>,
    requests_rps: Option<Shown>,
    /// CPU time that it used, in seconds, in as much of the span as is known.
    cpu_s: Option<f64>,
    /// Requests that it was given, in as much of the span as is known.
    requests: Option<f64>,
}

/// A second of a service and its instances, as live readers are told.
#[derive(Debug, Serialize)]
pub struct ShownSecond<'a> {
    service: &'a ServiceName,
    at_ms: u64,
    turns: u32,
    offered_rps: Option<Shown>,
    served_rps: Option<Shown>,
    rejected_rps: Option<Shown>,
    queued: Option<Shown>,
    in_flight: Option<Shown>,
    cpu_cores: Option<Shown>,
    starting: Option<Shown>,
    ready: Option<Shown>,
    draining: Option<Shown>,
    failed: Option<Shown>,
    target: Option<Shown>,
    answers: Option<ShownAnswers>,
    instances: Vec<NamedInstance<'a>>,
}

#[derive(Debug, Serialize)]
struct NamedInstance<'a> {
    name: &'a InstanceName,
    at_ms: u64,
    phase: Phase,
    cpu_cores: Option<Shown>,
    in_flight: Option<Shown>,
    requests_rps: Option<Shown>,
}

fn shown(figure: Figure) -> Option<Shown> {
    Some(Shown { mean: rounded(figure.mean()?), max: rounded(figure.max()?) })
}

/// To four digits behind the point: what is behind them is noise, and takes as much as the rest.
fn rounded(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

/// A service over the span that begins at that second.
pub(super) fn service(second: u64, point: &ServicePoint) -> ShownService {
    let of = |measure| shown(point.figure(measure));
    ShownService {
        at_ms: second * 1000,
        turns: point.turns,
        offered_rps: of(Measure::OfferedRps),
        served_rps: of(Measure::ServedRps),
        rejected_rps: of(Measure::RejectedRps),
        queued: of(Measure::Queued),
        in_flight: of(Measure::InFlight),
        cpu_cores: of(Measure::CpuCores),
        starting: of(Measure::Starting),
        ready: of(Measure::Ready),
        draining: of(Measure::Draining),
        failed: of(Measure::Failed),
        target: of(Measure::Target),
        answers: answers(&point.answers),
    }
}

fn answers(answers: &Answers) -> Option<ShownAnswers> {
    Some(ShownAnswers {
        p50_ms: answers.within_ms(500)?,
        p90_ms: answers.within_ms(900)?,
        p99_ms: answers.within_ms(990)?,
        success: answers.of(Class::Success),
        redirection: answers.of(Class::Redirection),
        client_error: answers.of(Class::ClientError),
        server_error: answers.of(Class::ServerError),
    })
}

/// An instance over the span that begins at that second.
pub(super) fn instance(second: u64, step: Step, point: &InstancePoint) -> ShownInstance {
    ShownInstance {
        at_ms: second * 1000,
        phase: point.phase,
        cpu_cores: shown(point.cpu_cores),
        in_flight: shown(point.in_flight),
        requests_rps: shown(point.requests_rps),
        cpu_s: point.cpu_cores.sum_over(step.seconds()).map(rounded),
        requests: point.requests_rps.sum_over(step.seconds()).map(rounded),
    }
}

/// A second as live readers are told it.
pub fn second(row: &Row) -> ShownSecond<'_> {
    // Taken apart with every field named: a figure that is added does not compile until live readers get it.
    let ShownService {
        at_ms,
        turns,
        offered_rps,
        served_rps,
        rejected_rps,
        queued,
        in_flight,
        cpu_cores,
        starting,
        ready,
        draining,
        failed,
        target,
        answers,
    } = service(row.second, &row.point);
    ShownSecond {
        service: &row.service,
        at_ms,
        turns,
        offered_rps,
        served_rps,
        rejected_rps,
        queued,
        in_flight,
        cpu_cores,
        starting,
        ready,
        draining,
        failed,
        target,
        answers,
        instances: row.instances.iter().map(|it| named(row.second, it)).collect(),
    }
}

fn named(second: u64, it: &InstancePoint) -> NamedInstance<'_> {
    // What a second's rates sum up to is the rates.
    let ShownInstance { at_ms, phase, cpu_cores, in_flight, requests_rps, cpu_s: _, requests: _ } =
        instance(second, Step::Second, it);
    NamedInstance { name: &it.name, at_ms, phase, cpu_cores, in_flight, requests_rps }
}
