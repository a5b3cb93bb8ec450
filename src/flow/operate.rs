//! What operators do beside [`super::resolve`]: operators themselves, notices that belong to nothing, deliveries that were
//! given up; and the audit: one row for each action, in the unit that carries it out.

use rialto_adapters::port::Secret;
use uuid::Uuid;

use super::limits::{NOTICE_HELD_FOR, RACES_MAX};
use super::tenants::{KEY_BYTES, NAME_MAX, SetupError, invalid};
use super::{Engine, FlowError};
use crate::core::schedule;
use crate::core::transaction::State;
use crate::store::deliveries::{self, Delivery, DeliveryState};
use crate::store::inbox::{self, Notice, NoticeState};
use crate::store::operators::{self, AuditEntry, Operator, Right};
use crate::store::{Refusal, StoreError, Unit, hash_token};

/// The name of the first operator, whose key is `RIALTO_ADMIN_KEY` or stands in the data directory.
pub const FIRST_OPERATOR: &str = "admin";
/// Who stands in the audit where nobody asked: the demo's preparation.
pub const OURSELVES: &str = "rialto";
/// Longest reason an operator gives; the column has no end, a screen has.
pub const WHY_MAX: usize = 500;

/// Longest text of what was asked for that is kept; a caller's own words may be in it.
const DETAILS_MAX: usize = 2000;

/// What came of an action where there is no more to say.
pub const DONE: &str = "done";

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(DETAILS_MAX));
    text
}

/// Why a notice or a delivery was left as it is. The texts are for whoever asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotDone {
    #[error("there is no {what} {id}")]
    NotFound { what: &'static str, id: Uuid },
    #[error("why is required, in at most {WHY_MAX} bytes")]
    NoWhy,
    /// It is not in a state in which this can be done.
    #[error("it is {state}; only what is {wanted} can be {verb}")]
    State { state: &'static str, wanted: &'static str, verb: &'static str },
    #[error("it carries no valid signature of the provider, so nothing in it is read")]
    NotGenuine,
    #[error("the transaction belongs to another connection than the notice")]
    Foreign,
    #[error("{0}")]
    DoesNotFit(String),
    #[error("it has just changed; look at it again")]
    Changed,
    #[error(transparent)]
    Flow(#[from] FlowError),
}

impl From<StoreError> for NotDone {
    fn from(error: StoreError) -> NotDone {
        NotDone::Flow(error.into())
    }
}

/// What matching a notice did to the transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matched {
    pub before: State,
    pub after: State,
}

/// What is done again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replayed {
    Notice(Uuid),
    Delivery(Uuid),
}

/// What somebody did, or tried to do.
#[derive(Clone, Debug)]
pub struct Act {
    action: &'static str,
    tenant: Option<Uuid>,
    subject: Option<String>,
    details: String,
}

impl Act {
    /// `details` is for people, and never has a secret in it.
    pub fn new(action: &'static str, details: impl Into<String>) -> Act {
        Act { action, tenant: None, subject: None, details: details.into() }
    }

    /// The tenant it concerns.
    #[must_use]
    pub fn of(self, tenant: Uuid) -> Act {
        Act { tenant: Some(tenant), ..self }
    }

    /// What it was done to.
    #[must_use]
    pub fn on(self, subject: impl ToString) -> Act {
        Act { subject: Some(subject.to_string()), ..self }
    }
}

impl Engine {
    /// Puts what the actor does into the unit that does it, so that neither is there without the other.
    pub fn audit(&self, unit: &mut Unit, act: Act, outcome: &str) {
        let entry = AuditEntry {
            id: self.clock.new_id(),
            actor: self.actor().to_owned(),
            action: act.action.to_owned(),
            tenant_id: act.tenant,
            subject: act.subject.map(cut),
            details: cut(act.details),
            outcome: cut(outcome.to_owned()),
            at: self.clock.now(),
        };
        tracing::info!(
            actor = entry.actor,
            action = entry.action,
            subject = entry.subject.as_deref().unwrap_or_default(),
            outcome,
            "audit"
        );
        operators::record(unit, entry);
    }

    /// Keeps an action that came to nothing, for which there is no other unit.
    pub async fn audit_refused(&self, act: Act, why: &str) -> Result<(), FlowError> {
        let mut unit = Unit::new("audit_refused");
        self.audit(&mut unit, act, &format!("refused: {why}"));
        self.run_and_nudge(unit).await
    }

    /// The key itself is returned this once; its hash is kept. A name is never given twice: the audit names operators.
    pub async fn add_operator(&self, name: &str, right: Right) -> Result<Secret, SetupError> {
        let name = name.trim();
        if name.is_empty() || name.len() > NAME_MAX || name.chars().any(char::is_control) {
            return Err(invalid("name", format!("must have 1 to {NAME_MAX} bytes")));
        }
        let ours = [FIRST_OPERATOR, OURSELVES].iter().any(|own| own.eq_ignore_ascii_case(name));
        if ours || name.to_ascii_lowercase().starts_with("key ") {
            return Err(invalid("name", "is one the audit has another meaning for"));
        }
        let key = Secret::new(format!("ok_{}", self.token(KEY_BYTES)));
        let operator = Operator {
            id: self.clock.new_id(),
            name: name.to_owned(),
            right,
            created_at: self.clock.now(),
            revoked_at: None,
        };
        let mut unit = Unit::new("add_operator");
        operators::add(&mut unit, &operator, hash_token(key.expose()));
        self.audit(&mut unit, Act::new("operator.add", format!("right {}", right.as_str())).on(name), DONE);
        match self.store.run(unit).await? {
            Ok(()) => Ok(key),
            Err(
                Refusal::KeyTaken
                | Refusal::Stale
                | Refusal::Short
                | Refusal::Held
                | Refusal::Duplicate
                | Refusal::Missing,
            ) => Err(invalid("name", "was given to an operator before")),
        }
    }

    /// From now on the operator's key opens nothing.
    pub async fn revoke_operator(&self, name: &str) -> Result<(), SetupError> {
        let mut unit = Unit::new("revoke_operator");
        operators::revoke(&mut unit, name, self.clock.now());
        self.audit(&mut unit, Act::new("operator.revoke", "").on(name), DONE);
        match self.store.run(unit).await? {
            Ok(()) => Ok(()),
            Err(
                Refusal::KeyTaken
                | Refusal::Stale
                | Refusal::Short
                | Refusal::Held
                | Refusal::Duplicate
                | Refusal::Missing,
            ) => Err(SetupError::NotFound { what: "operator with a key", id: name.to_owned() }),
        }
    }

    /// Applies what a notice that belongs to nothing says to the transaction a person says it is about.
    ///
    /// The notice is taken first, as a worker takes one: of two persons at once one has it, and should this node die in
    /// the middle it is read again, which books nothing twice.
    ///
    /// # Errors
    /// [`NotDone`]: nothing was changed, and that somebody tried is in the audit.
    pub async fn match_notice(&self, id: Uuid, transaction: Uuid, why: &str) -> Result<Matched, NotDone> {
        let why = why.trim();
        let act = Act::new("notice.match", format!("to transaction {transaction}: {why}")).on(id);
        let notice = self.notice_of(id).await?;
        let act = act.of(notice.tenant_id);
        let (mut notice, mut tries) = (notice, 0);
        let mut done = self.match_of(&notice, transaction, &act, why).await;
        while matches!(done, Err(NotDone::Changed)) && self.look_anew(&mut notice, &mut tries).await? {
            done = self.match_of(&notice, transaction, &act, why).await;
        }
        self.done_or_refused(act, done).await
    }

    async fn match_of(&self, notice: &Notice, transaction: Uuid, act: &Act, why: &str) -> Result<Matched, NotDone> {
        check_why(why)?;
        check_genuine(notice)?;
        check_state(notice, &[NoticeState::Parked, NoticeState::Unmatched], "parked or unmatched", "matched")?;
        let Some(t) = self.store.transaction_everywhere(transaction).await? else {
            return Err(NotDone::NotFound { what: "transaction", id: transaction });
        };
        if (t.tenant_id, t.connection_id) != (notice.tenant_id, notice.connection_id) {
            return Err(NotDone::Foreign);
        }
        let connection = self.connection(notice.tenant_id, notice.connection_id).await?;
        let reports = self.reports_for(&connection.adapter, notice, &t).map_err(NotDone::DoesNotFit)?;
        let mut unit = Unit::new("take_notice");
        let until = self.clock.deadline(NOTICE_HELD_FOR);
        inbox::settle_notice(&mut unit, notice, NoticeState::Waiting, Some("being matched"), Some(until));
        self.store.run(unit).await?.map_err(|_| NotDone::Changed)?;
        let by = format!("{}: {why}", self.actor());
        for report in &reports {
            self.hear_matched(&t, notice, report, &by).await?;
        }
        let after = self.store.transaction(t.tenant_id, t.id).await?.map_or(t.state, |t| t.state);
        let mut unit = Unit::new("match_notice");
        let taken = Notice { attempts: notice.attempts + 1, ..notice.clone() };
        let text = format!("matched to transaction {transaction} by {by}");
        inbox::settle_notice(&mut unit, &taken, NoticeState::Done, Some(&text), None);
        self.audit(&mut unit, act.clone(), &format!("{} -> {}", t.state.name(), after.name()));
        self.store.run(unit).await?.map_err(|_| NotDone::Changed)?;
        self.nudges.dispatcher.notify_one();
        Ok(Matched { before: t.state, after })
    }

    /// Puts a notice aside that a person says is about nothing of ours.
    ///
    /// # Errors
    /// [`NotDone`]: nothing was changed, and that somebody tried is in the audit.
    pub async fn drop_notice(&self, id: Uuid, why: &str) -> Result<(), NotDone> {
        let why = why.trim();
        let notice = self.notice_of(id).await?;
        let act = Act::new("notice.drop", why).on(id).of(notice.tenant_id);
        let (mut notice, mut tries) = (notice, 0);
        let mut done = self.drop_of(&notice, &act, why).await;
        while matches!(done, Err(NotDone::Changed)) && self.look_anew(&mut notice, &mut tries).await? {
            done = self.drop_of(&notice, &act, why).await;
        }
        self.done_or_refused(act, done).await
    }

    async fn drop_of(&self, notice: &Notice, act: &Act, why: &str) -> Result<(), NotDone> {
        check_why(why)?;
        let droppable = [NoticeState::Parked, NoticeState::Unmatched, NoticeState::Unreadable];
        check_state(notice, &droppable, "parked, unmatched or unreadable", "dropped")?;
        let mut unit = Unit::new("drop_notice");
        let text = format!("dropped by {}: {why}", self.actor());
        inbox::settle_notice(&mut unit, notice, NoticeState::Ignored, Some(&text), None);
        self.audit(&mut unit, act.clone(), &format!("was {}", notice.state.as_str()));
        self.store.run(unit).await?.map_err(|_| NotDone::Changed)
    }

    /// Has a stored notice read again, or a delivery that was given up tried again. The inbox and the outbox do it; without
    /// a server that is when the next one starts.
    ///
    /// # Errors
    /// [`NotDone`]: nothing was changed, and that somebody tried is in the audit.
    pub async fn replay(&self, id: Uuid) -> Result<Replayed, NotDone> {
        if let Some(notice) = self.store.notice_everywhere(id).await? {
            let act = Act::new("notice.replay", format!("was {}", notice.state.as_str())).on(id).of(notice.tenant_id);
            let (mut notice, mut tries) = (notice, 0);
            let mut done = self.replay_notice(&notice, &act).await;
            while matches!(done, Err(NotDone::Changed)) && self.look_anew(&mut notice, &mut tries).await? {
                done = self.replay_notice(&notice, &act).await;
            }
            return self.done_or_refused(act, done).await.map(|()| Replayed::Notice(id));
        }
        let Some(delivery) = self.store.delivery_everywhere(id).await? else {
            return Err(NotDone::NotFound { what: "notice or delivery", id });
        };
        let act = Act::new("delivery.replay", format!("was {}", delivery.state.as_str())).on(id).of(delivery.tenant_id);
        let done = self.replay_delivery(&delivery, &act).await;
        self.done_or_refused(act, done).await.map(|()| Replayed::Delivery(id))
    }

    async fn replay_notice(&self, notice: &Notice, act: &Act) -> Result<(), NotDone> {
        check_genuine(notice)?;
        let readable = [
            NoticeState::Unreadable,
            NoticeState::Unmatched,
            NoticeState::Parked,
            NoticeState::Done,
            NoticeState::Ignored,
        ];
        check_state(notice, &readable, "not being read already", "read again")?;
        let mut unit = Unit::new("replay_notice");
        inbox::settle_notice(&mut unit, notice, NoticeState::Waiting, None, Some(self.clock.now()));
        self.audit(&mut unit, act.clone(), "is read again");
        self.store.run(unit).await?.map_err(|_| NotDone::Changed)?;
        self.nudges.inbox.notify_one();
        Ok(())
    }

    async fn replay_delivery(&self, delivery: &Delivery, act: &Act) -> Result<(), NotDone> {
        if delivery.state != DeliveryState::Dead {
            return Err(NotDone::State { state: delivery.state.as_str(), wanted: "dead", verb: "tried again" });
        }
        let now = self.clock.now();
        // The only profile there is.
        let patience = schedule::BILLWERK.total.unwrap_or_default();
        let mut unit = Unit::new("replay_delivery");
        deliveries::revive(&mut unit, delivery, now.plus(self.clock.wait(patience)), now);
        self.audit(&mut unit, act.clone(), "is due again");
        self.store.run(unit).await?.map_err(|_| NotDone::Changed)?;
        self.nudges.outbox.notify_one();
        Ok(())
    }

    /// The notice as it is stored now, where a worker was faster than a person: what is done is decided by its state and
    /// not by who came first.
    async fn look_anew(&self, notice: &mut Notice, tries: &mut usize) -> Result<bool, NotDone> {
        *tries += 1;
        *notice = self.notice_of(notice.id).await?;
        Ok(*tries < RACES_MAX)
    }

    async fn notice_of(&self, id: Uuid) -> Result<Notice, NotDone> {
        self.store.notice_everywhere(id).await?.ok_or(NotDone::NotFound { what: "notice", id })
    }

    async fn done_or_refused<T>(&self, act: Act, done: Result<T, NotDone>) -> Result<T, NotDone> {
        match done {
            Ok(done) => Ok(done),
            Err(NotDone::Flow(error)) => Err(error.into()),
            Err(why_not) => {
                self.audit_refused(act, &why_not.to_string()).await?;
                Err(why_not)
            }
        }
    }
}

fn check_why(why: &str) -> Result<(), NotDone> {
    if why.is_empty() || why.len() > WHY_MAX { Err(NotDone::NoWhy) } else { Ok(()) }
}

fn check_genuine(notice: &Notice) -> Result<(), NotDone> {
    if notice.is_genuine() { Ok(()) } else { Err(NotDone::NotGenuine) }
}

fn check_state(
    notice: &Notice,
    allowed: &[NoticeState],
    wanted: &'static str,
    verb: &'static str,
) -> Result<(), NotDone> {
    match allowed.contains(&notice.state) {
        true => Ok(()),
        false => Err(NotDone::State { state: notice.state.as_str(), wanted, verb }),
    }
}
