//! One HTTP request over a socket, and what is proved when it fails. What [`HttpWire`](super::HttpWire) and
//! [`Poster`](super::Poster) share.

use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Client, Identity, Method, Response};
use rialto_adapters::port::wire::Deadlines;
use rialto_adapters::port::{Duration, Fault, FaultCause, Secret};
use url::{Host, Url};

use super::gate::{Gate, GateShut, GatedBody};
use super::guard::{Guard, GuardRefusal, Reach, Unreachable};
use crate::clock::Clock;

/// Name, TCP and TLS together. A PSP that needs longer to shake hands would not answer within a caller's five seconds.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Shorter than the shortest keep-alive that servers commonly have (5 s), so that a connection taken up again is seldom
/// one the server is just closing: that race would leave us not knowing.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// Connections kept per host between calls.
const IDLE_PER_HOST: usize = 16;

/// Reply headers; PSPs send about twenty. The bytes of a head are bounded by the HTTP library (about 400 KiB).
const HEADERS_MAX: usize = 64;

/// Headers that say where a message ends or whom it is for: the HTTP library writes them, nobody else.
const RESERVED_HEADERS: &[&str] =
    &["host", "content-length", "transfer-encoding", "connection", "te", "upgrade", "expect"];

/// How connections are made.
#[derive(Clone, Debug)]
pub struct WireOptions {
    pub connect_timeout: Duration,
    /// PEM, any number of certificates, trusted besides the system's.
    pub extra_roots: Vec<u8>,
    /// PEM, certificate chain and private key: what we show to a PSP that asks who is calling (mTLS).
    pub identity: Option<Secret>,
}

impl Default for WireOptions {
    fn default() -> WireOptions {
        WireOptions { connect_timeout: CONNECT_TIMEOUT, extra_roots: Vec::new(), identity: None }
    }
}

/// The certificates given for outgoing connections cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WireSetupError {
    #[error("the extra root certificates are not valid PEM certificates")]
    Roots(#[source] reqwest::Error),
    #[error("the client identity is not a PEM certificate chain with its private key")]
    Identity(#[source] reqwest::Error),
    #[error("the HTTP client cannot be built")]
    Client(#[source] reqwest::Error),
}

/// What is to be sent.
pub(super) struct Call {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub deadlines: Deadlines,
    pub reach: Reach,
}

pub(super) struct Outbound {
    pub clock: Clock,
    pub guard: Guard,
    connect_timeout: Duration,
    roots: Vec<Certificate>,
    identity: Option<Identity>,
    // Built when first needed: reading the system's certificates takes time and memory that a start need not spend.
    public: OnceLock<Client>,
    listed: OnceLock<Client>,
    clear: OnceLock<Client>,
}

impl Outbound {
    pub(super) fn new(clock: Clock, guard: Guard, options: WireOptions) -> Result<Outbound, WireSetupError> {
        let roots = Certificate::from_pem_bundle(&options.extra_roots).map_err(WireSetupError::Roots)?;
        if roots.is_empty() && !options.extra_roots.trim_ascii().is_empty() {
            tracing::warn!("the extra root certificates hold no certificate");
        }
        let identity = match &options.identity {
            Some(pem) => Some(Identity::from_pem(pem.expose().as_bytes()).map_err(WireSetupError::Identity)?),
            None => None,
        };
        let outbound = Outbound {
            clock,
            guard,
            connect_timeout: options.connect_timeout,
            roots,
            identity,
            public: OnceLock::new(),
            listed: OnceLock::new(),
            clear: OnceLock::new(),
        };
        // Proves roots and identity without reading the system's certificates.
        outbound.builder(Reach::Public).tls_certs_only([]).build().map_err(WireSetupError::Client)?;
        Ok(outbound)
    }

    pub(super) fn builder(&self, reach: Reach) -> reqwest::ClientBuilder {
        let mut builder = Client::builder()
            .dns_resolver(GuardedResolver { guard: self.guard.clone(), reach })
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .http1_only()
            .http1_max_headers(HEADERS_MAX)
            .connect_timeout(self.connect_timeout)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_PER_HOST)
            .user_agent(concat!("Rialto/", env!("CARGO_PKG_VERSION")))
            .tls_certs_merge(self.roots.clone());
        if let Some(identity) = &self.identity {
            builder = builder.identity(identity.clone());
        }
        builder
    }

    fn client(&self, reach: Reach, tls: bool) -> Result<&Client, Fault> {
        let slot = match (tls, reach) {
            (false, _) => &self.clear,
            (true, Reach::Public) => &self.public,
            (true, Reach::ListedOnly) => &self.listed,
        };
        if let Some(client) = slot.get() {
            return Ok(client);
        }
        // Clear text never leaves the listed networks, whoever asks.
        let reach = if tls { reach } else { Reach::ListedOnly };
        let without_roots = || self.builder(reach).tls_certs_only([]).build();
        let built = if tls {
            self.builder(reach).build().or_else(|error| {
                // A machine without certificates: every TLS handshake is refused, and says why.
                tracing::warn!(error = %chain(&error), "the system's root certificates cannot be used");
                without_roots()
            })
        } else {
            without_roots()
        };
        let built = built.map_err(|error| Fault::not_sent(FaultCause::NotAttempted, chain(&error)))?;
        Ok(slot.get_or_init(|| built))
    }

    /// Sends the request and waits for the head of the reply; its body is still to be read, by `answer_by`.
    pub(super) async fn open(&self, call: Call) -> Result<Response, Fault> {
        let Call { method, url, headers, body, deadlines, reach } = call;
        let now = self.clock.now();
        if now > deadlines.send_by || now >= deadlines.answer_by {
            return Err(too_late());
        }
        self.check_literal(&url, reach)?;
        let tls = url.scheme() == "https";
        let gate = Gate::new(self.clock.clone(), deadlines.send_by.min(deadlines.answer_by));
        let request = build(method, url, headers, body, &gate);
        let mut response = pin!(self.client(reach, tls)?.execute(request));

        tokio::select! {
            biased;
            outcome = &mut response => return outcome.map_err(|error| classify(&error, &gate, tls)),
            () = tokio::time::sleep(self.clock.now().until(deadlines.send_by.min(deadlines.answer_by))) => {
                if gate.shut() {
                    return Err(too_late());
                }
            }
        }
        match tokio::time::timeout(self.clock.now().until(deadlines.answer_by), response).await {
            Ok(outcome) => outcome.map_err(|error| classify(&error, &gate, tls)),
            Err(_) if gate.shut() => Err(too_late()),
            Err(_) => Err(no_answer()),
        }
    }

    /// An IP literal never reaches the resolver.
    pub(super) fn check_literal(&self, url: &Url, reach: Reach) -> Result<(), Fault> {
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            Some(Host::Domain(_)) => return Ok(()),
            None => return Err(Fault::not_sent(FaultCause::NotAttempted, "the address has no host")),
        };
        self.guard.check_address(&address.to_string(), address, reach).map_err(|refusal| denied(&refusal))
    }
}

fn build(method: Method, url: Url, headers: HeaderMap, body: Bytes, gate: &Arc<Gate>) -> reqwest::Request {
    let mut request = reqwest::Request::new(method, url);
    *request.headers_mut() = headers;
    if body.is_empty() && (request.method() == Method::POST || request.method() == Method::PUT) {
        // The library leaves the length out then, and some servers answer 411.
        request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    *request.body_mut() = Some(reqwest::Body::wrap(GatedBody::new(gate.clone(), body)));
    request
}

/// Header names and values as the HTTP library wants them. Errors: a name or value that cannot be sent.
pub(super) fn header_map<'a>(headers: impl Iterator<Item = (&'a str, &'a str)>) -> Result<HeaderMap, Fault> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        // Only the name goes into the text: the value may be a secret.
        let unfit = || Fault::not_sent(FaultCause::NotAttempted, format!("header {name:?} cannot be sent"));
        let (header, value) = (HeaderName::try_from(name), HeaderValue::try_from(value));
        let (header, value) = header.ok().zip(value.ok()).ok_or_else(unfit)?;
        if RESERVED_HEADERS.contains(&header.as_str()) {
            return Err(unfit());
        }
        map.append(header, value);
    }
    Ok(map)
}

pub(super) fn parse_url(text: &str) -> Result<Url, Fault> {
    let url = Url::parse(text).map_err(|_| Fault::not_sent(FaultCause::NotAttempted, "not an absolute web address"))?;
    match url.scheme() {
        "https" | "http" => Ok(url),
        other => Err(Fault::not_sent(FaultCause::NotAttempted, format!("{other}: is not a web address"))),
    }
}

pub(super) fn reply_headers(response: &Response) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    response.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}

pub(super) fn denied(refusal: &GuardRefusal) -> Fault {
    Fault::not_sent(FaultCause::AddressDenied, refusal.to_string())
}

pub(super) fn no_answer() -> Fault {
    Fault::unknown(FaultCause::AnswerTimeout, "no complete answer in time")
}

pub(super) fn too_late() -> Fault {
    Fault::not_sent(FaultCause::NotAttempted, "the time to send had passed")
}

/// What an error before the head of a reply proves. Not sent needs the shut gate; the rest is for people.
fn classify(error: &reqwest::Error, gate: &Gate, tls: bool) -> Fault {
    let not_sent = gate.shut();
    let text = chain(error);
    let cause = if not_sent { cause_before(error, tls) } else { cause_after(error) };
    if not_sent { Fault::not_sent(cause, text) } else { Fault::unknown(cause, text) }
}

fn cause_before(error: &reqwest::Error, tls: bool) -> FaultCause {
    if find::<GateShut>(error).is_some() {
        return FaultCause::NotAttempted;
    }
    match find::<Unreachable>(error) {
        Some(Unreachable::Denied(_)) => return FaultCause::AddressDenied,
        Some(Unreachable::NotFound(_)) => return FaultCause::NameNotFound,
        None => {}
    }
    if !error.is_connect() {
        // A connection taken from the pool that had just been closed.
        return if error.is_builder() { FaultCause::NotAttempted } else { FaultCause::ConnectionLost };
    }
    if error.is_timeout() {
        return FaultCause::ConnectTimeout;
    }
    let refused = [io::ErrorKind::ConnectionRefused, io::ErrorKind::HostUnreachable, io::ErrorKind::NetworkUnreachable];
    match find::<io::Error>(error) {
        Some(io) if refused.contains(&io.kind()) => FaultCause::ConnectionRefused,
        Some(_) | None if tls => FaultCause::TlsRefused,
        Some(_) | None => FaultCause::ConnectionRefused,
    }
}

fn cause_after(error: &reqwest::Error) -> FaultCause {
    // The library's own error type is not ours to name; its texts are fixed, and only people read this cause.
    let text = chain(error);
    if text.contains("message head is too large") {
        FaultCause::AnswerCut
    } else if text.contains("invalid HTTP") || text.contains("parsed") {
        FaultCause::AnswerUnreadable
    } else {
        FaultCause::ConnectionLost
    }
}

fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// An error and what is behind it, in one line and without the address, which may hold a secret.
pub(super) fn chain(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut source = error.source();
    while let Some(part) = source {
        let part_text = part.to_string();
        if !text.contains(&part_text) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&part_text);
        }
        source = part.source();
    }
    if text.is_empty() { "the request failed".to_owned() } else { text }
}

/// Resolves a name through the guard and pins the answer: what it returns is what is dialled.
struct GuardedResolver {
    guard: Guard,
    reach: Reach,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (guard, reach) = (self.guard.clone(), self.reach);
        Box::pin(async move {
            let found = guard.addresses(name.as_str(), reach).await?;
            // Port 0: the library puts the address's own port.
            let sockets: Addrs = Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(sockets)
        })
    }
}
