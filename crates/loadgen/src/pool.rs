//! Connections to the target, kept and reused by the generator itself.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use model::names::Slot;
use tokio::net::TcpStream;
use tokio::time::timeout_at;

use crate::outcome::{Answer, Failure};
use crate::target::Target;

/// The load balancer names the server that answered, `s17` for slot 17.
const SERVER_HEADER: &str = "x-bellows-server";

/// A kept connection is not used again after this long. The load balancer closes idle ones after
/// 2 s; half of that keeps clear of the moment at which both ends act at once.
const IDLE_LIMIT: Duration = Duration::from_secs(1);

/// The body of any request.
pub(crate) type RequestBody = UnsyncBoxBody<Bytes, Infallible>;

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
    sender: SendRequest<RequestBody>,
    since: Instant,
}

/// A response read to its end.
#[derive(Debug)]
pub(crate) struct Reply<T> {
    pub(crate) status: StatusCode,
    /// What the reader made of the body.
    pub(crate) body: T,
    slot: Option<Slot>,
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

    /// Sends a request, and has `read` read the answer. A request without its whole answer by
    /// `deadline` has timed out.
    pub(crate) async fn exchange<T>(
        &self,
        build: impl Fn() -> Request<RequestBody>,
        read: impl AsyncFnOnce(StatusCode, Incoming) -> Result<T, Failure>,
        deadline: tokio::time::Instant,
    ) -> Result<Reply<T>, Failure> {
        let whole = async {
            let (response, sender) = self.send(build).await?;
            let (head, body) = response.into_parts();
            let body = read(head.status, body).await?;
            Ok((Reply { status: head.status, body, slot: slot(&head.headers) }, sender))
        };
        let (reply, sender) = timeout_at(deadline, whole).await.unwrap_or(Err(Failure::Timeout))?;
        self.give_back(sender).await;
        Ok(reply)
    }

    /// Sends a request over a kept connection, or over a new one where none is idle.
    ///
    /// A server may close a kept connection at any time, also while the next request is on its
    /// way. That is no failure of the server, and a client may send anew (RFC 9112, 9.3.1): here
    /// once, over a new connection, and only a request of which nothing was sent, or a GET to
    /// which not a byte was answered. A request on a new connection is never sent twice.
    /// The body of the response has not been read then, and the connection is still its own.
    async fn send(
        &self,
        build: impl Fn() -> Request<RequestBody>,
    ) -> Result<(Response<Incoming>, SendRequest<RequestBody>), Failure> {
        if let Some(mut sender) = self.take() {
            match sender.try_send_request(self.addressed(build())).await {
                Ok(response) => return Ok((response, sender)),
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
        Ok((response, sender))
    }

    /// Takes back the connection of an exchange whose body has been read to its end.
    async fn give_back(&self, mut sender: SendRequest<RequestBody>) {
        // The connection is ready at once, or it is closing because the server asked for that.
        if sender.ready().await.is_ok() {
            self.lock().push(Idle { sender, since: Instant::now() });
        }
    }

    /// The connection used last is taken first, so that those in excess age and are dropped.
    fn take(&self) -> Option<SendRequest<RequestBody>> {
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

    async fn open(&self) -> Result<SendRequest<RequestBody>, Failure> {
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

    fn addressed(&self, mut request: Request<RequestBody>) -> Request<RequestBody> {
        request.headers_mut().insert(http::header::HOST, self.target.host.clone());
        request
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Reply<T> {
    /// The answer, given whether it is the expected one.
    pub(crate) fn answer(&self, result: Result<(), Failure>) -> Answer {
        Answer { result, slot: self.slot }
    }
}

/// The next piece of a body; `None` at its end.
pub(crate) async fn next_piece(body: &mut Incoming) -> Result<Option<Bytes>, Failure> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Failure::ConnectionLost)?;
        if let Ok(piece) = frame.into_data() {
            return Ok(Some(piece));
        }
    }
    Ok(None)
}

fn slot(headers: &HeaderMap) -> Option<Slot> {
    let number = headers.get(SERVER_HEADER)?.to_str().ok()?.strip_prefix('s')?;
    Slot::try_from(number.parse::<u32>().ok()?).ok()
}
