//! The scaler's API, as far as experiments and calibrations need it.

use std::time::{Duration, Instant};

use policy::status::{MembershipStatus, ServiceStatus, TickPage};
use policy::tick::Tick;
use reqwest::{Client, RequestBuilder, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::settings::Setting;

/// The scaler answers from memory: what takes longer than this is not coming.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Ticks asked for at once.
const PAGE: usize = 1_000;
/// A scaler that was killed is back within a second or two; a machine under load takes longer.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long to wait before a scaler that did not answer is asked again.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// The scaler's API.
#[derive(Debug, Clone)]
pub struct Scaler {
    http: Client,
    base: Url,
    patience: Duration,
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
        url: String,
        /// What went wrong.
        source: reqwest::Error,
    },
    /// A refusal.
    #[error("the scaler's API answers {status} at {url}: {message}")]
    Refused {
        /// What was asked.
        url: String,
        /// What it answered.
        status: StatusCode,
        /// Why, in its own words.
        message: String,
    },
}

/// What every server of the project answers when it refuses.
#[derive(Deserialize)]
struct Problem {
    error: ProblemText,
}

#[derive(Deserialize)]
struct ProblemText {
    message: String,
}

impl ScalerError {
    /// Whether the scaler does not take a value that the user chose.
    pub(crate) fn is_bad_input(&self) -> bool {
        matches!(self, Self::Refused { status: StatusCode::UNPROCESSABLE_ENTITY, .. })
    }
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
        let http = http.map_err(|source| ScalerError::Away { url: base.to_string(), source })?;
        Ok(Self { http, base, patience: PATIENCE })
    }

    /// The same, with another time for which a scaler that does not answer is asked again.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
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

    /// How HAProxy learns of members.
    pub(crate) async fn membership(&self) -> Result<MembershipStatus, ScalerError> {
        self.get("/v1/membership", &[]).await
    }

    /// Changes a setting; what the API answers is the status after it.
    pub(crate) async fn set(&self, service: &str, setting: &Setting) -> Result<(), ScalerError> {
        let url = self.url(&setting.path(service));
        let request = match setting.body() {
            Some(body) => {
                let json = ("content-type", "application/json");
                self.http.put(url.clone()).header(json.0, json.1).body(body)
            }
            None => self.http.delete(url.clone()),
        };
        let _status: serde::de::IgnoredAny = answer(&url, request).await?;
        Ok(())
    }

    /// The command with which a person makes that change.
    pub(crate) fn command(&self, service: &str, setting: &Setting) -> String {
        let url = self.url(&setting.path(service));
        match setting.body() {
            Some(body) => {
                format!("curl -X PUT -H 'content-type: application/json' --data '{body}' {url}")
            }
            None => format!("curl -X DELETE {url}"),
        }
    }

    /// Asks again while the scaler does not answer, for it may be starting again.
    pub(crate) async fn patiently<T>(
        &self,
        ask: impl AsyncFn(&Self) -> Result<T, ScalerError>,
    ) -> Result<T, ScalerError> {
        let began = Instant::now();
        loop {
            match ask(self).await {
                Err(ScalerError::Away { .. }) if began.elapsed() < self.patience => {
                    tokio::time::sleep(RETRY_AFTER).await;
                }
                answer => return answer,
            }
        }
    }

    async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<T, ScalerError> {
        let mut url = self.url(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        answer(&url, self.http.get(url.clone())).await
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(path);
        url
    }
}

/// Sends a request and reads what comes back.
async fn answer<T: DeserializeOwned>(url: &Url, request: RequestBuilder) -> Result<T, ScalerError> {
    let away = |source| ScalerError::Away { url: url.to_string(), source };
    let response = request.send().await.map_err(away)?;
    let status = response.status();
    if !status.is_success() {
        let problem = response.json::<Problem>().await;
        let message =
            problem.map_or_else(|_| "it does not say why".to_owned(), |p| p.error.message);
        return Err(ScalerError::Refused { url: url.to_string(), status, message });
    }
    response.json().await.map_err(away)
}
