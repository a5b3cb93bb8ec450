//! What is looked at in every answer, whatever was asked.

use std::collections::BTreeMap;

use rialto_adapters::port::{Currency, Money};
use time::OffsetDateTime;

use super::answer::{self, Answer, choice};
use super::book::Book;
use super::client::Client;
use super::tree::Tree;
use crate::contracts::billwerk::dto::{PaymentErrorCode as Code, PaymentTransactionStatus as Status};
use crate::http::body::text;

/// What a transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Preauth,
    Payment,
    Refund,
}

impl Kind {
    pub fn path(self) -> &'static str {
        match self {
            Kind::Preauth => "/api/Preauth",
            Kind::Payment => "/api/Payment",
            Kind::Refund => "/api/Refund",
        }
    }

    /// As a notice names it.
    pub fn notice_type(self) -> (&'static str, i64) {
        match self {
            Kind::Preauth => ("Preauth", 1),
            Kind::Payment => ("Payment", 2),
            Kind::Refund => ("Refund", 3),
        }
    }
}

/// What is known of a transaction.
#[derive(Clone, Debug)]
pub struct Entry {
    requested: Money,
    external: Option<String>,
    last_updated: Option<OffsetDateTime>,
    state: Option<Status>,
}

#[derive(Default)]
pub struct Ledger {
    entries: BTreeMap<(Kind, String), Entry>,
    /// Every id that was ever sent.
    ids: BTreeMap<String, Kind>,
}

impl Ledger {
    /// A request was made with this id.
    pub fn open(&mut self, kind: Kind, id: &str, requested: Money) {
        let entry = Entry { requested, external: None, last_updated: None, state: None };
        self.entries.entry((kind, id.to_owned())).or_insert(entry);
        self.ids.insert(id.to_owned(), kind);
    }

    /// Something was sent that may, or may not, become a transaction.
    pub fn note(&mut self, path: &str, body: &str) {
        let kinds = [Kind::Preauth, Kind::Payment, Kind::Refund];
        let kind = kinds.into_iter().find(|kind| kind.path() == path);
        let body = text(body.as_bytes()).ok();
        let body = body.and_then(|text| Tree::read(text.as_bytes()).ok());
        let id = body.as_ref().and_then(|body| body.get("transactionId")).and_then(Tree::as_text);
        let id = id.filter(|id| !id.is_empty());
        if let (Some(kind), Some(id)) = (kind, id) {
            self.ids.insert(id.to_owned(), kind);
        }
    }

    pub fn kind_of(&self, id: &str) -> Option<Kind> {
        self.ids.get(id).copied()
    }
}

/// Amounts that stand at the top of some answer.
const AMOUNTS: &[&str] = &["requestedAmount", "authorizedAmount", "refundedAmount", "refundableAmount"];
const LISTS: &[&str] = &["payments", "chargebacks"];
const DATES: &[&str] = &["lastUpdated", "expiresAt", "dueDate", "bookingDate"];

/// Any answer at all.
pub fn any(book: &mut Book, client: &Client, answer: &Answer) {
    let mut judge = |rule, expected: &str, good| book.judge(client, rule, answer, expected, good);
    judge("answer.comes", "a whole answer in time", answer.got.is_ok());
    let Ok(reply) = &answer.got else { return };
    judge("answer.hides_token", "an answer without the token", !client.tells_token(&reply.text));
    if !reply.text.trim().is_empty() {
        let declared = format!("an answer declared as JSON, not as {:?}", reply.content_type);
        judge("answer.media_type", &declared, is_json(&reply.content_type));
    }
    if answer.is_success() {
        judge("answer.status_200", "status 200", reply.status == 200);
        judge("answer.json_object", "a JSON object", answer.tree().is_some());
    } else {
        error(book, client, answer);
    }
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence == "text/json" || essence.ends_with("+json")
}

fn error(book: &mut Book, client: &Client, answer: &Answer) {
    let mut judge = |rule, expected: &str, good| book.judge(client, rule, answer, expected, good);
    judge("error.body", "status 4xx or 5xx with an error object", answer.is_error());
    let (Some(told), Some(body)) = (answer.error(), answer.tree()) else { return };
    judge("error.code", "an errorCode from the list", answer::code(body.get("errorCode")).is_some());
    judge("error.received_at", "a receivedAt that can be read", answer::moment(&told.received_at).is_some());
    let status = body.get("status");
    let known = choice(status, Status::by_name, Status::by_code);
    let ended = matches!(known, Some(Status::Failed | Status::Cancelled | Status::Expired));
    judge("error.status", "status Failed, Cancelled or Expired", status.is_none() || ended);
    judge("error.message", "an errorMessage", !told.message.trim().is_empty());
    let off = matches!(told.code, Code::LoginError | Code::PermissionDenied);
    judge("error.never_switches_off", "a code that does not switch the PSP off", !off);
    let declined =
        [Code::BearerInvalid, Code::BearerExpired, Code::InsufficientBalance, Code::Rejected].contains(&told.code);
    if declined {
        judge("error.decline_is_422", "status 422", answer.status() == 422);
    }
}

/// An answer about a transaction. `in_order`: no other request about it was under way.
pub fn transaction(
    book: &mut Book,
    client: &Client,
    ledger: &mut Ledger,
    (kind, id): (Kind, &str),
    answer: &Answer,
    in_order: bool,
) {
    let Some(entry) = ledger.entries.get_mut(&(kind, id.to_owned())) else { return };
    let mut judge = |rule, expected: &str, good| book.judge(client, rule, answer, expected, good);
    if answer.ask.method == "GET"
        && let Some(told) = answer.error()
    {
        let took_back = matches!(entry.state, Some(Status::Succeeded)) && kind != Kind::Preauth;
        judge("answer.state_stays", "Succeeded, as it was before", !took_back);
        entry.state = Some(told.status);
    }
    let Some(body) = answer.tree().filter(|_| answer.is_success()) else { return };
    judge("answer.transaction_id", &format!("transactionId {id}"), answer.text("transactionId") == Some(id));
    let external = answer.text("externalTransactionId").filter(|text| !text.trim().is_empty());
    let same = entry.external.is_none() || entry.external.as_deref() == external;
    let wanted = entry.external.clone().unwrap_or_else(|| "of any text".to_owned());
    judge("answer.external_id", &format!("externalTransactionId {wanted}"), external.is_some() && same);
    let code = entry.requested.currency.code();
    let currency = answer.text("currency").is_some_and(|have| have.eq_ignore_ascii_case(code));
    judge("answer.currency", &format!("currency {code}"), currency);
    let asked = entry.requested;
    let expected = format!("requestedAmount {}", asked.to_major());
    book.judge_as(
        client,
        "answer.requested_amount",
        answer,
        &expected,
        &format!("requestedAmount {}", body.get("requestedAmount").unwrap_or(&Tree::Null)),
        answer.money("requestedAmount", asked.currency) == Some(asked),
    );
    amounts(book, client, answer, body, asked.currency);
    dates(book, client, answer, body);
    if let Some(bearer) = body.get("bearer") {
        let values = bearer.members().iter().map(|(_, value)| value);
        let texts = values.clone().all(|value| matches!(value, Tree::Text(_) | Tree::Null));
        book.judge(client, "answer.bearer", answer, "a bearer of texts", bearer.is_object() && texts);
        let whole = values.filter_map(Tree::as_text).any(is_card_number);
        book.judge(client, "answer.no_card_number", answer, "a bearer without a whole card number", !whole);
    }
    let state = answer.state();
    book.judge(client, "answer.status", answer, "a status from the list", state.is_some());
    if kind == Kind::Payment && answer.is_open() {
        let none = body.get("payments").map(Tree::items).unwrap_or_default().is_empty();
        book.judge(client, "payment.recurring.pending_no_items", answer, "no payments while it is open", none);
    }
    if entry.external.is_none() {
        entry.external = external.map(str::to_owned);
    }
    if in_order {
        history(book, client, entry, answer, state);
    }
}

/// What may not go back.
fn history(book: &mut Book, client: &Client, entry: &mut Entry, answer: &Answer, state: Option<Status>) {
    let stamp = answer.text("lastUpdated").and_then(answer::moment).map(|(at, _)| at);
    let forward = match (entry.last_updated, stamp) {
        (Some(before), Some(now)) => now >= before,
        (None, Some(_)) => true,
        (_, None) => false,
    };
    let text = answer.text("lastUpdated").unwrap_or("nothing");
    let expected = match entry.last_updated {
        Some(before) => format!("a lastUpdated not before {before}"),
        None => "a lastUpdated".to_owned(),
    };
    book.judge_as(client, "answer.last_updated", answer, &expected, text, forward);
    if let (Some(was), Some(now), Some(before), Some(stamp)) = (entry.state, state, entry.last_updated, stamp) {
        let open = |status| matches!(status, Status::Initiated | Status::Pending);
        if was != now && !(open(was) && open(now)) {
            let expected = format!("another lastUpdated than when it was {}", was.name());
            book.judge_as(client, "answer.last_updated_moves", answer, &expected, text, stamp != before);
        }
    }
    if let (Some(was), Some(now)) = (entry.state, state) {
        let stays = match was {
            Status::Failed | Status::Cancelled | Status::Expired => now == was,
            Status::Succeeded => !matches!(now, Status::Initiated | Status::Pending),
            Status::Initiated | Status::Pending => true,
        };
        book.judge(
            client,
            "answer.state_stays",
            answer,
            &format!("{}, as before, or what may follow", was.name()),
            stays,
        );
    }
    entry.last_updated = stamp.or(entry.last_updated).max(entry.last_updated);
    entry.state = state.or(entry.state);
}

fn amounts(book: &mut Book, client: &Client, answer: &Answer, body: &Tree, currency: Currency) {
    let mut all: Vec<(String, &Tree)> = Vec::new();
    for name in AMOUNTS {
        all.extend(body.get(name).map(|value| ((*name).to_owned(), value)));
    }
    for list in LISTS {
        for (at, item) in body.get(list).map(Tree::items).unwrap_or_default().iter().enumerate() {
            for name in ["amount", "feeAmount"] {
                all.extend(item.get(name).map(|value| (format!("{list}[{at}].{name}"), value)));
            }
        }
    }
    for (name, value) in all {
        let money = match value {
            Tree::Number(digits) => Money::parse_major(digits, currency).ok(),
            Tree::Null | Tree::Bool(_) | Tree::Text(_) | Tree::List(_) | Tree::Object(_) => None,
        };
        let got = format!("{name} {value}");
        let expected = format!("a number with at most {} decimals", currency.exponent());
        book.judge_as(client, "answer.amounts_exact", answer, &expected, &got, money.is_some());
        if let Some(money) = money {
            book.judge_as(client, "answer.amounts_not_negative", answer, "0 or more", &got, money.minor >= 0);
        }
    }
    let bound = ["refundedAmount", "refundableAmount"].map(|name| answer.money(name, currency));
    if answer.ask.path.starts_with(Kind::Payment.path())
        && let ([Some(refunded), Some(refundable)], Some(paid)) = (bound, answer.sum("payments", currency))
    {
        let total = refunded.minor.saturating_add(refundable.minor);
        let got = format!(
            "paid {}, refundedAmount {}, refundableAmount {}",
            paid.to_major(),
            refunded.to_major(),
            refundable.to_major()
        );
        let expected = "refundedAmount + refundableAmount not above what was paid";
        book.judge_as(client, "answer.refund_bound", answer, expected, &got, total <= paid.minor);
    }
}

fn dates(book: &mut Book, client: &Client, answer: &Answer, body: &Tree) {
    let mut all: Vec<(&str, &Tree)> = Vec::new();
    for name in DATES {
        all.extend(body.get(name).map(|value| (*name, value)));
    }
    for list in LISTS {
        let items = body.get(list).map(Tree::items).unwrap_or_default();
        all.extend(items.iter().filter_map(|item| Some(("bookingDate", item.get("bookingDate")?))));
    }
    for (name, value) in all {
        let text = value.as_text().unwrap_or_default();
        let got = format!("{name} {value}");
        let readable = answer::day(text).is_some();
        book.judge_as(client, "answer.dates", answer, "a date or time in ISO 8601", &got, readable);
        if let Some((_, utc)) = answer::moment(text) {
            book.judge_as(client, "answer.dates_utc", answer, "a time in UTC", &got, utc);
        }
    }
}

/// Thirteen to nineteen digits with a right check digit.
fn is_card_number(text: &str) -> bool {
    let text: String = text.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
    if !(13..=19).contains(&text.len()) || !text.bytes().all(|b| b.is_ascii_digit()) {
        return false;
    }
    let digits = text.bytes().rev().map(|b| u32::from(b - b'0')).enumerate();
    let sum: u32 = digits.map(|(at, d)| if at % 2 == 0 { d } else { (d * 2) / 10 + (d * 2) % 10 }).sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_card_number() {
        let rows = [
            ("4242424242424242", true),
            ("4242 4242 4242 4242", true),
            ("4242424242424241", false),
            ("424242******4242", false),
            ("4242", false),
            ("DE89370400440532013000", false),
        ];
        for (text, expected) in rows {
            assert_eq!(is_card_number(text), expected, "{text}");
        }
    }
}
