//! A connection's bytes, with the three bounds that hyper does not set, and one saving.
//!
//! 1. A client that takes nothing of its answer is cut off after a while.
//! 2. A bare LF in a request head is an error; see [`HeadLines`].
//! 3. A close waits a moment for the client, so that the last answer arrives.
//! 4. Answers that are ready together leave in one write; see [`Socket::gather`].

use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};
use tracing::debug;

use crate::head_lines::HeadLines;

/// How long a close waits for the client to be done sending.
///
/// A socket closed with unread input is reset, and a reset makes the client's kernel throw away
/// answers it has not read yet. So a 413 to a body we did not read would be lost: [RFC 9112, 9.6].
///
/// [RFC 9112, 9.6]: https://www.rfc-editor.org/rfc/rfc9112#section-9.6
const LINGER: Duration = Duration::from_secs(1);

/// A TCP stream within bounds.
pub(crate) struct Socket<'a> {
    stream: TcpStream,
    spoken: Spoken<'a>,
    write_timeout: Duration,
    /// Since when the client takes nothing. Boxed: most connections never make one.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Since when our half is closed.
    lingering: Option<Pin<Box<Sleep>>>,
    /// Whether what is to be written has waited for its like.
    gathered: bool,
}

/// What is spoken, and what it needs.
enum Spoken<'a> {
    Http1 {
        /// Whether a handler runs. While it does, what is read is a body; before and after, a request head.
        answering: &'a AtomicBool,
        lines: HeadLines,
    },
    Http2(&'a Activity),
}

/// Whether anything goes on on a connection of HTTP/2. Each open request holds a reference to it.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    moved: AtomicBool,
}

impl Activity {
    /// A request began, or the client took some bytes.
    pub(crate) fn moved(&self) {
        self.moved.store(true, Ordering::Relaxed);
    }

    /// Whether something moved since this was asked last.
    pub(crate) fn has_moved(&self) -> bool {
        self.moved.swap(false, Ordering::Relaxed)
    }
}

impl<'a> Socket<'a> {
    pub(crate) fn new(stream: TcpStream, answering: &'a AtomicBool, write_timeout: Duration) -> Self {
        Self::speaking(Spoken::Http1 { answering, lines: HeadLines::default() }, stream, write_timeout)
    }

    pub(crate) fn of_http2(stream: TcpStream, activity: &'a Activity, write_timeout: Duration) -> Self {
        Self::speaking(Spoken::Http2(activity), stream, write_timeout)
    }

    fn speaking(spoken: Spoken<'a>, stream: TcpStream, write_timeout: Duration) -> Self {
        // An answer leaves in one write; waiting for more of it would only delay it.
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "TCP_NODELAY");
        }
        Self { stream, spoken, write_timeout, stalled: None, lingering: None, gathered: false }
    }

    fn check(&mut self, new: &[u8]) -> Result<()> {
        let Spoken::Http1 { answering, lines } = &mut self.spoken else { return Ok(()) };
        if answering.load(Ordering::Relaxed) {
            lines.skip(new);
            return Ok(());
        }
        lines.check(new).map_err(|error| Error::new(ErrorKind::InvalidData, error))
    }

    /// Before the first write since a flush, lets all other tasks run that are ready.
    ///
    /// A round answers hundreds of requests of a connection at once, and each is a task of its own, which wakes the
    /// connection. Without this pause it would be the next to run, and make a write of each answer: of the
    /// costliest thing there is in answering.
    fn gather(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.gathered || matches!(self.spoken, Spoken::Http1 { .. }) {
            return Poll::Ready(());
        }
        self.gathered = true;
        cx.waker().wake_by_ref(); // by the runtime's rules: behind those that are ready
        Poll::Pending
    }

    /// Passes on what a write came to, and counts the time in which nothing moves.
    fn within_time<T>(&mut self, cx: &mut Context<'_>, written: Poll<Result<T>>) -> Poll<Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            if let Spoken::Http2(activity) = self.spoken {
                activity.moved();
            }
            return written;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(self.write_timeout)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(Error::new(ErrorKind::TimedOut, "the client takes no bytes")))
    }

    /// Reads and forgets until the client closes its half.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut scratch = [0; 4096];
        loop {
            let mut buffer = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                _ => return Poll::Ready(()),
            }
        }
    }
}

impl AsyncRead for Socket<'_> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        Poll::Ready(self.check(&buf.filled()[before..]))
    }
}

impl AsyncWrite for Socket<'_> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<Result<usize>> {
        ready!(self.gather(cx));
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.within_time(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        ready!(self.gather(cx));
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.within_time(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.gathered = false;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if self.lingering.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            self.lingering = Some(Box::pin(sleep(LINGER)));
        }
        if self.poll_drain(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        self.lingering.as_mut().map_or(Poll::Ready(()), |until| until.as_mut().poll(cx)).map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (TcpStream, std::net::TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let peer = std::net::TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
        peer.set_nonblocking(true).expect("a socket");
        (listener.accept().await.expect("a connection").0, peer)
    }

    /// Writes, and says what had arrived once every task that was ready had its turn.
    async fn arrived_before_others_ran(mut socket: Socket<'_>, mut peer: std::net::TcpStream) -> bool {
        let write = async {
            socket.write_all(b"answer").await.expect("the peer is there");
            socket.flush().await.expect("the peer is there");
        };
        let look = async { peer.read(&mut [0; 16]).is_ok() };
        tokio::join!(write, look).1
    }

    /// Each of a thousand answers of one moment was a write, and the writes cost more than all else.
    #[tokio::test]
    async fn over_http2_answers_that_are_ready_leave_together() {
        let (stream, peer) = pair().await;
        let activity = Activity::default();
        assert!(!arrived_before_others_ran(Socket::of_http2(stream, &activity, LINGER), peer).await);
        let (stream, peer) = pair().await;
        let answering = AtomicBool::new(true);
        assert!(
            arrived_before_others_ran(Socket::new(stream, &answering, LINGER), peer).await,
            "nothing to wait for"
        );
    }
}
