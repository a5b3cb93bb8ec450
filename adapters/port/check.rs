//! What can be seen to be wrong with an instruction by the manifest alone: what most of an adapter's `check` is made of.

use super::ids::document::{self, DocumentKind};
use super::instruction::{Instruction, Payer};
use super::manifest::{Manifest, MethodName, PayerField};
use super::outcome::Refusal;
use super::reason::Reason;

/// The amount is one that the PSP can move.
pub fn amount(manifest: &Manifest, method: MethodName, instruction: &Instruction) -> Result<(), Refusal> {
    let Some(money) = instruction.amount() else { return Ok(()) };
    let Some(line) = manifest.capability(instruction.kind(), method, money.currency) else {
        return Err(Refusal::new("currency", Reason::CurrencyInvalid, format!("{} is not moved", money.currency)));
    };
    match (line.minimum_minor..=line.maximum_minor).contains(&money.minor) {
        true => Ok(()),
        false => Err(Refusal::new("amount", Reason::AmountInvalid, "is outside of what can be moved")),
    }
}

/// What the PSP needs to know of whoever pays or is paid is told. A document is a CPF or CNPJ; a name is two.
pub fn brazilian(manifest: &Manifest, payer: &Payer) -> Result<(), Refusal> {
    for field in manifest.payer_fields {
        match field {
            PayerField::Name => {
                let (first, last) = names(payer);
                if first.is_empty() || last.is_empty() {
                    return Err(Refusal::new("name", Reason::DataInvalid, "first and last name are needed"));
                }
            }
            PayerField::Email => {
                let parts = payer.email.as_deref().and_then(|email| email.split_once('@'));
                if parts.is_none_or(|(name, domain)| name.is_empty() || domain.is_empty()) {
                    return Err(Refusal::new("email", Reason::DataInvalid, "an e-mail address is needed"));
                }
            }
            PayerField::Phone => {
                if payer.phone.as_deref().is_none_or(str::is_empty) {
                    return Err(Refusal::new("phone", Reason::DataInvalid, "a phone number is needed"));
                }
            }
            PayerField::Document => {
                let document = payer.document.as_deref().unwrap_or_default();
                let wrong = |why| Refusal::new("document", Reason::DocumentInvalid, format!("CPF or CNPJ {why}"));
                document::kind(document).map_err(wrong)?;
            }
        }
    }
    Ok(())
}

/// First name, and the rest. A company may have one word, which then stands in both.
pub fn names(payer: &Payer) -> (String, String) {
    let name = payer.name.as_deref().unwrap_or_default().trim();
    let (first, last) = name.split_once(char::is_whitespace).unwrap_or((name, ""));
    let company = payer.document.as_deref().is_some_and(|text| document::kind(text) == Ok(DocumentKind::Cnpj));
    let last = if last.is_empty() && company { first } else { last };
    (first.to_owned(), last.trim().to_owned())
}
