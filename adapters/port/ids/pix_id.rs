//! The ids of PIX itself: end-to-end id, return id, transaction id, recurrence id.
//!
//! What a PSP sends as an end-to-end id is kept as it comes, whatever it looks like: PSPs' own documents hold ids of wrong
//! lengths. These functions are for what we make, and for saying that something looks odd.

use crate::port::time::{Civil, Timestamp};

/// Length of an end-to-end or return id.
const LENGTH: usize = 32;
/// Characters behind the time that make it unique.
const SUFFIX_LENGTH: usize = 11;
const ISPB_LENGTH: usize = 8;

/// Letters before the participant's number.
const END_TO_END: &str = "E";
const RETURN: &str = "D";

/// The parts of an end-to-end or return id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PixId {
    /// Who made it: eight digits or upper-case letters.
    pub ispb: String,
    /// When, to the minute.
    pub at: Timestamp,
    pub suffix: String,
}

/// The parts of a well-formed end-to-end id: `E`, ISPB, UTC `yyyyMMddHHmm`, eleven letters or digits.
pub fn end_to_end(text: &str) -> Option<PixId> {
    parse(text, END_TO_END)
}

/// The parts of a well-formed id of a returned payment: the same behind a `D`.
pub fn returned(text: &str) -> Option<PixId> {
    parse(text, RETURN)
}

/// A new end-to-end id. `suffix`: whatever of it is a letter or digit, cut or filled to eleven.
pub fn new_end_to_end(ispb: &str, at: Timestamp, suffix: &str) -> String {
    make(END_TO_END, ispb, at, suffix)
}

/// A new id of a returned payment.
pub fn new_returned(ispb: &str, at: Timestamp, suffix: &str) -> String {
    make(RETURN, ispb, at, suffix)
}

/// Whether a text is the txid of a charge at a PSP (dynamic code): 26 to 35 letters or digits.
pub fn is_charge_txid(text: &str) -> bool {
    (26..=35).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// Whether a text is the txid in a static code: up to 25 letters or digits, or `***` for none.
pub fn is_static_txid(text: &str) -> bool {
    text == "***" || ((1..=25).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// Whether a text is the id of a recurrence: `R`, `R` or `N`, ISPB, date, eleven letters or digits.
pub fn is_recurrence(text: &str) -> bool {
    ["RR", "RN"].iter().any(|prefix| text.strip_prefix(prefix).is_some_and(|rest| is_dated(rest, 8)))
}

/// Whether a text is the id of a request for a recurrence: `SC` and the same.
pub fn is_recurrence_request(text: &str) -> bool {
    text.strip_prefix("SC").is_some_and(|rest| is_dated(rest, 8))
}

fn parse(text: &str, prefix: &str) -> Option<PixId> {
    let rest = text.strip_prefix(prefix)?;
    if text.len() != LENGTH || !is_dated(rest, 12) {
        return None;
    }
    let (ispb, rest) = rest.split_at(ISPB_LENGTH);
    let (time, suffix) = rest.split_at(12);
    Some(PixId { ispb: ispb.to_owned(), at: minute(time)?, suffix: suffix.to_owned() })
}

/// ISPB, a date (8 digits) or a date and time (12), and the suffix.
fn is_dated(text: &str, time_length: usize) -> bool {
    if text.len() != ISPB_LENGTH + time_length + SUFFIX_LENGTH || !text.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return false;
    }
    let (ispb, rest) = text.split_at(ISPB_LENGTH);
    !ispb.bytes().any(|b| b.is_ascii_lowercase()) && minute(&format!("{:0<12}", &rest[..time_length])).is_some()
}

/// `yyyyMMddHHmm`.
fn minute(text: &str) -> Option<Timestamp> {
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let two = |at: usize| text.get(at..at + 2)?.parse().ok();
    let year = text.get(..4)?.parse().ok()?;
    Civil { year, month: two(4)?, day: two(6)?, hour: two(8)?, minute: two(10)?, second: 0 }.timestamp()
}

fn make(prefix: &str, ispb: &str, at: Timestamp, suffix: &str) -> String {
    let Civil { year, month, day, hour, minute, .. } = at.civil();
    let fit = |text: &str, length: usize| -> String {
        let right = text.chars().filter(char::is_ascii_alphanumeric);
        right.chain(std::iter::repeat('0')).take(length).collect()
    };
    let (ispb, suffix) = (fit(ispb, ISPB_LENGTH).to_ascii_uppercase(), fit(suffix, SUFFIX_LENGTH));
    format!("{prefix}{ispb}{year:04}{month:02}{day:02}{hour:02}{minute:02}{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::ids::testing::{list, text, vectors};
    use proptest::prelude::*;
    use serde_json::Value;

    fn whole(row: &Value) -> &str {
        row.as_str().unwrap_or_else(|| text(row, "value"))
    }

    #[test]
    fn end_to_end_and_return_ids() {
        type Row = (&'static str, fn(&str) -> Option<PixId>, fn(&str, Timestamp, &str) -> String);
        let vectors = vectors(include_str!("cases/pix_id.json"));
        let kinds: [Row; 2] = [("end_to_end", end_to_end, new_end_to_end), ("return", returned, new_returned)];
        for (name, parse, make) in kinds {
            for row in list(&vectors, &format!("{name}_valid")) {
                let value = text(row, "value");
                let parts = parse(value).unwrap_or_else(|| panic!("{value}"));
                let at = Timestamp::parse(&text(row, "utc").replace('Z', ":00Z"));
                assert_eq!((parts.ispb.as_str(), Some(parts.at)), (text(row, "ispb"), at), "{value}");
                assert_eq!(parts.suffix, text(row, "suffix"));
                assert_eq!(make(&parts.ispb, parts.at, &parts.suffix), value);
            }
            for row in list(&vectors, &format!("{name}_invalid")) {
                assert_eq!(parse(text(row, "value")), None, "{row}");
            }
        }
    }

    #[test]
    fn transaction_and_recurrence_ids() {
        let vectors = vectors(include_str!("cases/pix_id.json"));
        type Row = (&'static str, &'static str, fn(&str) -> bool);
        let tables: [Row; 3] = [
            ("txid", "dynamic", is_charge_txid),
            ("txid", "static", is_static_txid),
            ("recurrence", "idRec", is_recurrence),
        ];
        for (group, name, right) in tables {
            for row in list(&vectors[group], &format!("{name}_valid")) {
                assert!(right(whole(row)), "{row}");
            }
            for row in list(&vectors[group], &format!("{name}_invalid")) {
                assert!(!right(whole(row)), "{row}");
            }
        }
        for row in list(&vectors["recurrence"], "idSolicRec_valid") {
            assert!(is_recurrence_request(whole(row)) && !is_recurrence(whole(row)), "{row}");
        }
    }

    proptest! {
        #[test]
        fn what_is_made_is_well_formed(ispb in "\\PC{0,12}", suffix in "\\PC{0,20}", at in 0i64..4_000_000_000_000) {
            prop_assert!(end_to_end(&new_end_to_end(&ispb, Timestamp(at), &suffix)).is_some());
        }

        #[test]
        fn no_text_makes_it_panic(given in "[ER]?\\PC{0,40}") {
            let _ = (end_to_end(&given), is_recurrence(&given), is_recurrence_request(&given));
        }
    }
}
