//! Connections: how many there may be, and how long one may keep us waiting. hyper has no deadline for a request's head as
//! poem starts it, so it is enforced here, beneath hyper, where only bytes are seen; the endpoint says when a request is
//! being handled.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use poem::http::uri::Scheme;
use poem::listener::Acceptor;
use poem::web::{LocalAddr, RemoteAddr};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Duration, Instant, Sleep};

/// How long to leave a listener alone that cannot accept, as when file descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Deadlines of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// From the first byte of a request (from the connection's start for the first one) until its head is there.
    pub(super) head: Duration,
    /// Without a request, and without a byte of an answer taken.
    pub(super) idle: Duration,
}

/// What is known of one connection.
#[derive(Debug)]
pub(super) struct Line(Mutex<State>);

#[derive(Debug)]
struct State {
    /// Requests being handled; more than one on HTTP/2.
    busy: u32,
    waits: Waits,
}

#[derive(Clone, Copy, Debug)]
enum Waits {
    /// For the rest of a request's head.
    Head(Instant),
    /// For a request, or for the other side to take the answer.
    Idle(Instant),
}

impl Line {
    fn new() -> Line {
        Line(Mutex::new(State { busy: 0, waits: Waits::Head(Instant::now()) }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request's head has arrived. While the guard lives, no deadline of ours runs.
    pub(super) fn busy(self: &Arc<Line>) -> Busy {
        self.state().busy += 1;
        Busy(self.clone())
    }

    fn heard(&self, http2: bool) {
        let mut state = self.state();
        // On HTTP/2 a client may send frames at any time that begin no request.
        if let (0, Waits::Idle(_), false) = (state.busy, state.waits, http2) {
            state.waits = Waits::Head(Instant::now());
        }
    }

    fn told(&self) {
        let mut state = self.state();
        if let Waits::Idle(_) = state.waits {
            state.waits = Waits::Idle(Instant::now());
        }
    }

    /// When the connection is to be given up, if nothing happens before; `None` while a request is being handled.
    fn deadline(&self, patience: Patience) -> Option<Instant> {
        let state = self.state();
        match (state.busy, state.waits) {
            (0, Waits::Head(since)) => Some(since + patience.head),
            (0, Waits::Idle(since)) => Some(since + patience.idle),
            _ => None,
        }
    }

    /// An error once the deadline has passed.
    fn check(&self, patience: Patience) -> io::Result<()> {
        match self.deadline(patience) {
            Some(deadline) if deadline <= Instant::now() => {
                Err(io::Error::new(io::ErrorKind::TimedOut, "the other side was silent"))
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// A request of a connection is being handled.
pub(super) struct Busy(Arc<Line>);

impl Drop for Busy {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.busy = state.busy.saturating_sub(1);
        state.waits = Waits::Idle(Instant::now());
    }
}

/// Our address and theirs: what a request knows of its connection.
type Ends = (SocketAddr, SocketAddr);

/// All connections that are open.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines(Arc<Mutex<HashMap<Ends, Arc<Line>>>>);

impl Lines {
    fn map(&self) -> MutexGuard<'_, HashMap<Ends, Arc<Line>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn find(&self, local: &LocalAddr, remote: &RemoteAddr) -> Option<Arc<Line>> {
        self.map().get(&(*local.as_socket_addr()?, *remote.as_socket_addr()?)).cloned()
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.map().is_empty()
    }
}

/// Accepts connections for `poem::Server::new_with_acceptor`, as many as may be open at once; further ones wait in the
/// operating system's queue.
pub struct EdgeAcceptor {
    pub(super) listener: TcpListener,
    pub(super) local: SocketAddr,
    pub(super) lines: Lines,
    pub(super) places: Arc<Semaphore>,
    pub(super) patience: Patience,
}

impl EdgeAcceptor {
    /// The address really bound, also where port 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.local
    }
}

impl Acceptor for EdgeAcceptor {
    type Io = Watched<TcpStream>;

    fn local_addr(&self) -> Vec<LocalAddr> {
        vec![LocalAddr(self.local.into())]
    }

    async fn accept(&mut self) -> io::Result<(Self::Io, LocalAddr, RemoteAddr, Scheme)> {
        let place = self.places.clone().acquire_owned().await.map_err(io::Error::other)?;
        match self.listener.accept().await {
            Ok((stream, remote)) => {
                // Answers are written whole; waiting to fill a packet only costs time. A socket that is already gone
                // cannot be set up, which its first read will tell.
                let _ = stream.set_nodelay(true);
                let watched = Watched::new(stream, (self.local, remote), &self.lines, self.patience, place);
                Ok((watched, LocalAddr(self.local.into()), RemoteAddr(remote.into()), Scheme::HTTP))
            }
            Err(error) => {
                tracing::warn!(%error, "no connection could be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                Err(error)
            }
        }
    }
}

/// A connection under its deadlines.
pub struct Watched<S> {
    stream: S,
    ends: Ends,
    line: Arc<Line>,
    lines: Lines,
    patience: Patience,
    timer: Pin<Box<Sleep>>,
    /// The first bytes, until they tell HTTP/2 from HTTP/1.
    start: Vec<u8>,
    _place: OwnedSemaphorePermit,
}

/// How an HTTP/2 connection begins.
const HTTP2_START: &[u8] = b"PRI * HTTP/2";

impl<S> Watched<S> {
    fn new(stream: S, ends: Ends, lines: &Lines, patience: Patience, place: OwnedSemaphorePermit) -> Watched<S> {
        let line = Arc::new(Line::new());
        lines.map().insert(ends, line.clone());
        let timer = Box::pin(tokio::time::sleep(patience.head));
        Watched { stream, ends, line, lines: lines.clone(), patience, timer, start: Vec::new(), _place: place }
    }

    fn heard(&mut self, bytes: &[u8]) {
        let missing = HTTP2_START.len().saturating_sub(self.start.len());
        self.start.extend(bytes.iter().take(missing));
        self.line.heard(self.start == HTTP2_START);
    }

    /// Called where the other side keeps us waiting, after which the caller is woken up in time to call again; an error
    /// once it has done so for too long.
    fn wait(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        loop {
            self.line.check(self.patience)?;
            // While a request is handled there is no deadline, but the timer has to look again afterwards.
            let deadline = self.line.deadline(self.patience);
            let next = deadline.unwrap_or_else(|| Instant::now() + self.patience.head);
            if self.timer.deadline() != next && (deadline.is_some() || self.timer.is_elapsed()) {
                self.timer.as_mut().reset(next);
            }
            if self.timer.as_mut().poll(context).is_pending() {
                return Ok(());
            }
        }
    }

    fn written<R>(&mut self, context: &mut Context<'_>, result: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        match result {
            Poll::Ready(Ok(written)) => {
                self.line.told();
                Poll::Ready(Ok(written))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => match self.wait(context) {
                Ok(()) => Poll::Pending,
                Err(error) => Poll::Ready(Err(error)),
            },
        }
    }
}

impl<S> Drop for Watched<S> {
    fn drop(&mut self) {
        let mut lines = self.lines.map();
        // The same ends may already belong to a newer connection.
        if lines.get(&self.ends).is_some_and(|line| Arc::ptr_eq(line, &self.line)) {
            lines.remove(&self.ends);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(context, buffer) {
            Poll::Ready(Ok(())) => {
                self.heard(&buffer.filled()[before..]);
                // Bytes that drip in must not put the deadline off.
                Poll::Ready(self.line.check(self.patience))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => match self.wait(context) {
                Ok(()) => Poll::Pending,
                Err(error) => Poll::Ready(Err(error)),
            },
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(context, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.written(context, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
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
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    const PATIENCE: Patience = Patience { head: Duration::from_secs(10), idle: Duration::from_secs(60) };

    fn pair() -> (DuplexStream, Watched<DuplexStream>, Lines) {
        let (client, server) = tokio::io::duplex(64);
        let ends = (SocketAddr::from(([127, 0, 0, 1], 1)), SocketAddr::from(([127, 0, 0, 1], 2)));
        let place = Arc::new(Semaphore::new(1)).try_acquire_owned().expect("a place");
        let lines = Lines::default();
        let watched = Watched::new(server, ends, &lines, PATIENCE, place);
        (client, watched, lines)
    }

    /// Reads until the connection is given up; answers how long that took in seconds.
    async fn given_up_after(watched: &mut Watched<DuplexStream>) -> u64 {
        let start = Instant::now();
        let mut byte = [0; 1];
        loop {
            match watched.read(&mut byte).await {
                Ok(0) => panic!("the client has gone"),
                Ok(_) => {}
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
                    return start.elapsed().as_secs();
                }
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_connection_is_given_up() {
        let (_client, mut watched, _lines) = pair();
        assert_eq!(given_up_after(&mut watched).await, 10);
    }

    #[tokio::test(start_paused = true)]
    async fn dripping_bytes_do_not_put_it_off() {
        let (mut client, mut watched, _lines) = pair();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(700)).await;
                if client.write_all(b"x").await.is_err() {
                    break;
                }
            }
        });
        assert_eq!(given_up_after(&mut watched).await, 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_takes_as_long_as_it_takes_and_then_the_idle_time_runs() {
        let (mut client, mut watched, _lines) = pair();
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("written");
        let mut head = [0; 18];
        watched.read_exact(&mut head).await.expect("read");
        let busy = watched.line.busy();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(25)).await;
            drop(busy);
        });
        assert_eq!(given_up_after(&mut watched).await, 25 + 60);
        // The first byte of the next request starts the deadline of its head.
        let (mut client, mut watched, _lines) = pair();
        drop(watched.line.busy());
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(30)).await;
            client.write_all(b"G").await.expect("written");
            std::future::pending::<()>().await;
        });
        assert_eq!(given_up_after(&mut watched).await, 30 + 10);
    }

    #[tokio::test(start_paused = true)]
    async fn http2_frames_do_not_look_like_a_request() {
        let (mut client, mut watched, _lines) = pair();
        client.write_all(b"PRI * HTTP/2.0\r\n").await.expect("written");
        let mut head = [0; 16];
        watched.read_exact(&mut head).await.expect("read");
        drop(watched.line.busy());
        client.write_all(b"ping").await.expect("written");
        assert_eq!(given_up_after(&mut watched).await, 60);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_nobody_takes_is_given_up_and_one_that_flows_is_not() {
        let (mut client, mut watched, _lines) = pair();
        drop(watched.line.busy());
        let start = Instant::now();
        let reader = tokio::spawn(async move {
            for _ in 0..4 {
                tokio::time::sleep(Duration::from_secs(50)).await;
                client.read_exact(&mut [0; 64]).await.expect("read");
            }
            client
        });
        let error = watched.write_all(&[0; 1000]).await.expect_err("the reader stops");
        assert_eq!((error.kind(), start.elapsed().as_secs()), (io::ErrorKind::TimedOut, 200 + 60));
        drop(reader);
    }

    #[tokio::test]
    async fn a_connection_is_known_as_long_as_it_lives() {
        let (_client, watched, lines) = pair();
        let (local, remote) = watched.ends;
        let find = || lines.find(&LocalAddr(local.into()), &RemoteAddr(remote.into()));
        assert!(find().is_some());
        drop(watched);
        assert!(find().is_none());
    }
}
