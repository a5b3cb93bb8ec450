//! Where notices come in: a small server of our own, which remembers what came and answers as a rule wants it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use poem::http::{Method, StatusCode};
use poem::listener::{Acceptor, Listener as _, TcpListener};
use poem::{Endpoint, Request, Response, Server};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::tree::Tree;

/// A notice has three short fields.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Notices remembered. A run makes about a hundred transactions.
const NOTICES_MAX: usize = 10_000;
/// Longest a notice is held back: senders wait about ten seconds.
pub const HELD_MAX: Duration = Duration::from_secs(8);
/// The answers in turn; they all mean delivered.
const DELIVERED: [u16; 3] = [200, 202, 204];
/// Where the platform's own address ends.
const PATH: &str = "/PSPWebhooks/ExternalIntegration";

/// A notice as it came.
#[derive(Clone, Debug)]
pub struct Notice {
    /// The body, or why it is no JSON.
    pub tree: Result<Tree, String>,
    pub text: String,
    pub content_type: String,
    /// What it was answered.
    pub answered: u16,
}

impl Notice {
    /// The transaction it is about, empty where it does not say.
    pub fn id(&self) -> &str {
        let tree = self.tree.as_ref().ok();
        tree.and_then(|tree| tree.get("TransactionId")).and_then(Tree::as_text).unwrap_or_default()
    }
}

pub struct Listener {
    target: String,
    inner: Arc<Inner>,
    _server: JoinSet<std::io::Result<()>>,
}

#[derive(Default)]
struct Inner {
    /// Last part of the path, so that nobody else's call is taken for a notice.
    run: String,
    state: Mutex<State>,
    news: Notify,
}

#[derive(Default)]
struct State {
    got: Vec<Notice>,
    /// How often notices about a transaction are still to be answered 500.
    refuse: BTreeMap<String, usize>,
    hold: BTreeSet<String>,
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener {
    /// Listens at `address`; `public` is how the other side reaches it, where that is another address.
    ///
    /// # Errors
    /// If the address cannot be listened at.
    pub async fn start(address: &str, public: Option<&str>, run: &str) -> std::io::Result<Listener> {
        let acceptor = TcpListener::bind(address).into_acceptor().await?;
        let bound: Option<SocketAddr> = acceptor.local_addr().first().and_then(|a| a.as_socket_addr().copied());
        let own = bound.map_or_else(|| address.to_owned(), |bound| bound.to_string());
        let inner = Arc::new(Inner { run: run.to_owned(), ..Inner::default() });
        let mut server = JoinSet::new();
        server.spawn(Server::new_with_acceptor(acceptor).run(Door { inner: inner.clone() }));
        let base = public.map_or_else(|| format!("http://{own}"), str::to_owned);
        Ok(Listener { target: target(&base, run), inner, _server: server })
    }

    /// What is to be given as `webhookTarget`.
    pub fn target(&self) -> &str {
        &self.target
    }

    pub fn all(&self) -> Vec<Notice> {
        self.inner.state().got.clone()
    }

    pub fn of(&self, id: &str) -> Vec<Notice> {
        self.inner.state().got.iter().filter(|notice| notice.id() == id).cloned().collect()
    }

    /// The next notice about this is answered 500.
    pub fn refuse_once(&self, id: &str) {
        self.inner.state().refuse.insert(id.to_owned(), 1);
    }

    /// Notices about this wait for their answer, until [`Listener::let_go`].
    pub fn hold(&self, id: &str) {
        self.inner.state().hold.insert(id.to_owned());
    }

    pub fn let_go(&self, id: &str) {
        self.inner.state().hold.remove(id);
        self.inner.news.notify_waiters();
    }

    /// Waits until what came about a transaction is enough, or for so long; answers what came.
    pub async fn wait_for(&self, id: &str, within: Duration, enough: impl Fn(&[Notice]) -> bool) -> Vec<Notice> {
        let waiting = async {
            loop {
                let news = self.inner.news.notified();
                tokio::pin!(news);
                // Registered before the look, so that nothing is missed in between.
                news.as_mut().enable();
                if enough(&self.of(id)) {
                    return;
                }
                news.await;
            }
        };
        // In time or not, what came is answered.
        let _ = tokio::time::timeout(within, waiting).await;
        self.of(id)
    }
}

/// The platform's path below an address, with the run's own part at the end.
pub fn target(base: &str, run: &str) -> String {
    let base = base.trim_end_matches('/');
    let has_path = url::Url::parse(base).is_ok_and(|url| url.path().len() > 1);
    let path = if has_path { "" } else { PATH };
    format!("{base}{path}/{run}")
}

struct Door {
    inner: Arc<Inner>,
}

impl Endpoint for Door {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let empty =
            |status: u16| Response::builder().status(StatusCode::from_u16(status).unwrap_or(StatusCode::OK)).finish();
        if request.uri().path().rsplit('/').next() != Some(self.inner.run.as_str()) {
            return Ok(empty(404));
        }
        if request.method() != Method::POST {
            return Ok(empty(405));
        }
        let content_type = request.content_type().unwrap_or_default().to_owned();
        let body = request.take_body().into_bytes_limit(BODY_BYTES_MAX).await?;
        let mut notice = Notice {
            tree: Tree::read(&body),
            text: String::from_utf8_lossy(&body).into_owned(),
            content_type,
            answered: 0,
        };
        let id = notice.id().to_owned();
        {
            let mut state = self.inner.state();
            if state.got.len() >= NOTICES_MAX {
                return Ok(empty(503));
            }
            notice.answered = match state.refuse.get_mut(&id) {
                Some(left) if *left > 0 => {
                    *left -= 1;
                    500
                }
                Some(_) | None => DELIVERED[state.got.len() % DELIVERED.len()],
            };
            state.got.push(notice.clone());
        }
        self.inner.news.notify_waiters();
        self.held(&id).await;
        Ok(empty(notice.answered))
    }
}

impl Door {
    async fn held(&self, id: &str) {
        let waiting = async {
            loop {
                let news = self.inner.news.notified();
                tokio::pin!(news);
                news.as_mut().enable();
                if !self.inner.state().hold.contains(id) {
                    return;
                }
                news.await;
            }
        };
        // A sender does not wait for ever, and neither does a rule.
        let _ = tokio::time::timeout(HELD_MAX, waiting).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_notices_go() {
        let rows = [
            ("http://127.0.0.1:9000", "http://127.0.0.1:9000/PSPWebhooks/ExternalIntegration/r1"),
            ("https://hooks.example/", "https://hooks.example/PSPWebhooks/ExternalIntegration/r1"),
            ("https://hooks.example/in/", "https://hooks.example/in/r1"),
        ];
        for (base, expected) in rows {
            assert_eq!(target(base, "r1"), expected);
        }
    }
}
