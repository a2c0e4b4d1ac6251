//! What another policy would have run under the load that was, computed from the history.

mod shown;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::body::Body;
use axum::extract::{FromRequest as _, Request, State};
use axum::http::{StatusCode, header};
use model::action::ActionKind;
use model::names::ServiceName;
use model::policies::PolicySpec;
use model::preview::Preview;
use model::service::ServiceSpec;
use model::status::ServiceStatus;
use model::tick::Tick;
use model::time::Timestamp;
use service::json_body::JsonBody;
use service::path::Path;
use service::problem::Problem;
use simulation::preview::{Grain, HostFacts, Observed, PreviewError, Question, Stretch};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::shown::Past;
use super::asker::Asker;
use super::past::unread;
use super::query::{Fields, bad};
use super::{Answer, Known, Shared, forward, no_such_service};
use crate::history::{Step, Wanted};
use crate::series::point::{Measure, ServicePoint};
use crate::upstream::scaler_away;
use crate::watch::Seen;

/// As far back as seconds are kept.
const MINUTES_MAX: usize = 30;

/// As far back as minutes are kept.
const HOURS_MAX: usize = 24;

/// Where neither is said.
const MINUTES: usize = 10;

/// How long one may compute. Ten minutes take some 40 ms; a fleet of 750 instances that changes at each turn takes more.
const COMPUTES: Duration = Duration::from_secs(5);

/// How long a place is waited for.
const PLACE: Duration = Duration::from_secs(2);

/// How many of the turns that changed something are asked for how long launches took.
const LAUNCHES_OF: usize = 200;

/// Everything random follows from it: the same question has the same answer.
const SEED: u64 = 1;

/// Previews are computed one at a time, so that they take one core at most.
#[derive(Debug, Clone)]
pub struct Previews(Arc<Semaphore>);

impl Default for Previews {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl Previews {
    async fn place(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let place = tokio::time::timeout(PLACE, Arc::clone(&self.0).acquire_owned()).await;
        place.ok().and_then(Result::ok).ok_or_else(|| {
            let message = "Another preview is being computed: try again in a second.";
            let code = "too_many_at_once";
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, message);
            problem.with_header(header::RETRY_AFTER, 1)
        })
    }
}

/// Says what a policy would have run. It changes nothing: who may read the service may ask.
pub(super) async fn preview(
    State(known): Shared,
    asker: Asker,
    Path(name): Path<String>,
    mut fields: Fields,
    request: Request,
) -> Answer<Preview> {
    let service: ServiceName = name.parse().map_err(|_| no_such_service(&name))?;
    asker.sees(&service)?;
    let asked = Asked::of(&mut fields)?;
    fields.end("minutes or hours")?;
    let (head, body) = request.into_parts();
    let body = Body::from(forward::whole(body).await?);
    let JsonBody(policy) =
        JsonBody::<PolicySpec>::from_request(Request::from_parts(head, body), &()).await?;
    let (spec, status) = described(&known, &service)?;
    spec.check_policy(&policy).map_err(|error| unsuited("bad_value", &error))?;
    let place = known.previews.place().await?;
    let past = past(&known, &service, asked, spec.objective).await?;
    let host = host(&known, service, &status).await?;
    let compute = move || {
        let _place = place;
        let until = Instant::now() + COMPUTES;
        let (policy, stretch) = (&policy, &past.stretch);
        let question = Question { spec: &spec, policy, stretch, host: &host, seed: SEED };
        let preview = simulation::preview::preview(&question, || Instant::now() < until)?;
        Ok(past.beside(policy, preview))
    };
    let preview: Result<_, PreviewError> =
        tokio::task::spawn_blocking(compute).await.map_err(|error| Problem::internal(&error))?;
    preview.map(Json).map_err(|error| refused(&error))
}

/// Of what time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Minutes(usize),
    Hours(usize),
}

impl Asked {
    fn of(fields: &mut Fields) -> Result<Self, Problem> {
        let minutes = fields.given("minutes", MINUTES_MAX)?;
        let hours = fields.given("hours", HOURS_MAX)?;
        match (minutes, hours) {
            (Some(_), Some(_)) => {
                Err(bad("minutes and hours are given: give the one or the other."))
            }
            (_, Some(hours)) => Ok(Self::Hours(hours)),
            (minutes, None) => Ok(Self::Minutes(minutes.unwrap_or(MINUTES))),
        }
    }

    const fn grain(self) -> (Grain, Step) {
        match self {
            Self::Minutes(_) => (Grain::Second, Step::Second),
            Self::Hours(_) => (Grain::Minute, Step::Minute),
        }
    }

    const fn steps(self) -> usize {
        match self {
            Self::Minutes(minutes) => minutes * 60,
            Self::Hours(hours) => hours * 60,
        }
    }
}

/// The service as decisions read it, with the bounds in force, and how it is.
fn described(
    known: &Known,
    service: &ServiceName,
) -> Result<(ServiceSpec, ServiceStatus), Problem> {
    let Some(status) = known.now.one(service) else {
        return Err(match known.now.seen() {
            Seen::Now => no_such_service(service.as_str()),
            Seen::Away(_) => scaler_away(),
        });
    };
    let terms = known.now.terms(service).ok_or_else(|| {
        let message = "The scaler does not say what decisions read of a service's file: it is of an earlier release. Run \
                       `bellows up`.";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "scaler_older", message)
    })?;
    let spec = policy::terms::spec(&terms).map_err(|error| Problem::internal(&error))?;
    let objective = Duration::from_millis(status.objective_ms);
    Ok((ServiceSpec { bounds: status.bounds, objective, ..spec }, status))
}

/// What was observed and answered, up to the last step that the history has. Those before the first one are not there.
async fn past(
    known: &Known,
    service: &ServiceName,
    asked: Asked,
    objective: Duration,
) -> Result<Past, Problem> {
    let ((grain, step), count) = (asked.grain(), asked.steps());
    let length = step.seconds();
    let span = (now_s().saturating_sub(length * (count as u64 + 2)), u64::MAX >> 1);
    // The newest may be still to come, and what is asked for is as long as it is.
    let points = known.history.service_series(service.clone(), step, span, count + 4).await;
    let points = points.map_err(unread)?;
    let Some((last, _)) = points.last() else {
        let stretch = Stretch::new(Timestamp::default(), grain, Vec::new());
        return Ok(Past { stretch, answers: BTreeMap::new(), objective });
    };
    let from = last.saturating_sub(length * (count as u64 - 1));
    let mut steps = vec![Observed::default(); count];
    let mut answers = BTreeMap::new();
    for (second, point) in points.iter().filter(|(second, _)| *second >= from) {
        let index = usize::try_from((second - from) / length).unwrap_or(usize::MAX);
        if let Some(step) = steps.get_mut(index) {
            *step = observed(point);
            answers.insert(Timestamp::from_millis(second * 1000), point.answers.clone());
        }
    }
    let stretch = Stretch::new(Timestamp::from_millis(from * 1000), grain, steps);
    Ok(Past { stretch, answers, objective })
}

fn observed(point: &ServicePoint) -> Observed {
    let of = |measure| point.figure(measure).mean();
    let phases = [Measure::Starting, Measure::Ready, Measure::Draining, Measure::Failed];
    Observed {
        offered_rps: of(Measure::OfferedRps),
        queued: of(Measure::Queued),
        served_rps: of(Measure::ServedRps),
        in_flight: of(Measure::InFlight),
        cpu_cores: of(Measure::CpuCores),
        ready: of(Measure::Ready),
        instances: phases.into_iter().map(of).sum(),
    }
}

/// What is known of the host: by the last turn, and by launches of the last day.
async fn host(
    known: &Known,
    service: ServiceName,
    status: &ServiceStatus,
) -> Result<HostFacts, Problem> {
    let wanted = Wanted { since: None, service: Some(service), limit: LAUNCHES_OF };
    let (ticks, _) = known.history.changed(wanted, None).await.map_err(unread)?;
    let last = status.tick.as_ref();
    let room = last.and_then(|tick| tick.room);
    let phases = status.phases;
    let there = phases.starting + phases.ready + phases.draining + phases.failed;
    Ok(HostFacts {
        launches: ticks.iter().flat_map(launches).collect(),
        parallel_launches: room.map(|room| room.launches.saturating_add(phases.starting)),
        most_instances: room.map(|room| room.memory.saturating_add(there)),
        cores: last.and_then(|tick| tick.observation.host_cpu).map(|host| host.cores),
    })
}

/// How long the launches took that ended well. One with a release command says nothing of others.
fn launches(tick: &Tick) -> impl Iterator<Item = Duration> {
    let done = tick.done.iter().filter(|done| {
        done.kind == ActionKind::Clone && done.error.is_none() && done.release.is_none()
    });
    done.map(|done| done.finished_at.since(done.planned_at))
}

fn refused(error: &PreviewError) -> Problem {
    match error {
        PreviewError::NoRequests(invalid) => unsuited("no_requests", invalid),
        PreviewError::Policy(invalid) => unsuited("bad_value", invalid),
        PreviewError::NothingKnown => {
            let message = "Nothing is known of its load in that time: GET /v1/history says what is kept, and since when.";
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "nothing_known", message)
        }
        PreviewError::GivenUp => {
            let message = format!(
                "It takes more than {} s to compute: ask for fewer minutes or hours.",
                COMPUTES.as_secs()
            );
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "takes_too_long", message)
        }
        PreviewError::Simulation(fault) => Problem::internal(fault),
    }
}

fn unsuited(code: &'static str, invalid: &model::value::Invalid) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, invalid.to_string())
}

/// Seconds since 1970.
fn now_s() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}
