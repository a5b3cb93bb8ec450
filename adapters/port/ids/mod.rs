//! Identifiers with check digits, as pure functions.

pub mod iban;
