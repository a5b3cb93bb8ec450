//! The real server in this process, on a database of its own, with a receiver beside it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;

use rialto::app::{App, AppParts};
use rialto::config::Config;
use rialto::psp::sandbox::{NoticeSink, SandboxPsp};
use rialto::store::Store;
use rialto::store::intents::Intent;
use rialto::store::testing::{MASTER_KEYS, TestDatabase, databases, fresh_url};
use rialto::store::transactions::Transaction;
use uuid::Uuid;

use crate::billwerk::Billwerk;
use crate::receiver::{PATIENCE, Receiver};

/// Runs a test on every database this machine has, one after the other.
pub async fn on_each_database(test: impl AsyncFn(&'static str)) {
    for kind in databases() {
        test(kind).await;
    }
}

pub struct Server {
    pub app: App,
    pub url: String,
    pub tenant: Uuid,
    pub connection: Uuid,
    pub hook_url: String,
    pub receiver: Receiver,
    token: String,
    // Dropped last: the database outlives the server.
    _database: TestDatabase,
    _folder: tempfile::TempDir,
}

/// Settings of a sandbox account.
pub fn sandbox_settings() -> BTreeMap<String, String> {
    let own = Uuid::now_v7().simple().to_string();
    [("api_key", format!("key-{own}")), ("webhook_secret", format!("whsec-{own}")), ("scripted", "on".to_owned())]
        .map(|(key, value)| (key.to_owned(), value))
        .into()
}

impl Server {
    /// `scale` divides every wait of ours, and of the sandbox.
    pub async fn start(kind: &str, scale: u32) -> Server {
        let database = fresh_url(kind);
        Server::start_on(database, scale).await
    }

    pub async fn start_on(database: TestDatabase, scale: u32) -> Server {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = [
            ("RIALTO_LISTEN", "127.0.0.1:0".to_owned()),
            ("RIALTO_DATABASE_URL", database.url.clone()),
            ("RIALTO_DATA_DIR", folder.path().to_string_lossy().into_owned()),
            ("RIALTO_MASTER_KEYS", MASTER_KEYS.to_owned()),
            ("RIALTO_TIME_SCALE", scale.to_string()),
        ];
        let settings = settings.map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let config = Config::parse("", settings).expect("good settings");
        let app = App::start(&config, AppParts::demo(&config)).await.expect("it starts");
        let receiver = Receiver::start().await;
        let (tenant, connection, token) = tenant(&app, "Test").await;
        Server {
            url: format!("http://{}", app.address),
            tenant,
            connection,
            hook_url: app.engine.hook_url(connection),
            receiver,
            token,
            app,
            _database: database,
            _folder: folder,
        }
    }

    pub fn billwerk(&self) -> Billwerk {
        Billwerk::new(&self.url, &self.token, &self.receiver.url)
    }

    /// A caller whose key belongs to another tenant.
    pub async fn another_tenant(&self) -> Billwerk {
        let (_, _, token) = tenant(&self.app, "Stranger").await;
        Billwerk::new(&self.url, &token, &self.receiver.url)
    }

    /// An agreement with a stored card.
    pub async fn agreement(&self, bw: &Billwerk) -> String {
        let agreement = crate::billwerk::fresh("ag");
        bw.sign_up(&agreement, "1.00").await;
        agreement
    }

    pub fn store(&self) -> &Store {
        &self.app.engine.store
    }

    pub fn psp(&self) -> &SandboxPsp {
        &self.app.sandbox
    }

    /// How many charges the PSP has made for an operation of ours.
    pub async fn charges_at_psp(&self, payment: &str) -> usize {
        let (_, transactions) = stored(self.store(), "billwerk", "payment", payment).await.expect("it is stored");
        let mut charges = 0;
        for t in transactions {
            charges += self.psp().charges_of(&t.ours.0).await.expect("the PSP's tables");
        }
        charges
    }

    /// What captures, releases or refunds have taken out of a transaction at the PSP, in minor units.
    pub async fn taken_at_psp(&self, operation: &str, key: &str, kind: &str) -> i64 {
        let (_, transactions) = stored(self.store(), "billwerk", operation, key).await.expect("it is stored");
        self.psp().taken_from(&transactions[0].ours.0, kind).await.expect("the PSP's tables")
    }

    /// Waits for an alert of a kind.
    pub async fn alert(&self, kind: &str) {
        self.until(&format!("the alert {kind}"), async || {
            let open = self.store().alerts_open(self.tenant).await.expect("a database");
            open.iter().any(|alert| alert.kind == kind)
        })
        .await;
    }

    /// Waits until nothing is left behind: no unread notice, no undispatched event, no undelivered delivery, nothing the
    /// PSP has still to tell. Every test ends with it.
    pub async fn quiet(&self) {
        let long_after = rialto_adapters::port::Timestamp(i64::MAX);
        self.until("quiet", async || {
            let store = self.store();
            self.psp().is_idle().await.expect("the PSP's tables")
                && store.notices_due(long_after).await.expect("a database").is_empty()
                && store.events_undispatched().await.expect("a database").is_empty()
                && store.deliveries_due(long_after, &[]).await.expect("a database").is_empty()
        })
        .await;
    }

    /// Stops it, and leaves its database.
    pub async fn stop(self) -> TestDatabase {
        self.app.stop().await;
        self._database
    }

    /// Waits until something is so; a failing test alone waits long.
    pub async fn until(&self, what: &str, so: impl AsyncFn() -> bool) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !so().await {
            assert!(tokio::time::Instant::now() < deadline, "it never became {what}");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
}

/// A tenant with a scripted sandbox connection and a billwerk key.
async fn tenant(app: &App, name: &str) -> (Uuid, Uuid, String) {
    let tenant = app.engine.add_tenant(name, true).await.expect("a tenant").id;
    let added = app.engine.add_connection(tenant, "sandbox", true, sandbox_settings(), true).await;
    let connection = added.expect("a connection").id;
    let key = app.engine.add_key(tenant, "billwerk", connection, false).await.expect("a key");
    (tenant, connection, key.expose().to_owned())
}

/// What is stored under a caller's key, of whichever tenant has it; keys of tests are never used twice.
pub async fn stored(store: &Store, contract: &str, operation: &str, key: &str) -> Option<(Intent, Vec<Transaction>)> {
    for tenant in store.tenants().await.expect("a database") {
        let found = store.intent_by_key(tenant.id, contract, operation, key).await.expect("a database");
        if let Some(intent) = found {
            let transactions = store.transactions_of(tenant.id, intent.id).await.expect("a database");
            return Some((intent, transactions));
        }
    }
    None
}

/// For a PSP that is only looked at.
pub struct NoSink;

#[async_trait::async_trait]
impl NoticeSink for NoSink {
    async fn deliver(&self, _hook_url: &str, _headers: Vec<(String, String)>, _body: Vec<u8>) -> u16 {
        0
    }
}

/// A sink for a PSP that is only looked at.
pub fn no_sink() -> Arc<NoSink> {
    Arc::new(NoSink)
}
