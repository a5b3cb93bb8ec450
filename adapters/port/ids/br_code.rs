//! BR Code: the text behind a PIX QR code ("copia e cola"), which is also what a payer copies. EMV's tag-length-value with
//! a checksum at the end.
//!
//! A PSP's code is shown as it came, never built anew; reading it proves that it is whole, PIX, and of the right amount.

use crate::port::money::{Currency, Money};

use super::pix_id::is_static_txid;

/// The arrangement's name, compared without regard to case.
const GUI: &str = "br.gov.bcb.pix";
const KEY_MAX: usize = 77;
const URL_MAX: usize = 77;
const NAME_MAX: usize = 25;
const CITY_MAX: usize = 15;
/// Longest value of any field: its length is two digits.
const FIELD_MAX: usize = 99;

/// Why a text is not a BR Code for PIX.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrCodeFault {
    #[error("is empty")]
    Empty,
    #[error("has a field whose length is not that of its value")]
    Length,
    #[error("has no checksum")]
    MissingCrc,
    #[error("does not end with its checksum")]
    CrcPosition,
    #[error("has a wrong checksum")]
    Crc,
    #[error("is of another payload format")]
    PayloadFormat,
    #[error("is not a PIX code")]
    NotPix,
    #[error("is not in BRL")]
    Currency,
    #[error("is not of Brazil")]
    Country,
    #[error("lacks a field")]
    MissingField,
    #[error("has a field twice")]
    DuplicateField,
    #[error("has a field that is too long")]
    TooLong,
    #[error("has a transaction id with a character that does not belong there")]
    Characters,
    #[error("has an amount that is none")]
    Amount,
    #[error("has an empty key")]
    Key,
    #[error("has an address with a scheme, or an empty one")]
    Url,
    #[error("has a key and an address")]
    Ambiguous,
}

/// A BR Code, as its fields. A key makes it static, a URL dynamic, a recurrence URL recurring; or both of the last two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrCode {
    /// `true` for a code that is paid once, `false` for one that is paid often, `None` where it does not say.
    pub once: Option<bool>,
    pub key: Option<String>,
    /// A text for the payer, of a static code.
    pub info: Option<String>,
    /// The participant that hands out cash, of a static code for a withdrawal.
    pub cash_ispb: Option<String>,
    /// Where the payer's bank fetches the charge; without `https://`.
    pub url: Option<String>,
    pub recurrence_url: Option<String>,
    /// `None`: the payer types it, or it stands behind the URL.
    pub amount: Option<Money>,
    pub name: String,
    pub city: String,
    pub postal_code: Option<String>,
    /// `***` for none.
    pub txid: String,
}

impl BrCode {
    /// Reads a code: whole, of the right structure and checksum, in BRL, of Brazil.
    pub fn parse(text: &str) -> Result<BrCode, BrCodeFault> {
        if text.is_empty() {
            return Err(BrCodeFault::Empty);
        }
        let fields = Fields::parse(text)?;
        let told = match fields.0.iter().position(|(id, _)| *id == 63) {
            None => return Err(BrCodeFault::MissingCrc),
            Some(at) if at + 1 != fields.0.len() => return Err(BrCodeFault::CrcPosition),
            Some(at) => fields.0[at].1,
        };
        // The value is the text's own end. It covers everything before, its id and length as well.
        let signed = &text[..text.len() - told.len()];
        if !format!("{:04X}", crc16(signed.as_bytes())).eq_ignore_ascii_case(told) {
            return Err(BrCodeFault::Crc);
        }
        BrCode::of(&fields)
    }

    fn of(fields: &Fields<'_>) -> Result<BrCode, BrCodeFault> {
        if fields.0.first() != Some(&(0, "01")) {
            return Err(BrCodeFault::PayloadFormat);
        }
        fields.once_each()?;
        let account = fields.template(26..=51)?.ok_or(BrCodeFault::NotPix)?;
        let recurrence = fields.template(80..=99)?;
        let additional = Fields::parse(fields.get(62).unwrap_or_default())?;
        let owned = |value: Option<&str>| value.map(str::to_owned);
        let code = BrCode {
            once: match fields.get(1) {
                Some("11") => Some(false),
                Some("12") => Some(true),
                Some(_) | None => None,
            },
            key: owned(account.get(1)),
            info: owned(account.get(2)),
            cash_ispb: owned(account.get(3)),
            url: owned(account.get(25)),
            recurrence_url: recurrence.and_then(|template| owned(template.get(25))),
            amount: fields.get(54).map(amount).transpose()?.filter(|money| money.minor > 0),
            name: owned(fields.get(59)).ok_or(BrCodeFault::MissingField)?,
            city: owned(fields.get(60)).ok_or(BrCodeFault::MissingField)?,
            postal_code: owned(fields.get(61)),
            txid: additional.get(5).unwrap_or("***").to_owned(),
        };
        match (fields.get(53), fields.get(58)) {
            (None, _) | (_, None) => return Err(BrCodeFault::MissingField),
            (Some("986"), Some("BR")) => {}
            (Some("986"), Some(_)) => return Err(BrCodeFault::Country),
            (Some(_), Some(_)) => return Err(BrCodeFault::Currency),
        }
        code.check()?;
        Ok(code)
    }

    /// What no code may be, read or built.
    fn check(&self) -> Result<(), BrCodeFault> {
        let long = |text: &str, max: usize| text.chars().count() > max;
        let url = |url: &str| url.is_empty() || url.contains("://");
        let (key, address) = (self.key.as_deref(), self.url.as_deref());
        if key.is_some() && address.is_some() {
            return Err(BrCodeFault::Ambiguous);
        }
        if key.is_none() && address.is_none() && self.recurrence_url.is_none() {
            return Err(BrCodeFault::NotPix);
        }
        if key == Some("") {
            return Err(BrCodeFault::Key);
        }
        if address.is_some_and(url) || self.recurrence_url.as_deref().is_some_and(url) {
            return Err(BrCodeFault::Url);
        }
        let too_long = long(&self.name, NAME_MAX)
            || long(&self.city, CITY_MAX)
            || key.is_some_and(|key| long(key, KEY_MAX))
            || [address, self.recurrence_url.as_deref()].into_iter().flatten().any(|url| long(url, URL_MAX));
        if too_long {
            return Err(BrCodeFault::TooLong);
        }
        // Behind an address the transaction id is the PSP's own business.
        if key.is_some() && !is_static_txid(&self.txid) {
            return Err(BrCodeFault::Characters);
        }
        Ok(())
    }

    /// The code as text. Names should be plain ASCII ([`plain`]): issuers disagree on how others are counted.
    pub fn build(&self) -> Result<String, BrCodeFault> {
        self.check()?;
        let template = |values: &[(u8, Option<&str>)]| {
            let mut text = Text::default();
            text.field(0, GUI)?;
            for (id, value) in values {
                text.optional(*id, *value)?;
            }
            Ok(text.0)
        };
        let account = template(&[
            (1, self.key.as_deref()),
            (2, self.info.as_deref()),
            (3, self.cash_ispb.as_deref()),
            (25, self.url.as_deref()),
        ])?;
        let mut additional = Text::default();
        additional.field(5, &self.txid)?;
        let amount = self.amount.map(|money| money.to_major_padded());
        if self.amount.is_some_and(|money| money.minor <= 0 || money.currency != Currency::BRL) {
            return Err(BrCodeFault::Amount);
        }
        amount.as_deref().map(self::amount).transpose()?;
        let mut text = Text::default();
        text.field(0, "01")?;
        text.optional(1, self.once.map(|once| if once { "12" } else { "11" }))?;
        text.field(26, &account)?;
        text.field(52, "0000")?;
        text.field(53, "986")?;
        text.optional(54, amount.as_deref())?;
        text.field(58, "BR")?;
        text.field(59, &self.name)?;
        text.field(60, &self.city)?;
        text.optional(61, self.postal_code.as_deref())?;
        text.field(62, &additional.0)?;
        if self.recurrence_url.is_some() {
            text.field(80, &template(&[(25, self.recurrence_url.as_deref())])?)?;
        }
        text.0.push_str("6304");
        let crc = crc16(text.0.as_bytes());
        Ok(format!("{}{crc:04X}", text.0))
    }
}

/// Letters without their accents, at most `max` of them: what the fields of a code are filled with.
pub fn plain(text: &str, max: usize) -> String {
    const FOLDED: [(&str, char); 14] = [
        ("áàâãäå", 'a'),
        ("ÁÀÂÃÄÅ", 'A'),
        ("éèêë", 'e'),
        ("ÉÈÊË", 'E'),
        ("íìîï", 'i'),
        ("ÍÌÎÏ", 'I'),
        ("óòôõö", 'o'),
        ("ÓÒÔÕÖ", 'O'),
        ("úùûü", 'u'),
        ("ÚÙÛÜ", 'U'),
        ("ç", 'c'),
        ("Ç", 'C'),
        ("ñ", 'n'),
        ("Ñ", 'N'),
    ];
    let fold = |c: char| FOLDED.iter().find(|(from, _)| from.contains(c)).map_or(c, |(_, to)| *to);
    let plain: String = text.trim().chars().map(fold).filter(|c| matches!(c, ' '..='~')).take(max).collect();
    plain.trim_end().to_owned()
}

/// CRC-16/CCITT-FALSE: polynomial 1021, start FFFF, nothing reflected, nothing added at the end.
pub fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc: u16, _| match crc & 0x8000 {
            0 => crc << 1,
            _ => (crc << 1) ^ 0x1021,
        })
    })
}

/// One to ten digits, a point and two: anything else is not an amount. Nothing is written as `0.00` by some.
fn amount(text: &str) -> Result<Money, BrCodeFault> {
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    match text.split_once('.') {
        Some((whole, cents))
            if (1..=10).contains(&whole.len()) && cents.len() == 2 && digits(whole) && digits(cents) =>
        {
            Money::parse_major(text, Currency::BRL).map_err(|_| BrCodeFault::Amount)
        }
        Some(_) | None => Err(BrCodeFault::Amount),
    }
}

/// Ids and values, in their order.
struct Fields<'a>(Vec<(u8, &'a str)>);

impl<'a> Fields<'a> {
    fn parse(mut text: &'a str) -> Result<Fields<'a>, BrCodeFault> {
        let number = |text: Option<&str>| {
            let digits = text.filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
            digits.and_then(|digits| digits.parse::<u8>().ok()).ok_or(BrCodeFault::Length)
        };
        let mut fields = Vec::new();
        while !text.is_empty() {
            let (id, length) = (number(text.get(..2))?, number(text.get(2..4))?);
            // Counted in characters, as those who allow accents do.
            let rest = &text[4..];
            let mut ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
            let end = ends.nth(usize::from(length)).ok_or(BrCodeFault::Length)?;
            fields.push((id, &rest[..end]));
            text = &rest[end..];
        }
        Ok(Fields(fields))
    }

    fn get(&self, id: u8) -> Option<&'a str> {
        self.0.iter().find(|(have, _)| *have == id).map(|(_, value)| *value)
    }

    /// The template of PIX among those with these ids.
    fn template(&self, ids: std::ops::RangeInclusive<u8>) -> Result<Option<Fields<'a>>, BrCodeFault> {
        for (_, value) in self.0.iter().filter(|(id, _)| ids.contains(id)) {
            // Other arrangements' templates are theirs to fill.
            let Ok(template) = Fields::parse(value) else { continue };
            if template.get(0).is_some_and(|gui| gui.eq_ignore_ascii_case(GUI)) {
                template.once_each()?;
                return Ok(Some(template));
            }
        }
        Ok(None)
    }

    /// Two readers of a field that stands twice may take different ones.
    fn once_each(&self) -> Result<(), BrCodeFault> {
        let twice = |(at, (id, _)): (usize, &(u8, &str))| self.0[..at].iter().any(|(other, _)| other == id);
        if self.0.iter().enumerate().any(twice) { Err(BrCodeFault::DuplicateField) } else { Ok(()) }
    }
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn field(&mut self, id: u8, value: &str) -> Result<(), BrCodeFault> {
        let length = value.chars().count();
        if length > FIELD_MAX {
            return Err(BrCodeFault::TooLong);
        }
        self.0.push_str(&format!("{id:02}{length:02}{value}"));
        Ok(())
    }

    fn optional(&mut self, id: u8, value: Option<&str>) -> Result<(), BrCodeFault> {
        value.map_or(Ok(()), |value| self.field(id, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::ids::testing::{list, text, vectors};
    use proptest::prelude::*;

    fn fault(reason: &str) -> BrCodeFault {
        match reason {
            "empty" => BrCodeFault::Empty,
            "length_mismatch" => BrCodeFault::Length,
            // Cut behind a whole field, it just ends without its checksum.
            "missing_crc" | "truncated" => BrCodeFault::MissingCrc,
            "crc_position" => BrCodeFault::CrcPosition,
            "crc" => BrCodeFault::Crc,
            "payload_format" => BrCodeFault::PayloadFormat,
            "not_pix" => BrCodeFault::NotPix,
            "currency" => BrCodeFault::Currency,
            "country" => BrCodeFault::Country,
            "missing_field" => BrCodeFault::MissingField,
            "duplicate_field" => BrCodeFault::DuplicateField,
            "field_too_long" => BrCodeFault::TooLong,
            "charset" => BrCodeFault::Characters,
            "amount" => BrCodeFault::Amount,
            "key" => BrCodeFault::Key,
            "url" => BrCodeFault::Url,
            "ambiguous" => BrCodeFault::Ambiguous,
            other => panic!("no such reason: {other}"),
        }
    }

    #[test]
    fn right_codes_are_read_and_built_again() {
        let vectors = vectors(include_str!("cases/br_code.json"));
        for row in list(&vectors, "valid") {
            let value = text(row, "value");
            let code = BrCode::parse(value).unwrap_or_else(|why| panic!("{row}: {why}"));
            let told = |name: &str| row[name].as_str();
            assert_eq!(code.key.as_deref(), told("pix_key"), "{row}");
            assert_eq!(code.url.as_deref(), told("url"), "{row}");
            assert_eq!(code.recurrence_url.as_deref(), told("rec_url"), "{row}");
            assert_eq!(code.info.as_deref(), told("info"), "{row}");
            assert_eq!(code.amount.map(|money| money.to_major_padded()).as_deref(), told("amount"), "{row}");
            assert_eq!(
                (code.name.as_str(), code.city.as_str()),
                (text(row, "merchant_name"), text(row, "merchant_city"))
            );
            assert_eq!(code.txid, text(row, "txid"));
            let built = code.build().expect("what was read can be built");
            assert_eq!(BrCode::parse(&built).as_ref(), Ok(&code));
            // Some write the arrangement's name in capitals.
            if value.contains(GUI) {
                assert_eq!(built, value, "{row}");
            }
        }
    }

    #[test]
    fn wrong_codes_are_refused_with_the_reason() {
        let vectors = vectors(include_str!("cases/br_code.json"));
        for row in list(&vectors, "invalid") {
            assert_eq!(BrCode::parse(text(row, "value")), Err(fault(text(row, "reason"))), "{row}");
        }
    }

    #[test]
    fn what_the_standard_leaves_open() {
        let vectors = vectors(include_str!("cases/br_code.json"));
        let code = |id: &str| {
            let row = list(&vectors, "policy").iter().find(|row| text(row, "id") == id).expect("a row");
            BrCode::parse(text(row, "value"))
        };
        assert_eq!(code("amount_zero").expect("read").amount, None, "nothing asked is an open amount");
        assert!(code("lowercase_crc").is_ok());
        let accents = code("utf8_name").expect("read");
        assert_eq!(accents.name, "Padaria São João");
        assert_eq!(plain(&accents.name, NAME_MAX), "Padaria Sao Joao");
        assert_eq!(plain("  Ação №1, a loja com um nome comprido  ", 10), "Acao 1, a");
        assert_eq!(BrCode::parse("0002016304€€€€"), Err(BrCodeFault::Crc));
    }

    #[test]
    fn checksums() {
        let vectors = vectors(include_str!("cases/br_code.json"));
        for row in list(&vectors, "crc16").iter().filter(|row| row["ascii"].is_string()) {
            assert_eq!(format!("{:04X}", crc16(text(row, "ascii").as_bytes())), text(row, "crc"));
        }
        assert_eq!(crc16(&[0; 4]), 0x84C0);
        let leading_zero = text(&vectors["leading_zero"], "value");
        assert!(leading_zero.ends_with("0FCC") && BrCode::parse(leading_zero).is_ok());
    }

    #[test]
    fn what_cannot_be_built() {
        let right = BrCode {
            key: Some("52998224725".to_owned()),
            name: "LOJA".to_owned(),
            city: "SAO PAULO".to_owned(),
            txid: "***".to_owned(),
            ..BrCode::default()
        };
        assert!(right.build().is_ok());
        let amount = |minor, currency| BrCode { amount: Some(Money::new(minor, currency)), ..right.clone() };
        let rows = [
            (amount(0, Currency::BRL), BrCodeFault::Amount),
            (amount(-1, Currency::BRL), BrCodeFault::Amount),
            (amount(1_000_000_000_000, Currency::BRL), BrCodeFault::Amount),
            (amount(1, Currency::EUR), BrCodeFault::Amount),
            (BrCode { txid: "PED-1".to_owned(), ..right.clone() }, BrCodeFault::Characters),
            (BrCode { key: None, ..right.clone() }, BrCodeFault::NotPix),
            (BrCode { name: "A".repeat(26), ..right.clone() }, BrCodeFault::TooLong),
            (BrCode { info: Some("A".repeat(70)), ..right.clone() }, BrCodeFault::TooLong),
        ];
        for (code, expected) in rows {
            assert_eq!(code.build(), Err(expected), "{code:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_built_is_read(
            key in "[a-z0-9@.+-]{1,77}", name in "[ -~]{1,25}", city in "[A-Z ]{1,15}", txid in "[A-Za-z0-9]{1,25}",
            minor in 1i64..=999_999_999_999, once in any::<Option<bool>>(),
        ) {
            let amount = Some(Money::new(minor, Currency::BRL));
            let code = BrCode { once, key: Some(key), amount, name, city, txid, ..BrCode::default() };
            let built = code.build().expect("all fields fit");
            prop_assert_eq!(BrCode::parse(&built), Ok(code));
        }

        #[test]
        fn a_changed_character_is_noticed(at in 0usize..130, by in 1u8..90) {
            let mut bytes = b"00020126580014br.gov.bcb.pix0136123e4567-e12b-12d1-a456-4266554400005204000053039865802BR5913Fulano de Tal6008BRASILIA62070503***63041D3D".to_vec();
            bytes[at] = b' ' + (bytes[at] - b' ' + by) % 95;
            prop_assert!(BrCode::parse(std::str::from_utf8(&bytes).expect("ASCII")).is_err());
        }

        #[test]
        fn no_text_makes_it_panic(given in "\\PC{0,80}", start in "(000201)?(26180014br.gov.bcb.pix)?") {
            let _ = BrCode::parse(&given);
            let _ = BrCode::parse(&format!("{start}{given}"));
            let _ = plain(&given, 10);
        }
    }
}
