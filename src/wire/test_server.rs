//! Servers that misbehave in one way each, on loopback, for the tests of this module.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rialto_adapters::port::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// What a server does with a connection.
#[derive(Clone, Copy)]
pub(super) enum Act {
    /// Answers every request on the connection with these bytes.
    Answer(&'static [u8]),
    /// Answers one request with these bytes, then closes.
    Last(&'static [u8]),
    /// Answers one request, then resets the next one's connection after reading it.
    AnswerThenReset(&'static [u8]),
    /// Reads a request, then resets the connection.
    Reset,
    /// Reads a request and never answers.
    Hold,
    /// Reads a request, then sends this for ever.
    Endless(&'static [u8], &'static [u8]),
    /// Answers whatever comes first with these bytes, then closes.
    Blurt(&'static [u8]),
    /// Accepts and reads nothing.
    Ignore,
}

pub(super) const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A server and how many connections and bytes of clear text it has received.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) connections: Arc<AtomicUsize>,
    pub(super) bytes: Arc<AtomicUsize>,
}

impl Server {
    pub(super) async fn start(act: Act) -> Server {
        Server::start_with(act, None).await
    }

    pub(super) async fn start_with(act: Act, tls: Option<TlsAcceptor>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (connections, bytes) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let (count, read) = (connections.clone(), bytes.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let (tls, read) = (tls.clone(), read.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, act, &read, reset).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, act, &read, drop).await;
                            }
                        }
                    }
                });
            }
        });
        Server { address, connections, bytes }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/x", self.address)
    }

    pub(super) fn https(&self) -> String {
        format!("https://localhost:{}/x", self.address.port())
    }
}

fn reset(stream: TcpStream) {
    stream.set_zero_linger().expect("linger");
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, act: Act, bytes: &AtomicUsize, reset: impl Fn(S)) {
    if let Act::Blurt(text) = act {
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(text).await;
        let _ = stream.shutdown().await;
        return;
    }
    let mut asked = 0;
    loop {
        if matches!(act, Act::Ignore) || !read_request(&mut stream, bytes).await {
            return std::future::pending().await;
        }
        asked += 1;
        let _ = match act {
            Act::Answer(text) => stream.write_all(text).await,
            Act::AnswerThenReset(text) if asked == 1 => stream.write_all(text).await,
            Act::AnswerThenReset(_) | Act::Reset => return reset(stream),
            Act::Last(text) => {
                let _ = stream.write_all(text).await;
                let _ = stream.shutdown().await;
                return;
            }
            Act::Endless(head, part) => {
                let _ = stream.write_all(head).await;
                while stream.write_all(part).await.is_ok() {}
                return;
            }
            Act::Hold | Act::Ignore | Act::Blurt(_) => Ok(()),
        };
    }
}

/// Reads a head and the body its content-length names. False where the peer closed.
async fn read_request<S: AsyncRead + Unpin>(stream: &mut S, bytes: &AtomicUsize) -> bool {
    let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return false,
            Ok(count) => {
                bytes.fetch_add(count, Ordering::SeqCst);
                text.extend_from_slice(&buffer[..count]);
            }
        }
        let seen = String::from_utf8_lossy(&text).to_ascii_lowercase();
        let Some((head, body)) = seen.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.map_or(0, |length| length.parse().expect("a length")) {
            return true;
        }
    }
}

/// A port that was free a moment ago.
pub(super) fn unused_port() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address")
}

/// A listener whose queue of waiting connections is full: a further one gets no answer to its SYN.
pub(super) struct FullQueue {
    pub(super) address: SocketAddr,
    _held: (socket2::Socket, Vec<TcpStream>),
}

impl FullQueue {
    pub(super) async fn new() -> FullQueue {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        socket.bind(&any.into()).expect("bind");
        socket.listen(0).expect("listen");
        let address = socket.local_addr().expect("bound").as_socket().expect("an IP address");
        let mut waiting = Vec::new();
        while let Ok(Ok(stream)) = tokio::time::timeout(Duration::from_millis(50), TcpStream::connect(address)).await {
            waiting.push(stream);
        }
        FullQueue { address, _held: (socket, waiting) }
    }
}
