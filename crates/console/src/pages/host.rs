//! The machine: what it has, what of that instances may take, what runs on it for them, and what is wrong with it.

use explain::words::{age, figure};
use maud::{Markup, html};
use model::machine::{
    Check, Disk, DoctorStatus, HaproxyStatus, MachineRoom, MachineStatus, Memory, Processors,
};
use model::network::NetworkStatus;
use serde_json::json;

use super::cost::{self, Ledger};
use super::event::moment;
use super::launches::{self, Launch};
use super::table::UNKNOWN;
use super::view::{Asked, View};
use super::{Region, frame};
use crate::api::Known;
use crate::api::asker::Asker;

/// What has to be said by who has everything taken down.
const STOP: &str = "stop everything";

/// What the page asks for.
#[derive(Debug, Clone)]
pub(super) struct Answers {
    machine: Result<MachineStatus, String>,
    doctor: Result<DoctorStatus, String>,
    launches: Vec<Launch>,
    ledger: Ledger,
}

impl Answers {
    /// Asks the scaler, and the history.
    pub(super) async fn of(known: &Known, asker: &Asker) -> Self {
        let (machine, doctor, launches, ledger) = tokio::join!(
            known.upstream.get_recent("/v1/host", asker.secret()),
            known.upstream.get_recent("/v1/host/doctor", asker.secret()),
            launches::last(known, asker),
            cost::ask(known, asker),
        );
        let told = |problem: service::problem::Problem| problem.message().to_owned();
        Self { machine: machine.map_err(told), doctor: doctor.map_err(told), launches, ledger }
    }
}

pub(super) fn regions(view: &View) -> Vec<Region> {
    let Asked::Host(answers) = &view.asked else { return Vec::new() };
    let machine = match &answers.machine {
        Ok(status) => machine(status),
        Err(problem) => frame::unanswered(problem),
    };
    let doctor = match &answers.doctor {
        Ok(status) => doctor(status),
        Err(problem) => frame::unanswered(problem),
    };
    let name = answers.machine.as_ref().ok().and_then(|it| it.name.as_deref());
    vec![
        Region { id: "machine", html: machine },
        Region { id: "doctor", html: html! { h2 { "What the doctor finds" } (doctor) } },
        Region { id: "launches", html: launches::table(&answers.launches) },
        Region { id: "ledger", html: cost::table(&answers.ledger) },
        Region { id: "controls", html: controls(name) },
    ]
}

fn machine(status: &MachineStatus) -> Markup {
    html! {
        p.lead {
            @if let Some(name) = &status.name { strong { (name) } " runs " } @else { "It runs " }
            "Bellows " (status.release) ", its scaler for " (age(status.since.as_millis(), status.at.as_millis())) "."
        }
        dl.figures {
            (processors(status.processors.as_ref()))
            (memory(status.memory.as_ref()))
            (disk(status.disk.as_ref()))
        }
        h2 { "For instances" }
        @match &status.room {
            Some(of_instances) => (room(of_instances)),
            None => p { "The scaler has not taken a turn yet." },
        }
        h2 { "HAProxy" }
        @match &status.haproxy {
            Some(balancer) => (haproxy(balancer, status)),
            None => p.bad { "It does not answer. " code { "bellows status" } " on the host says whether it runs." },
        }
        h2 { "Firewall of the instances" }
        (firewall(&status.network))
    }
}

fn cell(name: &str, value: &str) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

fn processors(told: Option<&Processors>) -> Markup {
    let cores = told.map_or_else(|| UNKNOWN.to_owned(), |told| told.cores.to_string());
    let load = |told: &Processors| told.load.map(|load| figure(f64::from(load))).join(" / ");
    let load = told.map_or_else(|| UNKNOWN.to_owned(), load);
    html! { (cell("Cores", &cores)) (cell("Load of 1 / 5 / 15 min", &load)) }
}

fn memory(told: Option<&Memory>) -> Markup {
    let value = told.map_or_else(
        || UNKNOWN.to_owned(),
        |told| {
            let available = told.available_mib.map_or_else(|| UNKNOWN.to_owned(), amount);
            format!("{available} of {}", amount(told.total_mib))
        },
    );
    cell("Memory available", &value)
}

fn disk(told: Option<&Disk>) -> Markup {
    let value = told.map_or_else(
        || UNKNOWN.to_owned(),
        |told| format!("{} of {}", amount(told.free_mib), amount(told.total_mib)),
    );
    let name =
        told.map_or_else(|| "Disk".to_owned(), |told| format!("Disk free at {}", told.folder));
    cell(&name, &value)
}

/// An amount of memory or disk.
fn amount(mib: u64) -> String {
    // A GiB has 1,024 MiB; below ten of them MiB say more.
    match mib {
        0..10_240 => format!("{mib} MiB"),
        _ => format!("{} GiB", figure(u32::try_from(mib / 1024).map_or(f64::MAX, f64::from))),
    }
}

fn room(room: &MachineRoom) -> Markup {
    let held = room.memory_mib.saturating_sub(room.left_mib);
    let slots = room.slots_used + room.slots_free;
    html! {
        dl.figures {
            (cell("Memory that they may take", &amount(room.memory_mib)))
            (cell("Taken by those there are", &amount(held)))
            (cell("Kept for lower bounds", &amount(room.promised_mib)))
            (cell("Left for others", &amount(room.left_mib.saturating_sub(room.promised_mib))))
            (cell("Slots used", &format!("{} of {slots}", room.slots_used)))
        }
        @if room.slots_withheld > 0 {
            p {
                (room.slots_withheld) " of the free slots are kept from other services than had them last, while a worker of HAProxy \
                that a reload replaced may still send there."
            }
        }
    }
}

fn haproxy(told: &HaproxyStatus, status: &MachineStatus) -> Markup {
    html! {
        dl.figures {
            (cell("Version", &told.version))
            (cell("Runs for", &age(told.since.as_millis(), status.at.as_millis())))
            (cell("Reloads", &told.reloads.to_string()))
            (cell("Old workers", &told.old_workers.to_string()))
            (cell("Connections", &format!("{} of {}", told.connections, told.connections_max)))
        }
    }
}

fn firewall(network: &NetworkStatus) -> Markup {
    html! {
        @match &network.trouble {
            Some(trouble) => p.bad { "Its rules cannot be held: " (trouble) },
            None => p { span.health.good { "in place" } },
        }
        @if let Some(last) = &network.last {
            p {
                "Its rules were put back " (network.put_back) " times since the scaler started, the last time "
                (moment(last.at)) ", when they were " (last.drift) "."
            }
        }
    }
}

fn doctor(told: &DoctorStatus) -> Markup {
    let Some(at) = told.at else {
        return html! { p { "It looks for the first time since the scaler started: look again in a few seconds." } };
    };
    let (well, ill): (Vec<_>, Vec<_>) = told.checks.iter().partition(|check| check.is_well);
    html! {
        p {
            "As of " (moment(at)) ": "
            @if told.checks.is_empty() { "nothing." }
            @else if ill.is_empty() { "all " (well.len()) " checks are well." }
            @else { (ill.len()) " of " (told.checks.len()) " checks failed." }
        }
        @if let Some(problem) = &told.problem { p.bad { "It did not come to its end: " (model::output::harmless(problem)) } }
        @if !told.checks.is_empty() {
            div.scroll tabindex="0" role="region" aria-label="What the doctor finds" {
                table.stacks {
                    thead { tr { th scope="col" { "Check" } th scope="col" { "" span.hidden { "Verdict" } } th scope="col" { "Found" } th scope="col" { "Cure" } } }
                    tbody { @for check in ill.into_iter().chain(well) { (finding(check)) } }
                }
            }
        }
    }
}

fn finding(check: &Check) -> Markup {
    html! {
        tr {
            th scope="row" { (check.check) }
            td { @if check.is_well { span.health.good { "well" } } @else { span.health.bad { "failed" } } }
            td.wide { (model::output::harmless(&check.found)) }
            td.wide { @if let Some(cure) = &check.cure { code { (model::output::harmless(cure)) } } }
        }
    }
}

/// The end of all. Where it is not known what the host is called, the word of the API is typed.
fn controls(name: Option<&str>) -> Markup {
    html! {
        div.controls data-needs-scripts hidden {
            button.danger type="button" data-method="POST" data-path="/v1/stop"
                data-body=(json!({ "confirm": STOP }))
                data-confirm="Every instance, HAProxy, the scaler and this console end, as by `bellows down`. Services answer nothing until `bellows up` is run on the host. What is stored stays."
                data-type=(name.unwrap_or(STOP))
                { "Stop everything" }
        }
    }
}
