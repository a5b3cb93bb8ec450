//! Outward webhooks to the addresses receivers named. A client of its own: no client certificate, nothing shared with
//! calls to PSPs.

use bytes::Bytes;
use rialto_adapters::port::wire::Deadlines;
use rialto_adapters::port::{Duration, Fault, Timestamp};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::client::{Call, Outbound, WireOptions, WireSetupError, denied, header_map, reply_headers};
use super::guard::Guard;
use crate::clock::Clock;

/// How much of a receiver's answer is kept, for the person who wonders why it was refused.
pub const HEAD_MAX: usize = 2 * 1024;

/// A receiver that asks to be left alone for longer is asked again after this all the same.
pub const RETRY_AFTER_MAX: Duration = Duration::from_hours(24);

/// A receiver's answer. The status alone decides; a redirect is an answer like any other and never followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostAnswer {
    pub status: u16,
    /// The first [`HEAD_MAX`] bytes of the body; less where the body broke off. Not for the eyes of a tenant where the
    /// receiver is inside the operator's network.
    pub head: String,
    pub took_ms: u64,
    /// The receiver's `Retry-After`, at most [`RETRY_AFTER_MAX`].
    pub retry_after: Option<Duration>,
}

/// Posts to receivers.
pub struct Poster {
    outbound: Outbound,
}

impl Poster {
    /// `options.identity` is not used: a receiver has no business with our client certificate.
    /// Errors: `options` hold certificates that cannot be used.
    pub fn new(clock: Clock, guard: Guard, options: WireOptions) -> Result<Poster, WireSetupError> {
        Ok(Poster { outbound: Outbound::new(clock, guard, WireOptions { identity: None, ..options })? })
    }

    /// `headers`: names in lower case. `timeout`: real time, for everything from the name to the end of the answer.
    ///
    /// Errors: [`AddressDenied`](rialto_adapters::port::FaultCause::AddressDenied) where the guard refuses the address now,
    /// whatever was checked when it was given; else as [`Wire`](rialto_adapters::port::Wire).
    pub async fn post(
        &self,
        url: &str,
        headers: &[(String, String)],
        body: Vec<u8>,
        timeout: Duration,
    ) -> Result<PostAnswer, Fault> {
        let (clock, guard) = (&self.outbound.clock, &self.outbound.guard);
        let started_at = clock.now();
        let answer_by = started_at.plus(timeout);
        let url = guard.check_url(url, &[]).map_err(|refusal| denied(&refusal))?;
        let reach = guard.reach(&url);
        let headers = header_map(headers.iter().map(|(name, value)| (name.as_str(), value.as_str())))?;
        let deadlines = Deadlines { send_by: answer_by, answer_by };
        let call = Call { method: reqwest::Method::POST, url, headers, body: Bytes::from(body), deadlines, reach };
        let response = self.outbound.open(call).await?;

        let status = response.status().as_u16();
        let replied = reply_headers(&response);
        let asked = replied.iter().find(|(name, _)| name == "retry-after");
        let retry_after = asked.and_then(|(_, value)| retry_after(value, clock.now()));
        let head = read_head(response, clock.now().until(answer_by)).await;
        let took_ms = u64::try_from(started_at.until(clock.now()).as_millis()).unwrap_or(u64::MAX);
        Ok(PostAnswer { status, head, took_ms, retry_after })
    }
}

async fn read_head(mut response: reqwest::Response, within: Duration) -> String {
    let mut head = Vec::new();
    let reading = async {
        while head.len() < HEAD_MAX {
            match response.chunk().await {
                Ok(Some(part)) => head.extend_from_slice(&part),
                Ok(None) | Err(_) => break,
            }
        }
    };
    // The status has arrived and decides; a body that drips is cut here.
    tokio::time::timeout(within, reading).await.unwrap_or_default();
    head.truncate(HEAD_MAX);
    // A database text holds no NUL, and a console no control characters.
    String::from_utf8_lossy(&head).replace(|c: char| c.is_control() && c != '\n' && c != '\t', "\u{fffd}")
}

/// Seconds, or a date (RFC 9110 §10.2.3).
fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    let wait = match value.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let then = OffsetDateTime::parse(value, &Rfc2822).ok()?;
            now.until(Timestamp(then.unix_timestamp().saturating_mul(1000)))
        }
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date_and_bounded() {
        let now = Timestamp(784_111_770_000); // Sun, 06 Nov 1994 08:49:30 GMT
        let table = [
            ("120", Some(Duration::from_secs(120))),
            (" 0 ", Some(Duration::ZERO)),
            ("99999999", Some(RETRY_AFTER_MAX)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(Duration::from_secs(7))),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(Duration::ZERO)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ];
        for (value, expected) in table {
            assert_eq!(retry_after(value, now), expected, "{value}");
        }
    }
}
