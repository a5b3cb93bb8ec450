//! What is to be sent at a time of its own is sent then: debits on their day, and money that goes back. Each in a task of
//! its own. Of several nodes that start the same one, the one whose commit wins sends it.

use super::tasks::Tasks;
use crate::flow::{Engine, FlowError};
use crate::store::transactions::Transaction;

pub struct Due {
    engine: Engine,
    sends: Tasks<Transaction>,
}

impl Due {
    pub fn new(engine: Engine) -> Due {
        Due { engine, sends: Tasks::default() }
    }

    /// Starts what is due. Never asks to be called again at once: what is running now stays due until its commit.
    pub async fn sweep(&self) -> Result<bool, FlowError> {
        for t in self.engine.store.transactions_scheduled(self.engine.clock.now()).await? {
            if !self.sends.has_room_for(&t) {
                continue;
            }
            let (engine, due) = (self.engine.clone(), t.clone());
            self.sends.start(t.id, t, async move {
                if let Err(error) = engine.submit(due.tenant_id, due.id).await {
                    tracing::error!(transaction = %due.id, %error, "not sent on its day; it is tried again");
                }
            });
        }
        Ok(false)
    }
}
