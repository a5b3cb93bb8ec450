//! IBAN (ISO 13616): country, length and structure by the registry, check digits 02–98, mod-97.

/// Why a text is not an IBAN. Of several things that are wrong the first in this order is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IbanFault {
    #[error("is empty")]
    Empty,
    #[error("holds a character that does not belong there")]
    Characters,
    #[error("is of a country that has no IBAN")]
    Country,
    #[error("has the wrong length for its country")]
    Length,
    #[error("is not built as its country's are")]
    Structure,
    /// 00, 01 and 99 can satisfy the checksum, as other spellings of 97, 98 and 02.
    #[error("has check digits outside of 02 to 98")]
    CheckDigits,
    #[error("has a wrong checksum")]
    Checksum,
}

/// What follows the check digits, by country: `n` digits, `a` letters, `c` either. From the registry as of 2024.
const STRUCTURES: &[(&str, &str)] = &[
    ("AD", "8n12c"),
    ("AE", "19n"),
    ("AL", "8n16c"),
    ("AT", "16n"),
    ("AZ", "4a20c"),
    ("BA", "16n"),
    ("BE", "12n"),
    ("BG", "4a6n8c"),
    ("BH", "4a14c"),
    ("BI", "23n"),
    ("BR", "23n1a1c"),
    ("BY", "4c4n16c"),
    ("CH", "5n12c"),
    ("CR", "18n"),
    ("CY", "8n16c"),
    ("CZ", "20n"),
    ("DE", "18n"),
    ("DJ", "23n"),
    ("DK", "14n"),
    ("DO", "4c20n"),
    ("EE", "16n"),
    ("EG", "25n"),
    ("ES", "20n"),
    ("FI", "14n"),
    ("FK", "2a12n"),
    ("FO", "14n"),
    ("FR", "10n11c2n"),
    ("GB", "4a14n"),
    ("GE", "2a16n"),
    ("GI", "4a15c"),
    ("GL", "14n"),
    ("GR", "7n16c"),
    ("GT", "24c"),
    ("HN", "4a20n"),
    ("HR", "17n"),
    ("HU", "24n"),
    ("IE", "4a14n"),
    ("IL", "19n"),
    ("IQ", "4a15n"),
    ("IS", "22n"),
    ("IT", "1a10n12c"),
    ("JO", "4a4n18c"),
    ("KW", "4a22c"),
    ("KZ", "3n13c"),
    ("LB", "4n20c"),
    ("LC", "4a24c"),
    ("LI", "5n12c"),
    ("LT", "16n"),
    ("LU", "3n13c"),
    ("LV", "4a13c"),
    ("LY", "21n"),
    ("MC", "10n11c2n"),
    ("MD", "20c"),
    ("ME", "18n"),
    ("MK", "3n10c2n"),
    ("MN", "16n"),
    ("MR", "23n"),
    ("MT", "4a5n18c"),
    ("MU", "4a19n3a"),
    ("NI", "4a20n"),
    ("NL", "4a10n"),
    ("NO", "11n"),
    ("OM", "3n16c"),
    ("PK", "4a16c"),
    ("PL", "24n"),
    ("PS", "4a21c"),
    ("PT", "21n"),
    ("QA", "4a21c"),
    ("RO", "4a16c"),
    ("RS", "18n"),
    ("RU", "14n15c"),
    ("SA", "2n18c"),
    ("SC", "4a20n3a"),
    ("SD", "14n"),
    ("SE", "20n"),
    ("SI", "15n"),
    ("SK", "20n"),
    ("SM", "1a10n12c"),
    ("SO", "19n"),
    ("ST", "21n"),
    ("SV", "4a20n"),
    ("TL", "19n"),
    ("TN", "20n"),
    ("TR", "6n16c"),
    ("UA", "6n19c"),
    ("VA", "18n"),
    ("VG", "4a16n"),
    ("XK", "16n"),
    ("YE", "4a4n18c"),
];

/// An IBAN in the form in which it is stored and sent: upper case, no spaces.
pub fn check(text: &str) -> Result<(), IbanFault> {
    let bytes = text.as_bytes();
    if bytes.is_empty() {
        return Err(IbanFault::Empty);
    }
    if !bytes.iter().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase()) {
        return Err(IbanFault::Characters);
    }
    let country = text.get(..2).unwrap_or_default();
    let structure = STRUCTURES.iter().find(|(code, _)| *code == country).ok_or(IbanFault::Country)?.1;
    if bytes.len() != 4 + parts(structure).map(|(count, _)| count).sum::<usize>() {
        return Err(IbanFault::Length);
    }
    let (head, mut rest) = bytes.split_at(4);
    let digits = &head[2..];
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(IbanFault::Structure);
    }
    for (count, kind) in parts(structure) {
        let (part, after) = rest.split_at(count);
        let right = match kind {
            b'n' => part.iter().all(u8::is_ascii_digit),
            b'a' => part.iter().all(u8::is_ascii_uppercase),
            _ => true,
        };
        if !right {
            return Err(IbanFault::Structure);
        }
        rest = after;
    }
    if !(b"02".as_slice()..=b"98".as_slice()).contains(&digits) {
        return Err(IbanFault::CheckDigits);
    }
    // Move the first four to the end, letters become 10..35, and the whole must be 1 modulo 97.
    let remainder = bytes[4..].iter().chain(head).fold(0u32, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        _ => (rest * 100 + u32::from(byte - b'A') + 10) % 97,
    });
    if remainder == 1 { Ok(()) } else { Err(IbanFault::Checksum) }
}

/// The parts of a structure: `6n16c` is six digits and sixteen of either.
fn parts(structure: &str) -> impl Iterator<Item = (usize, u8)> {
    structure.split_inclusive(['n', 'a', 'c']).map(|part| {
        let (count, kind) = part.split_at(part.len() - 1);
        (count.parse().unwrap_or_default(), kind.as_bytes()[0])
    })
}

/// The stored form of an IBAN as people write it: in any letter case, in groups of four.
pub fn of(text: &str) -> Result<String, IbanFault> {
    let iban: String = text.chars().filter(|c| *c != ' ').map(|c| c.to_ascii_uppercase()).collect();
    check(&iban).map(|()| iban)
}

/// As [`of`], for whoever does not ask why.
pub fn normalise(text: &str) -> Option<String> {
    of(text).ok()
}

/// Country and the last four: what may be shown. `DE89 3704 0044 0532 0130 00` → `DE****3000`.
pub fn masked(iban: &str) -> String {
    match (iban.get(..2), iban.len().checked_sub(4).and_then(|at| iban.get(at..))) {
        (Some(country), Some(last)) if iban.len() >= MIN_LENGTH => format!("{country}****{last}"),
        _ => "****".to_owned(),
    }
}

/// Shortest IBAN in use (Norway); of a shorter text the last four would be too much.
const MIN_LENGTH: usize = 15;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::ids::testing::{list, text, vectors};
    use proptest::prelude::*;

    #[test]
    fn right_ones_are_right_in_every_form() {
        let vectors = vectors(include_str!("cases/iban.json"));
        for row in list(&vectors, "valid").iter().chain(list(&vectors, "policy")) {
            let value = text(row, "value");
            assert_eq!(check(value), Ok(()), "{value}");
            assert_eq!(normalise(&value.to_lowercase()).as_deref(), Some(value));
            if let Some(printed) = row["printed"].as_str() {
                assert_eq!(normalise(printed).as_deref(), Some(value));
            }
        }
        for value in ["TR320010009999901234567890", "NO9386011117947"] {
            assert_eq!(check(value), Ok(()), "{value}");
        }
    }

    #[test]
    fn wrong_ones_are_refused_with_the_reason() {
        let vectors = vectors(include_str!("cases/iban.json"));
        for row in list(&vectors, "invalid") {
            let (value, reason) = (text(row, "value"), text(row, "reason"));
            let expected = match reason {
                "empty" => IbanFault::Empty,
                // The printed form of too short a number is not its stored form either.
                "charset" | "format" | "case" => IbanFault::Characters,
                "length" if value.contains(' ') => IbanFault::Characters,
                "country" => IbanFault::Country,
                "length" => IbanFault::Length,
                "structure" => IbanFault::Structure,
                "check_digits_range" => IbanFault::CheckDigits,
                "checksum" => IbanFault::Checksum,
                other => panic!("no such reason: {other}"),
            };
            assert_eq!(check(value), Err(expected), "{value:?}");
            // People write letters small and put spaces anywhere; everything else that is wrong stays wrong.
            assert_eq!(of(value).is_ok(), matches!(reason, "case" | "format"), "{value:?}");
        }
        for value in ["D", "DE", "DEAB370400440532013000", "ÄÖ89370400440532013000"] {
            assert!(of(value).is_err(), "{value:?}");
        }
    }

    #[test]
    fn a_mask_shows_country_and_end() {
        assert_eq!(masked("DE89370400440532013000"), "DE****3000");
        assert_eq!(masked("é"), "****");
    }

    #[test]
    fn the_table_is_in_order_and_well_formed() {
        assert!(STRUCTURES.is_sorted_by(|one, next| one.0 < next.0));
        for (country, structure) in STRUCTURES {
            let length = 4 + parts(structure).map(|(count, _)| count).sum::<usize>();
            assert!((MIN_LENGTH..=34).contains(&length), "{country}");
            assert!(parts(structure).all(|(count, kind)| count > 0 && b"nac".contains(&kind)), "{country}");
        }
    }

    proptest! {
        #[test]
        fn a_changed_digit_is_noticed(at in 2usize..26, by in 1u8..10) {
            let mut bytes = b"TR330006100519786457841326".to_vec();
            bytes[at] = b'0' + (bytes[at] - b'0' + by) % 10;
            prop_assert!(check(std::str::from_utf8(&bytes).expect("ASCII")).is_err());
        }

        #[test]
        fn no_text_makes_it_panic(given in "\\PC{0,40}") {
            let _ = (of(&given), masked(&given));
        }
    }
}
