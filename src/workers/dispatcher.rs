//! Events get their position after they are committed, and deliveries are derived from them in the same unit: exactly
//! once, because an event gets a position once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};

use rialto_adapters::port::Duration;
use uuid::Uuid;

use crate::core::event::{EventType, WebhookType};
use crate::flow::{Engine, FlowError};
use crate::profiles::{Profile, billwerk};
use crate::store::Unit;
use crate::store::deliveries::{self, Delivery, DeliveryState, Endpoint};
use crate::store::events::{self, Event};
use crate::store::forms::Spelling;

/// One node dispatches; another takes over when this one has been silent so long.
const LEASE: &str = "dispatcher";
const LEASE_FOR: Duration = Duration::from_secs(15);

/// A renewal is a write: the lease is renewed only once less than this is left of it.
const LEASE_LEFT: Duration = Duration::from_secs(5);

pub struct Dispatcher {
    engine: Engine,
    node: Uuid,
    /// Until when this node has the lease, in milliseconds; 0 while it has not.
    held_until: AtomicI64,
}

/// Endpoints that the unit being built opens.
type Opened = HashMap<(Uuid, String), Uuid>;

/// How the holders of keys want their notices, as far as the unit being built has asked.
type Spellings = HashMap<Uuid, Spelling>;

impl Dispatcher {
    pub fn new(engine: Engine) -> Dispatcher {
        let node = engine.clock.new_id();
        Dispatcher { engine, node, held_until: AtomicI64::new(0) }
    }

    /// Dispatches what is new, in one unit. True if there may be more.
    pub async fn sweep(&self) -> Result<bool, FlowError> {
        let engine = &self.engine;
        let new = engine.store.events_undispatched().await?;
        if new.is_empty() || !self.leads().await? {
            return Ok(false);
        }
        let mut position = engine.store.events_last_position().await?;
        let (mut unit, mut opened, mut spellings) = (Unit::new("dispatch"), Opened::new(), Spellings::new());
        for event in &new {
            position += 1;
            events::give_position(&mut unit, event.id, position);
            derive(engine, &mut unit, (&mut opened, &mut spellings), event).await?;
        }
        // Refused: another node has dispatched some of them, or has opened an endpoint. See what is stored now.
        if let Err(refusal) = engine.store.run(unit).await? {
            tracing::debug!(?refusal, "dispatched elsewhere");
        }
        engine.nudges.outbox.notify_one();
        Ok(true)
    }

    async fn leads(&self) -> Result<bool, FlowError> {
        let clock = &self.engine.clock;
        if clock.after(LEASE_LEFT).0 < self.held_until.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let until = clock.after(LEASE_FOR);
        let leads = self.engine.store.acquire(LEASE, self.node, LEASE_FOR).await?;
        self.held_until.store(if leads { until.0 } else { 0 }, Ordering::Relaxed);
        Ok(leads)
    }

    /// Lets another node go on at once.
    pub async fn release(&self) -> Result<(), FlowError> {
        Ok(self.engine.store.release(LEASE, self.node).await?)
    }
}

/// The deliveries of an event.
async fn derive(
    engine: &Engine,
    unit: &mut Unit,
    (opened, spellings): (&mut Opened, &mut Spellings),
    event: &Event,
) -> Result<(), FlowError> {
    if event.event_type == EventType::Created {
        // Nobody is told what he has just asked for.
        return Ok(());
    }
    let Some(intent) = engine.store.intent(event.tenant_id, event.intent_id).await? else { return Ok(()) };
    let (Some(url), Some(webhook_type)) = (&intent.notify_url, event.event_type.webhook_type(intent.kind)) else {
        return Ok(());
    };
    let agreement = match intent.agreement_id {
        Some(id) if webhook_type == WebhookType::Agreement => {
            engine.store.agreement_by_id(intent.tenant_id, id).await?
        }
        Some(_) | None => None,
    };
    let spelling = spelling_for(engine, spellings, intent.tenant_id, intent.key_id).await?;
    let profile = Profile::Billwerk;
    let now = engine.clock.now();
    let endpoint_id = endpoint_for(engine, unit, opened, event.tenant_id, url).await?;
    let give_up_after = profile.schedule().total.unwrap_or_default();
    deliveries::want(
        unit,
        &Delivery {
            id: engine.clock.new_id(),
            tenant_id: event.tenant_id,
            endpoint_id,
            event_id: event.id,
            // Thin notices of one intent are told together; another type is another notice.
            subject: format!("{}:{}", intent.id, webhook_type.number()),
            url: url.clone(),
            body: billwerk::body(
                &intent.caller_key,
                agreement.as_ref().map(|agreement| agreement.caller_id.as_str()),
                webhook_type,
                spelling,
            ),
            wanted: 1,
            sent: 0,
            state: DeliveryState::Due,
            attempts: 0,
            next_at: Some(now),
            give_up_at: now.plus(engine.clock.wait(give_up_after)),
            created_at: now,
            trace: intent.trace.clone(),
            intent_id: Some(intent.id),
        },
    );
    Ok(())
}

async fn spelling_for(engine: &Engine, known: &mut Spellings, tenant: Uuid, key: Uuid) -> Result<Spelling, FlowError> {
    if let Some(spelling) = known.get(&key) {
        return Ok(*spelling);
    }
    let spelling = engine.store.key_style(tenant, key).await?.notices.unwrap_or(billwerk::USUAL);
    known.insert(key, spelling);
    Ok(spelling)
}

/// An address that a caller named makes an endpoint by itself, one per origin.
async fn endpoint_for(
    engine: &Engine,
    unit: &mut Unit,
    opened: &mut Opened,
    tenant: Uuid,
    url: &str,
) -> Result<Uuid, FlowError> {
    let origin = url::Url::parse(url).map_or_else(|_| url.to_owned(), |url| url.origin().ascii_serialization());
    let profile = Profile::Billwerk;
    if let Some(id) = opened.get(&(tenant, origin.clone())) {
        return Ok(*id);
    }
    if let Some(endpoint) = engine.store.endpoint(tenant, &origin, profile.as_str()).await? {
        return Ok(endpoint.id);
    }
    let id = engine.clock.new_id();
    opened.insert((tenant, origin.clone()), id);
    let endpoint = Endpoint { id, tenant_id: tenant, profile: profile.as_str().to_owned(), origin, url: None };
    deliveries::open_endpoint(unit, &endpoint, engine.clock.now());
    Ok(id)
}
