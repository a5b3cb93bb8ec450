//! A request in, a reply out; and the scripts that spoil the way between.

use rialto_adapters::port::{Fault, FaultCause, Method, Reply, Request, Secret};
use rialto_adapters::sandbox::contract::{
    AccountReply, BASE_URL, CloseRequest, ErrorReply, FollowUpRequest, NOTIFY_SECRET_HEADER, PaymentRequest,
    REFUSED_KEY_PREFIX, SCRIPTED_HEADER, Script, TransactionReply, TransactionsReply, UNREACHABLE_KEY_PREFIX, error,
    kind, method,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::model::Stored;
use super::verbs::{self, Refused};
use super::{Account, SIGNERS_CACHED_MAX, SandboxPsp, pump};
use crate::store::sandbox_psp as table;
use crate::store::{StoreError, hash_token};
use rialto_adapters::port::Duration;

/// How long script 51 takes to answer.
const SLOW_ANSWER: Duration = Duration::from_secs(8);
/// What a proxy in front of a PSP says when the PSP is gone.
const BAD_GATEWAY: &str = "<!doctype html><html><head><title>502 Bad Gateway</title></head><body>502</body></html>";

/// What a caller wants done.
pub enum Call {
    Payment(&'static str, PaymentRequest),
    FollowUp(&'static str, FollowUpRequest),
    Close(CloseRequest),
}

impl Call {
    fn reference(&self) -> &str {
        match self {
            Call::Payment(_, request) => &request.reference,
            Call::FollowUp(_, request) => &request.reference,
            Call::Close(request) => &request.reference,
        }
    }

    fn script(&self) -> Option<Script> {
        match self {
            Call::Payment(_, request) => Script::of(request.expected_amount.unwrap_or(request.amount)),
            Call::FollowUp(_, request) => Script::of(request.amount),
            Call::Close(_) => None,
        }
    }
}

pub async fn handle(psp: &SandboxPsp, request: &Request) -> Result<Reply, Fault> {
    if bearer(request).is_some_and(|key| key.starts_with(UNREACHABLE_KEY_PREFIX)) {
        return Err(Fault::not_sent(FaultCause::ConnectionRefused, "nobody answers for this API key"));
    }
    let Some(key) = api_key(request) else {
        return Ok(refusal(401, error::UNAUTHORISED, "no such API key"));
    };
    if key.starts_with(UNREACHABLE_KEY_PREFIX) {
        return Err(Fault::not_sent(FaultCause::ConnectionRefused, "nobody listens for this API key"));
    }
    let path = request.url.strip_prefix(BASE_URL).unwrap_or_default();
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    match (request.method, path) {
        (Method::Get, "/account") => {
            let methods = vec![method::CARD.to_owned(), method::DIRECT_DEBIT.to_owned()];
            Ok(json(200, &AccountReply { account: hash_token(key).chars().take(12).collect(), methods }))
        }
        (Method::Get, "/transactions") => Ok(lookup(psp, key, query).await.unwrap_or_else(failed)),
        (Method::Post, path) => match parse(path, &request.body) {
            Ok(call) => post(psp, request, key, call).await,
            Err(reply) => Ok(reply),
        },
        (Method::Get | Method::Put | Method::Delete, _) => Ok(refusal(404, "no_such_path", path)),
    }
}

fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.headers.iter().find(|(have, _)| *have == name).map(|(_, value)| value.expose())
}

fn bearer(request: &Request) -> Option<&str> {
    header(request, "authorization")?.strip_prefix("Bearer ")
}

fn api_key(request: &Request) -> Option<&str> {
    let key = bearer(request)?;
    (!key.is_empty() && !key.starts_with(REFUSED_KEY_PREFIX)).then_some(key)
}

fn parse(path: &str, body: &[u8]) -> Result<Call, Reply> {
    let call = match path {
        "/preauths" => Call::Payment(kind::PREAUTH, read(body)?),
        "/charges" => Call::Payment(kind::CHARGE, read(body)?),
        "/means" => Call::Payment(kind::MEANS, read(body)?),
        "/captures" => Call::FollowUp(kind::CAPTURE, read(body)?),
        "/releases" => Call::FollowUp(kind::RELEASE, read(body)?),
        "/refunds" => Call::FollowUp(kind::REFUND, read(body)?),
        "/closes" => Call::Close(read(body)?),
        _ => return Err(refusal(404, "no_such_path", path)),
    };
    match call.reference().is_empty() {
        true => Err(refusal(422, error::INVALID_REQUEST, "reference: is missing")),
        false => Ok(call),
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Reply> {
    serde_json::from_slice(body).map_err(|why| refusal(422, error::INVALID_REQUEST, &why.to_string()))
}

/// One instruction, with the faults its script plays before and after the effect.
async fn post(psp: &SandboxPsp, request: &Request, key: &str, call: Call) -> Result<Reply, Fault> {
    let scripted = header(request, SCRIPTED_HEADER) == Some("on");
    let script = if scripted { call.script() } else { None };
    let secret = Secret::new(header(request, NOTIFY_SECRET_HEADER).unwrap_or_default());
    let account = match account(psp, key, &secret).await {
        Ok(account) => account,
        Err(why) => return Ok(failed(why)),
    };
    match script {
        Some(Script::NotSent) => return Err(Fault::not_sent(FaultCause::ConnectionRefused, "script 21")),
        Some(Script::AnswerLostWithoutEffect) => return Err(lost("script 23")),
        Some(Script::SlowAbsentInBetween) => psp.absent_was_told(&account.id, call.reference()).await,
        Some(
            Script::InsufficientBalance
            | Script::Rejected
            | Script::BearerInvalid
            | Script::AnswerLostAfterEffect
            | Script::HtmlAfterEffect
            | Script::PendingThenNotice
            | Script::NoticeFiveTimes
            | Script::NoticesOutOfOrder
            | Script::NoticeBeforeAnswer
            | Script::ForgedNoticeFirst
            | Script::VisibleToLookupOnly
            | Script::PaidAfterExpiry
            | Script::Chargeback
            | Script::MeansRevoked
            | Script::ChargebackReversed
            | Script::PortalRefund
            | Script::SlowAnswer,
        )
        | None => {}
    }
    let (reply, first) = match verbs::perform(psp, &account, scripted, call).await {
        Ok(done) => (json(200, &TransactionReply { transaction: done.transaction }), done.before_answer),
        Err(Refused::Request(status, word, text)) => (refusal(status, word, &text), Vec::new()),
        Err(Refused::Store(why)) => (failed(why), Vec::new()),
    };
    match script {
        Some(Script::AnswerLostAfterEffect) => Err(lost("script 22")),
        Some(Script::HtmlAfterEffect) => Ok(Reply {
            status: 502,
            headers: vec![("content-type".to_owned(), "text/html".to_owned())],
            body: BAD_GATEWAY.as_bytes().to_vec(),
        }),
        Some(Script::SlowAnswer) => {
            psp.clock().sleep(SLOW_ANSWER).await;
            Ok(reply)
        }
        Some(Script::NoticeBeforeAnswer) => {
            for job in first {
                pump::finish(psp, &job).await;
            }
            Ok(reply)
        }
        Some(
            Script::InsufficientBalance
            | Script::Rejected
            | Script::BearerInvalid
            | Script::NotSent
            | Script::AnswerLostWithoutEffect
            | Script::SlowAbsentInBetween
            | Script::PendingThenNotice
            | Script::NoticeFiveTimes
            | Script::NoticesOutOfOrder
            | Script::ForgedNoticeFirst
            | Script::VisibleToLookupOnly
            | Script::PaidAfterExpiry
            | Script::Chargeback
            | Script::MeansRevoked
            | Script::ChargebackReversed
            | Script::PortalRefund,
        )
        | None => Ok(reply),
    }
}

fn lost(script: &str) -> Fault {
    Fault::unknown(FaultCause::ConnectionLost, script)
}

/// Everything under the reference, and what happened to it without a request.
async fn lookup(psp: &SandboxPsp, key: &str, query: &str) -> Result<Reply, StoreError> {
    let pairs = url::form_urlencoded::parse(query.as_bytes());
    let reference = pairs.into_iter().find(|(name, _)| name == "reference").map(|(_, value)| value.into_owned());
    let reference = reference.unwrap_or_default();
    let absent = || refusal(404, error::NOT_FOUND, "no transaction has this reference");
    let account = hash_token(key);
    let mut rows = table::by_reference(psp.store(), &account, &reference).await?;
    if rows.is_empty() {
        psp.tell_absent(&account, &reference);
        return Ok(absent());
    }
    let followers = table::by_parent(psp.store(), &account, &reference).await?;
    rows.extend(followers.into_iter().filter(from_outside));
    let transactions = rows.iter().map(|row| Ok(Stored::read(row)?.transaction)).collect::<Result<_, StoreError>>()?;
    Ok(json(200, &TransactionsReply { transactions }))
}

/// What happened to a transaction without a request. A refund with a reference is one of the caller's own.
fn from_outside(row: &table::TransactionRow) -> bool {
    [kind::CHARGEBACK, kind::CHARGEBACK_REVERSED, kind::MEANS_REVOKED].contains(&row.kind.as_str())
        || (row.kind == kind::REFUND && row.reference.is_none())
}

/// Whoever calls, with the secret that notices about this call are to be signed with.
async fn account(psp: &SandboxPsp, key: &str, notify_secret: &Secret) -> Result<Account, StoreError> {
    let id = hash_token(key);
    let hash = table::secret_hash(psp.store(), notify_secret);
    let cached = psp.signers().get(&hash).copied();
    if let Some(signer) = cached {
        return Ok(Account { id, signer });
    }
    let signer = table::signer(psp.store(), &hash, notify_secret).await?;
    let mut signers = psp.signers();
    if signers.len() >= SIGNERS_CACHED_MAX {
        signers.clear();
    }
    signers.insert(hash, signer);
    Ok(Account { id, signer })
}

fn json(status: u16, body: &impl Serialize) -> Reply {
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    // Texts and whole numbers always have a JSON form.
    Reply { status, headers, body: serde_json::to_vec(body).unwrap_or_default() }
}

fn refusal(status: u16, word: &str, text: &str) -> Reply {
    json(status, &ErrorReply { error: word.to_owned(), message: text.to_owned() })
}

/// The PSP's own database failed: nobody can say what happened.
fn failed(why: StoreError) -> Reply {
    tracing::error!(error = %why, "the sandbox PSP failed");
    refusal(500, "internal", "the sandbox failed")
}
