//! The page of a deposit: what to transfer, where to, under which reference, until when, and the button "I paid". Works
//! without JavaScript. `?simulate=third-party,duplicate` pays with faults. On a page that has closed, money can still
//! arrive: late.

use askama::Template;
use poem::http::{StatusCode, header};
use poem::web::{Data, Path};
use poem::{Request, Response, handler};
use rialto_adapters::pientegra::contract::{Minor, intent};
use rialto_adapters::pientegra::iso;
use rialto_adapters::port::{Currency, Money, Timestamp};

use super::ledger::{self, HOLDER, IBAN, Stored};
use super::{PientegraPsp, api};
use crate::pages::{self, Tone};
use crate::psp::simulator::faults::Faults;
use crate::store::StoreError;

/// Length of the secret part of a page's address.
const TOKEN_LENGTH: usize = 48;

#[derive(Template)]
#[template(
    ext = "html",
    source = r##"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex, nofollow">
<title>{{ title }} – Pientegra</title>
<style>{{ style|safe }}</style>
</head>
<body>
<main class="{{ tone.class() }}">
<p class="mark">Simulated Pientegra: no real money moves</p>
<h1>{{ title }}</h1>
{%- if let Some(amount) = amount %}
<p class="amount">{{ amount }}</p>
{%- endif %}
{%- if open %}
<dl>
<dt>Account holder</dt><dd>{{ holder }}</dd>
<dt>IBAN</dt><dd>{{ iban }}</dd>
<dt>Reference</dt><dd>{{ reference }}</dd>
</dl>
<p>Transfer exactly this amount, with the reference, before {{ until }}.</p>
<p hidden>Time left: <span id="left" role="timer" data-seconds="{{ seconds }}"></span></p>
{%- endif %}
{%- if !told.is_empty() %}
<p role="status">{{ told }}</p>
{%- endif %}
{%- if let Some(button) = button %}
<form method="post">
<button class="button main">{{ button }}</button>
</form>
{%- endif %}
</main>
<script>{{ script|safe }}</script>
</body>
</html>
"##
)]
struct Page<'a> {
    style: &'static str,
    script: &'static str,
    tone: Tone,
    title: &'a str,
    amount: Option<String>,
    /// Whether it can be paid; else the page tells how it stands.
    open: bool,
    holder: &'a str,
    iban: &'a str,
    reference: &'a str,
    until: String,
    seconds: i64,
    told: &'a str,
    button: Option<&'a str>,
}

#[handler]
pub async fn show(Path(token): Path<String>, Data(psp): Data<&PientegraPsp>) -> Response {
    let psp = psp.clone();
    match tokio::spawn(async move { shown(&psp, &token).await }).await {
        Ok(response) => response,
        Err(_) => api::failure(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// "I paid"; where the page has closed, the money arrives late.
#[handler]
pub async fn press(request: &Request, Path(token): Path<String>, Data(psp): Data<&PientegraPsp>) -> Response {
    let query = request.uri().query().unwrap_or_default();
    let named = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "simulate");
    let asked = Faults::parse(named.as_ref().map_or("", |(_, value)| value.as_ref()));
    let faults = match (asked, psp.simulator().faults(request)) {
        (Ok(asked), Ok(planned)) => asked.and(planned),
        (Err(why), _) | (_, Err(why)) => {
            return message(StatusCode::UNPROCESSABLE_ENTITY, "That fault is not known", &why.to_string());
        }
    };
    let psp = psp.clone();
    // In a task of its own: a browser that goes away does not break it off.
    let pressed = tokio::spawn(async move {
        let Some(stored) = found(&psp, &token).await? else { return Ok(None) };
        ledger::paid(psp.simulator(), ledger::id_of(&stored.item), &faults).await?;
        Ok::<_, StoreError>(Some(format!("{}/d/{token}", psp.public_url)))
    });
    match pressed.await {
        // Read again by a GET, so that loading it anew presses nothing.
        Ok(Ok(Some(here))) => Response::builder()
            .status(StatusCode::SEE_OTHER)
            .header(header::LOCATION, here)
            .header(header::CACHE_CONTROL, "no-store")
            .finish(),
        Ok(Ok(None)) => gone(),
        Ok(Err(why)) => api::broken(&why),
        Err(_) => api::failure(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

async fn found(psp: &PientegraPsp, token: &str) -> Result<Option<Stored>, StoreError> {
    match token.len() {
        TOKEN_LENGTH => ledger::of_page(psp.simulator(), token).await,
        _ => Ok(None),
    }
}

async fn shown(psp: &PientegraPsp, token: &str) -> Response {
    match found(psp, token).await {
        Ok(Some(stored)) => page(&stored, psp.simulator().clock().now()),
        Ok(None) => gone(),
        Err(why) => api::broken(&why),
    }
}

fn page(stored: &Stored, now: Timestamp) -> Response {
    let item = &stored.item;
    let money = item.amount.map(|Minor(minor)| Money::new(minor, Currency::TRY).to_string());
    let expires = Timestamp(stored.expires_ms);
    let seconds = i64::try_from(now.until(expires).as_secs()).unwrap_or(0);
    let open = stored.status() == intent::RESERVED && now < expires;
    let late = stored.status() == intent::AUTO_CANCELLED;
    let (tone, title, told) = match stored.status() {
        intent::RESERVED if open => (Tone::Plain, "Transfer the amount", ""),
        intent::PENDING_REVIEW => (Tone::Plain, "Thank you", "The transfer is being looked for."),
        intent::LATE_ARRIVAL => (Tone::Plain, "It came late", "Money has arrived and is being looked at."),
        intent::APPROVED => (Tone::Good, "Received", "There is nothing more to do here."),
        intent::REJECTED => (Tone::Bad, "Rejected", item.rejected_reason.as_deref().unwrap_or_default()),
        _ => (Tone::Bad, "Too late", "The time to pay has passed. Begin again at the merchant."),
    };
    let button = if open { Some("I paid") } else { late.then_some("Simulate: the money arrives now") };
    let page = Page {
        style: pages::STYLE,
        script: pages::SCRIPT,
        tone,
        title,
        amount: money,
        open,
        holder: HOLDER,
        iban: IBAN,
        reference: item.reference_no.as_deref().unwrap_or_default(),
        until: iso(expires).replace('T', " ").split('.').next().map_or_else(String::new, |text| format!("{text} UTC")),
        seconds,
        told,
        button,
    };
    respond(StatusCode::OK, &page)
}

fn gone() -> Response {
    message(StatusCode::NOT_FOUND, "There is no such payment", "The address is wrong, or the payment is gone.")
}

fn message(status: StatusCode, title: &str, told: &str) -> Response {
    let page = Page {
        style: pages::STYLE,
        script: pages::SCRIPT,
        tone: Tone::Plain,
        title,
        amount: None,
        open: false,
        holder: "",
        iban: "",
        reference: "",
        until: String::new(),
        seconds: 0,
        told,
        button: None,
    };
    respond(status, &page)
}

fn respond(status: StatusCode, page: &Page<'_>) -> Response {
    match page.render() {
        Ok(html) => Response::builder()
            .status(status)
            .content_type("text/html; charset=utf-8")
            .header(header::CONTENT_SECURITY_POLICY, pages::policy_with_forms_and_script())
            .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
            .header(header::REFERRER_POLICY, "no-referrer")
            .header(header::CACHE_CONTROL, "no-store")
            .body(html),
        Err(why) => {
            tracing::error!(error = %why, "the simulated Pientegra's page does not render");
            Response::builder().status(StatusCode::INTERNAL_SERVER_ERROR).finish()
        }
    }
}
