//! The keys of PIX, in the form in which the central bank's directory keeps them: CPF and CNPJ without punctuation, phones
//! with `+55`, e-mail addresses and random keys in lower case.

use super::document::{self, DocumentKind};

/// Longest e-mail address that is a key.
const EMAIL_MAX: usize = 77;
/// Longest label of a domain name.
const LABEL_MAX: usize = 63;
/// Brazil's country code, without which no phone is a key.
const BRAZIL: &str = "+55";
/// Area code and number of a mobile phone.
const NATIONAL_LENGTH: usize = 11;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    Cpf,
    Cnpj,
    Phone,
    Email,
    /// "EVP": made by the directory, a UUID of any version.
    Random,
}

/// Why a text is not a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    #[error("is not a PIX key: a CPF, a CNPJ, a phone with +55, an e-mail address or a random key")]
    NoKind,
    /// 11 digits could be a CPF, but are none.
    #[error("is not a CPF; if it is a phone it begins with +55")]
    PhoneWithoutCountry,
    #[error("is not a valid CPF or CNPJ")]
    Document,
    #[error("is not a mobile phone in Brazil: +55, area code, and nine digits that begin with 9")]
    Phone,
    #[error("is not an e-mail address in lower case of at most 77 characters")]
    Email,
    #[error("is not a random key: 32 hexadecimal digits in lower case, in groups of 8-4-4-4-12")]
    Random,
}

/// A key that may be sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PixKey {
    kind: KeyKind,
    text: String,
}

impl PixKey {
    /// Reads the directory's form; spaces around it are cut off. The kind follows from the form.
    pub fn parse(text: &str) -> Result<PixKey, KeyFault> {
        let text = text.trim_matches(' ');
        let kind = kind(text)?;
        Ok(PixKey { kind, text: text.to_owned() })
    }

    /// Reads a key whose kind was named, as people write it: `529.982.247-25`, `(11) 98765-4321`, `User@Example.com`.
    pub fn of(kind: KeyKind, text: &str) -> Result<PixKey, KeyFault> {
        let text = text.trim_matches(' ');
        let text = match kind {
            KeyKind::Cpf | KeyKind::Cnpj => document::normalise(text).map_err(|_| KeyFault::Document)?,
            KeyKind::Phone => phone(text),
            KeyKind::Email | KeyKind::Random => text.to_ascii_lowercase(),
        };
        let fault = match kind {
            KeyKind::Cpf | KeyKind::Cnpj => KeyFault::Document,
            KeyKind::Phone => KeyFault::Phone,
            KeyKind::Email => KeyFault::Email,
            KeyKind::Random => KeyFault::Random,
        };
        match self::kind(&text) {
            Ok(found) if found == kind => Ok(PixKey { kind, text }),
            Ok(_) | Err(_) => Err(fault),
        }
    }

    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The directory's form.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// A phone without `+55`, as some PSPs want it. Everything else as it is.
    pub fn national(&self) -> &str {
        match self.kind {
            KeyKind::Phone => self.text.strip_prefix(BRAZIL).unwrap_or(&self.text),
            KeyKind::Cpf | KeyKind::Cnpj | KeyKind::Email | KeyKind::Random => &self.text,
        }
    }

    /// What may be shown: `***.982.247-**`, `+55 11 *****-4321`, `f***@example.com`, the first eight of a random key.
    pub fn masked(&self) -> String {
        let text = &self.text;
        match self.kind {
            KeyKind::Cpf | KeyKind::Cnpj => document::masked(text),
            KeyKind::Phone => format!("{} {} *****-{}", &text[..3], &text[3..5], &text[text.len() - 4..]),
            KeyKind::Email => {
                let (name, domain) = text.split_once('@').unwrap_or((text, ""));
                format!("{}***@{domain}", name.get(..1).unwrap_or_default())
            }
            KeyKind::Random => format!("{}-****", &text[..8]),
        }
    }
}

/// The kind of a key in the directory's form.
fn kind(text: &str) -> Result<KeyKind, KeyFault> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    if text.starts_with('+') {
        return if is_phone(text) { Ok(KeyKind::Phone) } else { Err(KeyFault::Phone) };
    }
    if text.contains('@') {
        return if is_email(text) { Ok(KeyKind::Email) } else { Err(KeyFault::Email) };
    }
    match (document::kind(text), text.len()) {
        (Ok(DocumentKind::Cpf), _) => Ok(KeyKind::Cpf),
        (Ok(DocumentKind::Cnpj), _) => Ok(KeyKind::Cnpj),
        (Err(_), _) if is_random(text) => Ok(KeyKind::Random),
        (Err(_), NATIONAL_LENGTH) if digits => Err(KeyFault::PhoneWithoutCountry),
        (Err(_), 14) => Err(KeyFault::Document),
        (Err(_), 36) => Err(KeyFault::Random),
        (Err(_), _) => Err(KeyFault::NoKind),
    }
}

/// `+55`, an area code without zeros, and nine digits that begin with 9. The directory's own pattern takes any number of
/// any country; a key is a mobile phone in Brazil.
fn is_phone(text: &str) -> bool {
    let Some(national) = text.strip_prefix(BRAZIL) else { return false };
    let bytes = national.as_bytes();
    bytes.len() == NATIONAL_LENGTH
        && bytes.iter().all(u8::is_ascii_digit)
        && bytes[0] != b'0'
        && bytes[1] != b'0'
        && bytes[2] == b'9'
}

/// A phone as people write it, in the directory's form where that can be told.
fn phone(text: &str) -> String {
    let bare: String = text.chars().filter(|c| !matches!(c, ' ' | '-' | '(' | ')')).collect();
    if bare.len() == NATIONAL_LENGTH && !bare.starts_with('+') { format!("{BRAZIL}{bare}") } else { bare }
}

/// The directory's own pattern: stricter than mail servers about the domain, and no stricter about what comes before.
fn is_email(text: &str) -> bool {
    let Some((name, domain)) = text.split_once('@') else { return false };
    let in_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".!#$&'*+/=?^_`{|}~-".contains(&b);
    let in_label = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let label = |label: &str| {
        (1..=LABEL_MAX).contains(&label.len())
            && label.bytes().all(in_label)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= EMAIL_MAX && !name.is_empty() && name.bytes().all(in_name) && domain.split('.').all(label)
}

fn is_random(text: &str) -> bool {
    let hexadecimal = |part: &str| part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let parts: Vec<&str> = text.split('-').collect();
    parts.len() == 5
        && parts.iter().zip([8, 4, 4, 4, 12]).all(|(part, length)| part.len() == length && hexadecimal(part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::ids::testing::{list, text, vectors};
    use proptest::prelude::*;

    const KINDS: [(&str, KeyKind); 5] = [
        ("cpf", KeyKind::Cpf),
        ("cnpj", KeyKind::Cnpj),
        ("phone", KeyKind::Phone),
        ("email", KeyKind::Email),
        ("evp", KeyKind::Random),
    ];

    #[test]
    fn keys_of_every_kind() {
        let vectors = vectors(include_str!("cases/pix_key.json"));
        for (name, kind) in KINDS {
            for row in list(&vectors[name], "valid") {
                let value = row.as_str().expect("a text");
                let key = PixKey::parse(value).unwrap_or_else(|why| panic!("{value}: {why}"));
                assert_eq!((key.kind(), key.as_str()), (kind, value));
                assert_eq!(PixKey::of(kind, value), Ok(key.clone()));
                assert!(!key.masked().contains(value) || kind == KeyKind::Cnpj, "{}", key.masked());
            }
            for row in list(&vectors[name], "invalid") {
                let value = text(row, "value");
                // A space around a key is nobody's fault; inside, or instead of one, it is.
                let trimmed = value.trim_matches(' ') != value;
                assert_eq!(PixKey::parse(value).is_ok(), trimmed, "{row}");
            }
        }
        for row in list(&vectors["email"], "dict_regex_edge") {
            assert!(PixKey::parse(text(row, "value")).is_ok(), "the directory takes {row}");
        }
        for row in list(&vectors["phone"], "dict_regex_only") {
            assert_eq!(PixKey::parse(text(row, "value")), Err(KeyFault::Phone), "no mobile phone in Brazil: {row}");
        }
    }

    #[test]
    fn the_kind_follows_from_the_form() {
        let vectors = vectors(include_str!("cases/pix_key.json"));
        for row in list(&vectors, "detect") {
            let expected = match row["type"].as_str() {
                None => None,
                Some("CPF") => Some(KeyKind::Cpf),
                Some("CNPJ") => Some(KeyKind::Cnpj),
                Some("PHONE") => Some(KeyKind::Phone),
                Some("EVP") => Some(KeyKind::Random),
                Some(other) => panic!("no such type: {other}"),
            };
            assert_eq!(PixKey::parse(text(row, "value")).ok().map(|key| key.kind()), expected, "{row}");
        }
        assert_eq!(PixKey::parse("11987654321"), Err(KeyFault::PhoneWithoutCountry));
    }

    #[test]
    fn a_key_whose_kind_is_named_is_brought_into_form() {
        let rows = [
            (KeyKind::Cpf, "529.982.247-25", Some("52998224725")),
            (KeyKind::Cpf, "11222333000181", None),
            (KeyKind::Cnpj, "12.abc.345/01de-35", Some("12ABC34501DE35")),
            (KeyKind::Phone, "11987654321", Some("+5511987654321")),
            (KeyKind::Phone, "+55 (11) 98765-4321", Some("+5511987654321")),
            (KeyKind::Phone, "1133334444", None),
            (KeyKind::Phone, "+351912345678", None),
            (KeyKind::Email, " PIX@BCB.GOV.BR ", Some("pix@bcb.gov.br")),
            (KeyKind::Email, "pix", None),
            (KeyKind::Random, "123E4567-E89B-12D3-A456-426655440000", Some("123e4567-e89b-12d3-a456-426655440000")),
            (KeyKind::Random, "52998224725", None),
        ];
        for (kind, given, expected) in rows {
            assert_eq!(PixKey::of(kind, given).ok().as_ref().map(PixKey::as_str), expected, "{given}");
        }
    }

    #[test]
    fn masks() {
        let rows = [
            ("52998224725", "***.982.247-**", "52998224725"),
            ("+5511987654321", "+55 11 *****-4321", "11987654321"),
            ("fulano@example.com", "f***@example.com", "fulano@example.com"),
            ("123e4567-e89b-12d3-a456-426655440000", "123e4567-****", "123e4567-e89b-12d3-a456-426655440000"),
        ];
        for (value, masked, national) in rows {
            let key = PixKey::parse(value).expect("a key");
            assert_eq!((key.masked().as_str(), key.national()), (masked, national));
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(given in "\\PC{0,90}") {
            for (_, kind) in KINDS {
                let _ = PixKey::of(kind, &given).map(|key| key.masked());
            }
            let _ = PixKey::parse(&given).map(|key| key.masked());
        }
    }
}
