//! The service in front of the work.

mod accept;
mod page;
mod query;

use std::num::NonZeroUsize;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::header::{CACHE_CONTROL, VARY};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use prometheus_client::registry::Registry;
use serde::Serialize;
use service::metrics::HttpMetrics;
use service::problem::Problem;
use service::{probes, problem};
use tokio::sync::Semaphore;

use self::query::QueryError;
use crate::config::Config;
use crate::product::{Product, multiply};

/// What the handler knows.
#[derive(Clone, Debug)]
struct App {
    max_n: usize,
    places: Arc<Semaphore>,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Task {
    n: NonZeroUsize,
    seed: u64,
}

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Page,
    Json,
}

/// What is answered.
#[derive(Debug, Serialize)]
struct Answer {
    n: usize,
    seed: u64,
    ms: f64,
    checksum: u64,
}

/// All that is served.
pub fn routes(config: &Config) -> Router {
    let mut registry = Registry::default();
    let metrics = HttpMetrics::register(&mut registry);
    let app = App { max_n: config.max_n, places: Arc::new(Semaphore::new(config.concurrency)) };
    let product = Router::new().route("/", get(product)).with_state(app);
    problem::guard(metrics.observe(product).merge(probes::routes(registry)))
}

async fn product(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let query = query::parse(query.as_deref().unwrap_or_default(), app.max_n)?;
    let format = query.format.unwrap_or_else(|| accept::preferred(&headers));
    let product = work(&app, query.task).await?;
    let answer = Answer::new(query.task, product);
    let body = match format {
        Format::Page => Html(page::render(&answer, app.max_n)).into_response(),
        Format::Json => Json(answer).into_response(),
    };
    // Another request is another product, even of the same address.
    Ok(([(CACHE_CONTROL, "no-store"), (VARY, "accept")], body).into_response())
}

/// Works when it is this request's turn. The place is held until the work is done, also when the client is gone
/// by then: there is no stopping it.
async fn work(app: &App, task: Task) -> Result<Product, Problem> {
    let place = Arc::clone(&app.places).acquire_owned().await;
    let place = place.map_err(|error| Problem::internal(&error))?;
    let done = tokio::task::spawn_blocking(move || {
        let product = multiply(task.n.get(), task.seed);
        drop(place);
        product
    });
    done.await.map_err(|error| Problem::internal(&error))
}

impl Answer {
    fn new(task: Task, product: Product) -> Self {
        Self {
            n: task.n.get(),
            seed: task.seed,
            ms: product.took.as_secs_f64() * 1000.0,
            checksum: product.checksum,
        }
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_query", error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_more_products_are_under_way_than_there_are_places() {
        let app = App { max_n: 1, places: Arc::new(Semaphore::new(1)) };
        let task = Task { n: NonZeroUsize::MIN, seed: 0 };
        let other = app.places.acquire().await.unwrap();
        let mut waits = Box::pin(work(&app, task));
        // Each look is one step further, if there is one to take.
        for _ in 0..100 {
            tokio::select! {
                biased;
                _ = &mut waits => panic!("it took a place that another has"),
                () = tokio::task::yield_now() => {}
            }
        }
        drop(other);
        assert!(waits.await.is_ok());
        assert_eq!(app.places.available_permits(), 1);
    }
}
