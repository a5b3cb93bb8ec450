//! What was taken from a parent, verb by verb, each with a reserved twin that holds what is under way. The unit that
//! accepts a child reserves in the same step, so of two racing verbs one is refused before anything is sent.
//!
//! The store mirrors every function here as one conditional update of the parent's row. The conditions, in the row's
//! columns, all in minor units of the parent's currency:
//!
//! | function | holds only if | sets |
//! |---|---|---|
//! | reserve capture | `:asked > 0 AND :asked <= total - captured - captured_reserved - released - released_reserved` | `captured_reserved += :asked` |
//! | reserve release | the same, `:asked` being the release | `released_reserved += :asked` |
//! | reserve refund | `:asked > 0 AND :asked <= total - refunded - refunded_reserved - charged_back` | `refunded_reserved += :asked` |
//! | confirm *verb* | `*_reserved >= :asked AND :asked > 0 AND :confirmed >= 0` | `*_reserved -= :asked`, `* += :confirmed` |
//! | free *verb* | `*_reserved >= :asked AND :asked > 0` | `*_reserved -= :asked` |
//! | book outside | `:amount > 0` | `captured`, `released`, `refunded` or `charged_back` `+= :amount` |
//! | book outside, reversed | `:amount > 0` | `charged_back = max(0, charged_back - :amount)` |
//!
//! Captures and releases belong to a Preauth, refunds and chargebacks to a Charge or Capture.

use rialto_adapters::port::Kind;

/// The counters of one parent, in minor units of its currency. None is ever negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// What was authorised or taken: the confirmed amount of the parent.
    pub total: i64,
    pub captured: i64,
    pub captured_reserved: i64,
    pub released: i64,
    pub released_reserved: i64,
    pub refunded: i64,
    pub refunded_reserved: i64,
    /// Taken back by the payer's bank. There is no verb of ours, so nothing to reserve.
    pub charged_back: i64,
}

/// What we start against a parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    Capture,
    Release,
    Refund,
}

impl Verb {
    pub const ALL: &'static [Verb] = &[Verb::Capture, Verb::Release, Verb::Refund];

    /// What a transaction of this kind is to its parent; `None` for those that have none.
    pub fn of(kind: Kind) -> Option<Verb> {
        match kind {
            Kind::Capture => Some(Verb::Capture),
            Kind::Release => Some(Verb::Release),
            Kind::Refund => Some(Verb::Refund),
            Kind::StoreMeans | Kind::Preauth | Kind::Charge | Kind::Payout => None,
        }
    }
}

/// What arrives without a reservation: made at the PSP, or confirmed after its reservation was freed. Always booked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outside {
    Capture,
    Release,
    /// At the PSP's portal, or ours that succeeded late.
    Refund,
    Chargeback,
    ChargebackReversed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CountersError {
    /// More than there is; `available` in minor units, never negative.
    #[error("only {available} is available")]
    TooMuch { available: i64 },
    #[error("the amount is not positive")]
    NotPositive,
    /// A reservation that is not there, or no longer.
    #[error("so much is not reserved")]
    NotReserved,
}

/// What a booking did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Booked {
    pub counters: Counters,
    /// By how much more was taken than there was; above 0 it is worth [`super::Alert::OutsideExceeds`].
    pub excess: i64,
}

impl Counters {
    /// A fresh parent of which `total` was authorised or taken.
    pub fn new(total: i64) -> Counters {
        Counters { total: total.max(0), ..Counters::default() }
    }

    /// What a capture may still take.
    pub fn available_to_capture(&self) -> i64 {
        floor(self.left_to_settle())
    }

    /// What a release may still give free: the same money as a capture's.
    pub fn available_to_release(&self) -> i64 {
        floor(self.left_to_settle())
    }

    /// What a refund may still give back; 0 where chargebacks have overtaken it.
    pub fn available_to_refund(&self) -> i64 {
        floor(self.left_to_return())
    }

    pub fn available(&self, verb: Verb) -> i64 {
        match verb {
            Verb::Capture => self.available_to_capture(),
            Verb::Release => self.available_to_release(),
            Verb::Refund => self.available_to_refund(),
        }
    }

    /// Nothing was captured and all of it was given free: the reservation is gone as if it had never been used.
    pub fn is_wholly_released(&self) -> bool {
        self.captured == 0 && self.captured_reserved == 0 && self.released >= self.total
    }

    /// All of it went back by refunds of which none is still under way.
    pub fn is_wholly_refunded(&self) -> bool {
        self.refunded_reserved == 0 && self.refunded >= self.total
    }

    /// Holds `asked` for a child that is about to be accepted.
    pub fn reserve(&self, verb: Verb, asked: i64) -> Result<Counters, CountersError> {
        positive(asked)?;
        let available = self.available(verb);
        if asked > available {
            return Err(CountersError::TooMuch { available });
        }
        Ok(self.with_reserved(verb, asked))
    }

    /// The child succeeded: its reservation of `asked` becomes `confirmed`, which may be less, or more where the PSP
    /// says so. What was not confirmed is available again.
    pub fn confirm(&self, verb: Verb, asked: i64, confirmed: i64) -> Result<Booked, CountersError> {
        if confirmed < 0 {
            return Err(CountersError::NotPositive);
        }
        let counters = self.free(verb, asked)?.with_done(verb, confirmed);
        Ok(Booked { counters, excess: counters.excess(verb) })
    }

    /// The child ended without effect: its reservation of `asked` is available again.
    pub fn free(&self, verb: Verb, asked: i64) -> Result<Counters, CountersError> {
        positive(asked)?;
        let reserved = match verb {
            Verb::Capture => self.captured_reserved,
            Verb::Release => self.released_reserved,
            Verb::Refund => self.refunded_reserved,
        };
        if asked > reserved {
            return Err(CountersError::NotReserved);
        }
        Ok(self.with_reserved(verb, -asked))
    }

    /// Books what arrived from outside, whatever is available: it has happened.
    pub fn book_outside(&self, what: Outside, amount: i64) -> Result<Booked, CountersError> {
        positive(amount)?;
        let counters = match what {
            Outside::Capture => self.with_done(Verb::Capture, amount),
            Outside::Release => self.with_done(Verb::Release, amount),
            Outside::Refund => self.with_done(Verb::Refund, amount),
            Outside::Chargeback => Counters { charged_back: self.charged_back.saturating_add(amount), ..*self },
            Outside::ChargebackReversed => Counters { charged_back: floor_i64(self.charged_back - amount), ..*self },
        };
        let excess = match what {
            Outside::Capture => counters.excess(Verb::Capture),
            Outside::Release => counters.excess(Verb::Release),
            Outside::Refund | Outside::Chargeback => counters.excess(Verb::Refund),
            // More given back than was ever taken.
            Outside::ChargebackReversed => floor_i64(amount - self.charged_back),
        };
        Ok(Booked { counters, excess })
    }

    /// By how much the sum that `verb` counts towards is beyond the total.
    fn excess(&self, verb: Verb) -> i64 {
        match verb {
            Verb::Capture | Verb::Release => floor(-self.left_to_settle()),
            Verb::Refund => floor(-self.left_to_return()),
        }
    }

    fn left_to_settle(&self) -> i128 {
        wide(self.total)
            - wide(self.captured)
            - wide(self.captured_reserved)
            - wide(self.released)
            - wide(self.released_reserved)
    }

    fn left_to_return(&self) -> i128 {
        wide(self.total) - wide(self.refunded) - wide(self.refunded_reserved) - wide(self.charged_back)
    }

    fn with_reserved(&self, verb: Verb, change: i64) -> Counters {
        let mut next = *self;
        let reserved = match verb {
            Verb::Capture => &mut next.captured_reserved,
            Verb::Release => &mut next.released_reserved,
            Verb::Refund => &mut next.refunded_reserved,
        };
        *reserved = reserved.saturating_add(change);
        next
    }

    fn with_done(&self, verb: Verb, amount: i64) -> Counters {
        let mut next = *self;
        let done = match verb {
            Verb::Capture => &mut next.captured,
            Verb::Release => &mut next.released,
            Verb::Refund => &mut next.refunded,
        };
        *done = done.saturating_add(amount);
        next
    }
}

fn positive(amount: i64) -> Result<(), CountersError> {
    if amount > 0 { Ok(()) } else { Err(CountersError::NotPositive) }
}

fn wide(minor: i64) -> i128 {
    i128::from(minor)
}

/// Not below 0, and never more than an amount can be.
fn floor(minor: i128) -> i64 {
    i64::try_from(minor.max(0)).unwrap_or(i64::MAX)
}

/// As [`floor`], of the difference of two amounts that are not negative: it cannot overflow.
fn floor_i64(minor: i64) -> i64 {
    minor.max(0)
}

#[cfg(test)]
mod tests;
