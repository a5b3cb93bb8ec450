//! HTTP to the server that is tried out, and to the pages it sends payers to. The address is the choice of the person at
//! the keyboard, so nothing is forbidden; but every answer is bounded in time and size, and whatever comes is a value.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, LOCATION};
use rialto_adapters::port::Secret;

use super::tree::Tree;

/// Largest answer read. Those of the contract are a thousand times smaller.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// Name, TCP and TLS together.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// The user name beside a token that is sent as a Basic password.
const BASIC_USER: &str = "billwerk";
/// A token that nobody has issued.
const WRONG_TOKEN: &str = "a-token-that-was-never-issued";
/// What stands in a report instead of a secret.
const MARK: &str = "***";
/// Shorter texts turn up by accident; hiding them would spoil the report and hide nothing.
const HIDDEN_MIN: usize = 4;

/// What a request brings as proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    Bearer,
    Basic,
    Wrong,
    None,
}

/// A request of the contract.
#[derive(Clone, Debug)]
pub struct Ask {
    pub method: &'static str,
    /// `/api/Preauth`.
    pub path: String,
    pub body: Option<String>,
    pub content_type: &'static str,
    pub proof: Proof,
}

impl Ask {
    pub fn get(path: impl Into<String>) -> Ask {
        Ask { method: "GET", path: path.into(), body: None, content_type: "application/json", proof: Proof::Bearer }
    }

    pub fn post(path: impl Into<String>, body: &Tree) -> Ask {
        Ask::post_text(path, body.to_string())
    }

    pub fn post_text(path: impl Into<String>, body: impl Into<String>) -> Ask {
        Ask { method: "POST", body: Some(body.into()), ..Ask::get(path) }
    }

    pub fn put(path: impl Into<String>, body: &Tree) -> Ask {
        Ask { method: "PUT", ..Ask::post(path, body) }
    }

    #[must_use]
    pub fn by(self, proof: Proof) -> Ask {
        Ask { proof, ..self }
    }
}

/// A reply, whole.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub content_type: String,
    pub text: String,
    /// The body, or why it is no JSON.
    pub tree: Result<Tree, String>,
}

/// Why there is no reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoReply {
    #[error("no answer within {} s", .0.as_secs_f32())]
    Late(Duration),
    #[error("no connection: {0}")]
    Unreachable(String),
    #[error("the answer broke off: {0}")]
    Broken(String),
    #[error("the answer is larger than {ANSWER_BYTES_MAX} bytes")]
    TooLarge,
}

/// What a browser gets.
#[derive(Clone, Debug)]
pub struct Page {
    pub status: u16,
    pub location: Option<String>,
}

/// Cheap to clone; clones may ask at once.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Arc<str>,
    token: Arc<Secret>,
    answer_within: Duration,
    sent: Arc<AtomicUsize>,
    /// Other texts that no report shows.
    hidden: Arc<Mutex<Vec<String>>>,
}

/// An address that cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    #[error("the address must be http or https: {0:?}")]
    Scheme(String),
    #[error("{0:?} is not an address")]
    Form(String),
    #[error("cannot make requests: {0}")]
    Setup(String),
}

impl Client {
    /// `url` is what the platform is given as the base, to which it adds `/api/…`; an `/api` at its end is understood.
    pub fn new(url: &str, token: Secret, answer_within: Duration) -> Result<Client, BadUrl> {
        let parsed = url::Url::parse(url).map_err(|_| BadUrl::Form(url.to_owned()))?;
        if !["http", "https"].contains(&parsed.scheme()) {
            return Err(BadUrl::Scheme(url.to_owned()));
        }
        let base = url.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
        let base = base.strip_suffix("/api").unwrap_or(base);
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(answer_within)
            .connect_timeout(CONNECT_WITHIN.min(answer_within))
            .user_agent(concat!("rialto-conformance/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| BadUrl::Setup(error.to_string()))?;
        Ok(Client {
            http,
            base: base.into(),
            token: Arc::new(token),
            answer_within,
            sent: Arc::default(),
            hidden: Arc::default(),
        })
    }

    pub fn base(&self) -> &str {
        &self.base
    }

    /// How many requests were sent.
    pub fn sent(&self) -> usize {
        self.sent.load(Ordering::Relaxed)
    }

    pub async fn ask(&self, ask: &Ask) -> Result<Reply, NoReply> {
        let url = format!("{}{}", self.base, ask.path);
        let mut request = match ask.method {
            "POST" => self.http.post(url),
            "PUT" => self.http.put(url),
            _ => self.http.get(url),
        };
        if let Some(header) = self.authorization(ask.proof) {
            request = request.header(AUTHORIZATION, header);
        }
        if let Some(body) = &ask.body {
            request = request.header(CONTENT_TYPE, ask.content_type).body(body.clone());
        }
        let (status, headers, bytes) = self.send(request).await?;
        let tree = Tree::read(&bytes);
        Ok(Reply {
            status,
            content_type: header(&headers, CONTENT_TYPE).unwrap_or_default(),
            text: String::from_utf8_lossy(&bytes).into_owned(),
            tree,
        })
    }

    fn authorization(&self, proof: Proof) -> Option<String> {
        match proof {
            Proof::Bearer => Some(format!("Bearer {}", self.token.expose())),
            Proof::Basic => Some(format!("Basic {}", self.basic())),
            Proof::Wrong => Some(format!("Bearer {WRONG_TOKEN}")),
            Proof::None => None,
        }
    }

    fn basic(&self) -> String {
        BASE64_STANDARD.encode(format!("{BASIC_USER}:{}", self.token.expose()))
    }

    /// Loads a page as a browser does, without our token and without going on by itself.
    pub async fn browse(&self, url: &str) -> Result<Page, NoReply> {
        page(self.send(self.http.get(url)).await?)
    }

    /// Presses a button of a form.
    pub async fn press(&self, url: &str, field: &str, value: &str) -> Result<Page, NoReply> {
        let form = self.http.post(url).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        page(self.send(form.body(format!("{field}={value}"))).await?)
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<(u16, HeaderMap, Vec<u8>), NoReply> {
        self.sent.fetch_add(1, Ordering::Relaxed);
        let mut answer = request.send().await.map_err(|error| self.no_reply(&error))?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.no_reply(&error))? {
            if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(NoReply::TooLarge);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok((status, headers, bytes))
    }

    fn no_reply(&self, error: &reqwest::Error) -> NoReply {
        // The innermost cause says it shortest; the outer ones repeat the address.
        let mut cause: &dyn std::error::Error = error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        if error.is_connect() {
            return NoReply::Unreachable(self.scrub(&cause.to_string()));
        }
        if error.is_timeout() {
            return NoReply::Late(self.answer_within);
        }
        if error.is_builder() {
            return NoReply::Unreachable("it is not an address that can be asked".to_owned());
        }
        NoReply::Broken(self.scrub(&cause.to_string()))
    }

    /// Whether a text holds the token.
    pub fn tells_token(&self, text: &str) -> bool {
        !self.token.is_empty() && (text.contains(self.token.expose()) || text.contains(&self.basic()))
    }

    /// From now on no report shows this.
    pub fn hide(&self, text: &str) {
        if text.len() >= HIDDEN_MIN {
            let escaped = serde_json::to_string(text).unwrap_or_default();
            let mut hidden = self.hidden.lock().unwrap_or_else(PoisonError::into_inner);
            hidden.extend([text.to_owned(), escaped.trim_matches('"').to_owned()]);
        }
    }

    /// The text without the token in any form it is sent in, and without what would drive a terminal.
    pub fn scrub(&self, text: &str) -> String {
        let mut text = text.to_owned();
        if !self.token.is_empty() {
            text = text.replace(self.token.expose(), MARK).replace(&self.basic(), MARK);
        }
        for hidden in self.hidden.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            text = text.replace(hidden.as_str(), MARK);
        }
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
    }
}

fn page((status, headers, _): (u16, HeaderMap, Vec<u8>)) -> Result<Page, NoReply> {
    Ok(Page { status, location: header(&headers, LOCATION) })
}

fn header(headers: &HeaderMap, name: reqwest::header::HeaderName) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(url: &str) -> Result<Client, BadUrl> {
        Client::new(url, Secret::new("sk_test_hidden"), Duration::from_secs(1))
    }

    #[test]
    fn what_is_a_base() {
        let rows = [
            ("http://127.0.0.1:8080", Some("http://127.0.0.1:8080")),
            ("https://psp.example/api/", Some("https://psp.example")),
            ("https://psp.example/billwerk/?x=1", Some("https://psp.example/billwerk")),
            ("ftp://psp.example", None),
            ("psp.example", None),
            ("", None),
        ];
        for (url, base) in rows {
            assert_eq!(client(url).ok().as_ref().map(Client::base), base, "{url}");
        }
    }

    #[test]
    fn the_token_is_never_shown() {
        let client = client("http://127.0.0.1").expect("an address");
        let header = client.authorization(Proof::Basic).expect("a header");
        let shown = client.scrub(&format!("Bearer sk_test_hidden {header} \u{1b}[31mred\n"));
        assert_eq!(shown, "Bearer *** Basic ***  [31mred ");
        client.hide("psp\"secret");
        assert_eq!(client.scrub(r#"{"k":"psp\"secret"}"#), r#"{"k":"***"}"#);
        assert!(client.tells_token("…sk_test_hidden…") && !client.tells_token("nothing"));
    }
}
