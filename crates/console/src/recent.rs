//! What the scaler answered to readers a moment ago: all who may read without a token are answered alike, so that however many
//! look at a page, the scaler is asked once.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

/// For how long: a page asks every 2 s.
const HOLDS: Duration = Duration::from_millis(1_500);

/// By path.
#[derive(Debug, Default)]
pub(crate) struct Recent(Mutex<BTreeMap<String, (Instant, Value)>>);

impl Recent {
    /// The answer, unless it is too old.
    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        let answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, answer) = answers.get(path)?;
        (at.elapsed() < HOLDS).then(|| answer.clone())
    }

    /// It was answered so now. What is too old takes no memory any more.
    pub(crate) fn put(&self, path: &str, answer: Value) {
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        answers.retain(|_, (at, _)| at.elapsed() < HOLDS);
        answers.insert(path.to_owned(), (Instant::now(), answer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_of_use_for_a_moment() {
        let recent = Recent::default();
        recent.put("/v1/jobs", Value::from(1));
        assert_eq!(recent.get("/v1/jobs"), Some(Value::from(1)));
        assert_eq!(recent.get("/v1/cost"), None);
        tokio::time::advance(HOLDS).await;
        assert_eq!(recent.get("/v1/jobs"), None);
    }
}
