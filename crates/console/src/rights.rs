//! Who may see what of the console's own answers. The console knows no token: it asks the scaler whose a secret is, and
//! remembers the answer for a moment.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::{StatusCode, header};
use model::access::Token;
use model::caller::CallerStatus;
use service::bearer::unauthorized;
use service::problem::Problem;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use crate::upstream::{Upstream, scaler_away};

/// For how long an answer holds: a token that is revoked reads no longer.
const HOLDS: Duration = Duration::from_secs(2);

/// Answers that are remembered, and those of them that say that a secret is nobody's: who guesses leaves room for those who
/// know.
const MOST: usize = 512;
const MOST_WRONG: usize = 256;

/// A digest, so that what is remembered is of no use to who reads this program's memory.
type Key = [u8; 32];

/// Whose the secrets are.
#[derive(Debug, Clone)]
pub struct Rights {
    upstream: Upstream,
    answers: Arc<Mutex<HashMap<Key, Answer>>>,
}

/// What the scaler said of a secret; `None` where it is nobody's.
#[derive(Debug, Clone)]
struct Answer {
    at: Instant,
    token: Option<Token>,
}

impl Rights {
    /// Rights as the scaler knows them.
    pub fn new(upstream: Upstream) -> Self {
        Self { upstream, answers: Arc::default() }
    }

    /// The token that has this secret.
    ///
    /// # Errors
    /// 401 where it is nobody's; what the scaler says where it does not tell; 503 where it does not answer.
    pub async fn of(&self, secret: &str) -> Result<Token, Problem> {
        let key: Key = Sha256::digest(secret).into();
        let remembered = self.remembered(&key);
        let token = match remembered {
            Some(token) => token,
            None => {
                let token = self.asked(secret).await?;
                self.remember(key, token.clone());
                token
            }
        };
        token.ok_or_else(|| unauthorized("The token is not known here."))
    }

    async fn asked(&self, secret: &str) -> Result<Option<Token>, Problem> {
        let answer = self.upstream.caller(secret).await;
        let (status, body) = answer.map_err(|error| {
            tracing::warn!(
                error = service::exit::chain(&error),
                "the scaler does not say who asks"
            );
            scaler_away()
        })?;
        match (status, serde_json::from_slice(&body)) {
            (StatusCode::OK, Ok(CallerStatus::Token { token })) => Ok(Some(token)),
            (StatusCode::UNAUTHORIZED, _) => Ok(None),
            (StatusCode::TOO_MANY_REQUESTS, _) => Err(too_many()),
            _ => {
                tracing::warn!(%status, "the scaler does not say who asks in a way that is known");
                Err(scaler_away())
            }
        }
    }

    fn remembered(&self, key: &Key) -> Option<Option<Token>> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = answers.get(key).filter(|answer| answer.at.elapsed() < HOLDS)?;
        Some(answer.token.clone())
    }

    fn remember(&self, key: Key, token: Option<Token>) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let most = if token.is_some() { MOST } else { MOST_WRONG };
        if answers.len() >= most {
            answers.retain(|_, answer| answer.at.elapsed() < HOLDS);
        }
        if answers.len() < most {
            answers.insert(key, Answer { at: Instant::now(), token });
        }
    }
}

/// The scaler has been asked too often, with this token or with wrong ones.
fn too_many() -> Problem {
    let message = "Too many requests with this token, or with wrong ones: try again in a second.";
    let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", message);
    problem.with_header(header::RETRY_AFTER, 1)
}
