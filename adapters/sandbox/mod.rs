//! The scriptable provider built into Rialto, and the adapter to copy when you add your own.
//!
//! It is written as if the sandbox were any other PSP with a JSON API: [`contract`] is its documentation as structs,
//! [`manifest`] what it can do, [`encode`] turns an instruction into a request, [`normalize`] a reply into reports,
//! [`notice`] checks and reads what it posts to us, [`adapter`] is the only asynchronous file. The PSP behind it is played
//! by `src/psp/sandbox`, which uses the same contract.
//!
//! Where a connection's setting `scripted` is on, the last two digits of the amount in minor units choose what happens
//! (`50.22 EUR`, `5022 JPY`, … is script 22):
//!
//! | script | what happens |
//! |---|---|
//! | 11 | declined: insufficient balance |
//! | 12 | declined: rejected |
//! | 13 | declined: bearer invalid |
//! | 21 | not sent: the connection is refused, nothing happens |
//! | 22 | the effect happens, the answer is lost |
//! | 23 | the answer is lost and the effect did not happen |
//! | 24 | an HTML page with status 502 after the effect |
//! | 25 | a slow call: the effect happens only after a lookup has said absent |
//! | 31 | pending, the success notice comes after 2 s |
//! | 32 | the same notice five times |
//! | 33 | notices out of order: success before pending |
//! | 34 | the notice comes before the answer |
//! | 35 | a forged notice first, then the real one |
//! | 36 | pending, and the success is visible only to a lookup |
//! | 37 | paid after our expiry: the page cannot be closed, and outlives its time |
//! | 41 | a chargeback 2 s after the success |
//! | 42 | the means are revoked 2 s after they were stored or charged |
//! | 43 | a chargeback 2 s after the success, taken back 2 s later |
//! | 44 | what is left is refunded at the PSP's portal 2 s after the success |
//! | 51 | the answer comes after 8 s |
//!
//! All other amounts succeed. A card without stored means sends the payer to a page first; the decline scripts then act
//! when the payer approves, the others on the call that opened the page or on the approval, wherever they have a meaning.
//! On the page a first card can be declined and a second one tried. A mandate is stored without moving money: there the
//! script is chosen by the amount that the caller expects to take later.
//!
//! API keys that begin with `invalid` are refused; for those that begin with `unreachable` nobody answers. Means from before
//! are taken over by tokens `legacy_card_…` and `legacy_debit_…` (4 to 64 letters and digits), or by a token stored here.

mod adapter;
pub mod contract;
mod encode;
mod manifest;
mod normalize;
pub mod notice;
#[cfg(test)]
mod tests;

pub use adapter::Sandbox;
pub use manifest::MANIFEST;
