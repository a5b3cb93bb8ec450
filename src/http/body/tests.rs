use std::collections::BTreeMap;

use poem::http::StatusCode;
use poem::{Body as Bytes, Endpoint, IntoEndpoint, Request};
use poem_openapi::{Enum, Object, OpenApi, OpenApiService};
use proptest::prelude::*;

use super::*;
use crate::contract_enum;
use crate::http::amount::Amount;

contract_enum! {
    /// State of a test.
    pub enum State {
        Unset = 0,
        Pending = 1,
        /// All is well.
        Good = 20 as "good",
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "camelCase")]
enum Role {
    CreditCard,
    DirectDebit,
}

#[derive(Clone, Debug, PartialEq, Object)]
#[oai(rename_all = "camelCase")]
struct Line {
    total_gross: Amount,
    #[oai(validator(max_length = 5))]
    sku: Option<String>,
    count: Option<i32>,
}

#[derive(Clone, Debug, PartialEq, Object)]
#[oai(rename_all = "camelCase")]
struct Wish {
    transaction_id: String,
    amount: Option<Amount>,
    state: Option<State>,
    role: Option<Role>,
    is_initial: Option<bool>,
    #[oai(default)]
    line_items: Vec<Line>,
    /// A line with a text of its own, which the document writes as a patched reference.
    first_line: Option<Line>,
    bearer: Option<BTreeMap<String, String>>,
    extra: Option<serde_json::Value>,
    #[oai(validator(max_items = 2))]
    tags: Option<Vec<String>>,
    rate: Option<f64>,
    parent: Option<Box<Wish>>,
}

fn wish(text: &str) -> Result<Wish, BodyError> {
    read(text.as_bytes())
}

#[test]
fn tolerant_where_it_is_safe() {
    let text = "\u{feff}{ \"TRANSACTIONID\": \"A-1\", \"Amount\": 19.99, \"state\": 20, \"Role\": \"CREDITCARD\",
        \"isinitial\": false, \"LineItems\": [{\"TotalGross\": 70000000.05, \"SKU\": null,},],
        \"firstLine\": {\"totalgross\": 1e2, \"unknown\": {\"deep\": [1]}},
        \"bearer\": {\"IBAN\": \"DE1\", \"iban\": \"de2\"}, \"extra\": {\"KeepMe\": [1.5, {\"X\": null}]},
        \"whatIsThis\": 1, \"parent\": {\"transactionId\": \"p\", \"STATE\": \"GOOD\"}, }";
    let wish = wish(text).expect("tolerated");
    assert_eq!(wish.transaction_id, "A-1");
    assert_eq!(wish.amount.as_ref().map(Amount::as_str), Some("19.99"));
    assert_eq!((wish.state, wish.role), (Some(State::Good), Some(Role::CreditCard)));
    assert_eq!(wish.is_initial, Some(false));
    assert_eq!(wish.line_items[0].total_gross.as_str(), "70000000.05");
    assert_eq!(wish.line_items[0].sku, None);
    assert_eq!(wish.first_line.map(|line| line.total_gross.as_str().to_owned()), Some("1e2".to_owned()));
    let bearer = BTreeMap::from([("IBAN".to_owned(), "DE1".to_owned()), ("iban".to_owned(), "de2".to_owned())]);
    assert_eq!(wish.bearer, Some(bearer));
    assert_eq!(wish.extra, Some(serde_json::json!({"KeepMe": [1.5, {"X": null}]})));
    assert_eq!(wish.parent.and_then(|parent| parent.state), Some(State::Good));
}

#[test]
fn refusals_name_the_field() {
    let long = "x".repeat(6);
    let rows: &[(&str, &str, &str)] = &[
        ("{}", "transactionId", "is required"),
        (r#"{"transactionId":null}"#, "transactionId", "is required, found null"),
        (r#"{"transactionId":5}"#, "transactionId", "must be a string, found a number"),
        (r#"{"transactionId":"a\u0000b"}"#, "transactionId", "must not contain the character U+0000"),
        ("[]", "", "must be an object, found an array"),
        ("null", "", "has the wrong form, found null"),
        (r#"{"transactionId":"a","AMOUNT":"19.99"}"#, "amount", "must be a number, found a string"),
        (r#"{"transactionId":"a","state":7}"#, "state", "7 is not a number of this enum"),
        (r#"{"transactionId":"a","state":"Bad"}"#, "state", "must be one of Unset, Pending, good"),
        (r#"{"transactionId":"a","state":true}"#, "state", "must be a name or number of the enum, found a boolean"),
        (r#"{"transactionId":"a","role":1}"#, "role", "1 is not a number of this enum"),
        (r#"{"transactionId":"a","isInitial":"yes"}"#, "isInitial", "must be true or false, found a string"),
        (r#"{"transactionId":"a","lineItems":[{"totalGross":1},{}]}"#, "lineItems[1].totalGross", "is required"),
        (r#"{"transactionId":"a","lineItems":{}}"#, "lineItems", "must be an array, found an object"),
        (
            r#"{"transactionId":"a","lineItems":[{"totalGross":1},{"totalGross":1,"sku":"123456"},{"totalGross":2}],"tags":[]}"#,
            "lineItems[1].sku",
            "must not be longer than 5 characters",
        ),
        (
            r#"{"transactionId":"a","firstLine":{"totalGross":1,"count":3000000000}}"#,
            "firstLine.count",
            "Only integers from -2147483648 to 2147483647 are accepted.",
        ),
        (
            r#"{"transactionId":"a","lineItems":[{"totalGross":1,"count":1.5}]}"#,
            "lineItems[0].count",
            "must be a whole number in range, found 1.5",
        ),
        (r#"{"transactionId":"a","tags":["a","b","c"]}"#, "tags", "must not have more than 2 items"),
        (r#"{"transactionId":"a","tags":["a",null]}"#, "tags[1]", "has the wrong form, found null"),
        (r#"{"transactionId":"a","bearer":{"a":"1","b":null,"c":"3"}}"#, "bearer.b", "has the wrong form, found null"),
        (r#"{"transactionId":"a","bearer":{"a":1}}"#, "bearer.a", "must be a string, found a number"),
        (r#"{"transactionId":"a","rate":1e999}"#, "rate", "1e999 is out of range"),
        (r#"{"transactionId":"a","extra":{"a":[1,1e999]}}"#, "extra.a[1]", "1e999 is out of range"),
        (
            r#"{"transactionId":"a","parent":{"transactionId":"b","parent":{"transactionId":"c","tags":["","",""]}}}"#,
            "parent.parent.tags",
            "must not have more than 2 items",
        ),
    ];
    for (text, field, why) in rows {
        let expected = BodyError::Shape { field: (*field).to_owned(), text: (*why).to_owned() };
        assert_eq!(wish(text), Err(expected), "{text}");
    }
    let error = wish(&format!(r#"{{"transactionId":"a","firstLine":{{"totalGross":1,"sku":"{long}"}}}}"#));
    let error = error.expect_err("too long").to_string();
    assert_eq!(error, "firstLine.sku: must not be longer than 5 characters");
}

#[test]
fn two_spellings_of_one_name_are_refused() {
    for (text, field) in [
        (r#"{"transactionId":"a","TransactionId":"b"}"#, "transactionId"),
        (r#"{"transactionId":"a","transactionId":"a"}"#, "transactionId"),
        (r#"{"transactionId":"a","firstLine":{"totalGross":1,"TOTALGROSS":1}}"#, "firstLine.totalGross"),
        (r#"{"transactionId":"a","amount":null,"Amount":1}"#, "amount"),
        (r#"{"transactionId":"a","\u0041mount":1,"amount":1}"#, "amount"),
    ] {
        assert_eq!(wish(text), Err(BodyError::Twice { field: field.to_owned() }), "{text}");
    }
}

#[test]
fn broken_json_is_a_syntax_error() {
    let deep = format!("{}1{}", r#"{"extra":"#.repeat(100_000), "}".repeat(100_000));
    for text in ["", " ", "{", r#"{"a":1,,}"#, "{} x", "{'a':1}", r#"{"a":01}"#, r#"{"a":"\ud800"}"#, &deep] {
        assert!(matches!(wish(text), Err(BodyError::Syntax { .. })), "{}", &text[..text.len().min(40)]);
    }
    assert!(matches!(read::<Wish>(b"{\"a\":\"\xff\"}"), Err(BodyError::Syntax { .. })));
}

#[test]
fn the_search_for_a_refused_field_is_bounded() {
    let body = |count: usize, rest: &str| {
        let items = r#"{"totalGross":1},"#.repeat(count);
        format!(r#"{{"transactionId":"a","lineItems":[{items}{{"totalGross":1,"sku":"123456"}}]{rest}}}"#)
    };
    let field = |text: &str| match wish(text).expect_err("the last one is too long") {
        BodyError::Shape { field, text } => {
            assert_eq!(text, "must not be longer than 5 characters");
            field
        }
        other => panic!("{other}"),
    };
    assert_eq!(field(&body(8_000, "")), "lineItems[8000].sku");
    // A body of a size that no contract takes, to use the tries up: what is found is true, if not exact.
    let padding = format!(r#","extra":"{}""#, "x".repeat(2 * 1024 * 1024));
    assert_eq!(field(&body(1_000, &padding)), "lineItems");
}

fn answer() -> Wish {
    let text = r#"{"transactionId":"a","amount":25.50,"state":"good","role":"creditCard","isInitial":false,
        "lineItems":[{"totalGross":123456789012345678901.23,"count":0}],"bearer":{"iBan":"X"},"extra":{"aKey":null}}"#;
    wish(text).expect("fine")
}

#[test]
fn every_style_from_one_value() {
    let plain = Style::default();
    let pascal = Style { case: Case::Pascal, enums: Enums::Number, omit_defaults: true };
    let zero = Wish { state: Some(State::Unset), amount: Amount::parse("0.00"), ..answer() };
    let rows = [
        (
            answer(),
            plain,
            r#"{"transactionId":"a","amount":25.50,"state":"good","role":"creditCard","isInitial":false,"lineItems":[{"totalGross":123456789012345678901.23,"count":0}],"bearer":{"iBan":"X"},"extra":{"aKey":null}}"#,
        ),
        (
            answer(),
            pascal,
            r#"{"TransactionId":"a","Amount":25.50,"State":20,"Role":"creditCard","LineItems":[{"TotalGross":123456789012345678901.23}],"Bearer":{"iBan":"X"},"Extra":{"aKey":null}}"#,
        ),
        (
            Wish { line_items: vec![], bearer: None, extra: None, role: None, ..zero },
            Style { omit_defaults: true, ..plain },
            r#"{"transactionId":"a","lineItems":[]}"#,
        ),
    ];
    for (value, style, expected) in rows {
        assert_eq!(String::from_utf8(render(&value, style)).expect("UTF-8"), expected);
    }
}

#[test]
fn enums_by_every_name_they_have() {
    assert_eq!(State::by_name("GOOD"), Some(State::Good));
    assert_eq!(State::by_code(1), Some(State::Pending));
    assert_eq!((State::Good.name(), State::Good.code(), State::ALL.len()), ("good", 20, 3));
}

struct Api;

#[OpenApi]
impl Api {
    #[oai(path = "/echo", method = "post", operation_id = "echo")]
    async fn echo(&self, body: Body<Wish>) -> Styled<Wish> {
        body.styled(Style { case: Case::Pascal, ..Style::default() })
    }
}

#[test]
fn the_document_shows_true_types() {
    let spec: serde_json::Value =
        serde_json::from_str(&OpenApiService::new(Api, "t", "1").spec()).expect("a JSON document");
    let schemas = &spec["components"]["schemas"];
    assert_eq!(schemas["Wish"]["properties"]["amount"]["type"], "number");
    assert_eq!(schemas["Wish"]["properties"]["amount"]["format"], "decimal");
    assert_eq!(schemas["State"]["enum"], serde_json::json!(["Unset", "Pending", "good"]));
    let description = schemas["State"]["description"].as_str().expect("a description");
    assert!(description.contains("20 good"), "{description}");
    let operation = &spec["paths"]["/echo"]["post"];
    assert!(operation["requestBody"]["content"]["application/json"].is_object());
    assert!(operation["responses"]["200"]["content"]["application/json"].is_object());
}

async fn post(content_type: Option<&str>, body: impl Into<Bytes>) -> (StatusCode, String) {
    let request = Request::builder().method(poem::http::Method::POST).uri_str("/echo");
    let request = match content_type {
        Some(content_type) => request.content_type(content_type),
        None => request,
    };
    let response = OpenApiService::new(Api, "t", "1").into_endpoint().get_response(request.body(body)).await;
    (response.status(), response.into_body().into_string().await.expect("text"))
}

#[tokio::test]
async fn over_http() {
    let good = r#"{"transactionid":"a","amount":0.10}"#;
    for content_type in [None, Some("application/json; charset=utf-8"), Some("text/json"), Some("application/x.y+json")]
    {
        let answer = (StatusCode::OK, r#"{"TransactionId":"a","Amount":0.10,"LineItems":[]}"#.to_owned());
        assert_eq!(post(content_type, good).await, answer, "{content_type:?}");
    }
    for content_type in ["text/plain", "application/xml", "image/svg+json"] {
        assert_eq!(post(Some(content_type), good).await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{content_type}");
    }
    assert_eq!(post(None, "{").await.0, StatusCode::BAD_REQUEST);
    assert_eq!(post(None, "{}").await.0, StatusCode::UNPROCESSABLE_ENTITY);

    let padded = |length: usize| format!("{good}{}", " ".repeat(length - good.len()));
    let chunked = |text: String| {
        let chunks: Vec<_> = text.into_bytes().chunks(1000).map(|c| Ok::<_, io::Error>(c.to_vec())).collect();
        Bytes::from_bytes_stream(futures_util::stream::iter(chunks))
    };
    assert_eq!(post(None, padded(BODY_BYTES_MAX)).await.0, StatusCode::OK);
    assert_eq!(post(None, chunked(padded(BODY_BYTES_MAX))).await.0, StatusCode::OK);
    assert_eq!(post(None, padded(BODY_BYTES_MAX + 1)).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(post(None, chunked(padded(BODY_BYTES_MAX + 1))).await.0, StatusCode::PAYLOAD_TOO_LARGE);
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = read::<Wish>(&bytes);
    }

    #[test]
    fn no_document_makes_the_reader_panic(
        name in "(?i)transactionid|amount|state|lineitems|firstline|bearer|extra|tags|rate|parent",
        value in r#"[\[\]{}:,"a1.e\\ \-]{0,12}|"x{0,9}"|-?[0-9]{1,25}(\.[0-9]{1,9})?(e[+-]?[0-9]{1,12})?|null|true|\[(null,|1,|"a",){0,4}\]"#,
    ) {
        let _ = read::<Wish>(format!(r#"{{"transactionId":"a","{name}":{value}}}"#).as_bytes());
    }
}
