//! What can be written on the command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use uuid::Uuid;

use super::conformance::ConformanceCommand;

const AFTER: &str = "\
Settings come from RIALTO_* in the environment, over rialto.toml in the working directory (or the file of --config), which
has the same names in lower case without RIALTO_. README.md lists them.

Try it:
  rialto serve --demo

Set up a tenant (these commands also work beside a running server, through its admin API):
  rialto tenant add --name 'Shop' --sandbox
  rialto connection add --tenant TENANT_ID --adapter sandbox --test --set api_key=a --set webhook_secret=b
  rialto key add --tenant TENANT_ID --contract billwerk --connection CONNECTION_ID";

/// One server between the systems that want money moved and the payment service providers that move it.
#[derive(Debug, Parser)]
#[command(name = "rialto", version, after_help = AFTER, max_term_width = 120)]
pub struct Cli {
    /// Read settings from this file instead of rialto.toml.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Print JSON for programs instead of text for people.
    #[arg(long, global = true)]
    pub json: bool,

    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server.
    ///
    /// It brings the database schema up to date first. SIGTERM or Ctrl-C stop it: requests may finish, what is under way
    /// is taken up at the next start.
    Serve {
        /// Prepare a sandbox tenant with a key, on this machine only, and print calls to paste.
        ///
        /// Credentials are written to demo.json in the data directory. Starting again changes nothing.
        #[arg(long)]
        demo: bool,
    },
    /// Bring the database schema up to date and end.
    Migrate,
    /// Tenants: accounts, live or sandbox for ever.
    Tenant {
        #[command(subcommand)]
        command: TenantCommand,
    },
    /// Connections: a tenant's use of an adapter.
    Connection {
        #[command(subcommand)]
        command: ConnectionCommand,
    },
    /// Keys with which a tenant calls.
    Key {
        #[command(subcommand)]
        command: KeyCommand,
    },
    /// Try a server out against every known rule of a contract.
    Conformance {
        #[command(subcommand)]
        command: ConformanceCommand,
    },
    /// Print or write the OpenAPI documents.
    ///
    /// Without arguments the contracts are listed.
    #[command(after_help = "Examples:\n  rialto openapi billwerk\n  rialto openapi --out openapi")]
    Openapi {
        /// One contract instead of all.
        contract: Option<String>,
        /// Write DIR/CONTRACT.json instead of printing.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
}

#[derive(Debug, PartialEq, Eq, Subcommand)]
pub enum TenantCommand {
    /// Add a tenant; prints its id and its app secret, which is shown this once.
    #[command(after_help = "Example:\n  rialto tenant add --name 'Shop' --sandbox\n\n\
                            With --json: {\"id\", \"app_id\", \"app_secret\"}")]
    Add {
        /// What people call it.
        #[arg(long)]
        name: String,
        /// For trying things out, for ever: it may own test connections only.
        #[arg(long)]
        sandbox: bool,
    },
    /// List the oldest hundred tenants.
    List,
}

#[derive(Debug, PartialEq, Eq, Subcommand)]
pub enum ConnectionCommand {
    /// Add a connection; prints its id and where the provider is to post its notices.
    #[command(after_help = "Example:\n  rialto connection add --tenant 0193f0a0-7c5e-7b1a-9d35-6f5a3c2b1d00 \
                            --adapter sandbox --test \\\n    --set api_key=a --set webhook_secret=b --set scripted=on\n\n\
                            With --json: {\"id\", \"hook_url\"}")]
    Add {
        /// Id of the tenant.
        #[arg(long, value_name = "ID")]
        tenant: Uuid,
        /// Name of the adapter. A wrong one is answered with those there are.
        #[arg(long, value_name = "NAME")]
        adapter: String,
        /// A setting of the adapter; give it once for each. A missing one is answered with what it is for.
        #[arg(long = "set", value_name = "KEY=VALUE", value_parser = setting)]
        set: Vec<(String, String)>,
        /// The connection leads to the provider's test environment.
        #[arg(long)]
        test: bool,
    },
}

#[derive(Debug, PartialEq, Eq, Subcommand)]
pub enum KeyCommand {
    /// Add a key; it is shown this once.
    #[command(
        after_help = "Example:\n  rialto key add --tenant 0193f0a0-7c5e-7b1a-9d35-6f5a3c2b1d00 --contract billwerk \
                            \\\n    --connection 0193f0a0-7c5e-7b1a-9d35-6f5a3c2b1d01\n\nWith --json: {\"key\"}"
    )]
    Add {
        /// Id of the tenant.
        #[arg(long, value_name = "ID")]
        tenant: Uuid,
        /// The contract the key is for: billwerk.
        #[arg(long, value_name = "NAME")]
        contract: String,
        /// The connection used where a call names none.
        #[arg(long, value_name = "ID")]
        connection: Uuid,
        /// The key reads the events of all contracts, not only of its own.
        #[arg(long)]
        all_events: bool,
    },
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
    if key.is_empty() {
        return Err("write KEY=VALUE, with a key".to_owned());
    }
    Ok((key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    const ID: &str = "0193f0a0-7c5e-7b1a-9d35-6f5a3c2b1d00";

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("rialto").chain(line.split_whitespace()))
    }

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_can_be_written() {
        let rows = [
            "serve".to_owned(),
            "serve --demo --config other.toml".to_owned(),
            "--json migrate".to_owned(),
            "migrate --json".to_owned(),
            "tenant add --name Shop --sandbox --json".to_owned(),
            "tenant list".to_owned(),
            format!("connection add --tenant {ID} --adapter sandbox --set a=b --set c= --set d=e=f --test"),
            format!("key add --tenant {ID} --contract billwerk --connection {ID} --all-events"),
            "openapi".to_owned(),
            "conformance billwerk --url http://127.0.0.1:8080 --token t --payer prompt --only refund --json".to_owned(),
            "openapi billwerk --out openapi".to_owned(),
        ];
        for line in rows {
            if let Err(error) = parse(&line) {
                panic!("{line}: {error}");
            }
        }
        let Command::Connection { command: ConnectionCommand::Add { set, .. } } =
            parse(&format!("connection add --tenant {ID} --adapter x --set d=e=f --set c=")).expect("good").command
        else {
            panic!("another command")
        };
        assert_eq!(set, [("d".to_owned(), "e=f".to_owned()), ("c".to_owned(), String::new())]);
    }

    #[test]
    fn what_cannot() {
        let rows = [
            ("", "Usage"),
            ("serv", "serve"),
            ("tenant add", "--name"),
            ("tenant remove", "unrecognized"),
            ("connection add --tenant 7 --adapter x", "--tenant"),
            ("connection add --adapter x --set a", "KEY=VALUE"),
            ("connection add --adapter x --set =b", "KEY=VALUE"),
            ("key add --contract billwerk", "--tenant"),
            ("conformance billwerk --token t", "--url"),
            ("conformance billwerk --url x --token t --payer me", "sandbox"),
        ];
        for (line, expected) in rows {
            let error = parse(line).expect_err(line).to_string();
            assert!(error.contains(expected), "{line}: {error}");
        }
    }
}
