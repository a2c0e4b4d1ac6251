//! The request by which an action of a service's file is done: to the load balancer, as a client would send it, so that
//! its queue and its limits hold and a service without an instance gets one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use model::output::harmless;
use model::service::{ActionAnswer, ActionMethod, Route, ServiceAction};
use reqwest::{Client, Method, Response, Url, header, redirect};

/// How long a service may take to answer.
const DEADLINE: Duration = Duration::from_secs(30);

/// So much of the body of an answer is kept, in bytes.
const BODY_MAX_BYTES: usize = 4096;

/// No answer came.
#[derive(Debug, thiserror::Error)]
#[error("no answer came, which may take {} s: see that the load balancer and the service run, by `bellows status`", DEADLINE.as_secs())]
pub struct NoAnswer(#[source] reqwest::Error);

/// What sends actions to the services of a host.
#[derive(Debug)]
pub struct ActionClient {
    client: Client,
    /// Where the load balancer takes requests for services.
    balancer: SocketAddr,
}

impl ActionClient {
    /// One for the load balancer that listens there.
    ///
    /// # Errors
    /// The HTTP client cannot be made.
    pub fn new(listens: SocketAddr) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .timeout(DEADLINE)
            .no_proxy()
            .redirect(redirect::Policy::none())
            .pool_max_idle_per_host(0)
            .build()?;
        Ok(Self { client, balancer: reached(listens) })
    }

    /// Sends an action to the service with this route.
    ///
    /// # Errors
    /// [`NoAnswer`].
    pub async fn send(
        &self,
        route: &Route,
        action: &ServiceAction,
    ) -> Result<ActionAnswer, NoAnswer> {
        let request = self.client.request(method(action.method), self.url(route, action));
        let request = match &route.host {
            Some(host) => request.header(header::HOST, host.to_string()),
            None => request,
        };
        let request = match action.method {
            // Without a length some servers wait for a body.
            ActionMethod::Post | ActionMethod::Put => request.header(header::CONTENT_LENGTH, 0),
            ActionMethod::Delete => request,
        };
        let answer = request.send().await.map_err(NoAnswer)?;
        let status = answer.status().as_u16();
        Ok(ActionAnswer { status, body: beginning(answer).await? })
    }

    fn url(&self, route: &Route, action: &ServiceAction) -> Url {
        let prefix = if route.path_prefix.is_all() { "" } else { route.path_prefix.as_str() };
        let (path, query) = match action.path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (action.path.as_str(), None),
        };
        // An address, and characters that were checked, are a URL.
        let base = format!("http://{}", self.balancer);
        let mut url: Url = base.parse().expect("an address with a port is an authority");
        url.set_path(&format!("{prefix}{path}"));
        url.set_query(query);
        url
    }
}

/// Where whoever is on this host reaches what listens there.
fn reached(listens: SocketAddr) -> SocketAddr {
    let address = match listens.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        address => address,
    };
    SocketAddr::new(address, listens.port())
}

const fn method(method: ActionMethod) -> Method {
    match method {
        ActionMethod::Post => Method::POST,
        ActionMethod::Put => Method::PUT,
        ActionMethod::Delete => Method::DELETE,
    }
}

/// The beginning of an answer's body, with control characters as escapes.
async fn beginning(mut answer: Response) -> Result<String, NoAnswer> {
    let mut body = Vec::new();
    while body.len() < BODY_MAX_BYTES {
        let Some(part) = answer.chunk().await.map_err(NoAnswer)? else { break };
        body.extend_from_slice(&part);
    }
    body.truncate(BODY_MAX_BYTES);
    Ok(harmless(&String::from_utf8_lossy(&body)))
}

#[cfg(test)]
mod tests {
    use std::future::IntoFuture as _;
    use std::sync::{Arc, Mutex};

    use axum::Router;
    use axum::extract::Request;
    use axum::http::StatusCode;
    use axum::response::{IntoResponse as _, Redirect};
    use model::service::ServiceSpec;
    use tokio::net::TcpListener;

    use super::*;

    const FILE: &str =
        "name = \"shop\"\nimage = \"x\"\ninstance.port = 1\nbounds = { min = 1, max = 1 }\n";

    fn route(text: &str) -> Route {
        let spec: ServiceSpec = config_file::from_toml("a", &format!("{FILE}{text}")).unwrap();
        spec.route().unwrap().clone()
    }

    fn action(method: ActionMethod, path: &str) -> ServiceAction {
        ServiceAction { title: "it".to_owned(), method, path: path.to_owned() }
    }

    #[tokio::test]
    async fn an_action_is_a_request_by_the_services_own_route_and_its_answer_is_bounded() {
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let record = Arc::clone(&seen);
        let routes = Router::new().fallback(async move |request: Request| {
            let host = request.headers()["host"].to_str().unwrap().to_owned();
            let host = if host == address.to_string() { "ADDRESS".to_owned() } else { host };
            let length = request.headers().get("content-length");
            let length = length.map(|it| it.to_str().unwrap().to_owned()).unwrap_or_default();
            let line = format!("{} {} {host} {length}", request.method(), request.uri());
            record.lock().unwrap().push(line.trim_end().to_owned());
            match request.uri().path() {
                "/long/" => "a\u{1b}".repeat(9_000).into_response(),
                "/away" => Redirect::permanent("http://127.0.0.1:1/").into_response(),
                _ => StatusCode::NO_CONTENT.into_response(),
            }
        });
        tokio::spawn(axum::serve(listener, routes).into_future());
        let client = ActionClient::new(address).unwrap();
        let plain = route("route.path_prefix = \"/\"");
        let own = route("route = { host = \"shop.example\", path_prefix = \"/long\" }");
        let deleted = client.send(&plain, &action(ActionMethod::Delete, "/")).await.unwrap();
        assert_eq!(deleted, ActionAnswer { status: 204, body: String::new() });
        let long = client.send(&own, &action(ActionMethod::Post, "/")).await.unwrap();
        assert!(long.status == 200 && long.body.starts_with("a\\u{1b}a"), "{}", long.body.len());
        assert!(!long.body.contains('\u{1b}') && long.body.len() <= 8 * BODY_MAX_BYTES);
        let put = action(ActionMethod::Put, "/away?all=1%20x");
        assert_eq!(client.send(&plain, &put).await.unwrap().status, 308);
        insta::assert_snapshot!(seen.lock().unwrap().join("\n"), @r"
        DELETE / ADDRESS
        POST /long/ shop.example 0
        PUT /away?all=1%20x ADDRESS 0
        ");
    }

    #[tokio::test]
    async fn that_nobody_answers_is_told() {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let client = ActionClient::new(free).unwrap();
        let delete = action(ActionMethod::Delete, "/");
        let error = client.send(&route("route.path_prefix = \"/\""), &delete).await.unwrap_err();
        assert!(error.to_string().contains("no answer came, which may take 30 s"), "{error}");
    }

    #[test]
    fn what_listens_on_all_addresses_is_reached_by_loopback() {
        assert_eq!(reached("0.0.0.0:80".parse().unwrap()), "127.0.0.1:80".parse().unwrap());
        assert_eq!(reached("[::]:80".parse().unwrap()), "[::1]:80".parse().unwrap());
        assert_eq!(reached("10.0.0.1:80".parse().unwrap()), "10.0.0.1:80".parse().unwrap());
    }
}
