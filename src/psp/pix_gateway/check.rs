//! What a request must be, as strictly as the gateway's documents say. Pure.

use std::collections::BTreeMap;

use rialto_adapters::pix_gateway::contract::{ChargeRequest, PayRequest, ReimbursementRequest, field, key_type};
use rialto_adapters::port::ids::document;
use rialto_adapters::port::ids::pix_key::{KeyKind, PixKey};
use rialto_adapters::port::{Currency, Money};
use serde_json::value::RawValue;

/// Texts by field, as a 422 tells them.
pub type Wrong = BTreeMap<String, Vec<String>>;

/// No longer id is taken.
const ID_MAX: usize = 64;

/// A body as its members, each with the text it was written as.
pub struct Members(BTreeMap<String, Box<RawValue>>);

impl Members {
    pub fn read(body: &[u8]) -> Result<Members, Wrong> {
        serde_json::from_slice(body).map(Members).map_err(|_| one(field::BASE, "is not a JSON object"))
    }

    /// A text that is there and not empty; else it is wrong.
    fn needed(&self, name: &str, wrong: &mut Wrong) -> String {
        let text = self.text(name, wrong).unwrap_or_default();
        if text.trim().is_empty() && !wrong.contains_key(name) {
            add(wrong, name, "can't be blank");
        }
        text
    }

    fn text(&self, name: &str, wrong: &mut Wrong) -> Option<String> {
        let raw = self.0.get(name).map(|raw| raw.get()).filter(|raw| *raw != "null")?;
        let text = serde_json::from_str::<String>(raw).ok();
        if text.is_none() {
            add(wrong, name, "must be a string");
        }
        text
    }

    /// An amount: a JSON number, more than nothing, with two decimals at most.
    fn amount(&self, wrong: &mut Wrong) -> Option<Money> {
        let raw = self.0.get(field::AMOUNT).map(|raw| raw.get()).filter(|raw| *raw != "null")?;
        let number = !raw.starts_with(['"', '{', '[', 't', 'f']);
        let money = if number { Money::parse_major(raw, Currency::BRL).ok() } else { None };
        let money = money.filter(|money| (1..=999_999_999_999).contains(&money.minor));
        if money.is_none() {
            add(wrong, field::AMOUNT, "must be a number greater than 0 with at most two decimals");
        }
        money
    }

    fn needed_amount(&self, wrong: &mut Wrong) -> Money {
        self.amount(wrong).unwrap_or_else(|| {
            if !wrong.contains_key(field::AMOUNT) {
                add(wrong, field::AMOUNT, "can't be blank");
            }
            Money::new(0, Currency::BRL)
        })
    }

    fn id(&self, wrong: &mut Wrong) -> String {
        let id = self.needed(field::MERCHANT_TRANSACTION_ID, wrong);
        if id.chars().count() > ID_MAX {
            add(wrong, field::MERCHANT_TRANSACTION_ID, "is too long");
        }
        id
    }

    /// E-mail and document of whoever pays or is paid.
    fn person(&self, wrong: &mut Wrong) -> (String, String) {
        let email = self.needed("email", wrong);
        let shaped = email.split_once('@').is_some_and(|(name, domain)| !name.is_empty() && !domain.is_empty());
        if !shaped && !email.is_empty() {
            add(wrong, "email", "is invalid");
        }
        let document = self.needed(field::DOCUMENT_NUMBER, wrong);
        if !document.is_empty() && document::kind(&document).is_err() {
            add(wrong, field::DOCUMENT_NUMBER, "is invalid");
        }
        (email, document)
    }
}

/// A charge that may be made.
pub fn charge(members: &Members) -> Result<(ChargeRequest, Money), Wrong> {
    let mut wrong = Wrong::new();
    let amount = members.needed_amount(&mut wrong);
    let (email, document_number) = members.person(&mut wrong);
    let message = members.text("message", &mut wrong);
    let request = ChargeRequest {
        amount: Default::default(),
        merchant_transaction_id: members.id(&mut wrong),
        first_name: members.needed("first_name", &mut wrong),
        last_name: members.needed("last_name", &mut wrong),
        email,
        document_number,
        // One sample of the documents spells it so.
        message: message.or_else(|| members.text("pix_message", &mut wrong)).unwrap_or_default(),
        player_id: members.text("player_id", &mut wrong),
        phone_number: members.text("phone_number", &mut wrong),
    };
    if wrong.is_empty() { Ok((request, amount)) } else { Err(wrong) }
}

/// A withdrawal that may be made.
pub fn pay(members: &Members) -> Result<(PayRequest, Money), Wrong> {
    let mut wrong = Wrong::new();
    let amount = members.needed_amount(&mut wrong);
    let (email, document_number) = members.person(&mut wrong);
    let pix_key_type = members.needed(field::PIX_KEY_TYPE, &mut wrong);
    let pix_key_value = members.needed(field::PIX_KEY_VALUE, &mut wrong);
    let key = match pix_key_type.as_str() {
        key_type::DOCUMENT => document::kind(&pix_key_value).is_ok(),
        key_type::EMAIL => PixKey::parse(&pix_key_value).is_ok_and(|key| key.kind() == KeyKind::Email),
        // Area code and nine digits; a country code is wrong here.
        key_type::PHONE => PixKey::parse(&format!("+55{pix_key_value}")).is_ok_and(|key| key.kind() == KeyKind::Phone),
        key_type::RANDOM => PixKey::parse(&pix_key_value).is_ok_and(|key| key.kind() == KeyKind::Random),
        "" => true,
        _ => {
            add(&mut wrong, field::PIX_KEY_TYPE, "is invalid");
            true
        }
    };
    if !key && !pix_key_value.is_empty() {
        add(&mut wrong, field::PIX_KEY_VALUE, "is invalid");
    }
    let request = PayRequest {
        merchant_transaction_id: members.id(&mut wrong),
        amount: Default::default(),
        pix_key_type,
        pix_key_value,
        pix_message: members.text("pix_message", &mut wrong),
        first_name: members.needed("first_name", &mut wrong),
        last_name: members.needed("last_name", &mut wrong),
        document_number,
        email,
    };
    if wrong.is_empty() { Ok((request, amount)) } else { Err(wrong) }
}

/// A refund: what it names, and how much of it.
pub fn reimbursement(members: &Members) -> Result<(ReimbursementRequest, Option<Money>), Wrong> {
    let mut wrong = Wrong::new();
    let request = ReimbursementRequest {
        merchant_transaction_id: members.text(field::MERCHANT_TRANSACTION_ID, &mut wrong),
        e2e_id: members.text("e2e_id", &mut wrong),
        transaction_id: members.text("transaction_id", &mut wrong),
        amount: None,
    };
    let amount = members.amount(&mut wrong);
    if request == ReimbursementRequest::default() {
        add(&mut wrong, field::BASE, "merchant_transaction_id, e2e_id or transaction_id is needed");
    }
    if wrong.is_empty() { Ok((request, amount)) } else { Err(wrong) }
}

/// One thing that is wrong.
pub fn one(field: &str, text: &str) -> Wrong {
    Wrong::from([(field.to_owned(), vec![text.to_owned()])])
}

fn add(wrong: &mut Wrong, field: &str, text: &str) {
    wrong.entry(field.to_owned()).or_default().push(text.to_owned());
}
