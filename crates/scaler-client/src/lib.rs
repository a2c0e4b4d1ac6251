//! The scaler's API as its clients see it: what it tells, and what an operator sets by it.

mod actions;
mod cost;
mod error;
mod feed;
mod jobs;
mod load;
mod number;
mod preview;
mod recording;
mod setting;
mod ticks;
mod tokens;

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use model::access::{Change, ChangePage};
use model::names::{InstanceName, SecretName, ServiceName};
use model::output::{OutputLine, OutputPage};
use model::secrets::{SecretChange, SecretValue, Secrets};
use model::status::{HostStatus, MembershipStatus, ServiceStatus};
use model::time::Timestamp;
use model::why_not::WhyNot;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, RequestBuilder, Response, Url};
use serde::de::{DeserializeOwned, IgnoredAny};

pub use error::ScalerError;
pub use feed::Feed;
pub use jobs::Packing;
pub use load::{InstanceLoad, InstanceLoads, InstanceRates};
pub use preview::Lately;
pub use recording::Recording;
pub use setting::{Setting, Tagged};
pub use ticks::TickFilter;

/// What a URL begins with where a socket takes the place of its host.
const SOCKET_URL: &str = "http://localhost";
/// The scaler answers from memory: what takes longer than this is not coming.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The time of an answer that has no end: a century.
const WITHOUT_END: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
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
    /// The socket by which it is spoken to; `None` over TCP, by which it only tells.
    socket: Option<PathBuf>,
    patience: Duration,
}

impl Scaler {
    /// The API at that place, which is not asked yet: the operators' socket, such as
    /// `/run/bellows/operator.sock`, or an address that only tells, such as the console's, `http://127.0.0.1:8090`.
    ///
    /// # Errors
    /// [`ScalerError::Place`] when it is neither.
    pub fn new(place: &str) -> Result<Self, ScalerError> {
        Self::made(place, HeaderMap::new())
    }

    /// The same for whoever has a token, by a way on which nobody is known by who calls.
    ///
    /// # Errors
    /// [`ScalerError::Place`] as above, and [`ScalerError::Token`] where it cannot be a token's secret.
    pub fn with_token(place: &str, secret: &str) -> Result<Self, ScalerError> {
        let mut bearer =
            HeaderValue::from_str(&format!("Bearer {secret}")).map_err(|_| ScalerError::Token)?;
        bearer.set_sensitive(true);
        Self::made(place, [(AUTHORIZATION, bearer)].into_iter().collect())
    }

    fn made(place: &str, headers: HeaderMap) -> Result<Self, ScalerError> {
        let socket = place.starts_with('/').then(|| PathBuf::from(place));
        let url = if socket.is_some() { SOCKET_URL } else { place };
        let base = url.parse().ok().filter(|url: &Url| url.scheme() == "http");
        let base = base.ok_or_else(|| ScalerError::Place(place.to_owned()))?;
        let mut http = Client::builder().timeout(TIMEOUT).default_headers(headers).no_proxy();
        if let Some(socket) = &socket {
            http = http.unix_socket(socket.clone());
        }
        let http = http.build().map_err(ScalerError::Client)?;
        Ok(Self { http, base, socket, patience: PATIENCE })
    }

    /// The same, with another time for which [`Self::patiently`] asks.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// All services.
    ///
    /// # Errors
    /// No answer, or none that tells it.
    pub async fn services(&self) -> Result<HostStatus, ScalerError> {
        self.get("/v1/services", &[]).await
    }

    /// One service.
    ///
    /// # Errors
    /// No answer, or none that tells it.
    pub async fn service(&self, name: &str) -> Result<ServiceStatus, ScalerError> {
        self.get(&format!("/v1/services/{name}"), &[]).await
    }

    /// What stands between a service and so many ready instances.
    ///
    /// # Errors
    /// No answer, or none that tells it: the service never has so many.
    pub async fn why_not(&self, service: &ServiceName, ready: u32) -> Result<WhyNot, ScalerError> {
        let query = [("ready", ready.to_string())];
        self.get(&format!("/v1/services/{service}/why-not"), &query).await
    }

    /// What happens from now on, as it happens. By a socket alone.
    ///
    /// # Errors
    /// No answer, or there are too many readers.
    pub async fn feed(&self) -> Result<Feed, ScalerError> {
        let request = self.http.get(self.url("/v1/feed")).timeout(WITHOUT_END);
        let response = self.accepted(request).await?;
        Ok(Feed::new(response, self.address()))
    }

    /// The newest lines that instances of a service wrote since then, or one of them did.
    ///
    /// # Errors
    /// No answer, or none that tells it.
    pub async fn output(
        &self,
        service: &ServiceName,
        instance: Option<&InstanceName>,
        since: Timestamp,
        lines: usize,
    ) -> Result<Vec<OutputLine>, ScalerError> {
        let mut query =
            vec![("lines", lines.to_string()), ("since_ms", since.as_millis().to_string())];
        query.extend(instance.map(|name| ("instance", name.to_string())));
        let page: OutputPage = self.get(&format!("/v1/services/{service}/output"), &query).await?;
        Ok(page.lines)
    }

    /// All kept changes, oldest first.
    ///
    /// # Errors
    /// No answer, or none that tells it.
    pub async fn changes(&self) -> Result<Vec<Change>, ScalerError> {
        self.changes_since(0).await
    }

    /// All kept changes with a sequence above `since`, oldest first.
    ///
    /// # Errors
    /// No answer, or none that tells it.
    pub async fn changes_since(&self, mut since: u64) -> Result<Vec<Change>, ScalerError> {
        let mut all = Vec::new();
        loop {
            let page: ChangePage = self.get("/v1/changes", &page_after(since)).await?;
            if page.next == since {
                return Ok(all);
            }
            since = page.next;
            all.extend(page.changes);
        }
    }

    /// The secrets of a service, without their values.
    ///
    /// # Errors
    /// No answer, or none that tells it.
    pub async fn secrets(&self, service: &ServiceName) -> Result<Secrets, ScalerError> {
        self.get(&format!("/v1/services/{service}/secrets"), &[]).await
    }

    /// Sets a secret of a service, deployed or not.
    ///
    /// # Errors
    /// No answer, or the scaler did not do it.
    pub async fn set_secret(
        &self,
        service: &ServiceName,
        name: &SecretName,
        value: &SecretValue,
    ) -> Result<SecretChange, ScalerError> {
        let url = self.url(&format!("/v1/services/{service}/secrets/{name}"));
        self.answer(self.http.put(url).body(value.bytes().to_vec())).await
    }

    /// Removes a secret of a service.
    ///
    /// # Errors
    /// No answer, there is no such secret, or the service's file names it.
    pub async fn remove_secret(
        &self,
        service: &ServiceName,
        name: &SecretName,
    ) -> Result<(), ScalerError> {
        let url = self.url(&format!("/v1/services/{service}/secrets/{name}"));
        let _others: Secrets = self.answer(self.http.delete(url)).await?;
        Ok(())
    }

    /// How HAProxy learns of members.
    ///
    /// # Errors
    /// No answer, or none that tells it.
    pub async fn membership(&self) -> Result<MembershipStatus, ScalerError> {
        self.get("/v1/membership", &[]).await
    }

    /// Changes a setting.
    ///
    /// # Errors
    /// No answer, or the scaler did not do it.
    pub async fn set(&self, setting: &Setting<'_>) -> Result<(), ScalerError> {
        let url = self.url(&setting.path());
        let request = match setting.body() {
            Some(body) => self.http.put(url).json(&body),
            None => self.http.delete(url),
        };
        let _status: IgnoredAny = self.answer(request).await?;
        Ok(())
    }

    /// The command with which a person makes that change without a program of this project.
    pub fn command(&self, setting: &Setting<'_>) -> String {
        let url = self.url(&setting.path());
        let curl = match &self.socket {
            Some(socket) => format!("curl --unix-socket {}", socket.display()),
            None => "curl".to_owned(),
        };
        match setting.body() {
            Some(body) => {
                format!("{curl} -X PUT -H 'content-type: application/json' --data '{body}' {url}")
            }
            None => format!("{curl} -X DELETE {url}"),
        }
    }

    /// Asks again while the scaler does not answer, for it may be starting again.
    ///
    /// # Errors
    /// That of the last time.
    pub async fn patiently<T>(
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
        self.answer(self.http.get(url)).await
    }

    /// Sends a request and reads what comes back.
    async fn answer<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, ScalerError> {
        let response = self.accepted(request).await?;
        let body = response.bytes().await.map_err(|source| self.away(source))?;
        serde_json::from_slice(&body).map_err(|source| self.strange(source))
    }

    /// Sends a request; what is not a refusal is still to be read.
    async fn accepted(&self, request: RequestBuilder) -> Result<Response, ScalerError> {
        let response = request.send().await.map_err(|source| self.away(source))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let kind = response.headers().get(CONTENT_TYPE).cloned();
        let body = response.bytes().await.map_err(|source| self.away(source))?;
        let kind = kind.as_ref().and_then(|kind| kind.to_str().ok());
        let message = error::message(status, kind, &body).map_err(|source| self.strange(source))?;
        Err(ScalerError::Refused { status, message })
    }

    fn away(&self, source: reqwest::Error) -> ScalerError {
        match is_denied(&source) {
            true => ScalerError::Denied { socket: self.address(), source },
            false => ScalerError::Away { address: self.address(), source },
        }
    }

    fn strange(&self, source: serde_json::Error) -> ScalerError {
        ScalerError::Strange { address: self.address(), source }
    }

    /// Where it is, as messages say it.
    fn address(&self) -> String {
        match &self.socket {
            Some(socket) => socket.display().to_string(),
            None => self.base.authority().to_owned(),
        }
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(path);
        url
    }
}

fn page_after(since: u64) -> [(&'static str, String); 2] {
    [("since", since.to_string()), ("limit", PAGE.to_string())]
}

/// Whether the operating system did not let us connect.
fn is_denied(error: &reqwest::Error) -> bool {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::PermissionDenied)
}

#[cfg(test)]
mod tests {
    use std::future::IntoFuture as _;

    use axum::Router;
    use axum::http::StatusCode;
    use axum::routing::get;
    use model::bounds::Bounds;
    use model::status::Membership;
    use tokio::net::TcpListener;

    use super::*;

    /// A client of a server that answers every request so.
    async fn scaler(status: StatusCode, body: &'static str) -> Scaler {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Router::new().fallback(move || async move { (status, body) });
        tokio::spawn(axum::serve(listener, routes).into_future());
        Scaler::new(&format!("http://{address}")).unwrap()
    }

    /// How `GET /v1/services` fails, with the address as a word.
    async fn failure(scaler: &Scaler) -> String {
        let error = scaler.services().await.unwrap_err().to_string();
        error.replace(scaler.base.authority(), "ADDRESS")
    }

    #[tokio::test]
    async fn a_scaler_that_is_away_is_told_from_one_of_another_version_and_from_another_server() {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let away = Scaler::new(&format!("http://{free}")).unwrap();
        let told = "the scaler gives no answer at ADDRESS; `./just up` brings it up";
        assert_eq!(failure(&away).await, told);
        for (status, body) in [
            (StatusCode::OK, r#"{"services":[{"name":"store"}]}"#),
            (StatusCode::NOT_FOUND, "<html>"),
        ] {
            let told = "what answers at ADDRESS is no scaler of this version; `./just up` starts \
                        this one";
            assert_eq!(failure(&scaler(status, body).await).await, told, "{body}");
        }
    }

    #[tokio::test]
    async fn what_the_scaler_does_not_do_is_told_in_its_own_words() {
        let problem = r#"{"error":{"code":"not_written","message":"Check the disk."}}"#;
        for (status, is_bad_input) in
            [(StatusCode::INTERNAL_SERVER_ERROR, false), (StatusCode::UNPROCESSABLE_ENTITY, true)]
        {
            let scaler = scaler(status, problem).await;
            let error = scaler.set(&Setting::Bounds("store", None)).await.unwrap_err();
            assert_eq!(error.to_string(), "the scaler did not do it: Check the disk.");
            assert_eq!(error.is_bad_input(), is_bad_input, "{status}");
        }
    }

    #[tokio::test]
    async fn what_the_console_does_not_do_is_told_in_its_own_words_too() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = format!("http://{}", listener.local_addr().unwrap());
        let body = r#"{"type":"about:blank","title":"Unauthorized","status":401,"detail":"Send a token.","code":"no_token"}"#;
        let answer =
            (StatusCode::UNAUTHORIZED, [("content-type", "application/problem+json")], body);
        let routes = Router::new().fallback(move || async move { answer });
        tokio::spawn(axum::serve(listener, routes).into_future());
        let scaler = Scaler::new(&place).unwrap();
        let error = scaler.set(&Setting::Bounds("store", None)).await.unwrap_err();
        assert_eq!(error.to_string(), "the scaler did not do it: Send a token.");
        assert!(error.is_bad_input());
    }

    #[tokio::test]
    async fn an_answer_is_asked_for_again_until_the_scaler_is_there() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let scaler = Scaler::new(&format!("http://{address}")).unwrap();
        let asked = scaler.patiently(async |scaler| scaler.membership().await);
        let comes = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let listener = TcpListener::bind(address).await.unwrap();
            let body = r#"{"membership":"runtime","set":null}"#;
            let routes = Router::new().route("/v1/membership", get(move || async move { body }));
            tokio::spawn(axum::serve(listener, routes).into_future());
        };
        let (answer, ()) = tokio::join!(asked, comes);
        assert_eq!(answer.unwrap().membership, Membership::Runtime);
    }

    #[tokio::test]
    async fn whoever_has_a_token_says_so_with_each_request() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = format!("http://{}", listener.local_addr().unwrap());
        let is_told = async |headers: axum::http::HeaderMap| match headers.get("authorization") {
            Some(told) if told == "Bearer bellows_a" => {
                (StatusCode::OK, r#"{"membership":"reload","set":null}"#)
            }
            _ => (StatusCode::UNAUTHORIZED, r#"{"error":{"code":"x","message":"Send a token."}}"#),
        };
        tokio::spawn(axum::serve(listener, Router::new().fallback(is_told)).into_future());
        let known = Scaler::with_token(&place, "bellows_a").unwrap();
        assert_eq!(known.membership().await.unwrap().membership, Membership::Reload);
        let unknown = Scaler::new(&place).unwrap().membership().await.unwrap_err();
        assert!(unknown.to_string().contains("Send a token."), "{unknown}");
        assert!(Scaler::with_token(&place, "a\nb").unwrap_err().is_bad_input());
    }

    #[test]
    fn a_change_can_be_made_by_hand() {
        let scaler = Scaler::new("/run/bellows/operator.sock").unwrap();
        let commands = [
            Setting::Policy("store", None),
            Setting::Bounds("store", Some(Bounds::new(1, 4).unwrap())),
            Setting::Membership(Some(Membership::Reload)),
        ]
        .map(|setting| scaler.command(&setting));
        insta::assert_snapshot!(commands.join("\n"), @r#"
        curl --unix-socket /run/bellows/operator.sock -X DELETE http://localhost/v1/services/store/policy
        curl --unix-socket /run/bellows/operator.sock -X PUT -H 'content-type: application/json' --data '{"max":4,"min":1}' http://localhost/v1/services/store/bounds
        curl --unix-socket /run/bellows/operator.sock -X PUT -H 'content-type: application/json' --data '{"membership":"reload"}' http://localhost/v1/membership
        "#);
    }

    #[tokio::test]
    async fn a_socket_is_spoken_to_as_an_address_is_and_told_by_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("operator.sock");
        let scaler = Scaler::new(path.to_str().unwrap()).unwrap();
        let error = scaler.membership().await.unwrap_err().to_string();
        let told = format!("the scaler gives no answer at {}; `./just up`", path.display());
        assert!(error.starts_with(&told), "{error}");
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        let body = r#"{"membership":"reload","set":null}"#;
        let routes = Router::new().route("/v1/membership", get(move || async move { body }));
        tokio::spawn(axum::serve(listener, routes).into_future());
        assert_eq!(scaler.membership().await.unwrap().membership, Membership::Reload);
    }

    #[test]
    fn a_place_is_a_socket_or_an_address() {
        for place in ["run/operator.sock", "https://127.0.0.1:8090", "127.0.0.1:8090", ""] {
            let error = Scaler::new(place).unwrap_err();
            assert!(error.is_bad_input() && error.to_string().contains("operator.sock"), "{place}");
        }
    }
}
