//! Reports: the one normal form of whatever a PSP says – in an answer, a notice, a look-up or a statement.

use std::collections::BTreeMap;

use super::instruction::{Kind, Payer, StoredMeans};
use super::money::Money;
use super::reason::Reason;
use super::reference::References;
use super::time::Timestamp;

/// Display data of means of payment under the names merchants know: `CardType`, `Last4`, `Holder`, `MandateReference`.
/// Never a full card number.
pub type Bearer = BTreeMap<String, String>;

/// What a report is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReportKind {
    /// News of a transaction of this kind. A `Refund` without our reference was made at the PSP's own portal, unless an
    /// open refund of ours with that parent and amount waits for just this confirmation.
    Of(Kind),
    // The rest only ever arrive; there is no instruction for them. Their references name the transaction they concern.
    /// A payout or a refund that came back.
    Return,
    /// Money taken back by the payer's bank (also PIX's MED).
    Chargeback,
    ChargebackReversed,
    /// The PSP wants an answer by then, or it takes the money back.
    Dispute {
        respond_by: Option<Timestamp>,
    },
    /// Stored means can no longer be charged.
    MeansRevoked,
}

impl ReportKind {
    /// The stored and published name.
    pub fn as_str(self) -> &'static str {
        match self {
            ReportKind::Of(kind) => kind.as_str(),
            ReportKind::Return => "return",
            ReportKind::Chargeback => "chargeback",
            ReportKind::ChargebackReversed => "chargeback_reversed",
            ReportKind::Dispute { .. } => "dispute",
            ReportKind::MeansRevoked => "means_revoked",
        }
    }
}

/// How far a pending transaction has come. Stages move forward only, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    CreatedThere,
    AwaitingPayer,
    PayerSaysDone,
    InReview,
    Sent,
}

impl Stage {
    pub const ALL: &'static [Stage] =
        &[Stage::CreatedThere, Stage::AwaitingPayer, Stage::PayerSaysDone, Stage::InReview, Stage::Sent];

    pub fn as_str(self) -> &'static str {
        match self {
            Stage::CreatedThere => "created_there",
            Stage::AwaitingPayer => "awaiting_payer",
            Stage::PayerSaysDone => "payer_says_done",
            Stage::InReview => "in_review",
            Stage::Sent => "sent",
        }
    }

    pub fn parse(text: &str) -> Option<Stage> {
        Stage::ALL.iter().copied().find(|stage| stage.as_str() == text)
    }
}

/// What the PSP says has become of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    Pending(Stage),
    /// Money is reserved. The good end of a Preauth, and of nothing else.
    Authorised,
    /// The good end of every other kind.
    Succeeded,
    Declined(Reason),
    Expired,
    Cancelled,
    /// A word of theirs that we do not know. Never a decline, never a success.
    Unrecognised(String),
}

/// What is to happen next for the transaction to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextAction {
    /// Send the payer's browser there.
    Redirect { url: String },
    /// Show a code to scan and to copy (PIX BR Code).
    ShowCode { text: String, expires_at: Option<Timestamp> },
    /// Show bank details to transfer to: label and value, in the order to show them.
    ShowDetails { lines: Vec<(String, String)>, expires_at: Option<Timestamp> },
    /// Nothing to do but wait.
    Wait,
}

/// The PSP's own identity of one flow of money (PIX: `events[].id`), unique per connection: the same movement told five
/// times is booked once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Movement(pub String);

/// One piece of news. Built with [`Report::new`] and the fields that the PSP gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub references: References,
    pub kind: ReportKind,
    pub verdict: Verdict,
    /// What the PSP confirms, which need not be what we asked for.
    pub amount: Option<Money>,
    /// What the PSP or a bank charged for it.
    pub fee: Option<Money>,
    /// Why money was taken back, or means were revoked. A decline has its reason in the verdict.
    pub reason: Option<Reason>,
    pub movement: Option<Movement>,
    /// When it happened there, by the PSP's own clock.
    pub occurred_at: Option<Timestamp>,
    pub next: Option<NextAction>,
    /// Payer or payee as the PSP told, documents possibly masked.
    pub party: Option<Payer>,
    /// Means stored at the PSP in the course of this.
    pub means: Option<StoredMeans>,
    /// Until when a reservation holds.
    pub valid_until: Option<Timestamp>,
    pub psp_code: Option<String>,
    pub psp_text: Option<String>,
}

impl Report {
    pub fn new(kind: ReportKind, verdict: Verdict, references: References) -> Report {
        Report {
            references,
            kind,
            verdict,
            amount: None,
            fee: None,
            reason: None,
            movement: None,
            occurred_at: None,
            next: None,
            party: None,
            means: None,
            valid_until: None,
            psp_code: None,
            psp_text: None,
        }
    }
}
