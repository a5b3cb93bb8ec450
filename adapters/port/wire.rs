//! One request out; one reply, or a fault that says whether anything may have been sent.

use std::fmt;

use super::outcome::Fault;
use super::secret::Secret;
use super::time::Timestamp;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
    Put,
    Delete,
}

impl Method {
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
        }
    }
}

/// A header of an outgoing request. A secret value never reaches a transcript.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Header {
    Plain(String),
    Secret(Secret),
}

impl Header {
    pub fn expose(&self) -> &str {
        match self {
            Header::Plain(value) => value,
            Header::Secret(value) => value.expose(),
        }
    }
}

/// What an adapter's `encode` makes: the exact bytes of one call.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    pub method: Method,
    pub url: String,
    /// In the order in which they are written; names in lower case.
    pub headers: Vec<(&'static str, Header)>,
    pub body: Vec<u8>,
    /// Member names whose values are replaced in the stored transcript, wherever they stand in a JSON or form body of the
    /// request or the reply (`"iban"`, `"document"`). Values of secret headers are always replaced.
    pub scrub: &'static [&'static str],
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({} bytes)", self.method.as_str(), self.url, self.body.len())
    }
}

/// A complete reply: status line, headers and the whole body arrived. A cut body is a fault, not a reply.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    /// The first value of a header; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
    }

    /// The body, if it is JSON of this form.
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The body of a 2xx, if it is JSON of this form.
    pub fn good<T: serde::de::DeserializeOwned>(&self) -> Option<T> {
        if (200..300).contains(&self.status) { self.json() } else { None }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP {} ({} bytes)", self.status, self.body.len())
    }
}

/// Until when a request may start, and until when its reply is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// The first byte is refused after this: [`Fault`] not sent.
    pub send_by: Timestamp,
    /// A reply that has not arrived whole by then is unknown.
    pub answer_by: Timestamp,
}

/// Sends one request. No retries, no redirects, bounded size and time, the address guard, a scrubbed transcript.
///
/// Errors: [`Fault::not_sent`] only where it is proved that no byte of the request left (name not found, refused, TLS
/// refused, `send_by` passed, address denied); anything after that, and any doubt, is [`Fault::unknown`].
#[async_trait::async_trait]
pub trait Wire: Send + Sync {
    async fn send(&self, request: Request, deadlines: Deadlines) -> Result<Reply, Fault>;
}
