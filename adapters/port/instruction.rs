//! What we ask a PSP to do. Each instruction is a struct with exactly its fields.

use std::collections::BTreeMap;

use super::manifest::MethodName;
use super::money::{Currency, Money};
use super::reference::OurReference;
use super::report::Bearer;
use super::secret::Secret;
use super::time::Timestamp;

/// The kinds of transaction. `Close` is not among them: it is an attempt on its Charge or Preauth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Keep means of payment for later; no money moves.
    StoreMeans,
    /// Reserve money.
    Preauth,
    /// Take reserved money. Its parent is a Preauth.
    Capture,
    /// Give reserved money free again. Its parent is a Preauth.
    Release,
    /// Take money.
    Charge,
    /// Send money out.
    Payout,
    /// Give taken money back. Its parent is a Charge or a Capture.
    Refund,
}

impl Kind {
    pub const ALL: &'static [Kind] =
        &[Kind::StoreMeans, Kind::Preauth, Kind::Capture, Kind::Release, Kind::Charge, Kind::Payout, Kind::Refund];

    /// The stored and published name.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::StoreMeans => "store_means",
            Kind::Preauth => "preauth",
            Kind::Capture => "capture",
            Kind::Release => "release",
            Kind::Charge => "charge",
            Kind::Payout => "payout",
            Kind::Refund => "refund",
        }
    }

    pub fn parse(text: &str) -> Option<Kind> {
        Kind::ALL.iter().copied().find(|kind| kind.as_str() == text)
    }
}

/// Who pays or is paid, as far as the caller told. An adapter asks for what it needs in `manifest().payer_fields`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payer {
    /// The caller's own number of this customer.
    pub customer: Option<String>,
    pub name: Option<String>,
    pub email: Option<String>,
    pub phone: Option<String>,
    /// National document (CPF, CNPJ, …), digits and letters only.
    pub document: Option<String>,
    /// ISO 3166 alpha-2.
    pub country: Option<String>,
    /// ISO 639-1.
    pub language: Option<String>,
}

/// What the money is taken from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Means {
    /// The payer gives the data on a page (of the PSP, or of ours).
    AskPayer,
    /// Account data that the caller brought: `Holder`, `IBAN`, … in the caller's spelling.
    Given(BTreeMap<String, String>),
    /// The PSP's token for means stored earlier.
    Stored(Secret),
}

/// The transaction another one acts on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    pub ours: OurReference,
    pub theirs: Option<String>,
    /// What was authorised or taken there.
    pub amount: Money,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreMeans {
    pub reference: OurReference,
    pub method: MethodName,
    pub currency: Currency,
    /// What the caller means to take, where it said. Nothing of it moves or is reserved.
    pub expected: Option<Money>,
    pub means: Means,
    pub payer: Payer,
    /// Where the payer's browser comes back to.
    pub return_url: String,
    pub description: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preauth {
    pub reference: OurReference,
    pub method: MethodName,
    pub amount: Money,
    pub means: Means,
    pub payer: Payer,
    pub return_url: String,
    pub description: String,
    /// Keep the means for later charges.
    pub store_means: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    pub reference: OurReference,
    pub of: Parent,
    pub amount: Money,
    pub description: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    pub reference: OurReference,
    pub of: Parent,
    pub amount: Money,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    pub reference: OurReference,
    pub method: MethodName,
    pub amount: Money,
    pub means: Means,
    pub payer: Payer,
    pub return_url: String,
    pub description: String,
    /// After this the payer can no longer pay, where the PSP takes an expiry.
    pub expires_at: Option<Timestamp>,
}

/// End an unpaid Charge or an unfinished Preauth. Answers with reports about that transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    pub of: OurReference,
    pub theirs: Option<String>,
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payout {
    pub reference: OurReference,
    pub method: MethodName,
    pub amount: Money,
    /// Where to: a PIX key, an IBAN, …, as the manifest's destinations name them.
    pub destination: Destination,
    pub payee: Payer,
    pub description: String,
}

/// Where a payout goes: its kind (`"iban"`, `"pix_key"`) and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    pub kind: String,
    pub value: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    pub reference: OurReference,
    pub of: Parent,
    pub amount: Money,
    pub description: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Instruction {
    StoreMeans(StoreMeans),
    Preauth(Preauth),
    Capture(Capture),
    Release(Release),
    Charge(Charge),
    Close(Close),
    Payout(Payout),
    Refund(Refund),
}

impl Instruction {
    /// The kind of the transaction it creates or, for `Close`, of the one it ends.
    pub fn kind(&self) -> Kind {
        match self {
            Instruction::StoreMeans(_) => Kind::StoreMeans,
            Instruction::Preauth(_) => Kind::Preauth,
            Instruction::Capture(_) => Kind::Capture,
            Instruction::Release(_) => Kind::Release,
            Instruction::Charge(_) => Kind::Charge,
            Instruction::Close(close) => close.kind,
            Instruction::Payout(_) => Kind::Payout,
            Instruction::Refund(_) => Kind::Refund,
        }
    }

    /// Our reference that the PSP is to know it by.
    pub fn reference(&self) -> &OurReference {
        match self {
            Instruction::StoreMeans(i) => &i.reference,
            Instruction::Preauth(i) => &i.reference,
            Instruction::Capture(i) => &i.reference,
            Instruction::Release(i) => &i.reference,
            Instruction::Charge(i) => &i.reference,
            Instruction::Close(i) => &i.of,
            Instruction::Payout(i) => &i.reference,
            Instruction::Refund(i) => &i.reference,
        }
    }

    /// The money it moves; `None` where none moves.
    pub fn amount(&self) -> Option<Money> {
        match self {
            Instruction::Preauth(i) => Some(i.amount),
            Instruction::Capture(i) => Some(i.amount),
            Instruction::Release(i) => Some(i.amount),
            Instruction::Charge(i) => Some(i.amount),
            Instruction::Payout(i) => Some(i.amount),
            Instruction::Refund(i) => Some(i.amount),
            Instruction::StoreMeans(_) | Instruction::Close(_) => None,
        }
    }
}

/// Display data of stored means that may be shown to the merchant, with the PSP's token beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMeans {
    pub token: Secret,
    pub shown: Bearer,
}
