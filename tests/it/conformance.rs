//! The conformance run: our own server holds every rule of the contract, and a server that does not is told so, in the
//! right places.

use std::collections::BTreeSet;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use rialto::conformance::payer::Payer;
use rialto::conformance::report::Report;
use rialto::conformance::{self, Limits, Options, rules};
use rialto_adapters::port::Secret;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::receiver::PATIENCE;
use crate::server::{Server, on_each_database};
use crate::stub::{Mistake, PSP_SECRET, Stub, TOKEN};

/// Waits that a test can bear; each is far longer than a good server on a busy machine takes.
const LIMITS: Limits = Limits {
    answer_within: PATIENCE,
    settle_within: PATIENCE,
    page_within: PATIENCE,
    prompt_within: Duration::from_secs(1),
    notice_within: PATIENCE,
    retry_within: PATIENCE,
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

fn with_verdict(report: &Report, wanted: &str) -> Vec<&'static str> {
    let lines = report.lines.iter().filter(|line| line.verdict.as_str() == wanted);
    lines.map(|line| line.rule.id).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_own_server_conforms() {
    on_each_database(async |kind| {
        let server = Server::start(kind, 50).await;
        let report = conformance::billwerk(options(&server.url, &server.billwerk().token)).await.expect("a run");
        let passed = with_verdict(&report, "pass");
        assert_eq!(passed.len(), report.lines.len(), "{kind}:\n{}", report.text());
        assert!(report.is_good(), "{kind}: {:?}", report.stopped);
        server.quiet().await;
    })
    .await;
}

/// Without anybody who pays or listens, the rest is tried out all the same, and nothing passes unseen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_tried_out_says_what_it_needs() {
    let stub = Stub::start(Mistake::None).await;
    let options = Options { payer: Payer::None, notice_listen: None, ..options(&stub.url, TOKEN) };
    let report = conformance::billwerk(options).await.expect("a run");
    assert_eq!(with_verdict(&report, "fail"), [""; 0], "{}", report.text());
    let skipped = with_verdict(&report, "skipped");
    for line in &report.lines {
        let id = line.rule.id;
        let needs_somebody = id.starts_with("preauth.payer.") || id.starts_with("notice.");
        assert!(!needs_somebody || skipped.contains(&id), "{id}");
    }
    // Direct debits need nobody.
    for id in ["payment.recurring.succeeds", "refund.partial", "repeat.at_once", "payment.declined.get"] {
        assert!(with_verdict(&report, "pass").contains(&id), "{id}:\n{}", report.text());
    }
    let text = report.text();
    for word in ["--payer sandbox", "--notice-listen", "Nothing that was tried out failed."] {
        assert!(text.contains(word), "{word}:\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_integrator_passes_every_rule() {
    let stub = Stub::start(Mistake::None).await;
    let report = conformance::billwerk(options(&stub.url, TOKEN)).await.expect("a run");
    assert_eq!(with_verdict(&report, "pass").len(), report.lines.len(), "{}", report.text());
    assert!(report.is_good() && report.text().ends_with("It conforms.\n"));
}

/// A wait that is bound to end without what it waits for.
const IN_VAIN: Duration = Duration::from_millis(300);
/// The same where good things are waited for too.
const SHORT: Duration = Duration::from_secs(3);

fn limits(mistake: Mistake) -> Limits {
    match mistake {
        Mistake::Hangs => Limits { answer_within: SHORT, ..LIMITS },
        Mistake::FloatDrift
        | Mistake::ForgetsIds
        | Mistake::OverRefund
        | Mistake::CancelForgotten
        | Mistake::UnknownStatus
        | Mistake::AmountsAsText
        | Mistake::StateComesBack => Limits { settle_within: SHORT, ..LIMITS },
        Mistake::NeverApproved => Limits { settle_within: IN_VAIN, ..LIMITS },
        Mistake::NoNotices | Mistake::NoticeWithoutId => Limits { notice_within: IN_VAIN, ..LIMITS },
        Mistake::TellsTooEarly => Limits { notice_within: SHORT, ..LIMITS },
        Mistake::NeverRetries => Limits { retry_within: IN_VAIN, ..LIMITS },
        _ => LIMITS,
    }
}

/// For each mistake just the rules that fail.
const MISTAKES: &[(Mistake, &[&str])] = &[
    (Mistake::LoginErrorForStrangers, &["auth.no_login_error", "error.never_switches_off"]),
    (Mistake::StrangersBodyFirst, &["auth.before_body"]),
    (Mistake::BearerOnly, &["auth.basic"]),
    (Mistake::Created201, &["answer.status_200"]),
    (
        Mistake::HtmlDecline,
        &[
            "payment.declined.error",
            "payment.declined.get",
            "payment.declined.again",
            "answer.media_type",
            "error.body",
        ],
    ),
    (
        Mistake::CutJson,
        &["unknown.refund", "refund.get_equals_post", "repeat.other_refund", "answer.json_object", "error.body"],
    ),
    (
        Mistake::Redirects,
        &["unknown.refund", "unknown.is_4xx", "refund.get_equals_post", "repeat.other_refund", "error.body"],
    ),
    (Mistake::Hangs, &["unknown.refund", "unknown.is_4xx", "answer.comes"]),
    (Mistake::FloatDrift, &["refund.shown_at_payment", "answer.amounts_exact"]),
    (Mistake::AmountsAsText, &["refund.partial", "refund.second_partial", "refund.rest", "answer.amounts_exact"]),
    (
        Mistake::ForgetsIds,
        &[
            "payment.declined.again",
            "repeat.preauth",
            "repeat.payment",
            "repeat.refund",
            "repeat.at_once",
            "repeat.other_spelling",
            "repeat.other_preauth",
            "repeat.other_payment",
            "repeat.other_refund",
            "answer.external_id",
            "answer.requested_amount",
        ],
    ),
    (Mistake::OtherBodyTaken, &["repeat.other_preauth", "repeat.other_payment", "repeat.other_refund"]),
    (
        Mistake::OverRefund,
        &[
            "refund.above",
            "refund.shown_at_payment",
            "refund.refundable_shrinks",
            "refund.above_rest",
            "refund.rest",
            "answer.refund_bound",
        ],
    ),
    (Mistake::CaptureAbove, &["payment.capture.above"]),
    (Mistake::CapturesTwice, &["payment.capture.twice"]),
    (
        Mistake::ErrorsWithoutBody,
        &[
            "unknown.preauth",
            "unknown.payment",
            "unknown.refund",
            "unknown.cancel",
            "unknown.weird_ids",
            "finalize.unknown",
            "payment.capture.unknown",
            "refund.unknown_payment",
            "refund.of_refund",
            "error.body",
        ],
    ),
    (
        Mistake::FailedIs200,
        &[
            "preauth.payer.declined",
            "preauth.payer.aborted",
            "payment.declined.error",
            "payment.declined.get",
            "payment.declined.again",
        ],
    ),
    (Mistake::NoRedirectUrl, &["preauth.redirect.has_redirect_url", "preauth.redirect.get_has_url"]),
    (Mistake::UnknownStatus, &["refund.partial", "answer.status"]),
    (Mistake::LastUpdatedGoesBack, &["answer.last_updated"]),
    (Mistake::LocalTime, &["answer.dates_utc"]),
    (Mistake::OtherId, &["cancel.id_echoed", "answer.transaction_id"]),
    (
        Mistake::OtherExternalId,
        &[
            "preauth.debit.get_equals_post",
            "preauth.redirect.get_equals_post",
            "payment.recurring.get_equals_post",
            "refund.get_equals_post",
            "repeat.preauth",
            "repeat.payment",
            "repeat.refund",
            "repeat.at_once",
            "repeat.other_spelling",
            "repeat.other_payment",
            "repeat.other_refund",
            "answer.external_id",
        ],
    ),
    (Mistake::EchoesToken, &["answer.hides_token"]),
    (Mistake::WholeCardNumber, &["answer.no_card_number"]),
    (Mistake::ReservesBeforeThePayer, &["preauth.redirect.reserves_nothing"]),
    (Mistake::CancelForgotten, &["cancel.is_shown", "cancel.then_capture"]),
    (Mistake::PspSecretShown, &["settings.secrets_masked"]),
    (Mistake::PutBackLosesOne, &["settings.put_back_keeps"]),
    (Mistake::UnknownKeyTaken, &["settings.unknown_key"]),
    (Mistake::CaseSensitive, &["wire.names_pascal"]),
    (Mistake::RoundsAmounts, &["refusal.too_precise", "refusal.amount_code"]),
    (Mistake::LaxCurrency, &["refusal.unknown_currency", "refusal.currency_code"]),
    (Mistake::ServerFaultForBadJson, &["refusal.cut_json"]),
    (Mistake::BadIbanTaken, &["preauth.debit.bad_iban"]),
    (Mistake::NoDueDate, &["payment.debit.planned"]),
    (
        Mistake::ReturnsNowhere,
        &["preauth.payer.returns_success", "preauth.payer.returns_error", "preauth.payer.returns_abort"],
    ),
    (Mistake::NoticeWithoutId, &["notice.preauth", "notice.payment", "notice.failure", "notice.shape"]),
    (Mistake::NoticeOfOtherType, &["notice.type"]),
    (Mistake::FatNotice, &["notice.thin"]),
    (Mistake::NoNotices, &["notice.preauth", "notice.payment", "notice.failure"]),
    (Mistake::NeverRetries, &["notice.retried"]),
    (Mistake::TellsEachChange, &["notice.coalesced"]),
    (Mistake::TellsTooEarly, &["notice.get_after"]),
    (Mistake::OffersNothing, &["info.offers_something"]),
    (Mistake::UndescribedSetting, &["settings.described"]),
    (Mistake::PutRefused, &["settings.put_back", "settings.put_wrapped", "settings.unknown_key"]),
    (Mistake::PutAnswersNothing, &["settings.put_answer", "settings.valid_as_offered"]),
    (Mistake::WrappedNotTaken, &["settings.put_wrapped"]),
    (Mistake::RefusedPutStores, &["settings.refusal_keeps"]),
    (Mistake::DebitReserves, &["preauth.debit.reserves_nothing"]),
    (
        Mistake::EmptyBearer,
        &["preauth.debit.bearer", "preauth.debit.mandate", "preauth.payer.bearer", "preauth.payer.zero"],
    ),
    (Mistake::RelativeUrl, &["preauth.redirect.url_absolute", "preauth.payer.page_opens"]),
    (Mistake::PageGone, &["preauth.payer.page_opens"]),
    (Mistake::NeverApproved, &["preauth.payer.approved", "preauth.payer.zero"]),
    (Mistake::ReservesLess, &["preauth.payer.authorized_amount", "preauth.stored.authorized_amount"]),
    (Mistake::NoPspId, &["preauth.payer.psp_id"]),
    (Mistake::ExpiredAtOnce, &["preauth.payer.expires_at"]),
    (Mistake::StoredRefused, &["preauth.stored.succeeds"]),
    (Mistake::CaptureBeforePayer, &["preauth.redirect.not_capturable"]),
    (Mistake::ZeroRefused, &["wire.absent_is_default", "preauth.redirect.zero"]),
    (Mistake::CancelsOnce, &["cancel.again"]),
    (Mistake::CancelNeedsBody, &["cancel.no_body"]),
    (Mistake::CancelsCaptured, &["cancel.captured"]),
    (Mistake::UnfinishedStays, &["cancel.unfinished"]),
    (Mistake::CancelRefused, &["cancel.succeeds", "cancel.no_body", "cancel.unfinished"]),
    (Mistake::FinalizeFails, &["finalize.pending", "finalize.done"]),
    (
        Mistake::OtherCodes,
        &[
            "payment.capture.above_code",
            "refund.above_code",
            "repeat.other_code",
            "refusal.amount_code",
            "refusal.currency_code",
        ],
    ),
    (Mistake::WholeCaptureOnly, &["payment.capture.partial"]),
    (Mistake::PendingPays, &["payment.recurring.pending_no_items"]),
    (Mistake::DueTooEarly, &["payment.debit.due_date"]),
    (Mistake::BadDateTaken, &["payment.debit.bad_date"]),
    (Mistake::ChargeRefused, &["payment.recurring.succeeds", "payment.declined.get", "payment.debit.planned"]),
    (Mistake::CurrencyIgnored, &["payment.capture.currency", "refund.currency"]),
    (Mistake::NotRefundable, &["payment.recurring.refundable", "refund.refundable_shrinks"]),
    (
        Mistake::PaysNothing,
        &["payment.capture.succeeds", "payment.capture.partial", "payment.recurring.items", "repeat.payment"],
    ),
    (Mistake::NoBookingDate, &["refund.booking_date"]),
    (Mistake::RefundsDeclined, &["refund.of_declined"]),
    (Mistake::NoticeOfStranger, &["notice.known_id"]),
    (Mistake::NoticeTellsToken, &["notice.hides_token"]),
    (Mistake::NoticesWithoutEnd, &["notice.any_2xx"]),
    (
        Mistake::NegativeAmount,
        &["payment.recurring.refundable", "refund.refundable_shrinks", "answer.amounts_not_negative"],
    ),
    (Mistake::StampStands, &["answer.last_updated_moves"]),
    (Mistake::StateComesBack, &["refund.get_equals_post", "answer.last_updated_moves", "answer.state_stays"]),
    (Mistake::DeclineIs400, &["error.decline_is_422"]),
];

/// Where a mistake is looked for: in the groups of the rules that see it, and everywhere if they watch every answer.
fn only(expected: &[&str]) -> Vec<String> {
    let heads: BTreeSet<&str> = expected.iter().filter_map(|id| id.split('.').next()).collect();
    match heads.contains("answer") || heads.contains("error") {
        true => Vec::new(),
        false => heads.into_iter().map(str::to_owned).collect(),
    }
}

/// How many runs are under way at once: most of them wait.
const AT_ONCE: usize = 4;

/// Between them, mistakes and strange answers make every rule fail: none of them is for show.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_rule_can_fail() {
    let mut failed = each_mistake_is_told_where_it_was_made().await;
    failed.extend(no_answer_is_too_strange().await);
    let never: Vec<&str> = rules::all().map(|(_, rule)| rule.id).filter(|id| !failed.contains(id)).collect();
    assert_eq!(never, [""; 0]);
}

async fn each_mistake_is_told_where_it_was_made() -> BTreeSet<&'static str> {
    let runs = stream::iter(MISTAKES).map(|(mistake, expected)| async move {
        let stub = Stub::start(*mistake).await;
        let options = Options { limits: limits(*mistake), only: only(expected), ..options(&stub.url, TOKEN) };
        let report = conformance::billwerk(options).await.expect("a run");
        (*mistake, *expected, report)
    });
    let runs: Vec<_> = runs.buffer_unordered(AT_ONCE).collect().await;
    let mut seen: BTreeSet<&'static str> = BTreeSet::new();
    let mut wrong = Vec::new();
    for (mistake, expected, report) in runs {
        let failed = with_verdict(&report, "fail");
        seen.extend(failed.iter().copied());
        if failed != expected {
            wrong.push(format!("(Mistake::{mistake:?}, &{failed:?}),"));
        }
        assert!(!report.is_good() && report.text().ends_with("It does not conform.\n"), "{mistake:?}");
        for told in [report.text(), report.json().to_string()] {
            assert!(!told.contains(TOKEN) && !told.contains(PSP_SECRET), "{mistake:?} tells a secret: {told}");
        }
    }
    assert!(wrong.is_empty(), "these failed instead:\n{}", wrong.join("\n"));
    seen
}

/// Something that answers every connection with the same bytes, whatever was asked.
async fn parrot(bytes: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let bytes: Arc<[u8]> = String::from_utf8_lossy(&bytes).replace("SELF", &address.to_string()).into_bytes().into();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let bytes = bytes.clone();
            tokio::spawn(async move {
                let mut request = vec![0; 64 * 1024];
                // Whether it comes whole or not, and whether anybody hears: a parrot does not care.
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(&bytes).await;
                if bytes.is_empty() {
                    // Keeps the other side waiting.
                    let _ = stream.read(&mut request).await;
                }
            });
        }
    });
    format!("http://{address}")
}

fn http(status: &str, content_type: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-type: {content_type}\r\ncontent-length: {length}");
    format!("{head}\r\n\r\n{body}").into_bytes()
}

const WRONG_TYPES: &str = r#"{"transactionId":5,"externalTransactionId":[],"status":{},"requestedAmount":"x","currency":1,
"payments":{"amount":1},"chargebacks":[1,null,{"amount":"y"}],"bearer":[1],"lastUpdated":7,"redirectUrl":{},"dueDate":[],
"merchantSettings":[1,null,"x"],"creditCardMethodInfo":7,"debitMethodInfo":true,"supportRefunds":"maybe","errorCode":[],
"errorMessage":9,"receivedAt":{},"refundedAmount":1e400,"refundableAmount":-0.000000001,"cancellationStatus":99}"#;

const HALF_RIGHT: &str = r#"{"status":"Pending","redirectUrl":"http://SELF/loop","creditCardMethodInfo":{},
"merchantSettings":[{"keyName":"k","keyValue":"v"}],"lastUpdated":"9999-99-99T99:99:99Z","requestedAmount":10}"#;

/// Whatever comes, the run ends with a report that says so.
async fn no_answer_is_too_strange() -> BTreeSet<&'static str> {
    let hold = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"status\":";
    let rows: [(&str, Vec<u8>); 14] = [
        ("html", http("200 OK", "text/html", "<html><body>Welcome</body></html>")),
        ("html error", http("500 Oops", "text/html", "<html>\u{1b}[31mOops</html>")),
        ("empty", http("200 OK", "application/json", "")),
        ("cut", http("200 OK", "application/json", "{\"transactionId\":\"a")),
        ("null", http("200 OK", "application/json", "null")),
        ("list", http("200 OK", "application/json", "[{}]")),
        ("deep", http("200 OK", "application/json", &"[".repeat(100_000))),
        ("large", http("200 OK", "application/json", &format!("\"{}\"", "x".repeat(3_000_000)))),
        ("wrong types", http("200 OK", "application/json", WRONG_TYPES)),
        ("wrong types in an error", http("422 No", "application/json", WRONG_TYPES)),
        ("half right", http("200 OK", "application/json", HALF_RIGHT)),
        ("redirect", b"HTTP/1.1 302 Found\r\nlocation: http://SELF/loop\r\ncontent-length: 0\r\n\r\n".to_vec()),
        ("no HTTP", b"220 mail.example ESMTP\r\n".to_vec()),
        ("breaks off", hold.as_bytes().to_vec()),
    ];
    let mut failed = BTreeSet::new();
    for (name, bytes) in rows {
        let url = parrot(bytes).await;
        let limits = Limits {
            settle_within: IN_VAIN,
            page_within: IN_VAIN,
            notice_within: IN_VAIN,
            retry_within: IN_VAIN,
            ..LIMITS
        };
        let report = conformance::billwerk(Options { limits, ..options(&url, TOKEN) }).await.expect("a run");
        assert!(report.count().fail_must > 0, "{name}:\n{}", report.text());
        assert!(!report.is_good() && !report.text().contains('\u{1b}'), "{name}");
        failed.extend(with_verdict(&report, "fail"));
    }
    failed
}

/// A server that takes every request and never answers is given up, and the rest is not waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_never_answers_is_given_up() {
    let url = parrot(Vec::new()).await;
    let limits = Limits { answer_within: IN_VAIN, ..LIMITS };
    let report = conformance::billwerk(Options { limits, ..options(&url, TOKEN) }).await.expect("a run");
    assert_eq!(with_verdict(&report, "pass"), [""; 0]);
    assert!(with_verdict(&report, "fail").contains(&"answer.comes"), "{}", report.text());
    assert!(report.stopped.as_deref().is_some_and(|why| why.contains("not answered in time")), "{:?}", report.stopped);
}

/// Runs `rialto conformance billwerk …`.
async fn command(line: &[&str]) -> Output {
    let running = Command::new(env!("CARGO_BIN_EXE_rialto"))
        .args(["conformance", "billwerk"])
        .args(line)
        .env_clear()
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    tokio::time::timeout(PATIENCE * 4, running).await.expect("it ends by itself").expect("it starts")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_prints_and_exits_by_what_was_found() {
    let (good, bad) = (Stub::start(Mistake::None).await, Stub::start(Mistake::EchoesToken).await);
    let out = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned();
    let err = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let notices = ["--payer", "sandbox", "--notice-listen", "127.0.0.1:0"];

    let output = command(&[&["--url", &good.url, "--token", TOKEN], notices.as_slice()].concat()).await;
    assert_eq!(output.status.code(), Some(0), "{}{}", out(&output), err(&output));
    assert!(out(&output).ends_with("It conforms.\n"), "{}", out(&output));

    let output =
        command(&["--url", &bad.url, "--token", TOKEN, "--only", "unknown", "--only", "answer", "--json"]).await;
    assert_eq!(output.status.code(), Some(1), "{}", err(&output));
    let report: Value = serde_json::from_str(&out(&output)).expect("JSON");
    assert_eq!((&report["conforms"], &report["count"]["fail_must"]), (&false.into(), &1.into()), "{report}");
    let rules = report["rules"].as_array().expect("a list");
    let failed = rules.iter().find(|rule| rule["verdict"] == "fail").expect("a rule that failed");
    assert_eq!(failed["id"], "answer.hides_token");
    assert!(failed["answer"].as_str().is_some_and(|answer| answer.contains("***")), "{failed}");
    assert!(rules.iter().all(|rule| rule["id"].as_str().is_some_and(|id| !id.starts_with("refund."))));
    assert!(err(&output).contains("1 rules failed"), "{}", err(&output));
    for text in [out(&output), err(&output)] {
        assert!(!text.contains(TOKEN), "{text}");
    }

    let rows: [(&[&str], &str); 4] = [
        (&["--url", &good.url, "--token", TOKEN, "--only", "refund.par"], "refund.partial"),
        (&["--url", "http://127.0.0.1:9", "--token", TOKEN], "cannot be reached"),
        (&["--url", "psp.example", "--token", TOKEN], "is not an address"),
        (&["--url", &good.url, "--token", TOKEN, "--notice-listen", "nowhere"], "cannot listen"),
    ];
    for (line, told) in rows {
        let output = command(line).await;
        assert_eq!(output.status.code(), Some(1), "{line:?}");
        assert!(err(&output).contains(told) && !err(&output).contains(TOKEN), "{line:?}: {}", err(&output));
    }
}
