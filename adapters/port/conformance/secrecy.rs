//! Secrets do not print: not in a URL, a plain header, a body that is kept, or the text of a fault.

use serde_json::Value;

use super::case::{CallCase, Cases};
use super::{Answer, Call, FakeWire, Suite, golden};
use crate::port::instruction::{Instruction, Means, Payer};
use crate::port::outcome::{BalanceAnswer, Feed, Lookup, Outcome, Probe};
use crate::port::wire::{Header, Request};

/// Shorter values would be found everywhere by chance.
const MIN_SECRET_LENGTH: usize = 6;
/// What stands in the place of a scrubbed value.
const SCRUBBED: &str = "***";

pub fn check(suite: &Suite<'_>, cases: &Cases) -> Vec<String> {
    let mut failures = Vec::new();
    for case in cases.encode.iter().chain(&cases.reply) {
        let secrets = secrets(suite, case);
        let sent = golden::requests(suite, case);
        for request in &sent {
            for (name, secret) in &secrets {
                if let Some(place) = shown_in(request, secret) {
                    failures.push(format!("{}: {name} can be read in {place}", case.name));
                }
            }
        }
        answers(suite, case, &secrets, &sent, &mut failures);
    }
    failures
}

/// Names and values that must not be readable: secret settings, tokens, account data, documents.
fn secrets(suite: &Suite<'_>, case: &CallCase) -> Vec<(String, String)> {
    let settings = suite.settings_with(&case.settings);
    let mut secrets: Vec<(String, String)> = suite
        .manifest()
        .settings
        .iter()
        .filter(|field| field.secret)
        .map(|field| (format!("the setting {}", field.key), settings.get(field.key).to_owned()))
        .collect();
    if let Call::Submit(instruction) = &case.call {
        match means(instruction) {
            Some(Means::Stored(token)) => secrets.push(("the stored token".to_owned(), token.expose().to_owned())),
            Some(Means::Given(bearer)) => {
                let account = bearer.iter().filter(|(key, _)| is_account(key));
                secrets.extend(account.map(|(key, value)| (format!("the payer's {key}"), value.clone())));
            }
            Some(Means::AskPayer) | None => {}
        }
        if let Some(document) = payer(instruction).and_then(|payer| payer.document.clone()) {
            secrets.push(("the payer's document".to_owned(), document));
        }
    }
    secrets.retain(|(_, value)| value.len() >= MIN_SECRET_LENGTH);
    secrets
}

fn is_account(key: &str) -> bool {
    ["iban", "holder", "pan", "cvc", "account", "number"].iter().any(|part| key.to_ascii_lowercase().contains(part))
}

fn means(instruction: &Instruction) -> Option<&Means> {
    match instruction {
        Instruction::StoreMeans(i) => Some(&i.means),
        Instruction::Preauth(i) => Some(&i.means),
        Instruction::Charge(i) => Some(&i.means),
        Instruction::Capture(_)
        | Instruction::Release(_)
        | Instruction::Close(_)
        | Instruction::Payout(_)
        | Instruction::Refund(_) => None,
    }
}

fn payer(instruction: &Instruction) -> Option<&Payer> {
    match instruction {
        Instruction::StoreMeans(i) => Some(&i.payer),
        Instruction::Preauth(i) => Some(&i.payer),
        Instruction::Charge(i) => Some(&i.payer),
        Instruction::Payout(i) => Some(&i.payee),
        Instruction::Capture(_) | Instruction::Release(_) | Instruction::Close(_) | Instruction::Refund(_) => None,
    }
}

/// The place of a request in which a transcript would show this text.
fn shown_in(request: &Request, secret: &str) -> Option<String> {
    if request.url.contains(secret) {
        return Some("the URL".to_owned());
    }
    for (name, header) in &request.headers {
        match header {
            Header::Plain(value) if value.contains(secret) => return Some(format!("the plain header {name}")),
            Header::Plain(_) | Header::Secret(_) => {}
        }
    }
    scrubbed(&request.body, request.scrub)
        .contains(secret)
        .then(|| "the body, in a member that is not scrubbed".to_owned())
}

/// Tokens the PSP gives back are scrubbed from the reply, and no fault's text holds a secret.
fn answers(
    suite: &Suite<'_>,
    case: &CallCase,
    secrets: &[(String, String)],
    sent: &[Request],
    failures: &mut Vec<String>,
) {
    let wire = FakeWire::replaying(case.replies.clone());
    let answer = suite.call(&suite.settings_with(&case.settings), &wire, &case.call);
    if let Some(text) = fault_text(&answer) {
        let shown = secrets.iter().filter(|(_, secret)| text.contains(secret.as_str()));
        failures.extend(shown.map(|(name, _)| format!("{}: {name} stands in the text of a fault", case.name)));
    }
    let tokens: Vec<&str> =
        answer.reports().iter().filter_map(|report| Some(report.means.as_ref()?.token.expose())).collect();
    for (request, reply) in sent.iter().zip(&case.replies) {
        let Ok(reply) = reply else { continue };
        let kept = scrubbed(&reply.body, request.scrub);
        if tokens.iter().any(|token| token.len() >= MIN_SECRET_LENGTH && kept.contains(token)) {
            failures
                .push(format!("{}: the token can be read in the reply, in a member that is not scrubbed", case.name));
        }
    }
}

fn fault_text(answer: &Answer) -> Option<&str> {
    match answer {
        Answer::Submitted(Outcome::NotSent(fault) | Outcome::Unknown(fault))
        | Answer::LookedUp(Lookup::Unknown(fault))
        | Answer::Probed(Probe::Unknown(fault))
        | Answer::Balanced(BalanceAnswer::Unknown(fault))
        | Answer::Fed(Feed::Unknown(fault)) => Some(&fault.text),
        Answer::Submitted(Outcome::Reported(_))
        | Answer::LookedUp(Lookup::Reported(_) | Lookup::Absent | Lookup::CannotAsk)
        | Answer::Probed(Probe::Valid(_) | Probe::Refused(..))
        | Answer::Balanced(BalanceAnswer::Known(_) | BalanceAnswer::Unsupported)
        | Answer::Fed(Feed::Page { .. } | Feed::Unsupported) => None,
    }
}

/// A body as a transcript keeps it: the named members of JSON or of a form replaced.
fn scrubbed(body: &[u8], names: &[&str]) -> String {
    let text = String::from_utf8_lossy(body);
    if let Ok(mut value) = serde_json::from_str::<Value>(&text) {
        scrub(&mut value, names);
        return value.to_string();
    }
    let pair = |pair: &str| match pair.split_once('=') {
        Some((name, _)) if names.contains(&name) => format!("{name}={SCRUBBED}"),
        Some(_) | None => pair.to_owned(),
    };
    text.split('&').map(pair).collect::<Vec<_>>().join("&")
}

fn scrub(value: &mut Value, names: &[&str]) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match names.contains(&name.as_str()) {
                    true => *member = Value::String(SCRUBBED.to_owned()),
                    false => scrub(member, names),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| scrub(item, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
