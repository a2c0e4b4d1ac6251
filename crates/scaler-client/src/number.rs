//! An operator's hand on the number of a service's instances.

use std::time::Duration;

use model::names::{InstanceName, ServiceName};
use model::status::ServiceStatus;
use reqwest::header;
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

    /// The same, as long as what the service is held at has this tag.
    ///
    /// # Errors
    /// No answer, or the scaler did not do it: somebody has changed it meanwhile.
    pub async fn hold_as_read(
        &self,
        service: &ServiceName,
        (ready, lasts): (u32, Duration),
        tag: &str,
    ) -> Result<ServiceStatus, ScalerError> {
        let url = self.url(&format!("/v1/services/{service}/hold"));
        let body = json!({ "ready": ready, "for_s": lasts.as_secs() });
        self.answer(self.http.put(url).json(&body).header(header::IF_MATCH, tag)).await
    }

    /// Gives a service back to its policy, as long as what it is held at has this tag.
    ///
    /// # Errors
    /// No answer, or the scaler did not do it: somebody has changed it meanwhile.
    pub async fn release_as_read(
        &self,
        service: &ServiceName,
        tag: &str,
    ) -> Result<ServiceStatus, ScalerError> {
        let url = self.url(&format!("/v1/services/{service}/hold"));
        self.answer(self.http.delete(url).header(header::IF_MATCH, tag)).await
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

#[cfg(test)]
mod tests {
    use std::future::IntoFuture as _;
    use std::sync::{Arc, Mutex};

    use axum::Router;
    use axum::extract::Request;
    use tokio::net::TcpListener;

    use super::*;

    const STATUS: &str = r#"{"name":"shop","route":"/","bounds":{"min":1,"max":4},"policy":"hpa",
        "policy_spec":{"kind":"hpa"},"objective_ms":250,
        "wanted":{"version":"00000001","deployed_at_ms":1},"rollout":null,
        "set":{"bounds":null,"policy":null},
        "phases":{"starting":0,"ready":0,"draining":0,"failed":0},"instances":[],"tick":null}"#;

    #[tokio::test]
    async fn each_change_of_the_number_is_a_request_of_its_own() {
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let record = Arc::clone(&seen);
        let routes = Router::new().fallback(async move |request: Request| {
            let tag = request.headers().get(header::IF_MATCH);
            let tag = tag.map(|tag| format!(" if {}", tag.to_str().unwrap())).unwrap_or_default();
            let line = format!("{} {}{tag}", request.method(), request.uri());
            let body = axum::body::to_bytes(request.into_body(), 1000).await.unwrap();
            let body = String::from_utf8(body.to_vec()).unwrap();
            record.lock().unwrap().push(format!("{line} {body}").trim_end().to_owned());
            STATUS
        });
        tokio::spawn(axum::serve(listener, routes).into_future());
        let scaler = Scaler::new(&format!("http://{address}")).unwrap();
        let shop: ServiceName = "shop".parse().unwrap();
        // An answer of the release before, which knew no holds, is read as well.
        assert_eq!(scaler.hold(&shop, 4, Duration::from_secs(60)).await.unwrap().hold, None);
        scaler.release(&shop).await.unwrap();
        scaler.hold_as_read(&shop, (4, Duration::from_secs(60)), "\"a\"").await.unwrap();
        scaler.release_as_read(&shop, "\"a\"").await.unwrap();
        scaler.add_instance(&shop).await.unwrap();
        scaler.remove_idlest(&shop).await.unwrap();
        scaler.remove_instance(&"bw-shop-1-a".parse().unwrap()).await.unwrap();
        insta::assert_snapshot!(seen.lock().unwrap().join("\n"), @r#"
        PUT /v1/services/shop/hold {"for_s":60,"ready":4}
        DELETE /v1/services/shop/hold
        PUT /v1/services/shop/hold if "a" {"for_s":60,"ready":4}
        DELETE /v1/services/shop/hold if "a"
        POST /v1/services/shop/instances
        DELETE /v1/services/shop/instances
        DELETE /v1/services/shop/instances/bw-shop-1-a
        "#);
    }
}
