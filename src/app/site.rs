//! Which path is answered by whom, and what surrounds every request.

use std::sync::Arc;
use std::time::Duration;

use poem::endpoint::make;
use poem::http::{Method, StatusCode};
use poem::{Endpoint, IntoResponse, Response, Route};
use serde_json::json;
use tokio::sync::watch;
use uuid::Uuid;

use crate::admin::{self, OperatorKey, Problems};
use crate::contracts::billwerk;
use crate::flow::Engine;
use crate::hooks;
use crate::http::docs::{Docs, Document};
use crate::http::edge::Edge;
use crate::http::error::{Plain, mapped};
use crate::http::paths::Paths;
use crate::http::router::Switch;
use crate::psp::sandbox::{self, SandboxPsp};
use crate::store::Store;
use crate::wire::Guard;

/// A database that needs longer for one row would not answer callers in time either.
const READY_WITHIN: Duration = Duration::from_secs(2);

/// What the doors lead to.
pub(super) struct Doors {
    pub engine: Engine,
    pub guard: Guard,
    pub sandbox: SandboxPsp,
    pub edge: Edge,
    pub key: OperatorKey,
    /// True once no more requests are wanted.
    pub stopping: watch::Receiver<bool>,
}

impl Doors {
    /// The server's main address.
    pub fn main(&self, with_admin: bool) -> anyhow::Result<impl Endpoint<Output = Response> + 'static> {
        let pages = Route::new()
            .nest("/hooks", hooks::endpoint(self.engine.clone()))
            .at(billwerk::page::PATH, billwerk::page(self.engine.clone(), self.guard.clone()))
            .nest("/sandbox/pay", sandbox::routes(self.sandbox.clone()));
        let pages = self.around(pages, documents(with_admin)?);
        let billwerk = billwerk::service(self.engine.clone(), self.guard.clone(), &self.edge);
        let mut switch = Switch::new(pages).front(billwerk.routes, billwerk.endpoint);
        if with_admin {
            switch = self.with_admin(switch);
        }
        Ok(self.edge.observed(switch))
    }

    /// The admin address.
    pub fn admin(&self) -> anyhow::Result<impl Endpoint<Output = Response> + 'static> {
        let switch = Switch::new(self.around(Route::new(), vec![admin::spec()?]));
        Ok(self.edge.observed(self.with_admin(switch)))
    }

    fn with_admin(&self, switch: Switch) -> Switch {
        let service = admin::service(self.engine.clone(), self.key.clone());
        switch.front(Arc::new(admin::routes()), mapped(self.edge.detached(service), Problems))
    }

    /// What belongs to no contract: pages, documents and health. Health stands outside the cap on requests: a busy
    /// server is not a dead one.
    fn around(&self, pages: Route, documents: Vec<Document>) -> impl Endpoint<Output = Response> + 'static {
        let docs = Arc::new(Docs::new(documents));
        let pages = pages.nest_no_strip("/docs", docs.clone()).nest_no_strip("/openapi", docs);
        let (store, stopping) = (self.engine.store.clone(), self.stopping.clone());
        let ready = make(move |_| ready(store.clone(), *stopping.borrow()));
        let live = make(|_| async { health(StatusCode::OK, "live", None) });
        let health = Route::new().at("/health/live", live).at("/health/ready", ready);
        mapped(health.nest_no_strip("/", self.edge.detached(pages)), Plain)
    }
}

/// Whether a request would find what it needs.
async fn ready(store: Store, stopping: bool) -> Response {
    if stopping {
        return health(StatusCode::SERVICE_UNAVAILABLE, "not ready", Some("the server is stopping"));
    }
    // In a task of its own, as every database call: the caller may go away in the middle of it.
    let asked = tokio::spawn(async move { store.tenant(Uuid::nil()).await });
    match tokio::time::timeout(READY_WITHIN, asked).await {
        Ok(Ok(Ok(_))) => health(StatusCode::OK, "ready", None),
        Ok(Ok(Err(error))) => {
            tracing::warn!(%error, "not ready");
            health(StatusCode::SERVICE_UNAVAILABLE, "not ready", Some("the database refuses; the log says why"))
        }
        Ok(Err(_)) | Err(_) => {
            tracing::warn!("not ready: the database does not answer");
            health(StatusCode::SERVICE_UNAVAILABLE, "not ready", Some("the database does not answer"))
        }
    }
}

fn health(status: StatusCode, state: &str, why: Option<&str>) -> Response {
    let body = match why {
        Some(why) => json!({ "status": state, "why": why }),
        None => json!({ "status": state }),
    };
    let response = Response::builder().status(status).content_type("application/json");
    response.header("cache-control", "no-store").body(body.to_string()).into_response()
}

/// The documents of the contracts, in the order in which they are shown.
pub(super) fn documents(with_admin: bool) -> anyhow::Result<Vec<Document>> {
    let mut documents = vec![billwerk::document()];
    if with_admin {
        documents.push(admin::spec()?);
    }
    Ok(documents)
}

/// All routes of the main address, the admin API's included.
///
/// # Errors
/// If a document cannot be made.
pub fn paths() -> anyhow::Result<Paths> {
    let mut paths = Paths::default();
    paths.extend(billwerk::routes());
    paths.extend(admin::routes().list("admin"));
    paths.extend(Docs::new(documents(true)?).list());
    paths.add("hooks", Method::POST, "/hooks/{connection}");
    paths.add("hooks", Method::POST, "/hooks/{connection}/*");
    paths.add("sandbox", Method::GET, "/sandbox/pay/{session}");
    paths.add("sandbox", Method::POST, "/sandbox/pay/{session}");
    paths.add("health", Method::GET, "/health/live");
    paths.add("health", Method::GET, "/health/ready");
    Ok(paths)
}
