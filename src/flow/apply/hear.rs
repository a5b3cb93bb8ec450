//! What a report is about, and what it means where it is not news of one of our own instructions.

use rialto_adapters::port::{Kind, Read, Report, ReportKind, Verdict, Verified};
use tracing::Instrument as _;
use uuid::Uuid;

use super::{Engine, FlowError, Known, News, RACES_MAX, view, work};
use crate::core::alert::Alert;
use crate::core::counters::Verb;
use crate::core::event::EventType;
use crate::core::step::{Learned, Standing, step};
use crate::metrics;
use crate::store::Unit;
use crate::store::agreements::{self, AgreementState};
use crate::store::bookings::Booking;
use crate::store::history::{self, MovementKind, Source};
use crate::store::inbox::{self, Notice};
use crate::store::intents::{self, Intent};
use crate::store::tenants::Connection;
use crate::store::transactions::{self, Namespace, Transaction};

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
        let read = match adapter.read(&Verified::restored(notice.raw.clone())) {
            Read::Reports(reports) => self.hear_notice(notice, &reports).await?,
            Read::Ignored(why) => NoticeRead::Ignored(why),
            Read::Unreadable(why) => NoticeRead::Unreadable(why),
        };
        let outcome = match &read {
            NoticeRead::Applied => "applied",
            NoticeRead::Ignored(_) => "ignored",
            NoticeRead::Unreadable(_) => "unreadable",
            NoticeRead::Unmatched(_) => "unmatched",
        };
        metrics::NOTICES_READ.add([adapter.manifest().name, outcome]);
        Ok(read)
    }

    async fn hear_notice(&self, notice: &Notice, reports: &[Report]) -> Result<NoticeRead, FlowError> {
        let news = News { source: Source::Notice(notice.id), ..News::of_ours(Learned::AbsentNotYet) };
        let mut unmatched = Vec::new();
        for report in reports {
            unmatched.extend(self.hear(notice.tenant_id, notice.connection_id, report, news.clone()).await?);
        }
        Ok(if unmatched.is_empty() { NoticeRead::Applied } else { NoticeRead::Unmatched(unmatched) })
    }

    /// Applies reports that answer a call about `t`. True if any of them spoke of `t` itself.
    pub(in crate::flow) async fn hear_about(
        &self,
        known: &Known,
        reports: &[Report],
        news: News,
    ) -> Result<bool, FlowError> {
        let t = &known.t;
        let mut heard = false;
        let mut exchanges = news.exchanges.clone();
        for report in reports {
            let ours = match &report.references.ours {
                Some(ours) => *ours == t.ours,
                None => self.may_be(t, report).await?,
            };
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

    /// Whether a report without a reference of ours can be news of `t`. A PSP that tells the whole history of a payment
    /// each time tells of earlier refunds as well: one that is booked already, or of another amount, is another one.
    async fn may_be(&self, t: &Transaction, report: &Report) -> Result<bool, FlowError> {
        if t.kind != Kind::Refund || report.kind != ReportKind::Of(Kind::Refund) {
            return Ok(true);
        }
        let fits = report.amount.is_none_or(|amount| amount == t.amount);
        Ok(fits && self.booked_at(t.tenant_id, t.connection_id, report).await?.is_none_or(|at| at == t.id))
    }

    /// The transaction at which the flow of money that a report tells of is booked already.
    async fn booked_at(&self, tenant: Uuid, connection: Uuid, report: &Report) -> Result<Option<Uuid>, FlowError> {
        match &report.movement {
            Some(movement) => Ok(self.store.booked_at(tenant, connection, &movement.0).await?),
            None => Ok(None),
        }
    }

    /// Applies what the PSP's own ledger or a list tells, which is told again and again: only what is new is kept.
    pub(in crate::flow) async fn hear_feed(
        &self,
        connection: &Connection,
        reports: &[Report],
    ) -> Result<(), FlowError> {
        let (tenant, id) = (connection.tenant_id, connection.id);
        let adapter = self.adapter(connection)?;
        for report in reports {
            let news = News { source: Source::Feed, ..News::of_ours(Learned::AbsentNotYet) };
            let known = self.called(tenant, id, report).await?;
            let about = known.iter().find(|t| report.kind == ReportKind::Of(t.kind));
            let old = about.is_some_and(|t| {
                let step = step(&view(t, adapter, &news.source), &news.clone().reported(report).learned);
                let watched = step.watch && t.look_at.is_some();
                step.state.is_none() && step.confirmed.is_none() && (step.alert.is_none() || watched)
            });
            // What is made by other means than ours is listed there too.
            if !old && !known.is_empty() {
                self.hear(tenant, id, report, news).await?;
            }
        }
        Ok(())
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
                    if self.comes_too_early(t, report).await? {
                        return Ok(names(report));
                    }
                    self.hear_of_chargeback(t, report, &news).await?;
                    return Ok(Vec::new());
                }
            }
            ReportKind::MeansRevoked => {
                // What is to be revoked is not stored before the transaction that stores it has ended.
                if let Some(t) = found.first().filter(|t| !t.state.is_open()) {
                    self.revoke_means(t, &news).await?;
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
            if self.booked_at(tenant, connection, report).await?.is_some() {
                return Ok(Vec::new());
            }
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

    /// A chargeback is said to be taken back of which we have not heard: it waits for that.
    async fn comes_too_early(&self, t: &Transaction, report: &Report) -> Result<bool, FlowError> {
        let amount = report.amount.unwrap_or(t.taken());
        if report.kind != ReportKind::ChargebackReversed || t.counters.charged_back >= amount.minor {
            return Ok(false);
        }
        let told = self.movement(t, MovementKind::ChargebackReversed, amount, report, self.clock.now()).movement;
        let booked = self.store.movements(t.tenant_id, t.id).await?;
        // Told once more, it is booked already.
        Ok(!booked.iter().any(|booked| booked.kind == MovementKind::ChargebackReversed && booked.movement == told))
    }

    pub(super) async fn hear_of_chargeback(
        &self,
        t: &Transaction,
        report: &Report,
        news: &News,
    ) -> Result<(), FlowError> {
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
    pub(super) async fn book_outside(
        &self,
        t: &Transaction,
        kind: MovementKind,
        report: &Report,
        news: &News,
    ) -> Result<(), FlowError> {
        let intent = self.shown_as(t).await?;
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
        if kind == MovementKind::ChargedBack {
            // That it was taken back again may have been told first.
            inbox::unpark(&mut unit, t.tenant_id, t.connection_id, Namespace::Ours, &t.ours.0, now);
        }
        if t.state.is_open() {
            // Money does not go back that has not come.
            transactions::look_now(&mut unit, t.tenant_id, t.connection_id, Namespace::Ours, &t.ours.0, now);
        }
        let alert = excess.then_some(Alert::OutsideExceeds);
        history::add_fact(&mut unit, self.fact(t, t.state, news, Standing::Applied, alert, now));
        let span = work!("apply", intent);
        span.in_scope(|| self.raise(&mut unit, t, alert, now));
        intents::touch(&mut unit, intent.tenant_id, intent.id, now);
        self.tell(&mut unit, &intent, Some(t), event, report.occurred_at);
        match self.store.run(unit).instrument(span.clone()).await? {
            Ok(()) => {
                let _span = span.entered();
                tracing::info!(transaction = %t.id, movement = kind.as_str(), amount = %amount, "booked from outside");
                self.nudges.dispatcher.notify_one();
            }
            Err(refusal) => tracing::debug!(transaction = %t.id, ?refusal, "booked already"),
        }
        Ok(())
    }

    /// The intent in which a caller sees the money of a transaction: the payment that has booked it, else its own.
    async fn shown_as(&self, t: &Transaction) -> Result<Intent, FlowError> {
        let booked = t.kind == Kind::Charge && t.counters.captured > 0;
        let booking = if booked { self.store.booking_at(t.tenant_id, t.id).await? } else { None };
        match booking {
            Some(Booking { intent_id, .. }) => {
                let payment = self.store.intent(t.tenant_id, intent_id).await?;
                payment.ok_or_else(|| FlowError::missing("intent", intent_id))
            }
            None => self.intent_of(t).await,
        }
    }

    /// The means that a transaction stored, or was made with, can no longer be charged. Told as news of the intent that
    /// stored them, once; news of means that others have replaced is kept and changes nothing.
    pub(super) async fn revoke_means(&self, t: &Transaction, news: &News) -> Result<(), FlowError> {
        let intent = self.intent_of(t).await?;
        for _ in 0..RACES_MAX {
            let agreement = match intent.agreement_id {
                Some(id) => self.store.agreement_by_id(t.tenant_id, id).await?,
                None => None,
            };
            let now = self.clock.now();
            let stored_some = t.kind != Kind::Charge && !intent.details.use_stored_means;
            let active = agreement.filter(|agreement| {
                let these = !stored_some || agreement.stored_by.is_none_or(|by| by == intent.id);
                agreement.state == AgreementState::Active && these
            });
            let mut unit = Unit::new("revoke_means");
            let Some(agreement) = active else {
                history::add_fact(&mut unit, self.fact(t, t.state, news, Standing::Ignored, None, now));
                return self.run_and_nudge(unit).await;
            };
            let storing = match agreement.stored_by.filter(|by| *by != intent.id) {
                Some(by) => self.store.intent(t.tenant_id, by).await?,
                None => None,
            };
            let (told, of) = match &storing {
                Some(storing) => (storing, None),
                None => (&intent, Some(t)),
            };
            agreements::revoke(&mut unit, &agreement, now);
            history::add_fact(&mut unit, self.fact(t, t.state, news, Standing::Applied, None, now));
            intents::touch(&mut unit, told.tenant_id, told.id, now);
            self.tell(&mut unit, told, of, EventType::MeansRevoked, news.learned.occurred_at());
            match self.store.run(unit).await? {
                Ok(()) => {
                    tracing::info!(transaction = %t.id, agreement = %agreement.id, "means revoked");
                    self.nudges.dispatcher.notify_one();
                    return Ok(());
                }
                Err(refusal) => tracing::debug!(transaction = %t.id, ?refusal, "the agreement has changed"),
            }
        }
        Ok(())
    }

    /// Keeps a fact that changes nothing, and tells of it.
    async fn note(&self, t: &Transaction, event: EventType, news: &News) -> Result<(), FlowError> {
        let intent = self.shown_as(t).await?;
        let now = self.clock.now();
        let mut unit = Unit::new("note");
        history::add_fact(&mut unit, self.fact(t, t.state, news, Standing::Applied, Some(Alert::NeedsPerson), now));
        let span = work!("apply", intent);
        span.in_scope(|| self.raise(&mut unit, t, Some(Alert::NeedsPerson), now));
        self.tell(&mut unit, &intent, Some(t), event, None);
        self.run_and_nudge(unit).instrument(span).await
    }
}

/// The names a report gives the transaction it is about.
pub(super) fn names(report: &Report) -> Vec<Unmatched> {
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
