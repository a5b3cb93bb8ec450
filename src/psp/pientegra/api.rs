//! Requests and answers.

use poem::http::{StatusCode, header};
use poem::web::{Data, Path};
use poem::{Body, Endpoint, EndpointExt, Request, Response, Route, get, handler, post, put};
use rialto_adapters::pientegra::contract::{
    DEPOSITS, EVENTS, ErrorReply, INTENTS, WITHDRAWALS, delivery, error, intent, withdrawal,
};
use rialto_adapters::pientegra::iso;
use rialto_adapters::port::{Duration, Secret};
use serde::{Deserialize, Serialize};

use super::check::{self, Wrong};
use super::ledger::{self, INTENT, Made, Refused, Replayed, WITHDRAWAL, Wish};
use super::{PientegraPsp, page};
use crate::psp::simulator::faults::Faults;
use crate::psp::simulator::{Account, Done, control};
use crate::store::StoreError;

/// What the address handed out to sites ends in.
const BASE: &str = "/api/v1";
/// No request of this API is near that.
const BODY_MAX: usize = 64 * 1024;
/// Bytes of a webhook secret.
const SECRET_BYTES: usize = 32;

pub fn endpoint(psp: &PientegraPsp) -> impl Endpoint<Output = Response> + 'static {
    let api = Route::new()
        .at(DEPOSITS, post(deposit))
        .at(WITHDRAWALS, post(withdraw).get(withdrawals))
        .at(format!("{WITHDRAWALS}/:id"), get(one_withdrawal))
        .at(INTENTS, get(intents))
        .at(format!("{INTENTS}/:id"), get(one_intent))
        .at(EVENTS, get(events))
        .at(format!("{EVENTS}/:id/replay"), post(replay))
        .at("/external/site/webhook-config", put(configure));
    Route::new()
        .nest(BASE, api)
        .at("/d/:token", get(page::show).post(page::press))
        .nest("/_control", control::routes(&psp.simulator))
        .data(psp.clone())
}

/// A failure that says nothing of the request.
pub fn failure(status: StatusCode) -> Response {
    let code = if status == StatusCode::TOO_MANY_REQUESTS { error::RATE_LIMITED } else { "internal_error" };
    refuse(Wrong::new(status, code, status.canonical_reason().unwrap_or("failed")))
}

#[handler]
async fn deposit(request: &Request, body: Body, Data(psp): Data<&PientegraPsp>) -> Response {
    let read = |headers: &_, body: &[u8]| check::deposit(headers, body).map(Wish::Deposit);
    create(request, body, psp, read).await
}

#[handler]
async fn withdraw(request: &Request, body: Body, Data(psp): Data<&PientegraPsp>) -> Response {
    let read = |headers: &_, body: &[u8]| check::withdrawal(headers, body).map(Wish::Withdrawal);
    create(request, body, psp, read).await
}

async fn create(
    request: &Request,
    body: Body,
    psp: &PientegraPsp,
    read: impl Fn(&poem::http::HeaderMap, &[u8]) -> Result<Wish, Wrong>,
) -> Response {
    let (account, faults) = match admitted(psp, request) {
        Ok(admitted) => admitted,
        Err(response) => return *response,
    };
    let Ok(bytes) = body.into_bytes_limit(BODY_MAX).await else {
        return failure(StatusCode::PAYLOAD_TOO_LARGE);
    };
    let checked = check::key(request.headers()).and_then(|key| Ok((key, read(request.headers(), &bytes)?)));
    let (key, wish) = match checked {
        Ok(checked) => checked,
        Err(wrong) => return refuse(wrong),
    };
    let (at_psp, own) = (psp.clone(), faults.clone());
    let effect = async move {
        let made = ledger::make(&at_psp.simulator, &at_psp.public_url, &account.id(), &key, &wish, &own).await;
        match made {
            Ok(Made { answer, id, now }) => {
                let status = if now { StatusCode::CREATED } else { StatusCode::OK };
                Done { response: json(status, &answer), subject: Some(id) }
            }
            Err(Refused::Wrong(wrong)) => refuse(wrong).into(),
            Err(Refused::Store(why)) => broken(&why).into(),
        }
    };
    psp.simulator.answer(&faults, effect).await
}

#[handler]
async fn one_intent(request: &Request, Path(id): Path<String>, Data(psp): Data<&PientegraPsp>) -> Response {
    one(request, INTENT, id, psp).await
}

#[handler]
async fn one_withdrawal(request: &Request, Path(id): Path<String>, Data(psp): Data<&PientegraPsp>) -> Response {
    one(request, WITHDRAWAL, id, psp).await
}

async fn one(request: &Request, kind: &'static str, id: String, psp: &PientegraPsp) -> Response {
    let (account, faults) = match admitted(psp, request) {
        Ok(admitted) => admitted,
        Err(response) => return *response,
    };
    let simulator = psp.simulator.clone();
    let effect = async move {
        match ledger::one(&simulator, kind, &account.id(), &id).await {
            Ok(Some(item)) => json(StatusCode::OK, &item).into(),
            Ok(None) => not_found().into(),
            Err(why) => broken(&why).into(),
        }
    };
    psp.simulator.answer(&faults, effect).await
}

#[handler]
async fn intents(request: &Request, Data(psp): Data<&PientegraPsp>) -> Response {
    list(request, INTENT, intent::ALL, psp).await
}

#[handler]
async fn withdrawals(request: &Request, Data(psp): Data<&PientegraPsp>) -> Response {
    list(request, WITHDRAWAL, withdrawal::ALL, psp).await
}

async fn list(request: &Request, kind: &'static str, statuses: &[&str], psp: &PientegraPsp) -> Response {
    let (account, faults) = match admitted(psp, request) {
        Ok(admitted) => admitted,
        Err(response) => return *response,
    };
    let wanted = match check::wanted(request.uri().query().unwrap_or_default(), "status", statuses) {
        Ok(wanted) => wanted,
        Err(wrong) => return refuse(wrong),
    };
    let simulator = psp.simulator.clone();
    let effect = async move {
        match ledger::list(&simulator, kind, &account.id(), &wanted).await {
            Ok(page) => json(StatusCode::OK, &page).into(),
            Err(why) => broken(&why).into(),
        }
    };
    psp.simulator.answer(&faults, effect).await
}

#[handler]
async fn events(request: &Request, Data(psp): Data<&PientegraPsp>) -> Response {
    let (account, faults) = match admitted(psp, request) {
        Ok(admitted) => admitted,
        Err(response) => return *response,
    };
    let wanted = match check::wanted(request.uri().query().unwrap_or_default(), "deliveryStatus", delivery::ALL) {
        Ok(wanted) => wanted,
        Err(wrong) => return refuse(wrong),
    };
    let simulator = psp.simulator.clone();
    let effect = async move {
        match ledger::events(&simulator, &account.id(), &wanted).await {
            Ok(page) => json(StatusCode::OK, &page).into(),
            Err(why) => broken(&why).into(),
        }
    };
    psp.simulator.answer(&faults, effect).await
}

#[handler]
async fn replay(request: &Request, Path(id): Path<String>, Data(psp): Data<&PientegraPsp>) -> Response {
    let (account, faults) = match admitted(psp, request) {
        Ok(admitted) => admitted,
        Err(response) => return *response,
    };
    let simulator = psp.simulator.clone();
    let effect = async move {
        match ledger::replay(&simulator, &account.id(), &id).await {
            Ok(Replayed::Queued) => json(StatusCode::ACCEPTED, &serde_json::json!({ "eventId": id })).into(),
            Ok(Replayed::Pending) => {
                let text = "its delivery is still under way";
                refuse(Wrong::new(StatusCode::CONFLICT, error::VALIDATION_FAILED, text)).into()
            }
            Ok(Replayed::Unknown) => not_found().into(),
            Err(why) => broken(&why).into(),
        }
    };
    psp.simulator.answer(&faults, effect).await
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WebhookConfig {
    webhook_url: String,
    #[serde(default = "by_default")]
    rotate_secret: bool,
}

fn by_default() -> bool {
    true
}

/// A site sets its own address, and gets a new secret this once unless it says otherwise.
#[handler]
async fn configure(request: &Request, body: Body, Data(psp): Data<&PientegraPsp>) -> Response {
    let (account, _) = match admitted(psp, request) {
        Ok(admitted) => admitted,
        Err(response) => return *response,
    };
    let bytes = body.into_bytes_limit(BODY_MAX).await.unwrap_or_default();
    let invalid = |text: &str| refuse(Wrong::new(StatusCode::BAD_REQUEST, error::VALIDATION_FAILED, text));
    let Ok(config) = serde_json::from_slice::<WebhookConfig>(&bytes) else {
        return invalid("webhookUrl: is missing");
    };
    // On this machine, where tests and demos are, there are no certificates.
    let here = ["http://127.0.0.1", "http://localhost", "http://[::1]"];
    let url = config.webhook_url;
    if !url.starts_with("https://") && !here.iter().any(|prefix| url.starts_with(prefix)) {
        return invalid("webhookUrl: must be https");
    }
    let clock = psp.simulator.clock();
    let fresh = config.rotate_secret.then(|| {
        let bytes = clock.random::<SECRET_BYTES>();
        format!("whsec_{}", rialto_adapters::port::notice::hex(&bytes))
    });
    let webhook_secret = fresh.clone().map_or(account.webhook_secret, Secret::new);
    psp.set_account(Account { token: account.token, webhook_url: url.clone(), webhook_secret });
    let rotated_at = fresh.as_ref().map(|_| iso(clock.now()));
    let answer = serde_json::json!({ "webhookUrl": url, "webhookSecret": fresh, "rotatedAt": rotated_at });
    json(StatusCode::OK, &answer)
}

/// The caller's account, and what is to go wrong.
fn admitted(psp: &PientegraPsp, request: &Request) -> Result<(Account, Faults), Box<Response>> {
    let Some(account) = psp.simulator.caller(request) else {
        let wrong = Wrong::new(StatusCode::UNAUTHORIZED, error::UNAUTHORIZED, "the API key is not accepted");
        return Err(Box::new(refuse(wrong)));
    };
    psp.admit(&account.id()).map_err(|wait| Box::new(slow_down(wait)))?;
    match psp.simulator.faults(request) {
        Ok(faults) => Ok((account, faults)),
        Err(why) => {
            let text = format!("X-Simulate: {why}");
            Err(Box::new(refuse(Wrong::new(StatusCode::BAD_REQUEST, error::VALIDATION_FAILED, text))))
        }
    }
}

fn slow_down(wait: Duration) -> Response {
    let mut response = failure(StatusCode::TOO_MANY_REQUESTS);
    let seconds = header::HeaderValue::from(wait.as_secs().saturating_add(1));
    response.headers_mut().insert(header::RETRY_AFTER, seconds);
    response
}

fn not_found() -> Response {
    refuse(Wrong::new(StatusCode::NOT_FOUND, error::NOT_FOUND, "there is no such thing"))
}

pub fn broken(why: &StoreError) -> Response {
    tracing::error!(error = %why, "the simulated Pientegra failed");
    failure(StatusCode::INTERNAL_SERVER_ERROR)
}

fn refuse(Wrong { status, reply }: Wrong) -> Response {
    json::<ErrorReply>(status, &reply)
}

fn json<T: Serialize>(status: StatusCode, body: &T) -> Response {
    // Texts, numbers and lists of them always have a JSON form.
    let body = serde_json::to_vec(body).expect("an answer is JSON");
    Response::builder()
        .status(status)
        .content_type("application/json")
        .header(header::CACHE_CONTROL, "no-store")
        .body(body)
}
