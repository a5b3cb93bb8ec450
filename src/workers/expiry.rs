//! Intents past their time are ended, after asking the PSP.

use crate::flow::{Engine, FlowError};

/// Ends what is due. True if there may be more.
pub async fn sweep(engine: &Engine) -> Result<bool, FlowError> {
    for (tenant, intent) in engine.store.intents_expired(engine.clock.now()).await? {
        if let Err(error) = engine.expire(tenant, intent).await {
            tracing::error!(%tenant, %intent, %error, "not expired; it is tried again");
        }
    }
    Ok(false)
}
