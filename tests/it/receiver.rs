//! A receiver of notices on loopback, which answers as it is told and remembers what came.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use poem::http::StatusCode;
use poem::listener::{Acceptor, Listener, TcpListener};
use poem::{Endpoint, Request, Response};
use serde_json::Value;
use tokio::sync::{Notify, Semaphore};

/// Longest a test waits for something that must happen. Only a failing test waits so long.
pub const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone)]
pub struct Receiver {
    pub url: String,
    inner: Arc<Inner>,
}

struct Inner {
    got: Mutex<Vec<Value>>,
    /// The `traceparent` of each call.
    parents: Mutex<Vec<Option<String>>>,
    /// Statuses for the next calls; 200 once they are used up.
    answers: Mutex<VecDeque<u16>>,
    news: Notify,
    /// Calls wait here while the test holds all permits.
    gate: Semaphore,
}

impl Receiver {
    pub async fn start() -> Receiver {
        let acceptor = TcpListener::bind("127.0.0.1:0").into_acceptor().await.expect("a free port");
        let address = acceptor.local_addr().first().and_then(|a| a.as_socket_addr().copied()).expect("an address");
        let inner = Arc::new(Inner {
            got: Mutex::default(),
            parents: Mutex::default(),
            answers: Mutex::default(),
            news: Notify::new(),
            gate: Semaphore::new(1_000),
        });
        tokio::spawn(poem::Server::new_with_acceptor(acceptor).run(Receive { inner: inner.clone() }));
        Receiver { url: format!("http://{address}/hook"), inner }
    }

    /// The next calls are answered with these.
    pub fn answer_with(&self, statuses: &[u16]) {
        self.inner.answers.lock().unwrap_or_else(PoisonError::into_inner).extend(statuses);
    }

    /// Lets calls come in and wait, until what is returned is dropped.
    pub async fn hold(&self) -> tokio::sync::SemaphorePermit<'_> {
        self.inner.gate.acquire_many(1_000).await.expect("never closed")
    }

    pub fn got(&self) -> Vec<Value> {
        self.inner.got.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The `traceparent` of each call, in their order.
    pub fn traceparents(&self) -> Vec<Option<String>> {
        self.inner.parents.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until what came satisfies `enough`.
    pub async fn wait_for(&self, what: &str, enough: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let waiting = async {
            loop {
                let news = self.inner.news.notified();
                let got = self.got();
                if enough(&got) {
                    return got;
                }
                news.await;
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(got) => got,
            Err(_) => panic!("the receiver never got {what}; it got {:?}", self.got()),
        }
    }
}

struct Receive {
    inner: Arc<Inner>,
}

impl Endpoint for Receive {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let parent = request.header("traceparent").map(str::to_owned);
        self.inner.parents.lock().unwrap_or_else(PoisonError::into_inner).push(parent);
        let body = request.take_body().into_vec().await?;
        let told = serde_json::from_slice(&body).unwrap_or(Value::Null);
        self.inner.got.lock().unwrap_or_else(PoisonError::into_inner).push(told);
        self.inner.news.notify_waiters();
        drop(self.inner.gate.acquire().await);
        let status = self.inner.answers.lock().unwrap_or_else(PoisonError::into_inner).pop_front().unwrap_or(200);
        Ok(Response::builder().status(StatusCode::from_u16(status).expect("a status")).finish())
    }
}
