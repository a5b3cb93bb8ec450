//! The address in a charge's `qrcode`: who opens it has paid. `?simulate=third-party,duplicate` pays with faults.

use poem::http::{StatusCode, header};
use poem::web::{Data, Path};
use poem::{Request, Response, handler};

use super::ledger::{self, Paid};
use super::{PixGatewayPsp, api};
use crate::pages;
use crate::psp::simulator::faults::Faults;

#[handler]
pub async fn pay(request: &Request, Path(id): Path<String>, Data(psp): Data<&PixGatewayPsp>) -> Response {
    let query = request.uri().query().unwrap_or_default();
    let named = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "simulate");
    let asked = Faults::parse(named.as_ref().map_or("", |(_, value)| value.as_ref()));
    let faults = match (asked, psp.simulator().faults(request)) {
        (Ok(asked), Ok(planned)) => asked.and(planned),
        (Err(why), _) | (_, Err(why)) => return page(StatusCode::UNPROCESSABLE_ENTITY, "bad", &why.to_string()),
    };
    let at_psp = psp.clone();
    // In a task of its own: a browser that goes away does not break it off.
    let paid = tokio::spawn(async move { ledger::paid(&at_psp.simulator, &id, &faults).await }).await;
    match paid {
        Ok(Ok(Paid::Now)) => page(StatusCode::OK, "good", "Paid"),
        Ok(Ok(Paid::Already)) => page(StatusCode::OK, "plain", "Paid already"),
        Ok(Ok(Paid::Unknown)) => page(StatusCode::NOT_FOUND, "bad", "There is nothing to pay here"),
        Ok(Err(why)) => api::broken(&why),
        Err(_) => api::failure(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

fn page(status: StatusCode, tone: &str, text: &str) -> Response {
    let style = pages::STYLE;
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    let html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\">\n<meta name=\"robots\" content=\"noindex, nofollow\">\n\
         <title>{text} – PIX gateway</title>\n<style>{style}</style>\n</head>\n<body>\n<main class=\"{tone}\">\n\
         <p class=\"mark\">Simulated PIX gateway: no real money moves</p>\n<h1>{text}</h1>\n</main>\n</body>\n</html>\n"
    );
    Response::builder()
        .status(status)
        .content_type("text/html; charset=utf-8")
        .header(header::CACHE_CONTROL, "no-store")
        .header(header::CONTENT_SECURITY_POLICY, pages::policy())
        .body(html)
}
