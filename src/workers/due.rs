//! What is to be sent at a time of its own is sent then: debits on their day, and money that goes back. Each in a task of
//! its own. Of several nodes that start the same one, the one whose commit wins sends it.

use super::lanes::Lanes;
use crate::flow::{Engine, FlowError};

pub struct Due {
    engine: Engine,
    lanes: Lanes,
}

impl Due {
    pub fn new(engine: Engine) -> Due {
        Due { engine, lanes: Lanes::default() }
    }

    /// Starts what is due. Never asks to be called again at once: what is running now stays due until its commit.
    pub async fn sweep(&self) -> Result<bool, FlowError> {
        for t in self.engine.store.transactions_scheduled(self.engine.clock.now()).await? {
            let Some(place) = self.lanes.enter(t.id, t.connection_id) else { continue };
            let engine = self.engine.clone();
            tokio::spawn(async move {
                if let Err(error) = engine.submit(t.tenant_id, t.id).await {
                    tracing::error!(transaction = %t.id, %error, "not sent on its day; it is tried again");
                }
                drop(place);
            });
        }
        Ok(false)
    }
}
