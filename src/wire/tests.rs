//! Real sockets on loopback: what each way of failing proves.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use rialto_adapters::port::wire::{Deadlines, Header};
use rialto_adapters::port::{Duration, Fault, FaultCause, Method, Reply, Request, Secret, Sent, Wire};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::test_server::{Act, FullQueue, OK, Server, unused_port};
use super::*;
use crate::clock::Clock;

const CONNECT: Duration = Duration::from_millis(150);
const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(200);

fn guard() -> Guard {
    Guard::new(vec!["127.0.0.0/8".parse().expect("a subnet")])
}

fn wire(options: WireOptions) -> HttpWire {
    HttpWire::new(Clock::default(), guard(), options).expect("a wire")
}

fn options() -> WireOptions {
    WireOptions { connect_timeout: CONNECT, ..WireOptions::default() }
}

fn post(url: &str) -> Request {
    Request {
        method: Method::Post,
        url: url.to_owned(),
        headers: vec![("authorization", Header::Secret(Secret::new("Bearer sk_live_1")))],
        body: b"{\"amount\":1}".to_vec(),
        scrub: &[],
    }
}

fn within(answer: Duration) -> Deadlines {
    let answer_by = Clock::default().now().plus(answer);
    Deadlines { send_by: answer_by, answer_by }
}

fn told(answer: Result<Reply, Fault>) -> (Sent, FaultCause) {
    let fault = answer.expect_err("a fault");
    assert!(!fault.text.contains("sk_live") && !fault.text.contains("/x"), "{fault}");
    (fault.sent, fault.cause)
}

#[tokio::test]
async fn what_each_failure_after_sending_proves() {
    let broken: &[(&str, Act, FaultCause)] = &[
        ("reset after the request was read", Act::Reset, FaultCause::ConnectionLost),
        ("closed without an answer", Act::Last(b""), FaultCause::ConnectionLost),
        ("head broken off", Act::Last(b"HTTP/1.1 200 OK\r\ncontent-le"), FaultCause::ConnectionLost),
        ("cut body", Act::Last(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{\"st"), FaultCause::AnswerCut),
        (
            "cut chunk",
            Act::Last(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nabc"),
            FaultCause::AnswerCut,
        ),
        (
            "no last chunk",
            Act::Last(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"),
            FaultCause::AnswerCut,
        ),
        (
            "bad chunk",
            Act::Last(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nabc\r\n"),
            FaultCause::AnswerCut,
        ),
        (
            "announced too large",
            Act::Answer(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n"),
            FaultCause::AnswerCut,
        ),
        (
            "endless body",
            Act::Endless(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", &[b'x'; 65536]),
            FaultCause::AnswerCut,
        ),
        ("endless head", Act::Endless(b"HTTP/1.1 200 OK\r\nx: ", &[b'x'; 65536]), FaultCause::AnswerCut),
        ("endless headers", Act::Endless(b"HTTP/1.1 200 OK\r\n", b"x: y\r\n"), FaultCause::AnswerCut),
        ("not HTTP", Act::Last(b"220 mail.psp.example ESMTP\r\n\r\n"), FaultCause::AnswerUnreadable),
        ("not a status", Act::Last(b"HTTP/1.1 2x0 OK\r\n\r\n"), FaultCause::AnswerUnreadable),
    ];
    let wire = wire(options());
    for (story, act, cause) in broken {
        let server = Server::start(*act).await;
        let found = told(wire.send(post(&server.url()), within(LONG)).await);
        assert_eq!(found, (Sent::Maybe, *cause), "{story}");
        assert_eq!(server.connections.load(Ordering::SeqCst), 1, "{story}: sent once");
    }
}

#[tokio::test]
async fn a_late_answer_is_not_known() {
    let acts = [
        ("no answer", Act::Hold),
        ("never reads", Act::Ignore),
        ("half a head", Act::Answer(b"HTTP/1.1 200 OK\r\n")),
        ("half a body", Act::Answer(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc")),
        ("only interim answers", Act::Answer(b"HTTP/1.1 102 Processing\r\n\r\n")),
    ];
    let wire = wire(options());
    for (story, act) in acts {
        let server = Server::start(act).await;
        let found = told(wire.send(post(&server.url()), within(SHORT)).await);
        assert_eq!(found, (Sent::Maybe, FaultCause::AnswerTimeout), "{story}");
    }
}

#[tokio::test]
async fn complete_replies_pass_through() {
    let moved: &[u8] =
        b"HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\nX-Trace: a\r\nx-trace: b\r\ncontent-length: 0\r\n\r\n";
    let table: &[(&[u8], u16, &[u8])] = &[
        (OK, 200, b"ok"),
        (b"HTTP/1.1 500 Oops\r\ncontent-length: 4\r\n\r\noops", 500, b"oops"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200, b"ok"),
        (b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", 200, b"ok"),
        (b"HTTP/1.1 429 Slow\r\ncontent-length: 0\r\n\r\n", 429, b""),
        (b"HTTP/1.1 401 No\r\nwww-authenticate: Basic\r\ncontent-length: 0\r\n\r\n", 401, b""),
        (moved, 302, b""),
    ];
    let wire = wire(options());
    for (text, status, body) in table {
        let server = Server::start(Act::Answer(text)).await;
        for _ in 0..2 {
            let reply = wire.send(post(&server.url()), within(LONG)).await.expect("a reply");
            assert_eq!((reply.status, reply.body.as_slice()), (*status, *body));
            if *status == 302 {
                assert_eq!((reply.header("location"), reply.header("x-trace")), (Some("/elsewhere"), Some("a")));
            }
        }
        assert_eq!(server.connections.load(Ordering::SeqCst), 1, "{status}: the connection is used again");
    }
    for method in [Method::Get, Method::Put, Method::Delete, Method::Post] {
        let server = Server::start(Act::Answer(OK)).await;
        let request = Request { method, body: Vec::new(), ..post(&server.url()) };
        assert_eq!(wire.send(request, within(LONG)).await.expect("a reply").body, b"ok", "{method:?}");
    }
}

#[tokio::test]
async fn a_reset_on_a_connection_used_before_is_not_known_and_not_sent_again() {
    let server = Server::start(Act::AnswerThenReset(OK)).await;
    let wire = wire(options());
    wire.send(post(&server.url()), within(LONG)).await.expect("the first reply");
    let found = told(wire.send(post(&server.url()), within(LONG)).await);
    assert_eq!(found, (Sent::Maybe, FaultCause::ConnectionLost));
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_is_proved_before_the_first_byte() {
    let (full, silent, plain) = (
        FullQueue::new().await,
        Server::start(Act::Ignore).await,
        Server::start(Act::Blurt(b"HTTP/1.1 400 Bad Request\r\n\r\n")).await,
    );
    let closed = unused_port();
    let table = [
        ("refused", format!("http://{closed}/x"), FaultCause::ConnectionRefused),
        ("refused under TLS", format!("https://127.0.0.1:{}/x", closed.port()), FaultCause::ConnectionRefused),
        ("no such name", "https://psp.invalid/x".to_owned(), FaultCause::NameNotFound),
        ("our own name", "https://sandbox.rialto.internal/x".to_owned(), FaultCause::NameNotFound),
        ("no room in the queue", format!("http://{}/x", full.address), FaultCause::ConnectTimeout),
        ("no TLS handshake", silent.https(), FaultCause::ConnectTimeout),
        ("no TLS on that port", plain.https(), FaultCause::TlsRefused),
        ("private", "https://10.0.0.1/x".to_owned(), FaultCause::AddressDenied),
        ("metadata", "http://169.254.169.254/x".to_owned(), FaultCause::AddressDenied),
        ("clear text to the internet", "http://8.8.8.8/x".to_owned(), FaultCause::AddressDenied),
        ("loopback that is not listed", "https://[::1]/x".to_owned(), FaultCause::AddressDenied),
        ("no address", "psp.example/x".to_owned(), FaultCause::NotAttempted),
        ("no web address", "ftp://psp.example/x".to_owned(), FaultCause::NotAttempted),
    ];
    let wire = wire(options());
    for (story, url, cause) in table {
        for body in [b"{}".to_vec(), Vec::new()] {
            let found = told(wire.send(Request { body, ..post(&url) }, within(LONG)).await);
            assert_eq!(found, (Sent::No, cause), "{story}");
        }
    }
    let unfit = [("x-note", "two\r\nlines"), ("content-length", "3"), ("host", "other.example"), ("not a name", "x")];
    for (name, value) in unfit {
        let headers = vec![(name, Header::Plain(value.to_owned()))];
        let found = told(wire.send(Request { headers, ..post(&plain.url()) }, within(LONG)).await);
        assert_eq!(found, (Sent::No, FaultCause::NotAttempted), "{name}");
    }
    assert_eq!(plain.connections.load(Ordering::SeqCst), 2, "only the two TLS attempts");
}

#[tokio::test]
async fn loopback_is_denied_unless_listed() {
    let wire = HttpWire::new(Clock::default(), Guard::new(Vec::new()), options()).expect("a wire");
    let server = Server::start(Act::Answer(OK)).await;
    for url in [server.https(), format!("http://localhost:{}/x", server.address.port()), server.url()] {
        let found = told(wire.send(post(&url), within(LONG)).await);
        assert_eq!(found, (Sent::No, FaultCause::AddressDenied), "{url}");
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn nothing_leaves_after_the_time_to_send() {
    let server = Server::start(Act::Answer(OK)).await;
    let wire = wire(options());
    let now = Clock::default().now();
    let passed = Deadlines { send_by: now.minus(Duration::from_millis(1)), answer_by: now.plus(LONG) };
    assert_eq!(told(wire.send(post(&server.url()), passed).await), (Sent::No, FaultCause::NotAttempted));
    assert_eq!(server.connections.load(Ordering::SeqCst), 0);
    wire.send(post(&server.url()), within(LONG)).await.expect("a reply, and a connection in the pool");
    assert_eq!(told(wire.send(post(&server.url()), passed).await), (Sent::No, FaultCause::NotAttempted));

    // While still connecting.
    let slow =
        HttpWire::new(Clock::default(), guard(), WireOptions { connect_timeout: LONG, ..options() }).expect("a wire");
    let silent = Server::start(Act::Ignore).await;
    for body in [b"{}".to_vec(), Vec::new()] {
        let deadlines = Deadlines { send_by: Clock::default().now().plus(SHORT), answer_by: now.plus(LONG) };
        let found = told(slow.send(Request { body, ..post(&silent.https()) }, deadlines).await);
        assert_eq!(found, (Sent::No, FaultCause::NotAttempted));
    }
}

/// The proof behind "not sent": the HTTP library takes the body before it writes the head, and a shut gate stops both.
#[tokio::test]
async fn a_shut_gate_lets_no_byte_out() {
    let server = Server::start(Act::Answer(OK)).await;
    let clock = Clock::default();
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().expect("a client");
    for (method, bytes) in [("POST", &b"{}"[..]), ("POST", b""), ("GET", b""), ("PUT", &[b'x'; 2_000_000])] {
        // As if the time to send had come between the connection and the first byte.
        let gate = gate::Gate::new(clock.clone(), clock.now().minus(Duration::from_millis(1)));
        let body = gate::GatedBody::new(gate.clone(), bytes::Bytes::from_static(bytes));
        let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
        let request = client.request(method.clone(), server.url()).body(reqwest::Body::wrap(body));
        request.send().await.expect_err("behind a shut gate");
        assert!(gate.shut(), "{method}: proved");
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 4, "it did connect");
    // A connection after those: whatever they had written would have been read by now.
    client.get(server.url()).send().await.expect("a reply");
    let own = server.bytes.load(Ordering::SeqCst);
    client.get(server.url()).send().await.expect("a reply");
    assert_eq!(server.bytes.load(Ordering::SeqCst), own * 2, "nothing but the two open requests was received");
}

/// A certificate authority, a server's certificate for `localhost` and a client's, all PEM.
struct Authority {
    root: String,
    server: TlsAcceptor,
    server_with_client: TlsAcceptor,
    server_with_client_tls12: TlsAcceptor,
    identity: Secret,
}

fn authority() -> Authority {
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).expect("parameters");
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root = parameters.self_signed(&key).expect("a root");
    let issuer = rcgen::Issuer::new(parameters, key);
    let issue = |name: &str| {
        let key = rcgen::KeyPair::generate().expect("a key");
        let parameters = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        (parameters.signed_by(&key, &issuer).expect("a certificate"), key)
    };
    let (certificate, key) = issue("localhost");
    let (client, client_key) = issue("rialto");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = |versions: &[&'static rustls::SupportedProtocolVersion]| {
        rustls::ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(versions)
            .expect("versions")
    };
    let finish = |builder: rustls::ConfigBuilder<rustls::ServerConfig, rustls::server::WantsServerCert>| {
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
        TlsAcceptor::from(Arc::new(builder.with_single_cert(chain, key).expect("a server")))
    };
    let mut roots = rustls::RootCertStore::empty();
    roots.add(root.der().clone()).expect("a root");
    let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let verifier = verifier.build().expect("a verifier");
    let all = rustls::ALL_VERSIONS;
    Authority {
        root: root.pem(),
        server: finish(builder(all).with_no_client_auth()),
        server_with_client: finish(builder(all).with_client_cert_verifier(verifier.clone())),
        server_with_client_tls12: finish(builder(&[&rustls::version::TLS12]).with_client_cert_verifier(verifier)),
        identity: Secret::new(format!("{}{}", client.pem(), client_key.serialize_pem())),
    }
}

#[tokio::test]
async fn tls() {
    let authority = authority();
    let trusting =
        WireOptions { connect_timeout: LONG, extra_roots: authority.root.clone().into_bytes(), identity: None };
    let known = WireOptions { identity: Some(authority.identity.clone()), ..trusting.clone() };
    let refused = Some((Sent::No, FaultCause::TlsRefused));
    // With TLS 1.3 a server refuses the client's certificate after the request has left; with TLS 1.2 before.
    let too_late = Some((Sent::Maybe, FaultCause::ConnectionLost));
    let table = [
        ("trusted", &trusting, &authority.server, "localhost", None),
        ("unknown issuer", &options(), &authority.server, "localhost", refused),
        ("another name", &trusting, &authority.server, "127.0.0.1", refused),
        ("with our certificate", &known, &authority.server_with_client, "localhost", None),
        ("without our certificate", &trusting, &authority.server_with_client, "localhost", too_late),
        ("without our certificate, 1.2", &trusting, &authority.server_with_client_tls12, "localhost", refused),
    ];
    for (story, options, acceptor, host, expected) in table {
        let server = Server::start_with(Act::Answer(OK), Some(acceptor.clone())).await;
        let url = format!("https://{host}:{}/x", server.address.port());
        let answer = wire(options.clone()).send(post(&url), within(LONG)).await;
        match expected {
            None => assert_eq!(answer.expect(story).body, b"ok"),
            Some(expected) => assert_eq!(told(answer), expected, "{story}"),
        }
    }
    for options in [
        WireOptions {
            extra_roots: b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec(),
            ..options()
        },
        WireOptions { identity: Some(Secret::new("not PEM")), ..options() },
    ] {
        assert!(HttpWire::new(Clock::default(), guard(), options).is_err());
    }
}

#[tokio::test]
async fn webhooks() {
    let poster = Poster::new(Clock::default(), guard(), options()).expect("a poster");
    let headers = [("content-type".to_owned(), "application/json".to_owned())];
    let busy: &[u8] = b"HTTP/1.1 503 Busy\r\nretry-after: 7\r\ncontent-length: 4\r\n\r\nbu\0y";
    let table: &[(Act, u16, &str, Option<Duration>)] = &[
        (Act::Answer(OK), 200, "ok", None),
        (Act::Answer(busy), 503, "bu\u{fffd}y", Some(Duration::from_secs(7))),
        (
            Act::Answer(b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n"),
            302,
            "",
            None,
        ),
        (Act::Last(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc"), 200, "abc", None),
        (Act::Answer(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc"), 200, "abc", None),
    ];
    for (act, status, head, retry_after) in table {
        let server = Server::start(*act).await;
        let answer = poster.post(&server.url(), &headers, b"{}".to_vec(), SHORT * 2).await.expect("an answer");
        assert_eq!((answer.status, answer.head.as_str(), answer.retry_after), (*status, *head, *retry_after));
    }
    let endless = Server::start(Act::Endless(b"HTTP/1.1 200 OK\r\n\r\n", &[b'x'; 65536])).await;
    let answer = poster.post(&endless.url(), &headers, Vec::new(), LONG).await.expect("an answer");
    assert_eq!(answer.head.len(), post::HEAD_MAX);

    let refused = [
        ("https://10.0.0.1/", FaultCause::AddressDenied),
        ("http://169.254.169.254/latest", FaultCause::AddressDenied),
        ("http://shop.example/", FaultCause::AddressDenied),
        ("https://sandbox.rialto.internal/", FaultCause::AddressDenied),
        ("https://shop.invalid/", FaultCause::NameNotFound),
    ];
    for (url, cause) in refused {
        let fault = poster.post(url, &headers, b"{}".to_vec(), LONG).await.expect_err("refused");
        assert_eq!((fault.sent, fault.cause), (Sent::No, cause), "{url}");
    }
    let silent = Server::start(Act::Hold).await;
    let fault = poster.post(&silent.url(), &headers, b"{}".to_vec(), SHORT).await.expect_err("no answer");
    assert_eq!((fault.sent, fault.cause), (Sent::Maybe, FaultCause::AnswerTimeout));
}

struct Sandbox;

#[async_trait]
impl LocalPsp for Sandbox {
    async fn handle(&self, _: Request) -> Result<Reply, Fault> {
        Ok(Reply { status: 299, headers: Vec::new(), body: Vec::new() })
    }
}

#[tokio::test]
async fn the_router_picks_by_host() {
    let server = Server::start(Act::Answer(OK)).await;
    let sandbox = LocalWire::new(Clock::default(), Arc::new(Sandbox));
    let router = Router::new(wire(options()), Some(sandbox));
    let ours = format!("https://{SANDBOX_HOST}/charges");
    assert_eq!(router.send(post(&ours), within(LONG)).await.expect("a reply").status, 299);
    assert_eq!(router.send(post(&server.url()), within(LONG)).await.expect("a reply").status, 200);
    // Without a sandbox its name leads nowhere.
    let alone = Router::new(wire(options()), None);
    assert_eq!(told(alone.send(post(&ours), within(LONG)).await), (Sent::No, FaultCause::NameNotFound));
}

/// Answers with the header it got.
struct Mirror;

#[async_trait]
impl LocalPsp for Mirror {
    async fn handle(&self, request: Request) -> Result<Reply, Fault> {
        let parent = request.headers.iter().find(|(name, _)| *name == "traceparent");
        let body = parent.map_or(String::new(), |(_, value)| value.expose().to_owned()).into_bytes();
        Ok(Reply { status: 200, headers: Vec::new(), body })
    }
}

#[tokio::test]
async fn a_psp_gets_our_trace_only_where_an_operator_wants_it() {
    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    let router = |traced| {
        let local = LocalWire::new(Clock::default(), Arc::new(Mirror));
        Router::new(wire(options()), Some(local)).traced(traced)
    };
    let sent = async |router: Router| {
        let call = router.send(post(&format!("http://{SANDBOX_HOST}/x")), within(LONG));
        let span = tracing::error_span!("submit", trace = TRACE);
        String::from_utf8(call.instrument(span).await.expect("an answer").body).expect("text")
    };
    assert_eq!(sent(router(true)).await, "", "traces are off");
    let (subscriber, _outlet) = crate::telemetry::spans_only(Clock::nanos, Clock::span_id);
    let _on = tracing::subscriber::set_default(subscriber);
    assert_eq!(sent(router(false)).await, "", "PSPs are strangers");
    let parent = sent(router(true)).await;
    assert!(parent.starts_with(&format!("00-{TRACE}-")) && parent.len() == 55, "{parent}");
}
