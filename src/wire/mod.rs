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
use rialto_adapters::port::wire::Deadlines;
use rialto_adapters::port::{Fault, Reply, Request, Wire};

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
}

impl Router {
    pub fn new(http: HttpWire, sandbox: Option<LocalWire>) -> Router {
        Router { http, sandbox }
    }
}

#[async_trait]
impl Wire for Router {
    async fn send(&self, request: Request, deadlines: Deadlines) -> Result<Reply, Fault> {
        let host = url::Url::parse(&request.url).ok().and_then(|url| url.host_str().map(str::to_owned));
        match &self.sandbox {
            Some(sandbox) if host.as_deref() == Some(SANDBOX_HOST) => sandbox.send(request, deadlines).await,
            Some(_) | None => self.http.send(request, deadlines).await,
        }
    }
}
