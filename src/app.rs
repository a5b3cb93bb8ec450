//! Everything assembled: the store, the wire, the verbs, the workers and the doors, started in this order and stopped in
//! the opposite one.
//!
//! - `open` – data directory, keys, store. [`lock`] – one server per data directory.
//! - `site` – which path is answered by whom, and what surrounds every request.
//! - [`demo`] – what `serve --demo` prepares.
//! - `watch` – readiness and metrics. `traces` – finished spans go to a collector.
//! - `sandbox` – how the sandbox PSP's notices come in.

pub mod demo;
pub mod lock;
pub mod open;
mod sandbox;
mod site;
mod traces;
mod watch;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use ipnet::IpNet;
use poem::{Endpoint, Response, Server};
use rialto_adapters::port::Secret;
use tokio::sync::watch as signal;
use tokio::task::{JoinHandle, JoinSet};

use self::watch::Watch;
use crate::admin::OperatorKey;
use crate::clock::Clock;
use crate::config::{ADMIN_LISTEN, Config};
use crate::flow::Engine;
use crate::http::docs::Document;
use crate::http::edge::{Answered, Edge, EdgeAcceptor, Limits};
use crate::metrics;
use crate::psp::sandbox::SandboxPsp;
use crate::store::Store;
use crate::telemetry::Outlet;
use crate::wire::{Guard, HttpWire, LocalWire, Poster, Router, WireOptions};
use crate::workers::{self, HandedOver, Workers};
use demo::Demo;
use lock::{Lock, Presence, Taken};
use sandbox::OwnHooks;
use traces::Traces;

pub use site::paths;

/// How long requests may go on after a stop was asked for: a call is answered within five seconds.
const REQUESTS_WITHIN: Duration = Duration::from_secs(6);
/// How long instructions on their way to PSPs may go on after that. One that is cut off is looked up by another node, or
/// after the next start, once it cannot be on its way any more.
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
    wire: WireOptions,
    workers: Workers,
    traces: Option<JoinHandle<()>>,
    stop_serving: signal::Sender<bool>,
    stop_working: signal::Sender<bool>,
    stop_telling: signal::Sender<bool>,
    servers: JoinSet<std::io::Result<()>>,
    /// Goes on with what the sandbox PSP does later, and minds the clock, until it is dropped.
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
        let edge = Edge::new(parts.limits, move || clock.new_id().simple().to_string()).measured(measure);
        let main = bind(&edge, "RIALTO_LISTEN", config.listen).await?;
        let admin = match admin_listen(config, parts.demo) {
            Some(address) => Some(bind(&edge, "RIALTO_ADMIN_LISTEN", address).await?),
            None => None,
        };
        let (address, admin_address) = (main.address(), admin.as_ref().map(EdgeAcceptor::address));

        let store = open::store(config, parts.clock.clone(), true).await?;
        let Assembled { engine, guard, poster, sandbox, own_hooks } = assemble(config, &parts, store, address)?;
        // Before anything is answered: whoever finds the server ready finds the file too.
        let demo = match parts.demo {
            true => Some(demo::prepare(config, &engine, &operator_key).await?),
            false => None,
        };
        let (stop_serving, serving) = signal::channel(false);
        let (stop_working, working) = signal::channel(false);
        let workers = workers::spawn(&engine, poster, &serving, &working);
        let hooks = Arc::new(engine.clone());
        own_hooks.open(&hooks);
        let (mut pump, pumped) = (JoinSet::new(), sandbox.clone());
        pump.spawn(async move { pumped.run().await });

        let key = OperatorKey::new(&operator_key);
        let disk = config.sqlite_file().map(|file| file.parent().map(Path::to_owned).unwrap_or_default());
        let watch = Watch::new(engine.clone(), edge.clone(), disk, serving.clone(), &operator_key);
        let minding = watch.clone();
        pump.spawn(async move { minding.mind_the_clock().await });
        let doors =
            site::Doors { engine: engine.clone(), guard, sandbox: sandbox.clone(), edge: edge.clone(), key, watch };
        let mut servers = JoinSet::new();
        let with_admin = config.admin_on_main || parts.demo;
        // The demo is on this machine only, whatever stands in front of it; the main address elsewhere is the world's.
        servers.spawn(serve(main, doors.main(with_admin, parts.demo)?, serving.clone()));
        if let Some(admin) = admin {
            let open = admin.address().ip().is_loopback();
            servers.spawn(serve(admin, doors.admin(open)?, serving));
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
            wire: parts.wire,
            workers,
            traces: None,
            stop_serving,
            stop_working,
            stop_telling: signal::Sender::new(false),
            servers,
            pump,
            _hooks: hooks,
            lock,
        };
        Ok(app)
    }

    /// Tells a collector of finished spans, until the stop.
    ///
    /// # Errors
    /// If the certificates given for outgoing connections cannot be used.
    pub fn tell_spans(&mut self, endpoint: &str, outlet: Outlet) -> anyhow::Result<()> {
        let traces = Traces::new(self.engine.clock.clone(), self.wire.clone(), endpoint, outlet)?;
        self.traces = Some(tokio::spawn(traces.run(self.stop_telling.subscribe())));
        Ok(())
    }

    /// Stops: no new connections and no new work of the workers; requests and calls to PSPs may finish within their bounds;
    /// then the workers end and give back what they hold, so that another node goes on at once. What is left is said.
    pub async fn stop(mut self) {
        tracing::info!("stopping");
        // Nobody listening any more is as good as told.
        let _ = self.stop_serving.send(true);
        let requests = async {
            while self.servers.join_next().await.is_some() {}
            self.edge.drained().await;
        };
        let requests = match tokio::time::timeout(REQUESTS_WITHIN, requests).await {
            Ok(()) => 0,
            Err(_) => self.edge.in_flight(),
        };
        let submits = match tokio::time::timeout(CALLS_WITHIN, self.engine.sending.settled()).await {
            Ok(()) => 0,
            Err(_) => self.engine.sending.count(),
        };
        self.pump.shutdown().await;
        let _ = self.stop_working.send(true);
        let HandedOver { deliveries, look_ups } = self.workers.stopped().await;
        let _ = self.stop_telling.send(true);
        if let Some(traces) = self.traces.take() {
            // It ends by itself, within its own bound.
            let _ = traces.await;
        }
        drop(self.lock);
        tracing::info!(
            requests,
            submits,
            look_ups,
            deliveries,
            "stopped; the numbers are what was handed over to another node, or the next start"
        );
    }
}

/// The verbs with what they stand on.
struct Assembled {
    engine: Engine,
    guard: Guard,
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
    let wire = Router::new(http, Some(local)).traced(config.trace_psps);
    let poster = Arc::new(Poster::new(parts.clock.clone(), guard.clone(), parts.wire.clone())?);
    let engine = Engine::new(store, Arc::new(wire), &public_url);
    Ok(Assembled { engine, guard, poster, sandbox, own_hooks })
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

/// Counts and times a request.
fn measure(answered: Answered) {
    let Answered { contract, operation, status, took } = answered;
    metrics::HTTP_REQUESTS.took([contract, operation, metrics::class(status)], took);
}

async fn serve<E>(acceptor: EdgeAcceptor, endpoint: E, mut stop: signal::Receiver<bool>) -> std::io::Result<()>
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
