//! The one verb by which a person says what machines may not: what became of a transaction whose outcome nobody can tell
//! us, what a contradiction comes to, what is done with money that came too late. It appends a fact like any other, with
//! who and why, and is stepped by the same table.

use rialto_adapters::port::{Kind, Money, Verdict};
use uuid::Uuid;

use super::apply::News;
use super::limits::RACES_MAX;
use super::operate::{Act, WHY_MAX};
use super::{Engine, FlowError, Known};
use crate::core::alert::Alert;
use crate::core::counters::Verb;
use crate::core::step::{Learned, Standing};
use crate::core::transaction::State;
use crate::store::history::{self, Source, StoredAlert};
use crate::store::transactions::{self, Transaction};
use crate::store::{StoreError, Unit};

/// What a person decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// This became of it. `amount` is what moved, where that is not what was asked for.
    Says { verdict: Verdict, amount: Option<Money> },
    /// It stays as it is, and nothing about it waits any more.
    Keep,
    /// Money that came too late goes back.
    GiveBack,
}

/// What resolving came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    pub before: Transaction,
    pub after: Transaction,
    /// Transactions that this started: money given back, a rest released.
    pub started: Vec<Uuid>,
}

/// Money that can go back.
pub(in crate::flow) struct Held {
    /// Where it came in.
    of: Transaction,
    kind: Kind,
    verb: Verb,
    amount: Money,
}

/// Why nothing was changed. The texts are for whoever asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotResolved {
    #[error("there is no transaction and no alert {0}")]
    NotFound(Uuid),
    #[error("why is required, in at most {WHY_MAX} bytes")]
    NoWhy,
    #[error("it is {}, and nothing about it waits for a person", .0.name())]
    NotOpen(State),
    #[error("it is {}: only once its call has ended can anything be said about it", .0.name())]
    OnItsWay(State),
    /// Its kind does not end so.
    #[error("a {} does not become {verdict}; its good end is {}", kind.as_str(), State::good(*kind).name())]
    NotItsEnd { kind: Kind, verdict: &'static str },
    #[error("what is {} does not become {verdict}; `keep` leaves it as it is and settles what is open about it", state.name())]
    CannotBecome { state: State, verdict: &'static str },
    #[error("only what moved has an amount, and {verdict} moved nothing")]
    NoAmount { verdict: &'static str },
    #[error("the amount must be more than nothing and at most {most}")]
    TooMuch { most: Money },
    #[error("it is in {}", .0.currency)]
    OtherCurrency(Money),
    #[error("it is {}, and no late money is held here", .0.name())]
    NotLate(State),
    #[error("nothing is left to give back: it is under way, or done")]
    NothingLeft,
    #[error("this provider cannot give it back; do it there, then `keep`")]
    CannotGiveBack,
    #[error("an alert that belongs to no transaction can only be kept")]
    OnlyKeep,
    #[error("somebody else has just settled this alert")]
    AlertSettled,
    #[error("it kept changing; look at it again")]
    Busy,
    #[error(transparent)]
    Flow(#[from] FlowError),
}

impl From<StoreError> for NotResolved {
    fn from(error: StoreError) -> NotResolved {
        NotResolved::Flow(error.into())
    }
}

/// The name of a verdict as operators write it.
pub fn verdict_name(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Pending(_) => "pending",
        Verdict::Authorised => "authorised",
        Verdict::Succeeded => "succeeded",
        Verdict::Declined(_) => "declined",
        Verdict::Expired => "expired",
        Verdict::Cancelled => "cancelled",
        Verdict::Unrecognised(_) => "unrecognised",
    }
}

impl Decision {
    /// As it stands in the audit.
    pub fn text(&self) -> String {
        match self {
            Decision::Says { verdict, amount } => {
                let reason = match verdict {
                    Verdict::Declined(reason) => format!(" ({})", reason.as_str()),
                    Verdict::Pending(_)
                    | Verdict::Authorised
                    | Verdict::Succeeded
                    | Verdict::Expired
                    | Verdict::Cancelled
                    | Verdict::Unrecognised(_) => String::new(),
                };
                let amount = amount.map_or(String::new(), |amount| format!(" {amount}"));
                format!("as {}{reason}{amount}", verdict_name(verdict))
            }
            Decision::Keep => "keep".to_owned(),
            Decision::GiveBack => "give back".to_owned(),
        }
    }
}

impl Engine {
    /// Resolves a transaction of whichever tenant. `id` may also be an alert's that belongs to no transaction. Of two
    /// persons at once one wins, and the other is told of the state that is now.
    ///
    /// # Errors
    /// [`NotResolved`]: nothing was changed, and that somebody tried is in the audit.
    pub async fn resolve(&self, id: Uuid, decision: &Decision, why: &str) -> Result<Option<Resolved>, NotResolved> {
        let act = Act::new("resolve", format!("{}: {}", decision.text(), why.trim())).on(id);
        let Some(t) = self.store.transaction_everywhere(id).await? else {
            return self.resolve_alert(id, act, decision, why.trim()).await.map(|()| None);
        };
        let act = act.of(t.tenant_id);
        match self.resolve_of(t, &act, decision, why.trim()).await {
            Ok(resolved) => {
                for child in &resolved.started {
                    self.settled(resolved.after.tenant_id, *child).await?;
                }
                Ok(Some(resolved))
            }
            Err(NotResolved::Flow(error)) => Err(error.into()),
            Err(why_not) => {
                self.audit_refused(act, &why_not.to_string()).await?;
                Err(why_not)
            }
        }
    }

    async fn resolve_of(
        &self,
        mut t: Transaction,
        act: &Act,
        decision: &Decision,
        why: &str,
    ) -> Result<Resolved, NotResolved> {
        if why.is_empty() || why.len() > WHY_MAX {
            return Err(NotResolved::NoWhy);
        }
        for _ in 0..RACES_MAX {
            let open = self.store.alerts_open_of(t.tenant_id, t.id).await?;
            match t.state {
                State::Created | State::Submitted => return Err(NotResolved::OnItsWay(t.state)),
                State::Unknown | State::Pending(_) => {}
                State::Authorised | State::Succeeded | State::Declined(_) | State::Expired | State::Cancelled
                    if open.is_empty() =>
                {
                    return Err(NotResolved::NotOpen(t.state));
                }
                State::Authorised | State::Succeeded | State::Declined(_) | State::Expired | State::Cancelled => {}
            }
            let done = match decision {
                Decision::Says { verdict, amount } => self.say_of(&t, act, verdict, *amount, why).await?,
                Decision::Keep => self.keep(&t, act, &open, why).await?,
                Decision::GiveBack => self.give_back_held(&t, act, &open, why).await?,
            };
            if let Some(resolved) = done {
                return Ok(resolved);
            }
            let Some(now) = self.store.transaction(t.tenant_id, t.id).await? else {
                return Err(NotResolved::NotFound(t.id));
            };
            t = now;
        }
        Err(NotResolved::Busy)
    }

    fn source(&self, why: &str) -> Source {
        Source::Operator { who: self.actor().to_owned(), why: why.to_owned() }
    }

    async fn say_of(
        &self,
        t: &Transaction,
        act: &Act,
        verdict: &Verdict,
        amount: Option<Money>,
        why: &str,
    ) -> Result<Option<Resolved>, NotResolved> {
        let amount = checked_amount(t, verdict, amount)?;
        let learned = Learned::Said { verdict: verdict.clone(), amount, occurred_at: None };
        let news = News { source: self.source(why), ..News::of_ours(learned) };
        let known = self.known_with(t.clone()).await?;
        match self.foresee(&known, &news)?.standing {
            Standing::Applied | Standing::Duplicate => {}
            Standing::Same | Standing::Ignored | Standing::Conflict => {
                return Err(NotResolved::CannotBecome { state: t.state, verdict: verdict_name(verdict) });
            }
        }
        let said = self
            .say(&known, news, |unit, after| {
                let outcome = format!("{} -> {}", t.state.name(), after.state.name());
                self.audit(unit, act.clone(), &outcome);
            })
            .await?;
        Ok(said.map(|said| Resolved { before: t.clone(), after: said.after, started: said.started }))
    }

    async fn keep(
        &self,
        t: &Transaction,
        act: &Act,
        open: &[StoredAlert],
        why: &str,
    ) -> Result<Option<Resolved>, NotResolved> {
        // What nobody can tell us stays open however long it is kept: that is no decision.
        if open.is_empty() {
            return Err(NotResolved::NotOpen(t.state));
        }
        let kinds: Vec<&str> = open.iter().map(|alert| alert.kind.as_str()).collect();
        let outcome = format!("stays {}; settled: {}", t.state.name(), kinds.join(", "));
        let done =
            self.let_be(t, self.source(why), "kept as it is", |unit| self.audit(unit, act.clone(), &outcome)).await?;
        Ok(done.then(|| Resolved { before: t.clone(), after: t.clone(), started: Vec::new() }))
    }

    /// What is held of money that came too late goes back to the payer.
    async fn give_back_held(
        &self,
        t: &Transaction,
        act: &Act,
        open: &[StoredAlert],
        why: &str,
    ) -> Result<Option<Resolved>, NotResolved> {
        let held = self.held(t, open.iter().map(|alert| alert.kind.as_str())).await?;
        let Known { intent, connection, .. } = self.known_with(held.of.clone()).await?;
        let name = self.adapter(&connection)?.manifest().name;
        let child = self.new_transaction(&intent, held.kind, Some(&held.of), name, held.amount)?;
        // As with what goes back by itself, an outage of an hour is no end.
        let child = self.scheduled(child, self.clock.now());
        let outcome = format!("{} {} of {} under way", held.kind.as_str(), child.id, held.amount);
        let done = self
            .let_be(t, self.source(why), "given back", |unit| {
                transactions::reserve(unit, &held.of, held.verb, held.amount.minor);
                transactions::insert(unit, &child);
                self.audit(unit, act.clone(), &outcome);
            })
            .await?;
        if !done {
            return Ok(None);
        }
        self.spawn_submit(child.tenant_id, child.id);
        Ok(Some(Resolved { before: t.clone(), after: t.clone(), started: vec![child.id] }))
    }

    /// What can be given back for a transaction with these open alerts: late money that it holds itself, or what it was to
    /// give back of its parent and could not.
    pub(in crate::flow) async fn held(
        &self,
        t: &Transaction,
        mut alerts: impl Iterator<Item = &str>,
    ) -> Result<Held, NotResolved> {
        let failed = matches!(t.kind, Kind::Release | Kind::Refund) && t.state.is_bad();
        let wanted = if failed { Alert::GiveBackFailed } else { Alert::LateMoney };
        if !alerts.any(|kind| kind == wanted.as_str()) || !(failed || t.state.is_good(t.kind)) {
            return Err(NotResolved::NotLate(t.state));
        }
        let of = match failed {
            false => t.clone(),
            true => self.parent(t).await?.ok_or(NotResolved::CannotGiveBack)?,
        };
        let (kind, verb) = match of.kind {
            Kind::Preauth => (Kind::Release, Verb::Release),
            Kind::Charge | Kind::Capture => (Kind::Refund, Verb::Refund),
            Kind::StoreMeans | Kind::Release | Kind::Payout | Kind::Refund => return Err(NotResolved::CannotGiveBack),
        };
        let left = of.counters.available(verb);
        let minor = if failed { left.min(t.amount.minor) } else { left };
        if minor == 0 {
            return Err(NotResolved::NothingLeft);
        }
        let connection = self.connection(of.tenant_id, of.connection_id).await?;
        let manifest = self.adapter(&connection)?.manifest();
        if manifest.capability(kind, of.method, of.amount.currency).is_none() {
            return Err(NotResolved::CannotGiveBack);
        }
        let amount = Money::new(minor, of.amount.currency);
        Ok(Held { of, kind, verb, amount })
    }

    /// An alert that belongs to no transaction.
    async fn resolve_alert(&self, id: Uuid, act: Act, decision: &Decision, why: &str) -> Result<(), NotResolved> {
        if why.is_empty() || why.len() > WHY_MAX {
            return Err(NotResolved::NoWhy);
        }
        let Some(alert) = self.store.alert_everywhere(id).await?.filter(|alert| alert.transaction_id.is_none()) else {
            return Err(NotResolved::NotFound(id));
        };
        let act = act.of(alert.tenant_id);
        let why_not = if *decision == Decision::Keep {
            let mut unit = Unit::new("settle_alert");
            history::settle_alert(&mut unit, &alert, self.clock.now());
            self.audit(&mut unit, act.clone(), &format!("settled: {}", alert.kind));
            match self.store.run(unit).await? {
                Ok(()) => return Ok(()),
                Err(_) => NotResolved::AlertSettled,
            }
        } else {
            NotResolved::OnlyKeep
        };
        self.audit_refused(act, &why_not.to_string()).await?;
        Err(why_not)
    }
}

/// The amount of a person's word, if such a word may be said of this kind of transaction at all.
fn checked_amount(t: &Transaction, verdict: &Verdict, amount: Option<Money>) -> Result<Option<Money>, NotResolved> {
    let name = verdict_name(verdict);
    match verdict {
        Verdict::Authorised | Verdict::Succeeded => {
            let end = if *verdict == Verdict::Authorised { State::Authorised } else { State::Succeeded };
            if !end.is_good(t.kind) {
                return Err(NotResolved::NotItsEnd { kind: t.kind, verdict: name });
            }
        }
        Verdict::Declined(_) | Verdict::Expired | Verdict::Cancelled if amount.is_some() => {
            return Err(NotResolved::NoAmount { verdict: name });
        }
        Verdict::Declined(_) | Verdict::Expired | Verdict::Cancelled => return Ok(None),
        Verdict::Pending(_) | Verdict::Unrecognised(_) => {
            return Err(NotResolved::CannotBecome { state: t.state, verdict: name });
        }
    }
    match amount {
        // Of what is good already the amount is known.
        None if t.kind == Kind::StoreMeans || t.confirmed.is_some() => Ok(None),
        None => Ok(Some(t.amount)),
        Some(_) if t.kind == Kind::StoreMeans => Err(NotResolved::NoAmount { verdict: name }),
        Some(amount) if amount.currency != t.amount.currency => Err(NotResolved::OtherCurrency(t.amount)),
        Some(amount) if amount.minor <= 0 || amount.minor > t.amount.minor => {
            Err(NotResolved::TooMuch { most: t.amount })
        }
        Some(amount) => Ok(Some(amount)),
    }
}
