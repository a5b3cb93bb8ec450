//! The ways in which a call and its notices go wrong, and where they come from. Pure.

use std::collections::BTreeSet;
use std::fmt;

/// Header of a request with the faults it asks for: `lost-after, duplicate`.
pub const HEADER: &str = "x-simulate";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The answer takes eight seconds.
    Latency,
    /// The connection breaks off, and nothing was done.
    LostBefore,
    /// It was done, and the connection breaks off.
    LostAfter,
    /// 500, and nothing was done.
    Error,
    /// It was done, and the answer is 503.
    ErrorAfter,
    /// It was done, and the answer is a proxy's page with status 502.
    Html,
    /// 429, and nothing was done.
    RateLimit,
    /// Notices come three times.
    Duplicate,
    /// After a notice comes the one that should have come before it.
    Reorder,
    /// Before a notice comes one that somebody else has signed.
    Forged,
    /// It ends at once, and the notice comes before the answer.
    Early,
    /// Notices come a minute late.
    Late,
    /// Notices do not come.
    Missing,
    /// The amount that moves is not the amount that was asked for.
    WrongAmount,
    /// Somebody else than the customer pays.
    ThirdParty,
    /// The receiving bank refuses a withdrawal.
    BankRefuses,
    /// A withdrawal comes back after it was done.
    Returned,
}

impl Fault {
    pub const ALL: &'static [Fault] = &[
        Fault::Latency,
        Fault::LostBefore,
        Fault::LostAfter,
        Fault::Error,
        Fault::ErrorAfter,
        Fault::Html,
        Fault::RateLimit,
        Fault::Duplicate,
        Fault::Reorder,
        Fault::Forged,
        Fault::Early,
        Fault::Late,
        Fault::Missing,
        Fault::WrongAmount,
        Fault::ThirdParty,
        Fault::BankRefuses,
        Fault::Returned,
    ];

    /// The name in a header and at the control door.
    pub fn as_str(self) -> &'static str {
        match self {
            Fault::Latency => "latency",
            Fault::LostBefore => "lost-before",
            Fault::LostAfter => "lost-after",
            Fault::Error => "error",
            Fault::ErrorAfter => "error-after",
            Fault::Html => "html",
            Fault::RateLimit => "rate-limit",
            Fault::Duplicate => "duplicate",
            Fault::Reorder => "reorder",
            Fault::Forged => "forged",
            Fault::Early => "early",
            Fault::Late => "late",
            Fault::Missing => "missing",
            Fault::WrongAmount => "wrong-amount",
            Fault::ThirdParty => "third-party",
            Fault::BankRefuses => "bank-refuses",
            Fault::Returned => "returned",
        }
    }

    pub fn parse(name: &str) -> Option<Fault> {
        Fault::ALL.iter().copied().find(|fault| fault.as_str() == name)
    }
}

/// A name that is no fault's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownFault(pub String);

impl fmt::Display for UnknownFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known: Vec<&str> = Fault::ALL.iter().map(|fault| fault.as_str()).collect();
        write!(f, "there is no fault {:?}; there are {}", self.0, known.join(", "))
    }
}

/// Some faults; usually none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults(BTreeSet<Fault>);

impl Faults {
    /// Names with commas between; an empty text is none.
    pub fn parse(text: &str) -> Result<Faults, UnknownFault> {
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        names.map(|name| Fault::parse(name).ok_or_else(|| UnknownFault(name.to_owned()))).collect()
    }

    pub fn has(&self, fault: Fault) -> bool {
        self.0.contains(&fault)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn and(mut self, other: Faults) -> Faults {
        self.0.extend(other.0);
        self
    }
}

impl FromIterator<Fault> for Faults {
    fn from_iter<I: IntoIterator<Item = Fault>>(faults: I) -> Faults {
        Faults(faults.into_iter().collect())
    }
}

/// As [`Faults::parse`] reads it.
impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.0.iter().map(|fault| fault.as_str()).collect();
        f.write_str(&names.join(","))
    }
}

/// Faults that were planned for calls to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub faults: Faults,
    /// For so many calls; `None` until it is taken back.
    pub times: Option<u32>,
    /// Paths that begin so; `None` for every call that changes something.
    pub path: Option<String>,
}

/// Faults by a seed: the same seed and the same calls in the same order make the same faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed {
    pub seed: u64,
    /// How many calls in a hundred go wrong.
    pub percent: u8,
}

/// Plans kept; more are refused.
pub const PLANS_MAX: usize = 100;

#[derive(Debug, Default)]
pub struct Plans {
    plans: Vec<Plan>,
    seed: Option<(Seed, u64)>,
}

impl Plans {
    /// False where there are too many.
    pub fn add(&mut self, plan: Plan) -> bool {
        let room = self.plans.len() < PLANS_MAX;
        if room {
            self.plans.push(plan);
        }
        room
    }

    pub fn sow(&mut self, seed: Seed) {
        self.seed = Some((seed, 0));
    }

    pub fn clear(&mut self) {
        *self = Plans::default();
    }

    pub fn all(&self) -> (&[Plan], Option<Seed>) {
        (&self.plans, self.seed.map(|(seed, _)| seed))
    }

    /// What is planned for this call, which uses it up.
    pub fn take(&mut self, path: &str, changes: bool) -> Faults {
        let mut taken = Faults::default();
        for plan in &mut self.plans {
            if !plan.path.as_deref().map_or(changes, |prefix| path.starts_with(prefix)) {
                continue;
            }
            taken = taken.and(plan.faults.clone());
            if let Some(times) = &mut plan.times {
                *times = times.saturating_sub(1);
            }
        }
        self.plans.retain(|plan| plan.times != Some(0));
        if let (true, Some((seed, calls))) = (changes, &mut self.seed) {
            taken = taken.and(sown(*seed, *calls));
            *calls += 1;
        }
        taken
    }
}

/// The faults of the n-th call: none, one, or in a quarter of cases two.
fn sown(Seed { seed, percent }: Seed, call: u64) -> Faults {
    // SplitMix64: well mixed, and the same everywhere.
    let draw = |n: u64| {
        let mut x = seed.wrapping_add((call * 4 + n + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    };
    let one = |n: u64| Fault::ALL[usize::try_from(draw(n) % Fault::ALL.len() as u64).unwrap_or(0)];
    let count = match (draw(0) % 100 < u64::from(percent), draw(1) % 4) {
        (false, _) => 0,
        (true, 0) => 2,
        (true, _) => 1,
    };
    (0..count).map(|n| one(n + 2)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written() {
        for fault in Fault::ALL {
            assert_eq!(Fault::parse(fault.as_str()), Some(*fault));
        }
        let both = Faults::parse(" duplicate, lost-after ,").expect("faults");
        assert_eq!(both.to_string(), "lost-after,duplicate");
        assert_eq!(Faults::parse(&both.to_string()), Ok(both));
        assert_eq!(Faults::parse(""), Ok(Faults::default()));
        assert_eq!(Faults::parse("lost"), Err(UnknownFault("lost".to_owned())));
    }

    #[test]
    fn a_plan_is_used_up_by_the_calls_it_is_for() {
        let faults = |name| Faults::parse(name).expect("faults");
        let mut plans = Plans::default();
        plans.add(Plan { faults: faults("html"), times: Some(2), path: None });
        plans.add(Plan { faults: faults("late"), times: None, path: Some("/api/pix".to_owned()) });
        let rows = [
            ("/api/transactions", false, ""),
            ("/api/pix/charge", true, "html,late"),
            ("/api/pix/charge", false, "late"),
            ("/api/transactions/reimbursement", true, "html"),
            ("/api/transactions/reimbursement", true, ""),
            ("/api/pix/pay", true, "late"),
        ];
        for (path, changes, expected) in rows {
            assert_eq!(plans.take(path, changes).to_string(), expected, "{path}");
        }
        plans.clear();
        assert!(plans.take("/api/pix/pay", true).is_empty());
        let plan = Plan { faults: faults("late"), times: None, path: None };
        assert_eq!((0..=PLANS_MAX).filter(|_| plans.add(plan.clone())).count(), PLANS_MAX);
    }

    #[test]
    fn a_seed_makes_the_same_faults_again() {
        let run = |seed, percent| {
            let mut plans = Plans::default();
            plans.sow(Seed { seed, percent });
            (0..1000).map(|_| plans.take("/", true)).collect::<Vec<_>>()
        };
        assert_eq!(run(7, 30), run(7, 30));
        assert_ne!(run(7, 30), run(8, 30));
        let wrong = run(7, 30).iter().filter(|faults| !faults.is_empty()).count();
        assert!((200..400).contains(&wrong), "{wrong} of 1000 at 30 %");
        let met: Faults = run(7, 100).into_iter().fold(Faults::default(), Faults::and);
        assert_eq!(met, Fault::ALL.iter().copied().collect(), "each comes up");
        assert!(run(7, 0).iter().all(Faults::is_empty));
    }
}
