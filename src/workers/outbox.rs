//! Deliveries are attempted. Each endpoint has a lane of its own, so that a slow or dead one delays only itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rialto_adapters::port::{Duration, Fault, Timestamp};
use uuid::Uuid;

use crate::core::schedule;
use crate::flow::{Engine, FlowError};
use crate::profiles::{Profile, billwerk};
use crate::store::Unit;
use crate::store::deliveries::{self, Attempt, Delivery};
use crate::wire::{PostAnswer, Poster};

/// A receiver answers within this, or the attempt has failed.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A delivery that was taken and not finished is taken again after this.
const HELD_FOR: Duration = Duration::from_secs(30);

/// Attempts under way at once: to one endpoint, and in all.
const LANE_WIDTH: usize = 8;
const ALL_LANES: usize = 128;

pub struct Outbox {
    engine: Engine,
    poster: Arc<Poster>,
    /// Attempts under way by endpoint.
    lanes: Arc<Mutex<HashMap<Uuid, usize>>>,
}

/// A place in a lane; given back when dropped, whatever became of the attempt.
struct Place {
    lanes: Arc<Mutex<HashMap<Uuid, usize>>>,
    endpoint: Uuid,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(busy) = lanes.get_mut(&self.endpoint) {
            *busy -= 1;
            if *busy == 0 {
                lanes.remove(&self.endpoint);
            }
        }
    }
}

impl Outbox {
    pub fn new(engine: Engine, poster: Arc<Poster>) -> Outbox {
        Outbox { engine, poster, lanes: Arc::default() }
    }

    /// Starts the attempts that are due. True if there may be more.
    pub async fn sweep(&self) -> Result<bool, FlowError> {
        let busy = self.busy();
        let due = self.engine.store.deliveries_due(self.engine.clock.now(), &busy).await?;
        let mut started = false;
        for delivery in due {
            let Some(place) = self.place(delivery.endpoint_id) else { continue };
            let mut unit = Unit::new("take_delivery");
            deliveries::take(&mut unit, &delivery, self.engine.clock.now().plus(HELD_FOR));
            if self.engine.store.run(unit).await?.is_err() {
                continue;
            }
            started = true;
            let (engine, poster) = (self.engine.clone(), self.poster.clone());
            tokio::spawn(async move {
                if let Err(error) = attempt(&engine, &poster, &delivery).await {
                    tracing::error!(delivery = %delivery.id, %error, "attempt not recorded; it is made again");
                }
                drop(place);
                // What waited for this place need not wait for the timer.
                engine.nudges.outbox.notify_one();
            });
        }
        Ok(started)
    }

    fn busy(&self) -> Vec<Uuid> {
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.iter().filter(|(_, busy)| **busy >= LANE_WIDTH).map(|(endpoint, _)| *endpoint).collect()
    }

    fn place(&self, endpoint: Uuid) -> Option<Place> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if lanes.values().sum::<usize>() >= ALL_LANES || lanes.get(&endpoint).is_some_and(|busy| *busy >= LANE_WIDTH) {
            return None;
        }
        *lanes.entry(endpoint).or_default() += 1;
        Some(Place { lanes: self.lanes.clone(), endpoint })
    }
}

/// One call of the receiver, and what it means for the delivery.
async fn attempt(engine: &Engine, poster: &Poster, delivery: &Delivery) -> Result<(), FlowError> {
    let started_at = engine.clock.now();
    let answer = poster.post(&delivery.url, &billwerk::headers(), delivery.body.clone(), ANSWER_WITHIN).await;
    let now = engine.clock.now();
    let took_ms = now.0.saturating_sub(started_at.0);
    let mut unit = Unit::new("attempt");
    let accepted = matches!(&answer, Ok(answer) if (200..300).contains(&answer.status));
    let next_at = next_at(engine, delivery, &answer, now);
    if accepted {
        deliveries::delivered(&mut unit, delivery, now);
    } else {
        deliveries::failed(&mut unit, delivery, next_at, now);
    }
    let (status, fault, head) = match answer {
        Ok(answer) => (Some(answer.status), None, Some(answer.head)),
        Err(fault) => (None, Some(fault.to_string()), None),
    };
    tracing::info!(tenant = %delivery.tenant_id, delivery = %delivery.id, number = delivery.attempts + 1, status, fault, took_ms, accepted, "delivery attempted");
    deliveries::add_attempt(
        &mut unit,
        delivery,
        Attempt {
            id: engine.clock.new_id(),
            number: delivery.attempts + 1,
            version: delivery.wanted,
            status,
            fault,
            answer: head,
            started_at,
            took_ms,
        },
    );
    engine.store.run(unit).await?.map_err(|refusal| FlowError::Broken(format!("attempt refused: {refusal:?}")))
}

/// When to try again; `None` gives up.
fn next_at(
    engine: &Engine,
    delivery: &Delivery,
    answer: &Result<PostAnswer, Fault>,
    now: Timestamp,
) -> Option<Timestamp> {
    // The receiver says it is gone for good.
    if matches!(answer, Ok(answer) if answer.status == 410) {
        return None;
    }
    let passed = u32::try_from(delivery.attempts).unwrap_or(u32::MAX);
    let wait = Profile::Billwerk.schedule().next(passed, schedule::jitter(delivery.id.as_bytes()))?;
    let asked = answer.as_ref().ok().and_then(|answer| answer.retry_after).unwrap_or_default();
    let at = now.plus(engine.clock.wait(wait).max(asked));
    (at < delivery.give_up_at).then_some(at)
}
