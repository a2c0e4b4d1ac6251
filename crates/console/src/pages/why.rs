//! Why a service has the instances that it has, and what stands between it and another number.

use maud::{Markup, html};
use model::bounds::Bounds;
use model::names::ServiceName;
use model::tick::Tick;
use model::time::Timestamp;
use service::problem::Problem;

use super::event::moment as shown;
use super::view::View;
use super::{Region, frame};
use crate::api::query::Fields;

/// What is asked about a service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Question {
    /// The moment of a turn that is past; `None` for the last one.
    pub(super) at: Option<Timestamp>,
    /// Why it has not so many ready instances.
    pub(super) ready: Option<u32>,
}

impl Question {
    /// What the fields `at`, in milliseconds since 1970, and `ready` ask.
    ///
    /// # Errors
    /// Another field, or one that does not say that.
    pub(super) fn of(mut fields: Fields) -> Result<Self, Problem> {
        let at = fields.moment("at")?;
        let ready = fields.value("ready", "a whole number of instances")?;
        fields.end("at and ready")?;
        Ok(Self { at, ready })
    }
}

pub(super) fn regions(name: &ServiceName, question: Question, view: &View) -> Vec<Region> {
    let Some(status) = view.service(name) else { return vec![frame::missing(name.as_str())] };
    let html = match (question.at, &view.turn, &status.tick) {
        (Some(_), Some(turn), _) | (None, _, Some(turn)) => told(name, turn, question.at.is_some()),
        (Some(at), None, _) => html! {
            p { "No turn is kept of " (shown(at)) " or before it. " a href={ "/services/" (name) "/why" } { "The last turn" } }
        },
        (None, _, None) => html! { p { "It has had no turn yet." } },
    };
    let mut regions = vec![Region { id: "turn", html }];
    if question.at.is_none() {
        let ready = question.ready.unwrap_or(status.phases.ready + 1);
        regions.push(Region { id: "why-not", html: why_not(name, ready, view) });
    }
    regions
}

fn told(name: &ServiceName, turn: &Tick, is_past: bool) -> Markup {
    html! {
        p.lead { (shown(turn.at)) ": " (explain::turn::summary(turn)) "." }
        div.cards {
            @for section in explain::turn::sections(turn) {
                section.card {
                    h2 { (section.heading) }
                    ul { @for line in section.lines { li { (line) } } }
                }
            }
        }
        p {
            a href={ "/services/" (name) } { "Back to " (name) }
            @if is_past { " · " a href={ "/services/" (name) "/why" } { "The last turn" } }
        }
    }
}

/// The question why not another number, and its answer.
fn why_not(name: &ServiceName, ready: u32, view: &View) -> Markup {
    html! {
        h2 { "Why not another number?" }
        form #why-not-form action={ "/services/" (name) "/why" } {
            label { "Ready instances " input type="number" name="ready" min="0" max=(Bounds::MAX_INSTANCES) value=(ready) required; }
            " " button { "Why not?" }
        }
        @match &view.why_not {
            None => {}
            Some(Err(problem)) => p { (problem) }
            Some(Ok(answer)) => {
                @let told = explain::why_not::told(answer);
                p { (told.now) }
                p { (told.verdict) }
                ol { @for obstacle in told.obstacles { li { (obstacle) } } }
            }
        }
    }
}
