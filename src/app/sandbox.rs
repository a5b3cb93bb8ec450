//! The sandbox PSP in this process: calls go to it through the wire, its notices come in through the hooks.

use std::sync::{Arc, OnceLock, Weak};

use async_trait::async_trait;
use rialto_adapters::port::RawNotice;
use uuid::Uuid;

use crate::flow::Engine;
use crate::hooks;
use crate::psp::sandbox::NoticeSink;

/// Nobody is there.
const NO_ANSWER: u16 = 0;

/// Hands notices to our own hooks, as a POST to the hook's address would, without depending on how the server is reached
/// from outside.
#[derive(Default)]
pub struct OwnHooks {
    /// Weak, since the verbs hold the wire, the wire the PSP, and the PSP this.
    engine: OnceLock<Weak<Engine>>,
}

impl OwnHooks {
    /// Until then nobody takes notices; the PSP tries again.
    pub fn open(&self, engine: &Arc<Engine>) {
        // Opened once, when the server starts.
        let _ = self.engine.set(Arc::downgrade(engine));
    }
}

#[async_trait]
impl NoticeSink for OwnHooks {
    async fn deliver(&self, hook_url: &str, headers: Vec<(String, String)>, body: Vec<u8>) -> u16 {
        let Some(engine) = self.engine.get().and_then(Weak::upgrade) else { return NO_ANSWER };
        let connection = hook_url.rsplit_once("/hooks/").and_then(|(_, id)| Uuid::parse_str(id).ok());
        let Some(connection) = connection else { return NO_ANSWER };
        hooks::receive(&engine, connection, RawNotice { path: String::new(), headers, body }).await.status()
    }
}
