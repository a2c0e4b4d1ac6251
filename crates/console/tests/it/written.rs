//! What the instances of a scaler wrote that is made up.

use std::sync::{Arc, Mutex};

use axum::Json;
use axum::extract::{Query, Request};
use axum::response::{IntoResponse as _, Response};
use model::names::InstanceName;
use model::output::{OutputLine, OutputPage, Stream};
use model::time::Timestamp;
use serde::Deserialize;

/// The lines, oldest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Written(Arc<Mutex<Vec<OutputLine>>>);

#[derive(Deserialize)]
struct Asked {
    instance: Option<InstanceName>,
    #[serde(default)]
    since_ms: Timestamp,
    #[serde(default)]
    lines: usize,
}

impl Written {
    /// An instance writes this.
    pub(crate) fn add(&self, at_ms: u64, instance: &str, stream: Stream, text: &str) {
        let (at, instance) = (Timestamp::from_millis(at_ms), instance.parse().unwrap());
        self.0.lock().unwrap().push(OutputLine { at, instance, stream, text: text.to_owned() });
    }

    /// The newest lines that are asked for, as the scaler's own API tells them.
    pub(crate) fn answer(&self, request: &Request) -> Response {
        let Query(asked) = Query::<Asked>::try_from_uri(request.uri()).unwrap();
        let lines = self.0.lock().unwrap();
        let is_asked = |line: &&OutputLine| {
            line.at >= asked.since_ms
                && asked.instance.as_ref().is_none_or(|it| *it == line.instance)
        };
        let newest = lines.iter().rev().filter(is_asked).take(asked.lines.min(5_000));
        let mut lines: Vec<_> = newest.cloned().collect();
        lines.reverse();
        Json(OutputPage { lines }).into_response()
    }
}
