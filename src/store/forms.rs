//! What is stored as JSON inside a column: forms of their own, mapped by hand, so that an old row is read by a new binary.
//! A field may be added with a default; none is renamed or removed.

use std::collections::BTreeMap;

use rialto_adapters::port::instruction::Destination;
use rialto_adapters::port::manifest::PayerField;
use rialto_adapters::port::{NextAction, Payer, Timestamp};
use serde::{Deserialize, Serialize};

/// What a caller told of an intent that only the PSP and the payer's page need. Sealed: it names people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Details {
    /// The unguessable part of the payer page's address.
    pub page_token: Option<String>,
    pub description: String,
    pub success_url: Option<String>,
    pub error_url: Option<String>,
    pub abort_url: Option<String>,
    /// Account data the caller brought (`Holder`, `IBAN`).
    pub given: BTreeMap<String, String>,
    /// Charge the means stored under the agreement.
    pub use_stored_means: bool,
    /// Where a payout goes: `iban`, `pix_key`, …, and its value.
    pub destination_kind: Option<String>,
    pub destination: Option<String>,
    /// The PSP's token of means that exist there already and are to be taken over.
    pub migration_token: Option<String>,
    /// Not to be sent earlier, in UTC milliseconds.
    pub not_before: Option<i64>,
    /// The day on which a debit is executed, as the payer is told: its start in UTC milliseconds.
    pub due_at: Option<i64>,
    pub customer: Option<String>,
    pub name: Option<String>,
    pub email: Option<String>,
    pub phone: Option<String>,
    /// National document (CPF, CNPJ, …), digits and letters only.
    pub document: Option<String>,
    pub country: Option<String>,
    pub language: Option<String>,
}

impl Details {
    /// Where a payout goes.
    pub fn destination(&self) -> Option<Destination> {
        let (kind, value) = self.destination_kind.clone().zip(self.destination.clone())?;
        Some(Destination { kind, value })
    }

    /// What of the payer a PSP needs and nobody has told yet.
    pub fn missing(&self, needed: &[PayerField]) -> Vec<PayerField> {
        let told = |field: &PayerField| match field {
            PayerField::Name => &self.name,
            PayerField::Email => &self.email,
            PayerField::Phone => &self.phone,
            PayerField::Document => &self.document,
        };
        needed.iter().copied().filter(|field| told(field).is_none()).collect()
    }

    pub fn payer(&self) -> Payer {
        Payer {
            customer: self.customer.clone(),
            name: self.name.clone(),
            email: self.email.clone(),
            phone: self.phone.clone(),
            document: self.document.clone(),
            country: self.country.clone(),
            language: self.language.clone(),
        }
    }
}

/// How the names and enums of a body are spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spelling {
    pub case: NameCase,
    pub enums: EnumStyle,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NameCase {
    /// `errorCode`.
    Camel,
    /// `ErrorCode`.
    Pascal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnumStyle {
    Name,
    Number,
}

/// How what goes to the holder of a key is spelled; `None` is the contract's own way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeyStyle {
    /// Bodies of successes.
    pub answers: Option<Spelling>,
    pub errors: Option<Spelling>,
    /// Notices of what was made with the key.
    pub notices: Option<Spelling>,
}

/// What may be set of a tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TenantSettings {
    /// Hosts that may be named as `webhookTarget`, as [`Guard::check_url`](crate::wire::Guard::check_url) takes them:
    /// empty allows every public one.
    pub webhook_hosts: Vec<String>,
}

/// [`NextAction`] as it is stored.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::store) enum NextForm {
    Redirect { url: String },
    ShowCode { text: String, expires_at: Option<i64> },
    ShowDetails { lines: Vec<(String, String)>, expires_at: Option<i64> },
    Wait {},
}

impl From<&NextAction> for NextForm {
    fn from(next: &NextAction) -> NextForm {
        match next.clone() {
            NextAction::Redirect { url } => NextForm::Redirect { url },
            NextAction::ShowCode { text, expires_at } => {
                NextForm::ShowCode { text, expires_at: expires_at.map(|at| at.0) }
            }
            NextAction::ShowDetails { lines, expires_at } => {
                NextForm::ShowDetails { lines, expires_at: expires_at.map(|at| at.0) }
            }
            NextAction::Wait => NextForm::Wait {},
        }
    }
}

impl From<NextForm> for NextAction {
    fn from(form: NextForm) -> NextAction {
        match form {
            NextForm::Redirect { url } => NextAction::Redirect { url },
            NextForm::ShowCode { text, expires_at } => {
                NextAction::ShowCode { text, expires_at: expires_at.map(Timestamp) }
            }
            NextForm::ShowDetails { lines, expires_at } => {
                NextAction::ShowDetails { lines, expires_at: expires_at.map(Timestamp) }
            }
            NextForm::Wait {} => NextAction::Wait,
        }
    }
}

/// A notice's headers and body, sealed together.
#[derive(Serialize, Deserialize)]
pub(in crate::store) struct NoticeForm {
    pub headers: Vec<(String, String)>,
    /// Base64: a body need not be text.
    pub body: String,
}
