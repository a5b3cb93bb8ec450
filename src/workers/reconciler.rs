//! Transactions whose outcome is open or in doubt are looked up, each in a task of its own: a PSP that hangs delays only
//! its own.

use rialto_adapters::port::Duration;

use super::tasks::Tasks;
use crate::flow::{Engine, FlowError};
use crate::store::Unit;
use crate::store::transactions::{self, Transaction};

pub struct Reconciler {
    engine: Engine,
    looks: Tasks<Transaction>,
}

impl Reconciler {
    pub fn new(engine: Engine) -> Reconciler {
        Reconciler { engine, looks: Tasks::default() }
    }

    /// Starts the look-ups that are due. Never asks to be called again at once: what is running now stays due for a
    /// moment, until it has claimed its look.
    pub async fn sweep(&self) -> Result<bool, FlowError> {
        for t in self.engine.store.transactions_due(self.engine.clock.now()).await? {
            if !self.looks.has_room_for(&t) {
                continue;
            }
            let (engine, due) = (self.engine.clone(), t.clone());
            self.looks.start(t.id, t, async move {
                if let Err(error) = engine.inquire(&due).await {
                    tracing::error!(transaction = %due.id, %error, "look-up failed; it is tried again");
                }
            });
        }
        Ok(false)
    }

    /// Lets the look-ups under way end, for so long; what is left is due at once, for another node or the next start. How
    /// many those are. To ask twice does no harm.
    pub async fn hand_over(&self, within: Duration) -> Result<usize, FlowError> {
        let left = self.looks.finish(within).await;
        for t in &left {
            let mut unit = Unit::new("give_look_back");
            transactions::give_look_back(&mut unit, t, self.engine.clock.now());
            // An update that may find nothing is never refused.
            let _ = self.engine.store.run(unit).await?;
        }
        Ok(left.len())
    }
}
