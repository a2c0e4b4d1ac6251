//! A client of the services, through HAProxy.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;

/// Where HAProxy listens for the services.
const SERVICES: &str = "http://127.0.0.1:8080";

/// Requests to the services.
pub(crate) struct Client {
    http: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

/// An answer, read to its end.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }
}

impl Client {
    pub(crate) fn new() -> Self {
        // A connection each: a kept one could belong to an HAProxy that was killed on purpose.
        let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0);
        let http = http.timeout(Duration::from_secs(5)).build().expect("a client");
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        Self { http, runtime }
    }

    /// Sends a request whose answer must come.
    #[track_caller]
    pub(crate) fn send(
        &self,
        method: Method,
        path: &str,
        build: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Answer {
        self.send_to(SERVICES, method, path, build)
    }

    /// The same, to another origin than that of the services.
    #[track_caller]
    pub(crate) fn send_to(
        &self,
        origin: &str,
        method: Method,
        path: &str,
        build: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Answer {
        let url = format!("{origin}{path}");
        let request = build(self.http.request(method.clone(), &url));
        let answer = self.runtime.block_on(async { read(request.send().await?).await });
        answer.unwrap_or_else(|error| panic!("{method} {url}: {error:?}"))
    }

    /// Whether a plain `GET` answers 200 now.
    pub(crate) fn is_good(&self, url: &str) -> bool {
        let request = self.http.get(url).timeout(Duration::from_millis(500));
        self.runtime
            .block_on(async { request.send().await })
            .is_ok_and(|r| r.status() == StatusCode::OK)
    }

    /// Does `work` and asks for `path` 50 times a second until it is done. Gives the status of every answer, `None`
    /// where there was none.
    pub(crate) fn meanwhile<T>(
        &self,
        path: &str,
        work: impl FnOnce() -> T,
    ) -> (T, Vec<Option<StatusCode>>) {
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let asking = scope.spawn(|| {
                let mut answers = Vec::new();
                while !done.load(Ordering::Relaxed) {
                    let request = self.http.get(format!("{SERVICES}{path}"));
                    let answer = self.runtime.block_on(async { request.send().await });
                    answers.push(answer.ok().map(|answer| answer.status()));
                    std::thread::sleep(Duration::from_millis(20));
                }
                answers
            });
            let result = work();
            done.store(true, Ordering::Relaxed);
            (result, asking.join().expect("the thread that asks"))
        })
    }

    /// Does `work` while so many ask for `path`, each for the next answer when it has one. Gives as `meanwhile` does.
    pub(crate) fn under_load<T>(
        &self,
        path: &str,
        clients: usize,
        work: impl FnOnce() -> T,
    ) -> (T, Vec<Option<StatusCode>>) {
        let done = Arc::new(AtomicBool::new(false));
        let asking = || {
            let (http, done) = (self.http.clone(), done.clone());
            let url = format!("{SERVICES}{path}");
            self.runtime.spawn(async move {
                let mut answers = Vec::new();
                while !done.load(Ordering::Relaxed) {
                    let answer = http.get(&url).send().await;
                    answers.push(answer.ok().map(|answer| answer.status()));
                }
                answers
            })
        };
        let asking: Vec<_> = std::iter::repeat_with(asking).take(clients).collect();
        let result = work();
        done.store(true, Ordering::Relaxed);
        let answers =
            asking.into_iter().flat_map(|it| self.runtime.block_on(it).expect("it asked"));
        (result, answers.collect())
    }

    /// Whether the services answer through HAProxy now.
    pub(crate) fn serves(&self) -> bool {
        self.is_good(&format!("{SERVICES}/?limit=1"))
    }
}

async fn read(response: Response) -> reqwest::Result<Answer> {
    let (status, headers) = (response.status(), response.headers().clone());
    let body = response.bytes().await?.to_vec();
    Ok(Answer { status, headers, body })
}
