//! The way in by TCP, which any program of the host, any page in a browser there, and with
//! `listen.api` beyond loopback anybody can try: it reads, and at a bounded rate.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use host::settings::Settings;
use service::problem::Problem;

use super::{Anonymous, for_strangers};
use crate::shared_state::SharedState;

/// Requests a second; a page that shows live data asks for one or two.
const RATE: NonZeroU32 = NonZeroU32::new(200).unwrap();

/// Requests at once after a rest.
const BURST: NonZeroU32 = NonZeroU32::new(400).unwrap();

/// What is asked of a request before anything is looked at.
#[derive(Debug)]
struct Door {
    /// The names that this host is known by, beside its addresses and `localhost`.
    hosts: Vec<String>,
    /// Where changes are made instead.
    operator_socket: String,
    limiter: DefaultDirectRateLimiter,
}

pub(crate) fn routes(shared: &Arc<SharedState>, settings: &Settings) -> Router {
    let api = settings.listen.api;
    let anonymous = if api.ip().is_loopback() { Anonymous::Reads } else { Anonymous::Nothing };
    if anonymous == Anonymous::Nothing {
        tracing::info!(%api, "listens beyond loopback: reading needs a token");
    }
    let door = Door {
        hosts: settings.listen.api_hosts.clone(),
        operator_socket: settings.operator_socket().display().to_string(),
        limiter: RateLimiter::direct(Quota::per_second(RATE).allow_burst(BURST)),
    };
    for_strangers(shared, anonymous).layer(from_fn_with_state(Arc::new(door), check))
}

async fn check(
    State(door): State<Arc<Door>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    door.limiter.check().map_err(|_| too_many())?;
    check_place(request.headers(), &door.hosts)?;
    check_method(request.method(), &door.operator_socket)?;
    Ok(next.run(request).await)
}

fn too_many() -> Problem {
    let message = format!("More than {RATE} requests a second: try again in a second.");
    let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", message);
    problem.with_header(header::RETRY_AFTER, 1)
}

/// Refuses a request that a browser sends for a page of somebody else: one whose name leads here by a
/// trick with DNS has its name in `Host`, and any other has its own place in `Origin`.
fn check_place(headers: &HeaderMap, hosts: &[String]) -> Result<(), Problem> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let host = text(header::HOST).unwrap_or_default();
    if !is_known(host, hosts) {
        let message = format!(
            "This host is not known as {host:?}: use its address, or add the name to \
             listen.api_hosts in bellows.toml."
        );
        return Err(Problem::new(StatusCode::FORBIDDEN, "unknown_host", message));
    }
    let own = |origin: &str| {
        let authority = origin.strip_prefix("http://").or(origin.strip_prefix("https://"));
        authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
    };
    if text(header::ORIGIN).is_some_and(|origin| !own(origin)) {
        let message = "Pages of other origins may not ask the scaler.";
        return Err(Problem::new(StatusCode::FORBIDDEN, "foreign_origin", message));
    }
    Ok(())
}

/// No name can be made to lead to an address by somebody else, so any address will do.
fn is_known(host: &str, hosts: &[String]) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    let is_name = |known: &String| known.eq_ignore_ascii_case(name);
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok()
        || hosts.iter().any(is_name)
}

fn check_method(method: &Method, operator_socket: &str) -> Result<(), Problem> {
    if method.is_safe() {
        return Ok(());
    }
    let message = format!(
        "Nothing is changed over TCP: use `bellows` on the host, or curl with \
         --unix-socket {operator_socket}, as root or as a member of bellows-operators."
    );
    Err(Problem::new(StatusCode::FORBIDDEN, "read_only", message))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn refused(host: &'static str, origin: Option<&'static str>) -> Option<u16> {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static(host));
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
        }
        let known = ["bellows.example".to_owned()];
        check_place(&headers, &known).err().map(|problem| problem.status().as_u16())
    }

    #[test]
    fn this_host_is_known_by_its_addresses_and_by_the_names_of_its_settings() {
        for host in ["127.0.0.1:8090", "localhost:8090", "LOCALHOST", "[::1]:8090", "10.0.0.7"] {
            assert_eq!(refused(host, None), None, "{host}");
        }
        assert_eq!(refused("Bellows.example:80", None), None);
        for host in
            ["evil.example", "evil.example:8090", "127.0.0.1.evil.example", "", "[::1", "a]"]
        {
            assert_eq!(refused(host, None), Some(403), "{host}");
        }
    }

    #[test]
    fn a_page_asks_its_own_origin_alone() {
        let host = "127.0.0.1:8090";
        for own in ["http://127.0.0.1:8090", "https://127.0.0.1:8090"] {
            assert_eq!(refused(host, Some(own)), None, "{own}");
        }
        for other in ["http://evil.example", "null", "", "http://127.0.0.1:8080", "127.0.0.1:8090"]
        {
            assert_eq!(refused(host, Some(other)), Some(403), "{other}");
        }
    }

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
