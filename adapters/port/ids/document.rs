//! Brazilian tax numbers: CPF of a person (11 digits), CNPJ of a company (12 digits or, since 2026, letters, and 2 digits).

/// Which of the two it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentKind {
    Cpf,
    Cnpj,
}

/// Why a text is not a document. Of several things that are wrong the first in this order is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentFault {
    #[error("is empty")]
    Empty,
    #[error("holds a character that does not belong there")]
    Characters,
    #[error("has the wrong length")]
    Length,
    /// The check digits of `111.111.111-11` are right, and nobody has it.
    #[error("is one character repeated")]
    Repeated,
    #[error("has wrong check digits")]
    CheckDigits,
}

const CPF_LENGTH: usize = 11;
const CNPJ_LENGTH: usize = 14;
const CPF_WEIGHTS: [u32; 10] = [11, 10, 9, 8, 7, 6, 5, 4, 3, 2];
const CNPJ_WEIGHTS: [u32; 13] = [6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2];

/// A CPF in the form in which it is stored: 11 digits.
pub fn cpf(text: &str) -> Result<(), DocumentFault> {
    shape(text, CPF_LENGTH, |_, byte| byte.is_ascii_digit())?;
    check_digits(text.as_bytes(), &CPF_WEIGHTS)
}

/// A CNPJ in the form in which it is stored: 12 digits or upper-case letters, and 2 digits.
pub fn cnpj(text: &str) -> Result<(), DocumentFault> {
    let check_from = CNPJ_LENGTH - 2;
    let right = |at: usize, byte: u8| byte.is_ascii_digit() || (byte.is_ascii_uppercase() && at < check_from);
    shape(text, CNPJ_LENGTH, right)?;
    check_digits(text.as_bytes(), &CNPJ_WEIGHTS)
}

/// Which document a stored form is.
pub fn kind(text: &str) -> Result<DocumentKind, DocumentFault> {
    match text.len() {
        0 => Err(DocumentFault::Empty),
        1..=CPF_LENGTH => cpf(text).map(|()| DocumentKind::Cpf),
        _ => cnpj(text).map(|()| DocumentKind::Cnpj),
    }
}

/// The stored form of a document as people write it: spaces around it, `529.982.247-25`, lower-case letters.
pub fn normalise(text: &str) -> Result<String, DocumentFault> {
    let given = text.trim_matches(' ').to_ascii_uppercase();
    let plain: String = given.chars().filter(|c| !matches!(c, '.' | '-' | '/')).collect();
    kind(&plain)?;
    // Either no punctuation at all, or all of it in its place.
    match given == plain || given == formatted(&plain) {
        true => Ok(plain),
        false => Err(DocumentFault::Characters),
    }
}

/// With its punctuation: `529.982.247-25`, `12.ABC.345/01DE-35`. Anything else comes back as it is.
pub fn formatted(document: &str) -> String {
    let part = |from, to| document.get(from..to).unwrap_or_default();
    match document.len() {
        CPF_LENGTH => format!("{}.{}.{}-{}", part(0, 3), part(3, 6), part(6, 9), part(9, 11)),
        CNPJ_LENGTH => format!("{}.{}.{}/{}-{}", part(0, 2), part(2, 5), part(5, 8), part(8, 12), part(12, 14)),
        _ => document.to_owned(),
    }
}

/// What may be shown: `***.982.247-**` of a CPF, a CNPJ whole (it is public), and nothing of anything else.
pub fn masked(document: &str) -> String {
    match kind(document) {
        Ok(DocumentKind::Cpf) => format!("***{}-**", &formatted(document)[3..11]),
        Ok(DocumentKind::Cnpj) => formatted(document),
        Err(_) => "***".to_owned(),
    }
}

/// What a document as somebody told it, masked or whole, says about one we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likeness {
    /// What is shown agrees. A thousand valid CPFs share six digits, a million share three: no proof of identity.
    Same,
    /// What is shown disagrees: another person.
    Different,
    /// It shows nothing, or not where in the number it stands.
    Unknown,
}

/// Compares a told document (`52998224725`, `***.982.247-**`, `****067****`) with a stored one, character by character.
pub fn likeness(told: &str, known: &str) -> Likeness {
    let told: Vec<char> = told.chars().filter(|c| !matches!(c, '.' | '-' | '/' | ' ')).collect();
    let shown = told.iter().filter(|c| **c != '*').count();
    if shown == 0 {
        return Likeness::Unknown;
    }
    if told.len() != known.chars().count() {
        // Whole numbers of two lengths are two numbers; of a mask nobody knows what it leaves out.
        return if shown == told.len() { Likeness::Different } else { Likeness::Unknown };
    }
    match told.iter().zip(known.chars()).all(|(told, known)| *told == '*' || told.eq_ignore_ascii_case(&known)) {
        true => Likeness::Same,
        false => Likeness::Different,
    }
}

fn shape(text: &str, length: usize, right: impl Fn(usize, u8) -> bool) -> Result<(), DocumentFault> {
    let bytes = text.as_bytes();
    if bytes.is_empty() {
        return Err(DocumentFault::Empty);
    }
    if !bytes.iter().enumerate().all(|(at, byte)| right(at, *byte)) {
        return Err(DocumentFault::Characters);
    }
    if bytes.len() != length {
        return Err(DocumentFault::Length);
    }
    if bytes.iter().all(|byte| *byte == bytes[0]) {
        return Err(DocumentFault::Repeated);
    }
    Ok(())
}

/// Both check digits: a sum of (character code − 48) × weight, modulo 11. `weights` are those of the second.
fn check_digits(bytes: &[u8], weights: &[u32]) -> Result<(), DocumentFault> {
    let (body, told) = bytes.split_at(bytes.len() - 2);
    let digit = |weights: &[u32], values: &[u8]| {
        let sum: u32 = values.iter().zip(weights).map(|(byte, weight)| u32::from(byte - b'0') * weight).sum();
        match sum % 11 {
            0 | 1 => b'0',
            // Between 2 and 9.
            rest => b'0' + (11 - rest as u8),
        }
    };
    let first = digit(&weights[1..], body);
    let second = digit(weights, &[body, &[first]].concat());
    match told == [first, second] {
        true => Ok(()),
        false => Err(DocumentFault::CheckDigits),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::ids::testing::{list, text, vectors};
    use proptest::prelude::*;

    fn fault(reason: &str) -> DocumentFault {
        match reason {
            "empty" => DocumentFault::Empty,
            "charset" | "format" | "case" => DocumentFault::Characters,
            "length" => DocumentFault::Length,
            "repeated_digits" => DocumentFault::Repeated,
            "bad_check_digit" => DocumentFault::CheckDigits,
            other => panic!("no such reason: {other}"),
        }
    }

    #[test]
    fn right_ones_are_right_in_every_form() {
        let vectors = vectors(include_str!("cases/document.json"));
        for (member, check, which) in
            [("cpf_valid", cpf as fn(&str) -> _, DocumentKind::Cpf), ("cnpj_valid", cnpj, DocumentKind::Cnpj)]
        {
            for row in list(&vectors, member) {
                let (value, printed) = (text(row, "value"), text(row, "formatted"));
                assert_eq!(check(value), Ok(()), "{value}");
                assert_eq!(kind(value), Ok(which), "{value}");
                assert_eq!(formatted(value), printed);
                for written in [printed.to_owned(), format!(" {value} "), printed.to_lowercase()] {
                    assert_eq!(normalise(&written).as_deref(), Ok(value), "{written}");
                }
            }
        }
    }

    #[test]
    fn wrong_ones_are_refused_with_the_reason() {
        let vectors = vectors(include_str!("cases/document.json"));
        for (member, check) in [("cpf_invalid", cpf as fn(&str) -> _), ("cnpj_invalid", cnpj)] {
            for row in list(&vectors, member) {
                let (value, reason) = (text(row, "value"), text(row, "reason"));
                assert_eq!(check(value), Err(fault(reason)), "{value:?}");
                assert!(kind(value).is_err(), "{value:?}");
                // People write letters small; everything else that is wrong stays wrong.
                assert_eq!(normalise(value).is_ok(), reason == "case", "{value:?}");
            }
        }
        for value in ["529.982247-25", "529.982.247-25.", "52 998224725", "٥٢٩٩٨٢٢٤٧٢٥"] {
            assert!(normalise(value).is_err(), "{value:?}");
        }
    }

    #[test]
    fn masks_show_a_part_and_are_compared_where_they_do() {
        let vectors = vectors(include_str!("cases/document.json"));
        for row in list(&vectors, "masks") {
            assert_eq!(masked(text(row, "cpf")), text(row, "mask_6_middle"));
            assert_eq!(likeness(text(row, "mask_3_middle"), text(row, "cpf")), Likeness::Same);
        }
        for row in list(&vectors, "match") {
            let expected = if row["result"] == true { Likeness::Same } else { Likeness::Different };
            assert_eq!(likeness(text(row, "mask"), text(row, "cpf")), expected, "{row}");
        }
        for row in list(&vectors, "not_comparable") {
            assert_eq!(likeness(text(row, "mask"), "52998224725"), Likeness::Unknown, "{row}");
        }
        assert_eq!(likeness("11222333000181", "52998224725"), Likeness::Different, "a company is not a person");
        assert_eq!(masked("11222333000181"), "11.222.333/0001-81");
        assert_eq!(masked("not a document"), "***");
    }

    proptest! {
        #[test]
        fn of_two_check_digits_one_pair_is_right(root in "[0-9]{9}", company in "[0-9A-Z]{12}") {
            let right = |root: &str, check: fn(&str) -> Result<(), DocumentFault>| {
                (0..100).filter(|digits| check(&format!("{root}{digits:02}")) == Ok(())).count()
            };
            prop_assume!(root.bytes().any(|b| b != root.as_bytes()[0]));
            prop_assert_eq!(right(&root, cpf), 1);
            prop_assume!(company.bytes().any(|b| b != company.as_bytes()[0]));
            prop_assert_eq!(right(&company, cnpj), 1);
        }

        #[test]
        fn no_text_makes_it_panic(told in "\\PC{0,20}") {
            let _ = (normalise(&told), masked(&told), formatted(&told), likeness(&told, "52998224725"));
        }
    }
}
