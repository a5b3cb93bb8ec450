//! A server in one process: the contract over its real flows and the sandbox PSP, without a worker.

use std::sync::Arc;

use async_trait::async_trait;
use poem::endpoint::BoxEndpoint;
use poem::http::{Method, StatusCode, header};
use poem::{Endpoint, EndpointExt, Request, Response, Route};
use serde_json::{Value, json};

use crate::clock::Clock;
use crate::contracts::billwerk::{CONTRACT, page, service};
use crate::flow::Engine;
use crate::http::edge::{Edge, Limits};
use crate::psp::sandbox::{NoticeSink, SandboxPsp};
use crate::store::testing::{TestDatabase, fresh_url};
use crate::wire::{Guard, LocalWire};

pub(super) const PUBLIC_URL: &str = "http://127.0.0.1:8080";

/// Notices get lost here: what the PSP has to say is asked for.
struct Lost;

#[async_trait]
impl NoticeSink for Lost {
    async fn deliver(&self, _: &str, _: Vec<(String, String)>, _: Vec<u8>) -> u16 {
        200
    }
}

pub(super) struct World {
    pub(super) engine: Engine,
    pub(super) psp: SandboxPsp,
    api: BoxEndpoint<'static, Response>,
    pub(super) pages: BoxEndpoint<'static, Response>,
    pub(super) own: String,
    pub(super) foreign: String,
    _database: TestDatabase,
}

impl World {
    pub(super) async fn new() -> World {
        let clock = Clock::scaled(1);
        let database = fresh_url("sqlite");
        let store = database.store(clock.clone()).await.expect("a fresh database opens");
        let psp = SandboxPsp::new(store.clone(), Arc::new(Lost), PUBLIC_URL);
        let wire = LocalWire::new(clock, Arc::new(psp.clone()));
        let engine = Engine::new(store, Arc::new(wire), PUBLIC_URL);
        let guard = Guard::new(vec!["127.0.0.0/8".parse().expect("a network")]);
        let edge = Edge::new(Limits::default(), || "id".to_owned());
        let pages = Route::new()
            .at(page::PATH, page(engine.clone(), guard.clone()))
            .nest("/sandbox/pay", crate::psp::sandbox::routes(psp.clone()));
        World {
            own: tenant(&engine, "own").await,
            foreign: tenant(&engine, "foreign").await,
            api: service(engine.clone(), guard, &edge).endpoint,
            pages: pages.map_to_response().boxed(),
            engine,
            psp,
            _database: database,
        }
    }

    pub(super) async fn send(
        &self,
        method: &str,
        path: &str,
        authorization: &str,
        body: impl Into<String>,
    ) -> (u16, Value) {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let mut request = Request::builder().method(method).uri_str(path);
        if !authorization.is_empty() {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let response = self.api.get_response(request.body(body.into())).await;
        let status = response.status().as_u16();
        if status == 401 {
            assert_eq!(response.headers().get_all(header::WWW_AUTHENTICATE).iter().count(), 2);
        }
        let text = response.into_body().into_string().await.expect("text");
        (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("{path} answers {text:?}")))
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.send("POST", path, &format!("Bearer {}", self.own), body.to_string()).await
    }

    pub(super) async fn get(&self, path: &str) -> (u16, Value) {
        self.send("GET", path, &format!("Bearer {}", self.own), "").await
    }

    /// A page of ours or the PSP's: status, and where it leads or what it shows.
    pub(super) async fn browse(&self, method: Method, url: &str, form: &str) -> (StatusCode, String) {
        let path = url.strip_prefix(PUBLIC_URL).expect("a page of ours");
        let request = Request::builder().method(method).uri_str(path).body(form.to_owned());
        let response = self.pages.get_response(request).await;
        let status = response.status();
        match response.header(header::LOCATION).map(str::to_owned) {
            Some(location) => (status, location),
            None => (status, response.into_body().into_string().await.expect("text")),
        }
    }

    /// A week goes by, in which a debit is confirmed; then the PSP is asked.
    pub(super) async fn let_banks_decide(&self, payment: &str) {
        self.engine.clock.advance(std::time::Duration::from_secs(7 * 24 * 3600));
        while self.psp.run_due().await.expect("the database answers") > 0 {}
        let caller = self.engine.identify(CONTRACT, &self.own).await.expect("the store answers").expect("a caller");
        let store = &self.engine.store;
        let intent = store.intent_by_key(caller.tenant_id, CONTRACT, "payment", payment).await;
        let intent = intent.expect("the store answers").expect("a payment");
        for transaction in store.transactions_of(caller.tenant_id, intent.id).await.expect("the store answers") {
            self.engine.inquire(&transaction).await.expect("asked");
        }
    }

    /// A card preauthorisation whose payer has chosen on the PSP's page; where the browser ends.
    pub(super) async fn card(&self, id: &str, amount: Value, choice: &str) -> String {
        let (status, answer) = self.post("/api/Preauth", card(id, amount)).await;
        assert_eq!((status, &answer["status"]), (200, &json!("Pending")), "{answer}");
        let page = answer["redirectUrl"].as_str().expect("a page").to_owned();
        let (status, at_psp) = self.browse(Method::GET, &page, "").await;
        assert_eq!(status, StatusCode::SEE_OTHER);
        let (status, back) = self.browse(Method::POST, &at_psp, &format!("choice={choice}")).await;
        assert_eq!((status, back.as_str()), (StatusCode::SEE_OTHER, format!("{page}?back=1").as_str()));
        let (status, end) = self.browse(Method::GET, &back, "").await;
        assert_eq!(status, StatusCode::SEE_OTHER, "{end}");
        end
    }
}

async fn tenant(engine: &Engine, name: &str) -> String {
    let tenant = engine.add_tenant(name, true).await.expect("a tenant");
    let settings = [("api_key", name), ("webhook_secret", "whsec"), ("scripted", "on")];
    let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let connection = engine.add_connection(tenant.id, "sandbox", true, settings, true).await.expect("a connection");
    let key = engine.add_key(tenant.id, CONTRACT, connection.id, false).await.expect("a key");
    key.expose().to_owned()
}

pub(super) fn card(id: &str, amount: Value) -> Value {
    json!({
        "transactionId": id, "requestedAmount": amount, "currency": "EUR", "agreementId": format!("agreement-{id}"),
        "webhookTarget": "http://127.0.0.1:9/hook",
        "paymentMeansReference": {
            "role": "CreditCard", "successReturnUrl": "https://shop.example/ok",
            "errorReturnUrl": "https://shop.example/failed", "abortReturnUrl": "https://shop.example/cart"
        }
    })
}

pub(super) fn debit(id: &str) -> Value {
    json!({
        "transactionId": id, "requestedAmount": 10, "currency": "EUR", "agreementId": format!("agreement-{id}"),
        "paymentMeansReference": {
            "role": "Debit", "initialBearer": { "Holder": "Ada", "IBAN": "DE89370400440532013000" }
        }
    })
}

pub(super) fn capture(id: &str, preauth: &str, amount: Value) -> Value {
    json!({ "transactionId": id, "preauthTransactionId": preauth, "requestedAmount": amount, "currency": "EUR" })
}

pub(super) fn charge(id: &str, agreement: &str, amount: Value) -> Value {
    json!({
        "transactionId": id, "requestedAmount": amount, "currency": "EUR",
        "agreementId": format!("agreement-{agreement}")
    })
}

pub(super) fn refund(id: &str, payment: &str, amount: Value) -> Value {
    json!({ "transactionId": id, "paymentTransactionId": payment, "requestedAmount": amount, "currency": "EUR" })
}
