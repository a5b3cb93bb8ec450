//! What goes on without a caller. Workers take no input: woken by a timer or a nudge they read what is due and act
//! idempotently, so one killed at any point is taken over by the next sweep, of this node or another. A lease saves work;
//! correctness does not need it.
//!
//! - [`inbox`] – notices are read and applied.
//! - [`dispatcher`] – events get their position, and deliveries are derived from them.
//! - [`outbox`] – deliveries are attempted.
//! - [`reconciler`] – transactions in doubt are looked up.
//! - [`due`] – what has a time of its own is sent then.
//! - [`feeds`] – what PSPs list by themselves is read.
//! - [`expiry`] – intents past their time are ended.
//! - [`accounts`] – accounts that a PSP refuses are tried out.
//! - `lanes` – what they do at once.

pub mod accounts;
pub mod dispatcher;
pub mod due;
pub mod expiry;
pub mod feeds;
pub mod inbox;
mod lanes;
pub mod outbox;
pub mod reconciler;

use std::future::Future;
use std::sync::Arc;

use rialto_adapters::port::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::flow::{Engine, FlowError};
use crate::wire::Poster;

/// A worker looks at least this often, nudged or not: what another node has stored, and what has become due.
const TICK: Duration = Duration::from_millis(500);

/// How long the dispatcher waits for more to dispatch.
const GATHER: Duration = Duration::from_millis(10);

/// The expiry worker's: nobody waits for it to the second.
const EXPIRY_TICK: Duration = Duration::from_secs(5);

/// The feeds worker's. A feed with several parts reads one of them each time.
const FEEDS_TICK: Duration = Duration::from_secs(60);
/// The same for an account that has been refused for half an hour.
const ACCOUNTS_TICK: Duration = Duration::from_secs(10);

/// How long running work may go on after a stop was asked for.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// The workers of this node.
pub struct Workers {
    tasks: JoinSet<()>,
}

/// Starts the workers; they end soon after `stop` becomes true.
pub fn spawn(engine: &Engine, poster: Arc<Poster>, stop: &watch::Receiver<bool>) -> Workers {
    let mut tasks = JoinSet::new();
    let nudges = engine.nudges.clone();
    tasks.spawn(every(engine.clone(), TICK, nudges.inbox, stop.clone(), |engine| async move {
        inbox::sweep(&engine).await
    }));
    let dispatcher = Arc::new(dispatcher::Dispatcher::new(engine.clone()));
    let sweeps = dispatcher.clone();
    let dispatching = every(engine.clone(), TICK, nudges.dispatcher, stop.clone(), move |engine| {
        let dispatcher = sweeps.clone();
        async move {
            // What happens together is told together, and not in the way of the payment it happens to.
            engine.clock.sleep(GATHER).await;
            dispatcher.sweep().await
        }
    });
    tasks.spawn(async move {
        dispatching.await;
        if let Err(error) = dispatcher.release().await {
            tracing::debug!(%error, "the lease ends by itself");
        }
    });
    let outbox = Arc::new(outbox::Outbox::new(engine.clone(), poster));
    tasks.spawn(every(engine.clone(), TICK, nudges.outbox, stop.clone(), move |_| {
        let outbox = outbox.clone();
        async move { outbox.sweep().await }
    }));
    let reconciler = Arc::new(reconciler::Reconciler::new(engine.clone()));
    tasks.spawn(every(engine.clone(), TICK, nudges.reconciler, stop.clone(), move |_| {
        let reconciler = reconciler.clone();
        async move { reconciler.sweep().await }
    }));
    let feeds = Arc::new(feeds::Feeds::new(engine.clone()));
    tasks.spawn(every(engine.clone(), FEEDS_TICK, Arc::new(Notify::new()), stop.clone(), move |_| {
        let feeds = feeds.clone();
        async move { feeds.sweep().await }
    }));
    let due = Arc::new(due::Due::new(engine.clone()));
    tasks.spawn(every(engine.clone(), TICK, Arc::new(Notify::new()), stop.clone(), move |_| {
        let due = due.clone();
        async move { due.sweep().await }
    }));
    let never = Arc::new(Notify::new());
    let accounts = Arc::new(accounts::Accounts::default());
    tasks.spawn(every(engine.clone(), ACCOUNTS_TICK, never.clone(), stop.clone(), move |engine| {
        let accounts = accounts.clone();
        async move { accounts.sweep(&engine).await }
    }));
    tasks.spawn(every(engine.clone(), EXPIRY_TICK, never, stop.clone(), |engine| async move {
        expiry::sweep(&engine).await
    }));
    Workers { tasks }
}

impl Workers {
    /// Waits until all have ended; those that do not are left to the next start.
    pub async fn stopped(mut self) {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_WITHIN, all).await.is_err() {
            tracing::warn!("workers were still busy at the stop; their work is taken up at the next start");
        }
    }
}

/// Sweeps again and again until told to stop. A sweep answers whether it left work behind that is due already.
async fn every<F, S>(engine: Engine, tick: Duration, nudge: Arc<Notify>, mut stop: watch::Receiver<bool>, sweep: S)
where
    F: Future<Output = Result<bool, FlowError>> + Send,
    S: Fn(Engine) -> F,
{
    while !*stop.borrow() {
        let more = match sweep(engine.clone()).await {
            Ok(more) => more,
            Err(error) => {
                tracing::error!(%error, "a worker's sweep failed; it is tried again");
                false
            }
        };
        if more {
            continue;
        }
        tokio::select! {
            () = engine.clock.sleep(tick) => {}
            () = nudge.notified() => {}
            _ = stop.changed() => {}
        }
    }
}
