//! The scaler's API as a client sees it.

use std::net::SocketAddrV4;
use std::time::Duration;

use policy::status::{HostStatus, MembershipStatus, ServiceStatus};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Longest wait for the API on loopback.
const DEADLINE: Duration = Duration::from_secs(2);

/// What was asked for was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("the scaler gives no answer at {address}; `./just up` brings it up")]
    Away { address: SocketAddrV4, source: reqwest::Error },
    #[error("the scaler refuses it: {message}")]
    Refused { status: StatusCode, message: String },
}

/// The scaler's API.
#[derive(Debug)]
pub(crate) struct Api {
    address: SocketAddrV4,
    client: Client,
}

impl Api {
    /// The API at `address`, which is not asked yet.
    pub(crate) fn new(address: SocketAddrV4) -> Result<Self, ApiError> {
        let client = Client::builder().no_proxy().timeout(DEADLINE).build();
        Ok(Self { address, client: client.map_err(|source| ApiError::Away { address, source })? })
    }

    /// Every service.
    pub(crate) async fn services(&self) -> Result<HostStatus, ApiError> {
        self.answer(self.request(Method::GET, "/v1/services")).await
    }

    /// How changes of membership reach HAProxy.
    pub(crate) async fn membership(&self) -> Result<MembershipStatus, ApiError> {
        self.answer(self.request(Method::GET, "/v1/membership")).await
    }

    /// Sets what `path` names of a service.
    pub(crate) async fn set(
        &self,
        path: &str,
        value: &impl Serialize,
    ) -> Result<ServiceStatus, ApiError> {
        self.answer(self.request(Method::PUT, path).json(value)).await
    }

    /// Goes back to what the service's file says of what `path` names.
    pub(crate) async fn clear(&self, path: &str) -> Result<ServiceStatus, ApiError> {
        self.answer(self.request(Method::DELETE, path)).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    async fn answer<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, ApiError> {
        let away = |source| ApiError::Away { address: self.address, source };
        let response = request.send().await.map_err(away)?;
        let status = response.status();
        if status.is_success() {
            return response.json().await.map_err(away);
        }
        let problem: Value = response.json().await.unwrap_or_default();
        let told = problem["error"]["message"].as_str();
        let message = told.map_or_else(|| status.to_string(), str::to_owned);
        Err(ApiError::Refused { status, message })
    }
}
