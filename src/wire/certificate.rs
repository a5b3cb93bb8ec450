//! Knocking: whether an address answers, what time it has, and until when its certificate is good. Nothing is said but a
//! HEAD request without any credential; nothing is believed that is read here, it is shown to a person.

use bytes::Bytes;
use reqwest::header::{DATE, HeaderMap};
use rialto_adapters::port::wire::Deadlines;
use rialto_adapters::port::{Duration, Fault, FaultCause, Timestamp};
use time::format_description::well_known::Rfc2822;
use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time};
use url::Url;

use super::client::{Call, Outbound, WireOptions, WireSetupError, chain, denied, no_answer, parse_url};
use super::guard::{Guard, Reach};
use crate::clock::Clock;

/// Knocks at addresses, every one through the guard.
pub struct Knocker {
    outbound: Outbound,
}

/// An address that answers, whatever it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Knock {
    pub status: u16,
    /// The time it has, to the second.
    pub date: Option<Timestamp>,
}

impl Knocker {
    /// `options.identity` is not used: whoever is knocked at has no business with our client certificate.
    /// Errors: `options` hold certificates that cannot be used.
    pub fn new(clock: Clock, guard: Guard, options: WireOptions) -> Result<Knocker, WireSetupError> {
        Ok(Knocker { outbound: Outbound::new(clock, guard, WireOptions { identity: None, ..options })? })
    }

    /// Asks a receiver's address for nothing, by the rules for receivers. A redirect is an answer and not followed.
    pub async fn knock(&self, url: &str, within: Duration) -> Result<Knock, Fault> {
        let guard = &self.outbound.guard;
        let url = guard.check_url(url, &[]).map_err(|refusal| denied(&refusal))?;
        let reach = guard.reach(&url);
        let by = self.outbound.clock.now().plus(within);
        let deadlines = Deadlines { send_by: by, answer_by: by };
        let (method, headers) = (reqwest::Method::HEAD, HeaderMap::new());
        let response = self.outbound.open(Call { method, url, headers, body: Bytes::new(), deadlines, reach }).await?;
        let date = response.headers().get(DATE).and_then(|value| http_date(value.to_str().ok()?));
        Ok(Knock { status: response.status().as_u16(), date })
    }

    /// Until when the certificate is good that is shown at an https address, whether or not we would trust it: an expired
    /// one is what a person is looking for. `None` where none can be read.
    pub async fn certificate_until(&self, url: &str, within: Duration) -> Result<Option<Timestamp>, Fault> {
        let url = origin(&parse_url(url)?);
        self.outbound.check_literal(&url, Reach::Public)?;
        let client = self.outbound.builder(Reach::Public).tls_certs_only([]).tls_info(true);
        // Only the certificate's date is looked at, and only HEAD is said.
        let client = client.tls_danger_accept_invalid_certs(true).build();
        let client = client.map_err(|error| Fault::not_sent(FaultCause::NotAttempted, error.to_string()))?;
        let knocking = client.execute(reqwest::Request::new(reqwest::Method::HEAD, url));
        let response = match tokio::time::timeout(within, knocking).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(Fault::unknown(FaultCause::ConnectionLost, chain(&error))),
            Err(_) => return Err(no_answer()),
        };
        let shown = response.extensions().get::<reqwest::tls::TlsInfo>();
        Ok(shown.and_then(|shown| not_after(shown.peer_certificate()?)))
    }
}

/// Without path and query, which are nobody's business here.
fn origin(url: &Url) -> Url {
    let mut bare = url.clone();
    bare.set_path("/");
    bare.set_query(None);
    bare.set_fragment(None);
    bare
}

/// The value of a `Date` header.
pub fn http_date(value: &str) -> Option<Timestamp> {
    let at = OffsetDateTime::parse(value.trim(), &Rfc2822).ok()?;
    Some(Timestamp(at.unix_timestamp().saturating_mul(1000)))
}

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
/// The explicit `[0]` around a certificate's version.
const VERSION: u8 = 0xa0;

/// The end of validity in a certificate (RFC 5280 §4.1). Reads nothing else of it, and nothing is decided by it.
fn not_after(der: &[u8]) -> Option<Timestamp> {
    let mut certificate = Der(Der(der).take(SEQUENCE)?);
    let mut body = Der(certificate.take(SEQUENCE)?);
    if body.0.first() == Some(&VERSION) {
        body.take(VERSION)?;
    }
    body.take(INTEGER)?; // the serial number
    body.take(SEQUENCE)?; // how it is signed
    body.take(SEQUENCE)?; // by whom
    let mut validity = Der(body.take(SEQUENCE)?);
    validity.next()?; // its beginning
    match validity.next()? {
        (UTC_TIME, text) => moment(text, 2),
        (GENERALIZED_TIME, text) => moment(text, 4),
        (_, _) => None,
    }
}

/// What is left to be read.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(has, _)| *has == tag).map(|(_, content)| content)
    }

    /// Tag and content of the next element. Lengths of up to four bytes: a certificate is not larger.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..0x80 => (usize::from(first), rest),
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (
                    bytes
                        .iter()
                        .try_fold(0_usize, |sum, byte| sum.checked_mul(256)?.checked_add(usize::from(*byte)))?,
                    rest,
                )
            }
            0x80 | 0x85.. => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }
}

/// `YYMMDDHHMMSSZ`, or with a year of four digits.
fn moment(text: &[u8], year_digits: usize) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    if text.len() != year_digits + 10 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (year, rest) = text.split_at(year_digits);
    let year: i32 = year.parse().ok()?;
    // RFC 5280 §4.1.2.5.1: two digits are of 1950 to 2049.
    let year = match (year_digits, year) {
        (2, 50..) => year + 1900,
        (2, _) => year + 2000,
        (_, _) => year,
    };
    let two = |at: usize| rest.get(at..at + 2)?.parse::<u8>().ok();
    let date = Date::from_calendar_date(year, Month::try_from(two(0)?).ok()?, two(2)?).ok()?;
    let time = Time::from_hms(two(4)?, two(6)?, two(8)?).ok()?;
    let at = PrimitiveDateTime::new(date, time).assume_utc();
    Some(Timestamp(at.unix_timestamp().saturating_mul(1000)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use tokio_rustls::TlsAcceptor;

    use super::super::test_server::{Act, OK, Server, unused_port};
    use super::*;

    const WITHIN: Duration = Duration::from_secs(20);

    fn knocker(subnets: &[&str]) -> Knocker {
        let subnets = subnets.iter().map(|subnet| subnet.parse().expect("a subnet")).collect();
        Knocker::new(Clock::default(), Guard::new(subnets), WireOptions::default()).expect("a knocker")
    }

    fn certificate(until: (i32, u8, u8)) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
        parameters.not_before = rcgen::date_time_ymd(1999, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(until.0, until.1, until.2);
        let made = parameters.self_signed(&key).expect("a certificate");
        (made.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).expect("a key"))
    }

    fn day(year: i32, month: u8, day: u8) -> Timestamp {
        Timestamp(rcgen::date_time_ymd(year, month, day).unix_timestamp() * 1000)
    }

    #[test]
    fn the_end_of_a_certificate_is_read() {
        // From 2050 on the year has four digits.
        for until in [(2001, 2, 3), (2026, 12, 31), (2049, 12, 31), (2050, 1, 1), (2999, 6, 15)] {
            let (der, _) = certificate(until);
            assert_eq!(not_after(&der), Some(day(until.0, until.1, until.2)), "{until:?}");
            for cut in 0..der.len() {
                // Whatever is cut off, it is read or not, and nothing panics.
                let read = not_after(&der[..cut]);
                assert_eq!(read, None, "cut at {cut}: the outermost length no longer fits");
            }
        }
        for bad in [&[][..], &[SEQUENCE], &[SEQUENCE, 0x84, 0xff, 0xff, 0xff, 0xff], &[SEQUENCE, 0x80, 0, 0], &[0; 64]]
        {
            assert_eq!(not_after(bad), None);
        }
        for (text, digits) in [("991332000000Z", 2), ("9901010000Z", 2), ("99010100000xZ", 2), ("990101000000", 2)] {
            assert_eq!(moment(text.as_bytes(), digits), None, "{text}");
        }
    }

    #[tokio::test]
    async fn a_certificate_is_shown_even_if_it_has_expired() {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        for until in [(2001, 2, 3), (2050, 1, 1)] {
            let (der, key) = certificate(until);
            let builder = rustls::ServerConfig::builder_with_provider(provider.clone());
            let builder = builder.with_safe_default_protocol_versions().expect("versions").with_no_client_auth();
            let tls = TlsAcceptor::from(Arc::new(builder.with_single_cert(vec![der], key).expect("a server")));
            let server = Server::start_with(Act::Answer(OK), Some(tls)).await;
            let knocker = knocker(&["127.0.0.0/8"]);
            let shown = knocker.certificate_until(&server.https(), WITHIN).await;
            assert_eq!(shown, Ok(Some(day(until.0, until.1, until.2))));
            let fault = knocker.knock(&server.https(), WITHIN).await.expect_err("nobody vouches for it");
            assert_eq!(fault.cause, FaultCause::TlsRefused, "{fault}");
        }
    }

    #[tokio::test]
    async fn whoever_answers_is_there() {
        const ANSWER: &[u8] = b"HTTP/1.1 405 No\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\ncontent-length: 0\r\n\r\n";
        let server = Server::start(Act::Answer(ANSWER)).await;
        let knock = knocker(&["127.0.0.0/8"]).knock(&server.url(), WITHIN).await;
        assert_eq!(knock, Ok(Knock { status: 405, date: Some(Timestamp(784_111_777_000)) }));
        let fault = knocker(&[]).knock(&server.url(), WITHIN).await.expect_err("the guard refuses it");
        assert_eq!(fault.cause, FaultCause::AddressDenied);
        let fault = knocker(&[]).certificate_until(&server.https(), WITHIN).await.expect_err("the guard refuses it");
        assert_eq!(fault.sent, rialto_adapters::port::Sent::Maybe, "only a text for a person: {fault}");
        let dead = format!("http://{}/", unused_port());
        let fault = knocker(&["127.0.0.0/8"]).knock(&dead, WITHIN).await.expect_err("nobody listens");
        assert_eq!(fault.cause, FaultCause::ConnectionRefused);
        assert_eq!(http_date("yesterday"), None);
    }
}
