//! A PIX gateway of Brazil: deposits by QR code, withdrawals to a PIX key, refunds of deposits.
//!
//! Four generations of its documents disagree (docs.paag.io, paag.pages.dev, paag.readme.io); what is adopted here:
//!
//! - **`refund` is a failed withdrawal**, never a returned deposit; a returned deposit is `void`. A `void` without a
//!   `capture` beside it: somebody else than the customer paid, and got the money back.
//! - **The whole `events[]` is read each time**, in whatever order it stands: a notice of an older event carries the newer
//!   ones too, so the order of arrival does not matter. There is no amount but on events.
//! - Nearly every member may be absent. `flow_type` and `status` come with withdrawals only; `error.meta` is an object for
//!   compliance and an empty array for the bank; `document_number` is masked; times have offsets without a colon, or none.
//! - **A 200 only means accepted.** `GET /api/transaction/{id}` is documented to answer 201: any 2xx is good.
//! - **The search by our id is a prefix search**, 50 rows a page: equal ones are picked out here.
//! - Nothing is idempotent. A second use of a `merchant_transaction_id` is a 422, and so tells only that it exists.
//! - A refund names the deposit and nothing of ours; it is found again among the deposit's events.
//! - A QR code has no expiry there: ours is shown, and money that comes later still counts.
//! - The signature is base64 of the *hexadecimal* HMAC and covers no time ([`notice`]).
//! - The body of a 422, and of a refund's answer, is not documented: the 401's form and the transaction's are assumed,
//!   anything else leaves the outcome open.

mod adapter;
pub mod contract;
mod encode;
mod manifest;
mod normalize;
pub mod notice;
#[cfg(test)]
mod tests;

pub use adapter::PixGateway;
pub use manifest::MANIFEST;
