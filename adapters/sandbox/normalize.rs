//! What the sandbox says, in the words of the port. Pure.

use serde::de::DeserializeOwned;

use super::contract::{
    AccountReply, ErrorReply, MeansStored, Transaction, TransactionReply, TransactionsReply, error, kind as kinds,
    reason as reasons, stage as stages, state as states,
};
use super::manifest::MANIFEST;
use crate::port::instruction::{Kind, StoredMeans};
use crate::port::money::{Currency, Money};
use crate::port::outcome::{Fault, FaultCause, Lookup, Outcome, Probe};
use crate::port::reason::Reason;
use crate::port::reference::{OurReference, References};
use crate::port::report::{Bearer, Movement, NextAction, Report, ReportKind, Stage, Verdict};
use crate::port::secret::Secret;
use crate::port::time::Timestamp;
use crate::port::wire::Reply;

/// The answer to an instruction of this kind and reference.
pub fn outcome(kind: Kind, ours: &OurReference, reply: &Reply) -> Outcome {
    match reply.status {
        200 => match parsed::<TransactionReply>(reply) {
            Some(answer) if answer.transaction.reference.as_ref() != Some(&ours.0) => {
                Outcome::Unknown(unreadable("the answer is about another reference"))
            }
            Some(answer) => match report(&answer.transaction) {
                Ok(report) => Outcome::Reported(vec![report]),
                Err(why) => Outcome::Unknown(unreadable(why)),
            },
            None => Outcome::Unknown(unreadable("a 200 that is not a transaction")),
        },
        status => refusal(kind, ours, status, parsed::<ErrorReply>(reply)),
    }
}

/// The documented errors, each of which says that nothing was done; anything else may be any page of any proxy.
fn refusal(kind: Kind, ours: &OurReference, status: u16, answer: Option<ErrorReply>) -> Outcome {
    let Some(answer) = answer else {
        return Outcome::Unknown(unreadable(&format!("status {status} without a documented error")));
    };
    let reason = match (status, answer.error.as_str()) {
        (401, error::UNAUTHORISED) => return Outcome::NotSent(account_refused()),
        (429, error::RATE_LIMITED) => return Outcome::NotSent(not_accepted(status)),
        (403, error::FORBIDDEN) => Reason::AccountRefused,
        (404, error::NOT_FOUND) => Reason::InvalidState,
        (422, error::INVALID_REQUEST) => Reason::DataInvalid,
        _ => return Outcome::Unknown(unreadable(&format!("status {status} with an error that is not documented"))),
    };
    let references = References { ours: Some(ours.clone()), ..References::default() };
    let mut report = Report::new(ReportKind::Of(kind), Verdict::Declined(reason), references);
    report.psp_code = Some(answer.error);
    report.psp_text = Some(answer.message).filter(|text| !text.is_empty());
    Outcome::Reported(vec![report])
}

pub fn lookup(reply: &Reply) -> Lookup {
    let told = |answer: ErrorReply, word: &str| answer.error == word;
    match reply.status {
        200 => match parsed::<TransactionsReply>(reply) {
            Some(answer) if !answer.transactions.is_empty() => {
                let reports: Result<Vec<Report>, &str> = answer.transactions.iter().map(report).collect();
                match reports {
                    Ok(reports) => Lookup::Reported(reports),
                    Err(why) => Lookup::Unknown(unreadable(why)),
                }
            }
            Some(_) => Lookup::Unknown(unreadable("an empty list where 404 is documented")),
            None => Lookup::Unknown(unreadable("a 200 that is not a list of transactions")),
        },
        404 if parsed(reply).is_some_and(|answer| told(answer, error::NOT_FOUND)) => Lookup::Absent,
        401 if parsed(reply).is_some_and(|answer| told(answer, error::UNAUTHORISED)) => {
            Lookup::Unknown(account_refused())
        }
        429 if parsed(reply).is_some_and(|answer| told(answer, error::RATE_LIMITED)) => {
            Lookup::Unknown(not_accepted(429))
        }
        status => Lookup::Unknown(unreadable(&format!("status {status}"))),
    }
}

pub fn probe(reply: &Reply) -> Probe {
    match reply.status {
        200 => match parsed::<AccountReply>(reply) {
            Some(account) => Probe::Valid(
                MANIFEST
                    .capabilities
                    .iter()
                    .filter(|line| account.methods.iter().any(|name| name == line.method.as_str()))
                    .map(|line| (line.kind, line.method))
                    .collect(),
            ),
            None => Probe::Unknown(unreadable("a 200 that is not an account")),
        },
        401 if parsed::<ErrorReply>(reply).is_some_and(|answer| answer.error == error::UNAUTHORISED) => {
            Probe::Refused(Reason::AccountRefused, "the sandbox does not know this API key".to_owned())
        }
        status => Probe::Unknown(unreadable(&format!("status {status}"))),
    }
}

/// One transaction as a report. Errors say what is not as documented.
pub fn report(told: &Transaction) -> Result<Report, &'static str> {
    let currency = Currency::parse(&told.currency).ok_or("a currency that is not one")?;
    let kind = kind(&told.kind).ok_or("a kind of transaction that is not documented")?;
    let mut report = Report::new(kind, verdict(told), references(kind, told));
    report.amount = Some(Money::new(told.amount, currency));
    report.fee = told.fee.map(|minor| Money::new(minor, currency));
    report.reason = match kind {
        ReportKind::Chargeback | ReportKind::MeansRevoked => told.reason.as_deref().map(|word| reason(Some(word))),
        ReportKind::Of(_) | ReportKind::Return | ReportKind::ChargebackReversed | ReportKind::Dispute { .. } => None,
    };
    report.movement = told.movement_id.clone().map(Movement);
    report.occurred_at = Some(Timestamp(told.occurred_at));
    report.valid_until = told.valid_until.map(Timestamp);
    report.means = told.means.as_ref().map(means);
    report.psp_code.clone_from(&told.reason);
    report.psp_text.clone_from(&told.message);
    if matches!(report.verdict, Verdict::Pending(_)) {
        report.next = Some(match &told.redirect_url {
            Some(url) => NextAction::Redirect { url: url.clone() },
            None => NextAction::Wait,
        });
    }
    Ok(report)
}

fn kind(word: &str) -> Option<ReportKind> {
    Some(match word {
        kinds::PREAUTH => ReportKind::Of(Kind::Preauth),
        kinds::CHARGE => ReportKind::Of(Kind::Charge),
        kinds::MEANS => ReportKind::Of(Kind::StoreMeans),
        kinds::CAPTURE => ReportKind::Of(Kind::Capture),
        kinds::RELEASE => ReportKind::Of(Kind::Release),
        kinds::REFUND => ReportKind::Of(Kind::Refund),
        kinds::CHARGEBACK => ReportKind::Chargeback,
        kinds::CHARGEBACK_REVERSED => ReportKind::ChargebackReversed,
        kinds::MEANS_REVOKED => ReportKind::MeansRevoked,
        _ => return None,
    })
}

/// A chargeback and its like are no transactions of ours: their references name the one they concern.
fn references(kind: ReportKind, told: &Transaction) -> References {
    let ours = |reference: &Option<String>| reference.clone().map(OurReference);
    match kind {
        ReportKind::Of(_) => References {
            ours: ours(&told.reference),
            theirs: Some(told.id.clone()),
            scheme: None,
            parent_ours: ours(&told.parent_reference),
            parent_theirs: told.parent_id.clone(),
        },
        ReportKind::Return
        | ReportKind::Chargeback
        | ReportKind::ChargebackReversed
        | ReportKind::Dispute { .. }
        | ReportKind::MeansRevoked => References {
            ours: ours(&told.parent_reference),
            theirs: told.parent_id.clone(),
            scheme: None,
            parent_ours: None,
            parent_theirs: None,
        },
    }
}

fn verdict(told: &Transaction) -> Verdict {
    match told.state.as_str() {
        states::PENDING => match told.stage.as_deref() {
            None | Some(stages::CREATED) => Verdict::Pending(Stage::CreatedThere),
            Some(stages::AWAITING_PAYER) => Verdict::Pending(Stage::AwaitingPayer),
            Some(stages::SENT) => Verdict::Pending(Stage::Sent),
            Some(other) => Verdict::Unrecognised(format!("pending/{other}")),
        },
        states::AUTHORISED => Verdict::Authorised,
        states::SUCCEEDED => Verdict::Succeeded,
        states::DECLINED => Verdict::Declined(reason(told.reason.as_deref())),
        states::EXPIRED => Verdict::Expired,
        states::CANCELLED => Verdict::Cancelled,
        other => Verdict::Unrecognised(other.to_owned()),
    }
}

/// Why it was declined. A reason that is not documented does not make the decline less of one.
fn reason(word: Option<&str>) -> Reason {
    match word {
        Some(reasons::INSUFFICIENT_BALANCE) => Reason::InsufficientFunds,
        Some(reasons::BEARER_INVALID) => Reason::MeansInvalid,
        Some(reasons::IBAN_INVALID) => Reason::IbanInvalid,
        Some(reasons::ABORTED_BY_PAYER) => Reason::CancelledByPayer,
        Some(reasons::AMOUNT_EXCEEDED) => Reason::AmountInvalid,
        Some(reasons::PARENT_STATE) => Reason::InvalidState,
        Some(reasons::REJECTED) | None | Some(_) => Reason::Rejected,
    }
}

fn means(told: &MeansStored) -> StoredMeans {
    let shown = [
        ("CardType", &told.card_type),
        ("Holder", &told.holder),
        ("Last4", &told.last4),
        ("MaskedCardPan", &told.masked_card_pan),
        ("ExpiryMonth", &told.expiry_month),
        ("ExpiryYear", &told.expiry_year),
        ("Country", &told.country),
        ("IBAN", &told.masked_iban),
        ("MandateReference", &told.mandate_reference),
        ("MandateSignatureDate", &told.mandate_signature_date),
        ("CreditorId", &told.creditor_id),
    ];
    let shown: Bearer = shown.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?))).collect();
    StoredMeans { token: Secret::new(told.token.clone()), shown }
}

fn parsed<T: DeserializeOwned>(reply: &Reply) -> Option<T> {
    serde_json::from_slice(&reply.body).ok()
}

fn unreadable(why: &str) -> Fault {
    Fault::unknown(FaultCause::AnswerUnreadable, why)
}

/// 401 and 429 are documented as "nothing was done".
fn account_refused() -> Fault {
    Fault::not_sent(FaultCause::AccountRefused, "status 401: nothing was done")
}

fn not_accepted(status: u16) -> Fault {
    Fault::not_sent(FaultCause::NotAccepted, format!("status {status}: nothing was done"))
}
