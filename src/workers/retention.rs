//! Rows whose time is over are deleted, by the one table of policies in the store: a page at a time, with pauses, by one
//! node at a time.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};

use rialto_adapters::port::{Duration, Timestamp};
use uuid::Uuid;

use crate::flow::{Engine, FlowError};
use crate::metrics;
use crate::store::retention::{Cursor, Keep, POLICIES};

/// One node deletes; another takes over when this one has been silent so long. A sweep is far shorter.
const LEASE: &str = "retention";
const LEASE_FOR: Duration = Duration::from_secs(120);

/// Between two pages of every table: payments come first.
const PAUSE: Duration = Duration::from_millis(100);

/// From the end of a pass through the tables to the next. Rows become due by the day.
const PASS_EVERY: Duration = Duration::from_hours(6);

pub struct Retention {
    engine: Engine,
    node: Uuid,
    /// A start has better things to do.
    started: AtomicBool,
    pass: Mutex<Pass>,
}

/// How far this node has come.
struct Pass {
    /// By policy; `None` once its table is done.
    at: Vec<Option<Place>>,
    rest_until: Timestamp,
}

#[derive(Clone)]
enum Place {
    Start,
    After(Cursor),
}

impl Retention {
    pub fn new(engine: Engine) -> Retention {
        let node = engine.clock.new_id();
        let pass = Mutex::new(Pass { at: vec![Some(Place::Start); POLICIES.len()], rest_until: Timestamp(0) });
        Retention { engine, node, started: AtomicBool::new(false), pass }
    }

    /// For the worker: as [`Retention::sweep`], but not at the very start, and with a pause behind each page.
    pub async fn sweep_gently(&self) -> Result<bool, FlowError> {
        if !self.started.swap(true, Ordering::Relaxed) {
            return Ok(false);
        }
        let more = self.sweep().await?;
        if more {
            self.engine.clock.sleep(PAUSE).await;
        }
        Ok(more)
    }

    /// Deletes what is over in the next page of every table. True if the pass is not at its end.
    pub async fn sweep(&self) -> Result<bool, FlowError> {
        let (places, rest_until) = {
            let pass = self.pass();
            (pass.at.clone(), pass.rest_until)
        };
        if self.engine.clock.now() < rest_until || !self.engine.store.acquire(LEASE, self.node, LEASE_FOR).await? {
            return Ok(false);
        }
        let mut more = false;
        for (at, (policy, place)) in POLICIES.iter().zip(places).enumerate() {
            let (Some(place), Keep::Days { .. }) = (place, &policy.keep) else { continue };
            let from = match place {
                Place::Start => None,
                Place::After(cursor) => Some(cursor),
            };
            let page = self.engine.store.retire(policy, from).await?;
            if page.deleted > 0 {
                metrics::RETIRED.add_many([policy.table], page.deleted);
                tracing::info!(table = policy.table, what = policy.what, rows = page.deleted, "deleted by age");
            }
            more |= page.next.is_some();
            self.pass().at[at] = page.next.map(Place::After);
        }
        if !more {
            let mut pass = self.pass();
            pass.at.fill(Some(Place::Start));
            pass.rest_until = self.engine.clock.after(PASS_EVERY);
        }
        Ok(more)
    }

    /// Lets another node go on at once.
    pub async fn release(&self) -> Result<(), FlowError> {
        Ok(self.engine.store.release(LEASE, self.node).await?)
    }

    fn pass(&self) -> std::sync::MutexGuard<'_, Pass> {
        self.pass.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
