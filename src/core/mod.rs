//! The model, pure: no async, no IO, no serde, no clock, no randomness. Whatever needs time or an id is given it.
//!
//! In reading order:
//! - [`transaction`] – one instruction's life at the PSP: its states, and the view of it that `step` needs.
//! - [`mod@step`] – the one function that says what a transaction becomes by what was learned. Its test is the whole
//!   table.
//! - [`intent`] – what a caller asked for, as that caller sees it; which transaction news ends it, and when money is late.
//! - [`counters`] – what was taken from a parent and what is reserved, verb by verb, with each SQL condition in words.
//! - [`event`] – what is told outward, and the one table that picks it.
//! - [`alert`] – the closed list of what waits for a person.
//! - [`budget`] – how many calls a PSP takes in a while.
//! - [`schedule`] – how long to wait before the next attempt, as data.
//! - [`sameness`] – whether a repeated request is the same request again, and which field differs if not.

pub mod alert;
pub mod budget;
pub mod counters;
pub mod event;
pub mod intent;
pub mod sameness;
pub mod schedule;
pub mod step;
pub mod transaction;

pub use alert::Alert;
pub use counters::{Counters, CountersError, Outside, Verb};
pub use event::{EventType, WebhookType};
pub use intent::{ClosedBy, IntentChange, IntentKind, IntentState, LatePolicy};
pub use sameness::{Fingerprints, Sameness};
pub use schedule::Schedule;
pub use step::{Learned, Standing, Step, step};
pub use transaction::{State, View};
