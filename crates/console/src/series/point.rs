//! What is kept of a service and of its instances for one second or one minute.

use model::instance::Phase;
use model::names::{InstanceName, ServiceName};
use model::tick::Tick;

use super::answers::Answers;
use super::figure::Figure;

/// A figure of a service.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, strum::EnumIter, strum::EnumCount, strum::IntoStaticStr,
)]
#[strum(serialize_all = "snake_case")]
// Their order is that of the file: a new one goes to the end.
pub enum Measure {
    /// Load offered, in requests per second.
    OfferedRps,
    /// Requests served, per second.
    ServedRps,
    /// Requests answered 5xx, per second.
    RejectedRps,
    /// Requests that wait in the load balancer.
    Queued,
    /// Requests that instances work on.
    InFlight,
    /// CPU time that instances use, in cores.
    CpuCores,
    /// Instances that start.
    Starting,
    /// Instances in rotation.
    Ready,
    /// Instances that drain.
    Draining,
    /// Instances that are to be removed.
    Failed,
    /// The number of ready instances decided on; not known at a turn that holds.
    Target,
}

impl Measure {
    fn of(self, tick: &Tick) -> Option<f64> {
        let seen = &tick.observation;
        match self {
            Self::OfferedRps => seen.offered_rps,
            Self::ServedRps => seen.served_rps,
            Self::RejectedRps => seen.rejected_rps,
            Self::Queued => seen.queued.map(f64::from),
            Self::InFlight => seen.in_flight.map(f64::from),
            Self::CpuCores => seen.cpu_cores,
            Self::Starting => Some(seen.phases.starting.into()),
            Self::Ready => Some(seen.phases.ready.into()),
            Self::Draining => Some(seen.phases.draining.into()),
            Self::Failed => Some(seen.phases.failed.into()),
            Self::Target => tick.target().map(f64::from),
        }
    }
}

/// How many measures there are.
pub const MEASURES: usize = <Measure as strum::EnumCount>::COUNT;

/// A service over a span: how many turns were seen, what each measure was in them, and what was answered.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ServicePoint {
    /// Turns that were seen.
    pub turns: u32,
    /// The measures, in the order of [`Measure`].
    pub figures: [Figure; MEASURES],
    /// The answers that began.
    pub answers: Answers,
}

impl ServicePoint {
    /// One turn.
    pub fn of(tick: &Tick) -> Self {
        let mut figures = [Figure::default(); MEASURES];
        for (figure, measure) in
            figures.iter_mut().zip(<Measure as strum::IntoEnumIterator>::iter())
        {
            *figure = Figure::of(measure.of(tick));
        }
        Self { turns: 1, figures, answers: Answers::default() }
    }

    /// Takes in another span.
    pub fn merge(&mut self, other: &Self) {
        self.turns = self.turns.saturating_add(other.turns);
        for (figure, more) in self.figures.iter_mut().zip(&other.figures) {
            figure.merge(*more);
        }
        self.answers.merge(&other.answers);
    }

    /// One measure.
    pub fn figure(&self, measure: Measure) -> Figure {
        self.figures[measure as usize]
    }
}

/// An instance over a span.
#[derive(Debug, Clone, PartialEq)]
pub struct InstancePoint {
    /// The instance.
    pub name: InstanceName,
    /// What it was doing at the end.
    pub phase: Phase,
    /// CPU time that it used, in cores.
    pub cpu_cores: Figure,
    /// Requests that it worked on.
    pub in_flight: Figure,
    /// Requests that it was given, per second.
    pub requests_rps: Figure,
}

impl InstancePoint {
    /// Takes in a later span.
    pub fn merge(&mut self, later: &Self) {
        self.phase = later.phase;
        self.cpu_cores.merge(later.cpu_cores);
        self.in_flight.merge(later.in_flight);
        self.requests_rps.merge(later.requests_rps);
    }
}

/// A service and its instances over the span that begins at a second, since 1970.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The service.
    pub service: ServiceName,
    /// Where the span begins, in seconds since 1970.
    pub second: u64,
    /// The service.
    pub point: ServicePoint,
    /// Its instances, in the order of their names.
    pub instances: Vec<InstancePoint>,
}

/// The span of those rows of one service, in the order of time; `None` where there are none. So the seconds of a minute
/// become one, and a second that is not there has no weight in it.
pub fn merged<'a>(second: u64, rows: impl IntoIterator<Item = &'a Row>) -> Option<Row> {
    let mut rows = rows.into_iter();
    let mut all = Row { second, ..rows.next()?.clone() };
    for row in rows {
        all.point.merge(&row.point);
        for later in &row.instances {
            match all.instances.binary_search_by(|it| it.name.cmp(&later.name)) {
                Ok(at) => all.instances[at].merge(later),
                Err(at) => all.instances.insert(at, later.clone()),
            }
        }
    }
    Some(all)
}
