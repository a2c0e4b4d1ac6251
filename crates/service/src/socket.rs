//! The socket of a connection, and the answers that hyper gives of its own accord.
//!
//! A request whose head is malformed or too large never reaches the routes: hyper answers it with a
//! status and no body, and ends the connection with an error. [`Socket`] keeps such an answer back
//! until the connection has ended, and then sends it with the body that every error has.

use std::io;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::http::StatusCode;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::linger::{MOST_BYTES, MOST_TIME};
use crate::problem::Problem;
use crate::server::Limits;

/// The field in an answer without a body, as hyper writes it.
const NO_BODY: &str = "content-length: 0\r\n";

/// A client's socket. Everything passes through it unchanged, except a write that may be an answer of
/// hyper's own: it is kept back until hyper reads, writes again or ends the connection.
#[derive(Debug)]
pub(crate) struct Socket<S> {
    stream: S,
    /// Either an answer of hyper's own, or a part of an object that looks like one. Only the outcome
    /// of the connection tells which.
    kept: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, kept: Vec::new() }
    }

    /// Ends the connection after hyper has, with this `outcome`, and sends what was kept back.
    pub(crate) async fn end(self, outcome: &hyper::Result<()>, limits: Limits) -> io::Result<()> {
        if self.kept.is_empty() {
            return Ok(());
        }
        let malformed = outcome.as_ref().is_err_and(hyper::Error::is_parse);
        let answer = if malformed { with_problem(&self.kept, limits) } else { None };
        let answer = answer.unwrap_or(self.kept);
        tokio::time::timeout(MOST_TIME, finish(self.stream, &answer)).await?
    }

    fn poll_send_kept(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.kept.is_empty() {
            let sent = ready!(Pin::new(&mut self.stream).poll_write(context, &self.kept))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.kept.drain(..sent);
        }
        Poll::Ready(Ok(()))
    }
}

/// Sends the last answer and reads on until the client has it. To close with bytes unread would
/// reset the connection, and take the answer away from a client that is still sending: RFC 9112, 9.6.
async fn finish<S>(mut stream: S, answer: &[u8]) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.write_all(answer).await?;
    stream.shutdown().await?;
    let mut rest = stream.take(MOST_BYTES as u64);
    tokio::io::copy(&mut rest, &mut tokio::io::sink()).await?;
    Ok(())
}

/// Whether `written` can be an answer that hyper gave of its own accord.
fn may_be_hypers(written: &[u8]) -> bool {
    let refusal = written.starts_with(b"HTTP/1.") && written.get(8..10) == Some(b" 4");
    refusal && written.windows(NO_BODY.len()).any(|part| part == NO_BODY.as_bytes())
}

/// Hyper's answer with the body that belongs to its status. The method is not known: a client that
/// sent a malformed HEAD gets a body too, on a connection that is closed after it.
fn with_problem(answer: &[u8], limits: Limits) -> Option<Vec<u8>> {
    let answer = std::str::from_utf8(answer).ok()?;
    let status = StatusCode::from_bytes(answer.get(9..12)?.as_bytes()).ok()?;
    let body = limits.form.text(status, &problem(status, limits.head_bytes).explained());
    let fields = format!(
        "content-type: {}\r\ncontent-length: {}\r\n",
        limits.form.content_type(),
        body.len()
    );
    Some((answer.replacen(NO_BODY, &fields, 1) + &body).into_bytes())
}

fn problem(status: StatusCode, head_bytes: usize) -> Problem {
    match status {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            // 100 is hyper's own bound.
            let message = format!(
                "The head of the request has more than {head_bytes} bytes or more than 100 fields."
            );
            Problem::new(status, "head_too_large", message)
        }
        StatusCode::URI_TOO_LONG => {
            Problem::new(status, "target_too_long", "The target of the request is too long.")
        }
        _ => Problem::malformed(),
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Socket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_send_kept(context))?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_send_kept(context))?;
        if let [part] = parts
            && may_be_hypers(part)
        {
            self.kept.extend_from_slice(part);
            return Poll::Ready(Ok(part.len()));
        }
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.kept.is_empty() {
            // `end` does it, when the answer is sent.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::form::Form;

    #[test]
    fn an_answer_of_hypers_gets_the_body_of_its_status() {
        let answer = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\ndate: now\r\n\r\n";
        assert!(may_be_hypers(answer));
        let with_body = |form| {
            let limits = Limits { form, ..Limits::default() };
            String::from_utf8(with_problem(answer, limits).unwrap()).unwrap()
        };
        let own = with_body(Form::Own);
        insta::assert_snapshot!(own.replace('\r', ""), @r#"
        HTTP/1.1 400 Bad Request
        content-type: application/json
        content-length: 158
        date: now

        {"error":{"code":"bad_request","message":"The request is not valid HTTP/1.1; characters that RFC 3986 does not allow in a target are to be percent-encoded."}}
        "#);
        let problem = with_body(Form::ProblemJson);
        assert!(problem.contains("content-type: application/problem+json\r\n"), "{problem}");
        assert!(problem.ends_with(",\"code\":\"bad_request\"}"), "{problem}");
    }

    #[test]
    fn answers_with_a_body_and_parts_of_a_body_are_not_taken_for_hypers() {
        for written in [
            "",
            "HTTP/1.1",
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\ncontent-length: 31\r\n\r\n",
            "an object that ends with HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n",
        ] {
            assert!(!may_be_hypers(written.as_bytes()), "{written}");
        }
    }
}
