//! What a person says instead of the PSP, stepped by the same table. Unlike a machine's news it is said of the state the
//! person saw: whoever comes second is told, and nothing is stepped anew behind their back.

use rialto_adapters::port::{Kind, Read, Report, ReportKind, Verdict, Verified};
use uuid::Uuid;

use super::hear::names;
use super::record::said;
use super::{Applied, Engine, FlowError, Known, News, view};
use crate::core::step::{Learned, Standing, Step, step};
use crate::core::transaction::State;
use crate::store::Unit;
use crate::store::history::{self, MovementKind, Source};
use crate::store::inbox::Notice;
use crate::store::transactions::{self, Transaction};

/// What was applied, and what that started.
#[derive(Clone, Debug)]
pub struct Said {
    pub after: Transaction,
    /// Transactions that go out now: a rest that is released, money that is given back.
    pub started: Vec<Uuid>,
}

impl Engine {
    /// What the table makes of a person's word, without doing it.
    pub(in crate::flow) fn foresee(&self, known: &Known, news: &News) -> Result<Step, FlowError> {
        let adapter = self.adapter(&known.connection)?;
        Ok(step(&view(&known.t, adapter, &news.source), &news.learned))
    }

    /// Steps a transaction by a person's word, once, with whatever else belongs into the same unit. `None` if the
    /// transaction has changed since it was read.
    pub(in crate::flow) async fn say(
        &self,
        known: &Known,
        news: News,
        more: impl FnOnce(&mut Unit, &Transaction),
    ) -> Result<Option<Said>, FlowError> {
        let adapter = self.adapter(&known.connection)?;
        let rest = self.rest_of(&known.t, &news, adapter).await?;
        let undone = self.undone_by(&known.t, &known.intent).await?;
        let Applied { mut unit, after, step, children } =
            self.applied(&known.t, &known.intent, &news, rest, undone, adapter)?;
        more(&mut unit, &after);
        if let Err(refusal) = self.store.run(unit).await? {
            tracing::debug!(transaction = %known.t.id, ?refusal, "changed before a person's word came");
            return Ok(None);
        }
        self.log(&known.t, &after, &step, &news);
        self.nudges.dispatcher.notify_one();
        for child in &children {
            self.spawn_submit(known.t.tenant_id, *child);
        }
        Ok(Some(Said { after, started: children }))
    }

    /// Leaves a transaction as it is, by a person's word: its alerts are settled, and one that has ended is not looked up
    /// any more. False if it has changed since it was read.
    pub(in crate::flow) async fn let_be(
        &self,
        t: &Transaction,
        source: Source,
        words: &str,
        more: impl FnOnce(&mut Unit),
    ) -> Result<bool, FlowError> {
        let now = self.clock.now();
        let mut after = t.clone();
        if !t.state.is_open() {
            after.look_at = None;
        }
        let news = News { source, ..News::of_ours(Learned::AbsentNotYet) };
        let mut fact = self.fact(t, t.state, &news, Standing::Same, None, now);
        words.clone_into(&mut fact.learned);
        let mut unit = Unit::new("let_be");
        transactions::advance(&mut unit, t, &after, now);
        history::add_fact(&mut unit, fact);
        history::settle_alerts(&mut unit, t.tenant_id, t.id, now);
        more(&mut unit);
        let done = self.store.run(unit).await?.is_ok();
        self.nudges.dispatcher.notify_one();
        Ok(done)
    }

    /// What a genuine notice says, a line for each report; or why it says nothing.
    pub fn notice_says(&self, adapter: &str, notice: &Notice) -> Vec<String> {
        match self.reports_of(adapter, notice) {
            Ok(reports) => reports.iter().map(line).collect(),
            Err(why) => vec![why],
        }
    }

    /// The reports of a notice that was found genuine when it came. Nothing is read of any other.
    fn reports_of(&self, adapter: &str, notice: &Notice) -> Result<Vec<Report>, String> {
        let adapter = rialto_adapters::find(adapter).ok_or_else(|| format!("no adapter {adapter}"))?;
        if !notice.is_genuine() {
            return Err(format!("not read: it is {}", notice.verdict.as_str()));
        }
        match adapter.read(&Verified::restored(notice.raw.clone())) {
            Read::Reports(reports) => Ok(reports),
            Read::Ignored(why) => Err(format!("nothing to apply: {why}")),
            Read::Unreadable(why) => Err(format!("unreadable: {why}")),
        }
    }

    /// The reports of a notice, if every one of them can be about this transaction.
    pub(in crate::flow) fn reports_for(
        &self,
        adapter: &str,
        notice: &Notice,
        t: &Transaction,
    ) -> Result<Vec<Report>, String> {
        let reports = self.reports_of(adapter, notice)?;
        match reports.iter().find(|report| !may_be_about(report, t)) {
            Some(other) => Err(format!("it says {:?}, which cannot be about a {}", line(other), t.kind.as_str())),
            None if reports.is_empty() => Err("it says nothing".to_owned()),
            None => Ok(reports),
        }
    }

    /// Applies one report of a notice to the transaction a person says it is about. The same news told twice is booked
    /// once, as always.
    pub(in crate::flow) async fn hear_matched(
        &self,
        t: &Transaction,
        notice: &Notice,
        report: &Report,
        by: &str,
    ) -> Result<(), FlowError> {
        let news = News {
            source: Source::Notice(notice.id),
            matched_by: Some(by.to_owned()),
            ..News::of_ours(Learned::AbsentNotYet)
        };
        let news = news.reported(report);
        match report.kind {
            ReportKind::Of(kind) if kind == t.kind => {
                self.learn(t, news).await?;
                Ok(())
            }
            ReportKind::Of(_) => self.book_outside(t, MovementKind::Refunded, report, &news).await,
            ReportKind::Return => self.book_outside(t, MovementKind::Returned, report, &news).await,
            ReportKind::Chargeback | ReportKind::ChargebackReversed | ReportKind::Dispute { .. } => {
                self.hear_of_chargeback(t, report, &news).await
            }
            ReportKind::MeansRevoked => self.revoke_means(t, &news).await,
        }
    }
}

/// Whether a report can be about a transaction, whatever names it gives.
fn may_be_about(report: &Report, t: &Transaction) -> bool {
    let takes = matches!(t.kind, Kind::Charge | Kind::Capture);
    let sends = matches!(t.kind, Kind::Payout | Kind::Refund);
    let currency = report.amount.is_none_or(|amount| amount.currency == t.amount.currency);
    let kind = match report.kind {
        // The PSP cannot know what was never sent.
        ReportKind::Of(kind) if kind == t.kind => t.state != State::Created,
        // Made at the PSP's portal.
        ReportKind::Of(Kind::Refund) => takes && report.verdict == Verdict::Succeeded,
        ReportKind::Of(_) => false,
        ReportKind::Return => sends,
        ReportKind::Chargeback | ReportKind::ChargebackReversed | ReportKind::Dispute { .. } => takes,
        ReportKind::MeansRevoked => true,
    };
    kind && currency
}

/// A report in one line, for people.
fn line(report: &Report) -> String {
    let learned =
        Learned::Said { verdict: report.verdict.clone(), amount: report.amount, occurred_at: report.occurred_at };
    let mut line = said(&learned, Some(report));
    if let Some(amount) = report.amount {
        line.push_str(&format!(" {amount}"));
    }
    for name in names(report) {
        line.push_str(&format!(", {} {}", name.namespace.as_str(), name.value));
    }
    line
}
