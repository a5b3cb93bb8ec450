//! A billing platform, as far as the tests need one.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::receiver::PATIENCE;

/// A caller with one key.
#[derive(Clone)]
pub struct Billwerk {
    pub url: String,
    pub token: String,
    pub webhook_target: String,
    client: reqwest::Client,
}

/// An answer: its status and its body, null where there is none.
pub type Answer = (u16, Value);

static NEXT: AtomicU64 = AtomicU64::new(1);

/// A transaction id as the platform writes them, never used before in this process.
pub fn fresh(prefix: &str) -> String {
    format!("20261120-{prefix}{:020x}", NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Billwerk {
    pub fn new(url: &str, token: &str, webhook_target: &str) -> Billwerk {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE)
            .build()
            .expect("a client");
        Billwerk { url: url.to_owned(), token: token.to_owned(), webhook_target: webhook_target.to_owned(), client }
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_text(path, body.to_string()).await
    }

    pub async fn post_text(&self, path: &str, body: impl Into<String>) -> Answer {
        let request = self.client.post(format!("{}{path}", self.url)).header("content-type", "application/json");
        read(request.bearer_auth(&self.token).body(body.into())).await
    }

    /// To a server that may end before it answers.
    pub async fn post_quietly(&self, path: &str, body: &Value) -> Option<u16> {
        let request = self.client.post(format!("{}{path}", self.url)).header("content-type", "application/json");
        let answer = request.bearer_auth(&self.token).body(body.to_string()).send().await;
        answer.ok().map(|answer| answer.status().as_u16())
    }

    pub async fn get(&self, path: &str) -> Answer {
        read(self.client.get(format!("{}{path}", self.url)).bearer_auth(&self.token)).await
    }

    /// Until a GET answers as wanted.
    pub async fn get_until(&self, path: &str, what: &str, wanted: impl Fn(&Answer) -> bool) -> Answer {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let answer = self.get(path).await;
            if wanted(&answer) {
                return answer;
            }
            assert!(tokio::time::Instant::now() < deadline, "{path} never became {what}; it is {answer:?}");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    /// A page as a payer's browser gets it: status, where it is sent, text.
    pub async fn browse(&self, url: &str) -> (u16, Option<String>, String) {
        let answer = self.client.get(url).send().await.expect("an answer");
        page(answer).await
    }

    /// Presses a button of a form.
    pub async fn press(&self, url: &str, field: &str, value: &str) -> (u16, Option<String>, String) {
        let request = self.client.post(url).header("content-type", "application/x-www-form-urlencoded");
        page(request.body(format!("{field}={value}")).send().await.expect("an answer")).await
    }

    /// A card sign-up.
    pub fn preauth(&self, id: &str, agreement: &str, amount: &str) -> Value {
        json!({
            "transactionId": id,
            "agreementId": agreement,
            "requestedAmount": number(amount),
            "currency": "EUR",
            "webhookTarget": self.webhook_target,
            "transactionReferenceText": "Subscription",
            "isInitial": true,
            "paymentMeansReference": {
                "role": "CreditCard",
                "successReturnUrl": "https://shop.example/success",
                "errorReturnUrl": "https://shop.example/error",
                "abortReturnUrl": "https://shop.example/abort",
            },
            "payerData": {"firstName": "Ada", "lastName": "Lovelace", "emailAddress": "ada@example.com"},
        })
    }

    pub fn payment(&self, id: &str, agreement: &str, amount: &str) -> Value {
        json!({
            "transactionId": id,
            "agreementId": agreement,
            "requestedAmount": number(amount),
            "currency": "EUR",
            "webhookTarget": self.webhook_target,
            "transactionReferenceText": "Invoice 1",
            "paymentMeansReference": {"role": "CreditCard"},
            "payerData": {"companyName": "Analytical Engines"},
        })
    }

    pub fn capture(&self, id: &str, preauth: &str, agreement: &str, amount: &str) -> Value {
        let mut body = self.payment(id, agreement, amount);
        body["preauthTransactionId"] = json!(preauth);
        body
    }

    pub fn refund(&self, id: &str, payment: &str, amount: &str) -> Value {
        json!({
            "transactionId": id,
            "paymentTransactionId": payment,
            "requestedAmount": number(amount),
            "currency": "EUR",
            "webhookTarget": self.webhook_target,
        })
    }

    /// Signs a card up all the way: preauth, page, approval, and the platform's GET shows it authorised.
    pub async fn sign_up(&self, agreement: &str, amount: &str) -> String {
        let id = fresh("a");
        let (status, answer) = self.post("/api/Preauth", &self.preauth(&id, agreement, amount)).await;
        assert_eq!(status, 200, "{answer}");
        self.finish_page(&answer, "approve").await;
        let path = format!("/api/Preauth/{id}");
        self.get_until(&path, "Succeeded", |(status, body)| *status == 200 && body["status"] == "Succeeded").await;
        id
    }

    /// Follows `redirectUrl` to the PSP's page and presses a button there; answers where the browser is sent at last.
    pub async fn finish_page(&self, preauth: &Value, button: &str) -> String {
        let ours = preauth["redirectUrl"].as_str().expect("a redirectUrl").to_owned();
        let theirs = self.follow(&ours, |location| location.contains("/sandbox/pay/")).await;
        let (status, location, text) = self.press(&theirs, "choice", button).await;
        assert_eq!(status, 303, "{text}");
        let back = location.expect("the PSP sends the browser back");
        self.follow(&back, |location| location.starts_with("https://shop.example/")).await
    }

    /// Loads a page again and again, as its refresh does, until it sends the browser where the test wants it.
    async fn follow(&self, url: &str, there: impl Fn(&str) -> bool) -> String {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let (status, location, text) = self.browse(url).await;
            match location {
                Some(location) if there(&location) => return location,
                _ => assert!(status == 200 || status == 303, "{status} {text}"),
            }
            assert!(tokio::time::Instant::now() < deadline, "{url} never sends the browser on: {text}");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
}

/// An amount as a JSON number with just these digits.
fn number(text: &str) -> Value {
    serde_json::from_str(text).expect("a JSON number")
}

async fn read(request: reqwest::RequestBuilder) -> Answer {
    let answer = request.send().await.expect("an answer");
    let status = answer.status().as_u16();
    let bytes = answer.bytes().await.expect("a whole answer");
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

async fn page(answer: reqwest::Response) -> (u16, Option<String>, String) {
    let status = answer.status().as_u16();
    let location = answer.headers().get("location").map(|value| value.to_str().expect("a text").to_owned());
    (status, location, answer.text().await.expect("a page"))
}
