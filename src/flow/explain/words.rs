//! Each stored row in a sentence. Pure.

use rialto_adapters::port::{Kind, Money, Stage};

use crate::core::alert::Alert;
use crate::core::intent::{ClosedBy, IntentKind, IntentState};
use crate::core::step::Standing;
use crate::core::transaction::State;
use crate::store::deliveries::Attempt;
use crate::store::history::{BookedMovement, Fact, MovementKind, StoredExchange};
use crate::store::inbox::{NoticeLine, NoticeState, NoticeVerdict};
use crate::store::intents::Intent;

use super::story::Actor;

/// Longest piece of somebody else's text in a line.
const TEXT_MAX: usize = 120;

/// `insufficient_funds` as it is read.
pub fn spaced(word: &str) -> String {
    word.replace('_', " ")
}

pub fn cut(text: &str) -> String {
    let clean = text.replace(char::is_control, " ");
    if clean.chars().count() <= TEXT_MAX {
        return clean;
    }
    clean.chars().take(TEXT_MAX).chain(['…']).collect()
}

/// An address without what is long or private in it: no scheme, no query.
pub fn place(url: &str) -> String {
    let bare = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = bare.split(['?', '#']).next().unwrap_or_default();
    cut(path)
}

pub fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::StoreMeans => "sign-up",
        Kind::Preauth => "preauth",
        Kind::Capture => "capture",
        Kind::Release => "release",
        Kind::Charge => "charge",
        Kind::Payout => "payout",
        Kind::Refund => "refund",
    }
}

pub fn intent_state(state: IntentState) -> &'static str {
    match state {
        IntentState::Open => "open",
        IntentState::Done => "done",
        IntentState::Refused => "refused",
        IntentState::Closed(ClosedBy::Expired) => "expired",
        IntentState::Closed(ClosedBy::Cancelled) => "cancelled",
    }
}

/// What the caller wanted.
pub fn request(intent: &Intent) -> String {
    let amount = if intent.amount.minor == 0 { String::new() } else { format!(" of {}", intent.amount) };
    let method = spaced(intent.method.as_str());
    match intent.kind {
        IntentKind::Refund => format!("asks for a refund{amount}"),
        IntentKind::Payment if intent.parent_id.is_some() => format!("asks for a payment{amount} out of the preauth"),
        IntentKind::Preauth | IntentKind::Payment | IntentKind::Deposit | IntentKind::Withdrawal => {
            format!("asks for a {}{amount} by {method}", intent.kind.as_str())
        }
    }
}

/// A transaction that nobody asked for: the rest of a partial capture, late money that goes back.
pub fn started(of: Kind, amount: Money) -> String {
    format!("starts a {} of {amount} by itself", kind(of))
}

/// One call to the PSP: where, and what came back.
pub fn call(exchange: &StoredExchange) -> String {
    let first = exchange.request.lines().next().unwrap_or_default();
    let (method, url) = first.split_once(' ').unwrap_or((first, ""));
    let outcome = match (&exchange.reply, &exchange.fault) {
        (Some(reply), _) => reply.lines().next().unwrap_or_default().to_owned(),
        (None, Some(fault)) => match fault.split_once(": ") {
            Some((cause, text)) => format!("{} ({})", spaced(cause), cut(text)),
            None => cut(fault),
        },
        (None, None) => "no answer".to_owned(),
    };
    let what = match exchange.purpose.as_str() {
        "submit" => "sends it",
        "lookup" => "asks what became of it",
        other => return format!("{other}: {method} {} → {outcome}", place(url)),
    };
    format!("{what}: {method} {} → {outcome}", place(url))
}

/// One decision: who says it, and the sentence.
pub fn fact(fact: &Fact) -> (Actor, String) {
    let (actor, said) = learned(fact);
    let mut text = said;
    if let Some(told) = psp_said(fact.psp_code.as_deref(), fact.psp_text.as_deref()) {
        text.push_str(&format!(" [{told}]"));
    }
    if fact.state_before != fact.state_after {
        text.push_str(&format!(" ({} → {})", fact.state_before, fact.state_after));
    } else {
        text.push_str(standing(fact));
    }
    if let Some(alert) = &fact.alert {
        text.push_str(&format!(" – ALERT {alert}"));
    }
    (actor, text)
}

fn learned(fact: &Fact) -> (Actor, String) {
    let again = fact.state_after == "created";
    let ours = |text: &str| (Actor::Rialto, text.to_owned());
    match fact.learned.as_str() {
        "unknown" => ours("no usable answer: nobody knows whether it happened; it will be looked up, not sent again"),
        "not sent" if again => ours("it is proved that nothing was sent; tried again in a moment"),
        "not sent" => ours("it is proved that nothing was sent; given up"),
        "never sent" => ours("it was not sent in time, and will not be"),
        "intent closed" => ours("not sent: what it was for has been closed"),
        "absent" => ours("the PSP has never heard of it, asked late enough and twice: believed"),
        "not found" => ours("the PSP does not know it; that is not believed yet"),
        "cannot be asked" => ours("this PSP cannot be asked about it"),
        said => reported(fact, said),
    }
}

fn reported(fact: &Fact, said: &str) -> (Actor, String) {
    let amount = fact.amount.map(|amount| format!(", {amount}")).unwrap_or_default();
    let said = spaced(said);
    match fact.source.as_str() {
        "answer" => (Actor::FromPsp, format!("answers: {said}{amount}")),
        "lookup" => (Actor::FromPsp, format!("says, being asked: {said}{amount}")),
        "notice" => (Actor::FromPsp, format!("says in its notice: {said}{amount}")),
        "operator" => {
            let who = fact.operator.as_deref().map(cut).unwrap_or_else(|| "somebody".to_owned());
            (Actor::Person, format!("{said}{amount}, says {who}"))
        }
        _ => (Actor::Rialto, format!("{said}{amount}")),
    }
}

fn standing(fact: &Fact) -> &'static str {
    match Standing::parse(&fact.standing) {
        Some(Standing::Applied) | None => "",
        Some(Standing::Same) => match fact.learned.as_str() {
            "not found" | "cannot be asked" | "unknown" => "",
            _ => " – nothing new",
        },
        Some(Standing::Duplicate) => " – known already",
        Some(Standing::Ignored) => " – overtaken, ignored",
        Some(Standing::Conflict) => " – contradicts what is known, nothing changed",
    }
}

pub fn psp_said(code: Option<&str>, text: Option<&str>) -> Option<String> {
    let parts: Vec<String> = [code, text].into_iter().flatten().filter(|part| !part.is_empty()).map(cut).collect();
    (!parts.is_empty()).then(|| parts.join(": "))
}

/// A notice from the PSP as it came in.
pub fn notice(notice: &NoticeLine) -> String {
    let arrived = match notice.verdict {
        NoticeVerdict::Verified => "a notice arrives, its signature is right".to_owned(),
        NoticeVerdict::Nudge => "an unsigned notice arrives: not believed, a reason to ask".to_owned(),
        NoticeVerdict::Rejected => {
            format!("a notice arrives and is rejected: {}", notice.verdict_text.as_deref().unwrap_or("not genuine"))
        }
    };
    let then = match notice.state {
        // Read a second time, so there was nothing it belonged to at the first.
        NoticeState::Done if notice.attempts > 1 => "; parked until its transaction is known",
        NoticeState::Parked => "; parked, something in it is not known yet",
        NoticeState::Unmatched => "; something in it never became known",
        NoticeState::Waiting => "; not read to its end yet",
        NoticeState::Done | NoticeState::Ignored | NoticeState::Unreadable | NoticeState::Rejected => "",
    };
    arrived + then
}

pub fn movement(booked: &BookedMovement) -> String {
    let amount = booked.amount;
    let what = match booked.kind {
        MovementKind::Paid => format!("{amount} came in"),
        MovementKind::PaidOut => format!("{amount} went out"),
        MovementKind::Refunded => format!("{amount} went back to the payer"),
        MovementKind::ChargedBack => format!("{amount} was taken back by the payer's bank"),
        MovementKind::ChargebackReversed => format!("{amount} was given back by the payer's bank"),
        MovementKind::Returned => format!("{amount} came back undelivered"),
    };
    let fee = match booked.fee_minor {
        0 => String::new(),
        minor => format!(", fee {}", Money::new(minor, amount.currency)),
    };
    let reason = booked.reason.map(|reason| format!(", {}", spaced(reason.as_str()))).unwrap_or_default();
    format!("{what}{fee}{reason}")
}

/// One call of a receiver.
pub fn attempt(url: &str, attempt: &Attempt) -> String {
    let outcome = match (attempt.status, &attempt.fault) {
        (Some(status), _) => status.to_string(),
        (None, Some(fault)) => spaced(&cut(fault)),
        (None, None) => "no answer".to_owned(),
    };
    let number = if attempt.number > 1 { format!(" (attempt {})", attempt.number) } else { String::new() };
    format!("is told: POST {} → {outcome}{number}", place(url))
}

/// What a transaction is now.
pub fn state(of: Kind, state: State) -> String {
    let the = kind(of);
    match state {
        State::Created => format!("the {the} is not sent yet"),
        State::Submitted => format!("the {the} is on its way to the PSP"),
        State::Pending(stage) => format!("the {the} is with the PSP, {}", self::stage(stage)),
        State::Unknown => format!("nobody knows whether the {the} happened"),
        State::Authorised => "the money is reserved".to_owned(),
        State::Succeeded => format!("the {the} has succeeded"),
        State::Declined(reason) => format!("the {the} was declined: {}", spaced(reason.as_str())),
        State::Expired => format!("the {the} has expired"),
        State::Cancelled => format!("the {the} was cancelled"),
    }
}

fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::CreatedThere => "which has it",
        Stage::AwaitingPayer => "waiting for the payer",
        Stage::PayerSaysDone => "and the payer says it is done",
        Stage::InReview => "in review",
        Stage::Sent => "which has sent it on",
    }
}

/// What a person does about an alert.
pub fn advice(alert: &str) -> &'static str {
    match Alert::parse(alert) {
        Some(Alert::NewsOfUnsent) => {
            "check at the PSP who made it: another program with the same account, or a restored database"
        }
        Some(Alert::UnrecognisedWord) => {
            "ask the PSP what the word means and resolve it; then the adapter's status table needs the word"
        }
        Some(Alert::Conflict) => "ask the PSP which of the two is true; book by hand what differs, or resolve it",
        Some(Alert::AmountConflict) => "compare the amount at the PSP; resolve it with what really moved",
        Some(Alert::AmountDiffers) => "tell the merchant: it was booked as the payer paid it",
        Some(Alert::CurrencyDiffers) => "ask the PSP; nothing was booked",
        Some(Alert::LateMoney) => "the money has to go back by hand, or be booked by the merchant",
        Some(Alert::AbsentButKnown) => "check that the connection's account is still the one it was sent with",
        Some(Alert::NeedsPerson) => "look at the PSP whether it happened, and say so with `rialto resolve`",
        Some(Alert::GiveBackFailed) => "give the money back by hand: it is not the merchant's",
        Some(Alert::AccountRefused) => {
            "ask the PSP what is wrong with the account; mend it with `rialto connection set`, or let callers be told"
        }
        Some(Alert::OutsideExceeds) => "more went back than was there: claim it from the payer or the PSP",
        None => "see the log of that time",
    }
}
