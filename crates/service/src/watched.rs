//! What a connection waits for, told to its place: its socket, the body that comes and the one that leaves.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use crate::places::Place;

/// A client's socket.
#[derive(Debug)]
pub(crate) struct Watched<S> {
    stream: S,
    place: Arc<Place>,
    /// Whether something is awaited of the client.
    reads: bool,
    /// Whether the client has not taken what was to be written last.
    is_full: bool,
    /// After how long such a client is cut off.
    take_timeout: Option<Duration>,
    /// When this one is, unless it takes something.
    cut: Option<Pin<Box<Sleep>>>,
}

impl<S> Watched<S> {
    pub(crate) fn new(stream: S, place: Arc<Place>, take_timeout: Option<Duration>) -> Self {
        Self { stream, place, reads: false, is_full: false, take_timeout, cut: None }
    }

    /// The next request is awaited once the answer to the one before is with the client.
    fn look(&self) {
        if self.reads && !self.is_full {
            self.place.asks();
        }
    }

    fn written<T>(
        &mut self,
        polled: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        self.is_full = polled.is_pending();
        if !self.is_full {
            self.cut = None;
            return polled;
        }
        self.place.takes_nothing();
        let Some(take_timeout) = self.take_timeout else { return polled };
        let cut = self.cut.get_or_insert_with(|| Box::pin(tokio::time::sleep(take_timeout)));
        ready!(cut.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.reads = polled.is_pending();
        self.look();
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(polled, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.written(polled, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Hyper flushes when it has written all that it has.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        if polled.is_ready() {
            self.place.took_all();
            self.look();
        }
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// The body of a request, as its handler reads it.
pub(crate) struct Arriving {
    body: Body,
    place: Arc<Place>,
}

impl Arriving {
    pub(crate) fn new(body: Body, place: Arc<Place>) -> Self {
        Self { body, place }
    }
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if polled.is_pending() {
            self.place.waits_for_body();
        } else if !self.place.has_body() {
            // The connection is about to be cut, and the handler has not begun with what it reads.
            return Poll::Pending;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        // The handler goes on without the rest, which somebody else reads and throws away.
        let _ = self.place.has_body();
    }
}

/// The body of an answer, which is under way until the last of it is said.
pub(crate) struct Leaving {
    body: Body,
    place: Arc<Place>,
}

impl Leaving {
    pub(crate) fn new(body: Body, place: Arc<Place>) -> Self {
        Self { body, place }
    }
}

impl HttpBody for Leaving {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.place.answered();
    }
}
