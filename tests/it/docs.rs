//! The documents: they can be read in a browser without anybody else's help, and what stands in them works.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::ask::Asker;
use crate::billwerk::Billwerk;
use crate::server::{Server, on_each_database};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_and_all_it_needs_come_from_here() {
    on_each_database(async |kind| {
        let server = Server::start(kind, 1).await;
        let asker = Asker::new();
        let moved = asker.get(&format!("{}/docs", server.url)).await;
        assert_eq!((moved.status, moved.header("location")), (308, Some("docs/")));
        let page = asker.get(&format!("{}/docs/", server.url)).await;
        assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
        let policy = page.header("content-security-policy").expect("a policy");
        for part in ["default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("http:") && !policy.contains("https:"), "{policy}");
        assert!(!policy.contains("script-src 'self' 'unsafe"), "{policy}");

        let names: Vec<&str> =
            page.text.split('"').filter(|part| part.ends_with(".js") || part.ends_with(".css")).collect();
        assert!(names.len() >= 4, "{names:?}");
        for name in names {
            assert!(!name.contains("//"), "{name} comes from elsewhere");
            let asset = asker.get(&format!("{}/docs/{name}", server.url)).await;
            assert_eq!(asset.status, 200, "{name}");
            assert!(!asset.text.is_empty(), "{name}");
            let expected = if name.ends_with(".js") { "text/javascript" } else { "text/css" };
            assert!(asset.header("content-type").is_some_and(|have| have.starts_with(expected)), "{name}");
            assert_eq!(asset.header("x-content-type-options"), Some("nosniff"), "{name}");
            let etag = asset.header("etag").expect("an etag").to_owned();
            let again = asker.ask("GET", &format!("{}/docs/{name}", server.url), &[("if-none-match", &etag)], "").await;
            assert_eq!((again.status, again.text.as_str()), (304, ""), "{name}");
        }
        for path in
            ["/docs/nothing.js", "/docs/../master.key", "/docs/%2e%2e/demo.json", "/openapi/", "/openapi/x.json"]
        {
            assert_eq!(asker.get(&format!("{}{path}", server.url)).await.status, 404, "{path}");
        }
        for (name, committed) in [
            ("billwerk", include_str!("../../openapi/billwerk.json")),
            ("admin", include_str!("../../openapi/admin.json")),
        ] {
            let served = asker.get(&format!("{}/openapi/{name}.json", server.url)).await;
            assert_eq!((served.status, served.header("content-type")), (200, Some("application/json")));
            assert!(
                served.text == committed,
                "openapi/{name}.json is not what is served: cargo run -- openapi --out openapi"
            );
        }
        server.quiet().await;
    })
    .await;
}

fn document(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

/// Method, path and description of every operation.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().expect("paths");
    let of = |(path, item): (&String, &Value)| {
        let methods = item.as_object().expect("methods").clone();
        methods
            .into_iter()
            .map(|(method, operation)| (method.to_uppercase(), path.clone(), operation))
            .collect::<Vec<_>>()
    };
    paths.iter().flat_map(of).collect()
}

#[test]
fn every_operation_is_described() {
    for text in [include_str!("../../openapi/billwerk.json"), include_str!("../../openapi/admin.json")] {
        let document = document(text);
        assert!(document["info"]["description"].as_str().is_some_and(|text| text.len() > 50));
        let mut ids = BTreeSet::new();
        for (method, path, operation) in operations(&document) {
            let name = format!("{method} {path}");
            assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{name} has no summary");
            assert!(ids.insert(operation["operationId"].to_string()), "{name} has an id twice");
            assert!(operation["security"].as_array().is_some_and(|all| !all.is_empty()), "{name} needs no credential");
            let answers = operation["responses"].as_object().expect("responses");
            for status in ["200", "401", "500"] {
                assert!(answers.contains_key(status), "{name} does not say when it answers {status}");
            }
            for (status, answer) in answers {
                let description = answer["description"].as_str().unwrap_or_default();
                assert!(!description.is_empty(), "{name} {status} has no description");
            }
            if method == "POST" && operation.get("requestBody").is_some() {
                let examples = &operation["requestBody"]["content"]["application/json"]["examples"];
                assert!(examples.as_object().is_some_and(|all| !all.is_empty()), "{name} has no example");
            }
        }
    }
}

/// The names that an answer has and the document does not know, and those it should have and has not.
fn unlike(document: &Value, operation: &Value, status: u16, answer: &Value) -> Vec<String> {
    let content = &operation["responses"][status.to_string()]["content"]["application/json"];
    let Some(reference) = content["schema"]["$ref"].as_str() else { return vec![format!("{status} has no schema")] };
    let name = reference.rsplit('/').next().expect("a name");
    let schema = &document["components"]["schemas"][name];
    let known = schema["properties"].as_object().expect("properties");
    let has = answer.as_object().expect("an object");
    let mut wrong: Vec<String> = has.keys().filter(|key| !known.contains_key(*key)).cloned().collect();
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    wrong.extend(required.filter(|name| !has.contains_key(*name)).map(|name| format!("no {name}")));
    wrong
}

/// Every example of the document is sent as it stands, in the document's order, as somebody would who tries the page out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_examples_work_when_they_are_sent() {
    on_each_database(async |kind| {
        let server = Server::start(kind, 1).await;
        let bw = server.billwerk();
        let document = document(include_str!("../../openapi/billwerk.json"));
        let base = document["servers"][0]["url"].as_str().expect("a base");
        let mut sent = Vec::new();
        // A payer's choice stands between some of them, and cancelling comes last.
        for wanted in ["createPreauth", "createPayment", "createRefund", "cancelPreauth"] {
            let all = operations(&document);
            let (_, path, operation) = all.iter().find(|(.., o)| o["operationId"] == wanted).expect("it is there");
            let examples = operation["requestBody"]["content"]["application/json"]["examples"].as_object();
            for (name, example) in examples.expect("examples") {
                let id = sent.iter().rfind(|(p, _): &&(String, String)| p == "/Preauth").map(|(_, id)| id.clone());
                let path = format!("{base}{}", path.replace("{id}", &id.unwrap_or_default()));
                let (status, answer) = bw.post(&path, &example["value"]).await;
                assert_eq!(status, 200, "{wanted}, {name}: {answer}");
                assert_eq!(unlike(&document, operation, status, &answer), Vec::<String>::new(), "{wanted}, {name}");
                approve(&bw, &answer).await;
                let id = example["value"]["transactionId"].as_str().unwrap_or_default().to_owned();
                if !id.is_empty() {
                    let done = |(_, body): &(u16, Value)| body["status"] == "Succeeded";
                    let shown = bw.get_until(&format!("{path}/{id}"), "Succeeded", done).await;
                    let get =
                        all.iter().find(|(m, p, _)| m == "GET" && format!("{base}{p}") == format!("{path}/{{id}}"));
                    let (.., get) = get.expect("what is made can be shown");
                    assert_eq!(unlike(&document, get, 200, &shown.1), Vec::<String>::new(), "{wanted}, {name}");
                    sent.push((path.trim_start_matches(base).to_owned(), id));
                }
            }
        }
        // These make nothing, and so are shown nowhere.
        let (asker, token) = (Asker::new(), crate::ask::bearer(&bw.token));
        let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
        for wanted in ["finalizePreauth", "putSettings", "getSettings", "getIntegrationInfo"] {
            let all = operations(&document);
            let (method, path, operation) = all.iter().find(|(.., o)| o["operationId"] == wanted).expect("it is there");
            let examples = operation["requestBody"]["content"]["application/json"]["examples"].as_object();
            let bodies = examples.map(|all| all.values().map(|one| one["value"].to_string()).collect());
            for body in bodies.unwrap_or_else(|| vec![String::new()]) {
                let reply = asker.ask(method, &format!("{}{base}{path}", server.url), &headers, body).await;
                assert_eq!(reply.status, 200, "{wanted}: {}", reply.text);
                assert_eq!(unlike(&document, operation, 200, &reply.json()), Vec::<String>::new(), "{wanted}");
            }
        }
        assert!(sent.len() >= 6, "{sent:?}");
        let (status, body) = bw.get("/api/Payment/nobody").await;
        let (.., get) =
            operations(&document).into_iter().find(|(.., o)| o["operationId"] == "getPayment").expect("there");
        assert_eq!(unlike(&document, &get, status, &body), Vec::<String>::new(), "errors are as documented: {body}");
        // Nobody listens where the examples' notices go, so they are still due: nothing waits for quiet here.
        assert_eq!(server.receiver.got(), Vec::<Value>::new());
    })
    .await;
}

/// Where the payer is asked: yes.
async fn approve(bw: &Billwerk, answer: &Value) {
    if answer["redirectUrl"].is_string() {
        assert_eq!(answer["status"], json!("Pending"), "{answer}");
        bw.finish_page(answer, "approve").await;
    }
}
