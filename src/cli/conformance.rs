//! `rialto conformance`.

use std::convert::Infallible;
use std::sync::Arc;

use anyhow::bail;
use clap::{Subcommand, ValueEnum};
use rialto_adapters::port::Secret;

use crate::conformance::payer::Payer;
use crate::conformance::{self, Limits, Options};

#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum ConformanceCommand {
    /// billwerk's External PSP Integration.
    ///
    /// It makes transactions of small amounts with ids of their own and puts back the settings it finds: use a test
    /// account. A run takes about a minute, longer where notices are tried again late. The exit code is 0 only if nothing
    /// failed; rules that could not be tried out are reported as skipped, with what they need.
    #[command(after_help = "Examples:\n  \
        rialto conformance billwerk --url http://127.0.0.1:8080 --token TOKEN --payer sandbox --notice-listen 127.0.0.1:9000\n  \
        rialto conformance billwerk --url https://psp.example --token TOKEN --only refund --only payment.capture --json")]
    Billwerk {
        /// The integrator's base address, to which the platform adds /api/….
        #[arg(long)]
        url: String,
        /// The token that the integrator gave to the merchant. It is never printed.
        #[arg(long, value_parser = secret)]
        token: Secret,
        /// Listen here for notices; without it the rules about them are skipped.
        #[arg(long, value_name = "ADDR")]
        notice_listen: Option<String>,
        /// How the integrator reaches that address, where it is another one for it.
        #[arg(long, value_name = "URL")]
        notice_url: Option<String>,
        /// Who acts on the PSP's page: this command on Rialto's own sandbox, or you, told where.
        #[arg(long, value_enum, value_name = "WHO")]
        payer: Option<PayerArg>,
        /// Only this rule, or all whose ids begin so: refund.partial, payment.capture. Give it once for each.
        #[arg(long, value_name = "RULE")]
        only: Vec<String>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PayerArg {
    Sandbox,
    Prompt,
}

/// So that it is in no debug output either.
fn secret(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(text))
}

pub async fn run(json: bool, command: ConformanceCommand) -> anyhow::Result<()> {
    let ConformanceCommand::Billwerk { url, token, notice_listen, notice_url, payer, only } = command;
    let options = Options {
        url,
        token,
        notice_listen,
        notice_url,
        payer: match payer {
            None => Payer::None,
            Some(PayerArg::Sandbox) => Payer::Sandbox,
            Some(PayerArg::Prompt) => Payer::Prompt,
        },
        only,
        limits: Limits::default(),
        // Beside the report, which programs read.
        tell: Arc::new(|text| eprintln!("… {text}")),
    };
    let report = conformance::billwerk(options).await?;
    match json {
        true => println!("{}", report.json()),
        false => print!("{}", report.text()),
    }
    let count = report.count();
    match (report.is_good(), count.fail_must + count.fail_should) {
        (true, _) => Ok(()),
        (false, 0) => bail!("the run did not come to its end"),
        (false, failed) => bail!("{failed} rules failed"),
    }
}
