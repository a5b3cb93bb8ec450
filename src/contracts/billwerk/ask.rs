//! What the payer is asked where a PSP needs more than the platform brought. Pure.

use std::collections::BTreeMap;

use rialto_adapters::port::ids::document;
use rialto_adapters::port::manifest::PayerField;

use crate::pages::Question;
use crate::store::forms::Details;

/// Longest name and e-mail address; the latter is what the mail standard allows.
const NAME_MAX: usize = 100;
const EMAIL_MAX: usize = 254;
/// A document number with its usual dots and dashes, a phone number with spaces and brackets.
const DOCUMENT_MAX: usize = 24;
const PHONE_MAX: usize = 24;
/// Digits of an international phone number (E.164), and of the shortest that is one.
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 8..=15;

const FIELDS: [PayerField; 4] = [PayerField::Name, PayerField::Email, PayerField::Phone, PayerField::Document];

/// The name of a field's question in the form.
fn name(field: PayerField) -> &'static str {
    match field {
        PayerField::Name => "name",
        PayerField::Email => "email",
        PayerField::Phone => "phone",
        PayerField::Document => "document",
    }
}

/// The question for a field, with what was given for it and what is wrong with that. Nothing is wrong before anything was
/// given.
pub fn question(field: PayerField, given: &BTreeMap<String, String>) -> Question {
    let (label, autocomplete, keyboard, max) = match field {
        PayerField::Name => ("First and last name", "name", "text", NAME_MAX),
        PayerField::Email => ("E-mail address", "email", "email", EMAIL_MAX),
        PayerField::Phone => ("Phone number, with country code", "tel", "tel", PHONE_MAX),
        PayerField::Document => ("CPF or CNPJ", "off", "text", DOCUMENT_MAX),
    };
    let answer: String = given.get(name(field)).map(|text| text.trim().chars().take(max).collect()).unwrap_or_default();
    let wrong = match given.is_empty() {
        true => None,
        false => checked(field, &answer).err().map(str::to_owned),
    };
    Question { name: name(field), label, autocomplete, keyboard, max, answer, wrong }
}

/// The details with the answers to questions of which none is wrong.
pub fn completed(details: &Details, questions: &[Question]) -> Details {
    let mut details = details.clone();
    for question in questions {
        let Some(field) = FIELDS.into_iter().find(|field| name(*field) == question.name) else { continue };
        let Ok(value) = checked(field, &question.answer) else { continue };
        let place = match field {
            PayerField::Name => &mut details.name,
            PayerField::Email => &mut details.email,
            PayerField::Phone => &mut details.phone,
            PayerField::Document => &mut details.document,
        };
        *place = Some(value);
    }
    details
}

/// The answer as it is stored, or what the payer must mend.
fn checked(field: PayerField, answer: &str) -> Result<String, &'static str> {
    if answer.chars().any(char::is_control) {
        return Err("Please use letters and digits only.");
    }
    match field {
        PayerField::Name => {
            let parts: Vec<&str> = answer.split_whitespace().collect();
            match parts.len() {
                0 | 1 => Err("Please give your first and your last name."),
                _ => Ok(parts.join(" ")),
            }
        }
        PayerField::Email => match answer.rsplit_once('@') {
            Some((user, host)) if is_mailbox(user, host) => Ok(answer.to_owned()),
            Some(_) | None => Err("This is not an e-mail address."),
        },
        PayerField::Phone => {
            let digits: String = answer.chars().filter(char::is_ascii_digit).collect();
            let only_usual = answer.chars().all(|c| c.is_ascii_digit() || "+-(). /".contains(c));
            match only_usual && PHONE_DIGITS.contains(&digits.len()) {
                true => Ok(format!("+{digits}")),
                false => Err("This is not a phone number with its country code."),
            }
        }
        PayerField::Document => {
            document::normalise(answer).map_err(|_| "This is not a CPF or CNPJ: a digit is wrong or missing.")
        }
    }
}

fn is_mailbox(user: &str, host: &str) -> bool {
    let plain = |text: &str| !text.is_empty() && !text.contains('@') && !text.contains(char::is_whitespace);
    plain(user) && plain(host) && host.contains('.') && !host.starts_with('.') && !host.ends_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_checked_and_kept_in_one_form() {
        let rows = [
            (PayerField::Name, " Ada  Lovelace ", Some("Ada Lovelace")),
            (PayerField::Name, "Ada", None),
            (PayerField::Name, "", None),
            (PayerField::Name, "A\nda L", None),
            (PayerField::Email, "ada@example.com", Some("ada@example.com")),
            (PayerField::Email, "ada@example", None),
            (PayerField::Email, "a da@example.com", None),
            (PayerField::Email, "@example.com", None),
            (PayerField::Phone, "+55 (36) 3418-2141", Some("+553634182141")),
            (PayerField::Phone, "12345", None),
            (PayerField::Phone, "abc12345678", None),
            (PayerField::Document, "123.456.789-09", Some("12345678909")),
            (PayerField::Document, "12345678900", None),
            (PayerField::Document, "", None),
        ];
        for (field, answer, expected) in rows {
            let given = BTreeMap::from([(name(field).to_owned(), answer.to_owned())]);
            let asked = question(field, &given);
            assert_eq!(asked.wrong.is_none(), expected.is_some(), "{field:?} {answer:?}");
            let details = completed(&Details::default(), &[asked]);
            let kept = [details.name, details.email, details.phone, details.document].into_iter().flatten().next();
            assert_eq!(kept.as_deref(), expected, "{field:?} {answer:?}");
        }
    }

    #[test]
    fn nothing_is_wrong_before_anything_was_given() {
        for field in FIELDS {
            let asked = question(field, &BTreeMap::new());
            assert!(asked.wrong.is_none() && asked.answer.is_empty());
        }
        let details = Details { name: Some("Ada Lovelace".to_owned()), ..Details::default() };
        assert_eq!(details.missing(&FIELDS), [PayerField::Email, PayerField::Phone, PayerField::Document]);
    }
}
