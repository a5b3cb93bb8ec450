//! What Pientegra posts: `pientegra-signature: t=<ms>,v1=<hex>`, HMAC-SHA256 over `<t>.<body>` with the whole secret,
//! `whsec_` and all. Pure.

use super::contract::{Notice, Subject};
use super::normalize;
use crate::port::notice::{NoticeSecrets, RawNotice, TimedSignature, Verification, Verified};
use crate::port::outcome::Read;
use crate::port::time::{Duration, Timestamp};

/// How Pientegra signs, with the tolerance of its own sample. The simulator signs with the same constant.
pub const SIGNATURE: TimedSignature =
    TimedSignature { header: "pientegra-signature", units_per_second: 1000, tolerance: Duration::from_secs(300) };

/// Names the event, as the body does, which alone is signed.
pub const EVENT_ID_HEADER: &str = "pientegra-event-id";

pub fn verify(secrets: &NoticeSecrets, notice: &RawNotice, now: Timestamp) -> Verification {
    SIGNATURE.check(secrets, notice, now)
}

pub fn read(verified: &Verified) -> Read {
    let Ok(notice) = serde_json::from_slice::<Notice>(verified.body()) else {
        return Read::Unreadable("not a notice of Pientegra".to_owned());
    };
    let top = Subject { intent: notice.intent, withdrawal: notice.withdrawal };
    let nested = [notice.payload, notice.data].into_iter().flatten();
    let subject = nested.fold(top, |found, inner| Subject {
        intent: found.intent.or(inner.intent),
        withdrawal: found.withdrawal.or(inner.withdrawal),
    });
    normalize::event(&notice.event_type, notice.occurred_at.as_deref(), &subject)
}
