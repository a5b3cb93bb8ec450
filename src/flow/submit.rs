//! The only sender. An instruction leaves here after its reference, settings version and deadlines are committed, and of
//! many nodes only the one whose commit won sends it.

use rialto_adapters::port::manifest::Idempotency;
use rialto_adapters::port::wire::Deadlines;
use rialto_adapters::port::{
    Adapter, Close, Context, FaultCause, Instruction, Outcome, Reason, Settings, Timestamp, Verdict,
};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::{Instrument as _, Span};
use uuid::Uuid;

use super::apply::News;
use super::inquire::first_look;
use super::instruct::Instructed;
use super::limits::{SEND_WITHIN, SUBMIT_RETRY_PAUSE, SUBMIT_WITHIN};
use super::{Engine, FlowError, Known, work};
use crate::clock::Clock;
use crate::core::budget::Purpose;
use crate::core::intent::{ClosedBy, IntentState};
use crate::core::step::Learned;
use crate::core::transaction::State;
use crate::metrics;
use crate::store::history::Source;
use crate::store::tenants::Connection;
use crate::store::transactions::{self, Transaction};
use crate::store::{Refusal, Unit};
use crate::wire::Recorder;

/// What one turn of sending came to.
enum Turn {
    /// Proved not sent, and there is time left.
    Again(Unsent),
    Over,
}

/// Why an attempt sent nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unsent {
    OnTheWay,
    /// The PSP was there, and does not accept the credentials of our account.
    Refused,
}

impl Engine {
    /// Sends a created transaction in a task of its own: whoever asked for it may go away.
    pub fn spawn_submit(&self, tenant: Uuid, id: Uuid) -> JoinHandle<()> {
        self.spawn(tenant, id, None)
    }

    /// The same for a transaction that was committed a moment ago.
    pub(super) fn spawn_first(&self, known: Known) -> JoinHandle<()> {
        self.spawn(known.t.tenant_id, known.t.id, Some(known))
    }

    fn spawn(&self, tenant: Uuid, id: Uuid, known: Option<Known>) -> JoinHandle<()> {
        let engine = self.clone();
        let span = known.as_ref().map_or_else(Span::current, |known| work!("submit", known.intent));
        let sent = self.sending.begin();
        let sending = async move {
            if let Err(error) = engine.send_until(tenant, id, known).await {
                // The row keeps its look-up time, so the reconciler comes back to it.
                tracing::error!(%tenant, transaction = %id, %error, "submit failed");
            }
            drop(sent);
        };
        tokio::spawn(sending.instrument(span))
    }

    /// Sends a created transaction, again as long as it is proved that nothing was sent and `submit_by` has not passed.
    pub async fn submit(&self, tenant: Uuid, id: Uuid) -> Result<(), FlowError> {
        self.send_until(tenant, id, None).await
    }

    async fn send_until(&self, tenant: Uuid, id: Uuid, mut known: Option<Known>) -> Result<(), FlowError> {
        let mut last = Unsent::OnTheWay;
        loop {
            let (first, now) = match known.take() {
                Some(known) => (true, known),
                None => (false, self.known(tenant, id).await?),
            };
            let turn = match (first, now.t.state) {
                (true, State::Submitted) => self.send_accepted(now).await?,
                (true, _) => self.turn(now, last).await?,
                (false, _) => {
                    let span = work!("submit", now.intent);
                    self.turn(now, last).instrument(span).await?
                }
            };
            match turn {
                Turn::Again(why) => {
                    last = why;
                    self.clock.sleep(SUBMIT_RETRY_PAUSE).await;
                }
                Turn::Over => return Ok(()),
            }
        }
    }

    /// `last`: how the attempt before it ended, if there was one.
    async fn turn(&self, known: Known, last: Unsent) -> Result<Turn, FlowError> {
        let Known { t, intent, .. } = &known;
        if t.state != State::Created || t.not_before.is_some_and(|at| self.clock.now() < at) {
            return Ok(Turn::Over);
        }
        let closed = match intent.state {
            IntentState::Open => false,
            // A release, and a refund of ours, are sent for an intent that is done.
            IntentState::Done => false,
            IntentState::Refused | IntentState::Closed(_) => t.parent_id.is_none(),
        };
        let dead_end = match (closed, self.clock.now() >= t.submit_by) {
            (true, _) => Some(Learned::IntentClosed),
            (false, true) if last == Unsent::Refused => Some(Learned::Impossible(Reason::AccountRefused)),
            (false, true) => Some(Learned::NeverSent),
            (false, false) => None,
        };
        if let Some(learned) = dead_end {
            self.learn_of(known, News::of_ours(learned)).await?;
            return Ok(Turn::Over);
        }
        match self.instruction(intent, t).await? {
            Instructed::Ready(_) if !self.has_turn(&known, Purpose::Instruction).await? => Ok(Turn::Over),
            Instructed::Ready(instruction) => self.send(known, &instruction).await,
            Instructed::Impossible(reason, why) => {
                tracing::warn!(transaction = %t.id, why, "not sent");
                self.learn_of(known, News::of_ours(Learned::Impossible(reason))).await?;
                Ok(Turn::Over)
            }
        }
    }

    /// Sends the same bytes again where the PSP takes our reference as an idempotency key and its window is open. The
    /// state stays unknown meanwhile.
    pub(super) async fn resend(&self, t: &Transaction) -> Result<(), FlowError> {
        let known = self.known(t.tenant_id, t.id).await?;
        match self.instruction(&known.intent, &known.t).await? {
            Instructed::Ready(instruction) => {
                if self.has_turn(&known, Purpose::Instruction).await? {
                    self.send(known, &instruction).await?;
                }
            }
            Instructed::Impossible(_, why) => tracing::warn!(transaction = %t.id, why, "not sent again"),
        }
        Ok(())
    }

    /// Commits that it is being sent, sends it, and learns what came of it.
    async fn send(&self, known: Known, instruction: &Instruction) -> Result<Turn, FlowError> {
        let Known { t: before, intent, connection } = known;
        let mut sent = self.submitted(&before, &connection)?;
        let mut unit = Unit::new("submit");
        transactions::advance(&mut unit, &before, &sent, self.clock.now());
        // Read beside the commit, which is the slower of the two.
        let settings = self.settings_for(&sent);
        let (committed, settings) = tokio::join!(self.store.run(unit), settings);
        match committed? {
            Ok(()) => sent.version += 1,
            // Another node sends it, or it is not to be sent any more.
            Err(
                Refusal::Stale
                | Refusal::KeyTaken
                | Refusal::Short
                | Refusal::Held
                | Refusal::Duplicate
                | Refusal::Missing,
            ) => {
                return Ok(Turn::Over);
            }
        }
        self.deliver(Known { t: sent, intent, connection }, &settings?, instruction).await
    }

    /// Sends what was committed as submitted by the very unit that accepted it: only this node knows of it.
    async fn send_accepted(&self, known: Known) -> Result<Turn, FlowError> {
        let Known { t, intent, .. } = &known;
        let (instruction, settings) = tokio::try_join!(self.instruction(intent, t), self.settings_for(t))?;
        match instruction {
            Instructed::Ready(instruction) => self.deliver(known, &settings, &instruction).await,
            Instructed::Impossible(reason, why) => {
                tracing::warn!(transaction = %t.id, why, "not sent");
                self.learn_of(known, News::of_ours(Learned::Impossible(reason))).await?;
                Ok(Turn::Over)
            }
        }
    }

    /// The row of an attempt that is about to begin.
    pub(super) fn submitted(&self, before: &Transaction, connection: &Connection) -> Result<Transaction, FlowError> {
        let adapter = self.adapter(connection)?;
        let send_by = self.clock.deadline(SEND_WITHIN);
        let answer_by = self.clock.deadline(adapter.manifest().answer_within);
        let mut sent = before.clone();
        sent.state = match before.state {
            State::Unknown => State::Unknown,
            State::Created
            | State::Submitted
            | State::Pending(_)
            | State::Authorised
            | State::Succeeded
            | State::Declined(_)
            | State::Expired
            | State::Cancelled => State::Submitted,
        };
        if before.settings_version == 0 {
            // Later attempts, and every look-up, use the account of the first; children that of their parent, and stored
            // means that in which they are stored.
            sent.settings_version = connection.version;
        }
        sent.attempts += 1;
        sent.send_by = Some(send_by);
        sent.answer_by = Some(answer_by);
        sent.look_at = Some(first_look(&self.clock, before.id, answer_by));
        Ok(sent)
    }

    /// Calls the PSP once, and learns what came of it.
    async fn deliver(&self, sent: Known, settings: &Settings, instruction: &Instruction) -> Result<Turn, FlowError> {
        let adapter = self.adapter(&sent.connection)?;
        let never = self.clock.now();
        let deadlines =
            Deadlines { send_by: sent.t.send_by.unwrap_or(never), answer_by: sent.t.answer_by.unwrap_or(never) };
        let (outcome, news) = self.call(adapter, settings, &sent.t, instruction, deadlines).await;
        let may_retry = self.clock.after(SUBMIT_RETRY_PAUSE) < sent.t.submit_by;
        let scheduled = sent.t.not_before.is_some();
        let mut why = Unsent::OnTheWay;
        let learned = match outcome {
            Outcome::Reported(reports) => {
                let heard = self.hear_about(&sent, &reports, news).await?;
                if heard {
                    return Ok(Turn::Over);
                }
                // It spoke of something else: we still do not know.
                self.learn_of(sent, News::of_ours(Learned::Unknown)).await?;
                return Ok(Turn::Over);
            }
            Outcome::NotSent(fault) => {
                why = if fault.cause == FaultCause::AccountRefused { Unsent::Refused } else { Unsent::OnTheWay };
                match why {
                    // To the last: that is the PSP's word. Of an earlier attempt that nobody knows the end of it says
                    // nothing.
                    Unsent::Refused if !may_retry && !sent.t.ended_unknown => Learned::Said {
                        verdict: Verdict::Declined(Reason::AccountRefused),
                        amount: None,
                        occurred_at: None,
                    },
                    Unsent::Refused | Unsent::OnTheWay => Learned::NotSent { may_retry },
                }
            }
            Outcome::Unknown(_) => Learned::Unknown,
        };
        let young = self.clock.now() < sent.t.created_at.plus(self.clock.wait(SUBMIT_WITHIN));
        let hurry = young || sent.t.submit_by <= sent.t.created_at.plus(SUBMIT_WITHIN * 2);
        let after = self.learn_of(sent, news.with(learned)).await?;
        Ok(match after.map(|t| t.state) {
            // With a time of its own it waits for the next sweep, ever longer; and so does what nobody waits for.
            Some(State::Created) if !scheduled && hurry => Turn::Again(why),
            _ => Turn::Over,
        })
    }

    fn deadlines(&self, adapter: &dyn Adapter) -> (Timestamp, Timestamp) {
        let send_by = self.clock.deadline(SEND_WITHIN);
        (send_by, self.clock.deadline(adapter.manifest().answer_within))
    }

    async fn call(
        &self,
        adapter: &dyn Adapter,
        settings: &Settings,
        t: &Transaction,
        instruction: &Instruction,
        deadlines: Deadlines,
    ) -> (Outcome, News) {
        let recorder = Recorder::new(&*self.wire, self.clock.clone());
        let context = Context {
            settings,
            wire: &recorder,
            now: self.clock.now(),
            nonce: self.clock.random(),
            deadlines,
            hook_url: &self.hook_url(t.connection_id),
        };
        let purpose = if matches!(instruction, Instruction::Close(_)) { "close" } else { "submit" };
        let started = Instant::now();
        let outcome = adapter.submit(&context, instruction).await;
        let (verdict, label) = match &outcome {
            Outcome::Reported(_) => ("reported".to_owned(), "reported"),
            Outcome::NotSent(fault) => (format!("not sent, {fault}"), "not_sent"),
            Outcome::Unknown(fault) => (format!("unknown, {fault}"), "unknown"),
        };
        metrics::PSP_CALLS.took([adapter.manifest().name, purpose, label], started.elapsed());
        tracing::info!(transaction = %t.id, kind = t.kind.as_str(), attempt = t.attempts, outcome = verdict, "submitted");
        let exchanges = self.exchanges(t, "submit", recorder.take());
        (outcome, News { source: Source::Answer, exchanges, ..News::of_ours(Learned::Unknown) })
    }

    /// Asks the PSP to end an unpaid charge or an unfinished preauth; what it answers is applied to that transaction.
    pub(super) async fn close(&self, t: &Transaction, closes_as: Option<ClosedBy>) -> Result<(), FlowError> {
        let known = self.known_with(t.clone()).await?;
        let connection = &known.connection;
        let adapter = self.adapter(connection)?;
        if !adapter.manifest().can_close || !self.has_turn(&known, Purpose::Instruction).await? {
            return Ok(());
        }
        let instruction = Instruction::Close(Close { of: t.ours.clone(), theirs: t.theirs.clone(), kind: t.kind });
        let (send_by, answer_by) = self.deadlines(adapter);
        let settings = self.settings_for(t).await?;
        let deadlines = Deadlines { send_by, answer_by };
        let span = work!("close", known.intent);
        let (outcome, news) = self.call(adapter, &settings, t, &instruction, deadlines).instrument(span).await;
        match outcome {
            Outcome::Reported(reports) => {
                self.hear_about(&known, &reports, News { closes_as, ..news }).await?;
            }
            // Nothing is known of the close; the transaction itself stays as it was, and is looked at as before.
            Outcome::NotSent(_) | Outcome::Unknown(_) => self.keep_exchanges(news.exchanges).await?,
        }
        Ok(())
    }
}

/// Whether sending the same reference again is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resend {
    /// The PSP does not take our reference as an idempotency key, or no longer.
    Never,
    /// Inside its window, and too soon after the last attempt.
    Later,
    Now,
}

pub(super) fn may_resend(adapter: &dyn Adapter, t: &Transaction, clock: &Clock, now: Timestamp) -> Resend {
    match adapter.manifest().idempotency {
        Idempotency::No => Resend::Never,
        Idempotency::For { window, resend_after } => {
            let last = t.send_by.unwrap_or(t.created_at);
            match (now < t.created_at.plus(window), now >= last.plus(clock.wait(resend_after))) {
                (false, _) => Resend::Never,
                (true, false) => Resend::Later,
                (true, true) => Resend::Now,
            }
        }
    }
}
