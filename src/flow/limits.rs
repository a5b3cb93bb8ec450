//! How long we wait for what. Every wait of ours goes through [`crate::clock::Clock::wait`], which tests speed up.

use rialto_adapters::port::Duration;

/// A caller gets an answer within this, Pending if the PSP is slower.
pub const CALL_ANSWERED_WITHIN: Duration = Duration::from_secs(5);

/// An instruction proved not sent is tried again until then; shorter than the call, so that the caller of a dead PSP
/// learns of the failure in the answer.
pub const SUBMIT_WITHIN: Duration = Duration::from_millis(4_000);

/// A payout proved not sent is tried for so long: its caller has its answer, and a PSP's bad hour is no refusal.
pub const PAYOUT_SUBMIT_WITHIN: Duration = Duration::from_secs(3600);

/// Between two attempts of an instruction that was proved not sent. After [`SUBMIT_WITHIN`] it doubles with each attempt, up
/// to [`SUBMIT_RETRY_MAX`].
pub const SUBMIT_RETRY_PAUSE: Duration = Duration::from_millis(500);
pub const SUBMIT_RETRY_MAX: Duration = Duration::from_secs(60);

/// The first byte of a call leaves within this of its commit, or not at all.
pub const SEND_WITHIN: Duration = Duration::from_secs(3);

/// A look-up must be answered within this.
pub const LOOKUP_ANSWERED_WITHIN: Duration = Duration::from_secs(15);

/// A look-up that was taken and not finished is taken again after this: longer than a look-up lasts.
pub const LOOKUP_HELD_FOR: Duration = Duration::from_secs(30);

/// How long an answer that moved no news waits for another node's commit before it reads again.
pub const POLL_PAUSE: Duration = Duration::from_millis(100);

/// Units of work that lost a race and are built anew from what is stored now. A row that changes more often than this
/// within one call does not exist in practice; the reconciler comes back to it.
pub const RACES_MAX: usize = 20;

/// How long a payer has to finish on our page before the intent is closed (after asking the PSP).
pub const PAYER_PAGE_OPEN_FOR: Duration = Duration::from_secs(30 * 60);

/// After a failed try to close an intent by clock, when to try again.
pub const EXPIRY_RETRY: Duration = Duration::from_secs(60);

/// A parked notice is looked at this often, and given up after [`PARKED_FOR`].
pub const PARKED_SWEEP: Duration = Duration::from_secs(60);

/// How long a notice waits for the transaction it names.
pub const PARKED_FOR: Duration = Duration::from_secs(24 * 3600);
