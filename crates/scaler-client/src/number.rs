//! An operator's hand on the number of a service's instances.

use std::time::Duration;

use model::names::{InstanceName, ServiceName};
use model::status::ServiceStatus;
use serde_json::json;

use crate::{Scaler, ScalerError};

impl Scaler {
    /// Holds a service at a number of ready instances for a time, in whole seconds.
    ///
    /// # Errors
    /// No answer, or the scaler did not do it.
    pub async fn hold(
        &self,
        service: &ServiceName,
        ready: u32,
        lasts: Duration,
    ) -> Result<ServiceStatus, ScalerError> {
        let url = self.url(&format!("/v1/services/{service}/hold"));
        let body = json!({ "ready": ready, "for_s": lasts.as_secs() });
        self.answer(self.http.put(url).json(&body)).await
    }

    /// Gives a service back to its policy.
    ///
    /// # Errors
    /// No answer, or the scaler did not do it.
    pub async fn release(&self, service: &ServiceName) -> Result<ServiceStatus, ScalerError> {
        let url = self.url(&format!("/v1/services/{service}/hold"));
        self.answer(self.http.delete(url)).await
    }

    /// Holds a service at one instance more than is decided for it now.
    ///
    /// # Errors
    /// No answer, or the scaler did not do it.
    pub async fn add_instance(&self, service: &ServiceName) -> Result<ServiceStatus, ScalerError> {
        let url = self.url(&format!("/v1/services/{service}/instances"));
        self.answer(self.http.post(url)).await
    }

    /// Holds a service at one instance fewer than is decided for it now: the idlest leaves.
    ///
    /// # Errors
    /// No answer, or the scaler did not do it.
    pub async fn remove_idlest(&self, service: &ServiceName) -> Result<ServiceStatus, ScalerError> {
        let url = self.url(&format!("/v1/services/{service}/instances"));
        self.answer(self.http.delete(url)).await
    }

    /// Has this instance removed, which is done by and by.
    ///
    /// # Errors
    /// No answer, there is no such instance, or the scaler did not take it.
    pub async fn remove_instance(
        &self,
        instance: &InstanceName,
    ) -> Result<ServiceStatus, ScalerError> {
        let service = instance.service();
        let url = self.url(&format!("/v1/services/{service}/instances/{instance}"));
        self.answer(self.http.delete(url)).await
    }
}
