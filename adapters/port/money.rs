//! Money: whole minor units and a currency that knows its ISO 4217 exponent. No floating point, ever.

use std::fmt;

/// An ISO 4217 currency with a defined number of decimals (`EUR` 2, `JPY` 0, `KWD` 3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency {
    code: [u8; 3],
    exponent: u8,
}

impl Currency {
    pub const BRL: Currency = Currency { code: *b"BRL", exponent: 2 };
    pub const EUR: Currency = Currency { code: *b"EUR", exponent: 2 };
    pub const TRY: Currency = Currency { code: *b"TRY", exponent: 2 };
    pub const USD: Currency = Currency { code: *b"USD", exponent: 2 };

    /// Reads an alphabetic code in any letter case. Codes without a minor unit of their own (`XAU`, `XXX`) are not
    /// money that can be moved and answer `None`.
    pub fn parse(code: &str) -> Option<Currency> {
        let upper: [u8; 3] = code.as_bytes().try_into().ok()?;
        let upper = upper.map(|b| b.to_ascii_uppercase());
        let text = std::str::from_utf8(&upper).ok()?;
        let exponent = iso_currency::Currency::from_code(text)?.exponent()?;
        Some(Currency { code: upper, exponent: u8::try_from(exponent).ok()? })
    }

    /// `"EUR"`.
    pub fn code(&self) -> &str {
        // The bytes come from an ASCII table, or from the constants above.
        std::str::from_utf8(&self.code).unwrap_or("XXX")
    }

    /// Number of decimals of the major unit: EUR 2, JPY 0, KWD 3.
    pub fn exponent(&self) -> u32 {
        u32::from(self.exponent)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// An amount in minor units (cents for EUR) of one currency. May be zero; the code that needs a positive amount says so.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    pub minor: i64,
    pub currency: Currency,
}

/// Why a text is not an amount of a currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    #[error("is not a decimal number")]
    Syntax,
    #[error("is out of range")]
    Range,
    #[error("has more than {0} decimal places")]
    TooPrecise(u32),
}

/// Digits an amount may have; more cannot fit into 64 bits of minor units anyway.
const MAX_DIGITS: usize = 30;
/// Largest power of ten accepted in `1e3` notation, so that `1e999999999` does not expand.
const MAX_EXPONENT: i64 = 40;

impl Money {
    pub fn new(minor: i64, currency: Currency) -> Money {
        Money { minor, currency }
    }

    /// Reads a decimal in major units as JSON writes numbers: `"19.99"`, `"1e2"`, `"-0.5"`. Exact or refused:
    /// trailing zeros are fine (`10.000` EUR), a digit the currency does not have is [`MoneyError::TooPrecise`].
    pub fn parse_major(text: &str, currency: Currency) -> Result<Money, MoneyError> {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().map_err(|_| MoneyError::Syntax)?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((_, "")) => return Err(MoneyError::Syntax),
            Some((whole, fraction)) => (whole, fraction),
            None => (mantissa, ""),
        };
        let digits = whole.bytes().chain(fraction.bytes());
        if whole.is_empty() || digits.clone().any(|b| !b.is_ascii_digit()) {
            return Err(MoneyError::Syntax);
        }
        let significant: Vec<u8> = digits.skip_while(|b| *b == b'0').collect();
        if significant.is_empty() {
            return Ok(Money { minor: 0, currency });
        }
        // Trailing zeros say nothing about precision: 10.000 EUR is 10 EUR.
        let trailing = significant.iter().rev().take_while(|b| **b == b'0').count();
        let kept = &significant[..significant.len() - trailing];
        if kept.len() > MAX_DIGITS || exponent.abs() > MAX_EXPONENT || trailing + fraction.len() > 4 * MAX_DIGITS {
            return Err(MoneyError::Range);
        }
        let mut value: i128 = 0;
        for digit in kept {
            value = value * 10 + i128::from(digit - b'0');
        }
        // value × 10^shift is the amount in minor units.
        let shift = trailing as i64 - fraction.len() as i64 + exponent + i64::from(currency.exponent);
        if shift < 0 {
            return Err(MoneyError::TooPrecise(currency.exponent()));
        }
        for _ in 0..shift {
            value = value.checked_mul(10).ok_or(MoneyError::Range)?;
        }
        let minor = i64::try_from(value).map_err(|_| MoneyError::Range)?;
        Ok(Money { minor: if negative { -minor } else { minor }, currency })
    }

    /// The shortest exact decimal in major units: `25.5`, `5`, `-0.05`. What a JSON number may be written as.
    pub fn to_major(&self) -> String {
        let full = self.to_major_padded();
        match full.contains('.') {
            true => full.trim_end_matches('0').trim_end_matches('.').to_owned(),
            false => full,
        }
    }

    /// All decimals the currency has: `25.50`, `5.00`, `-0.05`. What a person reads.
    pub fn to_major_padded(&self) -> String {
        let places = self.currency.exponent() as usize;
        let sign = if self.minor < 0 { "-" } else { "" };
        let digits = self.minor.unsigned_abs().to_string();
        if places == 0 {
            return format!("{sign}{digits}");
        }
        let padded = format!("{digits:0>width$}", width = places + 1);
        let (whole, fraction) = padded.split_at(padded.len() - places);
        format!("{sign}{whole}.{fraction}")
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.to_major_padded(), self.currency)
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decimals_are_read_exactly_or_refused() {
        let jpy = Currency::parse("jpy").expect("JPY");
        let kwd = Currency::parse("KWD").expect("KWD");
        let rows: &[(&str, Currency, Result<i64, MoneyError>)] = &[
            ("19.99", Currency::EUR, Ok(1999)),
            ("4.35", Currency::EUR, Ok(435)),
            ("1e2", Currency::EUR, Ok(10_000)),
            ("1E+2", Currency::EUR, Ok(10_000)),
            ("1999e-2", Currency::EUR, Ok(1999)),
            ("70000000.05", Currency::EUR, Ok(7_000_000_005)),
            ("0.10", Currency::EUR, Ok(10)),
            ("10.000", Currency::EUR, Ok(1000)),
            ("-0.5", Currency::EUR, Ok(-50)),
            ("-0", Currency::EUR, Ok(0)),
            ("0e999999999", Currency::EUR, Ok(0)),
            ("100", jpy, Ok(100)),
            ("1.234", kwd, Ok(1234)),
            ("92233720368547758.07", Currency::EUR, Ok(i64::MAX)),
            ("92233720368547758.08", Currency::EUR, Err(MoneyError::Range)),
            ("10.001", Currency::EUR, Err(MoneyError::TooPrecise(2))),
            ("10.5", jpy, Err(MoneyError::TooPrecise(0))),
            ("1e999999999", Currency::EUR, Err(MoneyError::Range)),
            ("1e99999999999999999999", Currency::EUR, Err(MoneyError::Syntax)),
            ("1e", Currency::EUR, Err(MoneyError::Syntax)),
            ("1.", Currency::EUR, Err(MoneyError::Syntax)),
            (".5", Currency::EUR, Err(MoneyError::Syntax)),
            ("", Currency::EUR, Err(MoneyError::Syntax)),
            ("--1", Currency::EUR, Err(MoneyError::Syntax)),
            ("1,5", Currency::EUR, Err(MoneyError::Syntax)),
            ("٣", Currency::EUR, Err(MoneyError::Syntax)),
        ];
        for (text, currency, expected) in rows {
            assert_eq!(Money::parse_major(text, *currency).map(|m| m.minor), *expected, "{text:?} {currency}");
        }
    }

    #[test]
    fn texts_a_person_and_a_machine_read() {
        assert_eq!(Money::new(2550, Currency::EUR).to_major(), "25.5");
        assert_eq!(Money::new(500, Currency::EUR).to_major(), "5");
        assert_eq!(Money::new(-5, Currency::EUR).to_major(), "-0.05");
        assert_eq!(Money::new(2550, Currency::EUR).to_string(), "25.50 EUR");
        assert_eq!(Money::new(i64::MIN, Currency::EUR).to_major(), "-92233720368547758.08");
    }

    #[test]
    fn codes_without_a_minor_unit_are_not_money() {
        for code in ["XXX", "XAU", "E", "EURO", "€", "", "ZZZ"] {
            assert_eq!(Currency::parse(code), None, "{code:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(minor in any::<i64>().prop_filter("i64::MIN has no positive twin", |m| *m != i64::MIN)) {
            for code in ["EUR", "JPY", "KWD", "CLF"] {
                let money = Money::new(minor, Currency::parse(code).expect("a known code"));
                prop_assert_eq!(Money::parse_major(&money.to_major(), money.currency), Ok(money));
                prop_assert_eq!(Money::parse_major(&money.to_major_padded(), money.currency), Ok(money));
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,40}") {
            let _ = Money::parse_major(&text, Currency::EUR);
        }
    }
}
