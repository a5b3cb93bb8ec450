//! Pientegra's API as it documents it, and, where its documents are silent, as [`super`] says. Shared with the simulator
//! (`src/psp/pientegra`).
//!
//! `POST /external/deposits` and `/external/withdrawals` want an `Idempotency-Key` and answer [`Created`].
//! `GET /external/intents/{id}` and `/external/withdrawals/{id}` answer an [`Item`], the same without an id a [`Page`] of
//! them, newest first; `GET /external/events` a page of [`LedgerEvent`]. An error is an [`ErrorReply`]. All want
//! `Authorization: Bearer {api_key}`. Amounts are minor units as texts, times ISO 8601 in UTC.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub const DEPOSITS: &str = "/external/deposits";
pub const WITHDRAWALS: &str = "/external/withdrawals";
pub const INTENTS: &str = "/external/intents";
pub const EVENTS: &str = "/external/events";

/// Smallest and largest amount of a deposit: 1 to 1,000,000 TRY. Nothing else is known of withdrawals.
pub const MINIMUM_MINOR: i64 = 100;
pub const MAXIMUM_MINOR: i64 = 100_000_000;

/// Characters of a user's id, a label and a holder's name.
pub const TEXT_MAX: usize = 128;
/// Entries of a page.
pub const PAGE_MAX: usize = 100;

/// What the `status` of a deposit's intent may say.
pub mod intent {
    pub const RESERVED: &str = "RESERVED";
    pub const PENDING_REVIEW: &str = "PENDING_REVIEW";
    pub const APPROVED: &str = "APPROVED";
    pub const REJECTED: &str = "REJECTED";
    pub const AUTO_CANCELLED: &str = "AUTO_CANCELLED";
    pub const LATE_ARRIVAL: &str = "LATE_ARRIVAL";
    pub const ALL: &[&str] = &[RESERVED, PENDING_REVIEW, APPROVED, REJECTED, AUTO_CANCELLED, LATE_ARRIVAL];
}

/// What the `status` of a withdrawal may say.
pub mod withdrawal {
    pub const PENDING_REVIEW: &str = "PENDING_REVIEW";
    pub const APPROVED: &str = "APPROVED";
    pub const SENT: &str = "SENT";
    pub const REJECTED: &str = "REJECTED";
    pub const RETURNED: &str = "RETURNED";
    pub const ALL: &[&str] = &[PENDING_REVIEW, APPROVED, SENT, REJECTED, RETURNED];
}

/// What the `deliveryStatus` of an event may say.
pub mod delivery {
    pub const PENDING: &str = "PENDING";
    pub const DELIVERED: &str = "DELIVERED";
    /// The last attempt failed, and more are to come.
    pub const FAILED: &str = "FAILED";
    /// Given up.
    pub const DEAD: &str = "DEAD";
    pub const ALL: &[&str] = &[PENDING, DELIVERED, FAILED, DEAD];
}

/// What an `eventType` may say.
pub mod event {
    pub const INTENT_APPROVED: &str = "intent.approved";
    pub const INTENT_REJECTED: &str = "intent.rejected";
    pub const WITHDRAWAL_CREATED: &str = "withdrawal.created";
    pub const WITHDRAWAL_SENT: &str = "withdrawal.sent";
    pub const WITHDRAWAL_REJECTED: &str = "withdrawal.rejected";
    pub const WITHDRAWAL_RETURNED: &str = "withdrawal.returned";
    /// Not documented, and nothing else could be meant by them.
    pub const INTENT_CREATED: &str = "intent.created";
    pub const INTENT_PENDING_REVIEW: &str = "intent.pending_review";
    pub const INTENT_AUTO_CANCELLED: &str = "intent.auto_cancelled";
    pub const INTENT_CANCELLED: &str = "intent.cancelled";
    pub const INTENT_EXPIRED: &str = "intent.expired";
    pub const INTENT_LATE_ARRIVAL: &str = "intent.late_arrival";
    pub const WITHDRAWAL_APPROVED: &str = "withdrawal.approved";
    pub const ALL: &[&str] = &[
        INTENT_APPROVED,
        INTENT_REJECTED,
        WITHDRAWAL_CREATED,
        WITHDRAWAL_SENT,
        WITHDRAWAL_REJECTED,
        WITHDRAWAL_RETURNED,
        INTENT_CREATED,
        INTENT_PENDING_REVIEW,
        INTENT_AUTO_CANCELLED,
        INTENT_CANCELLED,
        INTENT_EXPIRED,
        INTENT_LATE_ARRIVAL,
        WITHDRAWAL_APPROVED,
    ];
}

/// What `error` of an [`ErrorReply`] may say. After each of them but the two about the key nothing was done.
pub mod error {
    /// 401 (or 403): key missing, unknown, revoked, rotated or expired; also a site that is not active.
    pub const UNAUTHORIZED: &str = "unauthorized";
    /// 409: the key is taken by a request with another body.
    pub const KEY_REUSED: &str = "idempotency_key_reuse_with_different_body";
    /// 409: the first call with this key is still running.
    pub const KEY_IN_FLIGHT: &str = "duplicate_idempotency_key";
    pub const AMOUNT_BELOW_MIN: &str = "amount_below_min";
    pub const AMOUNT_ABOVE_MAX: &str = "amount_above_max";
    pub const VALIDATION_FAILED: &str = "validation_failed";
    // The rest is not documented; these names are the likely ones.
    pub const KEY_REQUIRED: &str = "idempotency_key_required";
    pub const NO_AVAILABLE_ACCOUNT: &str = "no_available_account";
    pub const NOT_FOUND: &str = "not_found";
    /// 429.
    pub const RATE_LIMITED: &str = "rate_limited";
    pub const ALL: &[&str] = &[
        UNAUTHORIZED,
        KEY_REUSED,
        KEY_IN_FLIGHT,
        AMOUNT_BELOW_MIN,
        AMOUNT_ABOVE_MAX,
        VALIDATION_FAILED,
        KEY_REQUIRED,
        NO_AVAILABLE_ACCOUNT,
        NOT_FOUND,
        RATE_LIMITED,
    ];
}

/// Minor units: written as a text, read from a text of digits or a whole number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Minor(pub i64);

impl Serialize for Minor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Minor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Minor, D::Error> {
        struct Reader;

        impl de::Visitor<'_> for Reader {
            type Value = Minor;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number of minor units, not negative")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Minor, E> {
                // `parse` alone would take a sign.
                let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
                let minor = digits.then(|| text.parse().ok()).flatten();
                minor.map(Minor).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Minor, E> {
                let minor = i64::try_from(number);
                minor.map(Minor).map_err(|_| E::invalid_value(de::Unexpected::Unsigned(number), &self))
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DepositRequest {
    pub external_user_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_user_label: Option<String>,
    pub amount: Minor,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WithdrawalRequest {
    pub external_user_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_user_label: Option<String>,
    pub amount: Minor,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    pub target_iban: String,
    pub target_holder_name: String,
}

/// The answer to a deposit, or, with nothing but the id and the number, to a withdrawal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Created {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawal_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference_no: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deposit_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_amount: Option<Minor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Minor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
}

/// A deposit's intent or a withdrawal: in a look-up, a list or (with `id` instead of the longer name) an event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawal_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference_no: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_user_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_amount: Option<Minor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Minor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected_reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returned_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returned_reason: Option<String>,
}

/// A page of a list. `next_cursor` is null on the last one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    pub data: Vec<T>,
    #[serde(default)]
    pub next_cursor: Option<String>,
}

/// What an event is about: one of the two, at the top or one level down.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Item>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawal: Option<Item>,
}

/// The body of a notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    pub event_id: String,
    pub event_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occurred_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Item>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawal: Option<Item>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Subject>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Subject>,
}

/// An entry of the event ledger: `payload` is the notice's body without the first three members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LedgerEvent {
    pub event_id: String,
    pub event_type: String,
    #[serde(default)]
    pub occurred_at: Option<String>,
    pub delivery_status: String,
    #[serde(default)]
    pub attempts: i32,
    #[serde(default)]
    pub last_response_status: Option<i32>,
    #[serde(default)]
    pub last_error: Option<String>,
    #[serde(default)]
    pub delivered_at: Option<String>,
    #[serde(default)]
    pub payload: Subject,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorReply {
    pub error: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}
