//! Which kept ticks are told.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use model::names::ServiceName;
use model::status::TickPage;
use model::tick::Tick;
use model::time::Timestamp;
use serde::Deserialize;
use service::problem::Problem;

use super::PAGE_MAX;
use crate::access::Caller;
use crate::journal::Count;
use crate::shared_state::SharedState;

/// What is asked for: without any of it, the oldest of all.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TickQuery {
    since: u64,
    limit: Option<usize>,
    newest: Option<usize>,
    from_ms: Option<u64>,
    to_ms: Option<u64>,
    service: Option<ServiceName>,
}

impl TickQuery {
    fn read(query: Result<Query<Self>, QueryRejection>) -> Result<Self, Problem> {
        let message = "The query is not understood: since (a sequence number), limit, from_ms and to_ms \
                       (milliseconds since 1970) are whole numbers, newest is one in the place of limit, service is \
                       the name of one, and each is given once at most.";
        let is_one = |Query(asked): &Query<Self>| asked.limit.is_none() || asked.newest.is_none();
        let query = query.ok().filter(is_one);
        let bad = || Problem::new(StatusCode::BAD_REQUEST, "bad_query", message);
        query.map(|Query(asked)| asked).ok_or_else(bad)
    }

    /// How many are told at most, and from which end.
    fn count(&self) -> Count {
        match self.newest {
            Some(newest) => Count::Newest(newest.min(PAGE_MAX)),
            None => Count::Oldest(self.limit.unwrap_or(PAGE_MAX).min(PAGE_MAX)),
        }
    }

    fn is_of_it(&self, tick: &Tick) -> bool {
        self.service.as_ref().is_none_or(|service| *service == tick.service)
            && self.from_ms.is_none_or(|from| Timestamp::from_millis(from) <= tick.at)
            && self.to_ms.is_none_or(|to| tick.at <= Timestamp::from_millis(to))
    }
}

/// Those that are asked for, of the services that the caller sees.
pub(super) async fn ticks(
    State(shared): State<Arc<SharedState>>,
    Extension(caller): Extension<Caller>,
    query: Result<Query<TickQuery>, QueryRejection>,
) -> Result<Json<TickPage>, Problem> {
    let asked = TickQuery::read(query)?;
    let is_told = |tick: &Tick| caller.sees(&tick.service) && asked.is_of_it(tick);
    let mut page = shared.tick_page(asked.since, asked.count(), is_told);
    let hidden = page.ticks.iter_mut().filter(|tick| !caller.reads_output(&tick.service));
    hidden.for_each(Tick::hide_output);
    Ok(Json(page))
}
