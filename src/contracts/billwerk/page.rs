//! The payer's page `/r/{token}`: minted before the PSP is called, so that a pending answer is never a dead end. It waits
//! for the PSP, hands the payer over, takes the payer back, and forwards to the caller's return addresses in the end.

use std::collections::BTreeMap;

use poem::endpoint::BoxEndpoint;
use poem::http::{Method, StatusCode, header};
use poem::web::Data;
use poem::{EndpointExt, Request, Response, get, handler};
use rialto_adapters::port::{Kind, NextAction, Reason, Timestamp};
use tokio::time::timeout;

use super::errors::Failure;
use super::{Billwerk, CONTRACT};
use super::{ask, map};
use crate::core::intent::{ClosedBy, IntentState};
use crate::core::transaction::State;
use crate::flow::Engine;
use crate::flow::limits::CALL_ANSWERED_WITHIN;
use crate::http::paths;
use crate::pages::{self, Question, Refresh, Until, View};
use crate::store::hash_token;
use crate::store::intents::Intent;
use crate::store::transactions::Transaction;
use crate::wire::Guard;

/// Where [`page`] is to be mounted.
pub const PATH: &str = "/r/:token";

/// How often a waiting page looks again, in seconds: soon while the PSP is being called, less often while the payer is
/// away or a bank decides.
const SOON_S: u32 = 1;
const LATER_S: u32 = 3;
/// And seldom where there is something to read, copy or press: a page that loads again loses selection and focus.
const READ_S: u32 = 10;

/// Longest token looked at; ours have 48 characters.
const TOKEN_MAX: usize = 100;

pub(super) fn paths() -> [paths::Path; 2] {
    [Method::GET, Method::POST].map(|method| paths::Path {
        method,
        template: "/r/{token}".to_owned(),
        any_case: false,
        owner: CONTRACT,
    })
}

/// The payer's page, to be mounted at [`PATH`].
pub fn page(engine: Engine, guard: Guard) -> BoxEndpoint<'static, Response> {
    get(serve).post(answer).data(Billwerk { engine, guard }).map_to_response().boxed()
}

/// Where in the journey the browser is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Journey {
    /// On the way to the PSP.
    Out,
    /// Just come back from it; its word may not have reached us.
    Back,
    /// Back, and waiting here since.
    Home,
}

impl Journey {
    fn of(query: Option<&str>) -> Journey {
        let has = |name: &str| query.unwrap_or_default().split('&').any(|pair| pair.split('=').next() == Some(name));
        match (has("back"), has(pages::WAITING)) {
            (_, true) => Journey::Home,
            (true, false) => Journey::Back,
            (false, false) => Journey::Out,
        }
    }

    /// A page that looks again: whoever has been at the PSP is not sent there once more.
    fn again(self, seconds: u32) -> Refresh {
        match self {
            Journey::Out => Refresh { seconds, home: false },
            Journey::Back | Journey::Home => Refresh { seconds, home: true },
        }
    }
}

#[handler]
async fn serve(request: &Request, api: Data<&Billwerk>) -> Response {
    let journey = Journey::of(request.uri().query());
    match api.step(request.raw_path_param("token").unwrap_or_default(), journey).await {
        Ok(Step::Show(view, amount)) => html(StatusCode::OK, &view, amount.as_deref()),
        Ok(Step::Unknown) => html(StatusCode::NOT_FOUND, &View::Unknown, None),
        Ok(Step::Go(url)) => forward(&url),
        // Logged where it came from.
        Err(_) => html(StatusCode::SERVICE_UNAVAILABLE, &View::Trouble(journey.again(LATER_S)), None),
    }
}

/// Largest form: a few short answers.
const FORM_MAX: usize = 8 * 1024;

/// The payer has filled in what was asked.
#[handler]
async fn answer(request: &Request, api: Data<&Billwerk>, body: poem::Body) -> Response {
    let token = request.raw_path_param("token").unwrap_or_default();
    let Ok(form) = body.into_bytes_limit(FORM_MAX).await else {
        return html(StatusCode::PAYLOAD_TOO_LARGE, &View::Unknown, None);
    };
    let given: BTreeMap<String, String> = url::form_urlencoded::parse(&form).into_owned().collect();
    match api.take_answers(token, &given).await {
        Ok(Step::Show(view, amount)) => html(StatusCode::UNPROCESSABLE_ENTITY, &view, amount.as_deref()),
        Ok(Step::Unknown) => html(StatusCode::NOT_FOUND, &View::Unknown, None),
        Ok(Step::Go(url)) => forward(&url),
        Err(_) => html(StatusCode::SERVICE_UNAVAILABLE, &View::Trouble(Journey::Out.again(LATER_S)), None),
    }
}

/// What the browser gets.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// With what it is about.
    Show(View, Option<String>),
    Go(String),
    Unknown,
}

impl Billwerk {
    async fn step(&self, token: &str, journey: Journey) -> Result<Step, Failure> {
        let Some((intent, main)) = self.behind(token).await? else { return Ok(Step::Unknown) };
        let (intent, main) = match (journey, intent.state, main.state) {
            (Journey::Back, IntentState::Open, State::Pending(_)) => self.after_asking(intent, main).await?,
            // A second card may have been accepted since, and its notice still be on the way.
            (Journey::Back, IntentState::Refused, State::Declined(_)) => self.after_asking(intent, main).await?,
            _ => (intent, main),
        };
        if let Some(questions) = self.questions(&intent, &main, &BTreeMap::new()).await? {
            return Ok(Step::Show(View::Ask(questions), amount_of(&main)));
        }
        // The built-in PSP's pages are on our own address, whatever that is.
        let ours = |url: &str| url.strip_prefix(self.engine.public_url()).is_some_and(|rest| rest.starts_with('/'));
        let allowed = |url: &str| ours(url) || self.guard.check_return_url(url).is_ok();
        Ok(next_step(&intent, &main, journey, self.engine.clock.now(), allowed))
    }

    /// What is to be asked before the PSP is called, with what was given and what is wrong with it; `None` where nothing is.
    async fn questions(
        &self,
        intent: &Intent,
        main: &Transaction,
        given: &BTreeMap<String, String>,
    ) -> Result<Option<Vec<Question>>, Failure> {
        if intent.state != IntentState::Open || main.state != State::Created || main.not_before.is_none() {
            return Ok(None);
        }
        let Some(connection) = self.engine.store.connection(main.tenant_id, main.connection_id).await? else {
            return Ok(None);
        };
        let missing = intent.details.missing(self.engine.adapter(&connection)?.manifest().payer_fields);
        Ok((!missing.is_empty()).then(|| missing.into_iter().map(|field| ask::question(field, given)).collect()))
    }

    /// Takes the answers: all right, and the PSP is called; else the page shows what is wrong.
    async fn take_answers(&self, token: &str, given: &BTreeMap<String, String>) -> Result<Step, Failure> {
        let Some((intent, main)) = self.behind(token).await? else { return Ok(Step::Unknown) };
        // Relative to the page: what comes next is there.
        let next = Step::Go(format!("{}/r/{token}", self.engine.public_url()));
        let Some(questions) = self.questions(&intent, &main, given).await? else { return Ok(next) };
        if questions.iter().any(|question| question.wrong.is_some()) {
            return Ok(Step::Show(View::Ask(questions), amount_of(&main)));
        }
        let details = ask::completed(&intent.details, &questions);
        let engine = self.engine.clone();
        // A task of its own: a browser that goes away stops nothing.
        let sending = tokio::spawn(async move { engine.answered(&intent, &main, &details).await });
        match sending.await {
            Ok(done) => done.map(|_| next).map_err(Failure::from),
            Err(_) => Ok(next),
        }
    }

    async fn behind(&self, token: &str) -> Result<Option<(Intent, Transaction)>, Failure> {
        if token.is_empty() || token.len() > TOKEN_MAX {
            return Ok(None);
        }
        let found = self.engine.store.intent_of_page(&hash_token(token)).await?;
        match found.filter(|intent| intent.contract == CONTRACT) {
            Some(intent) => {
                let main = self.main_of(&intent).await?;
                Ok(Some((intent, main)))
            }
            None => Ok(None),
        }
    }

    /// The payer is back before the PSP's notice is: the PSP is asked, once for each time somebody comes back.
    pub(super) async fn after_asking(
        &self,
        intent: Intent,
        main: Transaction,
    ) -> Result<(Intent, Transaction), Failure> {
        let engine = self.engine.clone();
        let asked = main.clone();
        // A task of its own, so that only the waiting for it ends early.
        let asking = tokio::spawn(async move {
            if let Err(error) = engine.inquire(&asked).await {
                tracing::warn!(transaction = %asked.id, %error, "could not ask for a payer who came back");
            }
        });
        if timeout(self.engine.clock.wait(CALL_ANSWERED_WITHIN), asking).await.is_err() {
            tracing::debug!(transaction = %main.id, "the PSP is slow to say what a payer has done");
        }
        let intent = self.engine.store.intent(intent.tenant_id, intent.id).await?.unwrap_or(intent);
        let main = self.main_of(&intent).await?;
        Ok((intent, main))
    }
}

/// Pure: what comes next. `allowed` says which addresses of the PSP's a browser may be led to.
fn next_step(
    intent: &Intent,
    main: &Transaction,
    journey: Journey,
    now: Timestamp,
    allowed: impl Fn(&str) -> bool,
) -> Step {
    let details = &intent.details;
    let show = |view| Step::Show(view, amount_of(main));
    let end = |urls: [&Option<String>; 2], view| match urls.into_iter().flatten().next() {
        Some(url) => Step::Go(url.clone()),
        None => show(view),
    };
    match intent.state {
        IntentState::Done => end([&details.success_url, &None], View::Done),
        IntentState::Refused if main.state == State::Declined(Reason::CancelledByPayer) => {
            end([&details.abort_url, &details.error_url], View::Cancelled)
        }
        IntentState::Refused => end([&details.error_url, &details.abort_url], View::Refused),
        IntentState::Closed(ClosedBy::Cancelled) => end([&details.abort_url, &details.error_url], View::Cancelled),
        IntentState::Closed(ClosedBy::Expired) => end([&details.error_url, &details.abort_url], View::Expired),
        IntentState::Open => match main.state {
            State::Pending(_) => match pending(main, journey, now, allowed) {
                Pending::Go(url) => Step::Go(url),
                Pending::Show(view) => show(view),
            },
            // On its way to the PSP, or, for a moment, decided without the intent having followed.
            State::Created
            | State::Submitted
            | State::Unknown
            | State::Authorised
            | State::Succeeded
            | State::Declined(_)
            | State::Expired
            | State::Cancelled => show(View::Moment(journey.again(SOON_S))),
        },
    }
}

/// What the page says the money is; nothing where means are only kept.
fn amount_of(main: &Transaction) -> Option<String> {
    (main.kind != Kind::StoreMeans && main.amount.minor > 0).then(|| map::shown(main.amount))
}

/// What a payer is to do whom the PSP waits for.
enum Pending {
    Go(String),
    Show(View),
}

fn pending(main: &Transaction, journey: Journey, now: Timestamp, allowed: impl Fn(&str) -> bool) -> Pending {
    let until = |at: Timestamp| Until { text: map::minute(at), seconds: (at.0 - now.0).max(0) / 1000 };
    let refresh = journey.again(READ_S);
    let waiting = || Pending::Show(View::Waiting { refresh: journey.again(LATER_S), go_on: None });
    match &main.next {
        Some(NextAction::Redirect { url }) if !allowed(url) => {
            tracing::error!(transaction = %main.id, "the PSP's page has an address no browser is sent to");
            waiting()
        }
        Some(NextAction::Redirect { url }) => match journey {
            Journey::Out => Pending::Go(url.clone()),
            Journey::Back | Journey::Home => Pending::Show(View::Waiting { refresh, go_on: Some(url.clone()) }),
        },
        Some(NextAction::ShowCode { text, expires_at }) => {
            Pending::Show(View::Code { refresh, text: text.clone(), until: expires_at.map(until) })
        }
        Some(NextAction::ShowDetails { lines, expires_at }) => {
            Pending::Show(View::Details { refresh, lines: lines.clone(), until: expires_at.map(until) })
        }
        Some(NextAction::Wait) | None => waiting(),
    }
}

fn html(status: StatusCode, view: &View, amount: Option<&str>) -> Response {
    guarded(status).content_type("text/html; charset=utf-8").body(pages::render(view, amount))
}

/// `See Other`: whatever the browser did to come here, it goes on with a GET.
fn forward(url: &str) -> Response {
    guarded(StatusCode::SEE_OTHER).header(header::LOCATION, url).finish()
}

/// What every answer here carries: seen by nobody else, kept nowhere, told to nobody.
fn guarded(status: StatusCode) -> poem::ResponseBuilder {
    Response::builder()
        .status(status)
        .header(header::CONTENT_SECURITY_POLICY, pages::policy())
        .header(header::CACHE_CONTROL, "no-store")
        .header(header::REFERRER_POLICY, "no-referrer")
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header("x-robots-tag", "noindex, nofollow")
}
