//! The verbs. One door for each dangerous thing: only [`submit`] sends, only [`inquire`] asks, only [`apply`] changes a
//! state.
//!
//! - [`identity`] – who is calling.
//! - [`accept`] – a caller's wish becomes an intent and a transaction, once for ever.
//! - [`answer`] – the payer tells what the PSP needs; only then is it sent.
//! - `budget` – how many calls a PSP takes, and whose turn it is.
//! - [`submit`] – sends a committed instruction, once.
//! - [`inquire`] – asks the PSP what has become of one.
//! - [`apply`] – what was learned becomes state, history, money counted and events, in one unit of work.
//! - [`collect`] – what a push method collected for a preauth: booked, or given back.
//! - [`cancel`] – ends a preauth. [`expire`] – our clock ends an intent, after asking. [`resolve`] – a person says what machines may not.
//! - [`explain`] – one story of anything that was asked for, from any name it has. [`doctor`] – whether all is well.
//! - [`settings`] – those of a connection, shown, changed and tried out; which version a transaction uses.
//! - [`tenants`] – sets up tenants, connections and keys. [`operate`] – operators, what they do with notices and
//!   deliveries, and the audit. [`attention`] – what waits for them.
//! - [`limits`] – how long we wait for what.

pub mod accept;
pub mod answer;
pub mod apply;
pub mod attention;
#[cfg(test)]
mod bank_tests;
mod budget;
pub mod cancel;
pub mod collect;
pub mod doctor;
pub mod expire;
pub mod explain;
pub mod identity;
pub mod inquire;
pub mod instruct;
pub mod limits;
pub mod operate;
pub mod resolve;
pub mod settings;
pub mod submit;
pub mod tenants;

use std::sync::Arc;

use rialto_adapters::port::{Adapter, Wire};
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use crate::clock::Clock;
use crate::store::intents::Intent;
use crate::store::tenants::Connection;
use crate::store::transactions::Transaction;
use crate::store::{Store, StoreError};
use crate::wire::Knocker;

/// Everything a flow needs. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    pub store: Store,
    pub clock: Clock,
    wire: Arc<dyn Wire>,
    /// Where callers, payers and PSPs reach us, without a trailing slash.
    public_url: Arc<str>,
    pub nudges: Nudges,
    /// Calls leased from the PSPs' budgets.
    leases: budget::Leases,
    /// Who stands in the audit for what is set up or decided.
    actor: Arc<str>,
    pub sending: Sending,
    /// For looking at receivers and certificates; absent where nobody is to be called.
    knocker: Option<Arc<Knocker>>,
}

/// A span in which something is done for an intent: its lines, and its part of the trace, stand under the id of the
/// request that made the intent.
macro_rules! work {
    ($name:literal, $intent:expr) => {
        tracing::error_span!($name, trace = $intent.trace.as_deref(), intent = %$intent.id)
    };
}
use work;

/// Counts the instructions that are on their way to a PSP, until what came of them is committed: a stop waits for them.
/// Nothing depends on it; one that is cut off is looked up by whoever is there then.
#[derive(Clone, Debug, Default)]
pub struct Sending(Arc<watch::Sender<usize>>);

/// One of them, until it is dropped.
#[derive(Debug)]
struct Sent(Sending);

impl Sending {
    fn begin(&self) -> Sent {
        self.0.send_modify(|count| *count += 1);
        Sent(self.clone())
    }

    pub fn count(&self) -> usize {
        *self.0.borrow()
    }

    /// Resolves once none is under way.
    pub async fn settled(&self) {
        let mut count = self.0.subscribe();
        // The sender is here, so it cannot be gone.
        let _ = count.wait_for(|count| *count == 0).await;
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// Wakes a worker before its timer does. Losing a nudge costs a moment, never the work.
#[derive(Clone, Default)]
pub struct Nudges {
    pub inbox: Arc<Notify>,
    pub dispatcher: Arc<Notify>,
    pub outbox: Arc<Notify>,
    pub reconciler: Arc<Notify>,
}

/// Why a verb could not be carried out. Never the caller's fault; what a caller did wrong is a result of the verb.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlowError {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A row that others point at is missing, or names an adapter this build does not have.
    #[error("broken: {0}")]
    Broken(String),
}

/// A transaction as it was read or written last, with what belongs to it. What is built on it is committed only if the
/// row has not changed since, so an old one costs a second try and never a wrong write.
#[derive(Clone, Debug)]
pub struct Known {
    pub t: Transaction,
    pub intent: Intent,
    pub connection: Connection,
}

impl FlowError {
    fn missing(what: &str, id: Uuid) -> FlowError {
        FlowError::Broken(format!("{what} {id} does not exist"))
    }
}

impl Engine {
    pub fn new(store: Store, wire: Arc<dyn Wire>, public_url: &str) -> Engine {
        let clock = store.clock().clone();
        Engine {
            store,
            clock,
            wire,
            public_url: public_url.trim_end_matches('/').into(),
            nudges: Nudges::default(),
            leases: budget::Leases::default(),
            sending: Sending::default(),
            actor: operate::OURSELVES.into(),
            knocker: None,
        }
    }

    /// With what looks at receivers and certificates.
    #[must_use]
    pub fn knocking(self, knocker: Knocker) -> Engine {
        Engine { knocker: Some(Arc::new(knocker)), ..self }
    }

    /// The same verbs, for somebody whose name is to stand in the audit: an operator's, or `key <id>` for a caller's key.
    #[must_use]
    pub fn acting_as(&self, actor: &str) -> Engine {
        Engine { actor: actor.into(), ..self.clone() }
    }

    pub fn actor(&self) -> &str {
        &self.actor
    }

    pub fn public_url(&self) -> &str {
        &self.public_url
    }

    /// Where a PSP posts its notices of this connection.
    pub fn hook_url(&self, connection: Uuid) -> String {
        format!("{}/hooks/{connection}", self.public_url)
    }

    /// The payer's page of an intent.
    pub fn page_url(&self, token: &str) -> String {
        format!("{}/r/{token}", self.public_url)
    }

    pub fn adapter(&self, connection: &Connection) -> Result<&'static dyn Adapter, FlowError> {
        rialto_adapters::find(&connection.adapter).ok_or_else(|| {
            FlowError::Broken(format!("connection {} names an unknown adapter {:?}", connection.id, connection.adapter))
        })
    }

    async fn known(&self, tenant: Uuid, id: Uuid) -> Result<Known, FlowError> {
        let Some(t) = self.store.transaction(tenant, id).await? else {
            return Err(FlowError::missing("transaction", id));
        };
        self.known_with(t).await
    }

    /// For a row that has just been read.
    async fn known_with(&self, t: Transaction) -> Result<Known, FlowError> {
        let connection = self.connection(t.tenant_id, t.connection_id);
        let (intent, connection) = tokio::try_join!(self.intent_of(&t), connection)?;
        Ok(Known { t, intent, connection })
    }

    async fn connection(&self, tenant: Uuid, id: Uuid) -> Result<Connection, FlowError> {
        self.store.connection(tenant, id).await?.ok_or_else(|| FlowError::missing("connection", id))
    }
}
