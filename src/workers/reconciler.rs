//! Transactions whose outcome is open or in doubt are looked up, each in a task of its own: a PSP that hangs delays only
//! its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use uuid::Uuid;

use crate::flow::{Engine, FlowError};

/// Look-ups under way at once: through one connection, and in all.
const LANE_WIDTH: usize = 16;
const ALL_LANES: usize = 128;

pub struct Reconciler {
    engine: Engine,
    /// The connection of each transaction that is being looked at.
    running: Arc<Mutex<HashMap<Uuid, Uuid>>>,
}

impl Reconciler {
    pub fn new(engine: Engine) -> Reconciler {
        Reconciler { engine, running: Arc::default() }
    }

    /// Starts the look-ups that are due. Never asks to be called again at once: what is running now stays due for a
    /// moment, until it has claimed its look.
    pub async fn sweep(&self) -> Result<bool, FlowError> {
        for t in self.engine.store.transactions_due(self.engine.clock.now()).await? {
            if !self.start(t.id, t.connection_id) {
                continue;
            }
            let (engine, running) = (self.engine.clone(), self.running.clone());
            tokio::spawn(async move {
                let done = Running { running, transaction: t.id };
                if let Err(error) = engine.inquire(&t).await {
                    tracing::error!(transaction = %t.id, %error, "look-up failed; it is tried again");
                }
                drop(done);
            });
        }
        Ok(false)
    }

    fn start(&self, transaction: Uuid, connection: Uuid) -> bool {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let lane = running.values().filter(|busy| **busy == connection).count();
        if running.contains_key(&transaction) || lane >= LANE_WIDTH || running.len() >= ALL_LANES {
            return false;
        }
        running.insert(transaction, connection);
        true
    }
}

struct Running {
    running: Arc<Mutex<HashMap<Uuid, Uuid>>>,
    transaction: Uuid,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.transaction);
    }
}
