//! What decides how many instances a service has: what holds, the form in which it is changed, and a preview of that.

mod figure;
mod form;
mod schema;

use maud::{Markup, html};
use model::names::ServiceName;
use model::policies::Policy;
use model::status::ServiceStatus;
use serde_json::Value;

use self::figure::{Told, unit, worded};
use self::schema::{Figure, Kind};
use super::view::View;
use super::{Region, event, frame};

pub(super) fn regions(name: &ServiceName, view: &View) -> Vec<Region> {
    let Some(status) = view.service(name) else { return vec![frame::missing(name.as_str())] };
    vec![
        Region { id: "in-force", html: in_force(status) },
        Region { id: "form", html: form::of_service(name) },
    ]
}

/// What holds now, and who said so.
fn in_force(status: &ServiceStatus) -> Markup {
    let (policy, bounds) = (&status.policy_spec, &status.bounds);
    html! {
        p.lead {
            "The policy " strong { (status.policy) } ", " (source(status.set.policy.as_ref(), policy)) ", decides within "
            strong { (bounds.min()) " to " (bounds.max()) } " instances, " (source(status.set.bounds.as_ref(), bounds)) "."
        }
        @if let Some(hold) = status.hold {
            p { "An operator holds it at " strong { (hold.ready) } " until " (event::moment(hold.until)) ": until then the policy observes alone." }
        }
        @for policy in policy.policies() { (told(policy)) }
        p.quiet { "By command line: " code { "bellows policy " (status.name) " NAME or FILE" } " and " code { "bellows bounds " (status.name) " MIN MAX" } "." }
    }
}

/// Who said what is in force.
fn source<T: PartialEq>(set: Option<&T>, in_force: &T) -> &'static str {
    match set {
        None => "as its file says",
        Some(set) if set == in_force => "as an operator set it",
        Some(_) => "as its file says, since what an operator set does not go with the rest of it",
    }
}

/// A policy with its figures, as a table.
fn told(policy: &Policy) -> Markup {
    let kind = policy.kind().name();
    // A value that was read from JSON does not fail to be JSON.
    let values = serde_json::to_value(policy).unwrap_or_default();
    let about = Kind::named(kind);
    html! {
        h2 { (kind) }
        @if let Some(about) = about { p { (worded(&about.about)) } }
        @if policy.is_off() {
            p.notice { strong { "It is off until its figures are set." } " It asks for nothing, and what is stays." }
        }
        div.scroll.narrow tabindex="0" role="region" aria-label={ "Figures of " (kind) } {
            table {
                thead { tr { th scope="col" { "Figure" } th.n scope="col" { "Now" } } }
                tbody { @for figure in about.into_iter().flat_map(|it| &it.figures) { (row(figure, values.get(&figure.key))) } }
            }
        }
    }
}

fn row(figure: &Figure, value: Option<&Value>) -> Markup {
    let default = figure.default.as_ref();
    html! {
        tr {
            th scope="row" { code { (figure.key) } small { (worded(&figure.about)) } }
            td.n {
                (given(&figure.key, value))
                small { @if value == default { "by default" } @else { (given(&figure.key, default)) " by default" } }
            }
        }
    }
}

fn given(key: &str, value: Option<&Value>) -> Markup {
    html! {
        @match value {
            Some(value) => { (Told(value)) @if let Some(unit) = unit(key) { " " (unit) } }
            None => { "not set" }
        }
    }
}
