//! The [`Wire`] to PSPs outside this process.

use async_trait::async_trait;
use bytes::Bytes;
use rialto_adapters::port::wire::Deadlines;
use rialto_adapters::port::{Fault, FaultCause, Method, Reply, Request, Wire};

use super::client::{Call, Outbound, WireOptions, WireSetupError, header_map, no_answer, parse_url, reply_headers};
use super::guard::{Guard, Reach};
use crate::clock::Clock;

/// A larger reply is a fault: no PSP sends a statement page near this size, and a broken one must not fill our memory.
pub const REPLY_MAX: usize = 1024 * 1024;

/// HTTP to PSPs: no retries, no redirects, no proxy, bounded size and time, every address through the guard. Clear text
/// (`http:`) goes only to the networks the operator listed.
pub struct HttpWire {
    outbound: Outbound,
}

impl HttpWire {
    /// Errors: `options` hold certificates that cannot be used.
    pub fn new(clock: Clock, guard: Guard, options: WireOptions) -> Result<HttpWire, WireSetupError> {
        Ok(HttpWire { outbound: Outbound::new(clock, guard, options)? })
    }
}

#[async_trait]
impl Wire for HttpWire {
    async fn send(&self, request: Request, deadlines: Deadlines) -> Result<Reply, Fault> {
        let url = parse_url(&request.url)?;
        // Host and port of a PSP are the operator's choice; what must not happen is a key in clear text on the internet.
        let reach = if url.scheme() == "https" { Reach::Public } else { Reach::ListedOnly };
        let headers = header_map(request.headers.iter().map(|(name, value)| (*name, value.expose())))?;
        let method = method_of(request.method);
        let call = Call { method, url, headers, body: Bytes::from(request.body), deadlines, reach };
        let response = self.outbound.open(call).await?;
        let left = self.outbound.clock.now().until(deadlines.answer_by);
        tokio::time::timeout(left, read_whole(response)).await.unwrap_or_else(|_| Err(no_answer()))
    }
}

fn method_of(method: Method) -> reqwest::Method {
    match method {
        Method::Get => reqwest::Method::GET,
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
        Method::Delete => reqwest::Method::DELETE,
    }
}

async fn read_whole(mut response: reqwest::Response) -> Result<Reply, Fault> {
    let too_large = || Fault::unknown(FaultCause::AnswerCut, format!("the answer is larger than {REPLY_MAX} bytes"));
    if response.content_length().is_some_and(|length| length > REPLY_MAX as u64) {
        return Err(too_large());
    }
    let (status, headers) = (response.status().as_u16(), reply_headers(&response));
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(part)) if body.len() + part.len() > REPLY_MAX => return Err(too_large()),
            Ok(Some(part)) => body.extend_from_slice(&part),
            Ok(None) => return Ok(Reply { status, headers, body }),
            Err(_) => {
                let text = format!("the answer ({status}) broke off after {} bytes of its body", body.len());
                return Err(Fault::unknown(FaultCause::AnswerCut, text));
            }
        }
    }
}
