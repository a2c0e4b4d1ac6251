//! The end of `up`: every service has answered through HAProxy, or has its instances ready where it
//! gets no requests.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use host::settings::Settings;
use model::names::ServiceName;
use model::service::{Route, ServiceSpec};
use reqwest::header::HOST;
use scaler_client::Scaler;
use tokio::time::{Instant, sleep};

use crate::code::Code;
use crate::error::Coded;
use crate::programs::Programs;
use crate::progress::{Outcome, Progress};
use crate::scaler;

/// How long the first instance may take at least: a launch of 0.1 s, tried again for as long as a busy
/// machine may need.
const PATIENCE: Duration = Duration::from_secs(30);

/// Time between two requests.
const PAUSE: Duration = Duration::from_millis(50);

/// How long one request may take. Where no instance is ready HAProxy holds it for 10 s, and its answer
/// tells more than that there was none.
const DEADLINE: Duration = Duration::from_secs(12);

/// The header that names the instance's server: an answer without it is HAProxy's own.
const SERVER: &str = "x-bellows-server";

/// Waits until an instance answers on the route of each of these services, and those without one are ready.
///
/// # Errors
/// One does not, told with the last lines that the programs of the host wrote.
pub(crate) async fn wait(
    services: &[&ServiceSpec],
    settings: &Settings,
    programs: &Programs,
    progress: &mut Progress,
) -> anyhow::Result<()> {
    let Err(error) = wait_alone(services, settings, progress).await else { return Ok(()) };
    let logs = programs.last_lines().await;
    let told =
        anyhow!("{error:#}. Look at `bellows status` and at these last lines of the logs:\n{logs}");
    Err(Coded::new(Code::NoGoodAnswer, told).into())
}

/// The same, which tells nothing of what others wrote.
///
/// # Errors
/// One does not.
pub(crate) async fn wait_alone(
    services: &[&ServiceSpec],
    settings: &Settings,
    progress: &mut Progress,
) -> anyhow::Result<()> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(0)
        // A redirect is an answer too, and may lead to another host.
        .redirect(reqwest::redirect::Policy::none())
        .timeout(DEADLINE)
        .build()
        .context("an HTTP client cannot be made; check this host's resolver")?;
    let scaler = scaler::client(settings)?;
    for spec in services {
        // One that takes its whole time may be launched again.
        let patience = PATIENCE.max(2 * spec.launch_timeout(settings.scaler.launch_timeout));
        if let Some(route) = spec.route() {
            let url = format!("http://{}{}", settings.listen.services, route.path_prefix);
            let request = || request(&client, &url, route);
            let answer = first_answer(request, route, patience);
            progress.step("first answer", answer).await?;
        } else {
            let ready = first_ready(&scaler, &spec.name, patience);
            progress.step("ready", ready).await?;
        }
    }
    Ok(())
}

/// Waits until the console answers where it is to listen: at once, but for the check of a large history.
///
/// # Errors
/// It does not.
pub(super) async fn console(listen: SocketAddrV4) -> anyhow::Result<()> {
    // What listens on all addresses is asked on loopback.
    let ip = if listen.ip().is_unspecified() { Ipv4Addr::LOCALHOST } else { *listen.ip() };
    let url = format!("http://{ip}:{}/healthz", listen.port());
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(2)).build();
    let client = client.context("an HTTP client cannot be made; check this host's resolver")?;
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if client.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
            return Ok(());
        }
        sleep(PAUSE).await;
    }
    bail!("the console does not answer at {url} within {PATIENCE:?}")
}

/// Asks for a route, whose host need not be known to this machine's resolver.
fn request(client: &reqwest::Client, url: &str, route: &Route) -> reqwest::RequestBuilder {
    let request = client.get(url);
    match &route.host {
        Some(host) => request.header(HOST, host.as_str()),
        None => request,
    }
}

async fn first_answer(
    request: impl Fn() -> reqwest::RequestBuilder,
    route: &Route,
    patience: Duration,
) -> anyhow::Result<Outcome> {
    let deadline = Instant::now() + patience;
    let mut last = "nothing was asked yet".to_owned();
    while Instant::now() < deadline {
        match request().send().await {
            Ok(answer) if is_an_instances(&answer) => return Ok(Outcome::Unchanged),
            Ok(answer) => {
                let who = if is_of_one(&answer) { "an instance" } else { "HAProxy" };
                last = format!("{who} answered {}", answer.status());
            }
            Err(error) if error.is_timeout() => last = format!("no answer within {DEADLINE:?}"),
            Err(_) => last = "the connection was refused or broken off".to_owned(),
        }
        sleep(PAUSE).await;
    }
    bail!("the route {route} got no good answer of an instance within {patience:?}: {last}")
}

/// Waits until a service has as many ready instances as it rests at, which may be none.
async fn first_ready(
    scaler: &Scaler,
    service: &ServiceName,
    patience: Duration,
) -> anyhow::Result<Outcome> {
    let deadline = Instant::now() + patience;
    while Instant::now() < deadline {
        let status = scaler.service(service.as_str()).await;
        if status.is_ok_and(|status| status.phases.ready >= status.rests_at()) {
            return Ok(Outcome::Unchanged);
        }
        sleep(PAUSE).await;
    }
    bail!("no instance of {service} got healthy within {patience:?}")
}

/// Whether an instance answered, and not with an error of its own.
fn is_an_instances(answer: &reqwest::Response) -> bool {
    is_of_one(answer) && !answer.status().is_server_error()
}

/// Whether an instance answered, and not HAProxy for it.
fn is_of_one(answer: &reqwest::Response) -> bool {
    answer.headers().contains_key(SERVER)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn the_console_is_waited_for_until_it_answers_well() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let everywhere = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port);
        let served = tokio::spawn(async move {
            for status in ["503 Service Unavailable", "200 OK"] {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = [0; 1024];
                let read = stream.read(&mut head).await.unwrap();
                assert!(head[..read].starts_with(b"GET /healthz "));
                let answer =
                    format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        console(everywhere).await.unwrap();
        served.await.unwrap();
    }
}
