//! How long to wait before the next attempt, as data. Jitter comes from an id, so that the same row waits as long on
//! every node, and many rows do not wake at once.

use rialto_adapters::port::Duration;

/// What comes after the listed waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// The last wait again and again.
    Repeat,
    /// Twice the last wait each time, never more than this.
    Double { at_most: Duration },
}

/// Waits between attempts. All durations are nominal: the clock's scale is the caller's to apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Never empty in the constants here; an empty one never waits for anything and ends at once.
    pub waits: &'static [Duration],
    pub growth: Growth,
    /// The sum of all waits without their jitter; the last one is cut to it. `None` never ends.
    pub total: Option<Duration>,
    /// A wait is longer than its nominal length by up to this many percent.
    pub spread_percent: u8,
}

const HOUR: Duration = Duration::from_secs(3600);

/// Deliveries to billwerk: the published 60, 120, 240 s, then doubling, for three days in all. A receiver that is back
/// from a night's outage is told within six hours.
pub const BILLWERK: Schedule = Schedule {
    waits: &[Duration::from_secs(60), Duration::from_secs(120), Duration::from_secs(240)],
    growth: Growth::Double { at_most: HOUR.saturating_mul(6) },
    total: Some(HOUR.saturating_mul(72)),
    spread_percent: 10,
};

/// Look-ups of an outcome that is not known: the first 5 to 10 s after `answer_by`, then ever more seldom, never ending,
/// because waiting decides nothing.
pub const RECONCILE: Schedule = Schedule {
    waits: &[Duration::from_secs(5)],
    growth: Growth::Double { at_most: HOUR },
    total: None,
    spread_percent: 100,
};

/// Attempts at what is to be sent at a time of its own (a debit on its day, money that goes back) and was proved not sent:
/// a short outage costs seconds, a long one is not hammered. Its `submit_by` ends it.
pub const SCHEDULED: Schedule = Schedule {
    waits: &[Duration::from_secs(5), Duration::from_secs(30), Duration::from_secs(120)],
    growth: Growth::Double { at_most: Duration::from_secs(30 * 60) },
    total: None,
    spread_percent: 20,
};

/// Look-ups of an open transaction in the pacing of the adapter's manifest; the last wait repeats for ever.
pub const fn pacing(waits: &'static [Duration]) -> Schedule {
    Schedule { waits, growth: Growth::Repeat, total: None, spread_percent: 10 }
}

impl Schedule {
    /// The wait number `passed`, counted from 0: how long to wait when `passed` waits of this schedule are over.
    /// `None` when the schedule has ended. `jitter` is any number, best [`jitter`] of the row's id.
    pub fn next(&self, passed: u32, jitter: u64) -> Option<Duration> {
        let nominal = match self.total {
            None => self.nominal(passed)?,
            Some(total) => self.within(total, passed)?,
        };
        let spread_ms = millis(nominal) / 100 * u64::from(self.spread_percent);
        // Another share for each wait: two rows that met once do not meet again.
        let share = scramble(jitter ^ u64::from(passed)) % (spread_ms + 1);
        Some(nominal.saturating_add(Duration::from_millis(share)))
    }

    fn nominal(&self, passed: u32) -> Option<Duration> {
        let index = usize::try_from(passed).unwrap_or(usize::MAX);
        let last = *self.waits.last()?;
        if let Some(wait) = self.waits.get(index) {
            return Some(*wait);
        }
        match self.growth {
            Growth::Repeat => Some(last),
            Growth::Double { at_most } => {
                let beyond = index - self.waits.len() + 1;
                let factor = u32::try_from(beyond).ok().and_then(|by| 1u32.checked_shl(by)).unwrap_or(u32::MAX);
                Some(last.saturating_mul(factor).min(at_most))
            }
        }
    }

    fn within(&self, total: Duration, passed: u32) -> Option<Duration> {
        let mut left = total;
        for earlier in 0..passed {
            let wait = self.nominal(earlier)?;
            // A wait of nothing would never use up the total.
            left = left.checked_sub(wait).filter(|left| !left.is_zero() && !wait.is_zero())?;
        }
        Some(self.nominal(passed)?.min(left))
    }
}

fn millis(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
}

/// A number from an id's bytes (FNV-1a): the same for the same id, on every node and in every version.
pub fn jitter(id: &[u8]) -> u64 {
    id.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// Spreads neighbouring numbers over the whole range (the finish of splitmix64).
fn scramble(number: u64) -> u64 {
    let mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Nominal waits in seconds, until the end or `most` of them.
    fn nominal(schedule: &Schedule, most: u32) -> Vec<u64> {
        let plain = Schedule { spread_percent: 0, ..*schedule };
        (0..most).map_while(|passed| plain.next(passed, 7)).map(|wait| wait.as_secs()).collect()
    }

    #[test]
    fn billwerk_is_told_for_three_days() {
        let waits = nominal(&BILLWERK, 1000);
        assert_eq!(waits[..10], [60, 120, 240, 480, 960, 1920, 3840, 7680, 15_360, 21_600]);
        assert_eq!(waits.iter().sum::<u64>(), 72 * 3600);
        assert!(waits[9..waits.len() - 1].iter().all(|wait| *wait == 21_600), "{waits:?}");
        let end = u32::try_from(waits.len()).expect("a short list");
        assert_eq!(BILLWERK.next(end, 0), None);
        assert_eq!(BILLWERK.next(u32::MAX, 0), None);
    }

    #[test]
    fn an_unknown_outcome_is_asked_for_without_end() {
        assert_eq!(nominal(&RECONCILE, 12), [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600]);
        assert!(RECONCILE.next(u32::MAX, u64::MAX).is_some());
        for id in 0..1000u32 {
            let first = RECONCILE.next(0, jitter(&id.to_be_bytes())).expect("never ends");
            assert!((Duration::from_secs(5)..=Duration::from_secs(10)).contains(&first), "{first:?}");
        }
    }

    #[test]
    fn a_manifests_pacing_repeats_its_last_wait() {
        const WAITS: &[Duration] = &[Duration::from_secs(2), Duration::from_secs(30)];
        assert_eq!(nominal(&pacing(WAITS), 4), [2, 30, 30, 30]);
        assert_eq!(pacing(&[]).next(0, 0), None);
    }

    #[test]
    fn ids_spread_over_the_whole_of_the_jitter() {
        let firsts: Vec<u128> =
            (0..1000u64).filter_map(|id| RECONCILE.next(0, jitter(&id.to_be_bytes()))).map(|w| w.as_millis()).collect();
        for second in 5..10u128 {
            let inside = firsts.iter().filter(|ms| (second * 1000..(second + 1) * 1000).contains(ms)).count();
            assert!(inside > 120, "{inside} of 1000 ids in second {second}");
        }
    }

    proptest! {
        #[test]
        fn a_wait_is_never_shorter_than_nominal_nor_longer_than_its_spread(passed: u32, jitter: u64) {
            for schedule in [BILLWERK, RECONCILE] {
                let plain = Schedule { spread_percent: 0, ..schedule }.next(passed, jitter);
                let spread = schedule.next(passed, jitter);
                prop_assert_eq!(plain.is_some(), spread.is_some());
                if let (Some(plain), Some(spread)) = (plain, spread) {
                    prop_assert!(plain <= spread && spread <= plain * 2);
                    prop_assert_eq!(schedule.next(passed, jitter), Some(spread));
                }
            }
        }
    }
}
