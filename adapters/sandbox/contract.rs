//! The sandbox's API as it documents it. Shared with the PSP we play (`src/psp/sandbox`).
//!
//! `POST /preauths`, `/charges`, `/means`, `/captures`, `/releases`, `/refunds`, `/closes` answer `200`
//! [`TransactionReply`], or an [`ErrorReply`]. `GET /transactions?reference=…` answers [`TransactionsReply`], or 404
//! [`error::NOT_FOUND`] where the reference was never heard of. `GET /account` answers [`AccountReply`]. All want
//! `Authorization: Bearer {api_key}`. Amounts are minor units, times UTC milliseconds.

use serde::{Deserialize, Serialize};

pub const BASE_URL: &str = "https://sandbox.rialto.internal/v1";

/// The host of [`BASE_URL`], by which the wire knows that the PSP is played in process.
pub const HOST: &str = "sandbox.rialto.internal";

/// Header of a request whose amount may choose a script; its value is `on`.
pub const SCRIPTED_HEADER: &str = "x-sandbox-scripted";

/// Header of an instruction with the secret that notices about it are to be signed with.
pub const NOTIFY_SECRET_HEADER: &str = "x-sandbox-notify-secret";

/// API keys that begin so are refused, to try out what happens then.
pub const REFUSED_KEY_PREFIX: &str = "invalid";

/// For API keys that begin so nobody answers.
pub const UNREACHABLE_KEY_PREFIX: &str = "unreachable";

/// Tokens of means from before anybody used this API: these, followed by 4 to 64 letters and digits. To take such means
/// over, `POST /means` with the token; others that begin so are not known.
pub const LEGACY_CARD_PREFIX: &str = "legacy_card_";
pub const LEGACY_DEBIT_PREFIX: &str = "legacy_debit_";

/// What a transaction's `state` may say.
pub mod state {
    pub const PENDING: &str = "pending";
    pub const AUTHORISED: &str = "authorised";
    pub const SUCCEEDED: &str = "succeeded";
    pub const DECLINED: &str = "declined";
    pub const EXPIRED: &str = "expired";
    pub const CANCELLED: &str = "cancelled";
    pub const ALL: &[&str] = &[PENDING, AUTHORISED, SUCCEEDED, DECLINED, EXPIRED, CANCELLED];
}

/// What the `stage` of a pending transaction may say.
pub mod stage {
    pub const CREATED: &str = "created";
    pub const AWAITING_PAYER: &str = "awaiting_payer";
    pub const SENT: &str = "sent";
    pub const ALL: &[&str] = &[CREATED, AWAITING_PAYER, SENT];
}

/// What a transaction's `kind` may say.
pub mod kind {
    pub const PREAUTH: &str = "preauth";
    pub const CHARGE: &str = "charge";
    pub const MEANS: &str = "means";
    pub const CAPTURE: &str = "capture";
    pub const RELEASE: &str = "release";
    pub const REFUND: &str = "refund";
    pub const CHARGEBACK: &str = "chargeback";
    pub const CHARGEBACK_REVERSED: &str = "chargeback_reversed";
    pub const MEANS_REVOKED: &str = "means_revoked";
    pub const ALL: &[&str] =
        &[PREAUTH, CHARGE, MEANS, CAPTURE, RELEASE, REFUND, CHARGEBACK, CHARGEBACK_REVERSED, MEANS_REVOKED];
}

/// What the `reason` of a declined transaction may say.
pub mod reason {
    pub const INSUFFICIENT_BALANCE: &str = "insufficient_balance";
    pub const REJECTED: &str = "rejected";
    pub const BEARER_INVALID: &str = "bearer_invalid";
    pub const IBAN_INVALID: &str = "iban_invalid";
    pub const ABORTED_BY_PAYER: &str = "aborted_by_payer";
    pub const AMOUNT_EXCEEDED: &str = "amount_exceeded";
    pub const PARENT_STATE: &str = "parent_state";
    pub const ALL: &[&str] = &[
        INSUFFICIENT_BALANCE,
        REJECTED,
        BEARER_INVALID,
        IBAN_INVALID,
        ABORTED_BY_PAYER,
        AMOUNT_EXCEEDED,
        PARENT_STATE,
    ];
}

/// What `error` of an [`ErrorReply`] may say. None of them has had any effect.
pub mod error {
    /// 401: the API key is not known. Nothing was done.
    pub const UNAUTHORISED: &str = "unauthorised";
    /// 429: asked too often. Nothing was done.
    pub const RATE_LIMITED: &str = "rate_limited";
    /// 403: the account may not do this.
    pub const FORBIDDEN: &str = "forbidden";
    /// 404 of a lookup: never heard of this reference. Of an instruction: the parent does not exist.
    pub const NOT_FOUND: &str = "not_found";
    /// 422: the request is not what this page describes.
    pub const INVALID_REQUEST: &str = "invalid_request";
}

/// What the `type` of a notice may say.
pub mod notice_type {
    pub const TRANSACTION: &str = "transaction.updated";
    pub const CHARGEBACK: &str = "chargeback.created";
    pub const CHARGEBACK_REVERSED: &str = "chargeback.reversed";
    pub const MEANS_REVOKED: &str = "means.revoked";
    pub const PING: &str = "ping";
    pub const ALL: &[&str] = &[TRANSACTION, CHARGEBACK, CHARGEBACK_REVERSED, MEANS_REVOKED, PING];
}

pub mod method {
    pub const CARD: &str = "card";
    pub const DIRECT_DEBIT: &str = "direct_debit";
}

/// Account data given with the call, or the token of means stored earlier.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeansGiven {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iban: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mandate_reference: Option<String>,
}

/// Body of `POST /preauths`, `/charges` and `/means` (amount 0 there).
///
/// Where `store_means` is on and `means` is a token, the answer shows the means that are stored under it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentRequest {
    pub reference: String,
    pub method: String,
    pub amount: i64,
    /// Of `/means`: what is to be taken later. It may choose a script, and nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_amount: Option<i64>,
    pub currency: String,
    /// Absent: the payer is asked on the page the answer names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub means: Option<MeansGiven>,
    pub store_means: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    pub description: String,
    pub return_url: String,
    pub notify_url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
}

/// Body of `POST /captures`, `/releases` and `/refunds`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowUpRequest {
    pub reference: String,
    pub parent_reference: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<String>,
    pub amount: i64,
    pub currency: String,
    pub description: String,
    pub notify_url: String,
}

/// Body of `POST /closes`: ends a pending charge, preauth or means page; answers with that transaction as it then is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloseRequest {
    pub reference: String,
}

/// Stored means: a token, and what may be shown of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeansStored {
    pub token: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last4: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub masked_card_pan: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry_month: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry_year: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// Country and the last four characters; the sandbox never gives an IBAN back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub masked_iban: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mandate_reference: Option<String>,
    /// `yyyy-MM-dd`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mandate_signature_date: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creditor_id: Option<String>,
}

/// A transaction, in answers, look-ups and notices alike.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transaction {
    pub id: String,
    /// The reference of the request; a chargeback, and a refund made at the portal, have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_reference: Option<String>,
    pub kind: String,
    pub state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    pub amount: i64,
    pub currency: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fee: Option<i64>,
    /// The flow of money, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub movement_id: Option<String>,
    pub occurred_at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub means: Option<MeansStored>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionReply {
    pub transaction: Transaction,
}

/// All transactions with the reference, oldest first, and what happened to them without a request: chargebacks and their
/// reversals, refunds made at the portal, the revocation of means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionsReply {
    pub transactions: Vec<Transaction>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorReply {
    pub error: String,
    #[serde(default)]
    pub message: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountReply {
    pub account: String,
    pub methods: Vec<String>,
}

/// What is posted to `notify_url`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    pub id: String,
    #[serde(rename = "type")]
    pub notice_type: String,
    pub created_at: i64,
    /// Absent in a ping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<Transaction>,
}

/// What the last two digits of an amount in minor units ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script {
    InsufficientBalance,
    Rejected,
    BearerInvalid,
    NotSent,
    AnswerLostAfterEffect,
    AnswerLostWithoutEffect,
    HtmlAfterEffect,
    SlowAbsentInBetween,
    PendingThenNotice,
    NoticeFiveTimes,
    NoticesOutOfOrder,
    NoticeBeforeAnswer,
    ForgedNoticeFirst,
    VisibleToLookupOnly,
    PaidAfterExpiry,
    Chargeback,
    MeansRevoked,
    ChargebackReversed,
    PortalRefund,
    SlowAnswer,
}

impl Script {
    /// Number, script, and what it does in the words of the documentation.
    pub const TABLE: &'static [(i64, Script, &'static str)] = &[
        (11, Script::InsufficientBalance, "declined: insufficient balance"),
        (12, Script::Rejected, "declined: rejected"),
        (13, Script::BearerInvalid, "declined: bearer invalid"),
        (21, Script::NotSent, "not sent: the connection is refused, nothing happens"),
        (22, Script::AnswerLostAfterEffect, "the effect happens, the answer is lost"),
        (23, Script::AnswerLostWithoutEffect, "the answer is lost and the effect did not happen"),
        (24, Script::HtmlAfterEffect, "an HTML page with status 502 after the effect"),
        (25, Script::SlowAbsentInBetween, "a slow call: the effect happens only after a lookup has said absent"),
        (31, Script::PendingThenNotice, "pending, the success notice comes after 2 s"),
        (32, Script::NoticeFiveTimes, "the same notice five times"),
        (33, Script::NoticesOutOfOrder, "notices out of order: success before pending"),
        (34, Script::NoticeBeforeAnswer, "the notice comes before the answer"),
        (35, Script::ForgedNoticeFirst, "a forged notice first, then the real one"),
        (36, Script::VisibleToLookupOnly, "pending, and the success is visible only to a lookup"),
        (37, Script::PaidAfterExpiry, "paid after our expiry: the page cannot be closed, and outlives its time"),
        (41, Script::Chargeback, "a chargeback 2 s after the success"),
        (42, Script::MeansRevoked, "the means are revoked 2 s after they were stored or charged"),
        (43, Script::ChargebackReversed, "a chargeback 2 s after the success, taken back 2 s later"),
        (44, Script::PortalRefund, "what is left is refunded at the PSP's portal 2 s after the success"),
        (51, Script::SlowAnswer, "the answer comes after 8 s"),
    ];

    /// The script an amount in minor units asks for, if any.
    pub fn of(amount_minor: i64) -> Option<Script> {
        Script::TABLE
            .iter()
            .find(|(number, _, _)| amount_minor.rem_euclid(100) == *number)
            .map(|(_, script, _)| *script)
    }
}
