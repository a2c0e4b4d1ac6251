//! A page that follows what happens: its regions, told anew as they change, and beside them what is told live, for charts.
//!
//! What comes within a moment is told as one, so that a burst of turns costs one rendering.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use service::problem::Problem;
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, timeout_at};

use super::Page;
use super::applications::Applications;
use super::view::{Asked, View};
use crate::api::Known;
use crate::api::asker::{Asker, Watched};
use crate::live::Listener;

/// What comes within so long is told as one.
const GATHER: Duration = Duration::from_millis(20);

/// A page is told anew so often at the most.
const PAUSE: Duration = Duration::from_millis(100);

/// Where nothing happens, ages and what was lost are told so often.
const IDLE: Duration = Duration::from_secs(1);

/// What a page asks for beside what is known now is asked for again so often, where it changes: each costs the scaler as
/// much as 20 requests of the 200 a second that it answers.
const AGAIN: Duration = Duration::from_secs(2);

/// Whether a page is asked for as it changes.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.split(',').any(|kind| kind.trim() == "text/event-stream"))
}

/// The page as a text of events.
pub(super) fn stream(
    page: Page,
    known: Known,
    asker: Asker,
    asked: Asked,
    headers: &HeaderMap,
) -> Response {
    if matches!(asker, Asker::Stranger) {
        return service::bearer::unauthorized("From beyond the host, reading needs a token.")
            .into_response();
    }
    let last_id = headers.get("last-event-id").map(|id| id.to_str().unwrap_or_default());
    let Some(listener) = known.hub.listen(last_id, page.service().cloned()) else {
        let message = "As many listen as may: close another page.";
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_listeners", message)
            .into_response();
    };
    let applications = Applications::of(known.entrance, headers);
    let watched = asker.clone().watched(known.rights.clone());
    let follower = Follower {
        page,
        known,
        asker,
        watched,
        listener,
        applications,
        asked,
        ask_again: Instant::now() + AGAIN,
        ids: Vec::new(),
        told: BTreeMap::new(),
        due: Instant::now(),
        not_before: Instant::now(),
    };
    let text = futures_util::stream::unfold(follower, async |mut follower| {
        let part = follower.next().await?;
        Some((Ok::<Bytes, Infallible>(part), follower))
    });
    let headers =
        [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    (headers, Body::from_stream(text)).into_response()
}

/// Who follows a page.
struct Follower {
    page: Page,
    known: Known,
    asker: Asker,
    watched: Watched,
    listener: Listener,
    /// The regions that there are, as it was told.
    ids: Vec<&'static str>,
    /// The digest of each as it was told.
    told: BTreeMap<&'static str, [u8; 32]>,
    applications: Option<Applications>,
    /// What it asked for, and when that is asked for again.
    asked: Asked,
    ask_again: Instant,
    /// When the regions are looked at next, and when at the earliest.
    due: Instant,
    not_before: Instant,
}

impl Follower {
    /// Waits for the next part of the text; `None` at its end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let Ok(message) = timeout_at(self.due, self.listener.next()).await else {
                let text = self.regions().await;
                let pause = if text.is_empty() { IDLE } else { PAUSE };
                self.not_before = Instant::now() + PAUSE;
                self.due = Instant::now() + pause;
                if text.is_empty() {
                    continue;
                }
                return Some(text.into());
            };
            // Charts take each message as it comes, and regions soon after.
            self.due = self.due.min(self.not_before.max(Instant::now() + GATHER));
            let message = message?;
            return self.watched.may_go_on().await.then_some(message);
        }
    }

    /// What changed of the page since it was told.
    async fn regions(&mut self) -> String {
        if self.page.asks_again() && Instant::now() >= self.ask_again {
            self.asked = self.page.ask(&self.known, &self.asker).await;
            self.ask_again = Instant::now() + AGAIN;
        }
        let mut view = View::of_now(&self.known, &self.asker);
        view.applications.clone_from(&self.applications);
        view.asked = self.asked.clone();
        let regions = self.page.regions(&view);
        let mut text = String::new();
        let ids: Vec<&'static str> = regions.iter().map(|region| region.id).collect();
        if ids != self.ids {
            text.push_str(&format!(
                "event: regions\ndata: {}\n\n",
                serde_json::json!({ "ids": ids })
            ));
            self.ids = ids;
        }
        for region in regions {
            let html = region.html.0;
            let digest = Sha256::digest(html.as_bytes()).into();
            if self.told.insert(region.id, digest) != Some(digest) {
                let told = serde_json::json!({ "id": region.id, "html": html });
                text.push_str(&format!("event: region\ndata: {told}\n\n"));
            }
        }
        text
    }
}
