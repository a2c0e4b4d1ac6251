//! One instance: what it is, what it did in the last half hour, and what it wrote; and of one that is gone, what is kept.

use explain::words::age;
use maud::{Markup, html};
use model::instance::InstanceStatus;
use model::names::{InstanceName, ServiceName};
use model::output::harmless;
use model::time::Timestamp;

use super::event::moment;
use super::table::{UNKNOWN, known, mean, memory};
use super::view::{Asked, View};
use super::{Region, event, frame, instances, logs, now};
use crate::api::Known;
use crate::events::Event;
use crate::history::{ReadError, Step, Wanted};
use crate::series::figure::Figure;
use crate::series::point::InstancePoint;
use crate::watch::Seen;

/// How far back its minutes are shown.
const MINUTES: u64 = 30;

/// Events of the service that are looked through for those of the instance.
const EVENTS: usize = 1_000;

/// What the history has of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Answers {
    /// Its last minutes, oldest first, by their first second.
    minutes: Vec<(u64, InstancePoint)>,
    /// What happened to it, the newest first.
    events: Vec<Event>,
    /// Why that is not known.
    problem: Option<&'static str>,
}

impl Answers {
    /// Asks the history for both.
    pub(super) async fn of(instance: &InstanceName, known: &Known) -> Self {
        Self::read(instance, known).await.unwrap_or_else(|_| Self {
            problem: Some("The history could not be read, or is busy."),
            ..Self::default()
        })
    }

    /// Whether the history was read and has nothing of it.
    fn is_nothing(&self) -> bool {
        self.minutes.is_empty() && self.events.is_empty() && self.problem.is_none()
    }

    async fn read(instance: &InstanceName, known: &Known) -> Result<Self, ReadError> {
        let second = now().as_millis() / 1000;
        let span = ((second / 60).saturating_sub(MINUTES) * 60, second);
        let service = Some(instance.service().clone());
        let wanted = Wanted { service, ..Wanted::newest(EVENTS) };
        let (minutes, events) = tokio::try_join!(
            known.history.instance_series(instance.clone(), Step::Minute, span, EVENTS),
            known.history.events(wanted, None),
        )?;
        let own = events.into_iter().rev().map(Event::from);
        let own = own.filter(|event| event.happened.instance() == Some(instance));
        Ok(Self { minutes, events: own.collect(), problem: None })
    }
}

pub(super) fn regions(instance: &InstanceName, view: &View) -> Vec<Region> {
    let service = instance.service();
    if view.seen == Seen::Now && view.service(service).is_none() {
        return vec![frame::missing(service.as_str())];
    }
    let Asked::Instance(kept) = &view.asked else { return Vec::new() };
    let status = view.service(service);
    let status = status.and_then(|it| it.instances.iter().find(|it| it.name == *instance));
    let told = match status {
        Some(status) => facts(status, view),
        None => gone(instance, kept, view),
    };
    let mut regions = vec![Region { id: "instance", html: told }];
    if status.is_some() || !kept.is_nothing() {
        regions.push(Region { id: "charts", html: charts(instance) });
        regions.push(Region { id: "minutes", html: minutes(&kept.minutes) });
    }
    let lines = html! { h2 { "Its last lines" } (logs::of_instance(instance)) };
    regions.push(Region { id: "logs", html: lines });
    regions.push(Region { id: "events", html: events(kept) });
    regions
}

/// What it is, and what it did in the last second.
fn facts(status: &InstanceStatus, view: &View) -> Markup {
    let now_ms = view.at.as_millis();
    let second = view.seconds.get(status.name.service());
    let point = second.and_then(|row| row.instances.iter().find(|it| it.name == status.name));
    let of = |figure: fn(&InstancePoint) -> Figure| mean(point.map(figure));
    let version = status.version.map_or_else(|| UNKNOWN.to_owned(), |it| it.to_string());
    let figures = [
        ("Age", age(status.name.birth().as_millis(), now_ms)),
        ("In this phase for", age(status.since.as_millis(), now_ms)),
        ("Address", status.address.to_string()),
        ("Slot", status.slot.to_string()),
        ("Version", version),
        ("Requests/s", of(|it| it.requests_rps)),
        ("In flight", of(|it| it.in_flight)),
        ("CPU cores", of(|it| it.cpu_cores)),
        ("Memory", memory(view.memory.get(&status.name).copied())),
    ];
    html! {
        p.lead { (instances::phase(status)) }
        dl.figures { @for (name, value) in figures { div { dt { (name) } dd { (value) } } } }
        p { (instances::remove(status)) }
    }
}

/// What is to be known of one that is not there, or of which nobody knows whether it is.
fn gone(instance: &InstanceName, kept: &Answers, view: &View) -> Markup {
    let last = kept.minutes.last().map(|(second, _)| Timestamp::from_millis((second + 60) * 1000));
    html! {
        p.lead {
            @match &view.seen {
                Seen::Away(_) => "Whether it is there is not known now.",
                Seen::Now if kept.is_nothing() => "There is none of this name, and nothing that is kept tells that there was.",
                Seen::Now => { span.health.quiet { "gone" } " It is not there any more." }
            }
        }
        p {
            @if !kept.is_nothing() { "It was planned at " (moment(instance.birth())) ". " }
            @if let Some(last) = last { "The last minute that is kept of it ended at " (moment(last)) ". " }
            a href={ "/services/" (instance.service()) } { "The instances that there are" }
        }
    }
}

/// Where scripts draw.
fn charts(instance: &InstanceName) -> Markup {
    html! {
        div #chart data-service=(instance.service()) data-instance=(instance) hidden {
            h2 { "Each of the last 30 minutes" }
            div #plots.plots {}
        }
    }
}

/// The same in figures, which is all that there is without scripts.
fn minutes(minutes: &[(u64, InstancePoint)]) -> Markup {
    html! {
        details {
            summary { "Minute by minute" }
            @if minutes.is_empty() {
                p { "No minute of the last 30 is kept of it. One is once it is over." }
            } @else {
                div.scroll tabindex="0" role="region" aria-label="Minute by minute" {
                    table {
                        thead {
                            tr {
                                th scope="col" { "From" }
                                th.n scope="col" { "CPU, cores on average" }
                                th.n scope="col" { "CPU, seconds in all" }
                                th.n scope="col" { "Requests/s on average" }
                                th.n scope="col" { "Requests in all" }
                            }
                        }
                        tbody { @for (second, point) in minutes.iter().rev() { (minute(*second, point)) } }
                    }
                }
            }
        }
    }
}

fn minute(second: u64, point: &InstancePoint) -> Markup {
    let sum = |figure: Figure| known(figure.sum_over(Step::Minute.seconds()));
    html! {
        tr {
            td { (moment(Timestamp::from_millis(second * 1000))) }
            td.n { (mean(Some(point.cpu_cores))) }
            td.n { (sum(point.cpu_cores)) }
            td.n { (mean(Some(point.requests_rps))) }
            td.n { (sum(point.requests_rps)) }
        }
    }
}

fn events(kept: &Answers) -> Markup {
    html! {
        h2 { "What happened to it" }
        @match kept.problem {
            Some(problem) => p.bad { (problem) },
            None if kept.events.is_empty() => p { "Nothing that is kept." },
            None => (event::list(kept.events.iter(), false)),
        }
    }
}

/// What is said where the name is none of an instance of the service.
pub(super) fn missing(service: &ServiceName, what: &str) -> Region {
    let html = html! {
        p { code { (harmless(what)) } " is no instance of " (service) ". " a href={ "/services/" (service) } { "Those that there are" } }
    };
    Region { id: "missing", html }
}
