//! An instruction as a request, and what is wrong with one before it is sent. Pure.

use serde::Serialize;

use super::contract::{ChargeRequest, Decimal, PayRequest, ReimbursementRequest, key_type, path, search};
use super::manifest::{BASE_URL, MANIFEST, PIX_KEY, TOKEN};
use crate::port::ids::document::{self, DocumentKind};
use crate::port::ids::pix_key::{KeyKind, PixKey};
use crate::port::instruction::{Instruction, Payer, Payout};
use crate::port::manifest::MethodName;
use crate::port::money::Money;
use crate::port::outcome::Refusal;
use crate::port::reason::Reason;
use crate::port::secret::Secret;
use crate::port::settings::Settings;
use crate::port::time::{Civil, Timestamp};
use crate::port::wire::{Header, Method, Request};

/// Personal data that stay out of transcripts.
const SCRUB: &[&str] = &[
    "document_number",
    "document",
    "first_name",
    "last_name",
    "name",
    "mothers_name",
    "birth_date",
    "email",
    "phone",
    "phone_number",
    "pix_key_value",
    "acc_number",
    "ip_address",
];

/// Characters of a message that travels with the money.
const MESSAGE_MAX: usize = 140;

/// What is wrong with an instruction.
pub fn check(instruction: &Instruction) -> Result<(), Refusal> {
    match instruction {
        Instruction::Charge(i) => person(&i.payer).and_then(|()| amount(instruction)),
        Instruction::Payout(i) => person(&i.payee).and_then(|()| key(i)).and_then(|_| amount(instruction)),
        Instruction::Refund(_) => amount(instruction),
        Instruction::StoreMeans(_)
        | Instruction::Preauth(_)
        | Instruction::Capture(_)
        | Instruction::Release(_)
        | Instruction::Close(_) => Ok(()),
    }
}

/// The request of an instruction that has passed [`check`]; `None` for what the gateway does not do.
pub fn instruction(settings: &Settings, instruction: &Instruction) -> Option<Request> {
    let request = match instruction {
        Instruction::Charge(i) => {
            let (first_name, last_name) = names(&i.payer);
            let body = ChargeRequest {
                amount: decimal(i.amount),
                merchant_transaction_id: i.reference.0.clone(),
                first_name,
                last_name,
                email: i.payer.email.clone().unwrap_or_default(),
                document_number: i.payer.document.clone().unwrap_or_default(),
                message: message(&i.description).unwrap_or_else(|| i.reference.0.clone()),
                player_id: i.payer.customer.clone(),
                phone_number: i.payer.phone.clone(),
            };
            post(settings, path::CHARGE, &body)
        }
        Instruction::Payout(i) => {
            let key = key(i).ok()?;
            let (first_name, last_name) = names(&i.payee);
            let body = PayRequest {
                merchant_transaction_id: i.reference.0.clone(),
                amount: decimal(i.amount),
                pix_key_type: key_type_of(key.kind()).to_owned(),
                pix_key_value: key.national().to_owned(),
                pix_message: message(&i.description),
                first_name,
                last_name,
                document_number: i.payee.document.clone().unwrap_or_default(),
                email: i.payee.email.clone().unwrap_or_default(),
            };
            post(settings, path::PAY, &body)
        }
        Instruction::Refund(i) => {
            let body = ReimbursementRequest {
                merchant_transaction_id: Some(i.of.ours.0.clone()),
                e2e_id: None,
                transaction_id: i.of.theirs.clone(),
                amount: Some(decimal(i.amount)),
            };
            post(settings, path::REIMBURSEMENT, &body)
        }
        Instruction::StoreMeans(_)
        | Instruction::Preauth(_)
        | Instruction::Capture(_)
        | Instruction::Release(_)
        | Instruction::Close(_) => return None,
    };
    Some(request)
}

/// One transaction by the gateway's id; `None` for an id that does not belong into an address.
pub fn transaction(settings: &Settings, theirs: &str) -> Option<Request> {
    let plain = !theirs.is_empty() && theirs.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    plain.then(|| get(settings, &format!("{}/{theirs}", path::TRANSACTION)))
}

/// A page of those whose `merchant_transaction_id` begins with our reference, whose alphabet needs no escaping.
pub fn called(settings: &Settings, ours: &str, page: u32) -> Request {
    list(settings, search::MERCHANT_TRANSACTION_ID, ours, page)
}

/// A page of those with an event since then.
pub fn updated(settings: &Settings, since: Timestamp, page: u32) -> Request {
    let Civil { year, month, day, hour, minute, second } = since.civil();
    let since = format!("{year:04}-{month:02}-{day:02}%20{hour:02}%3A{minute:02}%3A{second:02}");
    list(settings, search::UPDATED_AT_GTE, &since, page)
}

fn list(settings: &Settings, parameter: &str, value: &str, page: u32) -> Request {
    let parameter = parameter.replace('[', "%5B").replace(']', "%5D");
    get(settings, &format!("{}?{parameter}={value}&{}={page}", path::TRANSACTIONS, search::PAGE))
}

pub fn balance(settings: &Settings) -> Request {
    get(settings, path::BALANCE)
}

fn amount(instruction: &Instruction) -> Result<(), Refusal> {
    let Some(money) = instruction.amount() else { return Ok(()) };
    let Some(line) = MANIFEST.capability(instruction.kind(), MethodName::Pix, money.currency) else {
        return Err(Refusal::new("currency", Reason::CurrencyInvalid, "PIX moves BRL only"));
    };
    match (line.minimum_minor..=line.maximum_minor).contains(&money.minor) {
        true => Ok(()),
        false => Err(Refusal::new("amount", Reason::AmountInvalid, "is outside of what PIX can move")),
    }
}

/// What the gateway wants to know of whoever pays or is paid.
fn person(payer: &Payer) -> Result<(), Refusal> {
    let (first, last) = names(payer);
    if first.is_empty() || last.is_empty() {
        return Err(Refusal::new("name", Reason::DataInvalid, "first and last name are needed"));
    }
    let email = payer.email.as_deref().and_then(|email| email.split_once('@'));
    if email.is_none_or(|(name, domain)| name.is_empty() || domain.is_empty()) {
        return Err(Refusal::new("email", Reason::DataInvalid, "an e-mail address is needed"));
    }
    let document = payer.document.as_deref().unwrap_or_default();
    let wrong = |why| Refusal::new("document", Reason::DocumentInvalid, format!("CPF or CNPJ {why}"));
    document::kind(document).map(|_| ()).map_err(wrong)
}

/// The key of a payout. A document as key must be the payee's own: the gateway would send the money to anybody.
fn key(payout: &Payout) -> Result<PixKey, Refusal> {
    let wrong = |why: &dyn std::fmt::Display| {
        Err(Refusal::new("destination", Reason::DestinationInvalid, format!("the key {why}")))
    };
    if payout.destination.kind != PIX_KEY {
        return wrong(&"is not a PIX key");
    }
    let key = match PixKey::parse(&payout.destination.value) {
        Ok(key) => key,
        Err(why) => return wrong(&why),
    };
    let foreign = match key.kind() {
        KeyKind::Cpf | KeyKind::Cnpj => payout.payee.document.as_deref() != Some(key.as_str()),
        KeyKind::Phone | KeyKind::Email | KeyKind::Random => false,
    };
    if foreign {
        return Err(Refusal::new("destination", Reason::PayerMismatch, "the key is another person's document"));
    }
    Ok(key)
}

fn key_type_of(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::Cpf | KeyKind::Cnpj => key_type::DOCUMENT,
        KeyKind::Phone => key_type::PHONE,
        KeyKind::Email => key_type::EMAIL,
        KeyKind::Random => key_type::RANDOM,
    }
}

/// First name, and the rest. A company may have one word, which then stands in both.
fn names(payer: &Payer) -> (String, String) {
    let name = payer.name.as_deref().unwrap_or_default().trim();
    let (first, last) = name.split_once(char::is_whitespace).unwrap_or((name, ""));
    let company = payer.document.as_deref().is_some_and(|text| document::kind(text) == Ok(DocumentKind::Cnpj));
    let last = if last.is_empty() && company { first } else { last };
    (first.to_owned(), last.trim().to_owned())
}

fn message(description: &str) -> Option<String> {
    let text: String = description.chars().filter(|c| !c.is_control()).take(MESSAGE_MAX).collect();
    (!text.trim().is_empty()).then_some(text)
}

fn decimal(money: Money) -> Decimal {
    Decimal(money.to_major())
}

fn headers(settings: &Settings) -> Vec<(&'static str, Header)> {
    let token = Secret::new(format!("Bearer {}", settings.get(TOKEN)));
    vec![("authorization", Header::Secret(token)), ("accept", Header::Plain("application/json".to_owned()))]
}

fn get(settings: &Settings, path: &str) -> Request {
    Request {
        method: Method::Get,
        url: url(settings, path),
        headers: headers(settings),
        body: Vec::new(),
        scrub: SCRUB,
    }
}

fn post(settings: &Settings, path: &str, body: &impl Serialize) -> Request {
    let mut headers = headers(settings);
    headers.push(("content-type", Header::Plain("application/json".to_owned())));
    // Structs of texts and numbers always have a JSON form.
    let body = serde_json::to_vec(body).unwrap_or_default();
    Request { method: Method::Post, url: url(settings, path), headers, body, scrub: SCRUB }
}

fn url(settings: &Settings, path: &str) -> String {
    format!("{}{path}", settings.get(BASE_URL).trim_end_matches('/'))
}
