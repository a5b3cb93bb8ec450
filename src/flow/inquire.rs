//! The only asker: what has become of a transaction whose outcome is open, or in doubt.

use rialto_adapters::port::wire::Deadlines;
use rialto_adapters::port::{
    Adapter, Context, Duration, Feed, Lookup, OurReference, Probe, References, Settings, Timestamp,
};
use tokio::time::Instant;
use tracing::Instrument as _;
use uuid::Uuid;

use super::apply::News;
use super::budget::Allowed;
use super::limits::{LOOKUP_ANSWERED_WITHIN, LOOKUP_HELD_FOR, PROBE_ANSWERED_WITHIN};
use super::submit::{Resend, may_resend};
use super::{Engine, FlowError, Known, work};
use crate::clock::Clock;
use crate::core::budget::Purpose;
use crate::core::schedule;
use crate::core::step::Learned;
use crate::core::transaction::State;
use crate::metrics;
use crate::store::history::Source;
use crate::store::tenants::Connection;
use crate::store::transactions::{self, Transaction};
use crate::store::{Unit, feeds};
use crate::wire::{Exchange, Recorder};

/// How often the PSP must say, late enough, that it does not know a transaction before we believe it.
const ABSENCES_BELIEVED: i32 = 2;

/// When an outcome that stays unknown is looked up first.
pub(super) fn first_look(clock: &Clock, id: Uuid, answer_by: Timestamp) -> Timestamp {
    answer_by.plus(look_wait(clock, id, 0))
}

/// How long after `lookups` of them the next look-up of an unknown outcome waits.
pub(super) fn look_wait(clock: &Clock, id: Uuid, lookups: i32) -> Duration {
    let passed = u32::try_from(lookups).unwrap_or(0);
    // The schedule never ends; were it ever to, asking seldom is right, and not asking is wrong.
    let wait = schedule::RECONCILE.next(passed, schedule::jitter(id.as_bytes()));
    clock.wait(wait.unwrap_or(LOOKUP_HELD_FOR))
}

/// What reading on in a PSP's ledger came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedRead {
    /// The PSP has none.
    Unsupported,
    /// There may be more.
    More,
    /// There was nothing, or it could not be asked.
    Nothing,
}

/// Whether asking has brought an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The PSP has said what it knows, or is one that cannot be asked.
    Answered,
    /// It was not asked just now, or nobody answered.
    NotNow,
}

impl Engine {
    /// Reads the next page of what a connection's PSP lists: events that never reached us, and what it changed by itself.
    pub async fn read_feed(&self, connection: &Connection) -> Result<FeedRead, FlowError> {
        let adapter = self.adapter(connection)?;
        let version = connection.version;
        if self.take_turn(adapter, connection, version, Purpose::Question).await? != Allowed::Now {
            return Ok(FeedRead::Nothing);
        }
        let settings = self.store.settings(connection.tenant_id, connection.id, version).await?;
        let cursor = self.store.feed_cursor(connection.tenant_id, connection.id).await?;
        let until = self.clock.deadline(LOOKUP_ANSWERED_WITHIN);
        let context = Context {
            settings: &settings,
            wire: &*self.wire,
            now: self.clock.now(),
            nonce: self.clock.random(),
            deadlines: Deadlines { send_by: until, answer_by: until },
            hook_url: &self.hook_url(connection.id),
        };
        let (reports, next) = match adapter.feed(&context, cursor.as_deref()).await {
            Feed::Page { reports, next_cursor } => (reports, next_cursor),
            Feed::Unsupported => return Ok(FeedRead::Unsupported),
            Feed::Unknown(fault) => {
                tracing::warn!(connection = %connection.id, %fault, "the feed brought nothing");
                return Ok(FeedRead::Nothing);
            }
        };
        self.hear_feed(connection, &reports).await?;
        let Some(next) = next else { return Ok(FeedRead::Nothing) };
        let mut unit = Unit::new("keep_cursor");
        feeds::keep_cursor(&mut unit, connection, &next, self.clock.now());
        self.run_and_nudge(unit).await?;
        let more = !reports.is_empty() && cursor.as_deref() != Some(next.as_str());
        Ok(if more { FeedRead::More } else { FeedRead::Nothing })
    }

    /// Does what is due for a transaction: sends it if that never happened, else asks. Two callers at once: one asks.
    pub async fn inquire(&self, t: &Transaction) -> Result<Asked, FlowError> {
        match t.state {
            State::Created => {
                self.submit(t.tenant_id, t.id).await?;
                return Ok(Asked::NotNow);
            }
            // Somebody may still be waiting for the answer.
            State::Submitted if t.answer_by.is_some_and(|at| self.clock.now() < at) => return Ok(Asked::NotNow),
            State::Submitted
            | State::Unknown
            | State::Pending(_)
            | State::Authorised
            | State::Succeeded
            | State::Declined(_)
            | State::Expired
            | State::Cancelled => {}
        }
        let mut unit = Unit::new("claim_look");
        transactions::claim_look(&mut unit, t, self.clock.deadline(LOOKUP_HELD_FOR));
        if self.store.run(unit).await?.is_err() {
            return Ok(Asked::NotNow);
        }
        let known = self.known(t.tenant_id, t.id).await?;
        let span = work!("lookup", known.intent);
        self.ask(&known).instrument(span).await
    }

    async fn ask(&self, known: &Known) -> Result<Asked, FlowError> {
        let Known { t, connection, .. } = known;
        let adapter = self.adapter(connection)?;
        if !self.has_turn(known, Purpose::Question).await? {
            return Ok(Asked::NotNow);
        }
        let settings = self.settings_for(t).await?;
        let parent = self.parent(t).await?;
        let references = References {
            ours: Some(OurReference(t.ours.0.clone())),
            theirs: t.theirs.clone(),
            scheme: t.scheme.clone(),
            parent_ours: parent.as_ref().map(|parent| parent.ours.clone()),
            parent_theirs: parent.and_then(|parent| parent.theirs),
        };
        let recorder = Recorder::new(&*self.wire, self.clock.clone());
        let asked_at = self.clock.now();
        let until = self.clock.deadline(LOOKUP_ANSWERED_WITHIN);
        let context = Context {
            settings: &settings,
            wire: &recorder,
            now: asked_at,
            nonce: self.clock.random(),
            deadlines: Deadlines { send_by: until, answer_by: until },
            hook_url: &self.hook_url(connection.id),
        };
        let started = Instant::now();
        let found = adapter.lookup(&context, t.kind, &references).await;
        let outcome = match &found {
            Lookup::Reported(_) => "reported",
            Lookup::Absent => "absent",
            Lookup::CannotAsk => "cannot_ask",
            Lookup::Unknown(_) => "unknown",
        };
        metrics::PSP_CALLS.took([adapter.manifest().name, "lookup", outcome], started.elapsed());
        let exchanges = self.exchanges(t, "lookup", recorder.take());
        let mut news = News { source: Source::Lookup, exchanges, ..News::of_ours(Learned::AbsentNotYet) };
        let again = may_resend(adapter, t, &self.clock, asked_at);
        let resend = again == Resend::Now;
        let believable =
            t.answer_by.is_none_or(|by| asked_at >= by.plus(self.clock.wait(adapter.manifest().lookup.absent_after)));
        let (said, learned, absences) = match found {
            Lookup::Reported(reports) => {
                if self.hear_about(known, &reports, news.clone()).await? {
                    tracing::info!(transaction = %t.id, was = t.state.name(), found = "reported", "looked up");
                    return Ok(Asked::Answered);
                }
                // The calls were kept with what they told of.
                news.exchanges.clear();
                ("other", Learned::AbsentNotYet, t.absences)
            }
            // It can be sent again in a while; until then nothing is decided.
            Lookup::Absent if again == Resend::Later => ("absent, too early", Learned::AbsentNotYet, t.absences),
            Lookup::CannotAsk if again == Resend::Later => ("cannot ask", Learned::Unknown, t.absences),
            Lookup::Absent if believable && t.absences + 1 >= ABSENCES_BELIEVED => {
                ("absent, believed", Learned::Absent { resend }, t.absences + 1)
            }
            Lookup::Absent if believable => ("absent", Learned::AbsentNotYet, t.absences + 1),
            Lookup::Absent => ("absent, too early", Learned::AbsentNotYet, t.absences),
            Lookup::CannotAsk => ("cannot ask", Learned::CannotAsk { resend }, t.absences),
            Lookup::Unknown(fault) => {
                tracing::warn!(transaction = %t.id, %fault, "look-up brought nothing");
                self.look_again(t, news).await?;
                return Ok(Asked::NotNow);
            }
        };
        tracing::info!(transaction = %t.id, was = t.state.name(), found = said, "looked up");
        let resend_wanted = self.learn(t, News { absences: Some(absences), ..news.with(learned) }).await?;
        if let Some(after) = resend_wanted.filter(|after| resend && after.state == State::Unknown) {
            self.resend(&after).await?;
        }
        Ok(Asked::Answered)
    }

    /// Tries settings out at the PSP. Moves no money; the calls are kept.
    pub(super) async fn probe(&self, connection: &Connection, settings: &Settings) -> Result<Probe, FlowError> {
        let adapter = self.adapter(connection)?;
        let until = self.clock.deadline(PROBE_ANSWERED_WITHIN);
        let (found, made) = self.probe_connection(adapter, connection, settings, until).await;
        self.keep_exchanges(self.exchanges_of((connection.tenant_id, connection.id), None, "probe", made)).await?;
        let said = match &found {
            Probe::Valid(_) => "accepted".to_owned(),
            Probe::Refused(reason, text) => format!("refused ({}): {text}", reason.as_str()),
            Probe::Unknown(fault) => format!("unknown, {fault}"),
        };
        tracing::info!(tenant = %connection.tenant_id, connection = %connection.id, found = said, "settings tried out");
        Ok(found)
    }

    /// Tries settings out at the PSP, with what was said; nothing is stored and no money moves.
    pub(super) async fn probe_connection(
        &self,
        adapter: &dyn Adapter,
        connection: &Connection,
        settings: &Settings,
        until: Timestamp,
    ) -> (Probe, Vec<Exchange>) {
        let recorder = Recorder::new(&*self.wire, self.clock.clone());
        let now = self.clock.now();
        let context = Context {
            settings,
            wire: &recorder,
            now,
            nonce: self.clock.random(),
            deadlines: Deadlines { send_by: until, answer_by: until },
            hook_url: &self.hook_url(connection.id),
        };
        let found = adapter.probe(&context).await;
        (found, recorder.take())
    }

    /// The look-up itself failed: nothing was learned but that we must ask again.
    async fn look_again(&self, t: &Transaction, news: News) -> Result<(), FlowError> {
        match t.state {
            // Its sender is gone, or its call has ended without an answer.
            State::Submitted => {
                self.learn(t, news.with(Learned::Unknown)).await?;
            }
            State::Created
            | State::Unknown
            | State::Pending(_)
            | State::Authorised
            | State::Succeeded
            | State::Declined(_)
            | State::Expired
            | State::Cancelled => {
                let mut after = t.clone();
                after.lookups += 1;
                after.look_at = Some(self.clock.now().plus(look_wait(&self.clock, t.id, after.lookups)));
                let mut unit = Unit::new("look_again");
                transactions::advance(&mut unit, t, &after, self.clock.now());
                if self.store.run(unit).await?.is_err() {
                    tracing::debug!(transaction = %t.id, "changed while it was looked up");
                }
                self.keep_exchanges(news.exchanges).await?;
            }
        }
        Ok(())
    }
}
