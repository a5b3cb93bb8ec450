//! What a call to a PSP told us. Not knowing is a value, not an error.

use std::fmt;

use super::instruction::Kind;
use super::manifest::MethodName;
use super::money::Money;
use super::reason::Reason;
use super::report::Report;

/// Whether a byte of the request may have reached the PSP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Proved: nothing left.
    No,
    /// Anything else, and whenever in doubt.
    Maybe,
}

/// What went wrong on the way, for people and for metrics; decisions are made by [`Sent`] alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultCause {
    /// The address guard does not allow this destination.
    AddressDenied,
    NameNotFound,
    ConnectionRefused,
    ConnectTimeout,
    TlsRefused,
    /// The time to send had passed, or the request could not be built.
    NotAttempted,
    /// The PSP's documented "not accepted, nothing done" answer, such as 429.
    NotAccepted,
    /// The same, because it does not accept the credentials of our account: its documented 401.
    AccountRefused,
    ConnectionLost,
    AnswerTimeout,
    /// The reply broke off, or is larger than we read.
    AnswerCut,
    /// A complete reply that is not what the PSP documents: HTML, an empty 200, a 5xx.
    AnswerUnreadable,
}

impl FaultCause {
    pub fn as_str(self) -> &'static str {
        match self {
            FaultCause::AddressDenied => "address_denied",
            FaultCause::NameNotFound => "name_not_found",
            FaultCause::ConnectionRefused => "connection_refused",
            FaultCause::ConnectTimeout => "connect_timeout",
            FaultCause::TlsRefused => "tls_refused",
            FaultCause::NotAttempted => "not_attempted",
            FaultCause::NotAccepted => "not_accepted",
            FaultCause::AccountRefused => "account_refused",
            FaultCause::ConnectionLost => "connection_lost",
            FaultCause::AnswerTimeout => "answer_timeout",
            FaultCause::AnswerCut => "answer_cut",
            FaultCause::AnswerUnreadable => "answer_unreadable",
        }
    }
}

/// A call that brought no usable answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub sent: Sent,
    pub cause: FaultCause,
    /// For the log and the transcript: no secret, no body.
    pub text: String,
}

impl Fault {
    pub fn not_sent(cause: FaultCause, text: impl Into<String>) -> Fault {
        Fault { sent: Sent::No, cause, text: text.into() }
    }

    pub fn unknown(cause: FaultCause, text: impl Into<String>) -> Fault {
        Fault { sent: Sent::Maybe, cause, text: text.into() }
    }
}

impl Fault {
    /// A complete reply that is not what the PSP documents.
    pub fn unreadable(why: impl Into<String>) -> Fault {
        Fault::unknown(FaultCause::AnswerUnreadable, why)
    }

    /// The PSP's documented "not accepted, nothing done".
    pub fn not_accepted(status: u16) -> Fault {
        Fault::not_sent(FaultCause::NotAccepted, format!("status {status}: nothing was done"))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.cause.as_str(), self.text)
    }
}

/// What `submit` learned. Not a `Result`: none of the three is an error of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The PSP said something we could read. May be several reports (a capture and its payment), never none.
    Reported(Vec<Report>),
    /// Proved that nothing was sent, or the PSP's documented answer that it did nothing.
    NotSent(Fault),
    /// It may or may not have happened.
    Unknown(Fault),
}

impl From<Fault> for Outcome {
    fn from(fault: Fault) -> Outcome {
        match fault.sent {
            Sent::No => Outcome::NotSent(fault),
            Sent::Maybe => Outcome::Unknown(fault),
        }
    }
}

/// Why an instruction must not be sent: something in it is wrong, and no PSP need be asked to know that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which part: `amount`, `currency`, `destination`, `name`, `email`, `phone` or `document`.
    pub field: &'static str,
    pub reason: Reason,
    /// What is wrong with it, for whoever sent it: a fragment in lower case that does not repeat the value.
    pub text: String,
}

impl Refusal {
    pub fn new(field: &'static str, reason: Reason, text: impl Into<String>) -> Refusal {
        Refusal { field, reason, text: text.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.text)
    }
}

/// What `lookup` learned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    Reported(Vec<Report>),
    /// The PSP says, by the manifest's lookup rule, that it has never heard of it.
    Absent,
    /// The references at hand are not ones this PSP can be asked by.
    CannotAsk,
    Unknown(Fault),
}

/// What trying out settings learned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Accepted, for these methods.
    Valid(Vec<(Kind, MethodName)>),
    Refused(Reason, String),
    Unknown(Fault),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BalanceAnswer {
    Known(Money),
    Unsupported,
    Unknown(Fault),
}

/// A page of the PSP's own event ledger or statement. `next_cursor` is kept and given to the next call; without one the
/// cursor before is. A page with reports is followed by the next at once, an empty one with the next sweep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Feed {
    Page { reports: Vec<Report>, next_cursor: Option<String> },
    Unsupported,
    Unknown(Fault),
}

/// What reading a verified notice gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    Reports(Vec<Report>),
    /// Understood, and of no concern to any transaction (a ping).
    Ignored(String),
    /// Authentic but not what the PSP documents. Kept, and listed for a person.
    Unreadable(String),
}
