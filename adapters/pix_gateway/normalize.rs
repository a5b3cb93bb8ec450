//! What the gateway says, in the words of the port. Pure.

use serde::de::DeserializeOwned;

use super::contract::{
    Balance, Decimal, ErrorBody, ErrorReply, Event, Transaction, TransactionReply, TransactionsReply, error_type,
    event, event_status, field, flow, status,
};
use super::manifest::MANIFEST;
use crate::port::instruction::{Instruction, Kind, Payer};
use crate::port::money::{Currency, Money};
use crate::port::outcome::{Fault, FaultCause, Feed, Lookup, Outcome, Probe};
use crate::port::reason::Reason;
use crate::port::reference::{OurReference, References};
use crate::port::report::{Movement, NextAction, Report, ReportKind, Stage, Verdict};
use crate::port::time::{Duration, Timestamp};
use crate::port::wire::Reply;

/// The answer to an instruction.
pub fn outcome(instruction: &Instruction, reply: &Reply) -> Outcome {
    let kind = instruction.kind();
    if !(200..300).contains(&reply.status) {
        return refusal(instruction, reply);
    }
    let Some(TransactionReply { transaction: told }) = parsed(reply) else {
        return Outcome::Unknown(unreadable("a 2xx that is not a transaction"));
    };
    let (name, theirs) = match instruction {
        Instruction::Refund(refund) => (&refund.of.ours, refund.of.theirs.as_deref()),
        other => (other.reference(), None),
    };
    if told.merchant_transaction_id.as_ref() != Some(&name.0) || theirs.is_some_and(|theirs| theirs != told.id) {
        return Outcome::Unknown(unreadable("the answer is about another transaction"));
    }
    let mut reports = match reports(&told, Some(kind)) {
        Ok(reports) => reports,
        Err(why) => return Outcome::Unknown(unreadable(why)),
    };
    match instruction {
        // What the deposit's events say of refunds may be older than ours; that it was accepted is news of ours.
        Instruction::Refund(refund) => {
            let references = References {
                ours: Some(refund.reference.clone()),
                parent_ours: Some(refund.of.ours.clone()),
                parent_theirs: Some(told.id),
                ..References::default()
            };
            reports.push(Report::new(ReportKind::Of(Kind::Refund), Verdict::Pending(Stage::Sent), references));
        }
        // The gateway has no expiry: ours is shown.
        Instruction::Charge(charge) => {
            for next in reports.iter_mut().filter_map(|report| report.next.as_mut()) {
                if let NextAction::ShowCode { expires_at, .. } = next {
                    *expires_at = charge.expires_at;
                }
            }
        }
        Instruction::StoreMeans(_)
        | Instruction::Preauth(_)
        | Instruction::Capture(_)
        | Instruction::Release(_)
        | Instruction::Close(_)
        | Instruction::Payout(_) => {}
    }
    Outcome::Reported(reports)
}

/// The documented refusals, each of which says that nothing was done; anything else may be any page of any proxy.
fn refusal(instruction: &Instruction, reply: &Reply) -> Outcome {
    let (kind, ours) = (instruction.kind(), instruction.reference());
    let references = References { ours: Some(ours.clone()), ..References::default() };
    let declined = |reason, code: Option<String>, text: Option<String>| {
        let mut report = Report::new(ReportKind::Of(kind), Verdict::Declined(reason), references.clone());
        (report.psp_code, report.psp_text) = (code, text);
        Outcome::Reported(vec![report])
    };
    if let (422, Some(TransactionReply { transaction: Transaction { error: Some(error), .. } })) =
        (reply.status, parsed(reply))
    {
        return declined(reason(Some(&error.error_type)), Some(error.error_type), error.message);
    }
    let Some(error) = error(reply) else {
        return Outcome::Unknown(unreadable(&format!("status {} without a documented error", reply.status)));
    };
    let first = error.message.iter().next();
    let code = first.map(|(field, _)| field.clone());
    let text = first.and_then(|(_, texts)| texts.first().cloned());
    let names = |field: &str| error.message.contains_key(field);
    match (reply.status, kind) {
        (401, _) => Outcome::NotSent(not_accepted(401)),
        // No figure is documented, only the header that says that none is left.
        (429, _) if reply.header("x-ratelimit-remaining") == Some("0") => Outcome::NotSent(not_accepted(429)),
        (404, Kind::Refund) => declined(Reason::InvalidState, code, text),
        (422, Kind::Charge | Kind::Payout) if names(field::MERCHANT_TRANSACTION_ID) => {
            Outcome::Unknown(unreadable("this reference exists already"))
        }
        (422, _) if names(field::DOCUMENT_NUMBER) => declined(Reason::DocumentInvalid, code, text),
        (422, _) if names(field::PIX_KEY_VALUE) || names(field::PIX_KEY_TYPE) => {
            declined(Reason::DestinationInvalid, code, text)
        }
        (422, _) if names(field::AMOUNT) => declined(Reason::AmountInvalid, code, text),
        (422, Kind::Refund) if !names(field::BASE) => declined(Reason::InvalidState, code, text),
        // Compliance, the balance, or the bank: the text alone would tell which.
        (422, _) if names(field::BASE) => declined(Reason::Rejected, code, text),
        (422, _) => declined(Reason::DataInvalid, code, text),
        (status, _) => Outcome::Unknown(unreadable(&format!("status {status}"))),
    }
}

/// The answer to a question by the gateway's own id.
pub fn one(kind: Kind, theirs: Option<&str>, reply: &Reply) -> Lookup {
    match (reply.status, parsed::<TransactionReply>(reply)) {
        (200..300, Some(answer)) if Some(answer.transaction.id.as_str()) == theirs => {
            found(kind, &[&answer.transaction])
        }
        (200..300, Some(_)) => Lookup::Unknown(unreadable("the answer is about another transaction")),
        _ => Lookup::Unknown(no_answer(reply)),
    }
}

/// What a page of a prefix search says of the one reference that was meant.
pub enum Found {
    Answer(Lookup),
    NextPage,
}

pub fn called(kind: Kind, ours: &str, page: u32, reply: &Reply) -> Found {
    let (200..300, Some(answer)) = (reply.status, parsed::<TransactionsReply>(reply)) else {
        return Found::Answer(Lookup::Unknown(no_answer(reply)));
    };
    let same: Vec<&Transaction> =
        answer.transactions.iter().filter(|told| told.merchant_transaction_id.as_deref() == Some(ours)).collect();
    match (same.is_empty(), answer.meta.last_page > page) {
        (false, _) => Found::Answer(found(kind, &same)),
        (true, true) => Found::NextPage,
        (true, false) => Found::Answer(Lookup::Absent),
    }
}

fn found(kind: Kind, told: &[&Transaction]) -> Lookup {
    let mut all = Vec::new();
    for told in told {
        match reports(told, Some(kind)) {
            Ok(reports) => all.extend(reports),
            Err(why) => return Lookup::Unknown(unreadable(why)),
        }
    }
    // A deposit from which nothing went back has never heard of its refund.
    let of_kind = all.iter().any(|report| report.kind == ReportKind::Of(kind));
    if kind == Kind::Refund && !of_kind { Lookup::Absent } else { Lookup::Reported(all) }
}

pub fn balance(reply: &Reply) -> Result<Money, Fault> {
    match (reply.status, parsed::<Balance>(reply)) {
        (200..300, Some(Balance { amount })) => money(&amount).map_err(unreadable),
        _ => Err(no_answer(reply)),
    }
}

/// Settings are tried by asking for the balance.
pub fn probe(reply: &Reply) -> Probe {
    if reply.status == 401 && error(reply).is_some() {
        return Probe::Refused(Reason::AccountRefused, "the gateway does not know this token".to_owned());
    }
    match balance(reply) {
        Ok(_) => Probe::Valid(MANIFEST.capabilities.iter().map(|line| (line.kind, line.method)).collect()),
        Err(fault) => Probe::Unknown(fault),
    }
}

/// How far the listing was read: pages of what changed since a time, and the newest change seen in them.
pub struct Cursor {
    pub since: Timestamp,
    pub page: u32,
    newest: Timestamp,
}

/// How far back the first look goes, and every next round: a row that moves to another page while pages are read must
/// be met again.
const FIRST_LOOK_BACK: Duration = Duration::from_secs(24 * 60 * 60);
const LOOK_BACK: Duration = Duration::from_secs(5 * 60);

impl Cursor {
    /// An unreadable cursor begins anew.
    pub fn read(text: Option<&str>, now: Timestamp) -> Cursor {
        let read = |text: &str| {
            let mut parts = text.splitn(3, '/');
            let (since, page, newest) = (parts.next()?, parts.next()?, parts.next()?);
            let time = |text: &str| text.parse().ok().map(Timestamp);
            Some(Cursor { since: time(since)?, page: page.parse().ok()?, newest: time(newest)? })
        };
        let since = now.minus(FIRST_LOOK_BACK);
        text.and_then(read).unwrap_or(Cursor { since, page: 1, newest: since })
    }

    fn write(&self) -> String {
        format!("{}/{}/{}", self.since.0, self.page, self.newest.0)
    }
}

pub fn feed(cursor: Cursor, reply: &Reply) -> Feed {
    let (200..300, Some(answer)) = (reply.status, parsed::<TransactionsReply>(reply)) else {
        return Feed::Unknown(no_answer(reply));
    };
    let times = answer.transactions.iter().filter_map(|told| Timestamp::parse(told.updated_at.as_deref()?));
    let newest = times.max().unwrap_or(cursor.newest).max(cursor.newest);
    let next = match answer.meta.last_page > cursor.page {
        true => Cursor { since: cursor.since, page: cursor.page + 1, newest },
        false => Cursor { since: newest.minus(LOOK_BACK).max(cursor.since), page: 1, newest },
    };
    // One that cannot be read does not keep back the others; it is met again by its look-up.
    let reports = answer.transactions.iter().filter_map(|told| reports(told, None).ok()).flatten().collect();
    Feed::Page { reports, next_cursor: Some(next.write()) }
}

/// Everything a transaction's events say. `asked`: the kind that was asked for, where a call was answered. Errors say what
/// is not as documented.
pub fn reports(told: &Transaction, asked: Option<Kind>) -> Result<Vec<Report>, &'static str> {
    if told.id.is_empty() {
        return Err("a transaction without an id");
    }
    let kind = direction(told).or(if told.events.is_empty() { asked } else { None }).ok_or("neither in nor out")?;
    if asked.is_some_and(|asked| (asked == Kind::Payout) != (kind == Kind::Payout)) {
        return Err("a transaction of the other direction");
    }
    let mut reports = if kind == Kind::Payout { payout(told)? } else { charge(told)? };
    if let Some(word) = unknown_word(told) {
        let unknown = Report::new(ReportKind::Of(kind), Verdict::Unrecognised(word), references(told));
        // What has ended stays ended; what goes on may go where we do not know.
        reports.retain(|report| !matches!(report.verdict, Verdict::Pending(_)));
        reports.push(unknown);
    }
    Ok(reports)
}

/// Deposits say nowhere that they are some: their events do.
fn direction(told: &Transaction) -> Option<Kind> {
    let is = |words: &[&str]| told.events.iter().any(|event| words.contains(&event.event_type.as_str()));
    match told.flow_type.as_deref() {
        Some(flow::CASH_IN) => Some(Kind::Charge),
        Some(flow::CASH_OUT) => Some(Kind::Payout),
        Some(_) => None,
        None if is(&[event::AUTH, event::CAPTURE, event::VOID]) => Some(Kind::Charge),
        None if is(&[event::PAYMENT, event::TRANSFER, event::REFUND]) => Some(Kind::Payout),
        None => None,
    }
}

/// What an event came to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Came {
    Good,
    Bad,
    Waits,
    /// Its words contradict each other, or are new.
    Unclear,
}

fn came(event: &Event) -> Came {
    match (event.success, event.status.as_deref()) {
        (Some(true), None | Some(event_status::SUCCESS)) => Came::Good,
        (Some(true), Some(event_status::PENDING_SETTLEMENT)) => Came::Waits,
        (Some(false), None | Some(event_status::DECLINED)) => Came::Bad,
        (Some(_), Some(_)) | (None, _) => Came::Unclear,
    }
}

fn charge(told: &Transaction) -> Result<Vec<Report>, &'static str> {
    let with = |word, how| events(told, word, how).first().copied();
    if let Some(capture) = with(event::CAPTURE, Came::Good) {
        let mut reports = vec![report(told, Kind::Charge, Verdict::Succeeded, capture)?];
        for void in events(told, event::VOID, Came::Good) {
            let mut refund = report(told, Kind::Refund, Verdict::Succeeded, void)?;
            let References { ours, theirs, .. } = references(told);
            refund.references = References { parent_ours: ours, parent_theirs: theirs, ..References::default() };
            refund.party = None;
            reports.push(refund);
        }
        return Ok(reports);
    }
    if let Some(void) = with(event::VOID, Came::Good) {
        let mut cancelled = report(told, Kind::Charge, Verdict::Cancelled, void)?;
        // The customer, as the gateway has it, is who did not pay.
        cancelled.party = holder(told);
        cancelled.psp_code = Some(event::VOID.to_owned());
        cancelled.psp_text = Some("paid from another person's account, and sent back".to_owned());
        return Ok(vec![cancelled]);
    }
    let bad = with(event::AUTH, Came::Bad);
    if let Some(why) = failed(told, bad) {
        return Ok(vec![why?]);
    }
    let Some(auth) = with(event::AUTH, Came::Good).or(with(event::AUTH, Came::Waits)) else { return Ok(Vec::new()) };
    let mut waiting = report(told, Kind::Charge, Verdict::Pending(Stage::AwaitingPayer), auth)?;
    waiting.next = Some(match auth.qrcode.as_deref() {
        Some(code) if !code.is_empty() => NextAction::ShowCode { text: code.to_owned(), expires_at: None },
        Some(_) | None => NextAction::Wait,
    });
    // Nobody has paid yet.
    waiting.party = None;
    Ok(vec![waiting])
}

fn payout(told: &Transaction) -> Result<Vec<Report>, &'static str> {
    let with = |word, how| events(told, word, how).first().copied();
    if let Some(transfer) = with(event::TRANSFER, Came::Good) {
        let mut reports = vec![report(told, Kind::Payout, Verdict::Succeeded, transfer)?];
        for refund in events(told, event::REFUND, Came::Good) {
            let mut back = report(told, Kind::Payout, Verdict::Succeeded, refund)?;
            back.kind = ReportKind::Return;
            back.references.scheme = None;
            reports.push(explained(back, told));
        }
        return Ok(reports);
    }
    let bad = with(event::REFUND, Came::Good).or(with(event::PAYMENT, Came::Bad));
    if let Some(why) = failed(told, bad) {
        return Ok(vec![why?]);
    }
    let Some(payment) = with(event::PAYMENT, Came::Good).or(with(event::PAYMENT, Came::Waits)) else {
        return Ok(Vec::new());
    };
    let mut sent = report(told, Kind::Payout, Verdict::Pending(Stage::Sent), payment)?;
    sent.next = Some(NextAction::Wait);
    Ok(vec![sent])
}

/// A transaction that the gateway calls failed, or of which the event that must be good is not.
fn failed<'a>(told: &'a Transaction, event: Option<&'a Event>) -> Option<Result<Report, &'static str>> {
    let said = told.status.as_deref() == Some(status::FAILED);
    let event = event.or(if said { told.events.first() } else { None })?;
    let kind = direction(told)?;
    let reason = reason(told.error.as_ref().map(|error| error.error_type.as_str()));
    Some(report(told, kind, Verdict::Declined(reason), event).map(|mut report| {
        // Nothing has moved.
        (report.movement, report.party) = (None, None);
        explained(report, told)
    }))
}

/// The oldest first, in whatever order they stand.
fn events<'a>(told: &'a Transaction, word: &str, how: Came) -> Vec<&'a Event> {
    let mut found: Vec<&Event> =
        told.events.iter().filter(|event| event.event_type == word && came(event) == how).collect();
    found.sort_by_key(|event| (occurred_at(event), &event.id));
    found
}

fn occurred_at(event: &Event) -> Option<Timestamp> {
    event.created_at.as_deref().and_then(Timestamp::parse)
}

/// The first word that the documents do not have, or that is of no use where it stands.
fn unknown_word(told: &Transaction) -> Option<String> {
    let of_transaction = told.status.as_ref().filter(|word| !status::ALL.contains(&word.as_str()));
    let of_event = told.events.iter().find_map(|event| {
        let known = event::ALL.contains(&event.event_type.as_str());
        let half = came(event) == Came::Unclear
            || (event.event_type != event::AUTH && event.event_type != event::PAYMENT && came(event) == Came::Bad);
        let word = format!("{}/{}", event.event_type, event.status.as_deref().unwrap_or("-"));
        (!known || half).then_some(word)
    });
    let nothing = told.events.is_empty().then(|| "a transaction without events".to_owned());
    of_transaction.cloned().or(of_event).or(nothing.filter(|_| told.status.as_deref() != Some(status::FAILED)))
}

fn report(told: &Transaction, kind: Kind, verdict: Verdict, event: &Event) -> Result<Report, &'static str> {
    let moved = matches!(verdict, Verdict::Succeeded);
    let mut report = Report::new(ReportKind::Of(kind), verdict, references(told));
    report.amount = event.amount.as_ref().map(money).transpose()?;
    report.movement = (moved && !event.id.is_empty()).then(|| Movement(event.id.clone()));
    report.occurred_at = occurred_at(event);
    report.party = holder(told).or_else(|| Some(customer(told)));
    Ok(report)
}

fn explained(mut report: Report, told: &Transaction) -> Report {
    if let Some(error) = &told.error {
        report.psp_code = Some(error.error_type.clone());
        report.psp_text.clone_from(&error.message);
    }
    report
}

fn references(told: &Transaction) -> References {
    References {
        ours: told.merchant_transaction_id.clone().map(OurReference),
        theirs: Some(told.id.clone()),
        scheme: told.e2e_id.clone().filter(|id| !id.is_empty()),
        parent_ours: None,
        parent_theirs: None,
    }
}

/// The holder of the other account, where the bank's statement shows it.
fn holder(told: &Transaction) -> Option<Payer> {
    let holder = told.statement.iter().flatten().map(|row| &row.acc_info).find(|holder| holder.name.is_some())?;
    Some(Payer { name: holder.name.clone(), document: holder.document.clone(), ..Payer::default() })
}

/// The customer as the gateway has it, who it makes sure is the payer.
fn customer(told: &Transaction) -> Payer {
    let names = [&told.first_name, &told.last_name].into_iter().flatten().map(String::as_str).collect::<Vec<_>>();
    Payer {
        name: (!names.is_empty()).then(|| names.join(" ")),
        document: told.document_number.clone(),
        email: told.email.clone(),
        ..Payer::default()
    }
}

fn reason(error_type: Option<&str>) -> Reason {
    match error_type {
        Some(error_type::COMPLIANCE) => Reason::Compliance,
        Some(error_type::BANK_CASH_OUT) | None | Some(_) => Reason::Rejected,
    }
}

fn money(amount: &Decimal) -> Result<Money, &'static str> {
    Money::parse_major(&amount.0, Currency::BRL).map_err(|_| "an amount that is none")
}

fn parsed<T: DeserializeOwned>(reply: &Reply) -> Option<T> {
    serde_json::from_slice(&reply.body).ok()
}

/// A refusal in the documented form, of the status it came with.
fn error(reply: &Reply) -> Option<ErrorBody> {
    parsed::<ErrorReply>(reply).map(|answer| answer.error).filter(|error| error.status == reply.status)
}

fn no_answer(reply: &Reply) -> Fault {
    match reply.status {
        401 if error(reply).is_some() => not_accepted(401),
        status => unreadable(&format!("status {status} that is no documented answer")),
    }
}

pub fn unreadable(why: &str) -> Fault {
    Fault::unknown(FaultCause::AnswerUnreadable, why)
}

fn not_accepted(status: u16) -> Fault {
    Fault::not_sent(FaultCause::NotAccepted, format!("status {status}: nothing was done"))
}
