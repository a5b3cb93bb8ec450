//! Who may call what: every operation with every kind of credential, and what belongs to somebody else.

use rialto::app;
use rialto::contracts::billwerk::access::{Credential, OPERATIONS, Operation, Subject, expected};
use serde_json::{Value, json};

use crate::ask::{Asker, Reply, basic, bearer};
use crate::billwerk::{Billwerk, fresh};
use crate::server::{Server, on_each_database};

struct World {
    server: Server,
    owner: Billwerk,
    stranger: Billwerk,
    asker: Asker,
    agreement: String,
}

/// What an operation acts on, made by its owner.
struct Subjects {
    preauth: String,
    payment: String,
    refund: String,
}

impl World {
    async fn new(kind: &str) -> World {
        let server = Server::start(kind, 1).await;
        let (owner, stranger) = (server.billwerk(), server.another_tenant().await);
        let agreement = server.agreement(&owner).await;
        World { server, owner, stranger, asker: Asker::new(), agreement }
    }

    async fn made(&self, path: &str, body: &Value) -> String {
        let (status, answer) = self.owner.post(path, body).await;
        assert_eq!((status, &answer["status"]), (200, &json!("Succeeded")), "{answer}");
        body["transactionId"].as_str().expect("a text").to_owned()
    }

    async fn subjects(&self) -> Subjects {
        let mut preauth = self.owner.preauth(&fresh("a"), &self.agreement, "20.00");
        preauth["isInitial"] = json!(false);
        let preauth = self.made("/api/Preauth", &preauth).await;
        let payment = self.made("/api/Payment", &self.owner.payment(&fresh("b"), &self.agreement, "20.00")).await;
        let refund = self.made("/api/Refund", &self.owner.refund(&fresh("c"), &payment, "1.00")).await;
        Subjects { preauth, payment, refund }
    }

    /// A request that is right but for whoever sends it. `id` is the subject's.
    async fn request(&self, operation: &Operation, id: &str, authorization: Option<&str>) -> (String, String) {
        let body = match operation.operation_id {
            "createPreauth" => {
                let mut body = self.owner.preauth(&fresh("a"), &fresh("ag"), "20.00");
                body["paymentMeansReference"] =
                    json!({"role": "Debit", "initialBearer": {"Holder": "Ada", "IBAN": "DE89370400440532013000"}});
                body.to_string()
            }
            "createPayment" => {
                let mut body = self.owner.capture(&fresh("b"), id, &self.agreement, "10.00");
                body.as_object_mut().expect("an object").remove("agreementId");
                body.to_string()
            }
            "createRefund" => self.owner.refund(&fresh("c"), id, "1.00").to_string(),
            "finalizePreauth" => json!({ "transactionId": id }).to_string(),
            // What is shown can be sent back, and changes nothing.
            "putSettings" => {
                let headers: Vec<(&str, &str)> =
                    authorization.map(|value| ("authorization", value)).into_iter().collect();
                self.asker.ask("GET", &format!("{}/api/Settings", self.owner.url), &headers, "").await.text
            }
            _ => String::new(),
        };
        (format!("{}{}", self.owner.url, operation.path.replace("{id}", id)), body)
    }

    async fn send(&self, operation: &Operation, id: &str, authorization: Option<&str>) -> Reply {
        let (url, body) = self.request(operation, id, authorization).await;
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(authorization.map(|value| ("authorization", value)));
        self.asker.ask(operation.method, &url, &headers, body).await
    }
}

fn id_of(operation: &Operation, subjects: &Subjects) -> String {
    match operation.subject {
        Subject::Nothing => String::new(),
        Subject::Preauth => subjects.preauth.clone(),
        Subject::Payment => subjects.payment.clone(),
        Subject::Refund => subjects.refund.clone(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_with_every_credential() {
    on_each_database(async |kind| {
        let world = World::new(kind).await;
        for operation in OPERATIONS {
            for credential in Credential::ALL {
                let (own, foreign) = (&world.owner.token, &world.stranger.token);
                let authorization = match credential {
                    Credential::None => None,
                    Credential::Wrong => Some(bearer("sk_test_nobody")),
                    Credential::OtherScheme => Some(format!("Digest {own}")),
                    Credential::OwnBearer => Some(bearer(own)),
                    Credential::OwnBasic => Some(basic(own)),
                    Credential::Foreign => Some(bearer(foreign)),
                };
                let id = id_of(operation, &world.subjects().await);
                let reply = world.send(operation, &id, authorization.as_deref()).await;
                let wanted = expected(operation, *credential);
                assert_eq!(reply.status, wanted, "{} {credential:?}: {}", operation.operation_id, reply.text);
                assert_eq!(reply.headers.contains_key("www-authenticate"), wanted == 401, "{}", operation.operation_id);
            }
        }
        world.server.quiet().await;
    })
    .await;
}

/// An answer without what differs between any two: the times in it.
fn timeless(reply: &Reply) -> String {
    let at = reply.json()["ReceivedAt"].as_str().expect("a time").to_owned();
    let names: Vec<&str> = reply.headers.keys().map(|name| name.as_str()).collect();
    format!("{} {names:?} {}", reply.status, reply.text.replace(&at, "AT"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_belongs_to_somebody_else_is_as_if_it_were_not_there() {
    on_each_database(async |kind| {
        let world = World::new(kind).await;
        let subjects = world.subjects().await;
        let stranger = bearer(&world.stranger.token);
        for operation in OPERATIONS.iter().filter(|operation| operation.subject != Subject::Nothing) {
            let id = id_of(operation, &subjects);
            let foreign = world.send(operation, &id, Some(&stranger)).await;
            let unknown = world.send(operation, &fresh("x"), Some(&stranger)).await;
            assert_eq!(timeless(&foreign), timeless(&unknown), "{}", operation.operation_id);
        }
        // Nor can means of payment be used by whoever hears the agreement's name.
        let mut answers = Vec::new();
        for agreement in [world.agreement.clone(), fresh("ag")] {
            let body = world.stranger.payment(&fresh("b"), &agreement, "10.00");
            let (status, answer) = world.stranger.post("/api/Payment", &body).await;
            let message = answer["ErrorMessage"].as_str().expect("a text").replace(&agreement, "AGREEMENT");
            answers.push((status, answer["ErrorCode"].clone(), message));
        }
        assert_eq!((answers[0].0, &answers[0].1), (422, &json!(11)), "{answers:?}");
        assert_eq!(answers[0], answers[1]);
        // A stranger may use the same ids for things of his own: neither sees the other's.
        let mut own = world.stranger.preauth(&subjects.preauth, &world.agreement, "7.00");
        own["paymentMeansReference"] =
            json!({"role": "Debit", "initialBearer": {"Holder": "Eve", "IBAN": "DE89370400440532013000"}});
        let (status, answer) = world.stranger.post("/api/Preauth", &own).await;
        assert_eq!((status, &answer["requestedAmount"]), (200, &json!(7)), "{answer}");
        let (_, answer) = world.owner.get(&format!("/api/Preauth/{}", subjects.preauth)).await;
        assert_eq!(answer["requestedAmount"], json!(20), "{answer}");
        world.server.quiet().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_is_answered_in_its_spellings_and_by_one_owner() {
    on_each_database(async |kind| {
        let paths = app::paths().expect("documents");
        assert_eq!(paths.clashes(), Vec::<String>::new());
        let world = World::new(kind).await;
        let fill = |template: &str| template.replace("{id}", "x").replace("{tenant}", "x").replace("{connection}", "x");
        for path in &paths.0 {
            let (method, url) = (path.method.as_str(), fill(&path.template));
            let lower = url.to_lowercase();
            let upper = url.to_uppercase();
            let ask = async |url: &str| world.asker.ask(method, &format!("{}{url}", world.owner.url), &[], "").await;
            match path.owner {
                "billwerk" if url.starts_with("/r/") => continue,
                "billwerk" if path.any_case => {
                    for url in [&url, &lower, &upper, &format!("{url}/")] {
                        assert_eq!(ask(url).await.status, 401, "{method} {url}");
                    }
                }
                "billwerk" => {
                    assert_eq!(ask(&url).await.status, 401, "{method} {url}");
                    for url in [&lower, &upper] {
                        assert_eq!(ask(url).await.status, 404, "{method} {url}");
                    }
                }
                "admin" => {
                    assert_eq!(ask(&url).await.status, 401, "{method} {url}");
                    let token = bearer(&world.owner.token);
                    let headers = [("authorization", token.as_str()), ("x-admin-key", world.owner.token.as_str())];
                    let reply = world.asker.ask(method, &format!("{}{url}", world.owner.url), &headers, "{}").await;
                    assert_eq!(reply.status, 401, "a tenant's key is no operator's: {method} {url}");
                }
                "docs" | "health" => {
                    let status = ask(&url).await.status;
                    assert!(status == 200 || (url == "/docs" && status == 308), "{method} {url}: {status}");
                }
                // Both say 404 to a made-up name; their own tests know real ones.
                "hooks" | "sandbox" => continue,
                other => panic!("{other} is not looked at by this test"),
            }
        }
        world.server.quiet().await;
    })
    .await;
}
