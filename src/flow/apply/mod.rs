//! The only state changer. What was learned – from an answer, a look-up, a notice, a person or our own clock – becomes a
//! fact, a state, counted money, an intent's state and events, all in one unit of work.
//!
//! - [`hear`] – which transaction a report is about, and money that moved without an instruction of ours.
//! - [`person`] – what an operator says instead of the PSP, and which transaction an operator says a notice is about.
//! - `record` – the rows that say what happened.

pub mod hear;
pub mod person;
mod record;

use rialto_adapters::port::manifest::AmountRule;
use rialto_adapters::port::{Adapter, Kind, Money, Report, ReportKind, Timestamp, Verdict};
use tracing::Instrument as _;
use uuid::Uuid;

use super::collect::is_collected;
use super::inquire::{first_look, look_wait};
use super::limits::{COLLECTED_KEPT_FOR, RACES_MAX, SUBMIT_RETRY_MAX, SUBMIT_RETRY_PAUSE};
use super::{Engine, FlowError, Known, work};
use crate::core::alert::Alert;
use crate::core::counters::Verb;
use crate::core::event::EventType;
use crate::core::intent::{self, ClosedBy, IntentKind, IntentState, LatePolicy};
use crate::core::schedule;
use crate::core::step::{Learned, Step, step};
use crate::core::transaction::{State, View};
use crate::metrics;
use crate::store::Unit;
use crate::store::history::{self, MovementKind, Source, StoredExchange};
use crate::store::inbox;
use crate::store::intents::{self, Intent};
use crate::store::transactions::{self, Namespace, Transaction};

/// Something learned of one transaction, and what belongs to it.
#[derive(Clone, Debug)]
pub struct News {
    pub source: Source,
    pub learned: Learned,
    /// The report it comes from.
    pub report: Option<Report>,
    /// Calls that are to be kept with it.
    pub exchanges: Vec<StoredExchange>,
    /// How often in a row the PSP has not known it, where that is what was learned.
    pub absences: Option<i32>,
    /// What an end of the transaction means for its intent, where that is our clock's doing and not the payer's.
    pub closes_as: Option<ClosedBy>,
    /// The operator who says that it is about this transaction, and why.
    pub matched_by: Option<String>,
}

impl News {
    /// From our own clock, or the proof that nothing was sent.
    pub fn of_ours(learned: Learned) -> News {
        News {
            source: Source::Ourselves,
            learned,
            report: None,
            exchanges: Vec::new(),
            absences: None,
            closes_as: None,
            matched_by: None,
        }
    }

    pub fn with(self, learned: Learned) -> News {
        News { learned, ..self }
    }

    fn reported(self, report: &Report) -> News {
        let learned =
            Learned::Said { verdict: report.verdict.clone(), amount: report.amount, occurred_at: report.occurred_at };
        News { learned, report: Some(report.clone()), ..self }
    }
}

impl Engine {
    /// Steps a transaction by what was learned. Built anew from what is stored whenever somebody else was faster, so two
    /// reports at once are applied one after the other. `None` if it kept changing; the reconciler comes back to it.
    pub(super) async fn learn(&self, t: &Transaction, news: News) -> Result<Option<Transaction>, FlowError> {
        let known = self.known(t.tenant_id, t.id).await?;
        self.learn_of(known, news).await
    }

    /// As [`Engine::learn`], from a row that was read or written a moment ago.
    pub(super) async fn learn_of(&self, known: Known, news: News) -> Result<Option<Transaction>, FlowError> {
        let span = work!("apply", known.intent);
        self.step_by(known, news).instrument(span).await
    }

    async fn step_by(&self, mut known: Known, news: News) -> Result<Option<Transaction>, FlowError> {
        let adapter = self.adapter(&known.connection)?;
        for _ in 0..RACES_MAX {
            let Known { t: before, intent, .. } = &known;
            let heard_at = self.clock.now();
            let rest = self.rest_of(before, &news, adapter).await?;
            let undone = self.undone_by(before, intent).await?;
            let Applied { unit, after, step, children } = self.applied(before, intent, &news, rest, undone, adapter)?;
            match self.store.run(unit).await? {
                Ok(()) => {
                    self.log(before, &after, &step, &news);
                    if after.state != before.state {
                        metrics::TRANSACTIONS.add([adapter.manifest().name, after.kind.as_str(), after.state.name()]);
                    }
                    self.nudges.dispatcher.notify_one();
                    for child in children {
                        self.spawn_submit(before.tenant_id, child);
                    }
                    if let Err(error) = self.account_heard(&known, &after, heard_at).await {
                        tracing::error!(transaction = %after.id, %error, "not counted for or against its account");
                    }
                    return Ok(Some(Transaction { version: before.version + 1, ..after }));
                }
                Err(refusal) => tracing::debug!(transaction = %before.id, ?refusal, "changed meanwhile, stepped anew"),
            }
            known = self.known(known.t.tenant_id, known.t.id).await?;
        }
        tracing::error!(transaction = %known.t.id, "kept changing while news was applied");
        Ok(None)
    }

    fn applied(
        &self,
        before: &Transaction,
        intent: &Intent,
        news: &News,
        rest: Option<Rest>,
        undone: Option<Transaction>,
        adapter: &dyn Adapter,
    ) -> Result<Applied, FlowError> {
        let now = self.clock.now();
        let by_person = matches!(news.source, Source::Operator { .. });
        let mut step = step(&view(before, adapter, &news.source), &news.learned);
        if by_person {
            // A person knows what they say. Only money that came too late still wants a decision.
            step.alert = step.alert.filter(|alert| *alert == Alert::LateMoney);
        }
        let after = self.after(before, intent, &step, news, adapter, now);
        let mut unit = Unit::new("apply");
        let mut children = Vec::new();
        if by_person {
            history::settle_alerts(&mut unit, before.tenant_id, before.id, now);
        } else if before.state == State::Unknown && after.state != State::Unknown {
            history::settle_alerts_of(&mut unit, before.tenant_id, before.id, Alert::NeedsPerson, now);
        }
        transactions::advance(&mut unit, before, &after, now);
        history::add_fact(&mut unit, self.fact(before, after.state, news, step.standing, step.alert, now));
        for exchange in &news.exchanges {
            history::add_exchange(&mut unit, exchange.clone());
        }
        let change = Change { before, after: &after, intent, undone: undone.as_ref(), news, adapter, now };
        if step.state.is_some() && after.state != before.state {
            children = self.changed(&mut unit, &change, rest)?;
        } else if after.confirmed != before.confirmed || after.next != before.next {
            intents::touch(&mut unit, intent.tenant_id, intent.id, now);
        }
        if let Some((agreement, means)) = intent.agreement_id.zip(news.report.as_ref().and_then(|r| r.means.as_ref())) {
            // Only means of something that came good may be charged later; and an old notice told again does not take
            // the place of newer means.
            if step.state.is_some() && after.state.is_good(after.kind) && !intent.details.use_stored_means {
                self.store.keep_means(&mut unit, before, agreement, means, now);
            }
        }
        // The second card of one checkout is no late money, and nobody need look at it; nor at each look at late money that
        // is watched already.
        let reopened = intent.state == IntentState::Refused && Self::intent_news(&change).same_session;
        let watched = step.watch && before.look_at.is_some();
        let alert = step.alert.filter(|alert| !((reopened || watched) && *alert == Alert::LateMoney));
        self.raise(&mut unit, before, alert, now);
        for (namespace, old, new) in
            [(Namespace::Theirs, &before.theirs, &after.theirs), (Namespace::Scheme, &before.scheme, &after.scheme)]
        {
            if let (None, Some(value)) = (old, new) {
                inbox::unpark(&mut unit, before.tenant_id, before.connection_id, namespace, value, now);
            }
        }
        Ok(Applied { unit, after, step, children })
    }

    /// What a change of state brings with it: money counted, the intent moved, events, and the rest of a partial capture
    /// released.
    fn changed(&self, unit: &mut Unit, change: &Change<'_>, rest: Option<Rest>) -> Result<Vec<Uuid>, FlowError> {
        let Change { before, after, intent, undone, news, now, .. } = *change;
        let mut children = Vec::new();
        let occurred_at = news.learned.occurred_at();
        let policy = LatePolicy::of(&intent.contract);
        let learned = intent::learn(intent.kind, intent.state, Self::intent_news(change), policy);
        // Collected money that goes back after its time was not cancelled by anybody.
        let lapsed = undone.and_then(|main| main.valid_until).is_some_and(|until| until <= before.created_at);
        let closes_as = news.closes_as.or(lapsed.then_some(ClosedBy::Expired));
        let to = learned.state.map(|to| match (to, closes_as) {
            (IntentState::Closed(_), Some(by)) => IntentState::Closed(by),
            (to, _) => to,
        });
        // First what may be refused, and what is sure: the store sends such statements together.
        if let Some(to) = to {
            intents::set_state(unit, intent, to, now);
        }
        // Money that the contract does not book is told as late, and as nothing else.
        let event = match learned.late && learned.state.is_none() {
            true => Some(EventType::Late),
            false => EventType::of(ReportKind::Of(before.kind), after.state),
        };
        if let Some(event) = event {
            self.tell(unit, intent, Some(after), event, occurred_at);
        }
        if let Some(Rest { parent, release }) = rest {
            transactions::reserve(unit, &parent, Verb::Release, release.amount.minor);
            transactions::insert(unit, &release);
            children.push(release.id);
        }
        if learned.give_back {
            children.extend(self.give_back(unit, change)?);
        }
        if after.state.is_good(after.kind) && !before.state.is_good(before.kind) {
            self.book(unit, before, after, news, now);
        } else if after.state.is_bad() && before.state.is_open() {
            // It came to nothing: what it had reserved at its parent is free again.
            if let Some((parent, counter)) = before.parent_id.zip(Verb::of(before.kind)) {
                transactions::free(unit, before.tenant_id, parent, counter, before.amount.minor);
            }
            // Nobody asked for what we give back by ourselves, so nobody else learns that it did not work.
            let ours = matches!(before.kind, Kind::Release | Kind::Refund) && intent.kind != IntentKind::Refund;
            let late = matches!(intent.state, IntentState::Refused | IntentState::Closed(_));
            if ours && late {
                self.raise(unit, after, Some(Alert::LateMoney), now);
            } else if ours && before.kind == Kind::Refund {
                self.raise(unit, after, Some(Alert::GiveBackFailed), now);
            }
        }
        if to.is_none() {
            intents::touch(unit, intent.tenant_id, intent.id, now);
        }
        // A refund shows on its payment, a capture on its preauth.
        if let Some(above) = intent.parent_id {
            intents::touch(unit, intent.tenant_id, above, now);
        }
        if before.parent_id.is_none() && after.valid_until.is_some() && after.state.is_good(after.kind) {
            intents::set_expiry(unit, intent.tenant_id, intent.id, after.valid_until);
        } else if before.parent_id.is_none() && !after.state.is_open() && intent.expires_at.is_some() {
            intents::set_expiry(unit, intent.tenant_id, intent.id, None);
        }
        Ok(children)
    }

    /// The transaction that one of ours takes back for the same intent.
    async fn undone_by(&self, t: &Transaction, intent: &Intent) -> Result<Option<Transaction>, FlowError> {
        match t.kind {
            Kind::Release | Kind::Refund if intent.kind == IntentKind::Preauth => self.parent(t).await,
            Kind::StoreMeans
            | Kind::Preauth
            | Kind::Capture
            | Kind::Release
            | Kind::Charge
            | Kind::Payout
            | Kind::Refund => Ok(None),
        }
    }

    /// Counts the money of a transaction that has come good.
    fn book(&self, unit: &mut Unit, before: &Transaction, after: &Transaction, news: &News, now: Timestamp) {
        if let Some((parent, counter)) = before.parent_id.zip(Verb::of(before.kind)) {
            // A success after a decline finds its reservation already freed.
            let held = if before.state.is_open() { before.amount.minor } else { 0 };
            transactions::count(unit, before.tenant_id, parent, counter, after.taken().minor, held);
        }
        let kind = match before.kind {
            Kind::Charge | Kind::Capture => MovementKind::Paid,
            Kind::Payout => MovementKind::PaidOut,
            Kind::Refund => MovementKind::Refunded,
            Kind::StoreMeans | Kind::Preauth | Kind::Release => return,
        };
        let bare = Report::new(ReportKind::Of(before.kind), Verdict::Succeeded, Default::default());
        let report = news.report.as_ref().unwrap_or(&bare);
        history::book_movement(unit, self.movement(after, kind, after.taken(), report, now));
    }

    /// Less was captured than authorised: the rest is given free, where the PSP can.
    async fn rest_of(
        &self,
        before: &Transaction,
        news: &News,
        adapter: &dyn Adapter,
    ) -> Result<Option<Rest>, FlowError> {
        let succeeded = matches!(&news.learned, Learned::Said { verdict: Verdict::Succeeded, .. });
        if before.kind != Kind::Capture || !succeeded || before.state == State::Succeeded {
            return Ok(None);
        }
        let Some(parent) = self.parent(before).await? else { return Ok(None) };
        let Some(parent_intent) = self.store.intent(before.tenant_id, parent.intent_id).await? else { return Ok(None) };
        let can = adapter.manifest().capability(Kind::Release, parent.method, parent.amount.currency);
        let left = parent.counters.available_to_release();
        if left == 0 || !can.is_some_and(|capability| capability.partial) {
            return Ok(None);
        }
        let amount = Money::new(left, parent.amount.currency);
        let name = adapter.manifest().name;
        let release = self.new_transaction(&parent_intent, Kind::Release, Some(&parent), name, amount)?;
        let release = self.scheduled(release, self.clock.now());
        tracing::info!(transaction = %parent.id, %amount, "releasing what was not captured");
        Ok(Some(Rest { parent, release }))
    }

    /// Money came for an intent that had ended without it: it goes back whole.
    fn give_back(&self, unit: &mut Unit, change: &Change<'_>) -> Result<Option<Uuid>, FlowError> {
        let Change { after: t, intent, adapter, now, .. } = *change;
        let kind = if t.kind == Kind::Preauth { Kind::Release } else { Kind::Refund };
        if adapter.manifest().capability(kind, t.method, t.amount.currency).is_none() {
            self.raise(unit, t, Some(Alert::LateMoney), now);
            return Ok(None);
        }
        let child = self.new_transaction(intent, kind, Some(t), adapter.manifest().name, t.taken())?;
        // Nobody waits for it, and it must not fail for an outage of an hour.
        let child = self.scheduled(child, now);
        if let Some(counter) = Verb::of(kind) {
            transactions::reserve(unit, t, counter, child.amount.minor);
        }
        transactions::insert(unit, &child);
        Ok(Some(child.id))
    }

    /// What the change of a transaction is to its intent.
    fn intent_news(change: &Change<'_>) -> intent::News {
        let Change { before, after, intent, undone, .. } = *change;
        intent::News {
            // What takes back the whole is a cancel; the rest of a partial capture or booking is less.
            whole: undone.is_some_and(|main| after.amount == main.taken()),
            // Only a payer's own session at the PSP goes on after a refusal.
            same_session: before.state.is_bad() && intent.details.page_token.is_some(),
            ..intent::News::of(after.kind, after.state)
        }
    }

    /// The row as it is to be written.
    fn after(
        &self,
        before: &Transaction,
        intent: &Intent,
        step: &Step,
        news: &News,
        adapter: &dyn Adapter,
        now: Timestamp,
    ) -> Transaction {
        let mut t = before.clone();
        if let Some(state) = step.state {
            t.state = state;
            t.state_at_psp = news.learned.occurred_at();
        }
        t.confirmed = step.confirmed.or(t.confirmed);
        t.marked |= step.marked;
        t.ended_unknown |= news.learned == Learned::Unknown;
        match news.source {
            Source::Lookup => {
                t.lookups += 1;
                t.absences = news.absences.unwrap_or(0);
            }
            Source::Answer | Source::Feed | Source::Notice(_) | Source::Operator { .. } | Source::Ourselves => {}
        }
        if let Some(report) = &news.report {
            t.theirs = t.theirs.or_else(|| report.references.theirs.clone());
            t.scheme = t.scheme.or_else(|| report.references.scheme.clone());
            t.next = report.next.clone().or(t.next);
            t.valid_until = report.valid_until.or(t.valid_until);
            t.psp_code = report.psp_code.clone().or(t.psp_code);
            t.psp_text = report.psp_text.clone().or(t.psp_text);
        }
        if !t.state.is_open() {
            t.next = None;
        }
        if t.state == State::Authorised && t.valid_until.is_none() {
            t.valid_until = Some(now.plus(adapter.manifest().preauth_valid_for));
        }
        if t.state == State::Succeeded && before.state != State::Succeeded && is_collected(intent, &t) {
            t.valid_until = Some(now.plus(COLLECTED_KEPT_FOR));
        }
        // What a look-up itself contradicts is not found out by the next one: a person has to say.
        let look_now = step.resend || (step.look_up && news.source != Source::Lookup);
        t.look_at = if look_now { Some(now) } else { self.next_look(before, &t, step, adapter, now) };
        t
    }

    /// When the reconciler is to look at it next; `None` once nothing is open.
    fn next_look(
        &self,
        before: &Transaction,
        after: &Transaction,
        step: &Step,
        adapter: &dyn Adapter,
        now: Timestamp,
    ) -> Option<Timestamp> {
        match after.state {
            State::Created if after.not_before.is_some() => {
                let passed = u32::try_from(after.attempts).unwrap_or(0).saturating_sub(1);
                let wait = schedule::SCHEDULED.next(passed, schedule::jitter(after.id.as_bytes()));
                wait.map(|wait| now.plus(self.clock.wait(wait)))
            }
            State::Created => {
                // The attempts of the first seconds are its sender's; this is what comes after them.
                let doubled = u32::try_from(after.attempts).unwrap_or(0).min(SUBMIT_DOUBLINGS);
                Some(now.plus(self.clock.wait((SUBMIT_RETRY_PAUSE * (1 << doubled)).min(SUBMIT_RETRY_MAX))))
            }
            State::Submitted => before.look_at,
            State::Unknown if before.state != State::Unknown && after.lookups == 0 => {
                Some(first_look(&self.clock, after.id, after.answer_by.unwrap_or(now)))
            }
            State::Unknown => Some(now.plus(look_wait(&self.clock, after.id, after.lookups))),
            State::Pending(_) | State::Expired | State::Cancelled if after.state.is_open() || step.watch => {
                let pacing = schedule::pacing(adapter.manifest().lookup.pacing);
                let passed = u32::try_from(after.lookups).unwrap_or(0);
                let wait = pacing.next(passed, schedule::jitter(after.id.as_bytes()));
                wait.map(|wait| now.plus(self.clock.wait(wait)))
            }
            State::Pending(_)
            | State::Authorised
            | State::Succeeded
            | State::Declined(_)
            | State::Expired
            | State::Cancelled => None,
        }
    }
}

/// Doublings after which the pause between two attempts is at its longest.
const SUBMIT_DOUBLINGS: u32 = 7;

/// A transaction that has got a new state, and all that belongs to it.
#[derive(Clone, Copy)]
struct Change<'a> {
    before: &'a Transaction,
    after: &'a Transaction,
    intent: &'a Intent,
    /// What `before` takes back.
    undone: Option<&'a Transaction>,
    news: &'a News,
    adapter: &'a dyn Adapter,
    now: Timestamp,
}

/// The release of what a capture left.
struct Rest {
    parent: Transaction,
    release: Transaction,
}

/// A built unit of work, and what is left to do once it is committed.
struct Applied {
    unit: Unit,
    after: Transaction,
    step: Step,
    /// Transactions the unit creates, to be sent at once.
    children: Vec<Uuid>,
}

pub(super) fn view(t: &Transaction, adapter: &dyn Adapter, source: &Source) -> View {
    let capability = adapter.manifest().capability(t.kind, t.method, t.amount.currency);
    let by_manifest = capability.map_or(AmountRule::Exact, |capability| capability.amount);
    let amount_rule = match source {
        // What an operator found out is booked as they say it; how much may be said is checked before.
        Source::Operator { .. } => AmountRule::AsTold,
        Source::Answer | Source::Lookup | Source::Feed | Source::Notice(_) | Source::Ourselves => by_manifest,
    };
    View {
        kind: t.kind,
        state: t.state,
        asked: (t.kind != Kind::StoreMeans).then_some(t.amount),
        confirmed: t.confirmed,
        amount_rule,
        state_at_psp: t.state_at_psp,
        ended_unknown: t.ended_unknown,
        capture_open_or_done: t.counters.captured + t.counters.captured_reserved > 0,
    }
}

#[cfg(test)]
mod tests;
