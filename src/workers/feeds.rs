//! What PSPs list by themselves – events that never reached us, money that came late or went back – is read every few
//! minutes, each connection's in a task of its own: a PSP that hangs delays only its own.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use rialto_adapters::port::Duration;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::flow::inquire::FeedRead;
use crate::flow::{Engine, FlowError};
use crate::store::tenants::Connection;

/// One node reads the feeds for so long at a time. Two at once would ask twice, and learn nothing twice.
const LEASE: &str = "feeds";
const LEASE_FOR: Duration = Duration::from_secs(120);

/// Feeds read at once.
const FEEDS_AT_ONCE: usize = 16;

/// Pages of one feed read in a sweep; the next sweep goes on.
const PAGES_MAX: usize = 20;

pub struct Feeds {
    engine: Engine,
    holder: Uuid,
    /// Adapters that have said that they have no feed: their connections cost nothing.
    without: Arc<Mutex<HashSet<String>>>,
}

impl Feeds {
    pub fn new(engine: Engine) -> Feeds {
        let holder = engine.clock.new_id();
        Feeds { engine, holder, without: Arc::default() }
    }

    /// Reads every feed on. Never asks to be called again at once.
    pub async fn sweep(&self) -> Result<bool, FlowError> {
        let mut behind = None;
        let mut reading = JoinSet::new();
        loop {
            if !self.engine.store.acquire(LEASE, self.holder, LEASE_FOR).await? {
                break;
            }
            let page = self.engine.store.connections_behind(behind).await?;
            let Some(last) = page.last() else { break };
            behind = Some(last.id);
            for connection in page {
                if self.without.lock().unwrap_or_else(PoisonError::into_inner).contains(&connection.adapter) {
                    continue;
                }
                if reading.len() >= FEEDS_AT_ONCE {
                    reading.join_next().await;
                }
                reading.spawn(read(self.engine.clone(), connection, self.without.clone()));
            }
        }
        while reading.join_next().await.is_some() {}
        Ok(false)
    }
}

async fn read(engine: Engine, connection: Connection, without: Arc<Mutex<HashSet<String>>>) {
    for _ in 0..PAGES_MAX {
        match engine.read_feed(&connection).await {
            Ok(FeedRead::More) => {}
            Ok(FeedRead::Nothing) => return,
            Ok(FeedRead::Unsupported) => {
                without.lock().unwrap_or_else(PoisonError::into_inner).insert(connection.adapter);
                return;
            }
            Err(error) => {
                tracing::error!(connection = %connection.id, %error, "feed not read; it is tried again");
                return;
            }
        }
    }
}
