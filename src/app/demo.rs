//! What `serve --demo` prepares: a sandbox tenant with a scripted connection and a key, written to `demo.json` with all
//! that a first call needs. Starting again changes nothing; what has been lost is made anew.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use rialto_adapters::port::Secret;
use rialto_adapters::port::notice::hex;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::open;
use crate::config::Config;
use crate::flow::Engine;
use crate::store::hash_token;

/// The own machine, which the demo's callers and receivers are on.
pub const SUBNETS: [IpNet; 2] = [
    IpNet::V4(Ipv4Net::new_assert(std::net::Ipv4Addr::new(127, 0, 0, 0), 8)),
    IpNet::V6(Ipv6Net::new_assert(std::net::Ipv6Addr::LOCALHOST, 128)),
];

const FILE: &str = "demo.json";
const TENANT: &str = "demo";
const CONTRACT: &str = "billwerk";
const ADAPTER: &str = "sandbox";

/// `demo.json`. Parts that do not exist yet are absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demo {
    pub base_url: String,
    pub admin_key: String,
    pub billwerk: Token,
    /// Ids, by adapter.
    pub connections: BTreeMap<String, Uuid>,
    /// Keys, by contract and adapter.
    pub keys: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    pub token: String,
}

/// The demo's credentials lie open in its data directory, so only this machine may reach it.
///
/// # Errors
/// If one of the addresses can be reached from elsewhere.
pub fn check(config: &Config) -> anyhow::Result<()> {
    let loopback = |setting: &str, address: SocketAddr| {
        if !address.ip().is_loopback() {
            bail!(
                "--demo listens on this machine only, but {setting} is {address}: write 127.0.0.1:8080, or start \
                 without --demo"
            );
        }
        Ok(())
    };
    loopback("RIALTO_LISTEN", config.listen)?;
    config.admin_listen.map_or(Ok(()), |address| loopback("RIALTO_ADMIN_LISTEN", address))
}

/// Where the demo's file is.
pub fn file(config: &Config) -> PathBuf {
    config.data_dir.join(FILE)
}

/// Makes sure that the tenant, its connection and its key are there, and that `demo.json` says so.
///
/// # Errors
/// If the store or the file cannot be written.
pub async fn prepare(config: &Config, engine: &Engine, operator_key: &Secret) -> anyhow::Result<Demo> {
    let path = file(config);
    let (connection, key) = match known(engine, &path).await? {
        Some(known) => known,
        None => make(engine).await?,
    };
    let demo = Demo {
        base_url: engine.public_url().to_owned(),
        admin_key: operator_key.expose().to_owned(),
        billwerk: Token { token: key.clone() },
        connections: BTreeMap::from([(ADAPTER.to_owned(), connection)]),
        keys: BTreeMap::from([(CONTRACT.to_owned(), BTreeMap::from([(ADAPTER.to_owned(), key)]))]),
    };
    let mut text = serde_json::to_vec_pretty(&demo)?;
    text.push(b'\n');
    if std::fs::read(&path).ok().as_ref() != Some(&text) {
        open::write_private(&path, &text)?;
    }
    Ok(demo)
}

/// Connection and key of an earlier start, if the database still knows them.
async fn known(engine: &Engine, path: &PathBuf) -> anyhow::Result<Option<(Uuid, String)>> {
    let Ok(text) = std::fs::read(path) else { return Ok(None) };
    let Ok(demo) = serde_json::from_slice::<Demo>(&text) else { return Ok(None) };
    let Some(found) = engine.store.key_by_hash(&hash_token(&demo.billwerk.token)).await? else { return Ok(None) };
    let key = found.key;
    let same = demo.connections.get(ADAPTER) == Some(&key.connection_id) && key.contract == CONTRACT;
    Ok(same.then_some((key.connection_id, demo.billwerk.token)))
}

/// A new key, for the demo's tenant and connection if they are there, else for new ones.
async fn make(engine: &Engine) -> anyhow::Result<(Uuid, String)> {
    let tenants = engine.store.tenants().await?;
    let tenant = match tenants.iter().find(|tenant| tenant.sandbox && tenant.name == TENANT) {
        Some(tenant) => tenant.id,
        None => engine.add_tenant(TENANT, true).await?.id,
    };
    let connections = engine.store.connections(tenant).await?;
    let connection = match connections.iter().find(|connection| connection.adapter == ADAPTER && connection.test) {
        Some(connection) => connection.id,
        None => add_connection(engine, tenant).await.context("the demo's sandbox connection cannot be made")?,
    };
    let key = engine.add_key(tenant, CONTRACT, connection, false).await?;
    Ok((connection, key.expose().to_owned()))
}

async fn add_connection(engine: &Engine, tenant: Uuid) -> anyhow::Result<Uuid> {
    let random = || hex(&engine.clock.random::<32>());
    let settings = [("api_key", random()), ("webhook_secret", random()), ("scripted", "on".to_owned())];
    let settings = settings.map(|(key, value)| (key.to_owned(), value)).into();
    Ok(engine.add_connection(tenant, ADAPTER, true, settings, true).await?.id)
}
