//! Requests of any shape, for what no well-behaved caller sends.

use reqwest::header::HeaderMap;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::receiver::PATIENCE;

/// An answer, whole.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Reply {
    /// The body as JSON, null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// All values of a header in one line.
    pub fn all(&self, name: &str) -> String {
        let values = self.headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("?"));
        values.collect::<Vec<_>>().join(", ")
    }

    /// The contract's error code, -1 where there is none.
    pub fn code(&self) -> i64 {
        self.json()["ErrorCode"].as_i64().unwrap_or(-1)
    }

    pub fn message(&self) -> String {
        self.json()["ErrorMessage"].as_str().unwrap_or_default().to_owned()
    }
}

/// Sends what it is told, as it is told.
#[derive(Clone)]
pub struct Asker {
    client: reqwest::Client,
}

impl Asker {
    pub fn new() -> Asker {
        let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(PATIENCE);
        Asker { client: builder.build().expect("a client") }
    }

    pub async fn ask(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> Reply {
        let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
        let mut request = self.client.request(method, url).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap_or_else(|error| panic!("{url} gave no answer: {error:?}"));
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Reply { status, headers, text: answer.text().await.expect("a whole answer") }
    }

    pub async fn get(&self, url: &str) -> Reply {
        self.ask("GET", url, &[], "").await
    }
}

/// `Bearer …`.
pub fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// `Basic …` with the token as password.
pub fn basic(token: &str) -> String {
    use base64::Engine as _;
    format!("Basic {}", base64::prelude::BASE64_STANDARD.encode(format!("billwerk:{token}")))
}

/// A body of `bytes` bytes in chunks, whose length nobody announces: the status that is answered. What cannot be written
/// because the other side has had enough is not written.
pub async fn chunked(url: &str, headers: &[(&str, &str)], bytes: usize) -> u16 {
    const CHUNK: usize = 8 * 1024;
    let url = reqwest::Url::parse(url).expect("an address");
    let address = format!("{}:{}", url.host_str().expect("a host"), url.port().expect("a port"));
    let mut head = format!("POST {} HTTP/1.1\r\nhost: {address}\r\ntransfer-encoding: chunked\r\n", url.path());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let stream = tokio::net::TcpStream::connect(&address).await.expect("it listens");
    let (mut reading, mut writing) = stream.into_split();
    let sending = async move {
        writing.write_all(format!("{head}\r\n").as_bytes()).await?;
        for _ in 0..bytes.div_ceil(CHUNK) {
            writing.write_all(format!("{CHUNK:x}\r\n{}\r\n", " ".repeat(CHUNK)).as_bytes()).await?;
        }
        writing.write_all(b"0\r\n\r\n").await?;
        // Kept open: closing it early would look like a client that has gone.
        Ok::<_, std::io::Error>(writing)
    };
    let answering = async {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.push(reading.read_u8().await.expect("an answer, not a reset"));
        }
        let line = String::from_utf8_lossy(&line).into_owned();
        line.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
    };
    let both = async { tokio::join!(sending, answering) };
    let (_sent, status) = tokio::time::timeout(PATIENCE, both).await.expect("an answer in time");
    status
}
