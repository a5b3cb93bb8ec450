//! The one verb by which a person says what machines may not: what became of a transaction whose outcome nobody can tell
//! us. It appends a fact like any other, with who and why, and is stepped by the same table.

use rialto_adapters::port::{Money, Verdict};
use uuid::Uuid;

use super::apply::News;
use super::{Engine, FlowError};
use crate::core::step::Learned;
use crate::core::transaction::State;
use crate::store::Unit;
use crate::store::history::{self, Source};

/// What resolving came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// Now in this state.
    Now(State),
    /// The tenant has no such transaction.
    NotFound,
    /// It does not wait for anybody.
    NotOpen(State),
    /// More than the transaction is about.
    TooMuch { asked: Money },
}

impl Engine {
    /// `amount` is what moved, where that is not what was asked for.
    pub async fn resolve(
        &self,
        tenant: Uuid,
        id: Uuid,
        verdict: Verdict,
        amount: Option<Money>,
        who: &str,
        why: &str,
    ) -> Result<Resolved, FlowError> {
        let Some(t) = self.store.transaction(tenant, id).await? else { return Ok(Resolved::NotFound) };
        if !matches!(t.state, State::Unknown | State::Pending(_)) {
            return Ok(Resolved::NotOpen(t.state));
        }
        if amount.is_some_and(|amount| amount.currency != t.amount.currency || amount.minor > t.amount.minor) {
            return Ok(Resolved::TooMuch { asked: t.amount });
        }
        let learned = Learned::Said { verdict, amount, occurred_at: None };
        let source = Source::Operator { who: who.to_owned(), why: why.to_owned() };
        let after = self.learn(&t, News { source, ..News::of_ours(learned) }).await?;
        let state = after.map_or(t.state, |after| after.state);
        if state != t.state {
            let mut unit = Unit::new("resolve");
            history::settle_alerts(&mut unit, tenant, id, self.clock.now());
            self.run_and_nudge(unit).await?;
        }
        Ok(Resolved::Now(state))
    }
}
