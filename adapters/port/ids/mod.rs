//! Identifiers with rules of their own, as pure functions. Strict in what they call right; where people write a thing in
//! several ways, a `normalise` or `of` brings it into the one form that is stored and sent.
//!
//! - [`document`] – CPF and CNPJ, and masks that show a part of one.
//! - [`iban`] – account numbers of ISO 13616.
//! - [`pix_key`] – the keys of PIX: a document, phone, e-mail or a random key.
//! - [`pix_id`] – the scheme's own ids: end-to-end, return, transaction, recurrence.
//! - [`br_code`] – the text behind a PIX QR code.

pub mod br_code;
pub mod document;
pub mod iban;
pub mod pix_id;
pub mod pix_key;

/// The vectors in `cases/`, read for tests.
#[cfg(test)]
mod testing {
    use serde_json::Value;

    pub fn vectors(text: &str) -> Value {
        serde_json::from_str(text).expect("the vectors are JSON")
    }

    /// The rows under a name, of which there are some.
    pub fn list<'a>(vectors: &'a Value, name: &str) -> &'a [Value] {
        let rows = vectors[name].as_array().unwrap_or_else(|| panic!("no rows {name}"));
        assert!(!rows.is_empty(), "{name} is empty");
        rows
    }

    pub fn text<'a>(row: &'a Value, name: &str) -> &'a str {
        row[name].as_str().unwrap_or_else(|| panic!("no text {name} in {row}"))
    }
}
