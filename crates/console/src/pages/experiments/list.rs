//! What was tried, which two of it are compared, and what can be.

use super::super::table::UNKNOWN;
use maud::{Markup, html};
use model::output::harmless;

use super::super::event::moment;
use super::super::view::View;
use super::{form, policy};
use crate::api::experiments::{Listed, Progress};
use crate::experiments::Scenarios;

pub(super) fn of(listed: &[Listed]) -> Markup {
    html! {
        h2 { "What was tried" }
        @if listed.is_empty() {
            p { "Nothing yet." }
        } @else {
            div.scroll tabindex="0" role="region" aria-label="Experiments" {
                table.stacks {
                    thead {
                        tr {
                            th scope="col" { "Begun" }
                            th scope="col" { "Scenario" }
                            th scope="col" { "Service" }
                            th scope="col" { "Policy" }
                            th.n scope="col" { "Runs" }
                            th scope="col" { "State" }
                            th.n scope="col" { "Outside the objective" }
                            th.n scope="col" { "p99" }
                            th.n scope="col" { "Instance-seconds" }
                        }
                    }
                    tbody { @for one in listed { (row(one)) } }
                }
            }
            p.hint { "Of several runs the medians of those that were not interrupted. Percentiles are of good answers, from the moment each request was due." }
            (compare(listed))
        }
    }
}

fn row(one: &Listed) -> Markup {
    let Listed { record, figures, .. } = one;
    let asked = &record.experiment;
    html! {
        tr id={ "experiment-" (record.id) } {
            th scope="row" { a href={ "/experiments/" (record.id) } { (moment(record.begun_at)) } }
            td data-label="Scenario" { (asked.scenario.as_str()) @if asked.time_factor < 1.0 { small { "at " (asked.time_factor) " of its length" } } }
            td data-label="Service" { a href={ "/services/" (record.service) } { (record.service) } }
            td data-label="Policy" { (asked.policy.as_deref().unwrap_or("as it was")) }
            td.n data-label="Runs" { (asked.runs) }
            td.wide { (state(one)) }
            td.n data-label="Outside the objective" { (figure(figures.outside_objective_percent, "%")) }
            td.n data-label="p99" { (figure(figures.p99_ms, "ms")) }
            td.n data-label="Instance-seconds" { (figure(figures.instance_seconds, "s")) }
        }
    }
}

/// A figure with its unit, if it is known.
fn figure(value: Option<f64>, unit: &str) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), |value| run::numbers::with_unit(Some(value), unit))
}

fn state(one: &Listed) -> Markup {
    let verdict = one.record.outcome.as_ref();
    html! {
        (health(one.state, verdict.map(|it| it.is_well)))
        @if let Some(verdict) = verdict { small { (harmless(&verdict.verdict)) } }
    }
}

/// How far it has come, in a word.
pub(in super::super) fn health(state: Progress, is_well: Option<bool>) -> Markup {
    let (class, word) = match (state, is_well) {
        (Progress::UnderWay, _) => ("warn", "under way"),
        (Progress::Ended, Some(true)) => ("good", "well"),
        (Progress::Ended, _) => ("bad", "failed"),
        (Progress::CutOff, _) => ("bad", "cut off"),
        (Progress::Unknown, _) => ("quiet", "not known"),
    };
    html! { span.health.(class) { (word) } }
}

/// Two of them are chosen without a script; the newer of the last two against the older, until others are.
fn compare(listed: &[Listed]) -> Markup {
    let over: Vec<&Listed> =
        listed.iter().filter(|it| !matches!(it.state, Progress::UnderWay)).collect();
    html! {
        @if over.len() > 1 {
            h2 { "Compare two" }
            form action="/experiments/compare" {
                div.controls {
                    label { "This " (choice("of", &over, 0)) }
                    label { "with " (choice("with", &over, 1)) }
                    button { "Compare" }
                }
            }
        }
    }
}

fn choice(name: &str, over: &[&Listed], chosen: usize) -> Markup {
    html! {
        select name=(name) {
            @for (index, one) in over.iter().enumerate() {
                @let record = &one.record;
                option id={ (name) "-" (record.id) } value=(record.id) selected[index == chosen] {
                    (record.experiment.scenario.as_str()) " at " (record.service) ", " (policy(&record.experiment)) ", "
                    (run::numbers::moment(record.begun_at.as_millis()))
                }
            }
        }
    }
}

pub(super) fn scenarios(scenarios: &Scenarios, view: &View) -> Markup {
    let is_there = |service| view.service(service).is_some();
    html! {
        @if !scenarios.scenarios().is_empty() {
            h2 { "Scenarios" }
            div.scroll tabindex="0" role="region" aria-label="Scenarios" {
                table.stacks {
                    thead { tr { th scope="col" { "Scenario" } th scope="col" { "What it offers" } th scope="col" { "Service" } th scope="col" { "Its load takes" } } }
                    tbody {
                        @for it in scenarios.scenarios() {
                            tr {
                                th scope="row" { (it.name.as_str()) }
                                td.wide { (it.description) }
                                td data-label="Service" {
                                    @if is_there(&it.service) { a href={ "/services/" (it.service) } { (it.service) } }
                                    @else { (it.service) small { "is not deployed" } }
                                }
                                td data-label="Its load takes" { (form::length(it)) }
                            }
                        }
                    }
                }
            }
        }
    }
}
