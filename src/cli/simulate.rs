//! `rialto simulate`: one of the PSPs we play, alone.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use poem::endpoint::BoxEndpoint;
use poem::{EndpointExt as _, Response, Server};
use rialto_adapters::port::Secret;

use super::args::SimulateArgs;
use super::serve::Signals;
use crate::app::{demo, open};
use crate::clock::Clock;
use crate::config::Config;
use crate::http::edge::{Edge, Limits};
use crate::psp::pientegra::{self, PientegraPsp};
use crate::psp::pix_gateway::{self, PixGatewayPsp};
use crate::psp::simulator::{Account, Simulator};
use crate::store::{KeyRing, Store, StoreOptions, Vault};
use crate::wire::{Guard, Poster, WireOptions};

/// The PSPs that can be played.
const NAMES: [&str; 2] = [pientegra::NAME, pix_gateway::NAME];

pub async fn run(config: &Config, json: bool, args: SimulateArgs) -> anyhow::Result<()> {
    let mut signals = Signals::new().context("cannot listen for signals")?;
    if !NAMES.contains(&args.psp.as_str()) {
        bail!("there is no simulator {:?}; there are {}", args.psp, NAMES.join(", "));
    }
    let clock = Clock::scaled(config.time_scale);
    let ids = clock.clone();
    let edge = Edge::new(Limits::default(), move || ids.new_id().to_string());
    let acceptor = edge.bind(args.listen).await.with_context(|| format!("cannot listen on {}", args.listen))?;
    let url = args.public_url.clone().unwrap_or_else(|| local_url(acceptor.address()));
    let store = store(config, &args.psp, clock.clone()).await?;
    // Notices go to the machine it runs on, and to networks that were named.
    let subnets = config.allow_subnets.iter().copied().chain(demo::SUBNETS).collect();
    let poster = Arc::new(Poster::new(clock, Guard::new(subnets), WireOptions::default())?);
    let (simulator, endpoint) =
        play(&args.psp, store, poster, &url).context("it is in the list, and cannot be played")?;
    simulator.set_account(Account {
        token: Secret::new(args.token.clone()),
        webhook_url: args.webhook_url.unwrap_or_default(),
        webhook_secret: Secret::new(args.webhook_secret.clone()),
    });
    match json {
        true => {
            println!("{}", serde_json::json!({"url": url, "token": args.token, "webhook_secret": args.webhook_secret}))
        }
        false => println!(
            "{} is played at {url}\n  token           {}\n  webhook_secret  {}\n  faults          POST \
             {url}/_control/faults, or the header X-Simulate",
            args.psp, args.token, args.webhook_secret
        ),
    }
    let server = Server::new_with_acceptor(acceptor);
    tokio::select! {
        done = server.run(edge.observed(edge.detached(endpoint))) => done.context("the simulator has stopped"),
        () = simulator.run() => Ok(()),
        () = signals.next() => Ok(()),
    }
}

/// The frame of the one with this name, and all its paths.
fn play(
    name: &str,
    store: Store,
    poster: Arc<Poster>,
    url: &str,
) -> Option<(Simulator, BoxEndpoint<'static, Response>)> {
    match name {
        pientegra::NAME => {
            let psp = PientegraPsp::new(store, poster, url);
            Some((psp.simulator().clone(), psp.endpoint().boxed()))
        }
        pix_gateway::NAME => {
            let psp = PixGatewayPsp::new(store, poster, url);
            Some((psp.simulator().clone(), psp.endpoint().boxed()))
        }
        _ => None,
    }
}

/// A database of its own beside a server's, so that both can run in one data directory.
async fn store(config: &Config, name: &str, clock: Clock) -> anyhow::Result<Store> {
    open::data_dir(config)?;
    let folder = config.data_dir.join(format!("simulate-{name}"));
    open::private_dir(&folder)?;
    let vault = Vault::new(KeyRing::load_or_make(&folder)?);
    let url = format!("sqlite:{}", folder.join("rialto.db").display());
    Ok(Store::open(StoreOptions { url, clock, vault, migrate: true }).await?)
}

fn local_url(address: SocketAddr) -> String {
    format!("http://{address}")
}
