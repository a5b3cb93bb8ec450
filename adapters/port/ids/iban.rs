//! IBAN (ISO 13616): shape, check digits 02–98, mod-97.

/// Longest IBAN in the registry's structure.
const MAX_LENGTH: usize = 34;
/// Shortest IBAN in use (Norway).
const MIN_LENGTH: usize = 15;

/// The electronic form (upper case, no spaces) of a right IBAN, or `None`.
pub fn normalise(text: &str) -> Option<String> {
    let iban: String = text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_uppercase()).collect();
    let bytes = iban.as_bytes();
    let shaped = (MIN_LENGTH..=MAX_LENGTH).contains(&bytes.len())
        && bytes[..2].iter().all(u8::is_ascii_uppercase)
        && bytes[2..4].iter().all(u8::is_ascii_digit)
        && bytes[4..].iter().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
    if !shaped || !(b"02"..=b"98").contains(&&[bytes[2], bytes[3]]) {
        return None;
    }
    // Move the first four to the end, letters become 10..35, and the whole must be 1 modulo 97.
    let remainder = bytes[4..].iter().chain(&bytes[..4]).fold(0u32, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        _ => (rest * 100 + u32::from(byte - b'A') + 10) % 97,
    });
    (remainder == 1).then_some(iban)
}

/// Country and the last four: what may be shown. `DE89 3704 0044 0532 0130 00` → `DE****3000`.
pub fn masked(iban: &str) -> String {
    match (iban.get(..2), iban.len().checked_sub(4).and_then(|at| iban.get(at..))) {
        (Some(country), Some(last)) if iban.len() >= MIN_LENGTH => format!("{country}****{last}"),
        _ => "****".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_digits_decide() {
        let rows = [
            ("DE89 3704 0044 0532 0130 00", true),
            ("de89370400440532013000", true),
            ("GB29NWBK60161331926819", true),
            ("NO9386011117947", true),
            ("TR330006100519786457841326", true),
            ("DE88370400440532013000", false),
            ("DE8937040044053201300", false),
            ("DE00370400440532013000", false),
            ("DE99370400440532013000", false),
            ("", false),
            ("ÄÖ89370400440532013000", false),
        ];
        for (text, right) in rows {
            assert_eq!(normalise(text).is_some(), right, "{text}");
        }
        assert_eq!(masked("DE89370400440532013000"), "DE****3000");
        assert_eq!(masked("é"), "****");
    }
}
