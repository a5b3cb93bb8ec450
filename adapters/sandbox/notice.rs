//! What the sandbox posts: `x-sandbox-signature: t=<s>,v1=<hex>`, HMAC-SHA256 over `<t>.<body>`. Pure.

use super::contract::{Notice, notice_type};
use super::normalize;
use crate::port::notice::{NoticeSample, NoticeSecrets, RawNotice, TimedSignature, Verification, Verified};
use crate::port::outcome::Read;
use crate::port::time::{Duration, Timestamp};

/// How the sandbox signs. The PSP we play signs with the same constant.
pub const SIGNATURE: TimedSignature =
    TimedSignature { header: "x-sandbox-signature", units_per_second: 1, tolerance: Duration::from_secs(300) };

/// `cases/notice/charge_succeeded` as the sandbox would sign it.
pub static SAMPLE: NoticeSample = NoticeSample {
    secret: "whsec_sandbox_0001",
    headers: &[(
        "x-sandbox-signature",
        "t=1700000000,v1=6d84898a5338c6894e511da16726656e708169ab540f143cd56907fde5d57a44",
    )],
    body: br#"{"id":"ntc_1","created_at":1700000000000,"type":"transaction.updated","transaction":{"id":"chg_1","kind":"charge","state":"succeeded","movement_id":"mov_2","reference":"0000000000000000000000001","amount":1999,"currency":"EUR","occurred_at":1700000001000}}"#,
    at: Timestamp(1_700_000_000_000),
};

pub fn verify(secrets: &NoticeSecrets, notice: &RawNotice, now: Timestamp) -> Verification {
    SIGNATURE.check(secrets, notice, now)
}

pub fn read(verified: &Verified) -> Read {
    let Ok(notice) = serde_json::from_slice::<Notice>(verified.body()) else {
        return Read::Unreadable("not a notice of the sandbox".to_owned());
    };
    match (notice.notice_type.as_str(), &notice.transaction) {
        (notice_type::PING, _) => Read::Ignored("a ping".to_owned()),
        (
            notice_type::TRANSACTION
            | notice_type::CHARGEBACK
            | notice_type::CHARGEBACK_REVERSED
            | notice_type::MEANS_REVOKED,
            Some(transaction),
        ) => match normalize::report(transaction) {
            Ok(report) => Read::Reports(vec![report]),
            Err(why) => Read::Unreadable(why.to_owned()),
        },
        (known, None) => Read::Unreadable(format!("a notice without a transaction: {known}")),
        (other, Some(_)) => Read::Unreadable(format!("a type of notice that is not documented: {other}")),
    }
}
