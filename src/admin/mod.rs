//! What the command line needs beside a running server, and whoever operates it by program. Errors are problem documents
//! (RFC 9457).
//!
//! - `auth` – operators' keys, and the right each route demands.
//! - One file per group of routes: `setup` – tenants, connections, keys; `settings` – what is
//!   changed of them; `operators` – who may act here, and the audit;
//!   `operate` – what waits for a person, and what a person does about it;
//!   `explain` – what has become of something; `doctor` – whether all is well.
//! - `dto` – bodies; `error` – problems.

mod auth;
mod dto;
mod error;
pub mod explain;
mod operate;
mod operators;
mod settings;
mod setup;

use poem::{Endpoint, EndpointExt, Response};
use poem_openapi::{OpenApi, OpenApiService, Tags};

use crate::flow::Engine;
use crate::flow::operate::Act;
use crate::flow::tenants::SetupError;
use crate::http::docs::Document;
use crate::http::router::{Front, Mount, Routes};
use crate::http::spec::{Example, SpecError, finish};

pub use auth::OperatorKey;
pub use dto::{ConnectionMade, ConnectionWish, KeyMade, KeyWish, TenantList, TenantMade, TenantWish};
pub use error::Problems;
use error::Refused;

/// Every group of routes, in the order of the document. A new one is a file, a place here and, if its examples come
/// first, a [`Tag`].
type Groups = (setup::Setup, settings::Settings, operators::Operators, operate::Operate, explain::Explain);

const GROUPS: Groups = (setup::Setup, settings::Settings, operators::Operators, operate::Operate, explain::Explain);

fn examples() -> Vec<Example> {
    [
        setup::Setup::examples(),
        settings::Settings::examples(),
        operators::Operators::examples(),
        operate::Operate::examples(),
        explain::Explain::examples(),
    ]
    .concat()
}

/// Some routes of the admin API with what stands in the document for them.
trait Group: OpenApi {
    fn examples() -> Vec<Example>;
}

/// The answer to whoever set something up. What was refused stands in the audit too.
async fn told<T>(engine: &Engine, act: Act, done: Result<T, SetupError>) -> Result<T, Refused> {
    match done {
        Ok(done) => Ok(done),
        Err(SetupError::Flow(error)) => Err(error.into()),
        Err(error) => {
            engine.audit_refused(act, &error.to_string()).await?;
            Err(error.into())
        }
    }
}

#[derive(Tags)]
enum Tag {
    /// Who uses Rialto, through which provider, with which key.
    Setup,
    /// Who operates this server, and what they did.
    Operators,
    /// What waits for a person, and what a person says about it.
    Operate,
    /// What has become of something, and whether all is well.
    Look,
}

fn openapi() -> OpenApiService<Groups, ()> {
    OpenApiService::new(GROUPS, "Rialto admin API", env!("CARGO_PKG_VERSION")).description(
        "Sets up and operates a server. Every call carries an operator's key, as `X-Admin-Key` or as Bearer, and each \
         names the right it needs: `read`, `resolve` or `admin`, of which each includes the ones before it.",
    )
}

/// The admin API as an endpoint; its paths are those of [`routes`], its errors are written by [`Problems`]. It reads the
/// database in its handlers, so whoever may drop it puts it into a task of its own.
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
    let json = finish(&openapi().spec(), &examples())?;
    Ok(Document { contract: "admin", title: "Rialto admin", json })
}

#[cfg(test)]
mod tests;
