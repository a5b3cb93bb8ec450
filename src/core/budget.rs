//! How many calls a PSP takes in a while, counted so that no window of that length ever holds more, wherever it begins.
//! Pure: the store keeps the [`Ledger`], the caller tells the time.
//!
//! The window is cut into [`SLOTS`] slots, and calls are counted in the slot in which they are granted. A window that
//! begins in the middle of a slot touches one slot more than it is long, so that many are summed. What is granted is to be
//! used within its slot: a node leases a few calls at a time and lets the rest lapse.

use rialto_adapters::port::manifest::RequestBudget;

/// Slots of a window. More of them waste less of the budget and make for more leases.
pub const SLOTS: usize = 12;

/// What a call is for. Each leaves the other its share, so that neither look-ups nor new payments can be shut out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Instruction,
    /// Look-ups, balances, feeds.
    Question,
}

/// The calls of one slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    pub instructions: u32,
    pub questions: u32,
}

impl Calls {
    fn of(self, purpose: Purpose) -> u32 {
        match purpose {
            Purpose::Instruction => self.instructions,
            Purpose::Question => self.questions,
        }
    }
}

/// The calls of one account within the last window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// The number of the newest slot, counted since 1970.
    pub slot: i64,
    /// From the newest slot on backwards: at most [`SLOTS`] and one.
    pub calls: Vec<Calls>,
}

/// What a request for calls came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    /// So many, at least one, to be used while `slot` lasts.
    Some { ledger: Ledger, calls: u32 },
    /// None before this slot begins.
    NotBefore(i64),
}

impl Ledger {
    /// Grants up to `wanted` calls in the slot `now`. A clock that is behind the ledger counts into the ledger's slot.
    pub fn take(&self, budget: RequestBudget, purpose: Purpose, wanted: u32, now: i64) -> Grant {
        let mut ledger = self.moved_to(now);
        let free = ledger.free(budget, purpose, 0);
        if free == 0 {
            return Grant::NotBefore(ledger.next_chance(budget, purpose));
        }
        let calls = wanted.clamp(1, free);
        // A moved ledger has a newest slot.
        if let Some(newest) = ledger.calls.first_mut() {
            match purpose {
                Purpose::Instruction => newest.instructions += calls,
                Purpose::Question => newest.questions += calls,
            }
        }
        Grant::Some { ledger, calls }
    }

    fn moved_to(&self, now: i64) -> Ledger {
        let slot = if self.calls.is_empty() { now } else { now.max(self.slot) };
        let passed = usize::try_from(slot.saturating_sub(self.slot)).unwrap_or(usize::MAX);
        let empty = passed.min(SLOTS + 1).max(usize::from(self.calls.is_empty()));
        let calls = std::iter::repeat_n(Calls::default(), empty).chain(self.calls.iter().copied());
        Ledger { slot, calls: calls.take(SLOTS + 1).collect() }
    }

    /// What is left for a purpose once the oldest `lapsed` slots do not count any more.
    fn free(&self, budget: RequestBudget, purpose: Purpose, lapsed: usize) -> u32 {
        let counted = self.calls.iter().take((SLOTS + 1).saturating_sub(lapsed));
        let (mut all, mut own) = (0u32, 0u32);
        for calls in counted {
            all = all.saturating_add(calls.instructions).saturating_add(calls.questions);
            own = own.saturating_add(calls.of(purpose));
        }
        let most = most(budget, purpose);
        budget.calls.saturating_sub(all).min(most.saturating_sub(own))
    }

    fn next_chance(&self, budget: RequestBudget, purpose: Purpose) -> i64 {
        let lapsed = (1..=SLOTS).find(|lapsed| self.free(budget, purpose, *lapsed) > 0).unwrap_or(SLOTS + 1);
        self.slot.saturating_add(i64::try_from(lapsed).unwrap_or(i64::MAX))
    }
}

/// The most that one purpose may use: it leaves the other one's share alone.
fn most(budget: RequestBudget, purpose: Purpose) -> u32 {
    let others = budget.calls.saturating_sub(budget.kept_for_lookups);
    match purpose {
        Purpose::Instruction => others,
        Purpose::Question => others.max(budget.kept_for_lookups),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rialto_adapters::port::Duration;

    use super::*;

    const BUDGET: RequestBudget = RequestBudget { calls: 60, per: Duration::from_secs(60), kept_for_lookups: 12 };

    /// Takes as much as there is in a slot.
    fn drain(ledger: &Ledger, purpose: Purpose, now: i64) -> (Ledger, u32) {
        match ledger.take(BUDGET, purpose, u32::MAX, now) {
            Grant::Some { ledger, calls } => (ledger, calls),
            Grant::NotBefore(_) => (ledger.clone(), 0),
        }
    }

    #[test]
    fn a_window_holds_what_the_psp_takes_and_each_purpose_leaves_the_other_its_share() {
        let (after, instructions) = drain(&Ledger::default(), Purpose::Instruction, 100);
        assert_eq!(instructions, 48);
        assert_eq!(after.take(BUDGET, Purpose::Instruction, 1, 105), Grant::NotBefore(113));
        let (after, questions) = drain(&after, Purpose::Question, 105);
        assert_eq!(questions, 12);
        assert_eq!(after.take(BUDGET, Purpose::Question, 1, 112), Grant::NotBefore(113));
        assert_eq!(drain(&after, Purpose::Instruction, 113).1, 48);
        assert_eq!(drain(&Ledger::default(), Purpose::Question, 7).1, 48);
    }

    #[test]
    fn a_clock_that_is_behind_gets_nothing_extra() {
        let (after, _) = drain(&Ledger::default(), Purpose::Instruction, 100);
        assert_eq!(after.take(BUDGET, Purpose::Instruction, 1, 40), Grant::NotBefore(113));
    }

    proptest! {
        /// Whatever several nodes ask for, and whenever: no window holds more than the budget, and none shuts one of the
        /// purposes out.
        #[test]
        fn no_window_ever_holds_more(
            asked in proptest::collection::vec((0i64..6, any::<bool>(), 1u32..30), 1..200),
            calls in 2u32..80,
            kept in 0u32..80,
        ) {
            let budget = RequestBudget { calls, per: Duration::from_secs(60), kept_for_lookups: kept % calls };
            let (mut ledger, mut now) = (Ledger::default(), 1_000i64);
            let mut granted: Vec<(i64, Purpose, u32)> = Vec::new();
            for (later, question, wanted) in asked {
                now += later;
                let purpose = if question { Purpose::Question } else { Purpose::Instruction };
                let in_window = |of: Purpose| -> u32 {
                    let window = now - SLOTS as i64..=now;
                    granted.iter().filter(|g| window.contains(&g.0) && g.1 == of).map(|g| g.2).sum()
                };
                let (instructions, questions) = (in_window(Purpose::Instruction), in_window(Purpose::Question));
                match ledger.take(budget, purpose, wanted, now) {
                    Grant::Some { ledger: after, calls } => {
                        prop_assert!((1..=wanted).contains(&calls));
                        prop_assert!(instructions + questions + calls <= budget.calls);
                        if purpose == Purpose::Instruction {
                            prop_assert!(instructions + calls <= budget.calls - budget.kept_for_lookups);
                        }
                        prop_assert!(after.calls.len() <= SLOTS + 1);
                        granted.push((now, purpose, calls));
                        ledger = after;
                    }
                    Grant::NotBefore(slot) => {
                        prop_assert!(slot > now && slot <= now + SLOTS as i64 + 1);
                        // Nothing is held back for nothing.
                        match purpose {
                            Purpose::Question => prop_assert!(questions >= budget.kept_for_lookups),
                            Purpose::Instruction => prop_assert!(instructions > 0 || questions > 0),
                        }
                        // At the time told there is something, if nobody else has taken it.
                        let then = ledger.take(budget, purpose, 1, slot);
                        prop_assert!(matches!(then, Grant::Some { .. }), "{then:?}");
                    }
                }
            }
        }
    }
}
