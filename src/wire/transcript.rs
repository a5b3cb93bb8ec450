//! What was said to a PSP and what it answered, as text fit to be stored and shown.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use rialto_adapters::port::wire::{Deadlines, Header};
use rialto_adapters::port::{Fault, Method, RawNotice, Reply, Request, Timestamp, Wire};

use super::scrub::{MARK, Scrubber};
use crate::clock::Clock;

/// Of a body, after scrubbing: enough for any PSP's documents, little enough for every row.
pub const BODY_MAX: usize = 16 * 1024;

/// Of one header's value, and of an address.
pub const LINE_MAX: usize = 2 * 1024;

/// Exchanges kept of one call of an adapter. A call makes one to three.
pub const EXCHANGES_MAX: usize = 32;

/// One request and its answer, scrubbed: no secret header, no member named in `Request::scrub`, no card number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    pub method: Method,
    pub url: String,
    /// A line each, `name: value`.
    pub request_headers: String,
    pub request_body: String,
    /// Absent where no complete reply arrived.
    pub status: Option<u16>,
    pub reply_headers: String,
    pub reply_body: String,
    pub fault: Option<Fault>,
    pub started_at: Timestamp,
    pub took_ms: u64,
}

/// A [`Wire`] that passes everything on and keeps the transcript of it.
pub struct Recorder<'a> {
    inner: &'a dyn Wire,
    clock: Clock,
    exchanges: Mutex<Vec<Exchange>>,
}

impl<'a> Recorder<'a> {
    pub fn new(inner: &'a dyn Wire, clock: Clock) -> Recorder<'a> {
        Recorder { inner, clock, exchanges: Mutex::default() }
    }

    /// What was said since the last time, in order.
    pub fn take(&self) -> Vec<Exchange> {
        std::mem::take(&mut *self.exchanges.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Wire for Recorder<'_> {
    async fn send(&self, request: Request, deadlines: Deadlines) -> Result<Reply, Fault> {
        let asked = request.clone();
        let started_at = self.clock.now();
        let answer = self.inner.send(request, deadlines).await;
        let took_ms = u64::try_from(started_at.until(self.clock.now()).as_millis()).unwrap_or(u64::MAX);
        let exchange = render(&asked, &answer, started_at, took_ms);
        let mut exchanges = self.exchanges.lock().unwrap_or_else(PoisonError::into_inner);
        if exchanges.len() < EXCHANGES_MAX {
            exchanges.push(exchange);
        }
        answer
    }
}

/// Pure: the transcript of one exchange.
pub fn render(request: &Request, answer: &Result<Reply, Fault>, started_at: Timestamp, took_ms: u64) -> Exchange {
    let mut scrubber = Scrubber::new(request.scrub);
    for (_, header) in &request.headers {
        match header {
            Header::Secret(value) => scrubber.learn_credential(value.expose()),
            Header::Plain(_) => {}
        }
    }
    let asked: Vec<(&str, Option<&str>)> =
        request.headers.iter().map(|(name, header)| (*name, shown(header))).collect();
    // First everything by name, which also collects values, then every text against all values.
    let url = scrubber.url(&request.url);
    let request_headers = headers(&mut scrubber, &asked);
    let request_body = body(&mut scrubber, content_type(&asked), &request.body);
    let (mut status, mut reply_headers, mut reply_body, mut fault) = (None, String::new(), String::new(), None);
    match answer {
        Ok(reply) => {
            let told: Vec<(&str, Option<&str>)> =
                reply.headers.iter().map(|(name, value)| (name.as_str(), Some(value.as_str()))).collect();
            status = Some(reply.status);
            reply_headers = headers(&mut scrubber, &told);
            reply_body = body(&mut scrubber, content_type(&told), &reply.body);
        }
        Err(error) => fault = Some(error.clone()),
    }
    Exchange {
        method: request.method,
        url: cut(&scrubber.finish(&url), LINE_MAX),
        request_headers: scrubber.finish(&request_headers),
        request_body: cut(&scrubber.finish(&request_body), BODY_MAX),
        status,
        reply_headers: scrubber.finish(&reply_headers),
        reply_body: cut(&scrubber.finish(&reply_body), BODY_MAX),
        fault: fault.map(|fault| Fault { text: cut(&scrubber.finish(&fault.text), LINE_MAX), ..fault }),
        started_at,
        took_ms,
    }
}

/// Pure: a notice as a person may see it: its headers, a line each, and its body. Signatures are masked with the secrets:
/// for as long as they are fresh they would let somebody else send the same again.
pub fn render_notice(notice: &RawNotice) -> (String, String) {
    let signatures: Vec<&str> =
        notice.headers.iter().map(|(name, _)| name.as_str()).filter(|name| name.contains("signature")).collect();
    let mut scrubber = Scrubber::new(&signatures);
    let told: Vec<(&str, Option<&str>)> =
        notice.headers.iter().map(|(name, value)| (name.as_str(), Some(value.as_str()))).collect();
    let headers = headers(&mut scrubber, &told);
    let body = body(&mut scrubber, content_type(&told), &notice.body);
    (cut(&scrubber.finish(&headers), BODY_MAX), cut(&scrubber.finish(&body), BODY_MAX))
}

fn shown(header: &Header) -> Option<&str> {
    match header {
        Header::Plain(value) => Some(value),
        Header::Secret(_) => None,
    }
}

fn content_type<'a>(headers: &[(&str, Option<&'a str>)]) -> &'a str {
    headers.iter().find(|(name, _)| *name == "content-type").and_then(|(_, value)| *value).unwrap_or_default()
}

fn headers(scrubber: &mut Scrubber, headers: &[(&str, Option<&str>)]) -> String {
    let mut lines = String::new();
    for (name, value) in headers {
        let value = match value {
            Some(value) if !scrubber.is_secret(name) => {
                if value.contains("://") {
                    scrubber.url(value)
                } else {
                    (*value).to_owned()
                }
            }
            Some(value) => {
                scrubber.learn_credential(value);
                MARK.to_owned()
            }
            None => MARK.to_owned(),
        };
        let value = cut(&scrubber.finish(&value), LINE_MAX).replace(char::is_control, " ");
        lines.push_str(&format!("{name}: {value}\n"));
    }
    lines
}

fn body(scrubber: &mut Scrubber, content_type: &str, bytes: &[u8]) -> String {
    let content_type = content_type.to_ascii_lowercase();
    let summary =
        || format!("({} bytes, {})", bytes.len(), if content_type.is_empty() { "no type" } else { &content_type });
    let is_text = |text: &str| !text.contains(|c: char| c.is_control() && !c.is_whitespace());
    match std::str::from_utf8(bytes) {
        // Parts of a form with files: not worth a reader of its own.
        Ok(_) if content_type.starts_with("multipart/") => summary(),
        Ok(text) if is_text(text) => scrubber.text(text, content_type.contains("x-www-form-urlencoded")),
        Ok(_) | Err(_) => summary(),
    }
}

fn cut(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    format!("{}… (cut, {} bytes in all)", &text[..text.floor_char_boundary(max)], text.len())
}

#[cfg(test)]
#[path = "transcript_tests.rs"]
mod tests;
