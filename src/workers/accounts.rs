//! Accounts that a PSP refuses again and again are tried out, so that callers are told of wrong credentials only where they
//! are proved wrong. Nobody waits for it: a payment is never held up by a second call to a PSP that says no.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use rialto_adapters::port::Timestamp;
use uuid::Uuid;

use crate::flow::limits::REFUSED_TRIED_AGAIN;
use crate::flow::{Engine, FlowError};

#[derive(Default)]
pub struct Accounts {
    /// Until when a connection is left alone that could not be tried out.
    later: Mutex<HashMap<Uuid, Timestamp>>,
}

impl Accounts {
    /// Tries out what is due. Never asks to be called again at once.
    pub async fn sweep(&self, engine: &Engine) -> Result<bool, FlowError> {
        let now = engine.clock.now();
        self.later.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, until| *until > now);
        for connection in engine.refused_connections().await? {
            let waits = self.later.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&connection.id);
            if waits || engine.judge_account(&connection).await? {
                continue;
            }
            let until = engine.clock.after(REFUSED_TRIED_AGAIN);
            self.later.lock().unwrap_or_else(PoisonError::into_inner).insert(connection.id, until);
        }
        Ok(false)
    }
}
