//! What Pientegra says, in the words of the port. Pure.

use serde::de::{DeserializeOwned, IgnoredAny};

use super::contract::{Created, ErrorReply, Item, LedgerEvent, Minor, Page, Subject, error, event, intent, withdrawal};
use super::manifest::MANIFEST;
use crate::port::instruction::Kind;
use crate::port::money::{Currency, Money};
use crate::port::outcome::{Fault, FaultCause, Lookup, Outcome, Probe, Read, Refusal};
use crate::port::reason::Reason;
use crate::port::reference::{OurReference, References};
use crate::port::report::{Movement, NextAction, Report, ReportKind, Stage, Verdict};
use crate::port::time::Timestamp;
use crate::port::wire::Reply;

/// Longest word of theirs that is taken for an error code.
const CODE_MAX: usize = 64;

/// The answer to an instruction of this kind and reference.
pub fn outcome(kind: Kind, ours: &OurReference, reply: &Reply) -> Outcome {
    match reply.status {
        200..=299 => match parsed::<Created>(reply).map(|told| created(kind, ours, told)) {
            Some(Ok(report)) => Outcome::Reported(vec![report]),
            Some(Err(why)) => Outcome::Unknown(unreadable(why)),
            None => Outcome::Unknown(unreadable("a success that is not an answer")),
        },
        status => match parsed::<ErrorReply>(reply) {
            Some(answer) => refusal(kind, ours, status, answer),
            None => Outcome::Unknown(unreadable(&format!("status {status} without an error code"))),
        },
    }
}

/// The answer says no more than that it was received; it repeats nothing that could be compared with what was asked.
fn created(kind: Kind, ours: &OurReference, told: Created) -> Result<Report, &'static str> {
    let (id, stage) = match kind {
        Kind::Charge => (told.intent_id, Stage::AwaitingPayer),
        _ => (told.withdrawal_id, Stage::CreatedThere),
    };
    let theirs = id.filter(|id| !id.is_empty()).ok_or("an answer without an id")?;
    let mut report = pending(kind, stage, ours);
    report.references.theirs = Some(theirs);
    report.references.scheme = told.reference_no;
    report.amount = money(told.amount.or(told.requested_amount), told.currency.as_deref())?;
    report.valid_until = told.expires_at.as_deref().and_then(Timestamp::parse);
    report.next = Some(match told.deposit_url {
        Some(url) if kind == Kind::Charge => NextAction::Redirect { url },
        Some(_) | None => NextAction::Wait,
    });
    Ok(report)
}

fn pending(kind: Kind, stage: Stage, ours: &OurReference) -> Report {
    let references = References { ours: Some(ours.clone()), ..References::default() };
    Report::new(ReportKind::Of(kind), Verdict::Pending(stage), references)
}

/// Each known error code is a reason, or says that nothing was done, or that the key exists. Refusals under names that
/// nobody has written down are told as words we do not know.
fn refusal(kind: Kind, ours: &OurReference, status: u16, answer: ErrorReply) -> Outcome {
    let code = answer.error.as_str();
    let verdict = match (status, code) {
        (401 | 403, error::UNAUTHORIZED) | (429, _) => return Outcome::NotSent(not_accepted(status)),
        (409, error::KEY_IN_FLIGHT | error::KEY_REUSED) => {
            return Outcome::Unknown(unreadable("the idempotency key exists already"));
        }
        (400..=499, error::AMOUNT_BELOW_MIN) => Verdict::Declined(Reason::AmountInvalid),
        (400..=499, error::AMOUNT_ABOVE_MAX) => Verdict::Declined(Reason::LimitExceeded),
        (400..=499, error::VALIDATION_FAILED | error::KEY_REQUIRED) => Verdict::Declined(Reason::DataInvalid),
        (400..=499, error::NO_AVAILABLE_ACCOUNT) => Verdict::Declined(Reason::ProviderError),
        // Asks to be tried again: it may be under way.
        (408 | 425, _) => return Outcome::Unknown(unreadable(&format!("status {status}"))),
        (400..=499, other) if is_code(other) => Verdict::Unrecognised(other.to_owned()),
        _ => return Outcome::Unknown(unreadable(&format!("status {status} with an error that is not documented"))),
    };
    let mut report = pending(kind, Stage::CreatedThere, ours);
    report.verdict = verdict;
    report.psp_text = answer.message.filter(|text| !text.is_empty());
    report.psp_code = Some(answer.error);
    Outcome::Reported(vec![report])
}

fn is_code(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    !text.is_empty() && text.len() <= CODE_MAX && text.bytes().all(plain)
}

/// What was seen to be wrong before anything was sent: a no of our own, and as good as theirs.
pub fn refused(kind: Kind, ours: &OurReference, refusal: Refusal) -> Outcome {
    let mut report = pending(kind, Stage::CreatedThere, ours);
    report.verdict = Verdict::Declined(refusal.reason);
    report.psp_text = Some(refusal.to_string());
    Outcome::Reported(vec![report])
}

pub fn lookup(kind: Kind, theirs: &str, reply: &Reply) -> Lookup {
    match reply.status {
        200 => match parsed::<Item>(reply) {
            Some(item) if id_of(&item) != Some(theirs) => {
                Lookup::Unknown(unreadable("the answer is about another transaction"))
            }
            Some(item) => match told(kind, &item, item.status.as_deref().unwrap_or_default(), None) {
                Ok(reports) => Lookup::Reported(reports),
                Err(why) => Lookup::Unknown(unreadable(why)),
            },
            None => Lookup::Unknown(unreadable("a 200 that is not a transaction")),
        },
        404 if says(reply, error::NOT_FOUND) => Lookup::Absent,
        _ => Lookup::Unknown(fault(reply)),
    }
}

/// The list of what was made since our reference was minted: empty, it proves that nothing of ours is there. Its entries
/// name nothing by which ours could be told from others.
pub fn anything(reply: &Reply) -> Lookup {
    match reply.status {
        200 => match parsed::<Page<IgnoredAny>>(reply) {
            Some(Page { data, next_cursor: None }) if data.is_empty() => Lookup::Absent,
            Some(_) => Lookup::CannotAsk,
            None => Lookup::Unknown(unreadable("a 200 that is not a list")),
        },
        _ => Lookup::Unknown(fault(reply)),
    }
}

pub fn probe(reply: &Reply) -> Probe {
    match reply.status {
        200 => match parsed::<Page<LedgerEvent>>(reply) {
            Some(_) => Probe::Valid(MANIFEST.capabilities.iter().map(|line| (line.kind, line.method)).collect()),
            None => Probe::Unknown(unreadable("a 200 that is not a list of events")),
        },
        401 | 403 if says(reply, error::UNAUTHORIZED) => {
            Probe::Refused(Reason::AccountRefused, "Pientegra does not accept this API key".to_owned())
        }
        _ => Probe::Unknown(fault(reply)),
    }
}

/// An event as it is posted, or as the ledger lists it. Each type announces one status.
pub fn event(event_type: &str, occurred_at: Option<&str>, subject: &Subject) -> Read {
    let (kind, status) = match event_type {
        event::INTENT_APPROVED => (Kind::Charge, intent::APPROVED),
        event::INTENT_REJECTED => (Kind::Charge, intent::REJECTED),
        event::INTENT_CREATED => (Kind::Charge, intent::RESERVED),
        event::INTENT_PENDING_REVIEW => (Kind::Charge, intent::PENDING_REVIEW),
        event::INTENT_AUTO_CANCELLED | event::INTENT_CANCELLED | event::INTENT_EXPIRED => {
            (Kind::Charge, intent::AUTO_CANCELLED)
        }
        event::INTENT_LATE_ARRIVAL => (Kind::Charge, intent::LATE_ARRIVAL),
        event::WITHDRAWAL_CREATED => (Kind::Payout, withdrawal::PENDING_REVIEW),
        event::WITHDRAWAL_APPROVED => (Kind::Payout, withdrawal::APPROVED),
        event::WITHDRAWAL_SENT => (Kind::Payout, withdrawal::SENT),
        event::WITHDRAWAL_REJECTED => (Kind::Payout, withdrawal::REJECTED),
        event::WITHDRAWAL_RETURNED => (Kind::Payout, withdrawal::RETURNED),
        other => return Read::Ignored(format!("a type of event that is not documented: {other}")),
    };
    let (item, words) = match kind {
        Kind::Charge => (&subject.intent, intent::ALL),
        _ => (&subject.withdrawal, withdrawal::ALL),
    };
    let Some(item) = item else {
        return Read::Unreadable(format!("an event without its transaction: {event_type}"));
    };
    // Money is not believed on one word while another denies it.
    if let Some(other) = item.status.as_deref().filter(|told| *told != status && words.contains(told)) {
        return Read::Unreadable(format!("{event_type} about a transaction that is {other}"));
    }
    match told(kind, item, status, occurred_at.and_then(Timestamp::parse)) {
        Ok(reports) => Read::Reports(reports),
        Err(why) => Read::Unreadable(why.to_owned()),
    }
}

/// A transaction in this status as reports. `event_at`: when what an event tells of happened.
pub fn told(kind: Kind, item: &Item, status: &str, event_at: Option<Timestamp>) -> Result<Vec<Report>, &'static str> {
    let id = id_of(item).ok_or("a transaction without an id")?;
    let (verdict, at) = match kind {
        Kind::Charge => charge(status, item),
        _ => payout(status, item),
    };
    let told_at = |text: &Option<String>| text.as_deref().and_then(Timestamp::parse);
    let references = References {
        theirs: Some(id.to_owned()),
        scheme: item.reference_no.clone().filter(|number| !number.is_empty()),
        ..References::default()
    };
    let family = if kind == Kind::Charge { "intent" } else { "withdrawal" };
    let mut report = Report::new(ReportKind::Of(kind), verdict, references);
    report.amount = money(item.amount, item.currency.as_deref())?;
    report.occurred_at = event_at.or_else(|| told_at(at));
    report.psp_code = Some(status.to_owned());
    report.psp_text = item.rejected_reason.clone().filter(|text| !text.is_empty());
    if report.verdict == Verdict::Succeeded {
        report.movement = Some(Movement(format!("{family}:{id}")));
    }
    if (kind, status) != (Kind::Payout, withdrawal::RETURNED) {
        return Ok(vec![report]);
    }
    // It came back, so it had been sent; when, an event does not say.
    let mut returned = report.clone();
    report.occurred_at = told_at(&item.sent_at);
    report.psp_code = Some(withdrawal::SENT.to_owned());
    returned.kind = ReportKind::Return;
    returned.occurred_at = event_at.or_else(|| told_at(&item.returned_at));
    returned.movement = Some(Movement(format!("{family}:{id}:returned")));
    returned.psp_text = item.returned_reason.clone().filter(|text| !text.is_empty());
    Ok(vec![report, returned])
}

/// The statuses of a deposit's intent, and when each came to be.
fn charge<'a>(status: &str, item: &'a Item) -> (Verdict, &'a Option<String>) {
    match status {
        intent::RESERVED => (Verdict::Pending(Stage::AwaitingPayer), &None),
        intent::PENDING_REVIEW => (Verdict::Pending(Stage::InReview), &None),
        intent::APPROVED => (Verdict::Succeeded, &item.approved_at),
        intent::REJECTED => (Verdict::Declined(Reason::Rejected), &item.rejected_at),
        intent::AUTO_CANCELLED => (Verdict::Expired, &None),
        // Money came after all, and a person there is looking at it.
        intent::LATE_ARRIVAL => (Verdict::Pending(Stage::InReview), &None),
        other => (Verdict::Unrecognised(other.to_owned()), &None),
    }
}

/// The statuses of a withdrawal. What is approved is still to be sent; what came back had been sent.
fn payout<'a>(status: &str, item: &'a Item) -> (Verdict, &'a Option<String>) {
    match status {
        withdrawal::PENDING_REVIEW => (Verdict::Pending(Stage::InReview), &None),
        withdrawal::APPROVED => (Verdict::Pending(Stage::Sent), &None),
        withdrawal::SENT => (Verdict::Succeeded, &item.sent_at),
        withdrawal::REJECTED => (Verdict::Declined(Reason::Rejected), &item.rejected_at),
        withdrawal::RETURNED => (Verdict::Succeeded, &item.sent_at),
        other => (Verdict::Unrecognised(other.to_owned()), &None),
    }
}

fn id_of(item: &Item) -> Option<&str> {
    let ids = [&item.id, &item.intent_id, &item.withdrawal_id];
    ids.into_iter().flatten().map(String::as_str).find(|id| !id.is_empty())
}

/// TRY is what is meant where no currency is told.
fn money(amount: Option<Minor>, currency: Option<&str>) -> Result<Option<Money>, &'static str> {
    let currency = currency.map_or(Some(Currency::TRY), Currency::parse).ok_or("a currency that is not one")?;
    Ok(amount.map(|Minor(minor)| Money::new(minor, currency)))
}

pub fn parsed<T: DeserializeOwned>(reply: &Reply) -> Option<T> {
    serde_json::from_slice(&reply.body).ok()
}

/// Whether a reply is this error.
pub fn says(reply: &Reply, code: &str) -> bool {
    parsed::<ErrorReply>(reply).is_some_and(|answer| answer.error == code)
}

pub fn unreadable(why: &str) -> Fault {
    Fault::unknown(FaultCause::AnswerUnreadable, why)
}

/// What is wrong with a reply to a question.
pub fn fault(reply: &Reply) -> Fault {
    match (reply.status, parsed::<ErrorReply>(reply)) {
        (401 | 403 | 429, Some(_)) => not_accepted(reply.status),
        (status, _) => unreadable(&format!("status {status}")),
    }
}

fn not_accepted(status: u16) -> Fault {
    Fault::not_sent(FaultCause::NotAccepted, format!("status {status}: nothing was done"))
}
