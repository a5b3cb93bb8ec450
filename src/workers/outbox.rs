//! Deliveries are attempted. Each endpoint has a lane of its own, so that a slow or dead one delays only itself.

use std::collections::HashMap;
use std::sync::Arc;

use rialto_adapters::port::{Duration, Fault, Timestamp};
use tokio::time::Instant;
use tracing::{Instrument as _, Span};
use uuid::Uuid;

use super::tasks::Tasks;
use crate::core::schedule;
use crate::flow::{Engine, FlowError};
use crate::metrics;
use crate::profiles::{Profile, billwerk};
use crate::store::Unit;
use crate::store::deliveries::{self, Attempt, Delivery};
use crate::telemetry;
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
    attempts: Tasks<Attempting>,
}

/// An attempt under way.
struct Attempting {
    delivery: Delivery,
    held_until: Timestamp,
}

impl Outbox {
    pub fn new(engine: Engine, poster: Arc<Poster>) -> Outbox {
        Outbox { engine, poster, attempts: Tasks::default() }
    }

    /// Starts the attempts that are due. True if there may be more.
    pub async fn sweep(&self) -> Result<bool, FlowError> {
        let engine = &self.engine;
        let due = engine.store.deliveries_due(engine.clock.now(), &self.busy()).await?;
        let mut started = false;
        for delivery in due {
            if !self.has_room(&delivery) {
                continue;
            }
            let mut unit = Unit::new("take_delivery");
            let held_until = engine.clock.now().plus(HELD_FOR);
            deliveries::take(&mut unit, &delivery, held_until);
            if engine.store.run(unit).await?.is_err() {
                continue;
            }
            started = true;
            let (engine, poster, taken) = (engine.clone(), self.poster.clone(), delivery.clone());
            let span = tracing::error_span!(
                "delivery",
                trace = delivery.trace.as_deref(),
                intent = delivery.intent_id.map(tracing::field::display),
                outcome = tracing::field::Empty,
                error = tracing::field::Empty,
            );
            let work = async move {
                if let Err(error) = attempt(&engine, &poster, &taken).await {
                    tracing::error!(delivery = %taken.id, %error, "attempt not recorded; it is made again");
                }
                // What waited for this place need not wait for the timer.
                engine.nudges.outbox.notify_one();
            };
            self.attempts.start(delivery.id, Attempting { delivery, held_until }, work.instrument(span));
        }
        Ok(started)
    }

    /// Lets the attempts under way end, for so long; what is left is due at once, for another node or the next start. How
    /// many those are. A receiver may hear of one twice, as after every attempt whose answer was lost.
    pub async fn hand_over(&self, within: Duration) -> Result<usize, FlowError> {
        let left = self.attempts.finish(within).await;
        for Attempting { delivery, held_until } in &left {
            let mut unit = Unit::new("give_delivery_back");
            deliveries::give_back(&mut unit, delivery, *held_until, self.engine.clock.now());
            // An update that may find nothing is never refused.
            let _ = self.engine.store.run(unit).await?;
        }
        Ok(left.len())
    }

    /// Endpoints that can take no more.
    fn busy(&self) -> Vec<Uuid> {
        let mut lanes: HashMap<Uuid, usize> = HashMap::new();
        self.attempts.each(|attempting| *lanes.entry(attempting.delivery.endpoint_id).or_default() += 1);
        lanes.into_iter().filter(|(_, busy)| *busy >= LANE_WIDTH).map(|(endpoint, _)| endpoint).collect()
    }

    fn has_room(&self, delivery: &Delivery) -> bool {
        let (all, lane) = self.attempts.count(|other| other.delivery.endpoint_id == delivery.endpoint_id);
        all < ALL_LANES && lane < LANE_WIDTH && !self.attempts.contains(delivery.id)
    }
}

/// One call of the receiver, and what it means for the delivery.
async fn attempt(engine: &Engine, poster: &Poster, delivery: &Delivery) -> Result<(), FlowError> {
    let (started_at, started) = (engine.clock.now(), Instant::now());
    let mut headers = billwerk::headers();
    headers.extend(telemetry::traceparent().map(|value| ("traceparent".to_owned(), value)));
    let answer = poster.post(&delivery.url, &headers, delivery.body.clone(), ANSWER_WITHIN).await;
    let now = engine.clock.now();
    let took_ms = now.0.saturating_sub(started_at.0);
    let mut unit = Unit::new("attempt");
    let accepted = matches!(&answer, Ok(answer) if (200..300).contains(&answer.status));
    let next_at = next_at(engine, delivery, &answer, now);
    let outcome = match &answer {
        _ if accepted => "accepted",
        _ if next_at.is_none() => "given_up",
        Ok(_) => "refused",
        Err(_) => "failed",
    };
    metrics::DELIVERIES.took([Profile::Billwerk.as_str(), outcome], started.elapsed());
    Span::current().record("outcome", outcome);
    if !accepted {
        Span::current().record("error", outcome);
    }
    if accepted {
        deliveries::delivered(&mut unit, delivery, now);
    } else {
        deliveries::failed(&mut unit, delivery, next_at, now);
    }
    let (status, fault, head) = match answer {
        Ok(answer) => (Some(answer.status), None, Some(answer.head)),
        Err(fault) => (None, Some(fault.to_string()), None),
    };
    tracing::info!(tenant = %delivery.tenant_id, delivery = %delivery.id, number = delivery.attempts + 1, status, fault, took_ms, outcome, "delivery attempted");
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
