//! The scaler, as operators speak to it.

use std::collections::BTreeMap;

use anyhow::anyhow;
use host::settings::Settings;
use model::names::ServiceName;
use model::status::ServiceStatus;
use model::version::Rollout;
use scaler_client::{Scaler, ScalerError};

use crate::error::BadInput;

/// The scaler of an installation with these settings, by the operators' socket.
pub(crate) fn client(settings: &Settings) -> Result<Scaler, ScalerError> {
    Scaler::new(&settings.operator_socket().to_string_lossy())
}

/// One service.
///
/// # Errors
/// There is none of that name, and those that there are are told; or the scaler does not say.
pub(crate) async fn known(scaler: &Scaler, service: &ServiceName) -> anyhow::Result<ServiceStatus> {
    let services = scaler.services().await?.services;
    let names: Vec<&str> = services.iter().map(|status| status.name.as_str()).collect();
    let names = if names.is_empty() {
        "none is deployed".to_owned()
    } else {
        format!("use {}", names.join(", "))
    };
    let found = services.into_iter().find(|status| status.name == *service);
    found.ok_or_else(|| BadInput::new(anyhow!("there is no service {service}: {names}")).into())
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
