//! An instruction as a request. Pure, and total: a missing setting is an empty text that Pientegra refuses.

use serde::Serialize;

use super::contract::{DEPOSITS, DepositRequest, EVENTS, INTENTS, Minor, TEXT_MAX, WITHDRAWALS, WithdrawalRequest};
use super::manifest::{API_KEY, BASE_URL, IBAN, MANIFEST};
use crate::port::ids::iban;
use crate::port::instruction::{Instruction, Kind, Payer};
use crate::port::outcome::Refusal;
use crate::port::reason::Reason;
use crate::port::reference::OurReference;
use crate::port::secret::Secret;
use crate::port::settings::Settings;
use crate::port::time::{Duration, Timestamp};
use crate::port::wire::{Header, Method, Request};

/// Account data, and the page's address, which is signed and lets whoever has it see them.
const SCRUB: &[&str] = &["targetIban", "targetHolderName", "depositUrl"];

/// How far Pientegra's clock may be behind ours where a list must not miss what we made.
const CLOCKS_APART: Duration = Duration::from_secs(3600);

/// What is wrong with an instruction before anything is sent.
pub fn check(instruction: &Instruction) -> Result<(), Refusal> {
    match instruction {
        Instruction::Charge(i) => MANIFEST.check_amount(Kind::Charge, i.method, i.amount),
        Instruction::Payout(i) => {
            MANIFEST.check_amount(Kind::Payout, i.method, i.amount)?;
            if i.destination.kind != IBAN {
                return Err(Refusal::new("destination", Reason::DestinationInvalid, "is not an IBAN"));
            }
            let number = iban::of(&i.destination.value)
                .map_err(|fault| Refusal::new("destination", Reason::IbanInvalid, fault.to_string()))?;
            if !number.starts_with("TR") {
                return Err(Refusal::new("destination", Reason::CountryInvalid, "is not a Turkish IBAN"));
            }
            match i.payee.name.as_deref().map(str::trim) {
                None | Some("") => {
                    Err(Refusal::new("name", Reason::DataInvalid, "the account holder's name is needed"))
                }
                Some(name) if name.chars().count() > TEXT_MAX => {
                    Err(Refusal::new("name", Reason::DataInvalid, format!("has more than {TEXT_MAX} characters")))
                }
                Some(_) => Ok(()),
            }
        }
        Instruction::StoreMeans(_)
        | Instruction::Preauth(_)
        | Instruction::Capture(_)
        | Instruction::Release(_)
        | Instruction::Close(_)
        | Instruction::Refund(_) => Ok(()),
    }
}

/// The request of an instruction that passed [`check`]; `None` for what Pientegra does not do.
pub fn instruction(settings: &Settings, instruction: &Instruction) -> Option<Request> {
    match instruction {
        Instruction::Charge(i) => {
            let body = DepositRequest {
                external_user_id: user(&i.payer, &i.reference),
                external_user_label: label(&i.payer),
                amount: Minor(i.amount.minor),
                currency: Some(i.amount.currency.code().to_owned()),
            };
            Some(post(settings, DEPOSITS, &i.reference, &body))
        }
        Instruction::Payout(i) => {
            let body = WithdrawalRequest {
                external_user_id: user(&i.payee, &i.reference),
                external_user_label: None,
                amount: Minor(i.amount.minor),
                currency: Some(i.amount.currency.code().to_owned()),
                target_iban: iban::normalise(&i.destination.value).unwrap_or_default(),
                target_holder_name: i.payee.name.as_deref().unwrap_or_default().trim().to_owned(),
            };
            Some(post(settings, WITHDRAWALS, &i.reference, &body))
        }
        Instruction::StoreMeans(_)
        | Instruction::Preauth(_)
        | Instruction::Capture(_)
        | Instruction::Release(_)
        | Instruction::Close(_)
        | Instruction::Refund(_) => None,
    }
}

/// Where transactions of a kind are listed, and looked up by Pientegra's id.
pub fn collection(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Charge => Some(INTENTS),
        Kind::Payout => Some(WITHDRAWALS),
        Kind::StoreMeans | Kind::Preauth | Kind::Capture | Kind::Release | Kind::Refund => None,
    }
}

pub fn lookup(settings: &Settings, collection: &str, theirs: &str) -> Request {
    get(settings, &format!("{collection}/{}", escaped(theirs)))
}

/// Whether anything at all was made since our reference was minted. `None` where the reference does not say when.
pub fn anything_since(settings: &Settings, collection: &str, ours: &OurReference) -> Option<Request> {
    let since = minted_at(ours)?.minus(CLOCKS_APART);
    Some(get(settings, &format!("{collection}?createdFrom={}&limit=1", iso(since))))
}

pub fn probe(settings: &Settings) -> Request {
    get(settings, &format!("{EVENTS}?limit=1"))
}

/// Whose payment it is, by the caller's own number. Where the caller told none, or a longer one than is taken, every
/// payment is somebody else's.
fn user(payer: &Payer, reference: &OurReference) -> String {
    let told = payer.customer.as_deref().map(str::trim).filter(|id| !id.is_empty() && id.chars().count() <= TEXT_MAX);
    told.unwrap_or(&reference.0).to_owned()
}

fn label(payer: &Payer) -> Option<String> {
    let name = payer.name.as_deref().map(str::trim).filter(|name| !name.is_empty());
    name.map(|name| name.chars().take(TEXT_MAX).collect())
}

/// Our reference as the UUID it was minted from.
pub fn uuid_text(reference: &OurReference) -> String {
    let text = &reference.0;
    let parts = [text.get(..8), text.get(8..12), text.get(12..16), text.get(16..20), text.get(20..)];
    let parts: Option<Vec<&str>> = parts.into_iter().collect();
    parts.map_or_else(|| text.clone(), |parts| parts.join("-"))
}

/// When a reference was minted: a UUID of version 7 begins with its milliseconds.
fn minted_at(reference: &OurReference) -> Option<Timestamp> {
    let text = &reference.0;
    let millis = i64::from_str_radix(text.get(..12)?, 16).ok()?;
    (text.len() == 32 && text.as_bytes()[12] == b'7').then_some(Timestamp(millis))
}

/// `2026-04-28T12:30:00.000Z`.
pub fn iso(at: Timestamp) -> String {
    let civil = at.civil();
    let (year, month, day) = (civil.year, civil.month, civil.day);
    let (hour, minute, second, millis) = (civil.hour, civil.minute, civil.second, at.0.rem_euclid(1000));
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// A text of theirs in a path or query: whatever is not plain is escaped.
pub fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn headers(settings: &Settings) -> Vec<(&'static str, Header)> {
    let key = Secret::new(format!("Bearer {}", settings.get(API_KEY)));
    vec![("authorization", Header::Secret(key)), ("accept", plain("application/json"))]
}

fn plain(value: impl Into<String>) -> Header {
    Header::Plain(value.into())
}

pub fn get(settings: &Settings, path: &str) -> Request {
    Request {
        method: Method::Get,
        url: url(settings, path),
        headers: headers(settings),
        body: Vec::new(),
        scrub: SCRUB,
    }
}

fn post(settings: &Settings, path: &str, reference: &OurReference, body: &impl Serialize) -> Request {
    let mut headers = headers(settings);
    headers.push(("idempotency-key", plain(uuid_text(reference))));
    headers.push(("content-type", plain("application/json")));
    // Structs of texts always have a JSON form.
    let body = serde_json::to_vec(body).unwrap_or_default();
    Request { method: Method::Post, url: url(settings, path), headers, body, scrub: SCRUB }
}

fn url(settings: &Settings, path: &str) -> String {
    format!("{}{path}", settings.get(BASE_URL).trim_end_matches('/'))
}
