//! Pientegra: bank transfers in Turkish lira. A deposit is a transfer to an account that Pientegra reserves for it, which
//! the payer sees on Pientegra's page; a withdrawal is a transfer to an IBAN.
//!
//! What is unusual about it (from its documents at `docs.pientegra.com/docs`; `docs/…` names the page):
//!
//! - **It has no field for our reference.** The idempotency key is our reference, written as the UUID it is made from
//!   (`docs/getting-started/idempotency`). Before the answer has told Pientegra's id, all we can do is to repeat the call
//!   with the key – 24 hours long, of which 23 are used – or to see that a list of what was made since then is empty.
//! - **A claim that went stale is run again** by Pientegra. So a call without an answer is left alone for some minutes
//!   before it is repeated.
//! - `duplicate_idempotency_key` (still running) and `idempotency_key_reuse_with_different_body` both say that the key
//!   exists: neither is a refusal.
//! - **Errors are hardly documented**, and most refusals that must exist have no known name. A code that is not known is
//!   an unrecognised word, which a person sees, and never a decline.
//! - **Amounts** are whole kuruş, written as texts; what the payer is asked to pay, and what comes, may differ from what
//!   was requested. The only active currency is TRY (`docs/getting-started/money-format`).
//! - **`AUTO_CANCELLED` is not quite the end**: with `LATE_ARRIVAL` money has come all the same and is being looked at.
//!   Neither is known to be told by an event, so the feed asks for them.
//! - **A withdrawal's `APPROVED` is not money out**, and `SENT` is not the end: the bank may return it. `RETURNED` says
//!   that it was sent, too, whatever arrives first.
//! - **There is no refund, no cancel, no balance.** The payer does not come back by itself from Pientegra's page.
//! - Notices are given up after about ten minutes: the event ledger lists them as `DEAD` (`docs/api/events`).

mod adapter;
pub mod contract;
mod encode;
mod feed;
mod manifest;
mod normalize;
pub mod notice;
#[cfg(test)]
mod tests;

pub use adapter::Pientegra;
pub use encode::{iso, uuid_text};
pub use manifest::MANIFEST;
