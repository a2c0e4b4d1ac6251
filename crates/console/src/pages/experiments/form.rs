//! Where an experiment is asked for. Scripts send it, and say at a field what the scaler says of its key.

use explain::words::span;
use maud::{Markup, html};
use model::experiment::Experiment;
use model::policies::PolicyKind;

use crate::experiments::{ScenarioOnOffer, Scenarios};

pub(super) fn of(scenarios: &Scenarios) -> Markup {
    html! {
        h2 #start-heading { "Start one" }
        @if scenarios.scenarios().is_empty() {
            p { "There is no scenario to start one with." }
        } @else {
            p.quiet { "By command line: " code { "./just experiment NAME policy=NAME n=RUNS" } " in a tree of Bellows." }
            form #experiment-form data-needs-scripts hidden novalidate aria-labelledby="start-heading" {
                div.problem role="alert" {}
                div.figures-form { (scenario(scenarios)) (policy(scenarios)) (runs()) (time_factor()) (seed()) }
                div.controls { button { "Start" } }
            }
        }
    }
}

fn scenario(scenarios: &Scenarios) -> Markup {
    html! {
        div.field data-key="scenario" data-form="word" {
            label {
                span { "Scenario" }
                select required {
                    @for it in scenarios.scenarios() { option value=(it.name.as_str()) data-about=(about(it)) { (it.name.as_str()) } }
                }
            }
            small { @if let Some(first) = scenarios.scenarios().first() { (about(first)) } }
            p.wrong hidden {}
        }
    }
}

/// What is said of the scenario that is chosen.
fn about(it: &ScenarioOnOffer) -> String {
    format!("{} For {}, {}.", it.description, it.service, length(it))
}

/// How long its load lasts.
pub(super) fn length(it: &ScenarioOnOffer) -> String {
    it.load.map_or_else(|| "as long as the answers take".to_owned(), span)
}

fn policy(scenarios: &Scenarios) -> Markup {
    html! {
        div.field data-key="policy" data-form="word" {
            label {
                span { "Policy" }
                select {
                    option value="" selected { "as it is" }
                    option value="default" { "that of its file" }
                    optgroup label="Kinds, with their default figures" {
                        @for kind in PolicyKind::all() { option value=(kind.name()) { (kind.name()) } }
                    }
                    @if !scenarios.policies().is_empty() {
                        optgroup label="Of this release" {
                            @for name in scenarios.policies() { option value=(name) { (name) } }
                        }
                    }
                }
            }
            small { "What decides meanwhile; what is in force now is set again at the end." }
            p.wrong hidden {}
        }
    }
}

fn runs() -> Markup {
    let most = Experiment::RUNS_MAX;
    number(
        "runs",
        "Runs",
        ("1", Some(most.to_string().as_str()), "1"),
        "1",
        &format!(
            "1 to {most}, 1 where it is empty: each has a seed one higher, and five tell chance from a difference."
        ),
    )
}

fn time_factor() -> Markup {
    let least = Experiment::TIME_FACTOR_MIN;
    number(
        "time_factor",
        "Time factor",
        (&least.to_string(), Some("1"), "any"),
        "1",
        &format!(
            "{least} to 1, 1 where it is empty: what the durations of the load are multiplied by. Its rates stay."
        ),
    )
}

fn seed() -> Markup {
    let about = "Everything random follows from it. That of the scenario where it is empty.";
    number("seed", "Seed", ("0", None, "1"), "its own", about)
}

fn number(
    key: &str,
    name: &str,
    (min, max, step): (&str, Option<&str>, &str),
    placeholder: &str,
    about: &str,
) -> Markup {
    html! {
        div.field data-key=(key) data-form="number" {
            label { span { (name) } input type="number" min=(min) max=[max] step=(step) placeholder=(placeholder); }
            small { (about) }
            p.wrong hidden {}
        }
    }
}
