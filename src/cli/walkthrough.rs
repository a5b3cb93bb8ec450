//! What the demo prints: where everything is, and calls that paste as they stand. Every start prints fresh ids, because an
//! id that was used belongs to its first request for ever.

use std::fmt::Write as _;
use std::path::Path;

use rialto_adapters::port::notice::hex;
use time::OffsetDateTime;
use time::macros::format_description;

use crate::app::demo::Demo;
use crate::clock::Clock;

/// Where the printed calls want to be told of changes; the text says what to start there.
const NOTICES: &str = "http://127.0.0.1:8099/notices";

/// One call with what is to be seen.
struct Call {
    title: &'static str,
    method: &'static str,
    path: String,
    body: Option<String>,
}

/// The whole text.
pub fn text(demo: &Demo, file: &Path, clock: &Clock) -> String {
    let base = &demo.base_url;
    let mut text = String::new();
    let mut line = |what: &str| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{what}");
    };
    line("");
    line(&format!("Rialto's demo is ready. Credentials: {}", file.display()));
    line("");
    line(&format!("  billwerk contract  {base}/api/Preauth  Payment  Refund"));
    line(&format!("  try it in browser  {base}/docs/"));
    line(&format!("  admin API          {base}/admin/tenants"));
    line(&format!("  health             {base}/health/ready"));
    line("");
    line("The calls below paste as they stand, from top to bottom. To see the notices, first run in another terminal:");
    line("");
    line(RECEIVER);
    let ids = Ids::new(clock);
    for (at, call) in calls(&ids).iter().enumerate() {
        line(&format!("\n# {}. {}", at + 1, call.title));
        line(&curl(demo, call));
        if at == 0 {
            line("\n#    Open the redirectUrl of the answer in a browser and approve, or do it from here:");
            line(&approve(demo, &ids.preauth));
        }
    }
    line("\nThe last two digits of an amount choose what happens: .11 insufficient balance, .22 the answer is lost,");
    line(".31 pending, .41 a chargeback … – README.md has the table. Ctrl-C stops the server.");
    text
}

/// Prints what is posted to it.
const RECEIVER: &str = r#"python3 -c 'import http.server as h
class R(h.BaseHTTPRequestHandler):
    def do_POST(s):
        print(s.rfile.read(int(s.headers["content-length"])).decode(), flush=True); s.send_response(204); s.end_headers()
    def log_message(s, *a): pass
h.HTTPServer(("127.0.0.1", 8099), R).serve_forever()'"#;

/// Ids in the form the billing platform uses: day, hyphen, 24 hex digits.
struct Ids {
    agreement: String,
    preauth: String,
    payment: String,
    refunds: [String; 3],
    recurring: String,
    declined: String,
    cancelled: String,
}

impl Ids {
    fn new(clock: &Clock) -> Ids {
        let seconds = clock.now().0.div_euclid(1000);
        let now = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let day = now.date().format(format_description!("[year][month][day]")).unwrap_or_default();
        let new = || format!("{day}-{}", hex(&clock.random::<12>()));
        Ids {
            agreement: hex(&clock.random::<12>()),
            preauth: new(),
            payment: new(),
            refunds: [new(), new(), new()],
            recurring: new(),
            declined: new(),
            cancelled: new(),
        }
    }
}

fn calls(ids: &Ids) -> Vec<Call> {
    let post = |title, path: &str, body| Call { title, method: "POST", path: path.to_owned(), body: Some(body) };
    let get = |title, path: String| Call { title, method: "GET", path, body: None };
    let capture = format!(r#","preauthTransactionId":"{}""#, ids.preauth);
    vec![
        post(
            "Reserve 25.00 EUR on a card: Pending, with a redirectUrl.",
            "/api/Preauth",
            ids.charge(&ids.preauth, "25.00", RETURN_URLS, r#","isInitial":true"#),
        ),
        get("Look at it: Succeeded, with the stored card.", format!("/api/Preauth/{}", ids.preauth)),
        post("Capture it.", "/api/Payment", ids.charge(&ids.payment, "25.00", "", &capture)),
        post("Refund 10.00 …", "/api/Refund", ids.refund(&ids.refunds[0], "10.00")),
        post("… and 5.00 more.", "/api/Refund", ids.refund(&ids.refunds[1], "5.00")),
        post("Refund 20.00: 422, only 10.00 are left.", "/api/Refund", ids.refund(&ids.refunds[2], "20.00")),
        get("Look at the payment: 15.00 refunded.", format!("/api/Payment/{}", ids.payment)),
        post(
            "Charge the stored card 12.00, by agreementId.",
            "/api/Payment",
            ids.charge(&ids.recurring, "12.00", "", ""),
        ),
        post(
            "Charge it 12.11: declined, insufficient balance.",
            "/api/Payment",
            ids.charge(&ids.declined, "12.11", "", ""),
        ),
        post(
            "Reserve 5.00 on the stored card …",
            "/api/Preauth",
            ids.charge(&ids.cancelled, "5.00", "", r#","isInitial":false"#),
        ),
        post("… and give it free.", &format!("/api/Preauth/{}/Cancel", ids.cancelled), "{}".to_owned()),
    ]
}

/// Where the payer's browser ends.
const RETURN_URLS: &str = r#","successReturnUrl":"https://example.com/success","errorReturnUrl":"https://example.com/error","abortReturnUrl":"https://example.com/abort""#;

impl Ids {
    /// The body of a preauth or payment, with what else belongs into the means and into the whole. Written as text: an
    /// amount keeps its digits.
    fn charge(&self, id: &str, amount: &str, means: &str, more: &str) -> String {
        let agreement = &self.agreement;
        format!(
            r#"{{"transactionId":"{id}","requestedAmount":{amount},"currency":"EUR","agreementId":"{agreement}","paymentMeansReference":{{"role":"CreditCard"{means}}},"payerData":{{"firstName":"Ada","lastName":"Lovelace","emailAddress":"ada@example.com"}},"webhookTarget":"{NOTICES}"{more}}}"#
        )
    }

    fn refund(&self, id: &str, amount: &str) -> String {
        let payment = &self.payment;
        format!(
            r#"{{"transactionId":"{id}","paymentTransactionId":"{payment}","requestedAmount":{amount},"currency":"EUR","webhookTarget":"{NOTICES}"}}"#
        )
    }
}

fn curl(demo: &Demo, call: &Call) -> String {
    let Call { method, path, body, .. } = call;
    let (base, token) = (&demo.base_url, &demo.billwerk.token);
    let mut text = format!("curl -sS -X {method} '{base}{path}' -H 'Authorization: Bearer {token}'");
    if let Some(body) = body {
        let _ = write!(text, " \\\n  -H 'Content-Type: application/json' -d '{}'", body);
    }
    text + "; echo"
}

/// Follows the redirect page to the sandbox's and presses its button.
fn approve(demo: &Demo, preauth: &str) -> String {
    let (base, token) = (&demo.base_url, &demo.billwerk.token);
    format!(
        "page=$(curl -sS '{base}/api/Preauth/{preauth}' -H 'Authorization: Bearer {token}' | \
         sed -n 's/.*\"redirectUrl\": *\"\\([^\"]*\\)\".*/\\1/p')\n\
         curl -sS -o /dev/null -d choice=approve \"$(curl -sS -o /dev/null -w '%{{redirect_url}}' \"$page\")\"; sleep 1"
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::app::demo::Token;

    fn demo() -> Demo {
        Demo {
            base_url: "http://127.0.0.1:8080".to_owned(),
            admin_key: "ak_secret".to_owned(),
            billwerk: Token { token: "sk_test_1".to_owned() },
            connections: BTreeMap::new(),
            keys: BTreeMap::new(),
        }
    }

    #[test]
    fn the_calls_are_json_with_exact_amounts() {
        let ids = Ids::new(&Clock::default());
        assert_eq!(ids.preauth.len(), 8 + 1 + 24, "{}", ids.preauth);
        for body in calls(&ids).into_iter().filter_map(|call| call.body) {
            let read: serde_json::Value = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{body}: {error}"));
            assert!(read["requestedAmount"].is_number() || body == "{}", "{body}");
            assert!(!body.contains('\''), "it stands in single quotes: {body}");
        }
    }

    #[test]
    fn every_start_prints_other_ids() {
        let text = |_| text(&demo(), Path::new("rialto-data/demo.json"), &Clock::default());
        let [one, other] = [(), ()].map(text);
        assert_ne!(one, other);
        assert!(!one.contains("ak_secret"), "the operator's key stays in the file");
        assert!(one.contains("rialto-data/demo.json") && one.contains("/docs/"), "{one}");
    }
}
