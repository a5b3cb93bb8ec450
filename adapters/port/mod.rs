//! The language between Rialto and a payment service provider (PSP).
//!
//! An adapter is stateless and pure but for one thing: it may send requests through the [`Wire`] it is given. It never
//! reads a clock, the environment or randomness: same input, same bytes. In reading order:
//! - [`adapter`] – the trait itself, and what each of its verbs promises.
//! - [`manifest`] – what a PSP can do, as constant data.
//! - [`instruction`] – what we ask for. [`outcome`] – what the call told us. [`report`] – the one normal form of news.
//! - [`reason`] – the closed list of why money did not move.
//! - [`notice`] – what a PSP posts to us, and the only makers of [`Verified`].
//! - [`money`], [`reference`], [`time`], [`secret`], [`settings`] – the words the above are made of.
//! - [`wire`] – one request out, one reply or classified fault back.
//! - [`ids`] – identifiers with check digits (IBAN, …).
//! - `conformance` – the suite every adapter's tests run.

pub mod adapter;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod ids;
pub mod instruction;
pub mod manifest;
pub mod money;
pub mod notice;
pub mod outcome;
pub mod reason;
pub mod reference;
pub mod report;
pub mod secret;
pub mod settings;
pub mod time;
pub mod wire;

pub use adapter::{Adapter, Context};
pub use instruction::{
    Capture, Charge, Close, Instruction, Kind, Means, Parent, Payer, Payout, Preauth, Refund, Release, StoreMeans,
};
pub use manifest::Manifest;
pub use money::{Currency, Money, MoneyError};
pub use notice::{NoticeSecrets, RawNotice, Verification, Verified};
pub use outcome::{BalanceAnswer, Fault, FaultCause, Feed, Lookup, Outcome, Probe, Read, Refusal, Sent};
pub use reason::Reason;
pub use reference::{OurReference, ReferenceRule, References};
pub use report::{Bearer, Movement, NextAction, Report, ReportKind, Stage, Verdict};
pub use secret::Secret;
pub use settings::Settings;
pub use time::{Civil, Duration, Timestamp};
pub use wire::{Header, Method, Reply, Request, Wire};
