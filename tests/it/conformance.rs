//! The conformance run: our own server holds every rule of the contract, and a server that does not is told so.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rialto::conformance::payer::Payer;
use rialto::conformance::report::Report;
use rialto::conformance::{self, Limits, Options, Verdict};
use rialto_adapters::port::Secret;

use crate::server::{Server, on_each_database};

/// Waits that a test can bear; each is far longer than a good server on a busy machine takes.
const LIMITS: Limits = Limits {
    answer_within: Duration::from_secs(20),
    settle_within: Duration::from_secs(30),
    page_within: Duration::from_secs(20),
    prompt_within: Duration::from_secs(1),
    notice_within: Duration::from_secs(30),
    retry_within: Duration::from_secs(30),
    run_within: Duration::from_secs(240),
    late_max: 5,
};

fn options(url: &str, token: &str) -> Options {
    Options {
        url: url.to_owned(),
        token: Secret::new(token),
        notice_listen: Some("127.0.0.1:0".to_owned()),
        notice_url: None,
        payer: Payer::Sandbox,
        only: Vec::new(),
        limits: LIMITS,
        tell: Arc::new(|_| {}),
    }
}

fn verdicts(report: &Report, wanted: &str) -> Vec<&'static str> {
    let lines = report.lines.iter().filter(|line| line.verdict.as_str() == wanted);
    lines.map(|line| line.rule.id).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_own_server_conforms() {
    on_each_database(async |kind| {
        let server = Server::start(kind, 50).await;
        let report = conformance::billwerk(options(&server.url, &server.billwerk().token)).await.expect("a run");
        assert!(report.is_good(), "{kind}:\n{}", report.text());
        assert!(verdicts(&report, "skipped").is_empty(), "{}", report.text());
        assert!(verdicts(&report, "not applicable").is_empty(), "{}", report.text());
        server.quiet().await;
    })
    .await;
}
