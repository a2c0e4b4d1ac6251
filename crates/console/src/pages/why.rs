//! Why a service has the instances that it has, and what stands between it and another number.

use maud::{Markup, html};
use model::bounds::Bounds;
use model::names::ServiceName;
use model::tick::Tick;
use model::time::Timestamp;
use model::why_not::WhyNot;
use service::problem::Problem;

use super::event::moment as shown;
use super::view::{Asked, View};
use super::{Region, frame};
use crate::api::Known;
use crate::api::asker::Asker;
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

/// What the page asks for.
#[derive(Debug, Clone, Default)]
pub(super) struct Answers {
    /// The turn that it is about, where it is about one that is past.
    turn: Option<Tick>,
    /// Why it has not another number, where that was asked.
    why_not: Option<Result<WhyNot, String>>,
}

impl Answers {
    /// Asks the history for the turn, and the scaler why not.
    pub(super) async fn to(
        question: Question,
        service: &ServiceName,
        known: &Known,
        asker: &Asker,
    ) -> Self {
        let mut answers = Self::default();
        if let Some(at) = question.at {
            answers.turn = known.history.turn_at(service.clone(), at).await.ok().flatten();
            answers.turn.iter_mut().for_each(Tick::hide_output);
        }
        if let Some(ready) = question.ready {
            let path = format!("/v1/services/{service}/why-not?ready={ready}");
            let answer = known.upstream.get(&path, asker.secret()).await;
            answers.why_not = Some(answer.map_err(|problem| problem.message().to_owned()));
        }
        answers
    }
}

pub(super) fn regions(name: &ServiceName, question: Question, view: &View) -> Vec<Region> {
    let Some(status) = view.service(name) else { return vec![frame::missing(name.as_str())] };
    let (turn, answer) = match &view.asked {
        Asked::Why(answers) => (answers.turn.as_ref(), answers.why_not.as_ref()),
        _ => (None, None),
    };
    let html = match (question.at, turn, &status.tick) {
        (Some(_), Some(turn), _) | (None, _, Some(turn)) => told(name, turn, question.at.is_some()),
        (Some(at), None, _) => html! {
            p { "No turn is kept of " (shown(at)) " or before it. " a href={ "/services/" (name) "/why" } { "The last turn" } }
        },
        (None, _, None) => html! { p { "It has had no turn yet." } },
    };
    let mut regions = vec![Region { id: "turn", html }];
    if question.at.is_none() {
        let ready = question.ready.unwrap_or(status.phases.ready + 1);
        regions.push(Region { id: "why-not", html: why_not(name, ready, answer) });
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
            @if is_past { a href={ "/services/" (name) "/why" } { "The last turn" } }
        }
    }
}

/// The question why not another number, and its answer.
fn why_not(name: &ServiceName, ready: u32, answer: Option<&Result<WhyNot, String>>) -> Markup {
    html! {
        h2 { "Why not another number?" }
        form #why-not-form action={ "/services/" (name) "/why" } {
            label { "Ready instances " input type="number" name="ready" min="0" max=(Bounds::MAX_INSTANCES) value=(ready) required; }
            " " button { "Why not?" }
        }
        @match answer {
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
