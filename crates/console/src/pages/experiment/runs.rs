//! Each run of an experiment: its chart, its limits, its conditions, and the files that it left.

use std::collections::BTreeMap;

use maud::{Markup, html};
use model::output::harmless;
use model::time::Timestamp;
use run::summary::Summary;

use super::super::event::moment;
use super::Told;
use crate::experiments::{Measured, MeasuredRun, ResultFile, RunName};

pub(super) fn all(told: &Told) -> Markup {
    html! {
        @if told.has_report {
            p {
                a data-file href={ "/v1/experiments/" (told.record.id) "/report" } { "The report" }
                ", a page that says all this with every decision; it is shown as a page of nobody, since a program without rights wrote it."
            }
        }
        @for run in told.runs.iter() { (one(told, run)) }
    }
}

fn one(told: &Told, run: &MeasuredRun) -> Markup {
    html! {
        div.run id={ "run-" (run.name) } {
            h2 { (title(run.name)) }
            @match &run.measured {
                Err(problem) => p.bad { "What it measured cannot be shown: " (problem) "." },
                Ok(measured) => (whole(told, run.name, measured)),
            }
        }
    }
}

/// What a run is called, for people.
pub(super) fn title(name: RunName) -> String {
    match (name.way, name.number) {
        (None, None) => "The run".to_owned(),
        (None, Some(number)) => format!("Run {number}"),
        (Some(way), None) => format!("The run with membership {}", way.word()),
        (Some(way), Some(number)) => format!("Run {number} with membership {}", way.word()),
    }
}

fn whole(told: &Told, name: RunName, measured: &Measured) -> Markup {
    let Measured { summary, unread, .. } = measured;
    html! {
        p { (summary.told()) }
        (warnings(summary))
        @for problem in unread { p.bad { (problem) ". Figures that need it are not known." } }
        (chart(told, name))
        details {
            summary { "Conditions" }
            dl.conditions { @for (name, value) in conditions(summary) { div { dt { (harmless(&name)) } dd { (harmless(&value)) } } } }
        }
        p {
            "Its load began " (moment(Timestamp::from_millis(summary.started_at_ms))) " ("
            a href={ "/services/" (told.record.service) "/why?at=" (summary.started_at_ms) } { "why then" }
            "). Files: "
            @for (index, file) in ResultFile::OF_RUN.into_iter().enumerate() {
                @if index > 0 { ", " }
                a data-file href=(address(told, name, file)) { (file.name()) }
            }
        }
    }
}

/// What a reader has to know before he trusts the figures.
pub(super) fn warnings(summary: &Summary) -> Markup {
    html! {
        @for broken in summary.limits.broken() { p.bad { "A limit of the scenario did not hold: " (broken) "." } }
        @if summary.interrupted { p.warn { "It was interrupted: its load is not the whole scenario." } }
        @if summary.generator.bottleneck { p.warn { "The load generator was the bottleneck: the figures say more of it than of the service." } }
    }
}

/// The picture of a run. Where there is none, its text says so.
pub(super) fn chart(told: &Told, name: RunName) -> Markup {
    let text = format!(
        "{}: requests, instances and latency over time; the figures on this page say it in numbers",
        title(name)
    );
    html! { img.run-chart src=(address(told, name, ResultFile::Chart)) alt=(text) loading="lazy"; }
}

fn address(told: &Told, name: RunName, file: ResultFile) -> String {
    format!("/v1/experiments/{}/runs/{name}/{}", told.record.id, file.name())
}

fn conditions(summary: &Summary) -> BTreeMap<String, String> {
    let mut conditions = summary.conditions.clone();
    conditions.insert("seed".to_owned(), summary.seed.to_string());
    conditions.insert(
        "objective".to_owned(),
        format!("99% within {} ms, none failed", summary.objective_ms),
    );
    conditions.insert(
        "load".to_owned(),
        format!(
            "{} s after {} s of warm-up",
            run::numbers::number(summary.duration_s),
            run::numbers::number(summary.warm_up_s)
        ),
    );
    conditions
}
