//! The scaler, as operators speak to it.

use std::collections::BTreeMap;

use anyhow::anyhow;
use host::settings::Settings;
use model::names::ServiceName;
use model::status::ServiceStatus;
use model::version::Rollout;
use scaler_client::{Scaler, ScalerError};

use crate::code::Code;
use crate::error::BadInput;

/// What the scaler answers where there is no such service.
const NOT_FOUND: u16 = 404;

/// The scaler of an installation with these settings, by the operators' socket.
pub(crate) fn client(settings: &Settings) -> Result<Scaler, ScalerError> {
    Scaler::new(&settings.operator_socket().to_string_lossy())
}

/// One service.
///
/// # Errors
/// There is none of that name, and those that there are are told; or the scaler does not say.
pub(crate) async fn known(scaler: &Scaler, service: &ServiceName) -> anyhow::Result<ServiceStatus> {
    match scaler.service(service.as_str()).await {
        Err(ScalerError::Refused { status, .. }) if status.as_u16() == NOT_FOUND => {}
        status => return Ok(status?),
    }
    let services = scaler.services().await?.services;
    let known: Vec<&str> = services.iter().map(|status| status.name.as_str()).collect();
    Err(unknown(service, &known).into())
}

fn unknown(service: &ServiceName, known: &[&str]) -> BadInput {
    BadInput::new(match known {
        [] => anyhow!("there is no service {service}, and no other"),
        known => anyhow!("there is no service {service}: use {}", known.join(", ")),
    })
    .coded(Code::NoSuchService)
}

/// What the scaler that runs tells of its services, be it of an earlier release, which has no socket; none
/// where none answers.
pub(crate) async fn services_of_any_release(settings: &Settings) -> Vec<ServiceStatus> {
    for place in [
        settings.operator_socket().to_string_lossy().into_owned(),
        format!("http://{}", settings.listen.api),
    ] {
        let Ok(scaler) = Scaler::new(&place) else { continue };
        if let Ok(host) = scaler.services().await {
            return host.services;
        }
    }
    Vec::new()
}

/// How far each service's rollout has come; none where no scaler answers.
pub(crate) async fn rollouts(settings: &Settings) -> BTreeMap<ServiceName, Rollout> {
    let services = services_of_any_release(settings).await;
    services.into_iter().filter_map(|s| Some((s.name, s.rollout?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_names_a_service_that_is_not_there_is_told_which_are() {
        let shop = "shop".parse().unwrap();
        let told = |known: &[&str]| unknown(&shop, known).to_string();
        assert_eq!(told(&["blog", "store"]), "there is no service shop: use blog, store");
        assert_eq!(told(&[]), "there is no service shop, and no other");
    }
}
