//! How long we wait for what. Every wait of ours goes through [`crate::clock::Clock::wait`], which tests speed up.

use rialto_adapters::port::Duration;

/// A caller gets an answer within this, Pending if the PSP is slower.
pub const CALL_ANSWERED_WITHIN: Duration = Duration::from_secs(5);

/// An instruction proved not sent is tried again until then; shorter than the call, so that the caller of a dead PSP
/// learns of the failure in the answer.
pub const SUBMIT_WITHIN: Duration = Duration::from_millis(4_000);

/// A payout proved not sent is tried for so long: its caller has its answer, and a PSP's bad hour is no refusal.
pub const PAYOUT_SUBMIT_WITHIN: Duration = Duration::from_secs(3600);

/// What is to be sent at a time of its own is tried for so long after it: a PSP's bad day costs no debit.
pub const SCHEDULED_SUBMIT_WITHIN: Duration = Duration::from_secs(24 * 3600);

/// Between two attempts of an instruction that was proved not sent. After [`SUBMIT_WITHIN`] it doubles with each attempt, up
/// to [`SUBMIT_RETRY_MAX`].
pub const SUBMIT_RETRY_PAUSE: Duration = Duration::from_millis(500);
pub const SUBMIT_RETRY_MAX: Duration = Duration::from_secs(60);

/// The first byte of a call leaves within this of its commit, or not at all.
pub const SEND_WITHIN: Duration = Duration::from_secs(3);

/// A look-up must be answered within this.
pub const LOOKUP_ANSWERED_WITHIN: Duration = Duration::from_secs(15);

/// Settings that are tried out are answered within this: whoever waits for it is a caller.
pub const PROBE_ANSWERED_WITHIN: Duration = Duration::from_millis(4_500);

/// An account is refused for so long before it is tried out whether callers are told: longer than a PSP takes to roll out
/// what it has broken, shorter than a night.
pub const REFUSED_FOR: Duration = Duration::from_secs(30 * 60);

/// A refused account that could not be tried out is tried out again after this.
pub const REFUSED_TRIED_AGAIN: Duration = Duration::from_secs(60);

/// A look-up that was taken and not finished is taken again after this: longer than a look-up lasts.
pub const LOOKUP_HELD_FOR: Duration = Duration::from_secs(30);

/// How long an answer that moved no news waits for another node's commit before it reads again.
pub const POLL_PAUSE: Duration = Duration::from_millis(100);

/// Units of work that lost a race and are built anew from what is stored now. A row that changes more often than this
/// within one call does not exist in practice; the reconciler comes back to it.
pub const RACES_MAX: usize = 20;

/// How long a payer has to finish on our page before the intent is closed (after asking the PSP).
pub const PAYER_PAGE_OPEN_FOR: Duration = Duration::from_secs(30 * 60);

/// When a transaction that waited for the payer's answers in vain is ended, should the expiry of its page not have done it.
pub const UNANSWERED_SWEPT_AFTER: Duration = Duration::from_secs(3600);

/// How long collected money waits for the payment that books it before it goes back: as long as a usual reservation on a
/// card holds.
pub const COLLECTED_KEPT_FOR: Duration = Duration::from_secs(7 * 24 * 3600);

/// After a failed try to close an intent by clock, when to try again.
pub const EXPIRY_RETRY: Duration = Duration::from_secs(60);

/// A parked notice is looked at this often, and given up after [`PARKED_FOR`].
pub const PARKED_SWEEP: Duration = Duration::from_secs(60);

/// How long a notice waits for the transaction it names.
pub const PARKED_FOR: Duration = Duration::from_secs(24 * 3600);

/// A notice that an operator is matching is read again after this, should nobody finish: longer than applying takes.
pub const NOTICE_HELD_FOR: Duration = Duration::from_secs(30);

/// How long an outcome may be unknown, or a notice parked, before a person is to know of it. Most are found out by the
/// first few look-ups, which are over by then.
pub const NEEDS_ATTENTION_AFTER: Duration = Duration::from_secs(15 * 60);
