use async_trait::async_trait;
use proptest::prelude::*;
use rialto_adapters::port::{Duration, FaultCause, Secret, Sent};
use serde_json::{Value, json};

use super::*;

fn request(body: Vec<u8>) -> Request {
    Request {
        method: Method::Post,
        url: "https://psp.example/v1/charges?api_key=abcdef123".to_owned(),
        headers: vec![
            ("authorization", Header::Secret(Secret::new("Bearer sk_live_1234"))),
            ("x-api-key", Header::Plain("forgotten-secret".to_owned())),
            ("content-type", Header::Plain("application/json".to_owned())),
        ],
        body,
        scrub: &["holder", "secret_word"],
    }
}

fn everything(exchange: &Exchange) -> String {
    let fault = exchange.fault.as_ref().map(ToString::to_string).unwrap_or_default();
    let Exchange { url, request_headers, request_body, reply_headers, reply_body, .. } = exchange;
    [url, request_headers, request_body, reply_headers, reply_body, &fault].map(String::as_str).join("\n")
}

#[test]
fn an_exchange_in_full() {
    let reply = Reply {
        status: 201,
        headers: vec![
            ("content-type".to_owned(), "application/json".to_owned()),
            ("set-cookie".to_owned(), "session=1".to_owned()),
            ("location".to_owned(), "https://psp.example/pay?token=t1".to_owned()),
        ],
        body: br#"{"id":"c1","echo":"sk_live_1234 for Maria Silva","card":"4111111111111111"}"#.to_vec(),
    };
    let found = render(&request(br#"{"holder":"Maria Silva","amount":1}"#.to_vec()), &Ok(reply), Timestamp(5), 7);
    let expected = Exchange {
        method: Method::Post,
        url: "https://psp.example/v1/charges?api_key=***".to_owned(),
        request_headers: "authorization: ***\nx-api-key: ***\ncontent-type: application/json\n".to_owned(),
        request_body: r#"{"holder":"***","amount":1}"#.to_owned(),
        status: Some(201),
        reply_headers: "content-type: application/json\nset-cookie: ***\nlocation: https://psp.example/pay?token=***\n"
            .to_owned(),
        reply_body: r#"{"id":"c1","echo":"*** for ***","card":"411111******1111"}"#.to_owned(),
        fault: None,
        started_at: Timestamp(5),
        took_ms: 7,
    };
    assert_eq!(found, expected);
}

#[test]
fn faults_bytes_and_long_bodies() {
    let fault = Fault::unknown(FaultCause::ConnectionLost, "while sending forgotten-secret");
    let found = render(&request(vec![0xff, 0, 1]), &Err(fault), Timestamp(0), 0);
    assert_eq!(found.request_body, "(3 bytes, application/json)");
    let fault = found.fault.expect("a fault");
    assert_eq!((fault.sent, fault.text.as_str()), (Sent::Maybe, "while sending ***"));
    assert_eq!((found.status, found.reply_body.as_str()), (None, ""));

    let long = "é".repeat(BODY_MAX);
    let reply = Reply { status: 200, headers: Vec::new(), body: long.clone().into_bytes() };
    let found = render(&request(Vec::new()), &Ok(reply), Timestamp(0), 0).reply_body;
    assert!(found.len() < BODY_MAX + 64 && found.ends_with("(cut, 32768 bytes in all)"), "{}", found.len());
}

/// JSON with `value` under `name` at some depth, among other members.
fn nested(name: &str, value: &str, depth: u8) -> Value {
    let inner = json!({ "amount": 1, name: value, "list": [1, "x"] });
    (0..depth).fold(inner, |inner, level| if level % 2 == 0 { json!({ "in": inner }) } else { json!([0, inner]) })
}

proptest! {
    #[test]
    fn no_secret_is_ever_rendered(
        secret in "[a-zA-Z0-9/+_\"\\\\ é-]{6,40}",
        name in proptest::sample::select(vec!["holder", "HOLDER", "secret_word", "iban", "Password", "accessToken", "client_secret"]),
        depth in 0_u8..6,
        kind in 0_u8..5,
        keep in 0_usize..400,
    ) {
        // With marks around it, so that what is found was the secret and not a word of ours.
        let secret = format!("Zq{}qZ", secret.trim());
        let json = nested(name, &secret, depth).to_string();
        let form: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("a", "1").append_pair(name, &secret).finish();
        let body = match kind {
            0 => json.clone().into_bytes(),
            1 => json.get(..keep).unwrap_or(&json).as_bytes().to_vec(),
            2 => form.clone().into_bytes(),
            3 => json!({ "payload": json.as_str() }).to_string().into_bytes(),
            _ => Vec::new(),
        };
        let mut asked = request(body.clone());
        asked.headers[0].1 = Header::Secret(Secret::new(format!("Bearer {secret}")));
        asked.url = format!("https://psp.example/x?{form}");
        let echo = json!({ "message": format!("I was told {secret}") }).to_string();
        let headers = vec![("x-echo".to_owned(), secret.clone())];
        let answers = [
            Ok(Reply { status: 200, headers: headers.clone(), body }),
            Ok(Reply { status: 400, headers, body: echo.into_bytes() }),
            Ok(Reply { status: 400, headers: Vec::new(), body: format!("<p>{secret}</p>").into_bytes() }),
            Err(Fault::unknown(FaultCause::ConnectionLost, secret.clone())),
        ];
        let escaped = serde_json::to_string(&secret).expect("a string");
        for answer in answers {
            let text = everything(&render(&asked, &answer, Timestamp(0), 0));
            prop_assert!(!text.contains(&secret), "{secret} in {text}");
            prop_assert!(!text.contains(&escaped[1..escaped.len() - 1]), "{escaped} in {text}");
        }
    }

    /// By name alone, with no credential that would give the value away, and however short it is.
    #[test]
    fn no_named_member_is_rendered(value in "[A-Z]{1,12}", name in "holder|secret_word|iban|pan|cpf", depth in 0_u8..6) {
        let value = format!("§{value}§");
        let asked = Request { headers: Vec::new(), ..request(Vec::new()) };
        let body = nested(&name, &value, depth).to_string().into_bytes();
        let reply = Reply { status: 200, headers: Vec::new(), body };
        let text = everything(&render(&asked, &Ok(reply), Timestamp(0), 0));
        prop_assert!(!text.contains(&value), "{value} in {text}");
    }
}

struct Answers;

#[async_trait]
impl Wire for Answers {
    async fn send(&self, request: Request, _: Deadlines) -> Result<Reply, Fault> {
        match request.body.is_empty() {
            true => Err(Fault::not_sent(FaultCause::NameNotFound, "no such name")),
            false => Ok(Reply { status: 200, headers: Vec::new(), body: request.body }),
        }
    }
}

#[tokio::test]
async fn the_recorder_passes_on_and_keeps() {
    let clock = Clock::default();
    let recorder = Recorder::new(&Answers, clock.clone());
    let answer_by = clock.now().plus(Duration::from_secs(1));
    let deadlines = Deadlines { send_by: answer_by, answer_by };
    let reply = recorder.send(request(br#"{"iban":"DE00"}"#.to_vec()), deadlines).await.expect("a reply");
    assert_eq!(reply.body, br#"{"iban":"DE00"}"#);
    recorder.send(request(Vec::new()), deadlines).await.expect_err("a fault");
    let kept = recorder.take();
    assert_eq!(kept.len(), 2);
    assert_eq!((kept[0].status, kept[0].reply_body.as_str()), (Some(200), r#"{"iban":"***"}"#));
    assert_eq!(kept[1].fault.as_ref().map(|fault| fault.cause), Some(FaultCause::NameNotFound));
    assert!(recorder.take().is_empty());
}
