//! Transactions whose outcome is open or in doubt are looked up, each in a task of its own: a PSP that hangs delays only
//! its own.

use super::lanes::Lanes;
use crate::flow::{Engine, FlowError};

pub struct Reconciler {
    engine: Engine,
    lanes: Lanes,
}

impl Reconciler {
    pub fn new(engine: Engine) -> Reconciler {
        Reconciler { engine, lanes: Lanes::default() }
    }

    /// Starts the look-ups that are due. Never asks to be called again at once: what is running now stays due for a
    /// moment, until it has claimed its look.
    pub async fn sweep(&self) -> Result<bool, FlowError> {
        for t in self.engine.store.transactions_due(self.engine.clock.now()).await? {
            let Some(place) = self.lanes.enter(t.id, t.connection_id) else { continue };
            let engine = self.engine.clone();
            tokio::spawn(async move {
                if let Err(error) = engine.inquire(&t).await {
                    tracing::error!(transaction = %t.id, %error, "look-up failed; it is tried again");
                }
                drop(place);
            });
        }
        Ok(false)
    }
}
