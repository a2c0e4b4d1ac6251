//! Lingering close (RFC 9112, 9.6) for bodies that a handler does not read to the end, because it
//! has refused the request.
//!
//! To close the connection on them would reset it, and the reset takes the answer away from a
//! client that is still sending: of a 507 or a 429 to a body of 200 kB, many clients report only
//! that the connection broke. So the rest is read and thrown away, within bounds, while the answer
//! is on its way.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header::EXPECT;
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::runtime::Handle;

/// How much of an unwanted body is read before the connection is closed on it.
pub(crate) const MOST_BYTES: usize = 16 * 1024 * 1024;
/// For how long it is read.
pub(crate) const MOST_TIME: Duration = Duration::from_secs(5);

/// Sees to it that what a handler leaves of the request's body is read and thrown away.
pub(crate) fn discard_unread(request: Request) -> Request {
    if request.body().is_end_stream() {
        return request;
    }
    // A client that waits for `100 Continue` sends no body before that: RFC 9110, 10.1.1.
    let expected = request.headers().get(EXPECT);
    let awaited = expected.is_some_and(|it| it.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    request.map(|body| Body::new(Lingering { body, unread: !awaited }))
}

/// A body that is read on in the background when it is dropped before its end.
struct Lingering {
    body: Body,
    /// Whether the client may be sending bytes that have not been read.
    unread: bool,
}

impl HttpBody for Lingering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        self.unread = matches!(polled, Poll::Pending | Poll::Ready(Some(Ok(_))));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        // Without a runtime the server has ended, and no client waits for an answer any more.
        if self.unread
            && !self.body.is_end_stream()
            && let Ok(runtime) = Handle::try_current()
        {
            let body = std::mem::take(&mut self.body);
            runtime.spawn(async { tokio::time::timeout(MOST_TIME, discard(body)).await });
        }
    }
}

async fn discard(mut body: Body) {
    let mut bytes = 0;
    while let Some(Ok(frame)) = body.frame().await {
        bytes += frame.data_ref().map_or(0, Bytes::len);
        if bytes > MOST_BYTES {
            return;
        }
    }
}
