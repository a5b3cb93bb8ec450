//! The page on which a payer approves, declines or goes away. Works without JavaScript.

use askama::Template;
use poem::http::{StatusCode, header};
use poem::web::{Data, Path};
use poem::{Endpoint, EndpointExt, Response, Route, get, handler};
use rialto_adapters::port::{Currency, Money};
use rialto_adapters::sandbox::contract::{Transaction, kind, reason, state};

use super::SandboxPsp;
use super::model::Stored;
use super::verbs::{self, Choice};
use crate::pages::{self, Tone};
use crate::store::StoreError;
use crate::store::sandbox_psp as table;

/// A form with one button; more is not read.
const FORM_BYTES_MAX: usize = 4 * 1024;
/// Length of the secret part of a page's address.
const SESSION_LENGTH: usize = 32;

/// The pages, to be mounted at `/sandbox/pay`.
pub fn routes(psp: SandboxPsp) -> impl Endpoint<Output = Response> {
    Route::new().at("/:session", get(show).post(decide)).data(psp)
}

#[derive(Template)]
#[template(
    ext = "html",
    source = r##"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex, nofollow">
<title>{{ title }} – Sandbox</title>
<style>{{ style|safe }}</style>
</head>
<body>
<main class="{{ tone.class() }}">
<p class="mark">Sandbox: no real money moves</p>
<h1>{{ title }}</h1>
{%- if let Some(amount) = amount %}
<p class="amount">{{ amount }}</p>
{%- endif %}
{%- if !description.is_empty() %}
<p>{{ description }}</p>
{%- endif %}
{%- if open %}
{%- if second %}
<p role="status">The first card was declined. Try another one.</p>
{%- endif %}
<dl>
<dt>Test card</dt><dd>4242 4242 4242 4242</dd>
<dt>Expires</dt><dd>12/2034</dd>
<dt>Holder</dt><dd>Test Payer</dd>
</dl>
{%- if stores %}
<p>The card is kept for later payments to this merchant.</p>
{%- endif %}
<form method="post">
<button class="button main" name="choice" value="approve">Approve</button>
{%- if !second %}
<button class="button" name="choice" value="decline_first">Decline this card, then try another</button>
{%- endif %}
<button class="button" name="choice" value="decline">Decline</button>
<button class="button" name="choice" value="abort">Abort and go back</button>
</form>
{%- else %}
<p role="status">{{ told }}</p>
{%- if let Some(url) = back %}
<p><a class="button main" href="{{ url }}" rel="noreferrer">Back to the merchant</a></p>
{%- endif %}
{%- endif %}
</main>
</body>
</html>
"##
)]
struct Page<'a> {
    style: &'static str,
    tone: Tone,
    title: &'a str,
    amount: Option<String>,
    description: &'a str,
    /// Whether there is something to choose; else the page tells the end.
    open: bool,
    /// A first card has been declined.
    second: bool,
    stores: bool,
    told: &'a str,
    back: Option<&'a str>,
}

#[handler]
async fn show(Path(session): Path<String>, Data(psp): Data<&SandboxPsp>) -> Response {
    match read(psp, &session).await {
        Ok(Some(stored)) => page(&stored),
        Ok(None) => gone(),
        Err(why) => failed(&why),
    }
}

#[handler]
async fn decide(Path(session): Path<String>, Data(psp): Data<&SandboxPsp>, body: poem::Body) -> Response {
    let form = body.into_bytes_limit(FORM_BYTES_MAX).await.unwrap_or_default();
    let choice = url::form_urlencoded::parse(&form).find(|(name, _)| name == "choice");
    let choice = match choice.as_ref().map(|(_, value)| value.as_ref()) {
        Some("approve") => Choice::Approve,
        Some("decline_first") => Choice::DeclineFirst,
        Some("decline") => Choice::Decline,
        Some("abort") => Choice::Abort,
        Some(_) | None => return show_again(psp, &session).await,
    };
    if session.len() != SESSION_LENGTH {
        return gone();
    }
    let (at_psp, here) = (psp.clone(), format!("{}/sandbox/pay/{session}", psp.inner.public_url));
    // In a task of its own: a browser that goes away does not break it off.
    let chosen = tokio::spawn(async move { verbs::choose(&at_psp, &session, choice).await }).await;
    match chosen {
        // Read again by a GET, so that loading it anew presses nothing.
        Ok(Ok(Some(stored))) if stored.awaits_payer() => see_other(&here),
        Ok(Ok(Some(stored))) => match back(&stored) {
            Some(url) => see_other(url),
            None => page(&stored),
        },
        Ok(Ok(None)) => gone(),
        Ok(Err(why)) => failed(&why),
        Err(_) => failed(&StoreError::Busy),
    }
}

fn see_other(url: &str) -> Response {
    Response::builder()
        .status(StatusCode::SEE_OTHER)
        .header(header::LOCATION, url)
        .header(header::CACHE_CONTROL, "no-store")
        .header(header::REFERRER_POLICY, "no-referrer")
        .finish()
}

async fn show_again(psp: &SandboxPsp, session: &str) -> Response {
    match read(psp, session).await {
        Ok(Some(stored)) => page(&stored),
        Ok(None) => gone(),
        Err(why) => failed(&why),
    }
}

async fn read(psp: &SandboxPsp, session: &str) -> Result<Option<Stored>, StoreError> {
    if session.len() != SESSION_LENGTH {
        return Ok(None);
    }
    table::by_session(psp.store(), session).await?.map(|row| Stored::read(&row)).transpose()
}

/// Where the browser goes afterwards; only web addresses, whatever the instruction said.
fn back(stored: &Stored) -> Option<&str> {
    let url = url::Url::parse(&stored.return_url).ok()?;
    ["http", "https"].contains(&url.scheme()).then_some(stored.return_url.as_str())
}

fn page(stored: &Stored) -> Response {
    let told = &stored.transaction;
    let open = stored.awaits_payer();
    let (tone, title, end) = if open { (Tone::Plain, asked(&told.kind), "") } else { ended(told) };
    let amount = Currency::parse(&told.currency).filter(|_| told.kind != kind::MEANS);
    let amount = amount.map(|currency| Money::new(told.amount, currency).to_string());
    let page = Page {
        style: pages::STYLE,
        tone,
        title,
        amount,
        description: &stored.description,
        open,
        second: stored.another_card,
        stores: stored.store_means && told.kind != kind::MEANS,
        told: end,
        back: back(stored),
    };
    respond(StatusCode::OK, &page)
}

/// What the payer is asked for.
fn asked(kind: &str) -> &'static str {
    match kind {
        kind::PREAUTH => "Approve a reservation",
        kind::MEANS => "Store a card",
        _ => "Approve a payment",
    }
}

/// Heading and text of a page on which nothing is to be chosen any more.
fn ended(told: &Transaction) -> (Tone, &'static str, &'static str) {
    match told.state.as_str() {
        state::PENDING => (Tone::Good, "Approved", "The confirmation will follow."),
        state::AUTHORISED | state::SUCCEEDED => (Tone::Good, "Approved", "There is nothing more to do here."),
        state::DECLINED if told.reason.as_deref() == Some(reason::ABORTED_BY_PAYER) => {
            (Tone::Plain, "Aborted", "You left without paying.")
        }
        state::DECLINED => (Tone::Bad, "Declined", "The payment was not approved."),
        state::EXPIRED => (Tone::Bad, "Expired", "The time to approve has passed."),
        _ => (Tone::Plain, "Cancelled", "The merchant has cancelled the payment."),
    }
}

fn message(status: StatusCode, title: &str, told: &str) -> Response {
    let page = Page {
        style: pages::STYLE,
        tone: Tone::Plain,
        title,
        amount: None,
        description: "",
        open: false,
        second: false,
        stores: false,
        told,
        back: None,
    };
    respond(status, &page)
}

fn gone() -> Response {
    message(StatusCode::NOT_FOUND, "There is no such payment", "The address is wrong, or the payment is gone.")
}

fn failed(why: &StoreError) -> Response {
    tracing::error!(error = %why, "the sandbox PSP's page failed");
    message(StatusCode::SERVICE_UNAVAILABLE, "That did not work", "Please reload the page.")
}

fn respond(status: StatusCode, page: &Page<'_>) -> Response {
    match page.render() {
        Ok(html) => Response::builder()
            .status(status)
            .content_type("text/html; charset=utf-8")
            .header(header::CONTENT_SECURITY_POLICY, pages::policy_with_forms())
            .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
            .header(header::REFERRER_POLICY, "no-referrer")
            .header(header::CACHE_CONTROL, "no-store")
            .body(html),
        Err(why) => {
            tracing::error!(error = %why, "the sandbox PSP's page does not render");
            Response::builder().status(StatusCode::INTERNAL_SERVER_ERROR).finish()
        }
    }
}
