//! The rows that say what happened: facts, movements, alerts, events and exchanges.

use rialto_adapters::port::{Kind, Money, Report, Timestamp, Verdict};
use uuid::Uuid;

use super::{Engine, FlowError, News};
use crate::core::alert::Alert;
use crate::core::event::EventType;
use crate::core::step::{Learned, Standing, Step};
use crate::core::transaction::State;
use crate::metrics;
use crate::store::Unit;
use crate::store::events::{self, Event};
use crate::store::history::{self, BookedMovement, Fact, MovementKind, Source, StoredAlert, StoredExchange};
use crate::store::intents::Intent;
use crate::store::transactions::Transaction;
use crate::wire::Exchange;

impl Engine {
    pub(super) fn movement(
        &self,
        t: &Transaction,
        kind: MovementKind,
        amount: Money,
        report: &Report,
        now: Timestamp,
    ) -> BookedMovement {
        let told = report.movement.as_ref().map(|movement| movement.0.clone());
        // A refund of somebody else's has at least its own id. Where the PSP gives its flows no identity at all, the
        // transaction and what happened to it are one.
        let foreign = kind == MovementKind::Refunded && t.kind != Kind::Refund;
        let told = told.or_else(|| report.references.theirs.clone().filter(|_| foreign));
        BookedMovement {
            id: self.clock.new_id(),
            tenant_id: t.tenant_id,
            connection_id: t.connection_id,
            transaction_id: t.id,
            movement: told.unwrap_or_else(|| format!("{}:{}", kind.as_str(), t.ours)),
            kind,
            amount,
            fee_minor: report.fee.map_or(0, |fee| fee.minor),
            reason: report.reason,
            psp_code: report.psp_code.clone(),
            psp_text: report.psp_text.clone(),
            occurred_at: report.occurred_at.unwrap_or(now),
            recorded_at: now,
        }
    }

    pub(super) fn fact(
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
            Source::Answer | Source::Lookup | Source::Feed | Source::Notice(_) | Source::Ourselves => {
                news.matched_by.clone()
            }
        };
        let notice_id = match &news.source {
            Source::Notice(id) => Some(*id),
            Source::Answer | Source::Lookup | Source::Feed | Source::Operator { .. } | Source::Ourselves => None,
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
            amount: report.and_then(|report| report.amount).or(said_by_person(news)),
            movement: report.and_then(|report| report.movement.as_ref()).map(|movement| movement.0.clone()),
            psp_code: report.and_then(|report| report.psp_code.clone()),
            psp_text: report.and_then(|report| report.psp_text.clone()),
            alert: alert.map(|alert| alert.as_str().to_owned()),
            operator,
            notice_id,
            occurred_at: news.learned.occurred_at(),
            recorded_at: now,
        }
    }

    pub(in crate::flow) fn raise(&self, unit: &mut Unit, t: &Transaction, alert: Option<Alert>, now: Timestamp) {
        let Some(alert) = alert else { return };
        metrics::ALERTS.add([alert.as_str()]);
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
    pub(in crate::flow) fn tell(
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

    pub(in crate::flow) fn exchanges(
        &self,
        t: &Transaction,
        purpose: &str,
        made: Vec<Exchange>,
    ) -> Vec<StoredExchange> {
        self.exchanges_of((t.tenant_id, t.connection_id), Some(t.id), purpose, made)
    }

    /// Of a connection, whether or not they are about a transaction.
    pub(in crate::flow) fn exchanges_of(
        &self,
        (tenant_id, connection_id): (Uuid, Uuid),
        transaction_id: Option<Uuid>,
        purpose: &str,
        made: Vec<Exchange>,
    ) -> Vec<StoredExchange> {
        made.into_iter()
            .map(|exchange| StoredExchange {
                id: self.clock.new_id(),
                tenant_id,
                connection_id,
                transaction_id,
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

    pub(in crate::flow) async fn keep_exchanges(&self, made: Vec<StoredExchange>) -> Result<(), FlowError> {
        let mut unit = Unit::new("keep_exchanges");
        for exchange in made {
            history::add_exchange(&mut unit, exchange);
        }
        self.run_and_nudge(unit).await
    }

    pub(in crate::flow) async fn run_and_nudge(&self, unit: Unit) -> Result<(), FlowError> {
        let name = unit.name();
        if let Err(refusal) = self.store.run(unit).await? {
            tracing::debug!(unit = name, ?refusal, "refused");
        }
        self.nudges.dispatcher.notify_one();
        Ok(())
    }

    pub(in crate::flow) async fn intent_of(&self, t: &Transaction) -> Result<Intent, FlowError> {
        self.store.intent(t.tenant_id, t.intent_id).await?.ok_or_else(|| FlowError::missing("intent", t.intent_id))
    }

    pub(super) fn log(&self, before: &Transaction, after: &Transaction, step: &Step, news: &News) {
        let notice = match &news.source {
            Source::Notice(id) => Some(tracing::field::display(id)),
            Source::Answer | Source::Lookup | Source::Feed | Source::Operator { .. } | Source::Ourselves => None,
        };
        tracing::info!(
            tenant = %before.tenant_id,
            transaction = %before.id,
            notice,
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

/// A person brings no report, and may name an amount all the same.
fn said_by_person(news: &News) -> Option<Money> {
    match (&news.source, &news.learned) {
        (Source::Operator { .. }, Learned::Said { amount, .. }) => *amount,
        (
            Source::Operator { .. }
            | Source::Answer
            | Source::Lookup
            | Source::Feed
            | Source::Notice(_)
            | Source::Ourselves,
            _,
        ) => None,
    }
}

/// What was learned, in a word or two, for the history and the log.
pub(in crate::flow) fn said(learned: &Learned, report: Option<&Report>) -> String {
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
        Learned::Impossible(reason) => format!("cannot be sent ({})", reason.as_str()),
        Learned::IntentClosed => "intent closed".to_owned(),
    };
    format!("{kind}{word}")
}
