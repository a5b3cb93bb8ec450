//! Tasks under way, each with what another node must know to go on with it, should this one stop.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rialto_adapters::port::Duration;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use uuid::Uuid;

use crate::store::transactions::Transaction;

/// Cheap to clone.
pub struct Tasks<T> {
    inner: Arc<Inner<T>>,
}

struct Inner<T> {
    running: Mutex<HashMap<Uuid, (T, AbortHandle)>>,
    ended: Notify,
}

impl<T> Clone for Tasks<T> {
    fn clone(&self) -> Tasks<T> {
        Tasks { inner: self.inner.clone() }
    }
}

impl<T> Default for Tasks<T> {
    fn default() -> Tasks<T> {
        Tasks { inner: Arc::new(Inner { running: Mutex::default(), ended: Notify::new() }) }
    }
}

/// Takes a task off the list, however it ended.
struct Entry<T> {
    tasks: Tasks<T>,
    id: Uuid,
}

impl<T> Drop for Entry<T> {
    fn drop(&mut self) {
        self.tasks.running().remove(&self.id);
        self.tasks.inner.ended.notify_waiters();
    }
}

impl<T> Tasks<T> {
    fn running(&self) -> MutexGuard<'_, HashMap<Uuid, (T, AbortHandle)>> {
        self.inner.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn contains(&self, id: Uuid) -> bool {
        self.running().contains_key(&id)
    }

    pub fn each(&self, mut look: impl FnMut(&T)) {
        self.running().values().for_each(|(about, _)| look(about));
    }

    /// How many there are, and how many of them are `such`.
    pub fn count(&self, such: impl Fn(&T) -> bool) -> (usize, usize) {
        let running = self.running();
        (running.len(), running.values().filter(|(about, _)| such(about)).count())
    }
}

/// Calls to PSPs under way at once: through one connection, so that a PSP that hangs delays only its own, and in all.
const LANE_WIDTH: usize = 16;
const ALL_LANES: usize = 128;

impl Tasks<Transaction> {
    /// Whether a task about it may be started: there is none yet, and its connection's lane is not full.
    pub fn has_room_for(&self, t: &Transaction) -> bool {
        let (all, lane) = self.count(|other| other.connection_id == t.connection_id);
        !self.contains(t.id) && lane < LANE_WIDTH && all < ALL_LANES
    }
}

impl<T: Send + 'static> Tasks<T> {
    /// Starts a task about `id`, of which there must be none.
    pub fn start(&self, id: Uuid, about: T, work: impl Future<Output = ()> + Send + 'static) {
        // Locked until the task is on the list, so that it cannot take itself off before.
        let mut running = self.running();
        let entry = Entry { tasks: self.clone(), id };
        let task = tokio::spawn(async move {
            work.await;
            drop(entry);
        });
        running.insert(id, (about, task.abort_handle()));
    }

    /// Waits until all have ended, or for so long; breaks off the rest and answers what they were about.
    pub async fn finish(&self, within: Duration) -> Vec<T> {
        let all = async {
            loop {
                let ended = self.inner.ended.notified();
                if self.running().is_empty() {
                    return;
                }
                ended.await;
            }
        };
        // Late is as good as ended: what is left is broken off.
        let _ = tokio::time::timeout(within, all).await;
        let left: Vec<(T, AbortHandle)> = self.running().drain().map(|(_, task)| task).collect();
        left.into_iter()
            .map(|(about, task)| {
                task.abort();
                about
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_does_not_end_is_broken_off_and_named() {
        let tasks = Tasks::default();
        let (short, long) = (Uuid::from_u128(1), Uuid::from_u128(2));
        tasks.start(short, "short", tokio::task::yield_now());
        let (held, mut broken) = tokio::sync::oneshot::channel::<()>();
        tasks.start(long, "long", async move {
            std::future::pending::<()>().await;
            drop(held);
        });
        assert!(tasks.contains(long));
        assert_eq!(tasks.count(|about| *about == "long").1, 1);
        assert_eq!(tasks.finish(Duration::from_millis(50)).await, ["long"]);
        assert_eq!(tasks.count(|_| true), (0, 0));
        (&mut broken).await.expect_err("it is broken off");
        assert!(tasks.finish(Duration::from_secs(60)).await.is_empty(), "at once");
    }
}
