//! The conformance run: our own server holds every rule of the contract, and a server that does not is told so.

use std::sync::Arc;
use std::time::Duration;

use rialto::conformance::payer::Payer;
use rialto::conformance::report::Report;
use rialto::conformance::{self, Limits, Options};
use rialto_adapters::port::Secret;

use crate::server::{Server, on_each_database};
use crate::stub::{Mistake, Stub, TOKEN};

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

/// The rules that fail, each with what was said about it.
fn failed(report: &Report) -> Vec<&'static str> {
    verdicts(report, "fail")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_integrator_passes_every_rule() {
    let stub = Stub::start(Mistake::None).await;
    let report = conformance::billwerk(options(&stub.url, TOKEN)).await.expect("a run");
    assert_eq!(verdicts(&report, "pass").len(), report.lines.len(), "{}", report.text());
    assert!(report.is_good() && report.text().ends_with("It conforms.\n"));
}

const SHORT: Limits = Limits {
    answer_within: Duration::from_secs(2),
    settle_within: Duration::from_secs(2),
    page_within: Duration::from_secs(2),
    notice_within: Duration::from_secs(2),
    retry_within: Duration::from_secs(2),
    ..LIMITS
};
const MISTAKES: &[Mistake] = &[
    Mistake::LoginErrorForStrangers,
    Mistake::StrangersBodyFirst,
    Mistake::BearerOnly,
    Mistake::Created201,
    Mistake::HtmlDecline,
    Mistake::CutJson,
    Mistake::Redirects,
    Mistake::Hangs,
    Mistake::FloatDrift,
    Mistake::AmountsAsText,
    Mistake::ForgetsIds,
    Mistake::OtherBodyTaken,
    Mistake::OverRefund,
    Mistake::CaptureAbove,
    Mistake::CapturesTwice,
    Mistake::ErrorsWithoutBody,
    Mistake::FailedIs200,
    Mistake::NoRedirectUrl,
    Mistake::UnknownStatus,
    Mistake::LastUpdatedGoesBack,
    Mistake::LocalTime,
    Mistake::OtherId,
    Mistake::OtherExternalId,
    Mistake::EchoesToken,
    Mistake::WholeCardNumber,
    Mistake::ReservesBeforeThePayer,
    Mistake::CancelForgotten,
    Mistake::PspSecretShown,
    Mistake::PutBackLosesOne,
    Mistake::UnknownKeyTaken,
    Mistake::CaseSensitive,
    Mistake::RoundsAmounts,
    Mistake::LaxCurrency,
    Mistake::ServerFaultForBadJson,
    Mistake::BadIbanTaken,
    Mistake::NoDueDate,
    Mistake::ReturnsNowhere,
    Mistake::NoticeWithoutId,
    Mistake::NoticeOfOtherType,
    Mistake::FatNotice,
    Mistake::NoNotices,
    Mistake::NeverRetries,
    Mistake::TellsEachChange,
    Mistake::TellsTooEarly,
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probe_mistakes() {
    for mistake in MISTAKES {
        let stub = Stub::start(*mistake).await;
        let mut options = options(&stub.url, TOKEN);
        options.limits = SHORT;
        let report = conformance::billwerk(options).await.expect("a run");
        println!("{mistake:?} {:?} {:.1?}", failed(&report), report.took);
    }
}
