//! A connection that ends when nothing moves on it for too long.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// A stream of bytes, whose reads and writes fail once none has moved for a time.
#[derive(Debug)]
pub(crate) struct Idle<S> {
    stream: S,
    limit: Duration,
    moved: Instant,
    timer: Pin<Box<Sleep>>,
}

impl<S> Idle<S> {
    /// A stream on which bytes may rest for `limit`.
    pub(crate) fn new(stream: S, limit: Duration) -> Self {
        let moved = Instant::now();
        Self { stream, limit, moved, timer: Box::pin(sleep_until(moved + limit)) }
    }

    /// What a read or a write comes to: it moved, or it waits and the time may be over.
    fn outcome<T>(
        &mut self,
        polled: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.moved = Instant::now();
            return polled;
        }
        while self.timer.as_mut().poll(context).is_ready() {
            let end = self.moved + self.limit;
            if Instant::now() >= end {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            // Set anew here alone, and not at each move.
            self.timer.as_mut().reset(end);
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Idle<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.outcome(polled, context)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Idle<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.outcome(polled, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_ends_after_its_time_without_a_byte_and_not_while_bytes_move() {
        let (mut far, near) = duplex(16);
        let mut near = Idle::new(near, Duration::from_secs(10));
        let begun = Instant::now();
        let reader = async {
            let mut bytes = [0; 1];
            for _ in 0..5 {
                near.read_exact(&mut bytes).await.unwrap();
            }
            let error = near.read_exact(&mut bytes).await.unwrap_err();
            (error.kind(), begun.elapsed())
        };
        let writer = async {
            for _ in 0..5 {
                tokio::time::sleep(Duration::from_secs(8)).await;
                far.write_all(b"x").await.unwrap();
            }
        };
        let ((kind, after), ()) = tokio::join!(reader, writer);
        assert_eq!((kind, after.as_secs()), (io::ErrorKind::TimedOut, 50));
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_nobody_takes_ends_too() {
        let (_far, near) = duplex(1);
        let mut near = Idle::new(near, Duration::from_secs(10));
        assert_eq!(near.write_all(b"xx").await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
