//! An instruction as a request. Pure, and total: a missing setting is an empty text that the PSP refuses.

use std::collections::BTreeMap;

use serde::Serialize;

use super::contract::{
    BASE_URL, CloseRequest, FollowUpRequest, MeansGiven, NOTIFY_SECRET_HEADER, PaymentRequest, SCRIPTED_HEADER,
    method as methods,
};
use super::manifest::{API_KEY, SCRIPTED, WEBHOOK_SECRET};
use crate::port::instruction::{Instruction, Means, Parent, Payer};
use crate::port::manifest::MethodName;
use crate::port::money::Money;
use crate::port::reference::OurReference;
use crate::port::secret::Secret;
use crate::port::settings::Settings;
use crate::port::wire::{Header, Method, Request};

/// Personal data and tokens that stay out of transcripts.
const SCRUB: &[&str] = &["token", "iban", "holder"];

/// The request of an instruction; `None` for what the sandbox does not do.
pub fn instruction(settings: &Settings, hook_url: &str, instruction: &Instruction) -> Option<Request> {
    let request = match instruction {
        Instruction::StoreMeans(i) => {
            let mut body = payment(&i.reference, i.method, Money::new(0, i.currency), &i.means, &i.payer)?;
            body.store_means = true;
            body.expected_amount = i.expected.map(|money| money.minor);
            body.description.clone_from(&i.description);
            body.return_url.clone_from(&i.return_url);
            body.notify_url = hook_url.to_owned();
            post(settings, "/means", &body)
        }
        Instruction::Preauth(i) => {
            let mut body = payment(&i.reference, i.method, i.amount, &i.means, &i.payer)?;
            body.store_means = i.store_means;
            body.description.clone_from(&i.description);
            body.return_url.clone_from(&i.return_url);
            body.notify_url = hook_url.to_owned();
            post(settings, "/preauths", &body)
        }
        Instruction::Charge(i) => {
            let mut body = payment(&i.reference, i.method, i.amount, &i.means, &i.payer)?;
            body.description.clone_from(&i.description);
            body.return_url.clone_from(&i.return_url);
            body.notify_url = hook_url.to_owned();
            body.expires_at = i.expires_at.map(|at| at.0);
            post(settings, "/charges", &body)
        }
        Instruction::Capture(i) => {
            post(settings, "/captures", &follow_up(&i.reference, &i.of, i.amount, &i.description, hook_url))
        }
        Instruction::Release(i) => post(settings, "/releases", &follow_up(&i.reference, &i.of, i.amount, "", hook_url)),
        Instruction::Refund(i) => {
            post(settings, "/refunds", &follow_up(&i.reference, &i.of, i.amount, &i.description, hook_url))
        }
        Instruction::Close(i) => post(settings, "/closes", &CloseRequest { reference: i.of.0.clone() }),
        Instruction::Payout(_) => return None,
    };
    Some(request)
}

/// The lookup by our reference, whose alphabet needs no escaping.
pub fn lookup(settings: &Settings, reference: &OurReference) -> Request {
    get(settings, &format!("/transactions?reference={reference}"))
}

pub fn account(settings: &Settings) -> Request {
    get(settings, "/account")
}

/// The parts all of `/preauths`, `/charges` and `/means` share.
fn payment(
    reference: &OurReference,
    method: MethodName,
    amount: Money,
    means: &Means,
    payer: &Payer,
) -> Option<PaymentRequest> {
    let (method, given) = match method {
        MethodName::Card => (methods::CARD, card(means)),
        MethodName::DirectDebit => (methods::DIRECT_DEBIT, debit(means)),
        MethodName::BankTransfer | MethodName::Pix => return None,
    };
    Some(PaymentRequest {
        reference: reference.0.clone(),
        method: method.to_owned(),
        amount: amount.minor,
        expected_amount: None,
        currency: amount.currency.code().to_owned(),
        means: given,
        store_means: false,
        customer: payer.customer.clone(),
        description: String::new(),
        return_url: String::new(),
        notify_url: String::new(),
        expires_at: None,
    })
}

fn stored(token: &Secret) -> MeansGiven {
    MeansGiven { token: Some(token.expose().to_owned()), ..MeansGiven::default() }
}

/// Card data are never taken from a caller: the payer types them on the sandbox's page.
fn card(means: &Means) -> Option<MeansGiven> {
    match means {
        Means::Stored(token) => Some(stored(token)),
        Means::AskPayer | Means::Given(_) => None,
    }
}

/// A direct debit has no page: without account data the PSP gets none, and says that the IBAN is wrong.
fn debit(means: &Means) -> Option<MeansGiven> {
    Some(match means {
        Means::Stored(token) => stored(token),
        Means::AskPayer => MeansGiven::default(),
        Means::Given(bearer) => MeansGiven {
            token: None,
            holder: value(bearer, &["Holder"]),
            iban: value(bearer, &["IBAN"]),
            mandate_reference: value(bearer, &["MandateReference", "MandateId"]),
        },
    })
}

/// The value under the first of the names, in any letter case: callers spell `IBAN`, `Iban` and `iban`.
fn value(bearer: &BTreeMap<String, String>, names: &[&str]) -> Option<String> {
    names
        .iter()
        .find_map(|name| bearer.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)))
        .map(|(_, value)| value.clone())
}

fn follow_up(
    reference: &OurReference,
    parent: &Parent,
    amount: Money,
    description: &str,
    hook_url: &str,
) -> FollowUpRequest {
    FollowUpRequest {
        reference: reference.0.clone(),
        parent_reference: parent.ours.0.clone(),
        parent_id: parent.theirs.clone(),
        amount: amount.minor,
        currency: amount.currency.code().to_owned(),
        description: description.to_owned(),
        notify_url: hook_url.to_owned(),
    }
}

fn headers(settings: &Settings) -> Vec<(&'static str, Header)> {
    let key = Secret::new(format!("Bearer {}", settings.get(API_KEY)));
    let mut headers = vec![("authorization", Header::Secret(key)), ("accept", plain("application/json"))];
    if settings.is_on(SCRIPTED) {
        headers.push((SCRIPTED_HEADER, plain("on")));
    }
    headers
}

fn plain(value: &str) -> Header {
    Header::Plain(value.to_owned())
}

fn get(settings: &Settings, path: &str) -> Request {
    Request {
        method: Method::Get,
        url: format!("{BASE_URL}{path}"),
        headers: headers(settings),
        body: Vec::new(),
        scrub: SCRUB,
    }
}

fn post(settings: &Settings, path: &str, body: &impl Serialize) -> Request {
    let mut headers = headers(settings);
    headers.push((NOTIFY_SECRET_HEADER, Header::Secret(settings.secret(WEBHOOK_SECRET))));
    headers.push(("content-type", plain("application/json")));
    // Structs of texts and whole numbers always have a JSON form.
    let body = serde_json::to_vec(body).unwrap_or_default();
    Request { method: Method::Post, url: format!("{BASE_URL}{path}"), headers, body, scrub: SCRUB }
}
