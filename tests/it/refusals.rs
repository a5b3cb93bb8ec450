//! What is refused before its body is looked at: no token, a wrong address or method, too much of it.

use rialto::store::tenants::{self, ApiKey};
use rialto::store::{Unit, hash_token};
use uuid::Uuid;

use crate::ask::{Asker, Reply, basic, bearer, chunked};
use crate::billwerk::{Billwerk, fresh};
use crate::server::{Server, on_each_database};

const LOGIN_ERROR: i64 = 7;
const INVALID_DATA: i64 = 8;
const INVALID_PRECONDITIONS: i64 = 11;
const INVALID_CONFIGURATION: i64 = 15;

struct World {
    server: Server,
    bw: Billwerk,
    asker: Asker,
}

impl World {
    async fn new(kind: &str) -> World {
        let server = Server::start(kind, 1).await;
        World { bw: server.billwerk(), server, asker: Asker::new() }
    }

    async fn post(&self, path: &str, body: impl Into<Vec<u8>>) -> Reply {
        let token = bearer(&self.bw.token);
        let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
        self.asker.ask("POST", &format!("{}{path}", self.bw.url), &headers, body.into()).await
    }
}

/// A key of this very tenant, for a contract that this is not.
async fn key_of_another_contract(server: &Server) -> String {
    let token = format!("sk_test_{}", Uuid::now_v7().simple());
    let key = ApiKey {
        id: Uuid::now_v7(),
        tenant_id: server.tenant,
        connection_id: server.connection,
        contract: "external".to_owned(),
    };
    let mut unit = Unit::new("test key");
    tenants::add_key(&mut unit, &key, hash_token(&token), "sk_test".to_owned(), false, server.store().clock().now());
    server.store().run(unit).await.expect("a database").expect("a new key");
    token
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_there_cannot_be_shown_or_cancelled() {
    on_each_database(async |kind| {
        let world = World::new(kind).await;
        let token = bearer(&world.bw.token);
        let nobodys = fresh("x");
        let long = "x".repeat(5_000);
        for id in [nobodys.as_str(), "%00", "%0A", "%C3%A9", "a%2Fb", "..%2f..", "%20", "'%20OR%201=1--", &long] {
            for (method, path) in [
                ("GET", format!("/api/Preauth/{id}")),
                ("GET", format!("/api/Payment/{id}")),
                ("GET", format!("/api/Refund/{id}")),
                ("POST", format!("/api/Preauth/{id}/Cancel")),
            ] {
                let url = format!("{}{path}", world.bw.url);
                let reply = world.asker.ask(method, &url, &[("authorization", &token)], "").await;
                assert_eq!(
                    (reply.status, reply.code()),
                    (404, INVALID_PRECONDITIONS),
                    "{method} {path}: {}",
                    reply.text
                );
            }
        }
        let url = format!("{}/api/Preauth/%FF", world.bw.url);
        let reply = world.asker.ask("GET", &url, &[("authorization", &token)], "").await;
        assert_eq!(reply.status, 400, "an id that is not UTF-8: {}", reply.text);
        world.server.quiet().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_has_a_largest_size_however_it_is_sent() {
    on_each_database(async |kind| {
        let world = World::new(kind).await;
        let (bw, token) = (&world.bw, bearer(&world.bw.token));
        let agreement = world.server.agreement(bw).await;
        let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
        const MAX: usize = 256 * 1024;
        for path in ["/api/Preauth", "/api/Payment", "/api/Refund", "/api/Preauth/x/Cancel"] {
            let url = format!("{}{path}", bw.url);
            let reply = world.post(path, vec![b' '; MAX + 1]).await;
            assert_eq!((reply.status, reply.code()), (413, INVALID_DATA), "{path}: {}", reply.text);
            assert_eq!(world.post(path, vec![b' '; 64 * MAX]).await.status, 413, "{path}");
            assert_eq!(chunked(&url, &headers, MAX + 1).await, 413, "{path}, in chunks");
            assert_eq!(chunked(&url, &headers, 64 * MAX).await, 413, "{path}, in very many chunks");
        }
        // The largest that is taken, and the size of what comes before a refusal counts for nothing.
        let payment = bw.payment(&fresh("b"), &agreement, "9.9").to_string();
        let full = format!("{}{payment}", " ".repeat(MAX - payment.len()));
        assert_eq!(world.post("/api/Payment", full).await.status, 200);
        let headers = [("authorization", "Bearer nobody"), ("content-type", "application/json")];
        assert_eq!(chunked(&format!("{}/api/Payment", bw.url), &headers, 4 * MAX).await, 401);
        world.server.quiet().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_token_is_told_how_to_bring_a_right_one() {
    on_each_database(async |kind| {
        let world = World::new(kind).await;
        let token = &world.bw.token;
        let elsewhere = key_of_another_contract(&world.server).await;
        let (good, foreign) = (bearer(token), bearer(&elsewhere));
        let rows: &[&[(&str, &str)]] = &[
            &[],
            &[("authorization", "")],
            &[("authorization", "Bearer")],
            &[("authorization", "Bearer ")],
            &[("authorization", "Bearer nobody")],
            &[("authorization", token)],
            &[("authorization", &format!("Digest {token}"))],
            &[("authorization", &format!("{good}x"))],
            &[("authorization", &good.to_uppercase())],
            &[("authorization", "Basic !!!")],
            &[("authorization", "Basic bm9ib2R5")],
            &[("authorization", "Basic Og==")],
            &[("authorization", &basic("nobody"))],
            &[("authorization", &foreign)],
            &[("authorization", &basic(&elsewhere))],
            &[("authorization", &good), ("authorization", &good)],
            &[("x-api-key", token)],
        ];
        for headers in rows {
            for (method, path) in [
                ("POST", "/api/Preauth"),
                ("GET", "/api/Payment/x"),
                ("POST", "/Refund"),
                ("POST", "/api/preauth/x/cancel"),
            ] {
                // What the body says is not looked at.
                let reply = world.asker.ask(method, &format!("{}{path}", world.bw.url), headers, "{").await;
                assert_eq!(reply.status, 401, "{method} {path} {headers:?}: {}", reply.text);
                assert_ne!(reply.code(), LOGIN_ERROR, "it would switch the PSP off for the merchant");
                assert_eq!(reply.code(), INVALID_CONFIGURATION, "{}", reply.text);
                let asked = reply.all("www-authenticate");
                assert!(asked.contains("Bearer") && asked.contains("Basic realm="), "{asked}");
            }
        }
        // A token in the address is none: addresses are logged.
        let reply = world.asker.get(&format!("{}/api/Payment/x?token={token}", world.bw.url)).await;
        assert_eq!(reply.status, 401);
        world.server.quiet().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_methods_paths_and_media_types() {
    on_each_database(async |kind| {
        let world = World::new(kind).await;
        let token = bearer(&world.bw.token);
        let rows = [
            ("DELETE", "/api/Preauth", 405, "POST"),
            ("GET", "/api/Payment", 405, "POST"),
            ("PUT", "/api/preauth/x", 405, "GET"),
            ("GET", "/api/Preauth/x/Cancel", 405, "POST"),
            ("PATCH", "/Refund", 405, "POST"),
            ("OPTIONS", "/api/Refund/x", 405, "GET"),
            ("GET", "/api/Nothing", 404, ""),
            ("POST", "/api", 404, ""),
            ("POST", "/api/Preauth/x/Cancel/y", 404, ""),
            ("POST", "/api//Preauth", 404, ""),
            ("POST", "/preauth", 404, ""),
            ("GET", "/", 404, ""),
        ];
        for (method, path, status, allow) in rows {
            let url = format!("{}{path}", world.bw.url);
            let reply = world.asker.ask(method, &url, &[("authorization", &token)], "").await;
            assert_eq!(reply.status, status, "{method} {path}: {}", reply.text);
            assert_eq!(reply.header("allow").unwrap_or_default(), allow, "{method} {path}");
        }
        let agreement = world.server.agreement(&world.bw).await;
        let right = world.bw.payment(&fresh("b"), &agreement, "9.9");
        let url = format!("{}/api/Payment", world.bw.url);
        for content_type in ["text/plain", "application/xml", "application/x-www-form-urlencoded", "json", "*/*", ""] {
            let headers = [("authorization", token.as_str()), ("content-type", content_type)];
            let reply = world.asker.ask("POST", &url, &headers, right.to_string()).await;
            assert_eq!((reply.status, reply.code()), (415, INVALID_DATA), "{content_type:?}: {}", reply.text);
        }
        assert_eq!(world.post("/api/Payment", right.to_string()).await.status, 200);
        world.server.quiet().await;
    })
    .await;
}
