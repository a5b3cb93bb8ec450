//! Which path is answered by whom, and what surrounds every request.

use std::sync::Arc;

use poem::endpoint::make;
use poem::http::{Method, StatusCode};
use poem::{Endpoint, Response, Route};

use super::watch::{Watch, plain};
use crate::admin::{self, OperatorKey, Problems};
use crate::contracts::billwerk;
use crate::flow::Engine;
use crate::hooks;
use crate::http::docs::{Docs, Document};
use crate::http::edge::Edge;
use crate::http::error::{Kind, Plain, Problem, mapped};
use crate::http::paths::Paths;
use crate::http::router::Switch;
use crate::psp::sandbox::{self, SandboxPsp};
use crate::wire::Guard;

/// What the doors lead to.
pub(super) struct Doors {
    pub engine: Engine,
    pub guard: Guard,
    pub sandbox: SandboxPsp,
    pub edge: Edge,
    pub key: OperatorKey,
    pub watch: Watch,
}

impl Doors {
    /// The server's main address. `open`: whether whoever can connect may see the metrics.
    pub fn main(&self, with_admin: bool, open: bool) -> anyhow::Result<impl Endpoint<Output = Response> + 'static> {
        let pages = Route::new()
            .nest("/hooks", hooks::endpoint(self.engine.clone()))
            .at(billwerk::page::PATH, billwerk::page(self.engine.clone(), self.guard.clone()))
            .nest("/sandbox/pay", sandbox::routes(self.sandbox.clone()));
        let pages = self.around(pages, documents(with_admin)?, with_admin.then_some(open));
        let billwerk = billwerk::service(self.engine.clone(), self.guard.clone(), &self.edge);
        let mut switch = Switch::new(pages).front(billwerk::CONTRACT, billwerk.routes, billwerk.endpoint);
        if with_admin {
            switch = self.with_admin(switch);
        }
        Ok(self.edge.observed(switch))
    }

    /// The admin address.
    pub fn admin(&self, open: bool) -> anyhow::Result<impl Endpoint<Output = Response> + 'static> {
        let switch = Switch::new(self.around(Route::new(), vec![admin::spec()?], Some(open)));
        Ok(self.edge.observed(self.with_admin(switch)))
    }

    fn with_admin(&self, switch: Switch) -> Switch {
        let service = admin::service(self.engine.clone(), self.key.clone());
        switch.front("admin", Arc::new(admin::routes()), mapped(self.edge.detached(service), Problems))
    }

    /// What belongs to no contract: pages, documents, health and metrics. The latter two stand outside the cap on requests:
    /// a busy server is not a dead one.
    fn around(
        &self,
        pages: Route,
        documents: Vec<Document>,
        metrics: Option<bool>,
    ) -> impl Endpoint<Output = Response> + 'static {
        let docs = Arc::new(Docs::new(documents));
        let pages = pages.nest_no_strip("/docs", docs.clone()).nest_no_strip("/openapi", docs);
        let watch = self.watch.clone();
        let ready = make(move |_| {
            let watch = watch.clone();
            async move { watch.ready().await }
        });
        let live = make(|_| async { plain(StatusCode::OK, "application/json", r#"{"status":"live"}"#.to_owned()) });
        let mut health = Route::new().at("/health/live", live).at("/health/ready", ready);
        if let Some(open) = metrics {
            health = health.at("/metrics", self.metrics(open));
        }
        mapped(health.nest_no_strip("/", self.edge.detached(pages)), Plain)
    }

    /// Where not everybody who can connect may look, it takes an operator's key, of any right.
    fn metrics(&self, open: bool) -> impl Endpoint<Output = Response> + 'static {
        let watch = self.watch.clone();
        make(move |request| {
            let watch = watch.clone();
            async move {
                if request.method() != Method::GET {
                    return Err(Problem::method(vec![Method::GET]).into());
                }
                if !open && !watch.may_look(&request).await {
                    return Err(Problem::new(Kind::Unauthorised, "an operator's key is wanted").into());
                }
                Ok::<Response, poem::Error>(watch.metrics().await)
            }
        })
    }
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
    paths.add("health", Method::GET, "/metrics");
    Ok(paths)
}
