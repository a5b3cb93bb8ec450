//! The only state changer. What was learned – from an answer, a look-up, a notice, a person or our own clock – becomes a
//! fact, a state, counted money, an intent's state and events, all in one unit of work.

use rialto_adapters::port::{Adapter, Kind, Money, Read, Report, ReportKind, Timestamp, Verdict, Verified};
use uuid::Uuid;

use super::inquire::{first_look, look_wait};
use super::limits::{RACES_MAX, SUBMIT_RETRY_PAUSE};
use super::{Engine, FlowError, Known};
use crate::core::alert::Alert;
use crate::core::counters::Verb;
use crate::core::event::EventType;
use crate::core::intent::{self, ClosedBy, IntentState, LatePolicy};
use crate::core::schedule;
use crate::core::step::{Learned, Standing, Step, step};
use crate::core::transaction::{State, View};
use crate::store::events::{self, Event};
use crate::store::history::{self, BookedMovement, Fact, MovementKind, Source, StoredAlert, StoredExchange};
use crate::store::inbox::{self, Notice};
use crate::store::intents::{self, Intent};
use crate::store::transactions::{self, Namespace, Transaction};
use crate::store::{Unit, agreements};
use crate::wire::Exchange;

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

/// A name in a report that no transaction of the connection has yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmatched {
    pub namespace: Namespace,
    pub value: String,
}

/// What reading a notice came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoticeRead {
    Applied,
    Ignored(String),
    Unreadable(String),
    Unmatched(Vec<Unmatched>),
}

impl Engine {
    /// Reads a notice that was verified when it arrived, and applies what it says.
    pub async fn read_notice(&self, notice: &Notice) -> Result<NoticeRead, FlowError> {
        let connection = self.connection(notice.tenant_id, notice.connection_id).await?;
        let adapter = self.adapter(&connection)?;
        let reports = match adapter.read(&Verified::restored(notice.raw.clone())) {
            Read::Reports(reports) => reports,
            Read::Ignored(why) => return Ok(NoticeRead::Ignored(why)),
            Read::Unreadable(why) => return Ok(NoticeRead::Unreadable(why)),
        };
        let news = News { source: Source::Notice(notice.id), ..News::of_ours(Learned::AbsentNotYet) };
        let mut unmatched = Vec::new();
        for report in &reports {
            unmatched.extend(self.hear(notice.tenant_id, notice.connection_id, report, news.clone()).await?);
        }
        Ok(if unmatched.is_empty() { NoticeRead::Applied } else { NoticeRead::Unmatched(unmatched) })
    }

    /// Applies reports that answer a call about `t`. True if any of them spoke of `t` itself.
    pub(super) async fn hear_about(&self, known: &Known, reports: &[Report], news: News) -> Result<bool, FlowError> {
        let t = &known.t;
        let mut heard = false;
        let mut exchanges = news.exchanges.clone();
        for report in reports {
            let ours = report.references.ours.as_ref().is_none_or(|ours| *ours == t.ours);
            let news = News { exchanges: std::mem::take(&mut exchanges), ..news.clone() }.reported(report);
            if ours && report.kind == ReportKind::Of(t.kind) {
                self.learn_of(known.clone(), news).await?;
                heard = true;
            } else {
                let unmatched = self.hear(t.tenant_id, t.connection_id, report, news).await?;
                if !unmatched.is_empty() {
                    tracing::warn!(transaction = %t.id, ?unmatched, "the PSP's answer names transactions we do not know");
                }
            }
        }
        self.keep_exchanges(exchanges).await?;
        Ok(heard)
    }

    /// Applies one report to whatever it is about. Returns the names by which nothing was found.
    async fn hear(
        &self,
        tenant: Uuid,
        connection: Uuid,
        report: &Report,
        news: News,
    ) -> Result<Vec<Unmatched>, FlowError> {
        let news = news.reported(report);
        let found = self.called(tenant, connection, report).await?;
        match report.kind {
            ReportKind::Of(kind) => {
                if let Some(t) = found.iter().find(|t| t.kind == kind) {
                    self.learn(t, news).await?;
                    return Ok(Vec::new());
                }
                if kind == Kind::Refund {
                    return self.hear_of_refund(tenant, connection, report, news).await;
                }
            }
            ReportKind::Return => {
                if let Some(t) = found.iter().find(|t| matches!(t.kind, Kind::Payout | Kind::Refund)) {
                    self.book_outside(t, MovementKind::Returned, report, &news).await?;
                    return Ok(Vec::new());
                }
            }
            ReportKind::Chargeback | ReportKind::ChargebackReversed | ReportKind::Dispute { .. } => {
                if let Some(t) = found.iter().find(|t| matches!(t.kind, Kind::Charge | Kind::Capture)) {
                    self.hear_of_chargeback(t, report, &news).await?;
                    return Ok(Vec::new());
                }
            }
            ReportKind::MeansRevoked => {
                if let Some(t) = found.first() {
                    self.revoke_means(t, report, &news).await?;
                    return Ok(Vec::new());
                }
            }
        }
        Ok(names(report))
    }

    /// The transactions of a connection that go by the names in a report.
    async fn called(&self, tenant: Uuid, connection: Uuid, report: &Report) -> Result<Vec<Transaction>, FlowError> {
        let mut found = Vec::new();
        for Unmatched { namespace, value } in names(report) {
            found.extend(self.store.transactions_called(tenant, connection, namespace, &value).await?);
        }
        Ok(found)
    }

    /// A refund without a reference of ours: the confirmation of the oldest open one of that parent and amount, else one
    /// made at the PSP's portal, which is booked at the parent.
    async fn hear_of_refund(
        &self,
        tenant: Uuid,
        connection: Uuid,
        report: &Report,
        news: News,
    ) -> Result<Vec<Unmatched>, FlowError> {
        let mut above = report.clone();
        above.references.ours = report.references.parent_ours.clone();
        above.references.theirs = report.references.parent_theirs.clone();
        let found = self.called(tenant, connection, &above).await?;
        let Some(parent) = found.iter().find(|t| matches!(t.kind, Kind::Charge | Kind::Capture)) else {
            return Ok([names(report), names(&above)].concat());
        };
        if report.references.ours.is_none() {
            let under = self.store.transactions_under(tenant, parent.id).await?;
            let open = under.iter().find(|t| {
                t.kind == Kind::Refund && t.state.is_open() && report.amount.is_none_or(|amount| amount == t.amount)
            });
            if let Some(open) = open {
                self.learn(open, news).await?;
                return Ok(Vec::new());
            }
        }
        if report.verdict == Verdict::Succeeded {
            self.book_outside(parent, MovementKind::Refunded, report, &news).await?;
        }
        Ok(Vec::new())
    }

    async fn hear_of_chargeback(&self, t: &Transaction, report: &Report, news: &News) -> Result<(), FlowError> {
        match report.kind {
            ReportKind::ChargebackReversed => {
                self.book_outside(t, MovementKind::ChargebackReversed, report, news).await
            }
            ReportKind::Dispute { .. } => self.note(t, EventType::Disputed, news).await,
            ReportKind::Of(_) | ReportKind::Return | ReportKind::Chargeback | ReportKind::MeansRevoked => {
                self.book_outside(t, MovementKind::ChargedBack, report, news).await
            }
        }
    }

    /// Books money that moved without an instruction of ours. It has happened, so nothing refuses it; the same movement
    /// told twice is booked once.
    async fn book_outside(
        &self,
        t: &Transaction,
        kind: MovementKind,
        report: &Report,
        news: &News,
    ) -> Result<(), FlowError> {
        let intent = self.intent_of(t).await?;
        let now = self.clock.now();
        let amount = report.amount.unwrap_or(t.taken());
        let mut unit = Unit::new("book_outside");
        history::claim_movement(&mut unit, self.movement(t, kind, amount, report, now));
        let (event, excess) = match kind {
            MovementKind::ChargedBack => {
                transactions::book_chargeback(&mut unit, t.tenant_id, t.id, amount.minor);
                (EventType::ChargedBack, amount.minor > t.counters.available_to_refund())
            }
            MovementKind::ChargebackReversed => {
                transactions::book_chargeback(&mut unit, t.tenant_id, t.id, -amount.minor);
                (EventType::ChargebackReversed, false)
            }
            MovementKind::Refunded => {
                transactions::count(&mut unit, t.tenant_id, t.id, Verb::Refund, amount.minor, 0);
                (EventType::Refunded, amount.minor > t.counters.available_to_refund())
            }
            MovementKind::Returned => (EventType::Returned, true),
            MovementKind::Paid | MovementKind::PaidOut => (EventType::Captured, false),
        };
        let alert = excess.then_some(Alert::OutsideExceeds);
        history::add_fact(&mut unit, self.fact(t, t.state, news, Standing::Applied, alert, now));
        self.raise(&mut unit, t, alert, now);
        intents::touch(&mut unit, t.tenant_id, t.intent_id, now);
        self.tell(&mut unit, &intent, Some(t), event, report.occurred_at);
        match self.store.run(unit).await? {
            Ok(()) => {
                tracing::info!(transaction = %t.id, movement = kind.as_str(), amount = %amount, "booked from outside");
                self.nudges.dispatcher.notify_one();
            }
            Err(refusal) => tracing::debug!(transaction = %t.id, ?refusal, "booked already"),
        }
        Ok(())
    }

    async fn revoke_means(&self, t: &Transaction, _report: &Report, news: &News) -> Result<(), FlowError> {
        let intent = self.intent_of(t).await?;
        let now = self.clock.now();
        let mut unit = Unit::new("revoke_means");
        if let Some(agreement) = intent.agreement_id {
            agreements::revoke(&mut unit, t.tenant_id, agreement, now);
        }
        history::add_fact(&mut unit, self.fact(t, t.state, news, Standing::Applied, None, now));
        self.tell(&mut unit, &intent, Some(t), EventType::MeansRevoked, None);
        self.run_and_nudge(unit).await
    }

    /// Keeps a fact that changes nothing, and tells of it.
    async fn note(&self, t: &Transaction, event: EventType, news: &News) -> Result<(), FlowError> {
        let intent = self.intent_of(t).await?;
        let now = self.clock.now();
        let mut unit = Unit::new("note");
        history::add_fact(&mut unit, self.fact(t, t.state, news, Standing::Applied, Some(Alert::NeedsPerson), now));
        self.raise(&mut unit, t, Some(Alert::NeedsPerson), now);
        self.tell(&mut unit, &intent, Some(t), event, None);
        self.run_and_nudge(unit).await
    }

    /// Steps a transaction by what was learned. Built anew from what is stored whenever somebody else was faster, so two
    /// reports at once are applied one after the other. `None` if it kept changing; the reconciler comes back to it.
    pub(super) async fn learn(&self, t: &Transaction, news: News) -> Result<Option<Transaction>, FlowError> {
        let known = self.known(t.tenant_id, t.id).await?;
        self.learn_of(known, news).await
    }

    /// As [`Engine::learn`], from a row that was read or written a moment ago.
    pub(super) async fn learn_of(&self, mut known: Known, news: News) -> Result<Option<Transaction>, FlowError> {
        let adapter = self.adapter(&known.connection)?;
        for _ in 0..RACES_MAX {
            let Known { t: before, intent, .. } = &known;
            let rest = self.rest_of(before, &news, adapter).await?;
            let Applied { unit, after, step, children } = self.applied(before, intent, &news, rest, adapter)?;
            match self.store.run(unit).await? {
                Ok(()) => {
                    self.log(before, &after, &step, &news);
                    self.nudges.dispatcher.notify_one();
                    for child in children {
                        self.spawn_submit(before.tenant_id, child);
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
        adapter: &dyn Adapter,
    ) -> Result<Applied, FlowError> {
        let now = self.clock.now();
        let step = step(&view(before, adapter), &news.learned);
        let after = self.after(before, &step, news, adapter, now);
        let mut unit = Unit::new("apply");
        let mut children = Vec::new();
        transactions::advance(&mut unit, before, &after, now);
        history::add_fact(&mut unit, self.fact(before, after.state, news, step.standing, step.alert, now));
        for exchange in &news.exchanges {
            history::add_exchange(&mut unit, exchange.clone());
        }
        self.raise(&mut unit, before, step.alert, now);
        for (namespace, old, new) in
            [(Namespace::Theirs, &before.theirs, &after.theirs), (Namespace::Scheme, &before.scheme, &after.scheme)]
        {
            if let (None, Some(value)) = (old, new) {
                inbox::unpark(&mut unit, before.tenant_id, before.connection_id, namespace, value, now);
            }
        }
        if step.state.is_some() && after.state != before.state {
            let change = Change { before, after: &after, intent, news, adapter, now };
            children = self.changed(&mut unit, &change, rest)?;
        } else if after.confirmed != before.confirmed || after.next != before.next {
            intents::touch(&mut unit, intent.tenant_id, intent.id, now);
        }
        if let Some((agreement, means)) = intent.agreement_id.zip(news.report.as_ref().and_then(|r| r.means.as_ref())) {
            // Only means of something that came good may be charged later; and an old notice told again does not take
            // the place of newer means.
            if step.state.is_some() && after.state.is_good(after.kind) {
                self.store.keep_means(&mut unit, before, agreement, means, now);
            }
        }
        Ok(Applied { unit, after, step, children })
    }

    /// What a change of state brings with it: money counted, the intent moved, events, and the rest of a partial capture
    /// released.
    fn changed(&self, unit: &mut Unit, change: &Change<'_>, rest: Option<Rest>) -> Result<Vec<Uuid>, FlowError> {
        let Change { before, after, intent, news, now, .. } = *change;
        let mut children = Vec::new();
        let occurred_at = news.learned.occurred_at();
        if after.state.is_good(after.kind) && !before.state.is_good(before.kind) {
            self.book(unit, before, after, news, now);
        } else if after.state.is_bad() && before.state.is_open() {
            // It came to nothing: what it had reserved at its parent is free again.
            if let Some((parent, counter)) = before.parent_id.zip(Verb::of(before.kind)) {
                transactions::free(unit, before.tenant_id, parent, counter, before.amount.minor);
            }
        }
        let learned =
            intent::learn(intent.kind, intent.state, Self::intent_news(before, after, intent), LatePolicy::GiveBack);
        let to = learned.state.map(|to| match (to, news.closes_as) {
            (IntentState::Closed(_), Some(by)) => IntentState::Closed(by),
            (to, _) => to,
        });
        match to {
            Some(to) => intents::set_state(unit, intent, to, now),
            None => intents::touch(unit, intent.tenant_id, intent.id, now),
        }
        // A refund shows on its payment, a capture on its preauth.
        if let Some(above) = intent.parent_id {
            intents::touch(unit, intent.tenant_id, above, now);
        }
        if learned.give_back {
            children.extend(self.give_back(unit, change)?);
        }
        if before.kind == Kind::Preauth && after.state == State::Authorised {
            intents::set_expiry(unit, intent.tenant_id, intent.id, after.valid_until);
        } else if before.parent_id.is_none() && !after.state.is_open() && intent.expires_at.is_some() {
            intents::set_expiry(unit, intent.tenant_id, intent.id, None);
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
        Ok(children)
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
        if let Some(counter) = Verb::of(kind) {
            transactions::reserve(unit, t, counter, child.amount.minor);
        }
        transactions::insert(unit, &child);
        Ok(Some(child.id))
    }

    /// What the change of a transaction is to its intent.
    fn intent_news(before: &Transaction, after: &Transaction, intent: &Intent) -> intent::News {
        intent::News {
            // A release of the whole is a cancel; the rest of a partial capture is less.
            whole: after.amount == intent.amount,
            // Only a payer's own session at the PSP goes on after a refusal.
            same_session: before.state.is_bad() && intent.details.page_token.is_some(),
            ..intent::News::of(after.kind, after.state)
        }
    }

    /// The row as it is to be written.
    fn after(
        &self,
        before: &Transaction,
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
            Source::Answer | Source::Notice(_) | Source::Operator { .. } | Source::Ourselves => {}
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
        t.look_at = self.next_look(before, &t, step, adapter, now);
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
        if step.look_up || step.resend {
            return Some(now);
        }
        match after.state {
            State::Created => Some(now.plus(self.clock.wait(SUBMIT_RETRY_PAUSE * 2))),
            State::Submitted => before.look_at,
            State::Unknown if before.state != State::Unknown && after.lookups == 0 => {
                Some(first_look(&self.clock, after.id, after.answer_by.unwrap_or(now)))
            }
            State::Unknown => Some(now.plus(look_wait(&self.clock, after.id, after.lookups))),
            State::Pending(_) => {
                let pacing = schedule::pacing(adapter.manifest().lookup.pacing);
                let passed = u32::try_from(after.lookups).unwrap_or(0);
                let wait = pacing.next(passed, schedule::jitter(after.id.as_bytes()));
                wait.map(|wait| now.plus(self.clock.wait(wait)))
            }
            State::Authorised | State::Succeeded | State::Declined(_) | State::Expired | State::Cancelled => None,
        }
    }

    fn movement(
        &self,
        t: &Transaction,
        kind: MovementKind,
        amount: Money,
        report: &Report,
        now: Timestamp,
    ) -> BookedMovement {
        // Where the PSP gives its flows no identity, the transaction and what happened to it are one.
        let told = report.movement.as_ref().map(|movement| movement.0.clone());
        let reason = match &report.verdict {
            Verdict::Declined(reason) => Some(*reason),
            Verdict::Pending(_)
            | Verdict::Authorised
            | Verdict::Succeeded
            | Verdict::Expired
            | Verdict::Cancelled
            | Verdict::Unrecognised(_) => None,
        };
        BookedMovement {
            id: self.clock.new_id(),
            tenant_id: t.tenant_id,
            connection_id: t.connection_id,
            transaction_id: t.id,
            movement: told.unwrap_or_else(|| format!("{}:{}", kind.as_str(), t.ours)),
            kind,
            amount,
            fee_minor: report.fee.map_or(0, |fee| fee.minor),
            reason,
            psp_code: report.psp_code.clone(),
            psp_text: report.psp_text.clone(),
            occurred_at: report.occurred_at.unwrap_or(now),
            recorded_at: now,
        }
    }

    fn fact(
        &self,
        before: &Transaction,
        after: State,
        news: &News,
        standing: Standing,
        alert: Option<Alert>,
        now: Timestamp,
    ) -> Fact {
        let report = news.report.as_ref();
        let operator = match &news.source {
            Source::Operator { who, why } => Some(format!("{who}: {why}")),
            Source::Answer | Source::Lookup | Source::Notice(_) | Source::Ourselves => None,
        };
        Fact {
            id: self.clock.new_id(),
            tenant_id: before.tenant_id,
            transaction_id: before.id,
            source: news.source.as_str().to_owned(),
            learned: said(&news.learned, report),
            standing: standing.as_str().to_owned(),
            state_before: before.state.name().to_owned(),
            state_after: after.name().to_owned(),
            reason: after.reason().map(str::to_owned),
            amount: report.and_then(|report| report.amount),
            movement: report.and_then(|report| report.movement.as_ref()).map(|movement| movement.0.clone()),
            psp_code: report.and_then(|report| report.psp_code.clone()),
            psp_text: report.and_then(|report| report.psp_text.clone()),
            alert: alert.map(|alert| alert.as_str().to_owned()),
            operator,
            occurred_at: news.learned.occurred_at(),
            recorded_at: now,
        }
    }

    fn raise(&self, unit: &mut Unit, t: &Transaction, alert: Option<Alert>, now: Timestamp) {
        let Some(alert) = alert else { return };
        tracing::warn!(tenant = %t.tenant_id, transaction = %t.id, alert = alert.as_str(), "{}", alert.text());
        history::raise_alert(
            unit,
            StoredAlert {
                id: self.clock.new_id(),
                tenant_id: t.tenant_id,
                transaction_id: Some(t.id),
                kind: alert.as_str().to_owned(),
                text: alert.text().to_owned(),
                raised_at: now,
            },
        );
    }

    /// Writes an event into the unit that makes the change it tells of.
    pub(super) fn tell(
        &self,
        unit: &mut Unit,
        intent: &Intent,
        t: Option<&Transaction>,
        event_type: EventType,
        occurred_at: Option<Timestamp>,
    ) {
        let now = self.clock.now();
        events::add(
            unit,
            Event {
                id: self.clock.new_id(),
                tenant_id: intent.tenant_id,
                position: None,
                contract: intent.contract.clone(),
                intent_id: intent.id,
                transaction_id: t.map(|t| t.id),
                event_type,
                snapshot: snapshot(intent, t),
                occurred_at: occurred_at.unwrap_or(now),
                recorded_at: now,
            },
        );
    }

    pub(super) fn exchanges(&self, t: &Transaction, purpose: &str, made: Vec<Exchange>) -> Vec<StoredExchange> {
        made.into_iter()
            .map(|exchange| StoredExchange {
                id: self.clock.new_id(),
                tenant_id: t.tenant_id,
                connection_id: t.connection_id,
                transaction_id: Some(t.id),
                purpose: purpose.to_owned(),
                request: format!(
                    "{} {}\n{}\n\n{}",
                    exchange.method.as_str(),
                    exchange.url,
                    exchange.request_headers,
                    exchange.request_body
                ),
                reply: exchange
                    .status
                    .map(|status| format!("{status}\n{}\n\n{}", exchange.reply_headers, exchange.reply_body)),
                fault: exchange.fault.as_ref().map(ToString::to_string),
                started_at: exchange.started_at,
                took_ms: i64::try_from(exchange.took_ms).unwrap_or(i64::MAX),
            })
            .collect()
    }

    pub(super) async fn keep_exchanges(&self, made: Vec<StoredExchange>) -> Result<(), FlowError> {
        let mut unit = Unit::new("keep_exchanges");
        for exchange in made {
            history::add_exchange(&mut unit, exchange);
        }
        self.run_and_nudge(unit).await
    }

    pub(super) async fn run_and_nudge(&self, unit: Unit) -> Result<(), FlowError> {
        let name = unit.name();
        if let Err(refusal) = self.store.run(unit).await? {
            tracing::debug!(unit = name, ?refusal, "refused");
        }
        self.nudges.dispatcher.notify_one();
        Ok(())
    }

    pub(super) async fn intent_of(&self, t: &Transaction) -> Result<Intent, FlowError> {
        self.store.intent(t.tenant_id, t.intent_id).await?.ok_or_else(|| FlowError::missing("intent", t.intent_id))
    }

    fn log(&self, before: &Transaction, after: &Transaction, step: &Step, news: &News) {
        tracing::info!(
            tenant = %before.tenant_id,
            transaction = %before.id,
            kind = before.kind.as_str(),
            source = news.source.as_str(),
            learned = said(&news.learned, news.report.as_ref()),
            standing = step.standing.as_str(),
            from = before.state.name(),
            to = after.state.name(),
            "applied"
        );
    }
}

/// A transaction that has got a new state, and all that belongs to it.
#[derive(Clone, Copy)]
struct Change<'a> {
    before: &'a Transaction,
    after: &'a Transaction,
    intent: &'a Intent,
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

fn view(t: &Transaction, adapter: &dyn Adapter) -> View {
    let capability = adapter.manifest().capability(t.kind, t.method, t.amount.currency);
    View {
        kind: t.kind,
        state: t.state,
        asked: (t.kind != Kind::StoreMeans).then_some(t.amount),
        confirmed: t.confirmed,
        amount_rule: capability.map_or(rialto_adapters::port::manifest::AmountRule::Exact, |c| c.amount),
        state_at_psp: t.state_at_psp,
        ended_unknown: t.ended_unknown,
        capture_open_or_done: t.counters.captured + t.counters.captured_reserved > 0,
    }
}

/// What was so when an event happened, in the one model.
fn snapshot(intent: &Intent, t: Option<&Transaction>) -> String {
    let transaction = t.map(|t| {
        serde_json::json!({
            "id": t.id,
            "kind": t.kind.as_str(),
            "state": t.state.name(),
            "reason": t.state.reason(),
            "amount_minor": t.amount.minor,
            "confirmed_minor": t.confirmed.map(|money| money.minor),
            "our_reference": t.ours.0,
            "psp_reference": t.theirs,
        })
    });
    serde_json::json!({
        "intent": {
            "id": intent.id,
            "operation": intent.operation,
            "caller_key": intent.caller_key,
            "kind": intent.kind.as_str(),
            "amount_minor": intent.amount.minor,
            "currency": intent.amount.currency.code(),
        },
        "transaction": transaction,
    })
    .to_string()
}

/// The names a report gives the transaction it is about.
fn names(report: &Report) -> Vec<Unmatched> {
    let references = &report.references;
    [
        (Namespace::Ours, references.ours.as_ref().map(|ours| ours.0.clone())),
        (Namespace::Theirs, references.theirs.clone()),
        (Namespace::Scheme, references.scheme.clone()),
    ]
    .into_iter()
    .filter_map(|(namespace, value)| value.map(|value| Unmatched { namespace, value }))
    .collect()
}

/// What was learned, in a word or two, for the history and the log.
fn said(learned: &Learned, report: Option<&Report>) -> String {
    let kind = report.map_or(String::new(), |report| format!("{} ", report.kind.as_str()));
    let word = match learned {
        Learned::Said { verdict, .. } => match verdict {
            Verdict::Pending(stage) => format!("pending ({})", stage.as_str()),
            Verdict::Authorised => "authorised".to_owned(),
            Verdict::Succeeded => "succeeded".to_owned(),
            Verdict::Declined(reason) => format!("declined ({})", reason.as_str()),
            Verdict::Expired => "expired".to_owned(),
            Verdict::Cancelled => "cancelled".to_owned(),
            Verdict::Unrecognised(word) => format!("unrecognised {word:?}"),
        },
        Learned::NotSent { .. } => "not sent".to_owned(),
        Learned::Unknown => "unknown".to_owned(),
        Learned::Absent { .. } => "absent".to_owned(),
        Learned::AbsentNotYet => "not found".to_owned(),
        Learned::CannotAsk { .. } => "cannot be asked".to_owned(),
        Learned::NeverSent => "never sent".to_owned(),
        Learned::IntentClosed => "intent closed".to_owned(),
    };
    format!("{kind}{word}")
}
