//! The accept loop: HTTP/1 with bounds on connections, header size and header time, and a drain
//! of bounded length. `axum::serve` sets no timer and has no such bounds.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::serve::Listener;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tower::Service;

use crate::form::Form;
use crate::linger::discard_unread;
use crate::places::{Place, Places};
use crate::socket::Socket;
use crate::watched::{Arriving, Leaving, Watched};
use crate::wellformed;

/// What a server allows its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time; further ones wait in the kernel, not yet accepted.
    pub connections: usize,
    /// Whether one that comes when all places are taken gets that of the connection which has waited longest for
    /// its client. So no client keeps others out by connections on which it does nothing.
    pub idle_make_way: bool,
    /// The time for a request's head to be complete, and the time a connection may idle between
    /// two requests. Above the 5 s for which `HAProxy` keeps an idle connection, so that it is
    /// `HAProxy` that closes.
    pub head_timeout: Duration,
    /// The size of a request's head in bytes; at least 8,192. Larger ones are answered 431.
    pub head_bytes: usize,
    /// The time after which a client that takes nothing of an answer is cut off; `None` where that is for ever, but for
    /// [`Limits::idle_make_way`].
    pub take_timeout: Option<Duration>,
    /// The time that requests in flight have to complete once the server was asked to end.
    pub drain_timeout: Duration,
    /// How every answer that is no success looks.
    pub form: Form,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            idle_make_way: false,
            head_timeout: Duration::from_secs(10),
            head_bytes: 16 * 1024,
            take_timeout: None,
            drain_timeout: Duration::from_secs(30),
            form: Form::Own,
        }
    }
}

/// How a server ended.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Every request in flight was answered.
    Whole,
    /// The time was up, and this many connections were cut.
    Cut {
        /// Connections that still had a request in flight.
        connections: usize,
    },
}

/// Serves at `listener` until `stop` completes, each client by the routes that `routes_for` gives for where
/// it comes from or who it is. Then it accepts no more, closes idle connections, answers the requests in flight with `connection: close`, and returns
/// when that is done or [`Limits::drain_timeout`] is over.
pub async fn serve<L: Listener>(
    mut listener: L,
    routes_for: impl Fn(&L::Addr) -> Router,
    limits: Limits,
    stop: impl Future<Output = ()>,
) -> Drained {
    let places = Places::new(limits.connections, limits.idle_make_way);
    let (draining, _) = watch::channel(());
    tokio::pin!(stop);
    loop {
        let (stream, client, place) = tokio::select! {
            () = &mut stop => break,
            accepted = accept(&mut listener, &places) => accepted,
        };
        let place = Arc::new(place);
        let connection = serve_one(
            stream,
            limits,
            routes_for(&client),
            Arc::clone(&place),
            draining.subscribe(),
        );
        tokio::spawn(async move {
            tokio::select! {
                () = connection => {}
                () = place.made_way() => {}
            }
        });
    }
    drop(listener);
    drain(draining, &places, limits).await
}

/// Refuses a request that must not reach the routes. Not a layer of theirs, which axum would box and clone
/// for each request.
async fn answer(mut routes: Router, request: Request, form: Form) -> Result<Response, Infallible> {
    let answer = match wellformed::check(&request) {
        Ok(()) => routes.call(request).await?,
        Err(problem) => problem.into_response(),
    };
    Ok(form.say(answer))
}

/// A request whose place is kept until it is answered, and which is waited for while its body comes.
fn watched(request: Request<Incoming>, place: &Arc<Place>) -> Request {
    let request = discard_unread(request.map(Body::new));
    if request.body().is_end_stream() {
        return request;
    }
    request.map(|body| Body::new(Arriving::new(body, Arc::clone(place))))
}

/// Serves one connection to its end; from `draining` on, to the end of the request in flight.
async fn serve_one(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    limits: Limits,
    routes: Router,
    place: Arc<Place>,
    mut draining: watch::Receiver<()>,
) {
    let mut socket = Socket::new(Watched::new(stream, Arc::clone(&place), limits.take_timeout));
    let service = service_fn(|request: Request<Incoming>| {
        let place = Arc::clone(&place);
        let begins = place.begins();
        let answered = answer(routes.clone(), watched(request, &place), limits.form);
        async move {
            if !begins {
                // The connection is about to be cut: what began now could be left half done.
                return std::future::pending().await;
            }
            answered.await.map(|response| response.map(|body| Leaving::new(body, place)))
        }
    });
    let outcome = {
        let mut connection =
            pin!(http(limits).serve_connection(TokioIo::new(&mut socket), service));
        tokio::select! {
            outcome = connection.as_mut() => outcome,
            _ = draining.changed() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    };
    if let Err(error) = &outcome {
        // A client that went away or sent no HTTP: its fault, and too common for more than a debug log.
        tracing::debug!(error = crate::exit::chain(error), "a connection broke off");
    }
    if let Err(error) = socket.end(&outcome, limits).await {
        tracing::debug!(%error, "a client left before it was told what was wrong");
    }
}

fn http(limits: Limits) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        // A client may end its side of the connection after the request and still wait for the answer.
        // So a client that has left altogether is noticed only when the answer is written.
        .half_close(true)
        .max_buf_size(limits.head_bytes);
    http
}

/// Waits for a place, then for a client: without a place, connections stay in the kernel. Where one makes way for
/// the next, the next must have come.
async fn accept<L: Listener>(listener: &mut L, places: &Places) -> (L::Io, L::Addr, Place) {
    if places.make_way() {
        let (stream, client) = listener.accept().await;
        return (stream, client, places.take().await);
    }
    let place = places.wait().await;
    let (stream, client) = listener.accept().await;
    (stream, client, place)
}

async fn drain(draining: watch::Sender<()>, places: &Places, limits: Limits) -> Drained {
    // It fails when no connection is open, and then there is nothing to wait for.
    let _ = draining.send(());
    let whole = tokio::time::timeout(limits.drain_timeout, draining.closed()).await;
    let connections = places.taken();
    if whole.is_ok() || connections == 0 {
        return Drained::Whole;
    }
    tracing::warn!(connections, "the time to drain is over; connections were cut");
    Drained::Cut { connections }
}

#[cfg(test)]
mod tests;
