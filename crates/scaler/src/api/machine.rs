//! The machine, by the API, for those who may see all of it.

use axum::extract::State;
use axum::{Extension, Json};
use model::access::Right;
use model::machine::{DoctorStatus, MachineStatus};
use service::problem::Problem;

use super::{Answer, CalledBy, Shared};
use crate::access::{Caller, too_few_rights};

pub(super) async fn get(
    State(shared): Shared,
    Extension(caller): CalledBy,
) -> Answer<MachineStatus> {
    sees_all(&caller)?;
    Ok(Json(shared.machine().status(shared.network()).await))
}

pub(super) async fn doctor(
    State(shared): Shared,
    Extension(caller): CalledBy,
) -> Answer<DoctorStatus> {
    sees_all(&caller)?;
    Ok(Json(shared.machine().doctor().await))
}

/// Refuses who may see some services alone.
pub(super) fn sees_all(caller: &Caller) -> Result<(), Problem> {
    match caller {
        Caller::Token(token) if !token.is_for(None) => {
            Err(too_few_rights(token, Right::Read, None))
        }
        _ => Ok(()),
    }
}
