//! Who asks, and what of the console's own answers that is for.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use model::access::Token;
use model::names::ServiceName;
use service::problem::Problem;
use tokio::time::Instant;

use super::no_such_service;
use crate::rights::Rights;

/// How often it is asked again whether somebody may still listen.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) enum Asker {
    /// Somebody who may not read, and gets what is the same on every host.
    Stranger,
    /// Anybody who may read.
    Reader,
    /// Whoever has this token.
    Named {
        token: Token,
        /// By which it is asked again, whose it is.
        secret: String,
    },
}

impl<S: Send + Sync> FromRequestParts<S> for Asker {
    type Rejection = Infallible;

    /// The door has found out who it is, or lets everybody in.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().cloned().unwrap_or(Self::Stranger))
    }
}

impl Asker {
    /// By which the scaler knows who asks.
    pub(crate) fn secret(&self) -> Option<&str> {
        match self {
            Self::Named { secret, .. } => Some(secret),
            Self::Reader | Self::Stranger => None,
        }
    }

    /// Refuses who may not see this service, as if there were none.
    ///
    /// # Errors
    /// 404.
    pub(crate) fn sees(&self, service: &ServiceName) -> Result<(), Problem> {
        match self {
            Self::Named { token, .. } if !token.is_for(Some(service)) => {
                Err(no_such_service(service.as_str()))
            }
            _ => Ok(()),
        }
    }

    /// Refuses who may not see this service, or all services where none is named.
    ///
    /// # Errors
    /// 403.
    pub(crate) fn sees_all_of(&self, service: Option<&ServiceName>) -> Result<(), Problem> {
        match self {
            Self::Named { token, .. } if !token.is_for(service) => Err(too_few_rights(token)),
            _ => Ok(()),
        }
    }

    /// Has it asked again and again whether what this one may see is the same.
    pub(crate) fn watched(self, rights: Rights) -> Watched {
        Watched { asker: self, rights, asked: Instant::now() }
    }
}

fn too_few_rights(token: &Token) -> Problem {
    let services: Vec<&str> = token.services.iter().flatten().map(ServiceName::as_str).collect();
    let message = format!(
        "The token `{}` is for {} alone: ask for one service by its path, or by `service` where the path has none.",
        token.name,
        services.join(", ")
    );
    Problem::new(StatusCode::FORBIDDEN, "too_few_rights", message)
}

/// Somebody who is told things for a long time.
#[derive(Debug)]
pub(crate) struct Watched {
    asker: Asker,
    rights: Rights,
    asked: Instant,
}

impl Watched {
    /// Whether the token is what it was; asked every 10 s. While the scaler is away nobody can say, and it counts.
    pub(crate) async fn may_go_on(&mut self) -> bool {
        let Asker::Named { token, secret } = &self.asker else { return true };
        if self.asked.elapsed() < ASK_AGAIN {
            return true;
        }
        self.asked = Instant::now();
        match self.rights.of(secret).await {
            Ok(now) => now == *token,
            Err(problem) => problem.status() != StatusCode::UNAUTHORIZED,
        }
    }
}
