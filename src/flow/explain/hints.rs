//! What may be wrong with a name that nobody knows. Pure.

use uuid::Uuid;

use crate::store::find::OtherThing;

/// What was found out about a name by asking the database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clues {
    /// It is the id of something that is no payment.
    pub other: Option<OtherThing>,
    /// PSP's ids that we have stored begin so: (beginning, adapter).
    pub adapter: Option<(String, String)>,
}

/// Another way to write the name, tried when it is not found as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spelling {
    pub text: String,
    pub hint: String,
}

/// Longest beginning of a PSP's ids: `chg_`, `intent_`.
const PREFIX_MAX: usize = 12;
/// Beginnings of our own secrets, which nobody should look for.
const SECRETS: &[&str] = &["sk_live_", "sk_test_", "ak_", "as_", "whsec_"];

/// Other ways to write `given`, the likeliest first, none of them twice.
pub fn spellings(given: &str) -> Vec<Spelling> {
    let bare = given.trim().trim_matches(|c: char| matches!(c, '"' | '\'' | '`' | ',' | ';')).trim();
    let last = bare.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let last = last.split(['?', '#']).next().unwrap_or_default();
    let rows = [
        (bare.to_owned(), "without the spaces and quotes around it"),
        (last.to_owned(), "the last part of what you gave"),
        (bare.to_lowercase(), "in small letters"),
        (bare.to_uppercase(), "in capital letters"),
    ];
    let mut spellings: Vec<Spelling> = Vec::new();
    for (text, how) in rows {
        if !text.is_empty() && text != given && spellings.iter().all(|known| known.text != text) {
            let hint = format!("nothing is called {given:?}; this is {text}, {how}");
            spellings.push(Spelling { text, hint });
        }
    }
    spellings
}

/// The beginning by which a PSP's ids may be told apart: letters up to a `_` or `-`.
pub fn prefix(text: &str) -> Option<&str> {
    let end = text.find(['_', '-'])? + 1;
    let letters = text[..end - 1].chars().all(|c| c.is_ascii_alphanumeric());
    (end > 1 && end <= PREFIX_MAX && end < text.len() && letters).then(|| &text[..end])
}

/// What the look of a name tells.
pub fn of(given: &str, clues: &Clues) -> Vec<String> {
    let text = given.trim();
    let mut hints = Vec::new();
    if SECRETS.iter().any(|secret| text.starts_with(secret)) {
        hints.push(
            "it looks like a key: of keys only hashes are kept, and they are best not pasted anywhere".to_owned(),
        );
    }
    if text.contains(char::is_whitespace) {
        hints.push("it holds a space; names of payments seldom do".to_owned());
    }
    if let Some(other) = &clues.other {
        let of = other.tenant.as_ref().map(|tenant| format!(" of tenant {tenant}")).unwrap_or_default();
        hints.push(format!(
            "it is the id of {}{of}; explain takes names of payments and what belongs to them",
            other.what
        ));
    } else if text.len() == 32 && Uuid::parse_str(text).is_ok() {
        hints.push("it looks like a trace id; requests that asked for no payment are only in the log".to_owned());
    } else if Uuid::parse_str(text).is_ok() {
        hints.push("it looks like an id of ours; is it from another server, or has it been removed?".to_owned());
    }
    if let Some((prefix, adapter)) = &clues.adapter {
        hints.push(format!(
            "it looks like an id of the PSP {adapter} ({prefix}…): perhaps made there without us, or not told to us yet"
        ));
    }
    for adapter in rialto_adapters::registry() {
        let rule = &adapter.manifest().reference;
        if rule.accepts(text) && text.len() == rule.mint(0).0.len() {
            let name = adapter.manifest().name;
            hints.push(format!("it looks like a reference that we send to {name}; is it from another server?"));
        }
    }
    if is_end_to_end(text) {
        hints.push("it looks like a PIX end-to-end id; no PSP has told us of it".to_owned());
    }
    hints
}

/// `E`, the payer's bank (8 digits), date and time (12 digits), 11 letters or digits.
fn is_end_to_end(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 32
        && matches!(bytes[0], b'E' | b'e')
        && bytes[1..21].iter().all(u8::is_ascii_digit)
        && bytes[21..].iter().all(u8::is_ascii_alphanumeric)
}
