//! Connections to the target, kept and reused by the generator itself.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::content::ContentBody;
use crate::outcome::Failure;
use crate::target::Target;

/// A kept connection is not used again after this long. The load balancer closes idle ones after
/// 2 s; half of that keeps clear of the moment at which both ends act at once.
const IDLE_LIMIT: Duration = Duration::from_secs(1);

/// Idle connections, the most recently used one first, and those who count them.
#[derive(Debug)]
pub(crate) struct Pool {
    target: Target,
    idle: Mutex<Vec<Idle>>,
    opened: AtomicU64,
    resent: AtomicU64,
}

#[derive(Debug)]
struct Idle {
    sender: SendRequest<ContentBody>,
    since: Instant,
}

/// A response whose body has not been read, and the connection it comes over.
pub(crate) struct Exchange {
    pub(crate) response: Response<Incoming>,
    sender: SendRequest<ContentBody>,
}

impl Pool {
    pub(crate) fn new(target: Target) -> Self {
        let counter = AtomicU64::default;
        Self { target, idle: Mutex::default(), opened: counter(), resent: counter() }
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// Connections opened so far.
    pub(crate) fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// Requests sent anew so far.
    pub(crate) fn resent(&self) -> u64 {
        self.resent.load(Ordering::Relaxed)
    }

    /// Sends a request over a kept connection, or over a new one where none is idle.
    ///
    /// A server may close a kept connection at any time, also while the next request is on its
    /// way. That is no failure of the server, and a client may send anew (RFC 9112, 9.3.1): here
    /// once, over a new connection, and only a request of which nothing was sent, or a GET to
    /// which not a byte was answered. A request on a new connection is never sent twice.
    pub(crate) async fn send(
        &self,
        build: impl Fn() -> Request<ContentBody>,
    ) -> Result<Exchange, Failure> {
        if let Some(mut sender) = self.take() {
            match sender.try_send_request(self.addressed(build())).await {
                Ok(response) => return Ok(Exchange { response, sender }),
                Err(mut error) => {
                    let unsent = error.take_message().is_some();
                    let unanswered = error.error().is_incomplete_message();
                    let may_repeat = build().method().is_safe() && unanswered;
                    if !(unsent || may_repeat) {
                        return Err(Failure::ConnectionLost);
                    }
                    self.resent.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        let mut sender = self.open().await?;
        let sent = sender.send_request(self.addressed(build())).await;
        let response = sent.map_err(|_| Failure::ConnectionLost)?;
        Ok(Exchange { response, sender })
    }

    /// Takes back the connection of an exchange whose body has been read to its end.
    pub(crate) async fn give_back(&self, mut sender: SendRequest<ContentBody>) {
        // The connection is ready at once, or it is closing because the server asked for that.
        if sender.ready().await.is_ok() {
            self.lock().push(Idle { sender, since: Instant::now() });
        }
    }

    /// The connection used last is taken first, so that those in excess age and are dropped.
    fn take(&self) -> Option<SendRequest<ContentBody>> {
        let mut idle = self.lock();
        while let Some(Idle { sender, since }) = idle.pop() {
            if since.elapsed() > IDLE_LIMIT {
                // All below it are older.
                idle.clear();
            } else if sender.is_ready() {
                return Some(sender);
            }
        }
        None
    }

    async fn open(&self) -> Result<SendRequest<ContentBody>, Failure> {
        let stream = TcpStream::connect(self.target.address).await;
        let stream = stream.map_err(|_| Failure::Connect)?;
        stream.set_nodelay(true).map_err(|_| Failure::Connect)?;
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.map_err(|_| Failure::Connect)?;
        // Its error reaches the request that it concerns, so the task's own result says nothing.
        tokio::spawn(connection);
        self.opened.fetch_add(1, Ordering::Relaxed);
        Ok(sender)
    }

    fn addressed(&self, mut request: Request<ContentBody>) -> Request<ContentBody> {
        request.headers_mut().insert(http::header::HOST, self.target.host.clone());
        request
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Exchange {
    /// The response and the connection to give back once its body has been read.
    pub(crate) fn into_parts(self) -> (Response<Incoming>, SendRequest<ContentBody>) {
        (self.response, self.sender)
    }
}
