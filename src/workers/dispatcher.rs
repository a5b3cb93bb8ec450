//! Events get their position after they are committed, and deliveries are derived from them in the same unit: exactly
//! once, because an event gets a position once.

use rialto_adapters::port::Duration;
use uuid::Uuid;

use crate::core::event::WebhookType;
use crate::flow::{Engine, FlowError};
use crate::profiles::{Profile, billwerk};
use crate::store::Unit;
use crate::store::deliveries::{self, Delivery, DeliveryState, Endpoint};
use crate::store::events::{self, Event};

/// One node dispatches; another takes over when this one has been silent so long.
const LEASE: &str = "dispatcher";
const LEASE_FOR: Duration = Duration::from_secs(15);

/// Dispatches what is new. True if there may be more.
pub async fn sweep(engine: &Engine, node: Uuid) -> Result<bool, FlowError> {
    let new = engine.store.events_undispatched().await?;
    if new.is_empty() || !engine.store.acquire(LEASE, node, LEASE_FOR).await? {
        return Ok(false);
    }
    let mut position = engine.store.events_last_position().await?;
    for event in &new {
        let mut unit = Unit::new("dispatch");
        events::give_position(&mut unit, event.id, position + 1);
        derive(engine, &mut unit, event).await?;
        match engine.store.run(unit).await? {
            Ok(()) => position += 1,
            // Another node has dispatched it, or opened the endpoint: see what is stored.
            Err(refusal) => {
                tracing::debug!(event = %event.id, ?refusal, "dispatched elsewhere");
                return Ok(true);
            }
        }
    }
    engine.nudges.outbox.notify_one();
    Ok(true)
}

/// The deliveries of an event.
async fn derive(engine: &Engine, unit: &mut Unit, event: &Event) -> Result<(), FlowError> {
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
    let profile = Profile::Billwerk;
    let now = engine.clock.now();
    let endpoint_id = endpoint_for(engine, unit, event.tenant_id, url, profile).await?;
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
            ),
            wanted: 1,
            sent: 0,
            state: DeliveryState::Due,
            attempts: 0,
            next_at: Some(now),
            give_up_at: now.plus(engine.clock.wait(give_up_after)),
            created_at: now,
        },
    );
    Ok(())
}

/// An address that a caller named makes an endpoint by itself, one per origin.
async fn endpoint_for(
    engine: &Engine,
    unit: &mut Unit,
    tenant: Uuid,
    url: &str,
    profile: Profile,
) -> Result<Uuid, FlowError> {
    let origin = url::Url::parse(url).map_or_else(|_| url.to_owned(), |url| url.origin().ascii_serialization());
    if let Some(endpoint) = engine.store.endpoint(tenant, &origin, profile.as_str()).await? {
        return Ok(endpoint.id);
    }
    let id = engine.clock.new_id();
    let endpoint = Endpoint { id, tenant_id: tenant, profile: profile.as_str().to_owned(), origin, url: None };
    deliveries::open_endpoint(unit, &endpoint, engine.clock.now());
    Ok(id)
}
