//! Calls that a PSP's budget allows, leased by this node a few at a time.
//!
//! What a node has leased it may use within one slot without asking anybody; the rest lapses. The first lease of a slot is
//! for one call and each further one for twice as many, so that a quiet node wastes nothing and a busy one seldom asks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rialto_adapters::port::manifest::RequestBudget;
use rialto_adapters::port::{Adapter, Duration, Timestamp};
use uuid::Uuid;

use super::limits::{PAYOUT_SUBMIT_WITHIN, RACES_MAX};
use super::{Engine, FlowError, Known};
use crate::clock::Clock;
use crate::core::budget::{Grant, Purpose, SLOTS};
use crate::store::tenants::Connection;
use crate::store::transactions::{self, Transaction};
use crate::store::{Unit, budgets};

/// Most calls of one lease.
const LEASE_MAX: u32 = 8;

/// Windows' worth of payments that may wait for their turn; what comes after them is turned away.
const QUEUE_WINDOWS: u32 = 3;

/// Whether a call may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Allowed {
    Now,
    /// Not before then, and then only if nobody else is faster.
    NotBefore(Timestamp),
}

/// What this node has leased, by account.
#[derive(Clone, Default)]
pub struct Leases {
    accounts: Arc<Mutex<HashMap<Uuid, Arc<tokio::sync::Mutex<Lease>>>>>,
}

/// Calls of one slot.
#[derive(Debug, Default)]
struct Lease {
    slot: i64,
    instructions: Share,
    questions: Share,
}

#[derive(Clone, Copy, Debug, Default)]
struct Share {
    left: u32,
    next_lease: u32,
}

impl Lease {
    fn share(&mut self, purpose: Purpose, slot: i64) -> &mut Share {
        if self.slot != slot {
            *self = Lease { slot, ..Lease::default() };
        }
        match purpose {
            Purpose::Instruction => &mut self.instructions,
            Purpose::Question => &mut self.questions,
        }
    }
}

impl Leases {
    fn of(&self, account: Uuid) -> Arc<tokio::sync::Mutex<Lease>> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.entry(account).or_default().clone()
    }
}

/// How long a slot lasts on this clock.
fn slot_millis(clock: &Clock, budget: RequestBudget) -> i64 {
    let slots = u32::try_from(SLOTS).unwrap_or(1);
    i64::try_from((clock.wait(budget.per) / slots).as_millis()).unwrap_or(i64::MAX).max(1)
}

impl Engine {
    /// Takes a call out of the budget of the account that a connection's settings version names. Always granted where the
    /// PSP states no budget.
    pub(super) async fn take_turn(
        &self,
        adapter: &dyn Adapter,
        connection: &Connection,
        version: i32,
        purpose: Purpose,
    ) -> Result<Allowed, FlowError> {
        let Some(budget) = adapter.manifest().budget else { return Ok(Allowed::Now) };
        let account = self.store.account(adapter.manifest().name, connection.id, version).await?;
        let millis = slot_millis(&self.clock, budget);
        // One task of this node at a time asks the store; the others then find what it has brought.
        let lease = self.leases.of(account);
        let mut lease = lease.lock().await;
        let slot = self.clock.now().0.div_euclid(millis);
        let share = lease.share(purpose, slot);
        if share.left > 0 {
            share.left -= 1;
            return Ok(Allowed::Now);
        }
        let wanted = share.next_lease.clamp(1, LEASE_MAX);
        match self.lease(account, budget, purpose, wanted, slot).await? {
            Grant::Some { calls, .. } => {
                share.left = calls - 1;
                share.next_lease = wanted * 2;
                Ok(Allowed::Now)
            }
            Grant::NotBefore(slot) => Ok(Allowed::NotBefore(Timestamp(slot.saturating_mul(millis)))),
        }
    }

    async fn lease(
        &self,
        account: Uuid,
        budget: RequestBudget,
        purpose: Purpose,
        wanted: u32,
        slot: i64,
    ) -> Result<Grant, FlowError> {
        for _ in 0..RACES_MAX {
            let before = self.store.budget(account).await?;
            let grant = before.ledger.take(budget, purpose, wanted, slot);
            let Grant::Some { ledger, .. } = &grant else { return Ok(grant) };
            let mut unit = Unit::new("lease_calls");
            budgets::advance(&mut unit, account, &before, ledger);
            if self.store.run(unit).await?.is_ok() {
                return Ok(grant);
            }
        }
        // Many nodes are busy with it: nothing is granted to this one in this slot.
        Ok(Grant::NotBefore(slot.saturating_add(1)))
    }

    /// How a transaction that is about to be accepted begins. `patient`: somebody waits on our page, or nobody does.
    pub(super) async fn admit(
        &self,
        adapter: &dyn Adapter,
        connection: &Connection,
        t: &Transaction,
        at_once: bool,
        patient: bool,
    ) -> Result<Admitted, FlowError> {
        let Some(budget) = adapter.manifest().budget else { return Ok(Admitted::Sends) };
        let not_before = match at_once {
            true => {
                match self.take_turn(adapter, connection, version_for(t, connection), Purpose::Instruction).await? {
                    Allowed::Now => return Ok(Admitted::Sends),
                    Allowed::NotBefore(at) => Some(at),
                }
            }
            // It takes its turn when it is sent.
            false => None,
        };
        let per_window = budget.calls.saturating_sub(budget.kept_for_lookups);
        let most = u64::from(per_window.saturating_mul(QUEUE_WINDOWS));
        if !patient || self.store.transactions_waiting(connection.id, most).await? >= most {
            return Ok(Admitted::TurnedAway { retry_after: budget.per });
        }
        Ok(not_before.map_or(Admitted::Sends, Admitted::Waits))
    }

    /// As [`Engine::take_turn`] for a transaction that is to be sent or looked up. False: it is looked at again when its
    /// turn may have come.
    pub(super) async fn has_turn(&self, known: &Known, purpose: Purpose) -> Result<bool, FlowError> {
        let Known { t, connection, .. } = known;
        let version = version_for(t, connection);
        match self.take_turn(self.adapter(connection)?, connection, version, purpose).await? {
            Allowed::Now => Ok(true),
            Allowed::NotBefore(at) => {
                let patience = match known.intent.expires_at {
                    Some(page_until) if t.parent_id.is_none() => page_until,
                    // Nobody waits for it.
                    Some(_) | None => t.created_at.plus(PAYOUT_SUBMIT_WITHIN),
                };
                let mut unit = Unit::new("wait_for_turn");
                transactions::wait_for_turn(&mut unit, t, at, t.submit_by.max(patience));
                if self.store.run(unit).await?.is_err() {
                    tracing::debug!(transaction = %t.id, "changed while it waited for its turn");
                }
                Ok(false)
            }
        }
    }
}

/// How a transaction begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admitted {
    Sends,
    /// Its turn does not come before then.
    Waits(Timestamp),
    /// Too many wait already.
    TurnedAway {
        retry_after: Duration,
    },
}

/// The settings it is, or would be, sent with.
fn version_for(t: &Transaction, connection: &Connection) -> i32 {
    if t.settings_version == 0 { connection.version } else { t.settings_version }
}
