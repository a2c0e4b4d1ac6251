//! What Prometheus reads. A figure that is not known has no line: 0 would be a value.

mod responses;

use std::fmt;
use std::sync::atomic::AtomicU64;

use model::instance::PhaseCounts;
use model::status::{HostStatus, ServiceStatus};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use strum::IntoEnumIterator as _;

use crate::events::Event;
use crate::history::Status;
use crate::notify::{Episode, Outcome};
pub use responses::Responses;

/// The type of what [`text`] writes.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Figures<L> = Family<L, Gauge<f64, AtomicU64>>;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfService {
    service: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPhase {
    service: String,
    phase: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfKind {
    service: String,
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfReceiver {
    receiver: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfOutcome {
    receiver: String,
    outcome: &'static str,
}

/// Of episodes, and of the messages that tell of them.
#[derive(Debug, Clone, Default)]
pub struct Notified {
    ready: Gauge,
    episodes: Family<OfKind, Gauge>,
    messages: Family<OfOutcome, Counter>,
    waiting: Family<OfReceiver, Gauge>,
}

impl Notified {
    /// Makes the figures and enters them into `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let own = Self::default();
        let help = "Whether it is known whom to tell of episodes (1), or nobody is told (0)";
        registry.register("bellows_notify_ready", help, own.ready.clone());
        let help = "Episodes that go on (1), by service (empty for the whole host) and kind";
        registry.register("bellows_episodes", help, own.episodes.clone());
        let help = "Messages that are done with since the console began, by receiver and outcome";
        registry.register("bellows_notify_messages", help, own.messages.clone());
        let help = "Messages that wait for a receiver";
        registry.register("bellows_notify_waiting", help, own.waiting.clone());
        own
    }

    /// These are all receivers, which may be none: nothing has come of a message yet.
    pub fn receivers<'a>(&self, labels: impl Iterator<Item = &'a str>) {
        self.ready.set(1);
        for label in labels {
            for outcome in Outcome::iter() {
                let label = OfOutcome { receiver: label.to_owned(), outcome: outcome.into() };
                drop(self.messages.get_or_create(&label));
            }
        }
    }

    /// This came of a message for a receiver.
    pub fn message(&self, receiver: &str, outcome: Outcome) {
        let label = OfOutcome { receiver: receiver.to_owned(), outcome: outcome.into() };
        self.messages.get_or_create(&label).inc();
    }

    /// So many messages wait for a receiver.
    pub fn waiting(&self, receiver: &str, count: usize) {
        let label = OfReceiver { receiver: receiver.to_owned() };
        self.waiting.get_or_create(&label).set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// These go on, and no others.
    pub fn episodes<'a>(&self, under_way: impl Iterator<Item = &'a Episode>) {
        self.episodes.clear();
        for episode in under_way {
            let service = episode.service.as_ref().map(ToString::to_string).unwrap_or_default();
            self.episodes.get_or_create(&OfKind { service, kind: episode.kind.word() }).set(1);
        }
    }
}

/// What is counted since the console began.
#[derive(Debug, Clone, Default)]
pub struct Counted {
    events: Family<OfKind, Counter>,
}

impl Counted {
    /// Makes the counters and enters them into `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let counted = Self::default();
        let help = "Events since the console began, by service (empty for the whole host) and kind";
        registry.register("bellows_events", help, counted.events.clone());
        counted
    }

    /// Counts an event.
    pub fn event(&self, event: &Event) {
        let service = event.service.as_ref().map(ToString::to_string).unwrap_or_default();
        self.events.get_or_create(&OfKind { service, kind: event.happened.kind() }).inc();
    }
}

/// What there is to say at this moment.
#[derive(Debug)]
pub struct Moment<'a> {
    /// What the scaler told last; `None` where it does not tell.
    pub host: Option<&'a HostStatus>,
    /// How the history does.
    pub history: &'a Status,
}

/// All metrics as text: those that are counted, in `registry`, and those of this moment.
///
/// # Errors
/// Text cannot be written, which memory always can.
pub fn text(registry: &Registry, moment: &Moment<'_>) -> Result<String, fmt::Error> {
    let mut text = String::new();
    encode_registry(&mut text, registry)?;
    encode_registry(&mut text, &of_moment(moment))?;
    encode_eof(&mut text)?;
    Ok(text)
}

fn of_moment(moment: &Moment<'_>) -> Registry {
    let mut registry = Registry::with_prefix("bellows");
    let up: Gauge = Gauge::default();
    up.set(moment.host.is_some().into());
    registry.register("scaler_up", "Whether the scaler tells what it does (1) or is away (0)", up);
    let used: Gauge = Gauge::default();
    used.set(i64::try_from(moment.history.used_bytes).unwrap_or(i64::MAX));
    let help = "What the history has in its file";
    registry.register_with_unit("history_used", help, Unit::Bytes, used);
    let missed = ConstCounter::new(moment.history.seconds_missed);
    let help = "Seconds since the console began that could not be written to the history";
    registry.register("history_missed_seconds", help, missed);
    let services = moment.host.map(|host| host.services.as_slice()).unwrap_or_default();
    phases(&mut registry, services);
    for (name, unit, help, figure) in FIGURES {
        let figures: Figures<OfService> = Family::default();
        for status in services {
            if let Some(value) = figure(status) {
                let label = OfService { service: status.name.to_string() };
                figures.get_or_create(&label).set(value);
            }
        }
        match unit {
            Some(unit) => {
                let unit = Unit::Other((*unit).to_owned());
                registry.register_with_unit(*name, *help, unit, figures);
            }
            None => registry.register(*name, *help, figures),
        }
    }
    registry
}

fn phases(registry: &mut Registry, services: &[ServiceStatus]) {
    let figures: Family<OfPhase, Gauge> = Family::default();
    for status in services {
        let PhaseCounts { starting, ready, draining, failed } = status.phases;
        let counts =
            [("starting", starting), ("ready", ready), ("draining", draining), ("failed", failed)];
        for (phase, count) in counts {
            let label = OfPhase { service: status.name.to_string(), phase };
            figures.get_or_create(&label).set(count.into());
        }
    }
    registry.register("service_instances", "Instances, by phase", figures);
}

type Read = fn(&ServiceStatus) -> Option<f64>;

/// A figure of a service: its name, its unit where the name does not say it, what it is, and where it stands.
const FIGURES: &[(&str, Option<&str>, &str, Read)] = &[
    ("service_offered", Some("requests_per_second"), "Load that is offered", |it| {
        it.tick.as_ref()?.observation.offered_rps
    }),
    ("service_served", Some("requests_per_second"), "Requests answered other than 5xx", |it| {
        it.tick.as_ref()?.observation.served_rps
    }),
    ("service_rejected", Some("requests_per_second"), "Requests answered 5xx", |it| {
        it.tick.as_ref()?.observation.rejected_rps
    }),
    ("service_queued", Some("requests"), "Requests that wait in the load balancer", |it| {
        it.tick.as_ref()?.observation.queued.map(f64::from)
    }),
    ("service_in_flight", Some("requests"), "Requests that instances work on", |it| {
        it.tick.as_ref()?.observation.in_flight.map(f64::from)
    }),
    ("service_cpu", Some("cores"), "CPU time that its instances use", |it| {
        it.tick.as_ref()?.observation.cpu_cores
    }),
    (
        "service_target",
        Some("instances"),
        "Ready instances decided on; none at a turn that holds",
        |it| it.tick.as_ref()?.target().map(f64::from),
    ),
    ("service_bounds_min", Some("instances"), "The lower bound in force", |it| {
        Some(it.bounds.min().into())
    }),
    ("service_bounds_max", Some("instances"), "The upper bound in force", |it| {
        Some(it.bounds.max().into())
    }),
    ("service_objective", Some("seconds"), "The objective of a request", |it| {
        Some(std::time::Duration::from_millis(it.objective_ms).as_secs_f64())
    }),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Happened;
    use crate::samples::{service_feed, tick};
    use model::decision::Reason;
    use model::time::Timestamp;

    fn history() -> Status {
        Status { used_bytes: 4096, size_bytes: 1, problem: None, aside: None, seconds_missed: 2 }
    }

    fn written(host: Option<&HostStatus>) -> String {
        let mut registry = Registry::default();
        let counted = Counted::register(&mut registry);
        let happened = Happened::LimitBegan { reason: Reason::AtMax };
        let service = Some("store".parse().unwrap());
        counted.event(&Event { at: Timestamp::default(), service, happened });
        text(&registry, &Moment { host, history: &history() }).unwrap()
    }

    #[test]
    fn every_figure_has_its_help_type_and_unit_and_what_is_not_known_has_no_line() {
        let mut status = service_feed("store", 1, &["bw-store-1-a"]).status;
        let mut tick = tick("store", 1);
        tick.observation.offered_rps = Some(12.5);
        status.tick = Some(tick);
        let host = HostStatus { services: vec![status], ..HostStatus::default() };
        let text = written(Some(&host));
        // The labels of one figure come in any order.
        let lines: Vec<_> = text.lines().filter(|line| !line.contains("phase=")).collect();
        assert_eq!(text.lines().count(), lines.len() + 4);
        assert!(text.contains("bellows_service_instances{service=\"store\",phase=\"ready\"} 1\n"));
        insta::assert_snapshot!(lines.join("\n"), @r#"
        # HELP bellows_events Events since the console began, by service (empty for the whole host) and kind.
        # TYPE bellows_events counter
        bellows_events_total{service="store",kind="limit_began"} 1
        # HELP bellows_scaler_up Whether the scaler tells what it does (1) or is away (0).
        # TYPE bellows_scaler_up gauge
        bellows_scaler_up 1
        # HELP bellows_history_used_bytes What the history has in its file.
        # TYPE bellows_history_used_bytes gauge
        # UNIT bellows_history_used_bytes bytes
        bellows_history_used_bytes 4096
        # HELP bellows_history_missed_seconds Seconds since the console began that could not be written to the history.
        # TYPE bellows_history_missed_seconds counter
        bellows_history_missed_seconds_total 2
        # HELP bellows_service_instances Instances, by phase.
        # TYPE bellows_service_instances gauge
        # HELP bellows_service_offered_requests_per_second Load that is offered.
        # TYPE bellows_service_offered_requests_per_second gauge
        # UNIT bellows_service_offered_requests_per_second requests_per_second
        bellows_service_offered_requests_per_second{service="store"} 12.5
        # HELP bellows_service_target_instances Ready instances decided on; none at a turn that holds.
        # TYPE bellows_service_target_instances gauge
        # UNIT bellows_service_target_instances instances
        bellows_service_target_instances{service="store"} 1.0
        # HELP bellows_service_bounds_min_instances The lower bound in force.
        # TYPE bellows_service_bounds_min_instances gauge
        # UNIT bellows_service_bounds_min_instances instances
        bellows_service_bounds_min_instances{service="store"} 1.0
        # HELP bellows_service_bounds_max_instances The upper bound in force.
        # TYPE bellows_service_bounds_max_instances gauge
        # UNIT bellows_service_bounds_max_instances instances
        bellows_service_bounds_max_instances{service="store"} 10.0
        # HELP bellows_service_objective_seconds The objective of a request.
        # TYPE bellows_service_objective_seconds gauge
        # UNIT bellows_service_objective_seconds seconds
        bellows_service_objective_seconds{service="store"} 0.25
        # EOF
        "#);
    }

    #[test]
    fn where_the_scaler_is_away_no_service_has_a_figure() {
        let text = written(None);
        assert!(text.contains("bellows_scaler_up 0\n"), "{text}");
        let lines = text.lines().filter(|line| line.starts_with("bellows_service"));
        assert_eq!(lines.count(), 0);
        assert!(text.ends_with("# EOF\n"));
    }
}
