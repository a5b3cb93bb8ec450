//! What the command line needs beside a running server, and whoever sets tenants up by program: tenants, their
//! connections, their keys. Errors are problem documents (RFC 9457).

mod dto;
mod error;
pub mod explain;

use std::sync::Arc;

use poem::web::Data;
use poem::{Endpoint, EndpointExt, Request, Response};
use poem_openapi::auth::{ApiKey, Bearer};
use poem_openapi::param::Path;
use poem_openapi::{OpenApi, OpenApiService, SecurityScheme, Tags};
use rialto_adapters::port::Secret;

use crate::flow::Engine;
use crate::http::body::Body;
use crate::http::docs::Document;
use crate::http::router::{Front, Mount, Routes};
use crate::http::spec::{SpecError, finish};
use crate::store::{hash_token, token_matches};

pub use dto::{ConnectionMade, ConnectionWish, KeyMade, KeyWish, TenantList, TenantMade, TenantWish};
use dto::{TenantItem, parse_id};
pub use error::Problems;
use error::Refused;

/// The operator's key, as a hash. Cheap to clone.
#[derive(Clone)]
pub struct OperatorKey(Arc<str>);

impl OperatorKey {
    pub fn new(key: &Secret) -> OperatorKey {
        OperatorKey(hash_token(key.expose()).into())
    }

    /// The credential that came with a request, compared in a time that tells nothing.
    fn admits(request: &Request, token: &str) -> Option<()> {
        let key = request.extensions().get::<OperatorKey>()?;
        token_matches(token, &key.0).then_some(())
    }
}

#[derive(SecurityScheme)]
#[oai(ty = "api_key", key_name = "X-Admin-Key", key_in = "header", checker = "admit_header")]
struct HeaderKey(());

#[derive(SecurityScheme)]
#[oai(ty = "bearer", checker = "admit_bearer")]
struct BearerKey(());

/// Somebody who holds the operator's key; both schemes carry the same one.
#[derive(SecurityScheme)]
enum Operator {
    Header(HeaderKey),
    Bearer(BearerKey),
}

async fn admit_header(request: &Request, key: ApiKey) -> Option<()> {
    OperatorKey::admits(request, &key.key)
}

async fn admit_bearer(request: &Request, bearer: Bearer) -> Option<()> {
    OperatorKey::admits(request, &bearer.token)
}

#[derive(Tags)]
enum Tag {
    /// Who uses Rialto, through which provider, with which key.
    Setup,
    /// What has become of something, and whether all is well.
    Look,
}

struct Api;

#[OpenApi(prefix_path = "/admin", tag = "Tag::Setup")]
impl Api {
    /// Add a tenant
    ///
    /// `app_secret` is shown this once; only its hash is kept. A sandbox tenant stays one for ever and may own test
    /// connections only.
    #[oai(path = "/tenants", method = "post", operation_id = "addTenant")]
    async fn add_tenant(
        &self,
        _operator: Operator,
        engine: Data<&Engine>,
        wish: Body<TenantWish>,
    ) -> Result<Body<TenantMade>, Refused> {
        let made = engine.add_tenant(&wish.0.name, wish.0.sandbox).await?;
        Ok(Body(TenantMade {
            id: made.id.to_string(),
            app_id: made.app_id,
            app_secret: made.app_secret.expose().to_owned(),
        }))
    }

    /// List tenants
    ///
    /// The oldest hundred, oldest first.
    #[oai(path = "/tenants", method = "get", operation_id = "listTenants")]
    async fn list_tenants(&self, _operator: Operator, engine: Data<&Engine>) -> Result<Body<TenantList>, Refused> {
        let tenants = engine.store.tenants().await?;
        Ok(Body(TenantList { tenants: tenants.into_iter().map(TenantItem::from).collect() }))
    }

    /// Add a connection
    ///
    /// The settings are checked against the adapter's manifest and stored sealed. `hook_url` is where the provider is to
    /// post its notices.
    #[oai(path = "/tenants/:tenant/connections", method = "post", operation_id = "addConnection")]
    async fn add_connection(
        &self,
        _operator: Operator,
        engine: Data<&Engine>,
        /// Id of the tenant.
        tenant: Path<String>,
        wish: Body<ConnectionWish>,
    ) -> Result<Body<ConnectionMade>, Refused> {
        let tenant = parse_id("tenant", &tenant.0)?;
        let Body(ConnectionWish { adapter, test, settings }) = wish;
        let settings = settings.into_iter().collect();
        let made = engine.add_connection(tenant, &adapter, test, settings, true).await?;
        Ok(Body(ConnectionMade { id: made.id.to_string(), hook_url: made.hook_url }))
    }

    /// Add a key
    ///
    /// The key is shown this once; only its hash is kept.
    #[oai(path = "/tenants/:tenant/keys", method = "post", operation_id = "addKey")]
    async fn add_key(
        &self,
        _operator: Operator,
        engine: Data<&Engine>,
        /// Id of the tenant.
        tenant: Path<String>,
        wish: Body<KeyWish>,
    ) -> Result<Body<KeyMade>, Refused> {
        let tenant = parse_id("tenant", &tenant.0)?;
        let Body(KeyWish { contract, connection_id, all_events }) = wish;
        let connection = parse_id("connection of this tenant", &connection_id)?;
        let key = engine.add_key(tenant, &contract, connection, all_events).await?;
        Ok(Body(KeyMade { key: key.expose().to_owned() }))
    }
}

/// Every group of routes, in the order of the document.
type Groups = (Api, explain::Explain);

fn openapi() -> OpenApiService<Groups, ()> {
    OpenApiService::new((Api, explain::Explain), "Rialto admin API", env!("CARGO_PKG_VERSION")).description(
        "Sets up tenants, their connections to payment service providers and their API keys. Every call carries the \
         operator's key, as `X-Admin-Key` or as Bearer.",
    )
}

/// The admin API as an endpoint; its paths are those of [`routes`], its errors are written by [`Problems`].
pub fn service(engine: Engine, key: OperatorKey) -> impl Endpoint<Output = Response> + 'static {
    Front::new(openapi(), Mount::ROOT).data(engine).data(key)
}

/// All routes, for the switch and for the list of the whole server.
pub fn routes() -> Routes {
    Routes::of::<Groups>(Mount::ROOT)
}

/// The OpenAPI document.
///
/// # Errors
/// If an example belongs to no operation.
pub fn spec() -> Result<Document, SpecError> {
    let json = finish(&openapi().spec(), &[dto::examples(), explain::Explain::examples()].concat())?;
    Ok(Document { contract: "admin", title: "Rialto admin", json })
}

#[cfg(test)]
mod tests;
