//! The actions that services' files declare, and the versions that services can go back to.

use std::time::Duration;

use model::names::{ActionName, ServiceName};
use model::service::{ActionAnswer, ServiceActions};
use model::version::VersionList;
use serde_json::json;

use crate::{Scaler, ScalerError};

/// A service may take 30 s for its answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(40);

impl Scaler {
    /// What the file of a service declares that can be done with it.
    ///
    /// # Errors
    /// No answer, or none that tells it.
    pub async fn actions(&self, service: &ServiceName) -> Result<ServiceActions, ScalerError> {
        self.get(&format!("/v1/services/{service}/actions"), &[]).await
    }

    /// Does one of them, which somebody has confirmed.
    ///
    /// # Errors
    /// No answer of the scaler, or none of the service.
    pub async fn act(
        &self,
        service: &ServiceName,
        action: &ActionName,
    ) -> Result<ActionAnswer, ScalerError> {
        let url = self.url(&format!("/v1/services/{service}/actions/{action}"));
        let body = json!({ "confirm": service });
        self.answer(self.http.post(url).json(&body).timeout(ANSWERS_WITHIN)).await
    }

    /// The versions that a service can go back to.
    ///
    /// # Errors
    /// No answer, or none that tells it.
    pub async fn versions(&self, service: &ServiceName) -> Result<VersionList, ScalerError> {
        self.get(&format!("/v1/services/{service}/versions"), &[]).await
    }
}
