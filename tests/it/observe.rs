//! What those see who watch the server: metrics, logs, traces, readiness.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use rialto::metrics::TABLE;
use rialto_adapters::port::Duration;
use serde_json::Value;

use crate::ask::{Asker, bearer};
use crate::billwerk::{Billwerk, fresh};
use crate::process::Place;
use crate::receiver::{PATIENCE, Receiver};
use crate::server::{Server, on_each_database};

/// Series of a Prometheus text: name with labels, value.
fn series(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.rsplit_once(' ')).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Name and label names of one series.
fn parts(series: &str) -> (&str, Vec<&str>) {
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    let labels = labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty());
    (name, labels.filter_map(|label| label.split('=').next()).filter(|label| *label != "le").collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_show_what_happened_and_nobodys_secrets() {
    on_each_database(async |kind| {
        let server = Server::start(kind, 50).await;
        let bw = server.billwerk();
        let agreement = server.agreement(&bw).await;
        for script in ["00", "11", "22", "31", "35"] {
            bw.post("/api/Payment", &bw.payment(&fresh("b"), &agreement, &format!("60.{script}"))).await;
        }
        bw.get("/api/Payment/nothing").await;
        server.quiet().await;
        let url = format!("{}/metrics", server.url);
        let seen = [
            "rialto_http_request_seconds_count{contract=\"billwerk\",operation=\"createPayment\",status=\"2xx\"}",
            "rialto_http_request_seconds_count{contract=\"billwerk\",operation=\"createPayment\",status=\"4xx\"}",
            "rialto_http_request_seconds_count{contract=\"billwerk\",operation=\"getPayment\",status=\"4xx\"}",
            "rialto_intents_total{contract=\"billwerk\",kind=\"payment\"}",
            "rialto_transactions_total{adapter=\"sandbox\",kind=\"charge\",state=\"submitted\"}",
            "rialto_transactions_total{adapter=\"sandbox\",kind=\"charge\",state=\"succeeded\"}",
            "rialto_transactions_total{adapter=\"sandbox\",kind=\"charge\",state=\"declined\"}",
            "rialto_transactions_total{adapter=\"sandbox\",kind=\"charge\",state=\"unknown\"}",
            "rialto_psp_call_seconds_count{adapter=\"sandbox\",purpose=\"submit\",outcome=\"reported\"}",
            "rialto_psp_call_seconds_count{adapter=\"sandbox\",purpose=\"submit\",outcome=\"unknown\"}",
            "rialto_psp_call_seconds_count{adapter=\"sandbox\",purpose=\"lookup\",outcome=\"reported\"}",
            "rialto_notices_total{adapter=\"sandbox\",verdict=\"verified\"}",
            "rialto_notices_total{adapter=\"sandbox\",verdict=\"rejected\"}",
            "rialto_notices_read_total{adapter=\"sandbox\",outcome=\"applied\"}",
            "rialto_delivery_seconds_count{profile=\"billwerk\",outcome=\"accepted\"}",
            "rialto_writer_batch_units_count",
            "rialto_writer_commit_seconds_count",
            "rialto_worker_sweeps_total{worker=\"outbox\",outcome=\"busy\"}",
            "rialto_build_info{version=\"0.1.0\"}",
        ];
        // What is told of the last call may be counted a moment later.
        let asker = Asker::new();
        server
            .until("all counted", async || {
                let told = series(&asker.get(&url).await.text);
                seen.iter().all(|name| told.get(*name).is_some_and(|value| value != "0"))
            })
            .await;
        let reply = asker.get(&url).await;
        assert_eq!(
            (reply.status, reply.header("content-type")),
            (200, Some("text/plain; version=0.0.4; charset=utf-8"))
        );
        let told = series(&reply.text);
        let table: BTreeMap<&str, &[&str]> = TABLE.iter().map(|f| (f.line().name, f.line().labels)).collect();
        for name in told.keys() {
            let (name, labels) = parts(name);
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            let known = table.get(name).or_else(|| family.and_then(|family| table.get(family)));
            assert_eq!(known.copied(), Some(&labels[..]), "{name} is in the table, with these labels");
        }
        assert_eq!(told["rialto_database_figures_up"], "1");
        for gauge in ["unknown_seconds", "unsent_delivery_seconds", "parked_notice_seconds"] {
            assert!(told.contains_key(&format!("rialto_oldest_{gauge}")), "{gauge}");
        }
        assert!(told.contains_key("rialto_open_transactions{state=\"unknown\"}"));
        for name in told.keys().filter(|name| name.contains("contract=\"billwerk\"")) {
            assert!(!name.contains("operation=\"-\""), "{name} has the name of its operation");
        }
        let (tenant, connection) = (server.tenant.to_string(), server.connection.to_string());
        for secret in [&bw.token, &agreement, &tenant, &connection, "127.0.0.1"] {
            assert!(!reply.text.contains(secret), "{secret} is in the metrics");
        }
    })
    .await;
}

/// What is read from the database, as it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_oldest_things_are_as_old_as_they_are() {
    on_each_database(async |kind| {
        let server = Server::start(kind, 50).await;
        let bw = server.billwerk();
        let agreement = server.agreement(&bw).await;
        let payment = fresh("b");
        bw.post("/api/Payment", &bw.payment(&payment, &agreement, "10.00")).await;
        // The answer to this one is lost, and nobody can find out.
        bw.post("/api/Refund", &bw.refund(&fresh("c"), &payment, "1.23")).await;
        server.alert("needs_person").await;
        server.quiet().await;
        let store = server.store();
        let before = store.figures().await.expect("figures");
        assert_eq!(before.open_transactions, [0, 0, 0, 1], "{before:?}");
        assert_eq!((before.open_alerts, before.dead_deliveries, before.oldest_unsent), (1, 0, None));
        let since = before.oldest_unknown.expect("there is one");
        server.app.engine.clock.advance(Duration::from_secs(3_600));
        let asker = Asker::new();
        let told = series(&asker.get(&format!("{}/metrics", server.url)).await.text);
        let age: u64 = told["rialto_oldest_unknown_seconds"].parse().expect("a number");
        let now = server.app.engine.clock.now();
        assert!((3_600..=since.until(now).as_secs()).contains(&age), "{age}");
    })
    .await;
}

const TRACES: [&str; 3] =
    ["0af7651916cd43dd8448eb211c80319c", "1bf7651916cd43dd8448eb211c80319d", "2cf7651916cd43dd8448eb211c80319e"];
const CALLER: &str = "b7ad6b7169203331";

async fn pay(place: &Place, bw: &Billwerk, trace: &str, agreement: &str, amount: &str) -> (u16, Value, String) {
    let url = format!("http://{}/api/Payment", place.address);
    let (token, parent) = (bearer(&bw.token), format!("00-{trace}-{CALLER}-01"));
    let headers =
        [("content-type", "application/json"), ("authorization", token.as_str()), ("traceparent", parent.as_str())];
    let body = bw.payment(&fresh("b"), agreement, amount).to_string();
    let reply = Asker::new().ask("POST", &url, &headers, body).await;
    (reply.status, reply.json(), reply.header("x-request-id").expect("an id").to_owned())
}

/// Waits until the log has what `found` looks for.
async fn logged<T>(place: &Place, what: &str, found: impl Fn(&[Value]) -> Option<T>) -> T {
    let waiting = async {
        loop {
            let log = place.log();
            let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
            match found(&lines) {
                Some(found) => return found,
                None => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
            }
        }
    };
    let found = tokio::time::timeout(PATIENCE, waiting).await;
    found.unwrap_or_else(|_| panic!("the log never has {what}: {}", place.log()))
}

/// The texts of the lines under one id.
fn story<'a>(lines: &'a [Value], trace: &str) -> Vec<(&'a str, &'a Value)> {
    let own = lines.iter().filter(|line| line["trace"] == trace);
    own.map(|line| (line["message"].as_str().unwrap_or("access"), line)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_id_goes_from_the_request_to_the_delivered_notice() {
    let place = Place::new("sqlite").await;
    let settings = [("RIALTO_LOG_FORMAT", "json".to_owned()), ("RIALTO_TIME_SCALE", "50".to_owned())];
    let process = place.start(&settings).await;
    let receiver = Receiver::start().await;
    let mut bw = place.billwerk();
    bw.webhook_target = receiver.url.clone();
    let agreement = fresh("ag");
    bw.sign_up(&agreement, "1.00").await;
    let told = receiver.got().len();
    let amounts = ["70.31", "70.22", "-3.00"];
    let answers =
        join_all(TRACES.iter().zip(amounts).map(|(trace, amount)| pay(&place, &bw, trace, &agreement, amount)));
    for ((status, _, id), (trace, expected)) in answers.await.into_iter().zip(TRACES.iter().zip([200, 200, 422])) {
        assert_eq!((status, id.as_str()), (expected, *trace));
    }
    receiver.wait_for("two notices", |got| got.len() >= told + 2).await;
    assert!(receiver.traceparents().iter().all(Option::is_none), "traces are off");

    let accepted = logged(&place, "both deliveries", |lines| {
        let done = |trace| story(lines, trace).iter().any(|(text, _)| *text == "delivery attempted");
        (done(TRACES[0]) && done(TRACES[1])).then(|| lines.to_vec())
    })
    .await;
    for (trace, wanted) in [
        (TRACES[0], &["accepted", "submitted", "applied", "access", "delivery attempted"][..]),
        (TRACES[1], &["accepted", "submitted", "applied", "access", "looked up", "delivery attempted"][..]),
        (TRACES[2], &["refused", "access"][..]),
    ] {
        let story = story(&accepted, trace);
        let texts: BTreeSet<&str> = story.iter().map(|(text, _)| *text).collect();
        assert_eq!(texts, wanted.iter().copied().collect(), "{story:?}");
        let intents: BTreeSet<&str> = story.iter().filter_map(|(_, line)| line["intent"].as_str()).collect();
        assert_eq!(intents.len(), usize::from(trace != TRACES[2]), "{story:?}");
    }
    // The notice that ended the first is named, so that its own lines are found too.
    let first = story(&accepted, TRACES[0]);
    let by_notice = first.iter().find(|(_, line)| line["source"] == "notice").expect("it came by notice").1;
    let notice = by_notice["notice"].as_str().expect("an id");
    assert!(accepted.iter().any(|line| line["message"] == "notice" && line["notice"] == notice), "{notice}");
    // A refusal says why, without what was sent.
    let refused = story(&accepted, TRACES[2]).into_iter().find(|(text, _)| *text == "refused").expect("a line").1;
    assert_eq!(
        (&refused["status"], &refused["field"]),
        (&Value::from(422), &Value::from("requestedAmount")),
        "{refused}"
    );
    assert!(refused["code"].is_string() && !refused.to_string().contains("-3"), "{refused}");

    let log = place.log();
    let demo = place.demo();
    for secret in [bw.token.as_str(), demo["admin_key"].as_str().expect("a key"), "Analytical", "Lovelace", "ada@"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
    process.kill().await;
}

/// A span as the collector got it.
#[derive(Clone, Debug)]
struct Span {
    id: String,
    parent: Option<String>,
    name: String,
    kind: i64,
    attributes: BTreeMap<String, String>,
}

fn spans(got: &[Value], trace: &str) -> Vec<Span> {
    let all = got.iter().flat_map(|body| body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().cloned());
    all.flatten()
        .filter(|span| span["traceId"] == trace)
        .map(|span| Span {
            id: span["spanId"].as_str().expect("an id").to_owned(),
            parent: span["parentSpanId"].as_str().map(str::to_owned),
            name: span["name"].as_str().expect("a name").to_owned(),
            kind: span["kind"].as_i64().expect("a kind"),
            attributes: span["attributes"]
                .as_array()
                .expect("a list")
                .iter()
                .map(|a| {
                    (a["key"].as_str().unwrap_or_default(), a["value"]["stringValue"].as_str().unwrap_or_default())
                })
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
        })
        .collect()
}

fn named<'a>(spans: &'a [Span], name: &'a str) -> impl Iterator<Item = &'a Span> {
    spans.iter().filter(move |span| span.name == name)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_is_told_what_belongs_to_what() {
    let (collector, receiver) = (Receiver::start().await, Receiver::start().await);
    let endpoint = collector.url.trim_end_matches("/hook").to_owned();
    let place = Place::new("sqlite").await;
    let settings = [("RIALTO_OTLP_ENDPOINT", endpoint), ("RIALTO_TIME_SCALE", "50".to_owned())];
    let process = place.start(&settings).await;
    let mut bw = place.billwerk();
    bw.webhook_target = receiver.url.clone();
    let agreement = fresh("ag");
    bw.sign_up(&agreement, "1.00").await;
    let _ = tokio::join!(
        pay(&place, &bw, TRACES[0], &agreement, "70.31"),
        pay(&place, &bw, TRACES[1], &agreement, "70.22"),
    );
    let got = collector
        .wait_for("the spans of both deliveries", |got| {
            TRACES[..2].iter().all(|trace| named(&spans(got, trace), "delivery").next().is_some())
        })
        .await;
    for trace in &TRACES[..2] {
        let spans = spans(&got, trace);
        let one = |name: &str| {
            let found: Vec<&Span> = spans.iter().filter(|span| span.name == name).collect();
            assert_eq!(found.len(), 1, "one {name} in {spans:#?}");
            found[0].clone()
        };
        let (request, accept, submit) = (one("request"), one("accept"), one("submit"));
        assert_eq!((request.parent.as_deref(), request.kind), (Some(CALLER), 2));
        let about = |name: &str| request.attributes.get(name).map(String::as_str);
        assert_eq!((about("operation"), about("status")), (Some("createPayment"), Some("200")));
        assert_eq!(accept.parent.as_ref(), Some(&request.id));
        assert_eq!(submit.parent.as_ref(), Some(&request.id));
        let child_of = |name: &str, parent: &Span| {
            assert!(named(&spans, name).any(|span| span.parent.as_ref() == Some(&parent.id)), "{name}: {spans:#?}");
        };
        child_of("commit", &accept);
        child_of("psp", &submit);
        child_of("apply", &submit);
        // Later, and elsewhere: children of what made the intent.
        let delivery = named(&spans, "delivery").next().expect("it was waited for");
        assert_eq!((delivery.parent.as_ref(), delivery.kind), (Some(&accept.id), 3));
        if *trace == TRACES[1] {
            let lookup = named(&spans, "lookup").next().expect("its answer was lost");
            assert_eq!(lookup.parent.as_ref(), Some(&accept.id));
            child_of("psp", lookup);
        } else {
            let by_notice = named(&spans, "apply").any(|span| span.parent.as_ref() == Some(&accept.id));
            assert!(by_notice, "the notice is applied under the id of its payment: {spans:#?}");
        }
        // The receiver knows what it was told under.
        let carried = format!("00-{trace}-{}-01", delivery.id);
        assert!(receiver.traceparents().contains(&Some(carried.clone())), "{carried} {:?}", receiver.traceparents());
        let ids: BTreeSet<&str> = spans.iter().map(|span| span.id.as_str()).collect();
        assert_eq!(ids.len(), spans.len(), "each id once");
    }
    let text = Value::from(got).to_string();
    let demo = place.demo();
    let page = "/sandbox/pay/";
    for secret in [bw.token.as_str(), demo["admin_key"].as_str().expect("a key"), "Analytical", page, &receiver.url] {
        assert!(!text.contains(secret), "{secret} was told to the collector");
    }
    let metrics = series(&Asker::new().get(&format!("http://{}/metrics", place.address)).await.text);
    assert!(metrics.contains_key("rialto_spans_total{outcome=\"exported\"}"), "{metrics:?}");
    process.kill().await;
}

/// Waits until a check is in a state; answers the status and why.
async fn check(server: &Server, name: &str, state: &str) -> (u16, String) {
    let asker = Asker::new();
    let url = format!("{}/health/ready", server.url);
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let reply = asker.get(&url).await;
        let checks = reply.json()["checks"].as_array().cloned().unwrap_or_default();
        let found = checks.iter().find(|check| check["name"] == name && check["state"] == state);
        if let Some(found) = found {
            let status = if reply.status == 200 { "ready" } else { "not ready" };
            assert_eq!(reply.json()["status"], status);
            return (reply.status, found["why"].as_str().unwrap_or_default().to_owned());
        }
        assert!(tokio::time::Instant::now() < deadline, "{name} never became {state}: {}", reply.text);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_says_what_is_wrong() {
    on_each_database(async |kind| {
        let database = rialto::store::testing::fresh_url(kind);
        let beside = database.beside();
        let server = Server::start_on(database, 50).await;
        for name in ["serving", "database", "writer", "schema", "disk", "clock"] {
            assert_eq!(check(&server, name, "ok").await.0, 200, "{name}");
        }
        let mine = "m20261121_000005_observe";
        beside.execute("INSERT INTO seaql_migrations (version, applied_at) VALUES ('m29991231_000000_later', 0)");
        let (status, why) = check(&server, "schema", "warn").await;
        assert_eq!(status, 200, "older nodes go on while newer ones start: {why}");
        assert!(why.contains("newer"), "{why}");
        beside.execute("DELETE FROM seaql_migrations WHERE version = 'm29991231_000000_later'");
        beside.execute(&format!("UPDATE seaql_migrations SET version = '{mine}_not' WHERE version = '{mine}'"));
        beside.execute(&format!("DELETE FROM seaql_migrations WHERE version = '{mine}_not'"));
        let (status, why) = check(&server, "schema", "failed").await;
        assert!(status == 503 && why.contains("older") && why.contains(mine), "{status} {why}");
        beside.execute(&format!("INSERT INTO seaql_migrations (version, applied_at) VALUES ('{mine}', 0)"));
        assert_eq!(check(&server, "schema", "ok").await.0, 200);

        server.app.engine.clock.advance(Duration::from_secs(3_600));
        let (status, why) = check(&server, "clock", "warn").await;
        assert!(status == 200 && why.contains("moved by 36"), "{why}");
        if kind == "postgres" {
            let (_, why) = check(&server, "database", "warn").await;
            assert!(why.contains("differ by 3"), "{why}");
            // As a standby is after a failover to it.
            beside.read_only(true);
            let bw = server.billwerk();
            let (status, _) = bw.post("/api/Preauth", &bw.preauth(&fresh("a"), &fresh("ag"), "20.00")).await;
            assert_eq!(status, 500);
            let (status, why) = check(&server, "writer", "failed").await;
            assert!(status == 503 && why.contains("takes no writes"), "{why}");
            beside.read_only(false);
            assert_eq!(check(&server, "writer", "ok").await.0, 200);
        }
        if kind == "sqlite" {
            beside.execute("ALTER TABLE leases RENAME TO elsewhere");
            let (status, why) = check(&server, "database", "failed").await;
            assert!(status == 503 && !why.contains("leases"), "what the database says is for the log: {why}");
            beside.execute("ALTER TABLE elsewhere RENAME TO leases");
            assert_eq!(check(&server, "database", "ok").await.0, 200);
        }
    })
    .await;
}
