//! A connection's bytes, with the three bounds that hyper does not set, and one saving.
//!
//! 1. A client that takes nothing of its answer is cut off after a while.
//! 2. A bare LF in a request head is an error; see [`HeadLines`].
//! 3. A close waits a moment for the client, so that the last answer arrives.
//! 4. Answers that are ready together leave in one write; see [`Socket::gather`].

use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::head_lines::HeadLines;

/// How long a close waits for the client to be done sending.
///
/// A socket closed with unread input is reset, and a reset makes the client's kernel throw away
/// answers it has not read yet. So a 413 to a body we did not read would be lost: [RFC 9112, 9.6].
///
/// [RFC 9112, 9.6]: https://www.rfc-editor.org/rfc/rfc9112#section-9.6
const LINGER: Duration = Duration::from_secs(1);

/// The least that a client takes of an answer within the write time-out, while more of it waits.
///
/// Without it a byte now and then would keep a connection, and what it is to be sent, for as long as the client likes.
const LEAST_TAKEN: usize = 64 * 1024;

/// A stream within bounds: TCP, or TLS over it.
pub(crate) struct Socket<'a, S> {
    stream: S,
    spoken: Spoken<'a>,
    write_timeout: Duration,
    /// Since when the client takes too little. Boxed: most connections never make one.
    stalled: Option<Pin<Box<Sleep>>>,
    /// What it took since then.
    taken: usize,
    /// Since when our half is to be closed.
    lingering: Option<Pin<Box<Sleep>>>,
    /// Whether it is.
    closed: bool,
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

/// What goes on on a connection of HTTP/2. Each open request holds a reference to it.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    moved: AtomicUsize,
}

/// The least that a client takes between two looks, unless it asks for something, to be no idle one: a few bytes now
/// and then, of an answer that it holds up or in reply to its pings, are none.
const LEAST_MOVED: usize = 4096;

impl Activity {
    /// A request began.
    pub(crate) fn asked(&self) {
        self.moved(LEAST_MOVED);
    }

    /// The client took so many bytes. Those of one connection are counted by one task.
    fn moved(&self, bytes: usize) {
        let moved = self.moved.load(Ordering::Relaxed).saturating_add(bytes);
        self.moved.store(moved, Ordering::Relaxed);
    }

    /// Whether something moved since this was asked last.
    pub(crate) fn has_moved(&self) -> bool {
        self.moved.swap(0, Ordering::Relaxed) >= LEAST_MOVED
    }
}

impl<'a, S> Socket<'a, S> {
    pub(crate) fn new(stream: S, answering: &'a AtomicBool, write_timeout: Duration) -> Self {
        Self::speaking(Spoken::Http1 { answering, lines: HeadLines::default() }, stream, write_timeout)
    }

    pub(crate) fn of_http2(stream: S, activity: &'a Activity, write_timeout: Duration) -> Self {
        Self::speaking(Spoken::Http2(activity), stream, write_timeout)
    }

    fn speaking(spoken: Spoken<'a>, stream: S, write_timeout: Duration) -> Self {
        let (stalled, lingering) = (None, None);
        Self { stream, spoken, write_timeout, stalled, taken: 0, lingering, closed: false, gathered: false }
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

    /// Passes on what a write came to, and counts the time in which too little moves.
    fn within_time(&mut self, cx: &mut Context<'_>, written: Poll<Result<usize>>) -> Poll<Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) => self.moved(bytes),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => return Poll::Ready(Err(ready!(self.poll_stalled(cx)))),
        }
        written
    }

    /// Waits until the client has taken too little for too long.
    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(self.write_timeout)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Error::new(ErrorKind::TimedOut, "the client takes too few bytes"))
    }

    fn moved(&mut self, bytes: usize) {
        self.taken = self.taken.saturating_add(bytes);
        if self.taken >= LEAST_TAKEN {
            self.is_taking();
        }
        if let Spoken::Http2(activity) = self.spoken {
            activity.moved(bytes);
        }
    }

    /// The client takes what it is sent: its time begins anew.
    fn is_taking(&mut self) {
        (self.stalled, self.taken) = (None, 0);
    }
}

impl<S: AsyncRead + Unpin> Socket<'_, S> {
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

impl<S: AsyncRead + Unpin> AsyncRead for Socket<'_, S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        Poll::Ready(self.check(&buf.filled()[before..]))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Socket<'_, S> {
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
        match Pin::new(&mut self.stream).poll_flush(cx) {
            Poll::Ready(flushed) => {
                self.is_taking(); // all of it
                Poll::Ready(flushed)
            }
            // TLS has taken bytes that the client has not.
            Poll::Pending => self.poll_stalled(cx).map(Err),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let socket = &mut *self;
        let lingering = socket.lingering.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        let over = lingering.as_mut().poll(cx).is_ready();
        if !socket.closed && !over {
            ready!(Pin::new(&mut socket.stream).poll_shutdown(cx))?;
            socket.closed = true;
        }
        if over || socket.poll_drain(cx).is_ready() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    async fn pair() -> (TcpStream, std::net::TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let peer = std::net::TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
        peer.set_nonblocking(true).expect("a socket");
        (listener.accept().await.expect("a connection").0, peer)
    }

    /// Writes, and says what had arrived once every task that was ready had its turn.
    async fn arrived_before_others_ran(
        mut socket: Socket<'_, TcpStream>,
        mut peer: std::net::TcpStream,
    ) -> bool {
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
