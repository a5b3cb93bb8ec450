//! Where it stands now: what is known of each transaction, who waits for whom, what happens next and when, and what a
//! person must do. Pure.

use rialto_adapters::port::{Kind, Money, Stage, Timestamp};
use uuid::Uuid;

use super::story::{Member, Strand};
use super::words;
use crate::core::alert::Alert;
use crate::core::intent::IntentState;
use crate::core::transaction::State;
use crate::store::deliveries::{Delivery, DeliveryState};
use crate::store::find::AlertLine;
use crate::store::inbox::{NoticeLine, NoticeState};
use crate::store::transactions::Transaction;

/// The money of one transaction, in minor units of its currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    pub asked: Money,
    pub confirmed: Option<Money>,
    pub captured: i64,
    pub being_captured: i64,
    pub released: i64,
    pub being_released: i64,
    pub refunded: i64,
    pub being_refunded: i64,
    pub charged_back: i64,
    /// What may still be captured of a preauth, or refunded of a charge or capture.
    pub left: Option<i64>,
}

/// One transaction as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    pub id: Uuid,
    pub kind: &'static str,
    pub state: &'static str,
    pub stage: Option<&'static str>,
    pub reason: Option<&'static str>,
    pub ours: String,
    pub theirs: Option<String>,
    pub scheme: Option<String>,
    pub attempts: i32,
    pub lookups: i32,
    pub settings_version: i32,
    pub figures: Figures,
    /// The same for people, in one line.
    pub text: String,
}

/// Somebody who waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    pub who: &'static str,
    pub whom: &'static str,
    pub what: String,
}

/// Something that is going to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    /// `None` where it happens only when somebody does it.
    pub at: Option<Timestamp>,
    pub what: String,
}

/// An alert that nobody has settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alerted {
    pub kind: String,
    pub text: String,
    pub raised_at: Timestamp,
    /// What to do about it.
    pub advice: &'static str,
    pub transaction_id: Option<Uuid>,
}

const RIALTO: &str = "rialto";
const CALLER: &str = "the caller";
const PSP: &str = "the PSP";
const PAYER: &str = "the payer";
const PERSON: &str = "a person";

pub fn figures(t: &Transaction) -> Figures {
    let counters = &t.counters;
    let left = match (t.kind, t.state) {
        (Kind::Preauth, State::Authorised) => Some(counters.available_to_capture()),
        (Kind::Charge | Kind::Capture, State::Succeeded) => Some(counters.available_to_refund()),
        (
            Kind::StoreMeans
            | Kind::Preauth
            | Kind::Capture
            | Kind::Release
            | Kind::Charge
            | Kind::Payout
            | Kind::Refund,
            _,
        ) => None,
    };
    Figures {
        asked: t.amount,
        confirmed: t.confirmed,
        captured: counters.captured,
        being_captured: counters.captured_reserved,
        released: counters.released,
        being_released: counters.released_reserved,
        refunded: counters.refunded,
        being_refunded: counters.refunded_reserved,
        charged_back: counters.charged_back,
        left,
    }
}

pub fn piece(t: &Transaction) -> Piece {
    let figures = figures(t);
    let used_up = t.state == State::Authorised && t.counters.captured > 0;
    let mut text = if used_up { "the reservation is used".to_owned() } else { words::state(t.kind, t.state) };
    if let (State::Declined(_), Some(said)) = (t.state, words::psp_said(t.psp_code.as_deref(), t.psp_text.as_deref())) {
        text.push_str(&format!(" [{said}]"));
    }
    if t.kind != Kind::StoreMeans {
        text.push_str(&format!(" – {}", money(t.kind, &figures)));
    }
    Piece {
        id: t.id,
        kind: t.kind.as_str(),
        state: t.state.name(),
        stage: t.state.stage(),
        reason: t.state.reason(),
        ours: t.ours.0.clone(),
        theirs: t.theirs.clone(),
        scheme: t.scheme.clone(),
        attempts: t.attempts,
        lookups: t.lookups,
        settings_version: t.settings_version,
        figures,
        text,
    }
}

/// What is not zero, with the currency once.
fn money(kind: Kind, figures: &Figures) -> String {
    let plain = |minor: i64| Money::new(minor, figures.asked.currency).to_major_padded();
    let mut text = format!("asked {}", figures.asked);
    let confirmed = match kind {
        Kind::Preauth => "reserved",
        Kind::Charge | Kind::Capture => "came in",
        Kind::Payout => "went out",
        Kind::Refund => "went back",
        Kind::Release => "given free",
        Kind::StoreMeans => "confirmed",
    };
    if let Some(amount) = figures.confirmed {
        text.push_str(&format!(", {confirmed} {}", amount.to_major_padded()));
    }
    for (minor, name) in [
        (figures.captured, "captured"),
        (figures.being_captured, "being captured"),
        (figures.released, "given free"),
        (figures.being_released, "being given free"),
        (figures.refunded, "refunded"),
        (figures.being_refunded, "being refunded"),
        (figures.charged_back, "charged back"),
    ] {
        if minor != 0 {
            text.push_str(&format!(", {name} {}", plain(minor)));
        }
    }
    if let Some(left) = figures.left {
        let what = if kind == Kind::Preauth { "left to capture" } else { "refundable" };
        text.push_str(&format!(", {what} {}", plain(left)));
    }
    text
}

/// Adds what one intent waits for.
pub fn of(
    member: &Member,
    label: &str,
    now: Timestamp,
    waits: &mut Vec<Wait>,
    next: &mut Vec<Next>,
    alerts: &mut Vec<Alerted>,
) {
    for strand in &member.strands {
        for alert in strand.alerts.iter().filter(|alert| alert.settled_at.is_none()) {
            alerts.push(Alerted {
                kind: alert.kind.clone(),
                text: alert.text.clone(),
                raised_at: alert.raised_at,
                advice: words::advice(&alert.kind),
                transaction_id: alert.transaction_id,
            });
        }
        transaction(strand, label, now, waits, next);
        if strand.t.state == State::Authorised && member.intent.state == IntentState::Done {
            reservation(&strand.t, label, waits);
        }
    }
    if let Some(at) = member.intent.expires_at {
        let what = match member.intent.state {
            IntentState::Open => format!("the {label} is closed as expired, after asking the PSP"),
            IntentState::Done | IntentState::Refused | IntentState::Closed(_) => {
                format!("the {label} expires; what is reserved by then is given free")
            }
        };
        next.push(Next { at: Some(at), what });
    }
    for event in member.events.rows.iter().filter(|event| event.position.is_none()) {
        let what = format!("the event `{}` gets its deliveries (a server does it)", event.event_type.as_str());
        next.push(Next { at: Some(event.recorded_at), what });
    }
    for (delivery, _) in &member.deliveries {
        self::delivery(delivery, waits, next);
    }
    for notice in member.notices.iter().filter(|notice| notice.next_at.is_some()) {
        next.push(Next { at: notice.next_at, what: format!("notice {} is read again", notice.id) });
    }
}

fn wait(who: &'static str, whom: &'static str, what: impl Into<String>) -> Wait {
    Wait { who, whom, what: what.into() }
}

fn transaction(strand: &Strand, label: &str, now: Timestamp, waits: &mut Vec<Wait>, next: &mut Vec<Next>) {
    let t = &strand.t;
    let the = words::kind(t.kind);
    let asked_at = |next: &mut Vec<Next>| {
        if t.look_at.is_some() {
            let what = format!("the PSP is asked what became of the {the} (look-up {})", t.lookups + 1);
            next.push(Next { at: t.look_at, what });
        }
    };
    match t.state {
        State::Created => {
            if let Some(day) = t.not_before.filter(|day| *day > now) {
                waits.push(wait(RIALTO, "its day", format!("to send the {the}")));
                next.push(Next { at: Some(day), what: format!("the {the} is sent") });
            } else {
                waits.push(wait(CALLER, RIALTO, format!("to send the {the}")));
                let what = format!("the {the} ends as not sent, if it could not be sent by then");
                next.push(Next { at: Some(t.submit_by), what });
            }
        }
        State::Submitted => {
            waits.push(wait(RIALTO, PSP, format!("to answer the {the}")));
            asked_at(next);
        }
        State::Pending(stage) => {
            match stage {
                Stage::CreatedThere | Stage::AwaitingPayer => {
                    waits.push(wait(RIALTO, PAYER, format!("to take part in the {label}")));
                }
                Stage::PayerSaysDone | Stage::InReview | Stage::Sent => {
                    waits.push(wait(RIALTO, PSP, format!("to say how the {the} ends")));
                }
            }
            asked_at(next);
        }
        State::Unknown => {
            let needs_person = |alert: &&AlertLine| alert.kind == Alert::NeedsPerson.as_str();
            if strand.alerts.iter().filter(|alert| alert.settled_at.is_none()).any(|alert| needs_person(&alert)) {
                waits.push(wait(CALLER, PERSON, format!("to find out at the PSP whether the {the} happened")));
                next.push(Next { at: None, what: format!("a person says what happened: rialto resolve {}", t.id) });
            } else {
                waits.push(wait(RIALTO, PSP, format!("to say whether the {the} happened")));
            }
            asked_at(next);
        }
        State::Authorised | State::Succeeded | State::Declined(_) | State::Expired | State::Cancelled => {
            // A contradiction is looked into, although it has ended.
            asked_at(next);
        }
    }
}

fn reservation(t: &Transaction, label: &str, waits: &mut Vec<Wait>) {
    if t.counters.available_to_capture() > 0 && t.counters.captured == 0 && t.counters.captured_reserved == 0 {
        waits.push(wait(RIALTO, CALLER, format!("to capture or cancel the {label}")));
    }
}

fn delivery(delivery: &Delivery, waits: &mut Vec<Wait>, next: &mut Vec<Next>) {
    let to = words::place(&delivery.url);
    match delivery.state {
        DeliveryState::Delivered => {}
        DeliveryState::Due | DeliveryState::Sending => {
            if delivery.attempts > 0 {
                waits.push(wait(RIALTO, CALLER, format!("to take the news at {to}")));
            }
            let number = delivery.attempts + i32::from(delivery.state == DeliveryState::Due);
            next.push(Next { at: delivery.next_at, what: format!("{to} is told (attempt {number})") });
            next.push(Next { at: Some(delivery.give_up_at), what: format!("telling {to} is given up") });
        }
        DeliveryState::Dead => {
            let tried = delivery.attempts;
            let what = format!("{to} did not take the news in {tried} attempts: rialto replay {}", delivery.id);
            next.push(Next { at: None, what });
        }
    }
}

/// What has become of a notice that belongs to nothing, and what to do. `parked_under`: (namespace, value).
pub fn notice(notice: &NoticeLine, parked_under: &[(String, String)]) -> String {
    let names: Vec<String> = parked_under.iter().map(|(space, value)| format!("{space} {value}")).collect();
    let names = if names.is_empty() { "what it names".to_owned() } else { names.join(", ") };
    let why = notice.state_text.as_deref().or(notice.verdict_text.as_deref()).map(words::cut).unwrap_or_default();
    match notice.state {
        NoticeState::Waiting if why.is_empty() => "it has come in and is not read yet".to_owned(),
        NoticeState::Waiting => format!("it could not be read: {why}; it is tried again"),
        NoticeState::Parked => {
            format!(
                "it is genuine, and waits until {names} becomes known; it is looked at again every minute for a day"
            )
        }
        NoticeState::Unmatched => {
            format!("nothing that it names ({names}) became known in a day: rialto notice match or drop {}", notice.id)
        }
        NoticeState::Unreadable => {
            format!("it is genuine, but not what the PSP documents ({why}): rialto notice match or drop {}", notice.id)
        }
        NoticeState::Ignored => format!("it is genuine, and of no concern to any payment: {why}"),
        NoticeState::Rejected => format!("it was rejected and is not believed: {why}"),
        NoticeState::Done => "it was read; what it says concerns no transaction".to_owned(),
    }
}
