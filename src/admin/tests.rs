use std::sync::Arc;

use poem::Request;
use poem::http::{Method, StatusCode};
use rialto_adapters::port::Secret;
use rialto_adapters::port::wire::Deadlines;
use rialto_adapters::port::{Fault, FaultCause, Reply, Wire};
use serde_json::{Value, json};

use super::*;
use crate::clock::Clock;
use crate::http::error::mapped;
use crate::http::spec::{Documented, complaints};
use crate::store::testing::{TestDatabase, fresh_url};

/// Setting up calls nobody.
struct NoWire;

#[async_trait::async_trait]
impl Wire for NoWire {
    async fn send(&self, _: rialto_adapters::port::Request, _: Deadlines) -> Result<Reply, Fault> {
        Err(Fault::not_sent(FaultCause::ConnectionRefused, "no wire"))
    }
}

const KEY: &str = "an operator's key of some length";

struct Admin {
    engine: Engine,
    _database: TestDatabase,
}

impl Admin {
    async fn new() -> Admin {
        let database = fresh_url("sqlite");
        let store = database.store(Clock::default()).await.expect("a store");
        Admin { engine: Engine::new(store, Arc::new(NoWire), "http://here"), _database: database }
    }

    async fn call(&self, method: Method, path: &str, key: (&str, &str), body: &str) -> (StatusCode, Value) {
        let service = mapped(service(self.engine.clone(), OperatorKey::new(&Secret::new(KEY))), Problems);
        let request = Request::builder().method(method).uri_str(path).header(key.0, key.1);
        let request = request.content_type("application/json").body(body.to_owned());
        let response = service.get_response(request).await;
        let status = response.status();
        if !status.is_success() {
            assert_eq!(response.content_type(), Some("application/problem+json"), "{path}");
        }
        let text = response.into_body().into_string().await.expect("text");
        (status, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path} answered {text:?}: {error}")))
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let (status, answer) = self.call(Method::POST, path, ("x-admin-key", KEY), &body.to_string()).await;
        (status.as_u16(), answer)
    }
}

#[tokio::test]
async fn only_the_operators_key_opens() {
    let admin = Admin::new().await;
    let bearer = format!("Bearer {KEY}");
    let rows = [
        ("x-admin-key", KEY, 200),
        ("x-admin-key", "wrong", 401),
        ("x-admin-key", "", 401),
        ("authorization", bearer.as_str(), 200),
        ("authorization", "Bearer wrong", 401),
        ("authorization", KEY, 401),
        ("x-other", KEY, 401),
    ];
    for (name, value, expected) in rows {
        let (status, _) = admin.call(Method::GET, "/admin/tenants", (name, value), "").await;
        assert_eq!(status.as_u16(), expected, "{name}: {value}");
        let (status, _) = admin.call(Method::POST, "/admin/tenants", (name, value), "{bad").await;
        assert_eq!(status.as_u16(), if expected == 200 { 400 } else { 401 }, "the key is looked at before the body");
    }
    let (status, _) = admin.call(Method::DELETE, "/admin/tenants", ("x-admin-key", KEY), "").await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_tenant_is_set_up_and_mistakes_are_named() {
    let admin = Admin::new().await;
    let (status, tenant) = admin.post("/admin/tenants", json!({ "name": "Shop", "sandbox": true })).await;
    assert_eq!(status, 200, "{tenant}");
    let id = tenant["id"].as_str().expect("an id").to_owned();
    assert!(tenant["app_secret"].as_str().is_some_and(|secret| secret.starts_with("as_")));

    let connections = format!("/admin/tenants/{id}/connections");
    let keys = format!("/admin/tenants/{id}/keys");
    let nobody = "0193f0a0-7c5e-7b1a-9d35-6f5a3c2b1d00";
    let rows = [
        ("/admin/tenants", json!({ "name": " " }), 422, "name"),
        ("/admin/tenants", json!({}), 422, "name"),
        (connections.as_str(), json!({ "adapter": "nobody" }), 422, "adapter"),
        (keys.as_str(), json!({ "contract": "nothing", "connection_id": nobody }), 422, "contract"),
        (keys.as_str(), json!({ "contract": "billwerk", "connection_id": nobody }), 404, ""),
        (keys.as_str(), json!({ "contract": "billwerk", "connection_id": "x" }), 404, ""),
        ("/admin/tenants/x/keys", json!({ "contract": "billwerk", "connection_id": nobody }), 404, ""),
        ("/admin/tenants/0193f0a0-7c5e-7b1a-9d35-6f5a3c2b1d00/connections", json!({ "adapter": "sandbox" }), 404, ""),
    ];
    for (path, body, expected, field) in rows {
        let (status, problem) = admin.post(path, body.clone()).await;
        assert_eq!(status, expected, "{path} {body} {problem}");
        assert_eq!(problem["field"].as_str().unwrap_or_default(), field, "{path} {body} {problem}");
        assert_eq!(problem["status"], expected);
    }

    let (_, list) = admin.call(Method::GET, "/admin/tenants", ("x-admin-key", KEY), "").await;
    assert_eq!(list["tenants"][0]["name"], "Shop");
    assert_eq!(list["tenants"].as_array().map(Vec::len), Some(1), "what was refused left nothing");
}

#[test]
fn the_document_is_the_committed_one_and_complete() {
    let document = spec().expect("a document").json;
    let documented = Documented { always: &[401, 403, 500, 503], with_body: &[400, 413, 422], with_id: &[404] };
    assert_eq!(complaints(&document, documented), Vec::<String>::new());
    let committed = include_str!("../../openapi/admin.json");
    assert!(document == committed, "run: cargo run -- openapi admin --out openapi");
}
