//! The billwerk contract ("External PSP Integration"): the platform is always the client of these routes, and is told of
//! changes by thin notices after which it looks again.
//!
//! - [`dto`] – the bodies as the contract writes them. [`map`] – their words in the one model's. [`errors`] – the error body.
//! - `caller` – who is calling. `once` – a request is carried out once.
//! - `info`, `settings` – what the connection can do, and its settings. `finalize` – look up now.
//! - `preauth`, `payment`, `refund` – what each operation demands, and the one flow it calls. `show` – the answers.
//! - [`page`] – the payer's page behind `redirectUrl`; `ask` – what it asks for. [`examples`] – what stands in the document.
//! - [`access`] – who may call what.

pub mod access;
mod ask;
mod body;
mod caller;
pub mod dto;
pub mod errors;
pub mod examples;
mod finalize;
mod info;
pub mod map;
mod once;
pub mod page;
mod payment;
mod preauth;
mod refund;
mod settings;
mod show;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use poem::endpoint::BoxEndpoint;
use poem::http::Method;
use poem::{Endpoint, EndpointExt, Request, Response};
use poem_openapi::param::Path;
use poem_openapi::registry::{MetaApi, Registry};
use poem_openapi::{OpenApi, OpenApiService, Tags};

use self::body::OptionalBody;
use self::caller::{Known, Proof, Voice, listen};
use self::dto::{
    FinalizePreauthRequestDto, IntegrationInfoResponseDto, IntegrationSettingsResponseDto,
    PaymentCancellationRequestDto, PaymentCancellationResponseDto, PaymentRequestDto, PaymentResponseDto,
    PaymentSettingsRequestDto, PreauthRequestDto, PreauthResponseDto, RefundRequestDto, RefundResponseDto,
    SettingsResponseDto,
};
use self::errors::{
    ActsOn, Asks, Cancels, Changes, Errors, Failure, Opens, Refusal, Shows, Tells, answer_style, error_style,
};
use crate::clock::Clock;
use crate::flow::Engine;
use crate::http::body::{Body, Styled};
use crate::http::docs::Document;
use crate::http::edge::Edge;
use crate::http::error::{Kind, Problem, mapped};
use crate::http::paths;
use crate::http::router::{Front, Mount, Routes};
use crate::http::spec;
use crate::wire::Guard;

pub use page::page;

/// The contract's name in keys, paths of documents and stored rows.
pub const CONTRACT: &str = "billwerk";

const TITLE: &str = "Rialto: billwerk";

/// Under `/api` in any letter case, and without it in the published spelling.
const MOUNT: Mount = Mount::API_OR_BARE;

/// The contract's operations over the flows.
#[derive(Clone)]
struct Billwerk {
    engine: Engine,
    guard: Guard,
}

#[derive(Tags)]
enum Group {
    /// Money is reserved, or means of payment are kept.
    Preauth,
    /// Money is taken.
    Payment,
    /// Money goes back.
    Refund,
    /// What the connection can do, and with which account.
    Settings,
}

type Answer<T, O> = Result<Styled<T>, Refusal<O>>;

impl Billwerk {
    fn answer<T, O>(&self, by: &Known, done: Result<T, Failure>) -> Answer<T, O> {
        let style = &by.0.style;
        done.map(|body| Body(body).styled(answer_style(style)))
            .map_err(|failure| Refusal::new(failure, self.engine.clock.now(), error_style(style)))
    }
}

#[OpenApi]
impl Billwerk {
    /// Reserves money, or keeps means of payment
    ///
    /// A card without stored means needs the payer: the answer is `Pending` with a `redirectUrl`, which waits for, shows
    /// and forwards from the PSP's page, and leads to the return URLs in the end. A direct debit with an `initialBearer`
    /// keeps the mandate and reserves nothing. With `isInitial: false` the means stored under `agreementId` are used.
    /// The same request again is answered with the current state.
    #[oai(path = "/Preauth", method = "post", operation_id = "createPreauth", tag = "Group::Preauth")]
    async fn create_preauth(&self, by: Known, body: Body<PreauthRequestDto>) -> Answer<PreauthResponseDto, Opens> {
        self.answer(&by, self.preauth(&by.0, body.0).await)
    }

    /// Shows a preauthorisation
    #[oai(path = "/Preauth/:id", method = "get", operation_id = "getPreauth", tag = "Group::Preauth")]
    async fn get_preauth(
        &self,
        by: Known,
        /// The `transactionId` it was made with.
        id: Path<String>,
    ) -> Answer<PreauthResponseDto, Shows> {
        self.answer(&by, self.preauth_now(&by.0, &id.0).await)
    }

    /// Gives a reservation free
    ///
    /// An unfinished preauthorisation is closed at the PSP. What is cancelled already is answered `Succeeded` again;
    /// `NotCancelled` says that the PSP cannot, or not now.
    #[oai(path = "/Preauth/:id/Cancel", method = "post", operation_id = "cancelPreauth", tag = "Group::Preauth")]
    async fn cancel(
        &self,
        by: Known,
        /// The `transactionId` it was made with.
        id: Path<String>,
        _body: OptionalBody<PaymentCancellationRequestDto>,
    ) -> Answer<PaymentCancellationResponseDto, Cancels> {
        self.answer(&by, self.cancel_preauth(&by.0, &id.0).await)
    }

    /// Looks a preauthorisation up now
    ///
    /// For when the payer is back: the PSP is asked, and the answer is that of `getPreauth`. Nothing depends on it, because
    /// the PSP's notice, or the payer's coming back to our page, has the same effect.
    #[oai(path = "/Preauth/Finalize", method = "post", operation_id = "finalizePreauth", tag = "Group::Preauth")]
    async fn finalize(&self, by: Known, body: Body<FinalizePreauthRequestDto>) -> Answer<PreauthResponseDto, Asks> {
        self.answer(&by, self.finalize_preauth(&by.0, body.0).await)
    }

    /// Takes money
    ///
    /// With `preauthTransactionId` what was reserved is captured, once, in whole or in part; the rest is given free.
    /// Without it the means stored under `agreementId` are charged; a direct debit may bring an `initialBearer` instead.
    /// A decline is answered with its error, and so is every later look at it.
    #[oai(path = "/Payment", method = "post", operation_id = "createPayment", tag = "Group::Payment")]
    async fn create_payment(&self, by: Known, body: Body<PaymentRequestDto>) -> Answer<PaymentResponseDto, ActsOn> {
        self.answer(&by, self.payment(&by.0, body.0).await)
    }

    /// Shows a payment
    ///
    /// With what was refunded and charged back of it.
    #[oai(path = "/Payment/:id", method = "get", operation_id = "getPayment", tag = "Group::Payment")]
    async fn get_payment(
        &self,
        by: Known,
        /// The `transactionId` it was made with.
        id: Path<String>,
    ) -> Answer<PaymentResponseDto, Shows> {
        self.answer(&by, self.payment_now(&by.0, &id.0).await)
    }

    /// Gives money back
    ///
    /// In whole or in parts, never more than the payment brought.
    #[oai(path = "/Refund", method = "post", operation_id = "createRefund", tag = "Group::Refund")]
    async fn create_refund(&self, by: Known, body: Body<RefundRequestDto>) -> Answer<RefundResponseDto, ActsOn> {
        self.answer(&by, self.refund(&by.0, body.0).await)
    }

    /// Shows a refund
    #[oai(path = "/Refund/:id", method = "get", operation_id = "getRefund", tag = "Group::Refund")]
    async fn get_refund(
        &self,
        by: Known,
        /// The `transactionId` it was made with.
        id: Path<String>,
    ) -> Answer<RefundResponseDto, Shows> {
        self.answer(&by, self.refund_now(&by.0, &id.0).await)
    }

    /// Tells what the connection can do
    ///
    /// Made from what is known of its PSP. A method that is absent is not offered. `merchantSettings` is the form behind
    /// `Settings`; what is the operator's to set is not in it.
    #[oai(path = "/IntegrationInfo", method = "get", operation_id = "getIntegrationInfo", tag = "Group::Settings")]
    async fn get_integration_info(&self, by: Known) -> Answer<IntegrationInfoResponseDto, Tells> {
        self.answer(&by, self.integration_info(&by.0).await)
    }

    /// Shows the settings
    ///
    /// Secrets are masked.
    #[oai(path = "/Settings", method = "get", operation_id = "getSettings", tag = "Group::Settings")]
    async fn get_settings(&self, by: Known) -> Answer<SettingsResponseDto, Tells> {
        self.answer(&by, self.settings_now(&by.0).await)
    }

    /// Changes the settings
    ///
    /// They are tried out at the PSP and stored only if it accepts them; the answer says which methods the account may
    /// use. The mask of a secret keeps it, and what is not given is not set any more. What is under way goes on with the
    /// account it began with. Means of payment stay with the account that they were stored in, and are charged there.
    #[oai(path = "/Settings", method = "put", operation_id = "putSettings", tag = "Group::Settings")]
    async fn put_settings(
        &self,
        by: Known,
        body: Body<PaymentSettingsRequestDto>,
    ) -> Answer<IntegrationSettingsResponseDto, Changes> {
        self.answer(&by, self.change_settings(&by.0, body.0).await)
    }
}

fn described<T: OpenApi>(api: T) -> OpenApiService<T, ()> {
    OpenApiService::new(api, TITLE, env!("CARGO_PKG_VERSION"))
        .description(
            "The billwerk (Frisbii Transform) External PSP Integration. Amounts are exact decimals in major units. Names \
             and enum values are read in any letter case, enums as numbers too; unknown fields are ignored. Everything \
             that is not a success, a declined payment too, is answered with a `PaymentErrorDto`, in PascalCase and with \
             numbers, as billwerk documents it. The operator can have the names and enums of answers, errors and notices \
             written in the other way for a key.",
        )
        .server("/api")
}

/// The contract's endpoint, with the routes that are its.
pub struct Service {
    pub routes: Arc<Routes>,
    pub endpoint: BoxEndpoint<'static, Response>,
}

/// Everything under the contract's routes: each request in a task of its own, each error in the contract's body, and all
/// of it in the spelling that the caller's key has.
pub fn service(engine: Engine, guard: Guard, edge: &Edge) -> Service {
    let clock = engine.clock.clone();
    let front = Front::new(described(Billwerk { engine: engine.clone(), guard }), MOUNT);
    let routes = front.routes();
    let inside = Heard { endpoint: front.data(engine.clone()), engine };
    Service { routes, endpoint: Spoken { endpoint: edge.detached(inside), clock }.boxed() }
}

/// Writes errors as the caller wants them, once it is known who that is.
struct Spoken<E> {
    endpoint: E,
    clock: Clock,
}

impl<E: Endpoint> Endpoint for Spoken<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let voice = Voice::default();
        request.extensions_mut().insert(voice.clone());
        mapped(&self.endpoint, Errors { clock: self.clock.clone(), voice }).call(request).await
    }
}

/// Finds out who is calling where no operation did, because there is none of this method.
struct Heard<E> {
    endpoint: E,
    engine: Engine,
}

impl<E: Endpoint> Endpoint for Heard<E> {
    type Output = E::Output;

    async fn call(&self, request: Request) -> poem::Result<E::Output> {
        let (voice, proof) = (request.data::<Voice>().cloned(), Proof::of(&request));
        let answer = self.endpoint.call(request).await;
        let problem = answer.as_ref().err().and_then(|error| error.downcast_ref::<Problem>());
        let wrong_method = problem.is_some_and(|problem| problem.kind == Kind::Method);
        if let Some(voice) = voice.filter(|_| wrong_method) {
            listen(&self.engine, &proof, &voice).await;
        }
        answer
    }
}

/// The routes of the contract and of its payer page, for the list of the whole server.
pub fn routes() -> Vec<paths::Path> {
    let mut all = Routes::of::<Billwerk>(MOUNT).list(CONTRACT);
    all.extend(page::paths());
    all
}

/// The finished document.
pub fn spec() -> String {
    let raw = described(Paper).spec();
    spec::finish(&raw, &examples::all()).expect("every example belongs to an operation, which a test holds")
}

/// The contract without anything behind it: enough for the document.
struct Paper;

impl OpenApi for Paper {
    fn meta() -> Vec<MetaApi> {
        Billwerk::meta()
    }

    fn register(registry: &mut Registry) {
        Billwerk::register(registry);
    }

    fn add_routes(self, _routes: &mut HashMap<String, HashMap<Method, BoxEndpoint<'static>>>) {}
}

/// The document as `/docs` takes it.
pub fn document() -> Document {
    Document { contract: CONTRACT, title: TITLE, json: spec() }
}
