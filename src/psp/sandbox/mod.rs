//! The sandbox PSP: the other side of `adapters/sandbox`, with its state in tables of its own.
//!
//! It behaves like a PSP out there: it knows nothing of the model, it is not idempotent (a second request with one
//! reference is a second transaction), and it posts signed notices until they are accepted. In reading order: `api` (a
//! request in, a reply out, and the scripts that spoil the way), `verbs` (what a request does), `settle` (how a transaction
//! ends and what is told about it), `pump` (what is due later), [`page`] (where a payer approves), `model` (the stored
//! form).

mod api;
mod model;
mod page;
mod pump;
mod settle;
mod verbs;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use rialto_adapters::port::{Duration, Fault, Reply, Request};
use rialto_adapters::sandbox::contract;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::clock::Clock;
use crate::store::sandbox_psp as table;
use crate::store::{Store, StoreError};
use crate::wire::LocalPsp;
use model::Stored;

pub use page::routes;

/// How notices leave the PSP.
#[async_trait]
pub trait NoticeSink: Send + Sync {
    /// Posts a notice and answers with the HTTP status; 0 where nobody answered.
    async fn deliver(&self, hook_url: &str, headers: Vec<(String, String)>, body: Vec<u8>) -> u16;
}

/// Whoever has an API key here.
struct Account {
    /// The hash of the key.
    id: String,
    /// What notices about this call are signed with.
    signer: Uuid,
}

/// The sandbox PSP. Cheap to clone.
#[derive(Clone)]
pub struct SandboxPsp {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    sink: Arc<dyn NoticeSink>,
    /// Without a slash at the end.
    public_url: String,
    /// Secrets that notices are signed with, by their hash, so that a call costs no read for them.
    signers: Mutex<HashMap<String, Uuid>>,
    /// Slow calls (script 25) that wait for a lookup, by account and reference.
    slow: Mutex<HashMap<(String, String), Arc<Notify>>>,
    /// Jobs were added.
    added: Notify,
}

/// Secrets remembered; more are looked for in the database.
const SIGNERS_CACHED_MAX: usize = 1_000;
/// How long a slow call (script 25) waits for a lookup before it goes on without one.
const SLOW_MAX: Duration = Duration::from_secs(60);

#[async_trait]
impl LocalPsp for SandboxPsp {
    /// As the PSP's server would. A fault plays what a network does.
    async fn handle(&self, request: Request) -> Result<Reply, Fault> {
        api::handle(self, &request).await
    }
}

impl SandboxPsp {
    /// `public_url` is where its pages are reached: `{public_url}/sandbox/pay/{session}`. Notices and other things that
    /// happen later need [`SandboxPsp::run`].
    pub fn new(store: Store, sink: Arc<dyn NoticeSink>, public_url: &str) -> SandboxPsp {
        SandboxPsp {
            inner: Arc::new(Inner {
                store,
                sink,
                public_url: public_url.trim_end_matches('/').to_owned(),
                signers: Mutex::default(),
                slow: Mutex::default(),
                added: Notify::new(),
            }),
        }
    }

    /// Does what is due later (notices, settlements, chargebacks) until the future is dropped. Any number of nodes may
    /// run it: each job is claimed first.
    pub async fn run(&self) {
        pump::run(self).await;
    }

    /// Does everything that is due by now, and answers how many jobs that were. For tests without a running pump.
    pub async fn run_due(&self) -> Result<usize, StoreError> {
        pump::run_due(self).await
    }

    /// How many transactions took effect under a reference: all but declined ones. More than one means that somebody
    /// sent twice.
    pub async fn charges_of(&self, reference: &str) -> Result<usize, StoreError> {
        let rows = table::everywhere(&self.inner.store, reference).await?;
        Ok(rows.iter().filter(|row| row.state != contract::state::DECLINED).count())
    }

    /// The transactions under a reference as the PSP would tell them, oldest first.
    pub async fn transactions_of(&self, reference: &str) -> Result<Vec<contract::Transaction>, StoreError> {
        let rows = table::everywhere(&self.inner.store, reference).await?;
        rows.iter().map(|row| Ok(Stored::read(row)?.transaction)).collect()
    }

    /// How much succeeded captures, releases or refunds have taken out of the transaction under a reference, in minor
    /// units.
    pub async fn taken_from(&self, reference: &str, kind: &str) -> Result<i64, StoreError> {
        let rows = table::everywhere_under(&self.inner.store, reference).await?;
        let done = rows.iter().filter(|row| row.kind == kind && row.state == contract::state::SUCCEEDED);
        Ok(done.map(|row| row.amount_minor).sum())
    }

    /// Takes the money of a charge or capture back, as the payer's bank would: a notice tells it. False where no
    /// succeeded charge or capture has this reference.
    pub async fn charge_back(&self, reference: &str) -> Result<bool, StoreError> {
        pump::charge_back(self, reference).await
    }

    /// Refunds what is left of a charge or capture at the portal: a notice tells it. False where no succeeded charge or
    /// capture has this reference.
    pub async fn refund_outside(&self, reference: &str) -> Result<bool, StoreError> {
        pump::refund_outside(self, reference).await
    }

    /// Whether nothing is left to do or to tell.
    pub async fn is_idle(&self) -> Result<bool, StoreError> {
        Ok(table::next_due(&self.inner.store).await?.is_none())
    }

    /// An outside look at one page: its address ends with this. `None` where the payer is not asked any more.
    pub async fn session_of(&self, reference: &str) -> Result<Option<String>, StoreError> {
        let rows = table::everywhere(&self.inner.store, reference).await?;
        for row in rows.into_iter().rev() {
            if let Some(session) = row.session.clone()
                && (row.state == contract::state::PENDING || Stored::read(&row)?.another_card)
            {
                return Ok(Some(session));
            }
        }
        Ok(None)
    }

    fn store(&self) -> &Store {
        &self.inner.store
    }

    fn clock(&self) -> &Clock {
        self.inner.store.clock()
    }

    /// A new id: `chg_01…`, sorted by age.
    fn new_id(&self, prefix: &str) -> String {
        format!("{prefix}_{}", self.clock().new_id().simple())
    }

    /// Waits until a lookup has been told that this reference is not known.
    async fn absent_was_told(&self, account: &str, reference: &str) {
        let key = (account.to_owned(), reference.to_owned());
        let told = self.slow().entry(key.clone()).or_default().clone();
        // Whether told or not, the call goes on now.
        let _ = tokio::time::timeout(self.clock().wait(SLOW_MAX), told.notified()).await;
        self.slow().remove(&key);
    }

    fn tell_absent(&self, account: &str, reference: &str) {
        if let Some(told) = self.slow().get(&(account.to_owned(), reference.to_owned())) {
            told.notify_one();
        }
    }

    fn slow(&self) -> std::sync::MutexGuard<'_, HashMap<(String, String), Arc<Notify>>> {
        self.inner.slow.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signers(&self) -> std::sync::MutexGuard<'_, HashMap<String, Uuid>> {
        self.inner.signers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
