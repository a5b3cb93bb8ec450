//! Requests and answers.

use std::collections::BTreeMap;

use poem::http::{StatusCode, header};
use poem::web::{Data, Path};
use poem::{Body, Endpoint, EndpointExt, Request, Response, Route, get, handler, post};
use rialto_adapters::pix_gateway::contract::{
    Balance, Decimal, ErrorBody, ErrorReply, Page, Transaction, TransactionReply, TransactionsReply, field, path,
    search,
};
use rialto_adapters::port::Timestamp;
use serde::Serialize;

use super::check::{self, Members, Wrong};
use super::ledger::{self, Refused};
use super::{PixGatewayPsp, page};
use crate::psp::simulator::faults::Faults;
use crate::psp::simulator::{Account, Done, control};
use crate::store::StoreError;
use crate::store::simulator::Filter;

/// No request of this API is near that.
const BODY_MAX: usize = 64 * 1024;
/// What the headers of a listing say; nobody counts.
const RATE_LIMIT: &str = "60";

pub fn endpoint(psp: &PixGatewayPsp) -> impl Endpoint<Output = Response> + 'static {
    Route::new()
        .at(path::CHARGE, post(charge))
        .at(path::PAY, post(pay))
        .at(path::REIMBURSEMENT, post(reimburse))
        .at(format!("{}/:id", path::TRANSACTION), get(show))
        .at(path::TRANSACTIONS, get(list))
        .at(path::BALANCE, get(balance))
        .at("/_simulate/pay/:id", get(page::pay).post(page::pay))
        .nest("/_control", control::routes(&psp.simulator))
        .data(psp.clone())
}

/// A failure that says nothing of the request.
pub fn failure(status: StatusCode) -> Response {
    let text = status.canonical_reason().unwrap_or("failed");
    let mut response = error(status, check::one(field::BASE, text));
    if status == StatusCode::TOO_MANY_REQUESTS {
        rated(&mut response, "0");
    }
    response
}

#[handler]
async fn charge(request: &Request, body: Body, Data(psp): Data<&PixGatewayPsp>) -> Response {
    let (account, faults) = match admitted(psp, request) {
        Ok(admitted) => admitted,
        Err(response) => return response,
    };
    let (request, amount) = match read(body).await.and_then(|members| check::charge(&members)) {
        Ok(read) => read,
        Err(wrong) => return error(StatusCode::UNPROCESSABLE_ENTITY, wrong),
    };
    let (at_psp, own) = (psp.clone(), faults.clone());
    let effect = async move {
        let simulator = &at_psp.simulator;
        done(ledger::charge(simulator, &at_psp.public_url, &account.id(), request, amount, &own).await)
    };
    psp.simulator.answer(&faults, effect).await
}

#[handler]
async fn pay(request: &Request, body: Body, Data(psp): Data<&PixGatewayPsp>) -> Response {
    let (account, faults) = match admitted(psp, request) {
        Ok(admitted) => admitted,
        Err(response) => return response,
    };
    let (request, amount) = match read(body).await.and_then(|members| check::pay(&members)) {
        Ok(read) => read,
        Err(wrong) => return error(StatusCode::UNPROCESSABLE_ENTITY, wrong),
    };
    let (simulator, own) = (psp.simulator.clone(), faults.clone());
    let effect = async move { done(ledger::pay(&simulator, &account.id(), request, amount, &own).await) };
    psp.simulator.answer(&faults, effect).await
}

#[handler]
async fn reimburse(request: &Request, body: Body, Data(psp): Data<&PixGatewayPsp>) -> Response {
    let (account, faults) = match admitted(psp, request) {
        Ok(admitted) => admitted,
        Err(response) => return response,
    };
    let (request, amount) = match read(body).await.and_then(|members| check::reimbursement(&members)) {
        Ok(read) => read,
        Err(wrong) => return error(StatusCode::UNPROCESSABLE_ENTITY, wrong),
    };
    let (simulator, own) = (psp.simulator.clone(), faults.clone());
    let effect = async move { done(ledger::reimburse(&simulator, &account.id(), request, amount, &own).await) };
    psp.simulator.answer(&faults, effect).await
}

#[handler]
async fn show(request: &Request, Path(id): Path<String>, Data(psp): Data<&PixGatewayPsp>) -> Response {
    let (account, faults) = match admitted(psp, request) {
        Ok(admitted) => admitted,
        Err(response) => return response,
    };
    let simulator = psp.simulator.clone();
    let effect = async move {
        match ledger::one(&simulator, &account.id(), &id).await {
            // So it is documented.
            Ok(Some(transaction)) => json(StatusCode::CREATED, &TransactionReply { transaction }).into(),
            Ok(None) => done(Err(Refused::NotFound)),
            Err(why) => done(Err(Refused::Store(why))),
        }
    };
    psp.simulator.answer(&faults, effect).await
}

#[handler]
async fn list(request: &Request, Data(psp): Data<&PixGatewayPsp>) -> Response {
    let (account, faults) = match admitted(psp, request) {
        Ok(admitted) => admitted,
        Err(response) => return response,
    };
    let (filter, page) = match filter(request.uri().query().unwrap_or_default()) {
        Ok(filter) => filter,
        Err(wrong) => return error(StatusCode::UNPROCESSABLE_ENTITY, wrong),
    };
    let simulator = psp.simulator.clone();
    let effect = async move {
        match ledger::list(&simulator, &account.id(), &filter, page.into()).await {
            Ok((transactions, total)) => {
                let last = total.div_ceil(search::ROWS as u64).max(1);
                let last_page = u32::try_from(last).unwrap_or(u32::MAX);
                let meta = Page { last_page, current_page: page, total };
                let mut response = json(StatusCode::OK, &TransactionsReply { transactions, meta });
                rated(&mut response, RATE_LIMIT);
                response.into()
            }
            Err(why) => done(Err(Refused::Store(why))),
        }
    };
    psp.simulator.answer(&faults, effect).await
}

#[handler]
async fn balance(request: &Request, Data(psp): Data<&PixGatewayPsp>) -> Response {
    let (account, faults) = match admitted(psp, request) {
        Ok(admitted) => admitted,
        Err(response) => return response,
    };
    let simulator = psp.simulator.clone();
    let effect = async move {
        match ledger::balance(&simulator, &account.id()).await {
            Ok(money) => json(StatusCode::OK, &Balance { amount: Decimal(money.to_major()) }).into(),
            Err(why) => done(Err(Refused::Store(why))),
        }
    };
    psp.simulator.answer(&faults, effect).await
}

/// The caller's account, and what is to go wrong.
fn admitted(psp: &PixGatewayPsp, request: &Request) -> Result<(Account, Faults), Response> {
    let Some(account) = psp.simulator.caller(request) else {
        return Err(error(StatusCode::UNAUTHORIZED, check::one(field::BASE, "Not authenticated")));
    };
    let faults = psp.simulator.faults(request);
    let faults =
        faults.map_err(|why| error(StatusCode::UNPROCESSABLE_ENTITY, check::one("X-Simulate", &why.to_string())))?;
    Ok((account, faults))
}

async fn read(body: Body) -> Result<Members, Wrong> {
    match body.into_bytes_limit(BODY_MAX).await {
        Ok(bytes) => Members::read(&bytes),
        Err(why) => Err(check::one(field::BASE, &why.to_string())),
    }
}

/// `search[…]=…&page=…`. What the gateway cannot search by, it leaves out.
fn filter(query: &str) -> Result<(Filter, u32), Wrong> {
    let given: BTreeMap<_, _> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let time = |name: &str| match given.get(name) {
        Some(text) => Timestamp::parse(text).map(Some).ok_or_else(|| check::one(name, "is not Y-m-d H:i:s")),
        None => Ok(None),
    };
    let filter = Filter {
        name_prefix: given.get(search::MERCHANT_TRANSACTION_ID).cloned(),
        updated_from: time(search::UPDATED_AT_GTE)?,
        updated_to: time("search[updated_at_lte]")?,
        created_from: time("search[created_at_gte]")?,
        created_to: time("search[created_at_lte]")?,
    };
    let page = given.get(search::PAGE).map_or(Ok(1), |page| page.parse().map_err(|_| check::one("page", "is invalid")));
    Ok((filter, page?.max(1)))
}

fn done(came: Result<Transaction, Refused>) -> Done {
    match came {
        Ok(transaction) => {
            let subject = Some(transaction.id.clone());
            Done { response: json(StatusCode::OK, &TransactionReply { transaction }), subject }
        }
        Err(Refused::Wrong(wrong)) => error(StatusCode::UNPROCESSABLE_ENTITY, wrong).into(),
        Err(Refused::Failed(transaction)) => {
            json(StatusCode::UNPROCESSABLE_ENTITY, &TransactionReply { transaction: *transaction }).into()
        }
        Err(Refused::NotFound) => error(StatusCode::NOT_FOUND, check::one(field::BASE, "Transaction not found")).into(),
        Err(Refused::Store(why)) => broken(&why).into(),
    }
}

pub fn broken(why: &StoreError) -> Response {
    tracing::error!(error = %why, "the simulated PIX gateway failed");
    failure(StatusCode::INTERNAL_SERVER_ERROR)
}

fn error(status: StatusCode, message: Wrong) -> Response {
    let error = ErrorBody { message, status: status.as_u16() };
    json(status, &ErrorReply { error, debug: Vec::new() })
}

fn json(status: StatusCode, body: &impl Serialize) -> Response {
    // Texts, numbers and lists of them always have a JSON form.
    let body = serde_json::to_vec(body).expect("an answer is JSON");
    Response::builder()
        .status(status)
        .content_type("application/json")
        .header(header::CACHE_CONTROL, "no-store")
        .body(body)
}

fn rated(response: &mut Response, remaining: &'static str) {
    let headers = response.headers_mut();
    headers.insert("x-ratelimit-limit", header::HeaderValue::from_static(RATE_LIMIT));
    headers.insert("x-ratelimit-remaining", header::HeaderValue::from_static(remaining));
}
