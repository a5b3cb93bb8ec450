//! What a PSP posts to us, and the proof that it is really from there.
//!
//! Reading a notice needs a [`Verified`], and the checkers of this file are the only code that can make one: a forgotten
//! check does not compile.

use base64::Engine as _;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::adapter::Adapter;
use super::reference::References;
use super::secret::Secret;
use super::time::{Duration, Timestamp};

/// A notice as it came in, byte for byte.
#[derive(Clone, PartialEq, Eq)]
pub struct RawNotice {
    /// What follows `/hooks/{connection}`.
    pub path: String,
    /// Names in lower case, in order of arrival.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl RawNotice {
    /// The value of a header that must stand exactly once; `name` in lower case. A header sent twice is as good as none:
    /// two readers could pick different ones.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(have, _)| have == name).map(|(_, value)| value.as_str());
        match (values.next(), values.next()) {
            (Some(value), None) => Some(value),
            _ => None,
        }
    }
}

impl std::fmt::Debug for RawNotice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "notice ({} bytes)", self.body.len())
    }
}

/// The notice secrets of every settings version that still has open or refundable transactions.
#[derive(Clone, Debug, Default)]
pub struct NoticeSecrets(pub Vec<Secret>);

/// A notice whose authenticity was checked. Only this module makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    notice: RawNotice,
}

impl Verified {
    pub fn body(&self) -> &[u8] {
        &self.notice.body
    }

    pub fn path(&self) -> &str {
        &self.notice.path
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.notice.header(name)
    }

    /// A notice that was verified when it arrived and has lain in the inbox since. Whoever calls this vouches that the
    /// stored verdict was "verified"; in Rialto that is `flow/apply`, and a test holds that nobody else does.
    pub fn restored(notice: RawNotice) -> Verified {
        Verified { notice }
    }
}

/// A signed notice that is known to be genuine: an example of the vendor's.
#[derive(Clone, Copy, Debug)]
pub struct NoticeSample {
    /// The secret of the example, which guards nothing.
    pub secret: &'static str,
    /// Names in lower case.
    pub headers: &'static [(&'static str, &'static str)],
    pub body: &'static [u8],
    /// When it was signed.
    pub at: Timestamp,
}

impl NoticeSample {
    /// Whether an adapter's checker believes the sample, and does not believe it with another body or another secret.
    ///
    /// # Errors
    /// What went wrong, for people.
    pub fn check(&self, adapter: &dyn Adapter) -> Result<(), String> {
        let headers = self.headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let notice = RawNotice { path: String::new(), headers, body: self.body.to_vec() };
        let secrets = NoticeSecrets(vec![Secret::new(self.secret)]);
        if let Verification::Rejected(why) = adapter.verify(&secrets, &notice, self.at) {
            return Err(format!("the vendor's own sample is rejected: {why}"));
        }
        let changed = RawNotice { body: [self.body, b" "].concat(), ..notice.clone() };
        let others = NoticeSecrets(vec![Secret::new("another secret")]);
        let forged = [(&secrets, &changed), (&others, &notice)];
        let believed = |(secrets, notice): (&NoticeSecrets, &RawNotice)| {
            matches!(adapter.verify(secrets, notice, self.at), Verification::Verified(_))
        };
        if forged.into_iter().any(believed) { Err("a forged sample is believed".to_owned()) } else { Ok(()) }
    }
}

/// What checking a notice gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verification {
    Verified(Verified),
    /// From a PSP without authenticity: nothing in it is believed; the transactions it names are looked up.
    Nudge(Vec<References>),
    /// Not from there. The text says why, for the log; it never holds the expected signature.
    Rejected(&'static str),
}

type HmacSha256 = Hmac<Sha256>;

/// HMAC-SHA256 of the parts, one after the other. For signing, and for a PSP we play ourselves.
pub fn hmac_sha256(key: &Secret, parts: &[&[u8]]) -> [u8; 32] {
    // HMAC takes keys of any length.
    let mut mac = HmacSha256::new_from_slice(key.expose().as_bytes()).unwrap_or_else(|_| unreachable!("any length"));
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

/// The signature scheme `t=<time>,v1=<hex>[,v1=<hex>…]`: HMAC-SHA256 over `<time>.<body>` with one of the secrets.
#[derive(Clone, Copy, Debug)]
pub struct TimedSignature {
    /// Header name in lower case.
    pub header: &'static str,
    /// How many of the scheme's time units are a second: 1 or 1000.
    pub units_per_second: i64,
    /// How old, or how far ahead of our clock, a notice may be.
    pub tolerance: Duration,
}

/// Signatures looked at in one header: enough for a rotation, too few to make us work.
const MAX_SIGNATURES: usize = 8;

impl TimedSignature {
    /// Checks a notice: every signature against every secret, in constant time, before the age is looked at.
    pub fn check(&self, secrets: &NoticeSecrets, notice: &RawNotice, now: Timestamp) -> Verification {
        let Some(value) = notice.header(self.header) else {
            return Verification::Rejected("no signature header, or more than one");
        };
        let (mut time, mut signatures) = (None, Vec::new());
        for part in value.split(',') {
            match part.trim().split_once('=') {
                Some(("t", text)) if time.is_none() => time = Some(text),
                Some(("t", _)) => return Verification::Rejected("two times in the signature header"),
                Some(("v1", text)) if signatures.len() < MAX_SIGNATURES => signatures.extend(unhex(text)),
                // Other versions are for other readers.
                _ => {}
            }
        }
        let Some((text, seconds)) = time.and_then(|text| Some((text, text.parse::<i64>().ok()?))) else {
            return Verification::Rejected("no time in the signature header");
        };
        let genuine = secrets.0.iter().filter(|secret| !secret.is_empty()).any(|secret| {
            let expected = hmac_sha256(secret, &[text.as_bytes(), b".", &notice.body]);
            signatures.iter().any(|given: &Vec<u8>| bool::from(given.as_slice().ct_eq(&expected[..])))
        });
        if !genuine {
            return Verification::Rejected("signature does not match");
        }
        let at = Timestamp(seconds.saturating_mul(1000 / self.units_per_second.clamp(1, 1000)));
        if at < now.minus(self.tolerance) || at > now.plus(self.tolerance) {
            return Verification::Rejected("signed too long ago, or in the future");
        }
        Verification::Verified(Verified { notice: notice.clone() })
    }

    /// Signs a body at a time: what the PSPs we play send.
    pub fn sign(&self, secret: &Secret, body: &[u8], now: Timestamp) -> String {
        let time = (now.0 / (1000 / self.units_per_second.clamp(1, 1000))).to_string();
        let signature = hmac_sha256(secret, &[time.as_bytes(), b".", body]);
        format!("t={time},v1={}", hex(&signature))
    }
}

/// The signature scheme "base64 of the lower-case hex of HMAC-SHA256 over the body". It covers no time, so a notice can be
/// repeated by whoever has seen it; what it says must not count twice.
#[derive(Clone, Copy, Debug)]
pub struct HexInBase64Signature {
    /// Header name in lower case.
    pub header: &'static str,
}

impl HexInBase64Signature {
    /// Checks a notice against every secret, in constant time.
    pub fn check(&self, secrets: &NoticeSecrets, notice: &RawNotice) -> Verification {
        let Some(given) = notice.header(self.header) else {
            return Verification::Rejected("no signature header, or more than one");
        };
        let genuine = secrets.0.iter().filter(|secret| !secret.is_empty()).any(|secret| {
            let expected = self.sign(secret, &notice.body);
            bool::from(given.trim().as_bytes().ct_eq(expected.as_bytes()))
        });
        match genuine {
            true => Verification::Verified(Verified { notice: notice.clone() }),
            false => Verification::Rejected("signature does not match"),
        }
    }

    /// Signs a body: what the PSPs we play send.
    pub fn sign(&self, secret: &Secret, body: &[u8]) -> String {
        base64::engine::general_purpose::STANDARD.encode(hex(&hmac_sha256(secret, &[body])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEME: TimedSignature =
        TimedSignature { header: "x-signature", units_per_second: 1, tolerance: Duration::from_secs(300) };
    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn notice(headers: &[(&str, &str)], body: &[u8]) -> RawNotice {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        RawNotice { path: String::new(), headers, body: body.to_vec() }
    }

    #[test]
    fn only_a_fresh_notice_signed_with_one_of_our_secrets_is_verified() {
        let (old, new) = (Secret::new("whsec_old"), Secret::new("whsec_new"));
        let secrets = NoticeSecrets(vec![old.clone(), new.clone()]);
        let good = SCHEME.sign(&new, b"{}", NOW);
        let by_old = SCHEME.sign(&old, b"{}", NOW);
        let late = SCHEME.sign(&new, b"{}", NOW.minus(Duration::from_secs(301)));
        let ahead = SCHEME.sign(&new, b"{}", NOW.plus(Duration::from_secs(302)));
        let stranger = SCHEME.sign(&Secret::new("other"), b"{}", NOW);
        let rotated = format!("{},v1={}", stranger, good.split("v1=").nth(1).expect("v1"));
        let unsigned = SCHEME.sign(&Secret::new(""), b"{}", NOW);
        type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [u8], bool);
        let rows: &[Row] = &[
            ("good", &[("x-signature", &good)], b"{}", true),
            ("the older secret", &[("x-signature", &by_old)], b"{}", true),
            ("two signatures, one right", &[("x-signature", &rotated)], b"{}", true),
            ("another body", &[("x-signature", &good)], b"{ }", false),
            ("too old", &[("x-signature", &late)], b"{}", false),
            ("from the future", &[("x-signature", &ahead)], b"{}", false),
            ("a stranger", &[("x-signature", &stranger)], b"{}", false),
            ("the empty secret", &[("x-signature", &unsigned)], b"{}", false),
            ("none", &[], b"{}", false),
            ("sent twice", &[("x-signature", &good), ("x-signature", &good)], b"{}", false),
            ("nonsense", &[("x-signature", "t=,v1=zz,=,,")], b"{}", false),
            ("not ascii", &[("x-signature", "t=1,v1=éé")], b"{}", false),
        ];
        for (name, headers, body, expected) in rows {
            let verified = matches!(SCHEME.check(&secrets, &notice(headers, body), NOW), Verification::Verified(_));
            assert_eq!(verified, *expected, "{name}");
        }
        let empty = NoticeSecrets(vec![Secret::new("")]);
        assert!(
            matches!(
                SCHEME.check(&empty, &notice(&[("x-signature", &unsigned)], b"{}"), NOW),
                Verification::Rejected(_)
            ),
            "an empty secret verifies nothing"
        );
    }

    #[test]
    fn a_signature_that_is_hex_in_base64_covers_the_body() {
        const SCHEME: HexInBase64Signature = HexInBase64Signature { header: "x-signature" };
        let (old, new) = (Secret::new("old secret"), Secret::new("new secret"));
        let secrets = NoticeSecrets(vec![old.clone(), new.clone()]);
        let good = SCHEME.sign(&new, b"{}");
        assert_eq!(good.len(), 88, "64 hexadecimal digits in base64");
        let raw = base64::engine::general_purpose::STANDARD.encode(hmac_sha256(&new, &[b"{}"]));
        let (by_old, spaced) = (SCHEME.sign(&old, b"{}"), format!(" {good} "));
        let (stranger, unsigned) = (SCHEME.sign(&Secret::new("other"), b"{}"), SCHEME.sign(&Secret::new(""), b"{}"));
        let hexadecimal = hex(&hmac_sha256(&new, &[b"{}"]));
        type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [u8], bool);
        let rows: &[Row] = &[
            ("good", &[("x-signature", &good)], b"{}", true),
            ("the older secret", &[("x-signature", &by_old)], b"{}", true),
            ("spaces around", &[("x-signature", &spaced)], b"{}", true),
            ("another body", &[("x-signature", &good)], b"{ }", false),
            ("a stranger", &[("x-signature", &stranger)], b"{}", false),
            ("the empty secret", &[("x-signature", &unsigned)], b"{}", false),
            ("base64 of the digest itself", &[("x-signature", &raw)], b"{}", false),
            ("hexadecimal only", &[("x-signature", &hexadecimal)], b"{}", false),
            ("a part of it", &[("x-signature", &good[..44])], b"{}", false),
            ("nothing in it", &[("x-signature", "")], b"{}", false),
            ("none", &[], b"{}", false),
            ("sent twice", &[("x-signature", &good), ("x-signature", &good)], b"{}", false),
        ];
        for (name, headers, body, expected) in rows {
            let verified = matches!(SCHEME.check(&secrets, &notice(headers, body)), Verification::Verified(_));
            assert_eq!(verified, *expected, "{name}");
        }
        let empty = NoticeSecrets(vec![Secret::new("")]);
        let forged = notice(&[("x-signature", &unsigned)], b"{}");
        assert!(matches!(SCHEME.check(&empty, &forged), Verification::Rejected(_)), "an empty secret verifies nothing");
    }
}
