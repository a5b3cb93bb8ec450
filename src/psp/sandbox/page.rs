//! The page on which a payer approves, declines or goes away. Works without JavaScript.

use askama::Template;
use poem::http::{StatusCode, header};
use poem::web::{Data, Path};
use poem::{Endpoint, EndpointExt, Response, Route, get, handler};
use rialto_adapters::port::notice::hex;
use rialto_adapters::port::{Currency, Money};
use rialto_adapters::sandbox::contract::{kind, stage, state};

use super::SandboxPsp;
use super::model::Stored;
use super::verbs::{self, Choice};
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
    source = r##"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{{ title }}</title>
<style nonce="{{ nonce }}">
:root { color-scheme: light dark; }
* { box-sizing: border-box; }
body { margin: 0; padding: 1rem; font: 1rem/1.5 system-ui, sans-serif; background: Canvas; color: CanvasText; }
main { max-width: 24rem; margin: 0 auto; }
.mark { margin: 0; padding: .25rem .5rem; border: 2px dashed; text-align: center; font-size: .875rem; }
h1 { font-size: 1.25rem; margin: 1rem 0 .5rem; }
.amount { font-size: 2rem; font-weight: 700; margin: 0; overflow-wrap: anywhere; }
p { overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: auto 1fr; gap: .25rem 1rem; margin: 1rem 0; }
dd { margin: 0; text-align: right; font-variant-numeric: tabular-nums; }
button { display: block; width: 100%; min-height: 3rem; margin: .5rem 0; font: inherit; border: 1px solid; border-radius: .5rem; background: transparent; color: inherit; cursor: pointer; }
.main { background: #0b5cad; border-color: #0b5cad; color: #fff; font-weight: 700; }
:focus-visible { outline: 3px solid #f90; outline-offset: 2px; }
</style>
</head>
<body>
<main>
<p class="mark">Sandbox: no real money moves</p>
<h1>{{ title }}</h1>
{% if let Some(amount) = amount %}<p class="amount">{{ amount }}</p>{% endif %}
{% if !description.is_empty() %}<p>{{ description }}</p>{% endif %}
{% if open %}
<dl>
<dt>Test card</dt><dd>4242 4242 4242 4242</dd>
<dt>Expires</dt><dd>12/2034</dd>
<dt>Holder</dt><dd>Test Payer</dd>
</dl>
{% if stores %}<p>The card is kept for later payments to this merchant.</p>{% endif %}
<form method="post">
<button class="main" name="choice" value="approve">Approve</button>
<button name="choice" value="decline">Decline</button>
<button name="choice" value="abort">Abort and go back</button>
</form>
{% else %}
<p role="status">{{ told }}</p>
{% if let Some(url) = back %}<p><a href="{{ url }}" rel="noreferrer">Back to the merchant</a></p>{% endif %}
{% endif %}
</main>
</body>
</html>"##
)]
struct Page<'a> {
    nonce: &'a str,
    title: &'a str,
    amount: Option<String>,
    description: &'a str,
    /// Whether there is something to choose; else the page tells the end.
    open: bool,
    stores: bool,
    told: &'a str,
    back: Option<&'a str>,
}

#[handler]
async fn show(Path(session): Path<String>, Data(psp): Data<&SandboxPsp>) -> Response {
    match read(psp, &session).await {
        Ok(Some(stored)) => page(psp, &stored),
        Ok(None) => gone(psp),
        Err(why) => failed(psp, &why),
    }
}

#[handler]
async fn decide(Path(session): Path<String>, Data(psp): Data<&SandboxPsp>, body: poem::Body) -> Response {
    let form = body.into_bytes_limit(FORM_BYTES_MAX).await.unwrap_or_default();
    let choice = url::form_urlencoded::parse(&form).find(|(name, _)| name == "choice");
    let choice = match choice.as_ref().map(|(_, value)| value.as_ref()) {
        Some("approve") => Choice::Approve,
        Some("decline") => Choice::Decline,
        Some("abort") => Choice::Abort,
        Some(_) | None => return show_again(psp, &session).await,
    };
    if session.len() != SESSION_LENGTH {
        return gone(psp);
    }
    let at_psp = psp.clone();
    // In a task of its own: a browser that goes away does not break it off.
    let chosen = tokio::spawn(async move { verbs::choose(&at_psp, &session, choice).await }).await;
    match chosen {
        Ok(Ok(Some(stored))) => match back(&stored) {
            Some(url) => Response::builder()
                .status(StatusCode::SEE_OTHER)
                .header(header::LOCATION, url)
                .header(header::CACHE_CONTROL, "no-store")
                .header(header::REFERRER_POLICY, "no-referrer")
                .finish(),
            None => page(psp, &stored),
        },
        Ok(Ok(None)) => gone(psp),
        Ok(Err(why)) => failed(psp, &why),
        Err(_) => failed(psp, &StoreError::Busy),
    }
}

async fn show_again(psp: &SandboxPsp, session: &str) -> Response {
    match read(psp, session).await {
        Ok(Some(stored)) => page(psp, &stored),
        Ok(None) => gone(psp),
        Err(why) => failed(psp, &why),
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

fn page(psp: &SandboxPsp, stored: &Stored) -> Response {
    let told = &stored.transaction;
    let open = stored.is_pending() && told.stage.as_deref() == Some(stage::AWAITING_PAYER);
    let end = match told.state.as_str() {
        state::PENDING => "Approved. The confirmation will follow.",
        state::AUTHORISED | state::SUCCEEDED => "Approved.",
        state::DECLINED => "Not approved.",
        state::EXPIRED => "The time to approve has passed.",
        _ => "Cancelled by the merchant.",
    };
    let amount = Currency::parse(&told.currency).filter(|_| told.kind != kind::MEANS);
    let amount = amount.map(|currency| Money::new(told.amount, currency).to_string());
    let title = match told.kind.as_str() {
        kind::PREAUTH => "Approve a reservation",
        kind::MEANS => "Store a card",
        _ => "Approve a payment",
    };
    let page = Page {
        nonce: "",
        title,
        amount,
        description: &stored.description,
        open,
        stores: stored.store_means,
        told: end,
        back: back(stored),
    };
    respond(psp, StatusCode::OK, page)
}

fn message(psp: &SandboxPsp, status: StatusCode, told: &str) -> Response {
    let page = Page {
        nonce: "",
        title: "Sandbox",
        amount: None,
        description: "",
        open: false,
        stores: false,
        told,
        back: None,
    };
    respond(psp, status, page)
}

fn gone(psp: &SandboxPsp) -> Response {
    message(psp, StatusCode::NOT_FOUND, "There is no such payment.")
}

fn failed(psp: &SandboxPsp, why: &StoreError) -> Response {
    tracing::error!(error = %why, "the sandbox PSP's page failed");
    message(psp, StatusCode::SERVICE_UNAVAILABLE, "That did not work. Please reload the page.")
}

/// Renders with a content policy that allows nothing but this page's own style. No `form-action`: browsers apply it to
/// the redirects that follow, and where those end is the merchant's to say.
fn respond(psp: &SandboxPsp, status: StatusCode, page: Page<'_>) -> Response {
    let nonce = hex(&psp.clock().random::<16>());
    let policy = format!("default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; frame-ancestors 'none'");
    match (Page { nonce: &nonce, ..page }).render() {
        Ok(html) => Response::builder()
            .status(status)
            .content_type("text/html; charset=utf-8")
            .header(header::CONTENT_SECURITY_POLICY, policy)
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
