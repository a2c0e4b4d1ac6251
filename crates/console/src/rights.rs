//! Who may see what of the console's own answers. The console knows no token: it asks the scaler whose a secret is, and
//! remembers the answer for a moment.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::{StatusCode, header};
use model::access::Token;
use model::caller::CallerStatus;
use service::bearer::{unauthorized, unauthorized_as};
use service::problem::Problem;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use crate::upstream::{self, Upstream, scaler_away};

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

/// What the scaler said of a secret, and when.
#[derive(Debug, Clone)]
struct Answer {
    at: Instant,
    whose: Whose,
}

/// What the scaler says of a secret.
#[derive(Debug, Clone)]
enum Whose {
    /// This token's.
    Token(Token),
    /// One's that has ended, with the scaler's words.
    Ended(String),
    /// Nobody's.
    Nobodys,
}

impl Whose {
    fn token(self) -> Result<Token, Problem> {
        match self {
            Self::Token(token) => Ok(token),
            Self::Ended(message) => Err(unauthorized_as(ENDED, message)),
            Self::Nobodys => Err(unauthorized("The token is not known here.")),
        }
    }
}

/// The code by which the scaler says that a token has ended.
const ENDED: &str = "token_ended";

impl Rights {
    /// Rights as the scaler knows them.
    pub fn new(upstream: Upstream) -> Self {
        Self { upstream, answers: Arc::default() }
    }

    /// The token that has this secret.
    ///
    /// # Errors
    /// 401 where it is nobody's, or its token has ended; what the scaler says where it does not tell; 503 where it does not answer.
    pub async fn of(&self, secret: &str) -> Result<Token, Problem> {
        let key: Key = Sha256::digest(secret).into();
        let remembered = self.remembered(&key);
        let whose = match remembered {
            Some(whose) => whose,
            None => {
                let whose = self.asked(secret).await?;
                self.remember(key, whose.clone());
                whose
            }
        };
        whose.token()
    }

    async fn asked(&self, secret: &str) -> Result<Whose, Problem> {
        let answer = self.upstream.caller(secret).await;
        let (status, body) = answer.map_err(|error| {
            tracing::warn!(
                error = service::exit::chain(&error),
                "the scaler does not say who asks"
            );
            scaler_away()
        })?;
        match (status, serde_json::from_slice(&body)) {
            (StatusCode::OK, Ok(CallerStatus::Token { token })) => Ok(Whose::Token(token)),
            (StatusCode::UNAUTHORIZED, _) => Ok(match upstream::said(&body) {
                Some((code, message)) if code == ENDED => Whose::Ended(message),
                _ => Whose::Nobodys,
            }),
            (StatusCode::TOO_MANY_REQUESTS, _) => Err(too_many()),
            _ => {
                tracing::warn!(%status, "the scaler does not say who asks in a way that is known");
                Err(scaler_away())
            }
        }
    }

    fn remembered(&self, key: &Key) -> Option<Whose> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = answers.get(key).filter(|answer| answer.at.elapsed() < HOLDS)?;
        Some(answer.whose.clone())
    }

    fn remember(&self, key: Key, whose: Whose) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let most = if matches!(whose, Whose::Token(_)) { MOST } else { MOST_WRONG };
        if answers.len() >= most {
            answers.retain(|_, answer| answer.at.elapsed() < HOLDS);
        }
        if answers.len() < most {
            answers.insert(key, Answer { at: Instant::now(), whose });
        }
    }
}

/// The scaler has been asked too often, with this token or with wrong ones.
fn too_many() -> Problem {
    let message = "Too many requests with this token, or with wrong ones: try again in a second.";
    let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", message);
    problem.with_header(header::RETRY_AFTER, 1)
}
