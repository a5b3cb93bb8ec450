//! An integrator of our own making for the conformance run: small, in memory, right in everything, and wrong in one thing
//! on request. Written apart from the server: other casing, other enum style, so that the run is seen to take both.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use poem::http::StatusCode;
use poem::listener::{Acceptor, Listener, TcpListener};
use poem::{Endpoint, Request, Response};
use serde_json::{Map, Value, json};

pub const TOKEN: &str = "stub-token-1234567890";
/// What the stub keeps for its merchant.
pub const PSP_SECRET: &str = "psp-secret-0987654321";
const MASK: &str = "********";

/// The one thing that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    None,
    LoginErrorForStrangers,
    StrangersBodyFirst,
    BearerOnly,
    Created201,
    HtmlDecline,
    CutJson,
    Redirects,
    Hangs,
    FloatDrift,
    AmountsAsText,
    ForgetsIds,
    OtherBodyTaken,
    OverRefund,
    CaptureAbove,
    CapturesTwice,
    ErrorsWithoutBody,
    FailedIs200,
    NoRedirectUrl,
    UnknownStatus,
    LastUpdatedGoesBack,
    LocalTime,
    OtherId,
    OtherExternalId,
    EchoesToken,
    WholeCardNumber,
    ReservesBeforeThePayer,
    CancelForgotten,
    PspSecretShown,
    PutBackLosesOne,
    UnknownKeyTaken,
    CaseSensitive,
    RoundsAmounts,
    LaxCurrency,
    ServerFaultForBadJson,
    BadIbanTaken,
    NoDueDate,
    ReturnsNowhere,
    NoticeWithoutId,
    NoticeOfOtherType,
    FatNotice,
    NoNotices,
    NeverRetries,
    TellsEachChange,
    TellsTooEarly,
    OffersNothing,
    UndescribedSetting,
    PutRefused,
    PutAnswersNothing,
    WrappedNotTaken,
    RefusedPutStores,
    DebitReserves,
    EmptyBearer,
    RelativeUrl,
    ZeroRefused,
    CaptureBeforePayer,
    PageGone,
    NeverApproved,
    ReservesLess,
    NoPspId,
    ExpiredAtOnce,
    StoredRefused,
    CancelsOnce,
    CancelNeedsBody,
    CancelsCaptured,
    UnfinishedStays,
    CancelRefused,
    FinalizeFails,
    OtherCodes,
    WholeCaptureOnly,
    CurrencyIgnored,
    PaysNothing,
    NotRefundable,
    PendingPays,
    DueTooEarly,
    BadDateTaken,
    ChargeRefused,
    NoBookingDate,
    RefundsDeclined,
    NoticeOfStranger,
    NoticeTellsToken,
    NoticesWithoutEnd,
    NegativeAmount,
    StampStands,
    StateComesBack,
    DeclineIs400,
}

pub struct Stub {
    pub url: String,
}

impl Stub {
    pub async fn start(mistake: Mistake) -> Stub {
        let acceptor = TcpListener::bind("127.0.0.1:0").into_acceptor().await.expect("a free port");
        let address = acceptor.local_addr().first().and_then(|a| a.as_socket_addr().copied()).expect("an address");
        let url = format!("http://{address}");
        let settings =
            vec![("MerchantId".to_owned(), "m-1".to_owned()), ("ApiToken".to_owned(), PSP_SECRET.to_owned())];
        let world = World {
            mistake,
            url: url.clone(),
            state: Mutex::new(State { settings, ..State::default() }),
            client: reqwest::Client::new(),
        };
        tokio::spawn(poem::Server::new_with_acceptor(acceptor).run(Door(Arc::new(world))));
        Stub { url }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Preauth = 1,
    Payment = 2,
    Refund = 3,
}

#[derive(Clone, Default)]
struct Tx {
    asked: Value,
    amount: i64,
    currency: String,
    status: &'static str,
    error: Option<Error>,
    number: u64,
    updated: u64,
    agreement: String,
    debit: bool,
    parent: Option<String>,
    refunded: i64,
    due: Option<String>,
    captured: bool,
    target: String,
    /// Told and not done yet, for who tells too early.
    later: bool,
    wanted: u64,
    sending: bool,
}

#[derive(Clone, Debug)]
struct Error {
    http: u16,
    code: &'static str,
    message: String,
    status: &'static str,
    at: String,
}

#[derive(Default)]
struct State {
    clock: u64,
    txs: BTreeMap<(Kind, String), Tx>,
    /// Agreements with stored means, and whether they are accounts.
    means: BTreeMap<String, bool>,
    settings: Vec<(String, String)>,
}

impl State {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }
}

struct World {
    mistake: Mistake,
    url: String,
    state: Mutex<State>,
    client: reqwest::Client,
}

struct Door(Arc<World>);

type Reply = (u16, Value);
type Refused = Result<Reply, Error>;

fn time_of(tick: u64) -> String {
    format!("2026-01-01T00:00:{:02}.{:07}Z", tick / 10_000_000, tick % 10_000_000)
}

fn refused(http: u16, code: &'static str, message: &str) -> Error {
    Error { http, code, message: message.to_owned(), status: "Failed", at: time_of(1) }
}

/// Names in lower case, but those of the free map.
fn lower(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(name, value)| {
                    let name = name.to_ascii_lowercase();
                    let value = if name == "initialbearer" { value } else { lower(value) };
                    (name, value)
                })
                .collect(),
        ),
        Value::Array(items) => items.into_iter().map(lower).collect(),
        other => other,
    }
}

/// Cents, or none where there would be parts of one.
fn cents(value: &Value) -> Option<i64> {
    if !value.is_number() {
        return None;
    }
    let text = value.to_string();
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    let part = part.trim_end_matches('0');
    let places = if part.len() > 2 || text.contains('e') { return None } else { format!("{part:0<2}") };
    let sign = if whole.starts_with('-') { -1 } else { 1 };
    Some(whole.parse::<i64>().ok()? * 100 + sign * places.parse::<i64>().ok()?)
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

impl Endpoint for Door {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let world = &self.0;
        let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
        let header = request.header("authorization").unwrap_or_default().to_owned();
        let body = request.take_body().into_vec().await?;
        if let Some(id) = path.strip_prefix("/sandbox/pay/") {
            return Ok(world.page(&method, id, &String::from_utf8_lossy(&body)));
        }
        let refund = path.strip_prefix("/api/Refund/");
        let looks = method == "GET" && refund.is_some();
        if world.is(Mistake::Hangs) && refund.is_some_and(|id| !world.has(Kind::Refund, id)) {
            std::future::pending::<()>().await;
        }
        if world.is(Mistake::Redirects) && looks {
            return Ok(Response::builder().status(StatusCode::FOUND).header("location", "/elsewhere").finish());
        }
        let (status, value) = match world.answer(&method, &path, &header, &body) {
            Ok(reply) => reply,
            Err(error) => {
                let declined = error.code == "InsufficientBalance";
                if world.is(Mistake::HtmlDecline) && declined {
                    let page = Response::builder().status(StatusCode::INTERNAL_SERVER_ERROR).content_type("text/html");
                    return Ok(page.body("<html><h1>Oops</h1></html>"));
                }
                if world.is(Mistake::ErrorsWithoutBody) && error.http == 404 {
                    return Ok(Response::builder().status(StatusCode::NOT_FOUND).finish());
                }
                let http = if world.is(Mistake::DeclineIs400) && declined { 400 } else { error.http };
                (http, world.show_error(&error))
            }
        };
        let mut shown = world.spoil(&path, value).to_string();
        if world.is(Mistake::CutJson) && looks {
            shown.truncate(shown.len() / 2);
        }
        let status = StatusCode::from_u16(status).expect("a status");
        Ok(Response::builder().status(status).content_type("application/json").body(shown))
    }
}

impl World {
    fn is(&self, mistake: Mistake) -> bool {
        self.mistake == mistake
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has(&self, kind: Kind, id: &str) -> bool {
        self.state().txs.contains_key(&(kind, id.to_owned()))
    }

    fn show_error(&self, error: &Error) -> Value {
        let plain = ["InvalidAmount", "InvalidCurrency", "AlreadyExecuted"].contains(&error.code);
        let code = if plain && self.is(Mistake::OtherCodes) { "InvalidData" } else { error.code };
        let token = if self.is(Mistake::EchoesToken) { TOKEN } else { "" };
        json!({
            "errorCode": code,
            "errorMessage": format!("{} {token}", error.message),
            "receivedAt": error.at,
            "status": error.status,
        })
    }

    /// What is wrong in how it is written.
    fn spoil(&self, path: &str, mut value: Value) -> Value {
        if self.is(Mistake::AmountsAsText) && path.starts_with("/api/Refund") && value["refundedAmount"].is_number() {
            value["refundedAmount"] = json!(value["refundedAmount"].to_string());
        }
        if self.is(Mistake::UnknownStatus) && path.starts_with("/api/Refund") && value["status"] == "Succeeded" {
            value["status"] = json!("Completed");
        }
        let state_is = |wanted: &str| value["status"] == wanted;
        if self.is(Mistake::StateComesBack) && path.starts_with("/api/Refund/") && state_is("Succeeded") {
            value["status"] = json!("Pending");
        }
        if self.is(Mistake::NegativeAmount) && value["refundableAmount"].is_number() {
            value["refundableAmount"] = json!(-1);
        }
        if self.is(Mistake::StampStands) && value["lastUpdated"].is_string() {
            value["lastUpdated"] = json!(time_of(7));
        }
        if self.is(Mistake::OtherId) && value["transactionId"].is_string() {
            value["transactionId"] = value["externalTransactionId"].clone();
        }
        value
    }

    fn knows(&self, header: &str) -> bool {
        let basic = base64::prelude::BASE64_STANDARD.encode(format!("billwerk:{TOKEN}"));
        header == format!("Bearer {TOKEN}") || (!self.is(Mistake::BearerOnly) && header == format!("Basic {basic}"))
    }

    fn answer(self: &Arc<Self>, method: &str, path: &str, header: &str, body: &[u8]) -> Refused {
        let read = if method == "GET" || body.is_empty() { Ok(Value::Null) } else { self.read(body) };
        if self.is(Mistake::StrangersBodyFirst) {
            read.clone()?;
        }
        if !self.knows(header) {
            let login = self.is(Mistake::LoginErrorForStrangers);
            return Err(refused(401, if login { "LoginError" } else { "InvalidConfiguration" }, "no valid token"));
        }
        let parts: Vec<String> = path.trim_matches('/').split('/').map(str::to_ascii_lowercase).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        // The id as it was sent, letter case and all.
        let id = path.trim_matches('/').split('/').nth(2).unwrap_or_default().to_owned();
        match (method, parts.as_slice()) {
            ("GET", ["api", "integrationinfo"]) => Ok((200, self.info())),
            ("GET", ["api", "settings"]) => Ok((200, self.shown_settings())),
            ("PUT", ["api", "settings"]) => self.put_settings(&read?),
            ("POST", ["api", "preauth", "finalize"])
                if self.is(Mistake::FinalizeFails)
                    && self.has(Kind::Preauth, &text(&read.clone()?, "transactionid")) =>
            {
                Err(refused(500, "InternalError", "not today"))
            }
            ("POST", ["api", "preauth", "finalize"]) => self.show(Kind::Preauth, &text(&read?, "transactionid")),
            ("POST", ["api", "preauth"]) => self.create(Kind::Preauth, &read?),
            ("POST", ["api", "payment"]) => self.create(Kind::Payment, &read?),
            ("POST", ["api", "refund"]) => self.create(Kind::Refund, &read?),
            ("POST", ["api", "preauth", _, "cancel"]) => self.cancel(&id, body.is_empty()),
            ("GET", ["api", "preauth", _]) => self.show(Kind::Preauth, &id),
            ("GET", ["api", "payment", _]) => self.show(Kind::Payment, &id),
            ("GET", ["api", "refund", _]) => self.show(Kind::Refund, &id),
            _ => Err(refused(404, "InvalidPreconditions", "there is nothing here")),
        }
    }

    fn read(&self, body: &[u8]) -> Result<Value, Error> {
        let status = if self.is(Mistake::ServerFaultForBadJson) { 500 } else { 400 };
        let bad = || refused(status, "InvalidData", "the body is no JSON");
        let text = rialto::http::body::text(body).map_err(|_| bad())?;
        let value: Value = serde_json::from_str(&text).map_err(|_| bad())?;
        if self.is(Mistake::CaseSensitive) && value["TransactionId"].is_string() {
            return Err(refused(422, "InvalidData", "transactionId is missing"));
        }
        Ok(lower(value))
    }

    fn create(self: &Arc<Self>, kind: Kind, asked: &Value) -> Refused {
        let id = text(asked, "transactionid");
        let invalid = |what: &str| refused(422, "InvalidData", what);
        if !asked.is_object() || id.is_empty() {
            return Err(invalid("transactionId"));
        }
        let amount = match &asked["requestedamount"] {
            Value::Null if kind == Kind::Preauth => Some(0),
            value if self.is(Mistake::RoundsAmounts) && value == &json!(10.001) => Some(1_000),
            value => cents(value),
        };
        let from_0 = kind == Kind::Preauth && !self.is(Mistake::ZeroRefused);
        let smallest = if from_0 { 0 } else { 1 };
        let amount = amount.filter(|amount| *amount >= smallest);
        let amount = amount.ok_or_else(|| refused(422, "InvalidAmount", "requestedAmount"))?;
        let currency = text(asked, "currency");
        let lax = self.is(Mistake::LaxCurrency) && !currency.is_empty();
        if !lax && !["EUR", "USD"].contains(&currency.as_str()) {
            return Err(refused(422, "InvalidCurrency", "currency"));
        }
        let target = text(asked, "webhooktarget");
        if !target.starts_with("http") {
            return Err(invalid("webhookTarget"));
        }
        let debit = match &asked["paymentmeansreference"]["role"] {
            Value::Null if kind == Kind::Refund => false,
            role => match role.as_str().map(str::to_ascii_lowercase).as_deref() {
                Some("debit") => true,
                Some("creditcard") => false,
                _ if role == &json!(3) => true,
                _ if role == &json!(2) => false,
                _ => return Err(invalid("role")),
            },
        };
        let due = asked["plannedexecutiondate"].as_str().map(str::to_owned);
        let dated = due.as_deref().is_none_or(|due| due.len() == 10 && due.split('-').count() == 3);
        if !dated && !self.is(Mistake::BadDateTaken) {
            return Err(invalid("plannedExecutionDate"));
        }
        // An amount is the same however it is written.
        let mut same = asked.clone();
        same["requestedamount"] = json!(amount);
        let forgets = self.is(Mistake::ForgetsIds);
        let known = self.state().txs.get(&(kind, id.clone())).filter(|_| !forgets).map(|tx| tx.asked == same);
        match known {
            Some(true) => return self.show(kind, &id),
            Some(false) if self.is(Mistake::OtherBodyTaken) => return self.show(kind, &id),
            Some(false) => return Err(refused(409, "AlreadyExecuted", "this id belongs to another request")),
            None => {}
        }
        let tx = Tx {
            asked: same,
            amount,
            currency,
            debit,
            due,
            target,
            agreement: text(asked, "agreementid"),
            ..Tx::default()
        };
        let made = match kind {
            Kind::Preauth => self.preauth(&id, tx, asked),
            Kind::Payment => self.payment(&id, tx, asked),
            Kind::Refund => self.refund(&id, tx, asked),
        };
        let shown = made.and_then(|()| self.show(kind, &id));
        let created = self.is(Mistake::Created201);
        let shown = shown.map(|(status, value)| (if created { 201 } else { status }, value));
        // What comes later comes after the answer.
        self.confirm(kind, &id);
        shown
    }

    fn keep(&self, kind: Kind, id: &str, mut tx: Tx) {
        let mut state = self.state();
        tx.number = state.tick();
        tx.updated = tx.number;
        state.txs.insert((kind, id.to_owned()), tx);
    }

    fn preauth(&self, id: &str, mut tx: Tx, asked: &Value) -> Result<(), Error> {
        let initial = asked["isinitial"].as_bool().unwrap_or(true);
        tx.status = "Succeeded";
        if !initial {
            let stored = self.state().means.get(&tx.agreement).copied();
            let stored = stored.filter(|_| !self.is(Mistake::StoredRefused));
            stored.ok_or_else(|| refused(422, "InvalidPreconditions", "no means are stored"))?;
        } else if tx.debit {
            let bearer = &asked["paymentmeansreference"]["initialbearer"];
            let iban = bearer["IBAN"].as_str().unwrap_or_default();
            if iban.is_empty() || (iban.ends_with('1') && !self.is(Mistake::BadIbanTaken)) {
                return Err(refused(422, "BearerInvalid", "IBAN"));
            }
            self.state().means.insert(tx.agreement.clone(), true);
        } else {
            tx.status = "Pending";
        }
        self.keep(Kind::Preauth, id, tx);
        Ok(())
    }

    fn payment(&self, id: &str, mut tx: Tx, asked: &Value) -> Result<(), Error> {
        let precondition = |what: &str| refused(422, "InvalidPreconditions", what);
        match asked["preauthtransactionid"].as_str() {
            Some(preauth) => {
                let mut state = self.state();
                let parent = state.txs.get_mut(&(Kind::Preauth, preauth.to_owned()));
                let parent = parent.ok_or_else(|| refused(404, "InvalidPreconditions", "no such preauth"))?;
                let ready = parent.status == "Succeeded" || self.is(Mistake::CaptureBeforePayer);
                if !ready || (parent.captured && !self.is(Mistake::CapturesTwice)) {
                    return Err(precondition("not to be captured"));
                }
                if parent.currency != tx.currency && !self.is(Mistake::CurrencyIgnored) {
                    return Err(refused(422, "InvalidCurrency", "another currency"));
                }
                if self.is(Mistake::WholeCaptureOnly) && tx.amount < parent.amount {
                    return Err(precondition("all or nothing"));
                }
                if tx.amount > parent.amount && !self.is(Mistake::CaptureAbove) {
                    return Err(refused(422, "InvalidAmount", "more than is reserved"));
                }
                // Who lets too much through takes nothing of it, so that the rest can still be looked at.
                parent.captured = tx.amount <= parent.amount && parent.currency == tx.currency;
                tx.parent = Some(preauth.to_owned());
            }
            None => {
                let debit = self.state().means.get(&tx.agreement).copied();
                let debit = debit.filter(|_| !self.is(Mistake::ChargeRefused));
                tx.debit = debit.ok_or_else(|| precondition("no means are stored"))?;
            }
        }
        tx.status = if tx.debit { "Pending" } else { "Succeeded" };
        if tx.amount == 1_111 {
            tx.status = "Failed";
            let at = time_of(self.state().tick());
            tx.error = Some(Error { at, ..refused(422, "InsufficientBalance", "not enough") });
        }
        self.keep(Kind::Payment, id, tx);
        Ok(())
    }

    fn refund(&self, id: &str, mut tx: Tx, asked: &Value) -> Result<(), Error> {
        let payment = text(asked, "paymenttransactionid");
        {
            let mut state = self.state();
            let now = state.tick();
            let parent = state.txs.get_mut(&(Kind::Payment, payment.clone()));
            let parent = parent.ok_or_else(|| refused(404, "InvalidPreconditions", "no such payment"))?;
            if parent.status != "Succeeded" && !self.is(Mistake::RefundsDeclined) {
                return Err(refused(422, "InvalidPreconditions", "nothing was paid"));
            }
            if parent.currency != tx.currency {
                if !self.is(Mistake::CurrencyIgnored) {
                    return Err(refused(422, "InvalidCurrency", "another currency"));
                }
                drop(state);
                // Taken, and nothing given: so that the rest can still be looked at.
                tx.status = "Succeeded";
                self.keep(Kind::Refund, id, tx);
                return Ok(());
            }
            let over = parent.refunded + tx.amount > parent.amount;
            if over && !self.is(Mistake::OverRefund) {
                return Err(refused(422, "InvalidAmount", "more than is left"));
            }
            parent.refunded += tx.amount;
            parent.updated = now;
        }
        tx.parent = Some(payment);
        tx.status = "Succeeded";
        self.keep(Kind::Refund, id, tx);
        Ok(())
    }

    /// Settles what is confirmed later, and tells what has changed.
    fn confirm(self: &Arc<Self>, kind: Kind, id: &str) {
        let Some(tx) = self.state().txs.get(&(kind, id.to_owned())).cloned() else { return };
        match kind {
            Kind::Preauth => {}
            Kind::Refund => {
                self.tell(kind, id);
                self.tell(Kind::Payment, &tx.parent.unwrap_or_default());
            }
            Kind::Payment => {
                let today = time::OffsetDateTime::now_utc().date().to_string();
                let waits = tx.status == "Pending" && tx.due.as_deref().is_some_and(|due| *due > *today);
                if waits {
                    return;
                }
                if tx.status == "Pending" && self.is(Mistake::TellsTooEarly) {
                    self.change(kind, id, |tx| tx.later = true);
                } else if tx.status == "Pending" {
                    self.change(kind, id, |tx| tx.status = "Succeeded");
                }
                self.tell(kind, id);
            }
        }
    }

    fn change(&self, kind: Kind, id: &str, change: impl FnOnce(&mut Tx)) {
        let mut state = self.state();
        let now = state.tick();
        if let Some(tx) = state.txs.get_mut(&(kind, id.to_owned())) {
            change(tx);
            tx.updated = now;
        }
    }

    fn cancel(&self, id: &str, no_body: bool) -> Refused {
        let tx = self.state().txs.get(&(Kind::Preauth, id.to_owned())).cloned();
        let tx = tx.ok_or_else(|| refused(404, "InvalidPreconditions", "no such preauth"))?;
        let again = tx.status == "Cancelled";
        let no = match self.mistake {
            Mistake::CancelsCaptured => false,
            Mistake::CancelsOnce => tx.captured || again,
            Mistake::CancelNeedsBody => tx.captured || no_body,
            Mistake::UnfinishedStays => tx.captured || tx.status == "Pending",
            Mistake::CancelRefused => true,
            _ => tx.captured,
        };
        if no {
            return Err(refused(422, "InvalidPreconditions", "not to be cancelled"));
        }
        if !again && !self.is(Mistake::CancelForgotten) {
            self.change(Kind::Preauth, id, |tx| tx.status = "Cancelled");
        }
        Ok((200, json!({ "cancellationStatus": "Succeeded", "transactionId": id })))
    }

    fn show(&self, kind: Kind, id: &str) -> Refused {
        let mut state = self.state();
        let now = state.tick();
        let token_id = if self.is(Mistake::OtherExternalId) { now } else { 0 };
        let tx = state.txs.get_mut(&(kind, id.to_owned()));
        let tx = tx.ok_or_else(|| refused(404, "InvalidPreconditions", "there is no such transaction"))?;
        if let Some(error) = &tx.error
            && !self.is(Mistake::FailedIs200)
        {
            return Err(error.clone());
        }
        let mut shown = self.shape(kind, id, tx);
        if token_id > 0 {
            shown["externalTransactionId"] = json!(format!("ext-{token_id}"));
        }
        if self.is(Mistake::LastUpdatedGoesBack) {
            shown["lastUpdated"] = json!(time_of(9_999_999 - now));
        }
        if tx.later {
            // Too late: it was told long ago.
            (tx.later, tx.status, tx.updated) = (false, "Succeeded", now);
        }
        Ok((200, shown))
    }

    fn shape(&self, kind: Kind, id: &str, tx: &Tx) -> Value {
        let major = |cents: i64| -> Value {
            let sign = if cents < 0 { "-" } else { "" };
            serde_json::from_str(&format!("{sign}{}.{:02}", cents.abs() / 100, cents.abs() % 100)).expect("a number")
        };
        let zone = if self.is(Mistake::LocalTime) { "+02:00" } else { "Z" };
        let mut shown = Map::new();
        let mut put = |name: &str, value: Value| shown.insert(name.to_owned(), value);
        put("transactionId", json!(id));
        put("externalTransactionId", json!(format!("ext-{}", tx.number)));
        if !self.is(Mistake::NoPspId) {
            put("pspTransactionId", json!(format!("psp-{}", tx.number)));
        }
        put("currency", json!(tx.currency));
        put("requestedAmount", major(tx.amount));
        put("lastUpdated", json!(time_of(tx.updated).replace('Z', zone)));
        put("status", json!(tx.status));
        let done = tx.status == "Succeeded";
        let bearer = match (tx.debit, self.is(Mistake::WholeCardNumber)) {
            _ if self.is(Mistake::EmptyBearer) => json!({}),
            (true, _) => json!({ "Holder": "Ada", "IBAN": "DE89****3000", "MandateId": "m-1" }),
            (false, true) => json!({ "Holder": "Ada", "Pan": "4242 4242 4242 4242" }),
            (false, false) => json!({ "Holder": "Ada", "Last4": "4242" }),
        };
        match kind {
            Kind::Preauth => {
                let reserves = done && (!tx.debit || self.is(Mistake::DebitReserves));
                let less = i64::from(reserves && tx.amount > 0 && self.is(Mistake::ReservesLess));
                let early = tx.status == "Pending" && self.is(Mistake::ReservesBeforeThePayer);
                put("authorizedAmount", major(if reserves || early { tx.amount - less } else { 0 }));
                if done {
                    put("bearer", bearer);
                    let year = if self.is(Mistake::ExpiredAtOnce) { 2020 } else { 9999 };
                    put("expiresAt", json!(format!("{year}-12-31T23:59:59Z")));
                }
                if tx.status == "Pending" && !self.is(Mistake::NoRedirectUrl) {
                    put(
                        "redirectUrl",
                        json!(format!(
                            "{}/sandbox/pay/{id}",
                            if self.is(Mistake::RelativeUrl) { "" } else { &self.url }
                        )),
                    );
                }
            }
            Kind::Payment => {
                let paid = if done { tx.amount } else { 0 };
                let item = json!({ "amount": major(tx.amount), "bookingDate": "2026-01-01", "externalItemId": "i-1" });
                let shows = (done && !self.is(Mistake::PaysNothing)) || self.is(Mistake::PendingPays);
                put("payments", if shows { json!([item]) } else { json!([]) });
                put("chargebacks", json!([]));
                put("refundedAmount", major(tx.refunded));
                if self.is(Mistake::FloatDrift) && tx.refunded == 30 {
                    put("refundedAmount", serde_json::from_str("0.30000000000000004").expect("a number"));
                }
                let left = if self.is(Mistake::NotRefundable) { 0 } else { (paid - tx.refunded).max(0) };
                put("refundableAmount", major(left));
                put("bearer", bearer);
                if tx.debit && !self.is(Mistake::NoDueDate) {
                    let due = tx.due.as_deref().filter(|_| !self.is(Mistake::DueTooEarly)).unwrap_or("2020-01-01");
                    put("dueDate", json!(format!("{due}T00:00:00Z")));
                }
            }
            Kind::Refund => {
                put("refundedAmount", major(tx.amount));
                if !self.is(Mistake::NoBookingDate) {
                    put("bookingDate", json!("2026-01-01"));
                }
            }
        }
        Value::Object(shown)
    }

    fn shown_settings(&self) -> Value {
        let state = self.state();
        let shown = state.settings.iter().map(|(key, value)| {
            let mask = key == "ApiToken" && !self.is(Mistake::PspSecretShown);
            json!({ "keyName": key, "keyValue": if mask { MASK } else { value } })
        });
        json!({ "merchantSettings": shown.collect::<Vec<_>>() })
    }

    fn put_settings(&self, body: &Value) -> Refused {
        if self.is(Mistake::PutRefused) {
            return Err(refused(422, "InvalidData", "never"));
        }
        let wrapped = body["merchantpspsettings"].is_object() && !self.is(Mistake::WrappedNotTaken);
        let body = if wrapped { &body["merchantpspsettings"] } else { body };
        let list = body["merchantsettings"].as_array();
        let list = list.ok_or_else(|| refused(422, "InvalidData", "merchantSettings"))?;
        let mut state = self.state();
        let mut new = state.settings.clone();
        for item in list {
            let (key, value) = (text(item, "keyname"), text(item, "keyvalue"));
            match new.iter_mut().find(|(known, _)| *known == key) {
                Some((_, old)) if value != MASK => *old = value,
                Some(_) => {}
                None if self.is(Mistake::UnknownKeyTaken) => {}
                None => {
                    if self.is(Mistake::RefusedPutStores) {
                        state.settings.pop();
                    }
                    return Err(refused(422, "InvalidData", &format!("{key} is not a setting")));
                }
            }
        }
        if self.is(Mistake::PutBackLosesOne) {
            new.pop();
        }
        state.settings = new;
        if self.is(Mistake::PutAnswersNothing) {
            return Ok((200, json!({})));
        }
        Ok((200, json!({ "isCreditCardValid": true, "isDebitValid": true, "isOnAccountValid": false })))
    }

    /// The PSP's page: a form with three buttons.
    fn page(self: &Arc<Self>, method: &str, id: &str, form: &str) -> Response {
        let tx = self.state().txs.get(&(Kind::Preauth, id.to_owned())).cloned();
        let tx = tx.filter(|_| !self.is(Mistake::PageGone));
        let Some(tx) = tx else { return Response::builder().status(StatusCode::NOT_FOUND).finish() };
        if method == "GET" {
            return Response::builder().content_type("text/html").body("<form method=post>…</form>");
        }
        let means = &tx.asked["paymentmeansreference"];
        let now = time_of(self.state().tick());
        let failed = |code, status| Some(Error { at: now.clone(), status, ..refused(422, code, "the payer") });
        let (status, error, back) = match form {
            "choice=approve" => ("Succeeded", None, text(means, "successreturnurl")),
            "choice=decline" => ("Failed", failed("Rejected", "Failed"), text(means, "errorreturnurl")),
            _ => ("Cancelled", failed("Canceled", "Cancelled"), text(means, "abortreturnurl")),
        };
        if status == "Succeeded" {
            self.state().means.insert(tx.agreement.clone(), false);
        }
        if status != "Succeeded" || !self.is(Mistake::NeverApproved) {
            self.change(Kind::Preauth, id, |tx| (tx.status, tx.error) = (status, error));
        }
        self.tell(Kind::Preauth, id);
        let back = if self.is(Mistake::ReturnsNowhere) { "https://shop.example/lost".to_owned() } else { back };
        Response::builder().status(StatusCode::SEE_OTHER).header("location", back).finish()
    }

    /// Tells of a change, together with what changes while it is being told.
    fn tell(self: &Arc<Self>, kind: Kind, id: &str) {
        if self.is(Mistake::NoNotices) {
            return;
        }
        {
            let mut state = self.state();
            let Some(tx) = state.txs.get_mut(&(kind, id.to_owned())) else { return };
            tx.wanted += 1;
            if std::mem::replace(&mut tx.sending, true) && !self.is(Mistake::TellsEachChange) {
                return;
            }
        }
        let (world, id) = (self.clone(), id.to_owned());
        tokio::spawn(async move { world.deliver(kind, &id).await });
    }

    async fn deliver(&self, kind: Kind, id: &str) {
        loop {
            let (target, version) = {
                let state = self.state();
                let Some(tx) = state.txs.get(&(kind, id.to_owned())) else { return };
                (tx.target.clone(), tx.wanted)
            };
            let sent = self.client.post(&target).header("content-type", "application/json");
            let sent = sent.body(self.notice(kind, id).to_string()).send().await;
            let taken = sent.is_ok_and(|answer| answer.status().is_success()) || self.is(Mistake::NeverRetries);
            let mut state = self.state();
            let Some(tx) = state.txs.get_mut(&(kind, id.to_owned())) else { return };
            if taken && self.is(Mistake::NoticesWithoutEnd) && version < 20 {
                tx.wanted += 1;
                continue;
            }
            if taken && (tx.wanted == version || self.is(Mistake::TellsEachChange)) {
                tx.sending = false;
                return;
            }
        }
    }

    fn notice(&self, kind: Kind, id: &str) -> Value {
        match self.mistake {
            Mistake::NoticeWithoutId => json!({ "type": "Payment" }),
            Mistake::NoticeOfOtherType => {
                json!({ "transactionId": id, "type": if kind == Kind::Refund { 1 } else { 3 } })
            }
            Mistake::FatNotice => json!({ "transactionId": id, "type": kind as i64, "status": "Succeeded" }),
            Mistake::NoticeOfStranger if kind == Kind::Refund => json!({ "transactionId": "stranger", "type": 3 }),
            Mistake::NoticeTellsToken => json!({ "transactionId": id, "type": kind as i64, "token": TOKEN }),
            _ => json!({ "transactionId": id, "type": format!("{kind:?}") }),
        }
    }

    fn info(&self) -> Value {
        let setting = |key: &str| json!({ "displayName": key, "keyName": key, "required": true });
        let settings = match self.is(Mistake::UndescribedSetting) {
            true => json!([setting("MerchantId")]),
            false => json!([setting("MerchantId"), setting("ApiToken")]),
        };
        if self.is(Mistake::OffersNothing) {
            return json!({ "merchantSettings": settings });
        }
        json!({
            "creditCardMethodInfo": { "useCapturePreauth": true, "useCancelPreauth": true, "defaultPreauthAmount": 0 },
            "debitMethodInfo": { "supportBackendPayments": true, "hasSupportInitialBearer": true },
            "supportRefunds": true,
            "hasSupportInitialBearer": true,
            "merchantSettings": settings,
        })
    }
}
