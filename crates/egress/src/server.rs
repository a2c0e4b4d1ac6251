//! Serves instances: a place, a head within bounds, and then a tunnel or an answer.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use host::slots::Subnet;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use model::egress::{Source, Target};
use model::names::ServiceName;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixListener};
use tokio::time::{sleep, timeout};

use crate::asked::Asked;
use crate::asker::Asker;
use crate::connect::{Connector, IDLE};
use crate::forward::forward;
use crate::idle::Idle;
use crate::places::{Place, Places};
use crate::refusal::{Body, Refusal};
use crate::refusal_log::RefusalLog;
use crate::rights::Rights;
use crate::tunnel;

/// Connections of instances at a time, each of which may have one to a host beside it; and those of one
/// instance. npm opens some 50.
const CONNECTIONS: usize = 1024;
const PER_INSTANCE: usize = 128;

/// The time for a request's head to be complete, and between two requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// The size of a request's head.
const HEAD_BYTES: usize = 16 * 1024;

/// How long what is under way may take once this process was asked to end.
const DRAIN: Duration = Duration::from_secs(5);

/// The address by which the one is known who asks by a Unix socket, and has none.
pub(crate) const NO_ADDRESS: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

/// How long the accept loop rests after an accept failed.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// What one is told who finds no place.
const FULL: &[u8] = b"HTTP/1.1 503 too many connections: close some, or ask again\r\n\
    content-length: 0\r\nconnection: close\r\n\r\n";

/// The proxy.
#[derive(Debug)]
pub(crate) struct Proxy {
    rights: Arc<Rights>,
    connector: Connector,
    places: Arc<Places>,
    refusals: RefusalLog,
}

/// What a client connects by.
trait Connection: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Connection for S {}

/// A client's connection.
#[derive(Debug)]
struct Client {
    address: Ipv4Addr,
    _place: Place,
}

impl Proxy {
    /// A proxy with these rights, on a host whose instances are in this network.
    pub(crate) fn new(
        rights: Arc<Rights>,
        subnet: Subnet,
        asker: fn(ServiceName) -> Asker,
    ) -> Self {
        Self {
            rights,
            connector: Connector::new(subnet, asker),
            places: Places::new(CONNECTIONS, PER_INSTANCE),
            refusals: RefusalLog::default(),
        }
    }

    /// Serves whoever connects, for ever.
    pub(crate) async fn serve(self: Arc<Self>, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, SocketAddr::V4(client))) => {
                    // As for a connection to a host.
                    let _ = stream.set_nodelay(true);
                    self.accept(stream, *client.ip());
                }
                Ok((_, SocketAddr::V6(_))) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection; trying again");
                    sleep(ACCEPT_REST).await;
                }
            }
        }
    }

    /// Serves the one who asks by this socket, for ever.
    pub(crate) async fn serve_one_asker(self: Arc<Self>, listener: UnixListener) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => self.accept(stream, NO_ADDRESS),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection; trying again");
                    sleep(ACCEPT_REST).await;
                }
            }
        }
    }

    /// Waits until what is under way has ended, for a bounded time.
    pub(crate) async fn drain(&self) {
        if timeout(DRAIN, self.places.until_empty()).await.is_err() {
            tracing::info!("the time to drain is over; connections are cut");
        }
    }

    fn accept(self: &Arc<Self>, mut stream: impl Connection, address: Ipv4Addr) {
        let now = self.rights.now();
        let service = now.at(address).map(|source| source.instance.service());
        let Some(place) = self.places.take(address, service) else {
            // Nothing was written yet, so it fits what the kernel keeps, and waits for nobody.
            tokio::spawn(async move { stream.write(FULL).await });
            return;
        };
        let client = Arc::new(Client { address, _place: place });
        tokio::spawn(Arc::clone(self).serve_one(stream, client));
    }

    async fn serve_one(self: Arc<Self>, stream: impl Connection, client: Arc<Client>) {
        let answer = service_fn(|request: Request<Incoming>| {
            let (proxy, client) = (Arc::clone(&self), Arc::clone(&client));
            async move { Ok::<_, Infallible>(proxy.answer(request, client).await) }
        });
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(HEAD_BYTES)
            .half_close(true);
        let stream = TokioIo::new(Idle::new(stream, IDLE));
        if let Err(error) = http.serve_connection(stream, answer).with_upgrades().await {
            tracing::debug!(%error, "a connection broke off");
        }
    }

    async fn answer(&self, request: Request<Incoming>, client: Arc<Client>) -> Response<Body> {
        let now = self.rights.now();
        let source = now.at(client.address);
        match self.carry_out(request, &client, source).await {
            Ok(answer) => answer,
            Err(refusal) => {
                let instance = source.map(|source| source.instance);
                self.refusals.tell(client.address, instance, &refusal);
                refusal.answer()
            }
        }
    }

    async fn carry_out(
        &self,
        mut request: Request<Incoming>,
        client: &Arc<Client>,
        source: Option<Source<'_>>,
    ) -> Result<Response<Body>, Refusal> {
        let source = source.ok_or(Refusal::NoRight)?;
        match Asked::of(request.method(), request.uri())? {
            Asked::Tunnel(target) => {
                let upstream = self.connector.connect(client.address, source, &target).await?;
                let revoked = self.until_revoked(client, source, target);
                let (held, upgrade) = (Arc::clone(client), hyper::upgrade::on(&mut request));
                tokio::spawn(async move {
                    tunnel::carry(upgrade, upstream, revoked).await;
                    drop(held);
                });
                Ok(Response::new(Either::Left(Full::<Bytes>::default())))
            }
            Asked::Forward(target) => {
                let upstream = self.connector.connect(client.address, source, &target).await?;
                let revoked = self.until_revoked(client, source, target.clone());
                let answer = forward(request, &target, upstream, revoked).await?;
                Ok(answer.map(Either::Right))
            }
        }
    }

    /// Completes when the instance has lost its right to the target.
    fn until_revoked(
        &self,
        client: &Client,
        source: Source<'_>,
        target: Target,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (rights, address) = (Arc::clone(&self.rights), client.address);
        let instance = source.instance.clone();
        async move { rights.until_revoked(address, &instance, &target).await }
    }
}
