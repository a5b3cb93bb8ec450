//! What can be written on the command line.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand};
use uuid::Uuid;

use super::settings::{ConnectionRefused, ConnectionSet, KeySet, TenantSet, WhichKey};
use crate::http::amount::Amount;

const AFTER: &str = "\
Settings come from RIALTO_* in the environment, over rialto.toml in the working directory (or the file of --config), which
has the same names in lower case without RIALTO_. README.md lists them.

Try it:
  rialto serve --demo

Set up a tenant (all commands but serve and migrate also work beside a running server, through its admin API):
  rialto tenant add --name 'Shop' --sandbox
  rialto connection add --tenant TENANT_ID --adapter sandbox --test --set api_key=a --set webhook_secret=b
  rialto key add --tenant TENANT_ID --contract billwerk --connection CONNECTION_ID

Operate:
  rialto attention
  rialto resolve TRANSACTION_ID --as succeeded --why 'on the settlement report'
  rialto notice list --state unmatched
  rialto replay NOTICE_OR_DELIVERY_ID
  rialto audit";

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
    /// Play a payment service provider, alone, for tests: it moves no money.
    ///
    /// It keeps its state in a folder of its own in the data directory, posts its notices, and goes wrong as it is told.
    #[command(after_help = "Example:\n  rialto simulate pix_gateway --listen 127.0.0.1:8091 \\\n    --webhook-url \
                            http://127.0.0.1:8080/hooks/CONNECTION_ID --webhook-secret secret\n\n\
                            With --json: {\"url\", \"token\", \"webhook_secret\"}")]
    Simulate(SimulateArgs),
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
    /// Operators: people and programs that run this server, each with a key and a right of its own.
    Operator {
        #[command(subcommand)]
        command: OperatorCommand,
    },
    /// What operators did, newest first.
    #[command(after_help = "With --json: {\"entries\": [{\"id\", \"at_ms\", \"actor\", \"action\", \"tenant_id\", \
                            \"subject\", \"details\", \"outcome\"}], \"left_out\"}")]
    Audit {
        /// Only what concerns this tenant.
        #[arg(long, value_name = "ID")]
        tenant: Option<Uuid>,
    },
    /// Show what waits for a person, oldest first, each with what can be done about it.
    #[command(after_help = "With --json: {\"items\": [{\"id\", \"tenant_id\", \"since_ms\", \"what\", \"kind\", \
                            \"transaction_id\", \"text\", \"commands\"}], \"left_out\"}")]
    Attention {
        /// Only what is this tenant's.
        #[arg(long, value_name = "ID")]
        tenant: Option<Uuid>,
    },
    /// Say what machines may not: what became of a transaction, or what is done about it.
    ///
    /// Only of one that is unknown or pending, or has an open alert. Of two persons at once one wins, and the other is
    /// told.
    #[command(
        after_help = "Examples:\n  rialto resolve 0193f0a0-7c5e-7b1a-9d35-6f5a3c2b1d00 --as succeeded --why 'on \
                            the settlement report of the 20th'\n  rialto resolve 0193f0a0-7c5e-7b1a-9d35-6f5a3c2b1d00 \
                            --as declined --reason insufficient_funds --why 'the bank, by phone'\n  rialto resolve \
                            0193f0a0-7c5e-7b1a-9d35-6f5a3c2b1d00 --keep --why 'a wrong notice, their ticket 4711'\n\n\
                            With --json: {\"id\", \"tenant_id\", \"before\", \"state\", \"reason\", \"amount\", \
                            \"currency\", \"started\"}"
    )]
    Resolve(ResolveArgs),
    /// Notices from providers.
    Notice {
        #[command(subcommand)]
        command: NoticeCommand,
    },
    /// Have a stored notice read again, or a delivery that was given up tried again.
    #[command(after_help = "With --json: {\"id\", \"what\", \"state\"}")]
    Replay {
        /// Id of the notice or of the delivery.
        #[arg(value_name = "NOTICE|DELIVERY")]
        id: Uuid,
    },
    /// Tell what has become of something, from any name it has.
    ///
    /// The name may be yours, the caller's (of a payment, an agreement or a customer), the provider's, the scheme's
    /// (end-to-end id), our reference there, or the id of a notice, a delivery or a request. One time line of the request,
    /// the decisions, the calls and the notices, then where it stands, who waits for whom and what happens next.
    #[command(after_help = "Examples:\n  rialto explain 20261121-4f0c2a\n  rialto explain chg_01… --full\n  \
                            rialto --json explain 0193f0a0-7c5e-7b1a-9d35-6f5a3c2b1d00")]
    Explain {
        /// The name as you have it.
        reference: String,
        /// With the scrubbed text of every call to the provider.
        #[arg(long)]
        full: bool,
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

#[derive(Debug, PartialEq, Eq, clap::Args)]
pub struct SimulateArgs {
    /// Which one: pix_gateway.
    #[arg(value_name = "NAME")]
    pub psp: String,
    /// Where it listens. Whoever reaches it can do everything with it.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8091")]
    pub listen: std::net::SocketAddr,
    /// Where payers reach it, if that is another address.
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
    /// The token of its one account; more are opened with PUT /_control/account.
    #[arg(long, default_value = "simulator")]
    pub token: String,
    /// Where its notices go.
    #[arg(long, value_name = "URL")]
    pub webhook_url: Option<String>,
    /// What it signs its notices with.
    #[arg(long, default_value = "simulator")]
    pub webhook_secret: String,
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
    /// Change a tenant's settings.
    ///
    /// webhook_hosts: the hosts that its callers may name as webhookTarget, with commas between them, each exact or with
    /// everything below a name (*.shop.example); empty for every public one.
    #[command(after_help = "Example:\n  rialto tenant set --tenant 0193f0a0-7c5e-7b1a-9d35-6f5a3c2b1d00 \
                            'webhook_hosts=*.billwerk.com,*.frisbii-transform.com'\n\nWith --json: {\"settings\"}")]
    Set(TenantSet),
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
    /// Change settings; they are tried out at the provider before they take effect.
    #[command(after_help = "Example:\n  rialto connection set --id 0193f0a0-7c5e-7b1a-9d35-6f5a3c2b1d01 --set \
                            webhook_secret=c\n\nWith --json: {\"id\", \"version\", \"changed\", \"accepted\"}")]
    Set(ConnectionSet),
    /// Decide whether callers are told that the provider refuses the account: they then stop using it.
    #[command(after_help = "With --json: {\"id\", \"refusals\", \"told\"}")]
    Refused(ConnectionRefused),
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
    /// List a tenant's keys: their ids and how they begin.
    #[command(after_help = "With --json: {\"keys\": [{\"id\", \"hint\", \"contract\", …}]}")]
    List {
        /// Id of the tenant.
        #[arg(long, value_name = "ID")]
        tenant: Uuid,
    },
    /// Change how the holder of a key is answered.
    #[command(after_help = "Example:\n  rialto key set --key-hint sk_test_5d41 --answers pascal,number --errors \
                            camel,name\n\nWith --json: the key as key list shows it")]
    Set(KeySet),
    /// Take a key away, for good. What was made with it goes on.
    Revoke(WhichKey),
}

#[derive(Debug, PartialEq, Eq, Subcommand)]
pub enum OperatorCommand {
    /// Add an operator; the key is shown this once.
    #[command(after_help = "Example:\n  rialto operator add --name ada --right resolve\n\nThe key goes into \
                            RIALTO_ADMIN_KEY of whoever runs commands beside a server, or into X-Admin-Key.\n\nWith \
                            --json: {\"key\"}")]
    Add {
        /// As it is to stand in the audit; it is never given twice.
        #[arg(long)]
        name: String,
        /// Each includes the ones before it: look, say what machines may not, set up.
        #[arg(long, value_parser = ["read", "resolve", "admin"])]
        right: String,
    },
    /// List operators, the revoked ones too.
    List,
    /// Take an operator's key away, for good.
    Revoke {
        #[arg(long)]
        name: String,
    },
}

#[derive(Debug, PartialEq, Eq, Args)]
#[command(group = ArgGroup::new("decision").required(true).args(["verdict", "keep", "give_back"]))]
pub struct ResolveArgs {
    /// Id of the transaction; with --keep also of an alert that belongs to none.
    pub transaction: Uuid,
    /// What became of it.
    #[arg(long = "as", value_name = "STATE",
          value_parser = ["succeeded", "authorised", "declined", "expired", "cancelled"])]
    pub verdict: Option<String>,
    /// It stays as it is, and its alerts are settled.
    #[arg(long)]
    pub keep: bool,
    /// Money that came too late goes back to the payer.
    #[arg(long)]
    pub give_back: bool,
    /// Why it was declined, such as insufficient_funds; without it: rejected.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["keep", "give_back"])]
    pub reason: Option<String>,
    /// What moved, in major units, where that is not what was asked for.
    #[arg(long, value_name = "12.34", value_parser = amount, conflicts_with_all = ["keep", "give_back"])]
    pub amount: Option<Amount>,
    /// Of the amount; it must be the transaction's.
    #[arg(long, value_name = "EUR", requires = "amount")]
    pub currency: Option<String>,
    /// How you know. It stands in the history and in the audit.
    #[arg(long, value_name = "TEXT")]
    pub why: String,
}

#[derive(Debug, PartialEq, Eq, Subcommand)]
pub enum NoticeCommand {
    /// List the newest hundred.
    #[command(after_help = "With --json: {\"notices\": [{\"id\", \"tenant_id\", \"connection_id\", \
                            \"received_at_ms\", \"state\", \"text\", \"genuine\", \"attempts\", \
                            \"next_at_ms\"}], \"left_out\"}")]
    List {
        /// Only those in this state.
        #[arg(long, value_parser = ["waiting", "done", "parked", "unmatched", "ignored", "unreadable", "rejected"])]
        state: Option<String>,
        /// Only those that came for this connection.
        #[arg(long, value_name = "ID")]
        connection: Option<Uuid>,
        /// Only those of this tenant.
        #[arg(long, value_name = "ID")]
        tenant: Option<Uuid>,
    },
    /// Show one: what it says, its headers, its body. Secrets and documents are masked.
    #[command(after_help = "With --json: {\"notice\", \"says\", \"headers\", \"body\"}")]
    Show { notice: Uuid },
    /// Apply what a parked or unmatched one says to a transaction of the same connection.
    #[command(after_help = "With --json: {\"notice_id\", \"transaction_id\", \"before\", \"state\"}")]
    Match {
        notice: Uuid,
        transaction: Uuid,
        /// How you know.
        #[arg(long, value_name = "TEXT")]
        why: String,
    },
    /// Put one aside that is about nothing of ours.
    #[command(after_help = "With --json: {\"id\", \"state\"}")]
    Drop {
        notice: Uuid,
        /// How you know.
        #[arg(long, value_name = "TEXT")]
        why: String,
    },
}

fn amount(text: &str) -> Result<Amount, String> {
    Amount::parse(text).ok_or_else(|| "write a number such as 12.34".to_owned())
}

pub(super) fn setting(text: &str) -> Result<(String, String), String> {
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
            "operator add --name ada --right resolve --json".to_owned(),
            "operator list".to_owned(),
            format!("tenant set --tenant {ID} webhook_hosts=*.a.example,b.example"),
            format!("connection set --id {ID} --set a=b --set c= --force"),
            format!("connection refused --id {ID} --tell"),
            format!("connection refused --id {ID} --hold --json"),
            format!("key list --tenant {ID}"),
            format!("key set --id {ID} --answers pascal,number --errors default --notices camel,name"),
            "key set --key-hint sk_test_5d41 --answers pascal,number".to_owned(),
            "key revoke --key-hint sk_test_5d41".to_owned(),
            "operator revoke --name ada".to_owned(),
            "audit".to_owned(),
            format!("audit --tenant {ID} --json"),
            "attention".to_owned(),
            format!("attention --tenant {ID} --json"),
            format!("resolve {ID} --as declined --reason insufficient_funds --why x"),
            format!("resolve {ID} --as succeeded --amount 12.30 --currency EUR --why x --json"),
            format!("resolve {ID} --keep --why x"),
            format!("resolve {ID} --give-back --why x"),
            "notice list".to_owned(),
            format!("notice list --state unmatched --connection {ID} --tenant {ID}"),
            format!("notice show {ID}"),
            format!("notice match {ID} {ID} --why x"),
            format!("notice drop {ID} --why x"),
            format!("replay {ID}"),
            "simulate pix_gateway --listen 127.0.0.1:0 --webhook-url http://127.0.0.1:8080/hooks/1".to_owned(),
            "openapi".to_owned(),
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
            ("key revoke", "--id"),
            ("key set --answers pascal,number", "--key-hint"),
            ("tenant set --tenant 0193f0a0-7c5e-7b1a-9d35-6f5a3c2b1d00", "KEY=VALUE"),
            ("connection set --id 0193f0a0-7c5e-7b1a-9d35-6f5a3c2b1d00", "--set"),
            ("connection refused --id 0193f0a0-7c5e-7b1a-9d35-6f5a3c2b1d00", "--tell"),
            ("connection refused --id 0193f0a0-7c5e-7b1a-9d35-6f5a3c2b1d00 --tell --hold", "--hold"),
            ("operator add --name ada --right king", "resolve"),
            ("audit --tenant 7", "--tenant"),
            ("resolve 7 --keep --why x", "TRANSACTION"),
            ("resolve 0193f0a0-7c5e-7b1a-9d35-6f5a3c2b1d00 --keep", "--why"),
            ("resolve 0193f0a0-7c5e-7b1a-9d35-6f5a3c2b1d00 --why x", "--keep"),
            ("resolve 0193f0a0-7c5e-7b1a-9d35-6f5a3c2b1d00 --keep --as declined --why x", "cannot be used"),
            ("resolve 0193f0a0-7c5e-7b1a-9d35-6f5a3c2b1d00 --keep --amount 1 --why x", "cannot be used"),
            ("resolve 0193f0a0-7c5e-7b1a-9d35-6f5a3c2b1d00 --as lost --why x", "succeeded"),
            ("resolve 0193f0a0-7c5e-7b1a-9d35-6f5a3c2b1d00 --as succeeded --amount 1,5 --why x", "12.34"),
            ("notice list --state odd", "unmatched"),
            ("notice match 0193f0a0-7c5e-7b1a-9d35-6f5a3c2b1d00 --why x", "TRANSACTION"),
            ("replay x", "NOTICE"),
        ];
        for (line, expected) in rows {
            let error = parse(line).expect_err(line).to_string();
            assert!(error.contains(expected), "{line}: {error}");
        }
    }
}
