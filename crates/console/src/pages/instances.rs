//! The instances of a service, a line each.

use explain::words::age;
use maud::{Markup, html};
use model::instance::{InstanceStatus, Phase};
use model::status::ServiceStatus;

use super::table::{UNKNOWN, mean, memory};
use super::view::View;
use crate::series::point::InstancePoint;

pub(super) fn table(status: &ServiceStatus, view: &View) -> Markup {
    html! {
        h2 { "Instances" }
        @if status.instances.is_empty() {
            p { "There is none now." }
        } @else {
            div.scroll tabindex="0" role="region" aria-label="Instances" {
                table {
                    thead {
                        tr {
                            th scope="col" { "Instance" }
                            th scope="col" { "Phase" }
                            th scope="col" { "Age" }
                            th scope="col" { "Address" }
                            th scope="col" { "Version" }
                            th.n scope="col" { "Requests/s" }
                            th.n scope="col" { "In flight" }
                            th.n scope="col" { "CPU" }
                            th.n scope="col" title="What it needs: without the pages of files that nobody used lately" { "Memory" }
                            th scope="col" { span.hidden { "Change" } }
                        }
                    }
                    tbody { @for instance in &status.instances { (row(instance, status, view)) } }
                }
            }
        }
    }
}

fn row(instance: &InstanceStatus, status: &ServiceStatus, view: &View) -> Markup {
    let second = view.seconds.get(&status.name);
    let point = second.and_then(|row| row.instances.iter().find(|it| it.name == instance.name));
    let of = |figure: fn(&InstancePoint) -> _| mean(point.map(figure));
    let page = format!("/services/{}/instances/{}", status.name, instance.name);
    html! {
        tr id=(instance.name) {
            th scope="row" { a href=(page) { code { (instance.name) } } }
            td { (phase(instance)) }
            td { (age(instance.name.birth().as_millis(), view.at.as_millis())) }
            td { code { (instance.address) } }
            td { @match instance.version { Some(version) => code { (version) }, None => (UNKNOWN) } }
            td.n { (of(|it| it.requests_rps)) }
            td.n { (of(|it| it.in_flight)) }
            td.n { (of(|it| it.cpu_cores)) }
            td.n { (memory(view.memory.get(&instance.name).copied())) }
            td { (remove(instance)) }
        }
    }
}

/// What has an instance removed, unless that was asked for already.
pub(super) fn remove(instance: &InstanceStatus) -> Markup {
    let path = format!("/v1/services/{}/instances/{}", instance.name.service(), instance.name);
    html! {
        @if !instance.to_be_removed {
            button type="button" data-needs-scripts hidden data-method="DELETE" data-path=(path)
                data-confirm={ "Remove " (instance.name) "? It finishes its requests, and another takes its place where one has to." }
                { "Remove" }
        }
    }
}

/// What it is doing, in a word with its colour.
pub(super) fn phase(instance: &InstanceStatus) -> Markup {
    let word: &'static str = instance.phase.into();
    let class = match instance.phase {
        Phase::Ready => "good",
        Phase::Starting => "warn",
        Phase::Draining => "quiet",
        Phase::Failed => "bad",
    };
    html! { span.health.(class) { (word) } @if instance.to_be_removed { " to be removed" } }
}
