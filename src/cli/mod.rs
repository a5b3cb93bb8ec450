//! The command line.
//!
//! - `args` – what can be written. `serve` – runs the server. `simulate` – plays a PSP. [`walkthrough`] – calls that paste as they stand.
//! - `door` – the way to the admin API, of a running server or in this process, which all others go: `setup` – tenants,
//!   connections, keys; `settings` – what is changed of them; `operators` – who may act, and the audit; `operate` – what waits for a person; `explain` – what has
//!   become of something.

mod args;
mod door;
mod explain;
mod operate;
mod operators;
mod serve;
mod settings;
mod setup;
mod simulate;
pub mod walkthrough;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Parser as _;

use crate::app::lock::{Lock, Presence, Taken};
use crate::app::{documents, open};
use crate::clock::Clock;
use crate::config::{Config, LogFormat};
use crate::telemetry::{self, Export};
use args::{Cli, Command};

/// Reads the command line and carries it out. What goes wrong is told on standard error.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = tokio::runtime::Runtime::new().context("cannot start").and_then(|runtime| {
        let done = runtime.block_on(run(cli));
        // A name that is still being looked up keeps nobody waiting who wants to end.
        runtime.shutdown_background();
        done
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    // The documents depend on no setting, so a wrong one does not keep them back.
    if let Command::Openapi { contract, out } = &cli.command {
        return openapi(contract.as_deref(), out.as_deref());
    }
    let config = Config::load(cli.config.as_deref(), std::env::vars_os())?;
    let serves = matches!(cli.command, Command::Serve { .. } | Command::Simulate(_));
    let usual = if serves { telemetry::SERVER_FILTER } else { telemetry::COMMAND_FILTER };
    let filter = config.log.as_deref().unwrap_or(usual);
    let serves = matches!(cli.command, Command::Serve { .. });
    let traced = config.otlp_endpoint.as_ref().filter(|_| serves);
    let (export, outlet) = traced.map(|_| Export::new(Clock::nanos, Clock::span_id)).unzip();
    telemetry::init(filter, config.log_format == LogFormat::Json, export).context("cannot start the log")?;
    match cli.command {
        Command::Serve { demo } => serve::run(&config, demo, outlet).await,
        Command::Migrate => migrate(&config, cli.json).await,
        Command::Simulate(args) => simulate::run(&config, cli.json, args).await,
        Command::Tenant { command } => setup::tenant(&config, cli.json, command).await,
        Command::Connection { command } => setup::connection(&config, cli.json, command).await,
        Command::Key { command } => setup::key(&config, cli.json, command).await,
        Command::Operator { command } => operators::operator(&config, cli.json, command).await,
        Command::Audit { tenant } => operators::audit(&config, cli.json, tenant).await,
        Command::Attention { tenant } => operate::attention(&config, cli.json, tenant).await,
        Command::Resolve(args) => operate::resolve(&config, cli.json, args).await,
        Command::Notice { command } => operate::notice(&config, cli.json, command).await,
        Command::Replay { id } => operate::replay(&config, cli.json, id).await,
        Command::Explain { reference, full } => explain::run(&config, cli.json, &reference, full).await,
        Command::Openapi { .. } => Ok(()),
    }
}

async fn migrate(config: &Config, json: bool) -> anyhow::Result<()> {
    open::data_dir(config)?;
    let lock = match Lock::take(&config.data_dir).await? {
        Taken::Ours(lock) => lock,
        Taken::Server(Presence { pid, .. }) => {
            bail!("a server runs in {} (process {pid}): stop it first", config.data_dir.display())
        }
    };
    open::store(config, Clock::default(), true).await?;
    drop(lock);
    if json {
        println!("{}", serde_json::json!({ "schema": "up to date" }));
    } else {
        println!("The database schema is up to date.");
    }
    Ok(())
}

fn openapi(contract: Option<&str>, out: Option<&Path>) -> anyhow::Result<()> {
    let mut documents = documents()?;
    if let Some(contract) = contract {
        let names: Vec<&str> = documents.iter().map(|document| document.contract).collect();
        let unknown = format!("there is no contract {contract:?}; there are {}", names.join(", "));
        documents.retain(|document| document.contract == contract);
        if documents.is_empty() {
            bail!(unknown);
        }
    }
    match (contract, out) {
        (_, Some(folder)) => {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
            for document in documents {
                let path = folder.join(format!("{}.json", document.contract));
                std::fs::write(&path, &document.json).with_context(|| format!("cannot write {}", path.display()))?;
                println!("{}", path.display());
            }
        }
        (Some(_), None) => documents.iter().for_each(|document| print!("{}", document.json)),
        (None, None) => documents.iter().for_each(|document| println!("{:<12}{}", document.contract, document.title)),
    }
    Ok(())
}
