//! The gateway's API as it documents it. Shared with the PSP we play (`src/psp/pix_gateway`).
//!
//! All want `Authorization: Bearer {token}`. `POST /api/pix/charge` and `/api/pix/pay` answer [`TransactionReply`]; so does
//! `GET /api/transaction/{id}`. `POST /api/transactions/reimbursement` refunds a deposit. `GET /api/transactions` answers
//! [`TransactionsReply`], 50 rows a page, by `search[merchant_transaction_id]` (prefix), `search[updated_at_gte]`, … and
//! `page`. `GET /api/merchant/current/balance` answers [`Balance`]. Refusals are [`ErrorReply`].
//!
//! Requests carry amounts as JSON numbers in reais, answers as texts with two decimals, balances as numbers.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

pub mod path {
    pub const CHARGE: &str = "/api/pix/charge";
    pub const PAY: &str = "/api/pix/pay";
    pub const REIMBURSEMENT: &str = "/api/transactions/reimbursement";
    /// Singular: one, by its id behind a slash.
    pub const TRANSACTION: &str = "/api/transaction";
    /// Plural: a search.
    pub const TRANSACTIONS: &str = "/api/transactions";
    pub const BALANCE: &str = "/api/merchant/current/balance";
}

/// Parameters of a search.
pub mod search {
    /// Finds what begins with it.
    pub const MERCHANT_TRANSACTION_ID: &str = "search[merchant_transaction_id]";
    /// `Y-m-d H:i:s`.
    pub const UPDATED_AT_GTE: &str = "search[updated_at_gte]";
    pub const PAGE: &str = "page";
    /// Rows of a page, fixed.
    pub const ROWS: usize = 50;
}

/// What an event's `event_type`, and the `event` of a notice, may say.
pub mod event {
    /// In: the QR code was made.
    pub const AUTH: &str = "auth";
    /// In: paid.
    pub const CAPTURE: &str = "capture";
    /// In: sent back to where it came from.
    pub const VOID: &str = "void";
    /// Out: the order was accepted.
    pub const PAYMENT: &str = "payment";
    /// Out: the money is there.
    pub const TRANSFER: &str = "transfer";
    /// Out: the transfer failed.
    pub const REFUND: &str = "refund";
    pub const ALL: &[&str] = &[AUTH, CAPTURE, VOID, PAYMENT, TRANSFER, REFUND];
}

/// What an event's `status` may say; often it is absent.
pub mod event_status {
    pub const SUCCESS: &str = "success";
    pub const PENDING_SETTLEMENT: &str = "pending_settlement";
    pub const DECLINED: &str = "declined";
    pub const ALL: &[&str] = &[SUCCESS, PENDING_SETTLEMENT, DECLINED];
}

/// What a transaction's `status` may say; of deposits it is absent.
pub mod status {
    pub const SUCCESS: &str = "success";
    pub const FAILED: &str = "failed";
    pub const ALL: &[&str] = &[SUCCESS, FAILED];
}

/// What a transaction's `flow_type` may say; of deposits it is absent.
pub mod flow {
    pub const CASH_IN: &str = "cashin";
    pub const CASH_OUT: &str = "cashout";
}

/// What `pix_key_type` may say.
pub mod key_type {
    /// CPF or CNPJ.
    pub const DOCUMENT: &str = "document";
    pub const EMAIL: &str = "email";
    /// Area code and nine digits, without `+55`.
    pub const PHONE: &str = "phone";
    pub const RANDOM: &str = "random";
}

/// What the `type` of a transaction's error may say. There are others.
pub mod error_type {
    pub const COMPLIANCE: &str = "ERROR_COMPLIANCE";
    pub const BANK_CASH_OUT: &str = "ERROR_BANK_CASH_OUT";
}

/// Fields that a 422 may name.
pub mod field {
    pub const BASE: &str = "base";
    pub const MERCHANT_TRANSACTION_ID: &str = "merchant_transaction_id";
    pub const AMOUNT: &str = "amount";
    pub const DOCUMENT_NUMBER: &str = "document_number";
    pub const PIX_KEY_TYPE: &str = "pix_key_type";
    pub const PIX_KEY_VALUE: &str = "pix_key_value";
}

/// An amount with the digits it was written with, whether as a number or as a text. Written as a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decimal(pub String);

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Decimal(raw.get().trim_matches('"').to_owned()))
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// An amount as a JSON number.
fn number<S: Serializer>(amount: &Decimal, serializer: S) -> Result<S::Ok, S::Error> {
    let raw = RawValue::from_string(amount.0.clone()).map_err(serde::ser::Error::custom)?;
    raw.serialize(serializer)
}

fn optional_number<S: Serializer>(amount: &Option<Decimal>, serializer: S) -> Result<S::Ok, S::Error> {
    match amount {
        Some(amount) => number(amount, serializer),
        None => serializer.serialize_none(),
    }
}

/// Body of a charge.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargeRequest {
    #[serde(serialize_with = "number")]
    pub amount: Decimal,
    pub merchant_transaction_id: String,
    pub first_name: String,
    pub last_name: String,
    pub email: String,
    pub document_number: String,
    /// Mandatory in one language of the documents and optional in the other.
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub player_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone_number: Option<String>,
}

/// Body of a payout.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayRequest {
    pub merchant_transaction_id: String,
    #[serde(serialize_with = "number")]
    pub amount: Decimal,
    pub pix_key_type: String,
    pub pix_key_value: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pix_message: Option<String>,
    pub first_name: String,
    pub last_name: String,
    pub document_number: String,
    pub email: String,
}

/// Body of a refund: names the deposit by one or more of its ids; without an amount the whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReimbursementRequest {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merchant_transaction_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e2e_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "optional_number")]
    pub amount: Option<Decimal>,
}

/// A transaction, in answers, searches and notices alike.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Transaction {
    pub id: String,
    pub merchant_id: Option<String>,
    pub user_id: Option<String>,
    pub processor_id: Option<String>,
    pub merchant_transaction_id: Option<String>,
    pub transaction_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub email: Option<String>,
    /// Masked: `****067****`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document_number: Option<String>,
    /// Of the scheme, in lower case and of any length.
    pub e2e_id: Option<String>,
    pub error: Option<TransactionError>,
    /// The newest first.
    pub events: Vec<Event>,
    pub statement: Option<Vec<Statement>>,
    pub checkout_url: Option<String>,
    pub created_at: Option<String>,
    pub updated_at: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Event {
    pub id: String,
    pub success: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    pub event_type: String,
    pub amount: Option<Decimal>,
    pub processor_transaction_id: Option<String>,
    /// The code to copy. In a test account an address that simulates the payment.
    pub qrcode: Option<String>,
    /// `data:image/png;base64,…`
    pub qrcode_image: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pix_key_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pix_key_value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pix_message: Option<String>,
    pub created_at: Option<String>,
    pub updated_at: Option<String>,
}

/// A bank movement. `acc_info` is the other party.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Statement {
    pub acc_info: Account,
    pub amount: Option<Decimal>,
    pub created_at: Option<String>,
    /// `2022-02-12 18:00:35`, UTC.
    pub date: Option<String>,
    pub e2e_id: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Account {
    pub acc_number: Option<String>,
    pub acc_type: Option<String>,
    pub bank_agency: Option<String>,
    pub bank_code: Option<String>,
    /// Masked: `***067***`.
    pub document: Option<String>,
    pub ispb: Option<String>,
    pub name: Option<String>,
}

/// Why a transaction came to nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TransactionError {
    pub code: Option<i64>,
    #[serde(rename = "type")]
    pub error_type: String,
    pub message: Option<String>,
    /// An object for compliance, an empty array for the bank.
    pub meta: Option<serde_json::Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TransactionReply {
    pub transaction: Transaction,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TransactionsReply {
    pub transactions: Vec<Transaction>,
    pub meta: Page,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    pub last_page: u32,
    pub current_page: u32,
    pub total: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    #[serde(serialize_with = "number")]
    pub amount: Decimal,
}

/// What is posted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    pub event: String,
    pub transaction: Transaction,
}

/// A refusal: `{"error": {"message": {"base": ["Not authenticated"]}, "status": 401}, "debug": []}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorReply {
    pub error: ErrorBody,
    #[serde(default)]
    pub debug: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// Texts by field, `base` for what concerns none.
    pub message: BTreeMap<String, Vec<String>>,
    pub status: u16,
}
