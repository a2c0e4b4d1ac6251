//! Plain HTTP requests, for any service, and what is expected of their answers.

use std::sync::Arc;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, StatusCode};
use rand::SeedableRng;
use rand::distr::weighted::WeightedIndex;
use rand::rngs::Xoshiro256PlusPlus;
use rand_distr::Distribution;

/// One of the requests that a scenario makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// How often it is chosen, relative to the others; at least 1.
    pub weight: u32,
    /// Its method.
    pub method: Method,
    /// Its path, with a query where it has one.
    pub path: PathAndQuery,
    /// Its own headers, beside those that every HTTP client sends.
    pub headers: HeaderMap,
    /// Its body, empty for none.
    pub body: Bytes,
    /// The good answer has one of these statuses.
    pub expected_statuses: Vec<StatusCode>,
    /// The body of the good answer contains this; `None` when any body will do.
    pub expected_text: Option<String>,
}

/// Draws requests for ever, the same ones for the same seed.
#[derive(Debug, Clone)]
pub struct HttpSource {
    rng: Xoshiro256PlusPlus,
    requests: Vec<Arc<HttpRequest>>,
    /// `None` where there is no choice.
    weights: Option<WeightedIndex<u32>>,
}

impl HttpSource {
    /// The requests that follow from `seed`; at least one is to choose from.
    pub(crate) fn new(requests: &[Arc<HttpRequest>], seed: u64) -> Self {
        Self {
            rng: Xoshiro256PlusPlus::seed_from_u64(seed),
            requests: requests.to_vec(),
            // The format's bounds (a request at least, each weight at least 1) are all that it asks.
            weights: WeightedIndex::new(requests.iter().map(|request| request.weight)).ok(),
        }
    }

    /// The next request; `None` only when there is none to choose from.
    pub(crate) fn draw(&mut self) -> Option<Arc<HttpRequest>> {
        let chosen = self.weights.as_ref()?.sample(&mut self.rng);
        self.requests.get(chosen).cloned()
    }
}
