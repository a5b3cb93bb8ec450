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
//! - [`retention`] – rows whose time is over are deleted.
//! - `tasks` – what is under way, and who goes on with it when this node stops.

pub mod accounts;
pub mod dispatcher;
pub mod due;
pub mod expiry;
pub mod feeds;
pub mod inbox;
pub mod outbox;
pub mod reconciler;
pub mod retention;
mod tasks;

use std::future::Future;
use std::sync::Arc;

use rialto_adapters::port::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::flow::{Engine, FlowError};
use crate::metrics;
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

/// The retention worker's: rows become due by the day.
const RETENTION_TICK: Duration = Duration::from_secs(600);

/// How long attempts and look-ups under way may go on once everything else has ended. Both may be made again.
const FINISH_WITHIN: Duration = Duration::from_secs(3);
/// How long sweeps may, and the giving back of what is left.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// The workers of this node.
pub struct Workers {
    tasks: JoinSet<()>,
    outbox: Arc<outbox::Outbox>,
    reconciler: Arc<reconciler::Reconciler>,
}

/// What was under way when the workers ended, and is due at once for whoever is still there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HandedOver {
    pub deliveries: usize,
    pub look_ups: usize,
}

/// Starts the workers. Once `leaving` is true they begin nothing that another node could do as well; once `stop` is, those
/// that only finish what requests have begun end too.
pub fn spawn(
    engine: &Engine,
    poster: Arc<Poster>,
    leaving: &watch::Receiver<bool>,
    stop: &watch::Receiver<bool>,
) -> Workers {
    let mut tasks = JoinSet::new();
    let nudges = engine.nudges.clone();
    tasks.spawn(every("inbox", engine.clone(), TICK, nudges.inbox, stop.clone(), |engine| async move {
        inbox::sweep(&engine).await
    }));
    let dispatcher = Arc::new(dispatcher::Dispatcher::new(engine.clone()));
    let sweeps = dispatcher.clone();
    let dispatching = every("dispatcher", engine.clone(), TICK, nudges.dispatcher, stop.clone(), move |engine| {
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
    let sweeps = outbox.clone();
    tasks.spawn(every("outbox", engine.clone(), TICK, nudges.outbox, leaving.clone(), move |_| {
        let outbox = sweeps.clone();
        async move { outbox.sweep().await }
    }));
    let reconciler = Arc::new(reconciler::Reconciler::new(engine.clone()));
    let sweeps = reconciler.clone();
    tasks.spawn(every("reconciler", engine.clone(), TICK, nudges.reconciler, leaving.clone(), move |_| {
        let reconciler = sweeps.clone();
        async move { reconciler.sweep().await }
    }));
    let feeds = Arc::new(feeds::Feeds::new(engine.clone()));
    tasks.spawn(every("feeds", engine.clone(), FEEDS_TICK, Arc::new(Notify::new()), leaving.clone(), move |_| {
        let feeds = feeds.clone();
        async move { feeds.sweep().await }
    }));
    let due = Arc::new(due::Due::new(engine.clone()));
    tasks.spawn(every("due", engine.clone(), TICK, Arc::new(Notify::new()), leaving.clone(), move |_| {
        let due = due.clone();
        async move { due.sweep().await }
    }));
    let never = Arc::new(Notify::new());
    let accounts = Arc::new(accounts::Accounts::default());
    tasks.spawn(every("accounts", engine.clone(), ACCOUNTS_TICK, never.clone(), leaving.clone(), move |engine| {
        let accounts = accounts.clone();
        async move { accounts.sweep(&engine).await }
    }));
    tasks.spawn(every("expiry", engine.clone(), EXPIRY_TICK, never.clone(), leaving.clone(), |engine| async move {
        expiry::sweep(&engine).await
    }));
    let retention = Arc::new(retention::Retention::new(engine.clone()));
    let sweeps = retention.clone();
    let retiring = every("retention", engine.clone(), RETENTION_TICK, never, leaving.clone(), move |_| {
        let retention = sweeps.clone();
        async move { retention.sweep_gently().await }
    });
    tasks.spawn(async move {
        retiring.await;
        if let Err(error) = retention.release().await {
            tracing::debug!(%error, "the lease ends by itself");
        }
    });
    Workers { tasks, outbox, reconciler }
}

impl Workers {
    /// Waits until all have ended, and gives back what was under way.
    pub async fn stopped(mut self) -> HandedOver {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_WITHIN, all).await.is_err() {
            tracing::warn!("workers were still busy at the stop; their work is taken up at the next start");
        }
        let both =
            async { tokio::join!(self.outbox.hand_over(FINISH_WITHIN), self.reconciler.hand_over(FINISH_WITHIN)) };
        let Ok((deliveries, look_ups)) = tokio::time::timeout(FINISH_WITHIN + STOP_WITHIN, both).await else {
            tracing::warn!("the database does not answer; what was under way is due again when its time is over");
            return HandedOver::default();
        };
        let counted = |what: Result<usize, FlowError>| {
            what.unwrap_or_else(|error| {
                tracing::warn!(%error, "not given back; it is due again when its time is over");
                0
            })
        };
        HandedOver { deliveries: counted(deliveries), look_ups: counted(look_ups) }
    }
}

/// Sweeps again and again until told to stop. A sweep answers whether it left work behind that is due already.
async fn every<F, S>(
    name: &'static str,
    engine: Engine,
    tick: Duration,
    nudge: Arc<Notify>,
    mut stop: watch::Receiver<bool>,
    sweep: S,
) where
    F: Future<Output = Result<bool, FlowError>> + Send,
    S: Fn(Engine) -> F,
{
    while !*stop.borrow() {
        let more = match sweep(engine.clone()).await {
            Ok(more) => {
                metrics::SWEEPS.add([name, if more { "busy" } else { "idle" }]);
                more
            }
            Err(error) => {
                metrics::SWEEPS.add([name, "failed"]);
                tracing::error!(worker = name, %error, "a worker's sweep failed; it is tried again");
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
