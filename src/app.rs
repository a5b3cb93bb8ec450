//! Everything assembled: the store, the wire, the verbs, the workers and the doors, started in this order and stopped in
//! the opposite one.
//!
//! - `open` – data directory, keys, store. [`lock`] – one server per data directory.
//! - `site` – which path is answered by whom, and what surrounds every request.
//! - [`demo`] – what `serve --demo` prepares.
//! - `in_flight` – calls to PSPs that a stop waits for. `sandbox` – how the sandbox PSP's notices come in.

pub mod demo;
mod in_flight;
pub mod lock;
pub mod open;
mod sandbox;
mod site;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use ipnet::IpNet;
use poem::{Endpoint, Response, Server};
use rialto_adapters::port::Secret;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::admin::OperatorKey;
use crate::clock::Clock;
use crate::config::{ADMIN_LISTEN, Config};
use crate::flow::Engine;
use crate::http::docs::Document;
use crate::http::edge::{Edge, EdgeAcceptor, Limits};
use crate::psp::sandbox::SandboxPsp;
use crate::store::Store;
use crate::wire::{Guard, HttpWire, LocalWire, Poster, Router, WireOptions};
use crate::workers::{self, Workers};
use demo::Demo;
use in_flight::{Calls, InFlight};
use lock::{Lock, Presence, Taken};
use sandbox::OwnHooks;

pub use site::paths;

/// How long requests may go on after a stop was asked for: a call is answered within five seconds.
const REQUESTS_WITHIN: Duration = Duration::from_secs(6);
/// How long calls to PSPs may go on after that. One that is cut off is looked up after the next start.
const CALLS_WITHIN: Duration = Duration::from_secs(10);

/// What differs between the server, its demo and the tests.
#[derive(Clone, Debug)]
pub struct AppParts {
    pub clock: Clock,
    pub limits: Limits,
    pub wire: WireOptions,
    /// Opens our own machine to calls, puts the admin API on the main address and prepares what [`demo`] says.
    pub demo: bool,
}

impl AppParts {
    /// A server as the settings want it.
    pub fn of(config: &Config) -> AppParts {
        let clock = Clock::scaled(config.time_scale);
        AppParts { clock, limits: Limits::default(), wire: WireOptions::default(), demo: false }
    }

    pub fn demo(config: &Config) -> AppParts {
        AppParts { demo: true, ..AppParts::of(config) }
    }
}

/// A running server.
pub struct App {
    pub engine: Engine,
    /// The address really bound, also where port 0 was asked for.
    pub address: SocketAddr,
    /// `None` where the admin API is on the main address only.
    pub admin_address: Option<SocketAddr>,
    pub operator_key: Secret,
    /// What a demo has prepared.
    pub demo: Option<Demo>,
    /// The PSP we play, for looking at it from outside.
    pub sandbox: SandboxPsp,
    edge: Edge,
    calls: Calls,
    workers: Workers,
    stop_serving: watch::Sender<bool>,
    stop_working: watch::Sender<bool>,
    servers: JoinSet<std::io::Result<()>>,
    /// Goes on with what the sandbox PSP does later, until it is dropped.
    pump: JoinSet<()>,
    /// What the sandbox PSP's notices come in through.
    _hooks: Arc<Engine>,
    lock: Lock,
}

impl App {
    /// Starts everything; when this returns, requests are answered.
    ///
    /// # Errors
    /// With what to do about it.
    pub async fn start(config: &Config, parts: AppParts) -> anyhow::Result<App> {
        if parts.demo {
            demo::check(config)?;
        }
        open::data_dir(config)?;
        let mut lock = match Lock::take(&config.data_dir).await? {
            Taken::Ours(lock) => lock,
            Taken::Server(Presence { admin, pid }) => bail!(
                "a server runs in {} already (process {pid}, {admin}): stop it, or set RIALTO_DATA_DIR to another folder",
                config.data_dir.display()
            ),
        };
        let operator_key = open::operator_key(config, &parts.clock)?;
        let clock = parts.clock.clone();
        let edge = Edge::new(parts.limits, move || clock.new_id().to_string());
        let main = bind(&edge, "RIALTO_LISTEN", config.listen).await?;
        let admin = match admin_listen(config, parts.demo) {
            Some(address) => Some(bind(&edge, "RIALTO_ADMIN_LISTEN", address).await?),
            None => None,
        };
        let (address, admin_address) = (main.address(), admin.as_ref().map(EdgeAcceptor::address));

        let store = open::store(config, parts.clock.clone(), true).await?;
        let Assembled { engine, guard, calls, poster, sandbox, own_hooks } = assemble(config, &parts, store, address)?;
        // Before anything is answered: whoever finds the server ready finds the file too.
        let demo = match parts.demo {
            true => Some(demo::prepare(config, &engine, &operator_key).await?),
            false => None,
        };
        let (stop_serving, serving) = watch::channel(false);
        let (stop_working, working) = watch::channel(false);
        let workers = workers::spawn(&engine, poster, &working);
        let hooks = Arc::new(engine.clone());
        own_hooks.open(&hooks);
        let (mut pump, pumped) = (JoinSet::new(), sandbox.clone());
        pump.spawn(async move { pumped.run().await });

        let key = OperatorKey::new(&operator_key);
        let stopping = serving.clone();
        let doors =
            site::Doors { engine: engine.clone(), guard, sandbox: sandbox.clone(), edge: edge.clone(), key, stopping };
        let mut servers = JoinSet::new();
        let with_admin = config.admin_on_main || parts.demo;
        servers.spawn(serve(main, doors.main(with_admin)?, serving.clone()));
        if let Some(admin) = admin {
            servers.spawn(serve(admin, doors.admin()?, serving));
        }
        lock.announce(&Presence { admin: local_url(admin_address.unwrap_or(address)), pid: std::process::id() })?;
        tracing::info!(%address, admin = ?admin_address, public_url = engine.public_url(), "listening");
        if config.time_scale > 1 {
            tracing::warn!(config.time_scale, "waits are shortened; this is for tests");
        }
        let app = App {
            engine,
            address,
            admin_address,
            operator_key,
            demo,
            sandbox,
            edge,
            calls,
            workers,
            stop_serving,
            stop_working,
            servers,
            pump,
            _hooks: hooks,
            lock,
        };
        Ok(app)
    }

    /// Stops: no new connections; requests and calls to PSPs may finish within their bounds; then the workers end and
    /// give back what they hold.
    pub async fn stop(mut self) {
        tracing::info!("stopping");
        // Nobody listening any more is as good as told.
        let _ = self.stop_serving.send(true);
        let requests = async {
            while self.servers.join_next().await.is_some() {}
            self.edge.drained().await;
        };
        if tokio::time::timeout(REQUESTS_WITHIN, requests).await.is_err() {
            tracing::warn!("requests were still being handled at the stop; their state is stored");
        }
        if tokio::time::timeout(CALLS_WITHIN, self.calls.settled()).await.is_err() {
            tracing::warn!("calls to providers were still under way at the stop; they are looked up at the next start");
        }
        self.pump.shutdown().await;
        let _ = self.stop_working.send(true);
        self.workers.stopped().await;
        drop(self.lock);
        tracing::info!("stopped");
    }
}

/// The verbs with what they stand on.
struct Assembled {
    engine: Engine,
    guard: Guard,
    calls: Calls,
    poster: Arc<Poster>,
    sandbox: SandboxPsp,
    own_hooks: Arc<OwnHooks>,
}

fn assemble(config: &Config, parts: &AppParts, store: Store, address: SocketAddr) -> anyhow::Result<Assembled> {
    let guard = Guard::new(allowed(config, parts.demo));
    let public_url = config.public_url(address);
    let http = HttpWire::new(parts.clock.clone(), guard.clone(), parts.wire.clone())?;
    let own_hooks = Arc::new(OwnHooks::default());
    let sandbox = SandboxPsp::new(store.clone(), own_hooks.clone(), &public_url);
    let local = LocalWire::new(parts.clock.clone(), Arc::new(sandbox.clone()));
    let (wire, calls) = InFlight::new(Router::new(http, Some(local)));
    let poster = Arc::new(Poster::new(parts.clock.clone(), guard.clone(), parts.wire.clone())?);
    let engine = Engine::new(store, Arc::new(wire), &public_url);
    Ok(Assembled { engine, guard, calls, poster, sandbox, own_hooks })
}

/// The verbs over the store alone, for a command that sets something up while no server runs.
///
/// # Errors
/// If the store cannot be opened.
pub async fn engine_alone(config: &Config) -> anyhow::Result<Engine> {
    let parts = AppParts::of(config);
    let store = open::store(config, parts.clock.clone(), true).await?;
    Ok(assemble(config, &parts, store, config.listen)?.engine)
}

/// Every OpenAPI document, in the order in which they are shown.
///
/// # Errors
/// If one of them cannot be made.
pub fn documents() -> anyhow::Result<Vec<Document>> {
    site::documents(true)
}

fn allowed(config: &Config, demo: bool) -> Vec<IpNet> {
    let mut subnets = config.allow_subnets.clone();
    if demo {
        subnets.extend(demo::SUBNETS);
    }
    subnets
}

/// In the demo the admin API is on the main address; a second one is opened only where somebody asks for it, so that
/// several demos can run side by side.
fn admin_listen(config: &Config, demo: bool) -> Option<SocketAddr> {
    config.admin_listen.or(if demo { None } else { Some(ADMIN_LISTEN) })
}

async fn bind(edge: &Edge, setting: &str, address: SocketAddr) -> anyhow::Result<EdgeAcceptor> {
    edge.bind(address).await.with_context(|| format!("cannot listen on {address}: set {setting} to another address"))
}

async fn serve<E>(acceptor: EdgeAcceptor, endpoint: E, mut stop: watch::Receiver<bool>) -> std::io::Result<()>
where
    E: Endpoint<Output = Response> + 'static,
{
    let stopped = async move {
        // An error means that the server has been dropped.
        let _ = stop.wait_for(|stop| *stop).await;
    };
    Server::new_with_acceptor(acceptor).run_with_graceful_shutdown(endpoint, stopped, Some(REQUESTS_WITHIN)).await
}

/// Where an address that was bound is reached from this machine.
fn local_url(bound: SocketAddr) -> String {
    let mut address = bound;
    match bound {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => address.set_ip(std::net::Ipv4Addr::LOCALHOST.into()),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => address.set_ip(std::net::Ipv6Addr::LOCALHOST.into()),
        SocketAddr::V4(_) | SocketAddr::V6(_) => {}
    }
    format!("http://{address}")
}

#[cfg(test)]
mod tests;
