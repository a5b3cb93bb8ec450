//! IBAN (ISO 13616): the country's length and structure, check digits 02–98, mod-97.

/// What an account number looks like behind country and check digits, by the IBAN registry: so many digits (`n`), upper-case
/// letters (`a`) or either (`c`). The parts that only differ by their meaning are written as one.
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

/// Longest text looked at: the longest IBAN has 34 characters, printed ones have a space after every four.
const MAX_PRINTED_LENGTH: usize = 64;
/// Shortest IBAN in use (Norway).
const MIN_LENGTH: usize = 15;

/// The electronic form (upper case, no spaces) of a right IBAN, or `None`. Plain spaces and lower case are how people
/// write it; any other character makes it wrong.
pub fn normalise(text: &str) -> Option<String> {
    if text.len() > MAX_PRINTED_LENGTH {
        return None;
    }
    let iban: String = text.chars().filter(|c| *c != ' ').map(|c| c.to_ascii_uppercase()).collect();
    is_valid(&iban).then_some(iban)
}

/// Whether a text is an IBAN in its electronic form.
pub fn is_valid(iban: &str) -> bool {
    let bytes = iban.as_bytes();
    if !iban.is_ascii() || bytes.len() < MIN_LENGTH {
        return false;
    }
    let (country, check, account) = (&iban[..2], &bytes[2..4], &bytes[4..]);
    let structure = STRUCTURES.iter().find(|(of, _)| *of == country).map(|(_, structure)| *structure);
    let shaped = structure.is_some_and(|structure| fits(account, structure)) && check.iter().all(u8::is_ascii_digit);
    // 00, 01 and 99 satisfy the sum as aliases of 97, 98 and 02, and no bank gives them out.
    if !shaped || !(b"02".as_slice()..=b"98".as_slice()).contains(&check) {
        return false;
    }
    // Move the first four to the end, letters become 10..35, and the whole must be 1 modulo 97.
    let remainder = account.iter().chain(&bytes[..4]).fold(0u32, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        _ => (rest * 100 + u32::from(byte - b'A') + 10) % 97,
    });
    remainder == 1
}

/// Whether the characters are as many, and of the kinds, as the structure says.
fn fits(account: &[u8], structure: &str) -> bool {
    let (mut left, mut count) = (account, 0);
    for part in structure.bytes() {
        let right: fn(&u8) -> bool = match part {
            b'0'..=b'9' => {
                count = count * 10 + usize::from(part - b'0');
                continue;
            }
            b'n' => u8::is_ascii_digit,
            b'a' => u8::is_ascii_uppercase,
            _ => |byte| byte.is_ascii_digit() || byte.is_ascii_uppercase(),
        };
        let Some((now, rest)) = left.split_at_checked(count) else { return false };
        if !now.iter().all(right) {
            return false;
        }
        (left, count) = (rest, 0);
    }
    left.is_empty()
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

    #[test]
    fn ibans_of_many_countries_in_both_their_forms() {
        let rows = [
            ("TR33 0006 1005 1978 6457 8413 26", "TR330006100519786457841326"),
            ("TR47 0000 1001 0000 0350 9300 01", "TR470000100100000350930001"),
            ("DE89 3704 0044 0532 0130 00", "DE89370400440532013000"),
            ("GB29 NWBK 6016 1331 9268 19", "GB29NWBK60161331926819"),
            ("FR14 2004 1010 0505 0001 3M02 606", "FR1420041010050500013M02606"),
            ("NL91 ABNA 0417 1643 00", "NL91ABNA0417164300"),
            ("ES91 2100 0418 4502 0005 1332", "ES9121000418450200051332"),
            ("AT61 1904 3002 3457 3201", "AT611904300234573201"),
            ("CH93 0076 2011 6238 5295 7", "CH9300762011623852957"),
            ("SE45 5000 0000 0583 9825 7466", "SE4550000000058398257466"),
            ("PT50 0002 0123 1234 5678 9015 4", "PT50000201231234567890154"),
            ("GR16 0110 1250 0000 0001 2300 695", "GR1601101250000000012300695"),
            ("CY17 0020 0128 0000 0012 0052 7600", "CY17002001280000001200527600"),
            ("BR18 0036 0305 0000 1000 9795 493C 1", "BR1800360305000010009795493C1"),
            ("AE07 0331 2345 6789 0123 456", "AE070331234567890123456"),
            ("IE29 AIBK 9311 5212 3456 78", "IE29AIBK93115212345678"),
            ("LU28 0019 4006 4475 0000", "LU280019400644750000"),
            ("RO49 AAAA 1B31 0075 9384 0000", "RO49AAAA1B31007593840000"),
            ("HU42 1177 3016 1111 1018 0000 0000", "HU42117730161111101800000000"),
            ("TR13 0006 2000 0000 1234 5678 90", "TR130006200000001234567890"),
            ("TR42 0004 6000 1234 5678 9012 34", "TR420004600012345678901234"),
            ("TR47 0006 20AB CDEF 1234 5678 90", "TR47000620ABCDEF1234567890"),
            ("TR90 0000 1099 9999 9999 9999 99", "TR900000109999999999999999"),
            // Of a PSP's own documents.
            ("TR32 0010 0099 9990 1234 5678 90", "TR320010009999901234567890"),
            // The reserved digit is 1: nobody gives such out, and nothing says that it is wrong.
            ("TR85 0006 2100 0000 1234 5678 90", "TR850006210000001234567890"),
        ];
        for (printed, electronic) in rows {
            assert!(is_valid(electronic), "{electronic}");
            assert_eq!(normalise(printed).as_deref(), Some(electronic));
            assert_eq!(normalise(&printed.to_lowercase()).as_deref(), Some(electronic));
        }
    }

    #[test]
    fn what_only_looks_like_an_iban() {
        let rows = [
            "TR330006100519786457841327",                                     // last digit changed
            "TR330006100591786457841326",                                     // inner digits swapped
            "TR320010009999901234567891",                                     // seed example with last digit changed
            "TR610003200013900000888888", // sample printed on a bank web page (teb.com.tr); remainder 50, not a real IBAN
            "TR33000610051978645784132",  // 25 characters
            "TR33 0006 1005 1978 6457 8413 2", // printed form, 25 characters
            "TR990006200000000000000006", // remainder is 1 but check digits must be 02..98; same account as TR020006200000000000000006; python-stdnum accepts it
            "TR000006200000000000000042", // same trap; same account as TR970006200000000000000042
            "TR740006A00000001234567890", // letter in the 5-digit bank code; mod-97 passes
            "tr330006100519786457841326", // lower case country; normalise first, reject in canonical storage
            "TR33\u{a0}0006\u{a0}1005\u{a0}1978\u{a0}6457\u{a0}8413\u{a0}26", // no-break spaces
            "TR33-0006-1005-1978-6457-8413-26", // hyphens
            "DE89370400440532013001",     // last digit changed
            "DE8937040044053201300",      // 21 characters, DE needs 22
            "GB29NW1K60161331926819",     // digit in bank letters
            "NL91ABNA0417164301",         // last digit changed
            "ES9121000418450200051333",   // last digit changed
            "IT60X0542811101000000123457", // last digit changed
            "PL61109010140000071219812875", // last digit changed
            "XX330006100519786457841326", // unknown country
            "US64SVBKUS6S3300958879",     // the USA has no IBAN
            "",                           // empty
            "TR330006100519786457841326 ", // trailing space in a canonical field
            "ＴＲ330006100519786457841326", // full-width letters
        ];
        for text in rows {
            assert!(!is_valid(text), "{text:?}");
        }
        assert!(!is_valid("TR4000062A0000001234567890"), "a letter in the reserved place");
        assert_eq!(normalise(&"1".repeat(100_000)), None);
    }
}
