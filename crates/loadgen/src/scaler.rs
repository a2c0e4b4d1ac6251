//! The scaler's API, as far as a run reads it.

use std::time::Duration;

use policy::status::{ServiceStatus, TickPage};
use policy::tick::Tick;
use reqwest::{Client, Url};
use serde::de::DeserializeOwned;

/// The scaler answers from memory: what takes longer than this is not coming.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Ticks asked for at once.
const PAGE: usize = 1_000;

/// The scaler's API.
#[derive(Debug, Clone)]
pub struct Scaler {
    http: Client,
    base: Url,
}

/// The scaler did not say what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ScalerError {
    /// The address is no URL of a server.
    #[error("scaler's API `{0}`: allowed is http://HOST:PORT")]
    Url(String),
    /// No answer, or none that can be read.
    #[error("the scaler's API gives no answer at {url}: is the system up? Run `./just up`")]
    Away {
        /// What was asked.
        url: Url,
        /// What went wrong.
        source: reqwest::Error,
    },
    /// A refusal.
    #[error("the scaler's API answers {status} at {url}")]
    Refused {
        /// What was asked.
        url: Url,
        /// What it answered.
        status: reqwest::StatusCode,
    },
}

impl Scaler {
    /// The API at that address, such as `http://127.0.0.1:8090`.
    ///
    /// # Errors
    /// [`ScalerError::Url`] when the address is none.
    pub fn new(base: &str) -> Result<Self, ScalerError> {
        let unusable = || ScalerError::Url(base.to_owned());
        let base: Url = base.parse().map_err(|_| unusable())?;
        if base.scheme() != "http" {
            return Err(unusable());
        }
        let http = Client::builder().timeout(TIMEOUT).no_proxy().build();
        let http = http.map_err(|source| ScalerError::Away { url: base.clone(), source })?;
        Ok(Self { http, base })
    }

    /// One service.
    pub(crate) async fn service(&self, name: &str) -> Result<ServiceStatus, ScalerError> {
        self.get(&format!("/v1/services/{name}"), &[]).await
    }

    /// All kept ticks of the host with a sequence above `since`.
    pub(crate) async fn ticks_since(&self, mut since: u64) -> Result<Vec<Tick>, ScalerError> {
        let mut all: Vec<Tick> = Vec::new();
        loop {
            let query = [("since", since.to_string()), ("limit", PAGE.to_string())];
            let page: TickPage = self.get("/v1/ticks", &query).await?;
            let Some(last) = page.ticks.last() else { return Ok(all) };
            since = last.sequence;
            all.extend(page.ticks);
        }
    }

    async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<T, ScalerError> {
        let mut url = self.base.clone();
        url.set_path(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let away = |source| ScalerError::Away { url: url.clone(), source };
        let response = self.http.get(url.clone()).send().await.map_err(away)?;
        let status = response.status();
        if !status.is_success() {
            return Err(ScalerError::Refused { url, status });
        }
        response.json().await.map_err(away)
    }
}
