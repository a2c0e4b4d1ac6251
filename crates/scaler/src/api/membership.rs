//! How changes of membership reach the load balancer, by the API.

use axum::Extension;
use axum::extract::State;
use model::status::{Membership, MembershipStatus};
use model::value::Plain;
use serde::Deserialize;
use service::json_body::JsonBody;

use super::setting::{IfMatch, Setting};
use super::{CalledBy, JsonText, Shared, Tagged, apart, not_written, told};
use crate::shared_state::SharedState;

/// The body that sets the way of membership.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body {
    membership: Membership,
}

impl Plain for Body {}

pub(super) async fn get(State(shared): Shared) -> JsonText {
    told(Setting::Membership.told(&shared))
}

pub(super) async fn set(
    State(shared): Shared,
    Extension(caller): CalledBy,
    condition: IfMatch,
    JsonBody(Body { membership }): JsonBody<Body>,
) -> Tagged<MembershipStatus> {
    assign(shared, &caller, condition, Some(membership)).await
}

pub(super) async fn clear(
    State(shared): Shared,
    Extension(caller): CalledBy,
    condition: IfMatch,
) -> Tagged<MembershipStatus> {
    assign(shared, &caller, condition, None).await
}

async fn assign(
    shared: std::sync::Arc<SharedState>,
    caller: &crate::access::Caller,
    condition: IfMatch,
    membership: Option<Membership>,
) -> Tagged<MembershipStatus> {
    let who = caller.operates(None)?;
    let set = move |shared: &SharedState| {
        condition.check(Setting::Membership, shared)?;
        shared.set_membership(who, membership).map_err(not_written)?;
        Ok((Setting::Membership.told(shared).header(), shared.membership()))
    };
    let (tag, status) = apart(&shared, set).await?;
    Ok((tag, axum::Json(status)))
}
