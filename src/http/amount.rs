//! An amount as it stands on the wire: a decimal in major units, kept as the exact text of a JSON number.

use std::borrow::Cow;

use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use poem_openapi::types::{ParseError, ParseFromJSON, ParseFromParameter, ParseResult, ToJSON, Type};
use rialto_adapters::port::{Currency, Money, MoneyError};
use serde_json::Value;
use serde_json::value::RawValue;

/// Longest number text kept, in bytes. `Money` refuses far shorter ones; this only bounds what is copied about.
const TEXT_MAX: usize = 200;

/// A decimal number in major units (`19.99`), not yet tied to a currency. Equality is of the text: `1.0` is not `1`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Amount(String);

impl Amount {
    /// Takes the text of a JSON number; `None` for anything else.
    pub fn parse(text: &str) -> Option<Amount> {
        let number = text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) && text.len() <= TEXT_MAX;
        let exact = number && serde_json::from_str::<&RawValue>(text).is_ok_and(|raw| raw.get().len() == text.len());
        exact.then(|| Amount(text.to_owned()))
    }

    /// The number as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The exact amount in minor units, or why it is none in this currency.
    pub fn to_money(&self, currency: Currency) -> Result<Money, MoneyError> {
        Money::parse_major(&self.0, currency)
    }
}

impl From<Money> for Amount {
    fn from(money: Money) -> Amount {
        Amount(money.to_major())
    }
}

impl Type for Amount {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "number_decimal".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema::new_with_format("number", "decimal")))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(self.as_raw_value().into_iter())
    }
}

/// The body reader hands the text of a number over as a JSON string, since a JSON value would have lost digits.
impl ParseFromJSON for Amount {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        match value {
            Some(Value::String(text)) => {
                Amount::parse(&text).ok_or_else(|| ParseError::expected_type(Value::String(text)))
            }
            // Outside the body reader a whole number is still exact; a fraction has already been through a float.
            Some(Value::Number(number)) if number.is_i64() || number.is_u64() => Ok(Amount(number.to_string())),
            other => Err(ParseError::expected_type(other.unwrap_or_default())),
        }
    }
}

impl ParseFromParameter for Amount {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        Amount::parse(value).ok_or_else(|| ParseError::custom("is not a decimal number"))
    }
}

/// The body writer prints this string as a bare number.
impl ToJSON for Amount {
    fn to_json(&self) -> Option<Value> {
        Some(Value::String(self.0.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_text_of_a_json_number_is_an_amount() {
        for good in ["0", "-0", "19.99", "1e2", "1E+2", "70000000.05", "12345678901234567890.10"] {
            assert_eq!(Amount::parse(good).map(|a| a.0), Some(good.to_owned()));
        }
        let long = "9".repeat(TEXT_MAX + 1);
        for bad in ["", " 1", "1 ", "1.", ".5", "+1", "01", "0x1", "1,5", "--1", "null", "\"1\"", "NaN", "1 2", &long] {
            assert_eq!(Amount::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn money_is_exact_both_ways() {
        let amount = Amount::parse("19.99").expect("a number");
        assert_eq!(amount.to_money(Currency::EUR), Ok(Money::new(1999, Currency::EUR)));
        assert_eq!(Amount::from(Money::new(2550, Currency::EUR)).as_str(), "25.5");
        let fine = Amount::parse("10.001").expect("a number");
        assert_eq!(fine.to_money(Currency::EUR), Err(MoneyError::TooPrecise(2)));
    }

    #[test]
    fn a_fraction_that_went_through_a_float_is_refused() {
        assert!(Amount::parse_from_json(Some(serde_json::json!(19.99))).is_err());
        assert_eq!(Amount::parse_from_json(Some(serde_json::json!(20))).expect("whole").as_str(), "20");
        assert!(Amount::parse_from_json(None).is_err());
    }
}
