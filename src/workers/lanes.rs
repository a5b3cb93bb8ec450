//! What workers do at once: each transaction once, and through one connection only so many, so that a PSP that hangs
//! delays only its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use uuid::Uuid;

/// Calls under way at once: through one connection, and in all.
const LANE_WIDTH: usize = 16;
const ALL_LANES: usize = 128;

/// Cheap to clone.
#[derive(Clone, Default)]
pub struct Lanes {
    /// The connection of each transaction that is being looked after.
    running: Arc<Mutex<HashMap<Uuid, Uuid>>>,
}

/// A place in a lane; free again when dropped.
pub struct Place {
    lanes: Lanes,
    transaction: Uuid,
}

impl Lanes {
    /// `None` while this transaction is looked after already, or its lane is full.
    pub fn enter(&self, transaction: Uuid, connection: Uuid) -> Option<Place> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let lane = running.values().filter(|busy| **busy == connection).count();
        if running.contains_key(&transaction) || lane >= LANE_WIDTH || running.len() >= ALL_LANES {
            return None;
        }
        running.insert(transaction, connection);
        Some(Place { lanes: self.clone(), transaction })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.lanes.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.transaction);
    }
}
