//! HTTP to the outside: the only module that opens a connection to anybody else's server.
//!
//! - [`guard`] – which addresses we are willing to call.
//! - [`http`] – to PSPs. [`local`] – to a PSP in this process. [`Router`] picks one of them.
//! - [`post`] – webhooks to receivers. [`certificate`] – knocks, and looks until when a certificate is good.
//! - [`transcript`] – what was said, fit to be stored.
//! - `client` and `gate`, beneath: one request, and the proof whether any of it has left.

pub mod certificate;
mod client;
mod gate;
pub mod guard;
pub mod http;
pub mod local;
pub mod post;
mod ranges;
mod scrub;
pub mod transcript;

#[cfg(test)]
mod test_server;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use rialto_adapters::port::wire::{Deadlines, Header};
use rialto_adapters::port::{Fault, Reply, Request, Wire};
use tracing::Instrument as _;

use crate::telemetry::{self, DETAIL};

pub use certificate::{Knock, Knocker};
pub use client::{CONNECT_TIMEOUT, WireOptions, WireSetupError};
pub use guard::{Guard, GuardRefusal};
pub use http::HttpWire;
pub use local::{LocalPsp, LocalWire, SANDBOX_HOST};
pub use post::{PostAnswer, Poster};
pub use transcript::{Exchange, Recorder};

/// The one [`Wire`] everybody gets: by host, to the PSP in this process or out.
pub struct Router {
    http: HttpWire,
    sandbox: Option<LocalWire>,
    traced: bool,
}

impl Router {
    pub fn new(http: HttpWire, sandbox: Option<LocalWire>) -> Router {
        Router { http, sandbox, traced: false }
    }

    /// Whether PSPs get our `traceparent`, where traces are on. They are strangers: not unless an operator wants it.
    #[must_use]
    pub fn traced(self, traced: bool) -> Router {
        Router { traced, ..self }
    }

    async fn route(&self, mut request: Request, deadlines: Deadlines) -> Result<Reply, Fault> {
        if let Some(value) = telemetry::traceparent().filter(|_| self.traced) {
            request.headers.push(("traceparent", Header::Plain(value)));
        }
        let host = url::Url::parse(&request.url).ok().and_then(|url| url.host_str().map(str::to_owned));
        match &self.sandbox {
            Some(sandbox) if host.as_deref() == Some(SANDBOX_HOST) => sandbox.send(request, deadlines).await,
            Some(_) | None => self.http.send(request, deadlines).await,
        }
    }
}

#[async_trait]
impl Wire for Router {
    async fn send(&self, request: Request, deadlines: Deadlines) -> Result<Reply, Fault> {
        let span = tracing::debug_span!(
            target: DETAIL,
            "psp",
            method = request.method.as_str(),
            status = tracing::field::Empty,
            error = tracing::field::Empty,
        );
        let answer = self.route(request, deadlines).instrument(span.clone()).await;
        match &answer {
            Ok(reply) => span.record("status", reply.status),
            Err(fault) => span.record("error", tracing::field::debug(fault.cause)),
        };
        answer
    }
}
