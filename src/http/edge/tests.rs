use std::sync::atomic::{AtomicUsize, Ordering};

use poem::endpoint::{make, make_sync};
use poem::http::header;
use poem::{EndpointExt, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};

use super::*;
use crate::http::body::{BodyError, read_bytes};
use crate::http::error::{Plain, mapped};

fn edge(limits: Limits) -> Edge {
    Edge::new(limits, || "id-1".to_owned())
}

#[tokio::test]
async fn a_panic_is_a_500_and_the_next_request_is_served() {
    let edge = edge(Limits::default());
    let handler = make_sync(|request: Request| {
        assert_ne!(request.uri().path(), "/panic", "as asked");
        "fine"
    });
    let app = edge.observed(mapped(edge.detached(handler), Plain));
    let get = |path: &str| app.get_response(Request::builder().uri_str(path).finish());
    let response = get("/panic").await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(response.header("x-request-id"), Some("id-1"));
    assert_eq!(response.into_body().into_string().await.expect("text"), "internal error\n");
    assert_eq!(get("/").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn above_the_cap_is_a_503_and_draining_waits_for_the_rest() {
    let edge = edge(Limits { in_flight_max: 1, ..Limits::default() });
    let (go, started) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (going, starting) = (go.clone(), started.clone());
    let handler = make(move |_| {
        let (going, starting) = (going.clone(), starting.clone());
        async move {
            starting.notify_one();
            going.notified().await;
            Ok::<_, poem::Error>("done")
        }
    });
    let app = Arc::new(mapped(edge.detached(handler), Plain));
    let first = tokio::spawn({
        let app = app.clone();
        async move { app.get_response(Request::default()).await.status() }
    });
    started.notified().await;
    let refused = app.get_response(Request::default()).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.header(header::RETRY_AFTER), Some("1"));
    // The client goes, the handler stays.
    first.abort();
    let drained = tokio::spawn(async move { edge.drained().await });
    tokio::task::yield_now().await;
    assert!(!drained.is_finished());
    go.notify_one();
    drained.await.expect("drained");
}

#[tokio::test]
async fn a_handler_ends_though_its_client_resets_the_connection() {
    let edge = edge(Limits::default());
    let done = Arc::new(AtomicUsize::new(0));
    let (started, mut starts) = tokio::sync::mpsc::unbounded_channel();
    let (go, ended) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let handler = {
        let (done, go, ended) = (done.clone(), go.clone(), ended.clone());
        make(move |_| {
            let (done, go, ended, started) = (done.clone(), go.clone(), ended.clone(), started.clone());
            async move {
                started.send(()).expect("the test listens");
                go.notified().await;
                done.fetch_add(1, Ordering::SeqCst);
                ended.notify_one();
                Ok::<_, poem::Error>("done")
            }
        })
    };
    let app = edge.observed(mapped(edge.detached(handler), Plain));
    let acceptor = edge.bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("bound");
    let address = acceptor.address();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(Server::new_with_acceptor(acceptor).run_with_graceful_shutdown(
        app,
        async { drop(stopped.await) },
        Some(Duration::from_secs(1)),
    ));
    let mut client = TcpStream::connect(address).await.expect("connected");
    client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("sent");
    starts.recv().await.expect("started");
    socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).expect("linger");
    drop(client);
    // The connection is gone for the server too before the handler may go on.
    while !edge.lines.is_empty() {
        tokio::task::yield_now().await;
    }
    go.notify_one();
    ended.notified().await;
    assert_eq!(done.load(Ordering::SeqCst), 1);
    drop(stop);
    server.await.expect("joined").expect("stopped");
}

#[tokio::test]
async fn half_a_head_is_given_up_and_a_slow_handler_is_not() {
    // The one wait of this test is the server's.
    let edge = edge(Limits { head_timeout: Duration::from_millis(50), ..Limits::default() });
    let go = Arc::new(Notify::new());
    let handler = {
        let go = go.clone();
        make(move |_| {
            let go = go.clone();
            async move {
                go.notified().await;
                Ok::<_, poem::Error>("slow")
            }
        })
    };
    let app = edge.observed(edge.detached(handler));
    let acceptor = edge.bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("bound");
    let address = acceptor.address();
    let server = tokio::spawn(Server::new_with_acceptor(acceptor).run(app));
    let send = |bytes: &'static [u8]| async move {
        let mut client = TcpStream::connect(address).await.expect("connected");
        client.write_all(bytes).await.expect("sent");
        client
    };
    let mut slow = send(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    let mut half = send(b"GET / HTTP/1.1\r\nhost:").await;
    let mut answer = String::new();
    // A reset is as good an end as a close.
    drop(half.read_to_string(&mut answer).await);
    assert_eq!(answer, "");
    go.notify_one();
    slow.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.ends_with("slow") && answer.contains("x-request-id: id-1"), "{answer}");
    server.abort();
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_given_up() {
    let edge = edge(Limits::default());
    let handler = make(|request: Request| async move {
        let (request, mut body) = request.split();
        Ok::<_, poem::Error>(read_bytes(&request, &mut body, 100).await?.to_vec())
    });
    let app = edge.observed(mapped(handler, Plain).map_to_response());
    let start = Instant::now();
    let stalled = futures_util::stream::once(async { Ok::<_, io::Error>("half".to_owned()) });
    let stalled = stalled.chain(futures_util::stream::pending());
    let response = app.get_response(Request::builder().body(Body::from_bytes_stream(stalled))).await;
    assert_eq!((response.status(), start.elapsed()), (StatusCode::REQUEST_TIMEOUT, Limits::default().body_timeout));
    let text = response.into_body().into_string().await.expect("text");
    assert_eq!(text, format!("{}\n", BodyError::Late));
    let response = app.get_response(Request::builder().body("whole")).await;
    assert_eq!(response.into_body().into_string().await.expect("text"), "whole");
}

/// Its client writes all of it before it looks for an answer: far more than the buffers between them hold.
#[tokio::test]
async fn too_large_a_body_is_still_told_so() {
    const SENT: usize = 16 * 1024 * 1024;
    let edge = edge(Limits::default());
    let handler = make(|request: Request| async move {
        let (request, mut body) = request.split();
        Ok::<_, poem::Error>(read_bytes(&request, &mut body, 100).await?.to_vec())
    });
    let app = edge.observed(mapped(edge.detached(handler), Plain));
    let acceptor = edge.bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("bound");
    let address = acceptor.address();
    let server = tokio::spawn(Server::new_with_acceptor(acceptor).run(app));
    let announced = format!("content-length: {SENT}\r\n\r\n").into_bytes();
    let chunked = format!("transfer-encoding: chunked\r\n\r\n{SENT:x}\r\n").into_bytes();
    for head in [announced, chunked] {
        let mut client = TcpStream::connect(address).await.expect("connected");
        client.write_all(b"POST / HTTP/1.1\r\nhost: x\r\n").await.expect("sent");
        client.write_all(&head).await.expect("sent");
        for _ in 0..16 {
            client.write_all(&vec![b'x'; SENT / 16]).await.expect("taken, and thrown away");
        }
        let mut answer = [0; 12];
        client.read_exact(&mut answer).await.expect("an answer");
        assert_eq!(&answer, b"HTTP/1.1 413");
    }
    server.abort();
}

#[test]
fn tokens_do_not_reach_the_log() {
    let long = format!("/{}", "x".repeat(500));
    for (path, expected) in [
        ("/", "/"),
        ("/api/Payment/20221108-636a91f61c48d9fa186166f8", "/api/Payment/20221108-636a91f61c48d9fa186166f8"),
        ("/r/secret", "/r/…"),
        ("/sandbox/pay/secret", "/sandbox/…"),
        ("/r/secret/approve", "/r/…"),
        ("/d/secret", "/d/…"),
        ("/hooks/con_1", "/hooks/con_1"),
        ("/hooks/con_1/secret/more", "/hooks/con_1/…"),
        ("/refunds/1", "/refunds/1"),
        (&long, &long[..LOGGED_PATH_MAX]),
    ] {
        assert_eq!(logged_path(path), expected);
    }
}

#[test]
fn a_callers_trace_is_taken_where_it_is_valid() {
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let parent = "b7ad6b7169203331";
    let good = format!("00-{trace}-{parent}-01");
    let rows = [
        (vec![good.clone()], true),
        (vec![format!("00-{trace}-{parent}-00")], true),
        (vec![format!("cc-{trace}-{parent}-01-more")], true),
        (vec![], false),
        (vec![good.clone(), good.clone()], false),
        (vec![format!("{good}-more")], false),
        (vec![format!("ff-{trace}-{parent}-01")], false),
        (vec![format!("00-{}-{parent}-01", trace.to_uppercase())], false),
        (vec![format!("00-{}-{parent}-01", "0".repeat(32))], false),
        (vec![format!("00-{trace}-{}-01", "0".repeat(16))], false),
        (vec![format!("00-{trace}{parent}-01")], false),
        (vec![format!("00-{trace}-{parent}")], false),
        (vec!["x".repeat(9_000)], false),
    ];
    for (values, expected) in rows {
        let mut headers = HeaderMap::new();
        for value in &values {
            headers.append("traceparent", HeaderValue::try_from(value).expect("visible characters"));
        }
        assert_eq!(traceparent(&headers), expected.then_some((trace, parent)), "{values:?}");
    }
}

#[tokio::test]
async fn an_answered_request_is_measured_by_its_operation() {
    static SEEN: std::sync::Mutex<Vec<(&str, &str, u16)>> = std::sync::Mutex::new(Vec::new());
    let edge = edge(Limits::default()).measured(|answered| {
        SEEN.lock().expect("nobody panics").push((answered.contract, answered.operation, answered.status));
    });
    let handler = make_sync(|request: Request| {
        if request.uri().path() == "/named" {
            Naming::tell(&request, "billwerk", "createPayment");
        }
        RequestId::of(&request).expect("an id").to_string()
    });
    let app = edge.observed(edge.detached(handler));
    for path in ["/named", "/hooks/x", "/sk_live_secret"] {
        let request = Request::builder().uri_str(path);
        let request = request.header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        let response = app.get_response(request.finish()).await;
        assert_eq!(response.header("x-request-id"), Some("0af7651916cd43dd8448eb211c80319c"));
        assert_eq!(response.into_body().into_string().await.expect("text"), "0af7651916cd43dd8448eb211c80319c");
    }
    let expected = [("billwerk", "createPayment", 200), ("hooks", "-", 200), ("other", "-", 200)];
    assert_eq!(*SEEN.lock().expect("nobody panics"), expected);
}
