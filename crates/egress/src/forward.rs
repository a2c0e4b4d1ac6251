//! One request for one answer, over a connection of its own: `http://` as apt and others ask for it.

use hyper::body::Incoming;
use hyper::header::{
    CONNECTION, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VIA,
};
use hyper::http::uri::PathAndQuery;
use hyper::{Request, Response, Uri, Version};
use hyper_util::rt::TokioIo;
use model::egress::{Host, Target};

use crate::connect::Upstream;
use crate::refusal::Refusal;

/// The fields that are between two neighbours and go no further (RFC 9110, 7.6.1), beside those that
/// `Connection` names. `Expect` was answered here: the body is taken at once.
const HOP_BY_HOP: [HeaderName; 10] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    EXPECT,
];

/// Sends a request on, and gives what is answered. The connection ends with the answer, or when the right
/// to it is taken away.
///
/// # Errors
/// The other side does not answer as it should.
pub(crate) async fn forward(
    request: Request<Incoming>,
    target: &Target,
    upstream: Upstream,
    revoked: impl Future<Output = ()> + Send + 'static,
) -> Result<Response<Incoming>, Refusal> {
    let no_answer = |error: hyper::Error| Refusal::NoAnswer {
        target: target.clone(),
        reason: service::exit::chain(&error),
    };
    let request = outgoing(request, target);
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(upstream)).await;
    let (mut sender, connection) = handshake.map_err(no_answer)?;
    tokio::spawn(async move {
        tokio::select! {
            ended = connection => if let Err(error) = ended {
                tracing::debug!(%error, "an answer broke off");
            },
            () = revoked => {}
        }
    });
    let mut answer = sender.send_request(request).await.map_err(no_answer)?;
    remove_hop_by_hop(answer.headers_mut());
    add_via(answer.headers_mut());
    *answer.version_mut() = Version::HTTP_11;
    Ok(answer)
}

/// The request as the host is to see it.
fn outgoing(request: Request<Incoming>, target: &Target) -> Request<Incoming> {
    let (mut parts, body) = request.into_parts();
    parts.uri = origin_form(&parts.uri);
    parts.version = Version::HTTP_11;
    remove_hop_by_hop(&mut parts.headers);
    // What the list was asked for, and not what the client says beside it (RFC 9112, 3.2.2).
    if let Some(host) = host_field(target) {
        parts.headers.insert(HOST, host);
    }
    parts.headers.insert(CONNECTION, HeaderValue::from_static("close"));
    add_via(&mut parts.headers);
    Request::from_parts(parts, body)
}

fn origin_form(uri: &Uri) -> Uri {
    let path = uri.path_and_query().cloned();
    let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
    // A path with a query is a target by itself.
    Uri::from(path)
}

/// The host, with its port where that is not the one of `http`.
fn host_field(target: &Target) -> Option<HeaderValue> {
    let host = match &target.host {
        Host::Name(name) => name.to_string(),
        Host::Address(std::net::IpAddr::V6(address)) => format!("[{address}]"),
        Host::Address(address) => address.to_string(),
    };
    let text = if target.port.get() == 80 { host } else { format!("{host}:{}", target.port) };
    HeaderValue::try_from(text).ok()
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in HOP_BY_HOP.iter().chain(&named) {
        headers.remove(name);
    }
}

fn add_via(headers: &mut HeaderMap) {
    headers.append(VIA, HeaderValue::from_static("1.1 bellows"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_between_two_neighbours_goes_no_further() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Private"),
            ("connection", "keep-alive"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("proxy-authorization", "Basic eDp5"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "websocket"),
            ("x-private", "1"),
            ("accept", "*/*"),
            ("authorization", "Bearer x"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        remove_hop_by_hop(&mut headers);
        let mut left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["accept", "authorization"]);
    }

    #[test]
    fn the_host_is_the_one_that_the_list_was_asked_for() {
        for (target, field) in [
            ("example.org:80", "example.org"),
            ("example.org:8080", "example.org:8080"),
            ("[2001:db8::5]:80", "[2001:db8::5]"),
            ("203.0.113.5:81", "203.0.113.5:81"),
        ] {
            assert_eq!(host_field(&target.parse().unwrap()).unwrap(), field);
        }
    }

    #[test]
    fn a_host_is_asked_by_the_path_alone() {
        for (uri, path) in [
            ("http://example.org", "/"),
            ("http://example.org?a", "/?a"),
            ("http://example.org/a/b?c=d", "/a/b?c=d"),
        ] {
            assert_eq!(origin_form(&uri.parse().unwrap()).to_string(), path);
        }
    }
}
