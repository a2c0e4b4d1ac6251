//! The way in by TCP, which any program of the host, any page in a browser there, and with
//! `listen.api` beyond loopback anybody can try: it reads.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use host::settings::Settings;
use service::origin::{self, Place};
use service::problem::Problem;

use super::identify::{self, Unnamed};
use crate::shared_state::SharedState;

/// What is asked of a request, whoever sends it.
#[derive(Debug)]
pub(super) struct Rules {
    /// Who somebody is without a token.
    unnamed: Unnamed,
    /// The names that this host is known by, beside its addresses and `localhost`.
    hosts: Vec<String>,
    /// Where changes are made instead.
    operator_socket: String,
}

pub(crate) fn routes(shared: &Arc<SharedState>, settings: &Settings) -> Router {
    let api = settings.listen.api;
    let unnamed = if api.ip().is_loopback() { Unnamed::Reads } else { Unnamed::Nobody };
    if unnamed == Unnamed::Nobody {
        tracing::info!(%api, "listens beyond loopback: reading needs a token");
    }
    let rules = Rules {
        unnamed,
        hosts: settings.listen.api_hosts.clone(),
        operator_socket: settings.operator_socket().display().to_string(),
    };
    identify::routes_by_tcp(shared, rules)
}

impl Rules {
    /// Who sends a request that carries no token. By a name that is known beyond this host it came by way of a
    /// proxy, behind which anybody can be.
    ///
    /// # Errors
    /// 403: a browser sends it for a page of somebody else, or it would change something.
    pub(super) fn check(&self, request: &Request) -> Result<Unnamed, Problem> {
        let place = origin::check(request.headers(), &self.hosts)?;
        check_method(request.method(), &self.operator_socket)?;
        Ok(if place == Place::Beyond { Unnamed::Nobody } else { self.unnamed })
    }
}

fn check_method(method: &Method, operator_socket: &str) -> Result<(), Problem> {
    if method.is_safe() {
        return Ok(());
    }
    let message = format!(
        "Nothing is changed over TCP: use `bellows` on the host, or curl with \
         --unix-socket {operator_socket}, as root or as a member of bellows-operators; with a token, \
         its console.sock."
    );
    Err(Problem::new(StatusCode::FORBIDDEN, "read_only", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_that_change_something_are_sent_elsewhere() {
        for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
            assert!(check_method(&method, "/run/x.sock").is_ok(), "{method}");
        }
        for method in [Method::PUT, Method::POST, Method::DELETE, Method::PATCH] {
            let problem = check_method(&method, "/run/x.sock").unwrap_err();
            assert_eq!(problem.status(), StatusCode::FORBIDDEN, "{method}");
        }
    }
}
