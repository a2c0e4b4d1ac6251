//! The service in front of the store: routes, and what a request turns into.

mod body;
mod collection;
mod error;
mod path;
mod query;
mod range;
mod read;
mod write;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use prometheus_client::registry::Registry;
use service::metrics::HttpMetrics;
use service::{probes, problem};

use crate::config::Config;
use crate::limit::{self, RateLimiter};
use crate::store::{Store, StoreError};

/// What the handlers know.
#[derive(Clone, Debug)]
struct App {
    store: Store,
    max_object_bytes: u64,
    body_timeout: Duration,
}

/// All that is served.
///
/// The id is everything after `/objs/`: an encoded slash and a plain one are the same, since ids
/// may hold both and clients disagree about which to send.
pub fn routes(store: Store, config: &Config) -> Router {
    let mut registry = Registry::default();
    let metrics = HttpMetrics::register(&mut registry);
    let app =
        App { store, max_object_bytes: config.max_object_bytes, body_timeout: config.body_timeout };
    let object = get(read::get).put(write::put).delete(write::delete);
    let mut objects = Router::new()
        .route("/", get(collection::list).delete(collection::clear))
        .route("/objs/", object.clone())
        .route("/objs/{*id}", object)
        .with_state(app);
    if config.rate_limit.enabled {
        let limiter = Arc::new(RateLimiter::new(config.rate_limit, &mut registry));
        objects = objects.route_layer(from_fn_with_state(limiter, limit::layer));
    }
    problem::guard(metrics.observe(objects).merge(probes::routes(registry)))
}

/// Runs `work`, which may block, on a thread that may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| {
        Err(StoreError::Io { doing: "finish the work on a file", source: error.into() })
    })
}
