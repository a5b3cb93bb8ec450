//! Between the contract's words and the one model's. Pure.

use std::collections::BTreeMap;

use poem_openapi::types::ToJSON;
use rialto_adapters::port::manifest::{Capability, Manifest, MethodName};
use rialto_adapters::port::{Currency, Kind, Money, MoneyError, Reason, Timestamp};
use serde_json::Value;
use time::format_description::FormatItem;
use time::macros::format_description;
use time::{Date, OffsetDateTime};

use super::dto::{
    InvoiceDataDto, OrderDataDto, PayerDataDto, PaymentChargebackReason, PaymentMeansReferenceDto,
    PublicPaymentProviderRole as Role,
};
use super::errors::Failure;
use crate::http::amount::Amount;
use crate::store::forms::Details;

/// As billwerk's own integrator writes it: seven decimals, of which three mean something.
const MOMENT: &[FormatItem] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:7]Z");
const MINUTE: &[FormatItem] = format_description!("[year]-[month]-[day] [hour]:[minute] UTC");
const DAY: &[FormatItem] = format_description!("[year]-[month]-[day]");

/// The end of what `moment` writes: 9999-12-31T23:59:59Z, which .NET reads as "never".
pub const NEVER: Timestamp = Timestamp(253_402_300_799_000);

/// UTC, `2024-06-18T20:23:59.0000000Z`.
pub fn moment(at: Timestamp) -> String {
    written(at, MOMENT)
}

/// UTC, `2024-06-18`.
pub fn day(at: Timestamp) -> String {
    written(at, DAY)
}

/// UTC, `2024-06-18 20:23 UTC`, for people.
pub fn minute(at: Timestamp) -> String {
    written(at, MINUTE)
}

fn written(at: Timestamp, format: &[FormatItem]) -> String {
    let at = at.0.clamp(0, NEVER.0);
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at) * 1_000_000);
    at.ok().and_then(|at| at.format(&format).ok()).unwrap_or_default()
}

/// A text, with an empty one taken as left out.
pub fn filled(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.trim().is_empty())
}

/// An id of the platform's: printable, no spaces around it.
pub fn id(field: &str, text: &str) -> Result<String, Failure> {
    let printable = text.chars().all(|c| !c.is_control() && (c == ' ' || !c.is_whitespace()));
    match !text.is_empty() && printable && text.trim() == text {
        true => Ok(text.to_owned()),
        false => Err(Failure::data(field, "must be printable, without spaces at its ends, and not empty")),
    }
}

/// An id that may be left out.
pub fn optional_id(field: &str, text: &Option<String>) -> Result<Option<String>, Failure> {
    filled(text).map(|text| id(field, text)).transpose()
}

/// A currency with a minor unit, in any letter case.
pub fn currency(text: &str) -> Result<Currency, Failure> {
    let known = Currency::parse(text.trim());
    known.ok_or_else(|| Failure::currency(format!("{text:?} is not an ISO 4217 currency that can be moved")))
}

/// A date, or a moment of which only the date counts: when that day begins, in UTC.
pub fn date(field: &str, text: &Option<String>) -> Result<Option<Timestamp>, Failure> {
    let Some(text) = filled(text) else { return Ok(None) };
    let day = text.get(..10).and_then(|day| Date::parse(day, &DAY).ok());
    let start = day.map(|day| Timestamp(day.midnight().assume_utc().unix_timestamp() * 1_000));
    start.map(Some).ok_or_else(|| Failure::data(field, "must be a date (yyyy-MM-dd)"))
}

/// When the day of a moment begins, in UTC.
pub fn start_of_day(at: Timestamp) -> Timestamp {
    const DAY_MS: i64 = 24 * 3600 * 1000;
    Timestamp(at.0 - at.0.rem_euclid(DAY_MS))
}

/// Dates and figures of an order that make no sense. What is left out is left out.
pub fn order(order: Option<&OrderDataDto>) -> Result<(), Failure> {
    let Some(order) = order else { return Ok(()) };
    date("orderData.nextPaymentDate", &order.next_payment_date)?;
    match &order.recurring_fee {
        Some(fee) if fee.as_str().starts_with('-') => {
            Err(Failure::data("orderData.recurringFee", "must not be negative"))
        }
        Some(_) | None => Ok(()),
    }
}

/// Dates of an invoice that are none.
pub fn invoice(invoice: Option<&InvoiceDataDto>) -> Result<(), Failure> {
    let Some(invoice) = invoice else { return Ok(()) };
    date("invoiceData.invoiceDate", &invoice.invoice_date)?;
    date("invoiceData.dueDate", &invoice.due_date)?;
    for (at, line) in invoice.line_items.iter().flatten().enumerate() {
        date(&format!("invoiceData.lineItems[{at}].periodStart"), &line.period_start)?;
        date(&format!("invoiceData.lineItems[{at}].periodEnd"), &line.period_end)?;
    }
    Ok(())
}

/// The exact amount of a request.
pub fn money(amount: &Amount, currency: &str) -> Result<Money, Failure> {
    let currency = self::currency(currency)?;
    let money = amount.to_money(currency).map_err(|error| match error {
        MoneyError::TooPrecise(places) => {
            Failure::amount(format!("has more than {places} decimal places, which {currency} does not have"))
        }
        error @ (MoneyError::Syntax | MoneyError::Range) => Failure::amount(error),
    })?;
    match money.minor {
        ..0 => Err(Failure::amount("must not be negative")),
        0.. => Ok(money),
    }
}

/// An amount that moves money.
pub fn positive(money: Money) -> Result<Money, Failure> {
    if money.minor > 0 { Ok(money) } else { Err(Failure::amount("must be above 0")) }
}

/// `25.50 EUR`, for messages.
pub fn shown(money: Money) -> String {
    format!("{} {}", money.to_major_padded(), money.currency)
}

/// The model's word for a kind of means, or `None` for what no connection can offer.
pub fn method(role: Role, manifest: &Manifest) -> Option<MethodName> {
    match role {
        Role::Default => manifest.capabilities.first().map(|capability| capability.method),
        Role::CreditCard => Some(MethodName::Card),
        Role::Debit => Some(MethodName::DirectDebit),
        Role::Ideal | Role::MobilePay | Role::AmazonPay => push_line(manifest).map(|line| line.method),
        Role::OnAccount | Role::Betalingsservice | Role::Autogiro | Role::Avtalegiro => None,
    }
}

/// The charge that a payer pushes from a page, where money can neither be reserved nor means be kept.
pub fn push_line(manifest: &Manifest) -> Option<&Capability> {
    let pushed = |line: &&Capability| match line.method {
        MethodName::BankTransfer | MethodName::Pix => line.kind == Kind::Charge && line.interactive,
        MethodName::Card | MethodName::DirectDebit => false,
    };
    manifest.capabilities.iter().find(pushed)
}

/// Why money was taken back, in the contract's words.
pub fn chargeback_reason(reason: Option<Reason>) -> PaymentChargebackReason {
    let Some(reason) = reason else { return PaymentChargebackReason::Unknown };
    match reason {
        Reason::InsufficientFunds | Reason::LimitExceeded => PaymentChargebackReason::InsufficientBalance,
        Reason::MeansInvalid
        | Reason::MeansExpired
        | Reason::IbanInvalid
        | Reason::BicInvalid
        | Reason::DestinationInvalid => PaymentChargebackReason::BearerInvalid,
        Reason::CancelledByPayer | Reason::PayerMismatch | Reason::Fraud => PaymentChargebackReason::UserInitiated,
        Reason::Rejected | Reason::Compliance | Reason::AccountRefused => PaymentChargebackReason::Rejected,
        Reason::DocumentInvalid
        | Reason::AmountInvalid
        | Reason::CurrencyInvalid
        | Reason::CountryInvalid
        | Reason::DataInvalid
        | Reason::AuthenticationFailed
        | Reason::InvalidState
        | Reason::RateLimited
        | Reason::ProviderError
        | Reason::NotSent
        | Reason::NotReceived => PaymentChargebackReason::Unknown,
    }
}

/// What the PSP is told of the payer and of the purpose.
pub fn details(payer: Option<&PayerDataDto>, text: &Option<String>, invoice_text: &Option<String>) -> Details {
    let owned = |text: &Option<String>| filled(text).map(|text| text.trim().to_owned());
    let description = filled(text).or(filled(invoice_text)).unwrap_or_default().to_owned();
    let Some(payer) = payer else { return Details { description, ..Details::default() } };
    let person = [filled(&payer.first_name), filled(&payer.last_name)];
    let person = person.into_iter().flatten().collect::<Vec<_>>().join(" ");
    Details {
        description,
        customer: owned(&payer.external_customer_id),
        name: owned(&payer.company_name).or((!person.is_empty()).then_some(person)),
        email: owned(&payer.email_address),
        phone: owned(&payer.phone_number),
        country: payer.address.as_ref().and_then(|address| owned(&address.country)),
        language: owned(&payer.language).map(|language| language.to_ascii_lowercase()),
        ..Details::default()
    }
}

/// Longest key and value of account data.
const BEARER_KEY_MAX: usize = 100;
const BEARER_VALUE_MAX: usize = 500;

/// The account data a caller brought, checked in size only.
pub fn initial_bearer(means: Option<&PaymentMeansReferenceDto>) -> Result<BTreeMap<String, String>, Failure> {
    let given = means.and_then(|means| means.initial_bearer.clone()).unwrap_or_default();
    for (key, value) in &given {
        if key.chars().count() > BEARER_KEY_MAX || value.chars().count() > BEARER_VALUE_MAX {
            let text = format!("has a key above {BEARER_KEY_MAX} or a value above {BEARER_VALUE_MAX} characters");
            return Err(Failure::data("paymentMeansReference.initialBearer", text));
        }
    }
    Ok(given)
}

/// The fields of a request by path, to tell a repeat from another request: what was left out is left out, and an amount is
/// the same however it is written.
pub fn fields<T: ToJSON>(request: &T, money: Money) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    flatten(&mut fields, String::new(), &request.to_json().unwrap_or_default());
    fields.insert("requestedAmount".to_owned(), money.minor.to_string());
    fields.insert("currency".to_owned(), money.currency.code().to_owned());
    fields
}

fn flatten(fields: &mut BTreeMap<String, String>, path: String, value: &Value) {
    match value {
        Value::Null => {}
        Value::Object(members) => {
            for (key, value) in members {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(fields, path, value);
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                flatten(fields, format!("{path}[{at}]"), item);
            }
        }
        Value::String(text) => {
            fields.insert(path, text.clone());
        }
        Value::Bool(_) | Value::Number(_) => {
            fields.insert(path, value.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contracts::billwerk::dto::{PaymentErrorCode as Code, PreauthRequestDto};
    use crate::http::body::read;

    #[test]
    fn times_are_utc() {
        assert_eq!(moment(Timestamp(1_718_742_239_007)), "2024-06-18T20:23:59.0070000Z");
        assert_eq!(day(Timestamp(1_718_742_239_007)), "2024-06-18");
        assert_eq!(moment(NEVER), "9999-12-31T23:59:59.0000000Z");
        assert_eq!(moment(Timestamp(i64::MAX)), moment(NEVER));
    }

    #[test]
    fn amounts_are_exact_or_refused() {
        let rows: &[(&str, &str, Result<i64, Code>)] = &[
            ("19.99", "EUR", Ok(1999)),
            ("19.990", "eur", Ok(1999)),
            ("1e2", "EUR", Ok(10_000)),
            ("0", "EUR", Ok(0)),
            ("70000000.05", "EUR", Ok(7_000_000_005)),
            ("10", "JPY", Ok(10)),
            ("1.234", "KWD", Ok(1234)),
            ("19.991", "EUR", Err(Code::InvalidAmount)),
            ("10.5", "JPY", Err(Code::InvalidAmount)),
            ("-1", "EUR", Err(Code::InvalidAmount)),
            ("1e30", "EUR", Err(Code::InvalidAmount)),
            ("1e999999999", "EUR", Err(Code::InvalidAmount)),
            ("1", "XXX", Err(Code::InvalidCurrency)),
            ("1", "EURO", Err(Code::InvalidCurrency)),
            ("1", "", Err(Code::InvalidCurrency)),
        ];
        for (amount, currency, expected) in rows {
            let got = money(&Amount::parse(amount).expect("a number"), currency);
            let got = got.map(|money| money.minor).map_err(|failure| failure.code);
            assert_eq!(got, *expected, "{amount} {currency}");
        }
        assert!(positive(Money::new(0, Currency::EUR)).is_err());
    }

    #[test]
    fn ids_are_printable() {
        for good in ["20221118-636bd596c10cfc318b1bfabb", "a", "A b", "ü"] {
            assert!(id("transactionId", good).is_ok(), "{good}");
        }
        for bad in ["", " a", "a ", "a\nb", "a\tb", "a\u{2028}b", "\u{7f}"] {
            assert!(id("transactionId", bad).is_err(), "{bad:?}");
        }
        assert_eq!(optional_id("agreementId", &Some(" ".to_owned())), Ok(None));
    }

    #[test]
    fn the_same_request_has_the_same_fields() {
        let fields = |text: &str| {
            let request: PreauthRequestDto = read(text.as_bytes()).expect("a request");
            let amount = request.requested_amount.clone().expect("an amount");
            let money = money(&amount, &request.currency).expect("money");
            super::fields(&request, money)
        };
        let one = fields(
            r#"{"transactionId":"a","requestedAmount":10.0,"currency":"EUR","payerData":{"firstName":"A"},
                "paymentMeansReference":{"role":2,"initialBearer":{"IBAN":"x"}},"unknown":1}"#,
        );
        let other = fields(
            r#"{"Currency":"eur","TransactionId":"a","requestedamount":1e1,"payerData":{"FirstName":"A","lastName":null},
                "PaymentMeansReference":{"Role":"creditcard","InitialBearer":{"IBAN":"x"}}}"#,
        );
        assert_eq!(one, other);
        assert_eq!(one.get("requestedAmount").map(String::as_str), Some("1000"));
        assert_eq!(one.get("paymentMeansReference.initialBearer.IBAN").map(String::as_str), Some("x"));
        let another = fields(r#"{"transactionId":"a","requestedAmount":11,"currency":"EUR"}"#);
        assert_ne!(one, another);
    }

    #[test]
    fn the_payer_as_the_psp_is_told() {
        let payer = |company: &str, first: &str, last: &str| PayerDataDto {
            company_name: Some(company.to_owned()),
            first_name: Some(first.to_owned()),
            last_name: Some(last.to_owned()),
            language: Some("DE".to_owned()),
            ..PayerDataDto::default()
        };
        let rows = [
            ("", "Ada", "L", Some("Ada L")),
            ("Acme", "Ada", "L", Some("Acme")),
            ("", "", "L", Some("L")),
            ("", "", "", None),
        ];
        for (company, first, last, expected) in rows {
            let details = details(Some(&payer(company, first, last)), &None, &Some("invoice 1".to_owned()));
            assert_eq!(details.name.as_deref(), expected);
            assert_eq!(details.language.as_deref(), Some("de"));
            assert_eq!(details.description, "invoice 1");
        }
    }
}
