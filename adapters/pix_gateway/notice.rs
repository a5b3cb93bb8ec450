//! What the gateway posts: `x-paag-webhook-signature`, base64 of the hexadecimal HMAC-SHA256 of the body. Pure.

use super::contract::{Notice, event};
use super::normalize;
use crate::port::notice::{HexInBase64Signature, NoticeSecrets, RawNotice, Verification, Verified};
use crate::port::outcome::Read;

/// How the gateway signs. The PSP we play signs with the same constant.
pub const SIGNATURE: HexInBase64Signature = HexInBase64Signature { header: "x-paag-webhook-signature" };

/// Notices beside those of events, of which the documents tell the name alone.
const ERROR: &str = "error";

pub fn verify(secrets: &NoticeSecrets, notice: &RawNotice) -> Verification {
    SIGNATURE.check(secrets, notice)
}

pub fn read(verified: &Verified) -> Read {
    let Ok(notice) = serde_json::from_slice::<Notice>(verified.body()) else {
        return Read::Unreadable("not a notice of the gateway".to_owned());
    };
    if notice.event != ERROR && !event::ALL.contains(&notice.event.as_str()) {
        return Read::Unreadable(format!("an event that is not documented: {}", notice.event));
    }
    match normalize::reports(&notice.transaction, None) {
        Ok(reports) => Read::Reports(reports),
        Err(why) => Read::Unreadable(why.to_owned()),
    }
}
