//! A small contract put together from all parts, as a real one is.

use std::sync::Arc;

use poem::endpoint::make_sync;
use poem::http::{Method, StatusCode, header};
use poem::{Endpoint, Request, Response};
use poem_openapi::auth::Bearer;
use poem_openapi::param::Path;
use poem_openapi::{ApiResponse, Object, OpenApi, OpenApiService, SecurityScheme};
use rialto_adapters::port::Currency;

use super::amount::Amount;
use super::body::{Body, Case, Enums, Style, Styled, respond};
use super::edge::{Edge, Limits};
use super::error::{ErrorBody, Kind, Problem, mapped};
use super::router::{Front, Mount, Switch};
use super::spec::{At, Documented, Example, complaints, finish};
use crate::contract_enum;

contract_enum! {
    /// Class of an error.
    enum ErrorCode {
        UnmappedError = 0,
        InvalidData = 8,
        InvalidAmount = 9,
    }
}

#[derive(Object)]
#[oai(rename_all = "camelCase")]
struct Charge {
    #[oai(validator(max_length = 10))]
    transaction_id: String,
    requested_amount: Amount,
    currency: String,
}

#[derive(Object)]
#[oai(rename_all = "camelCase")]
struct Failure {
    error_code: Option<ErrorCode>,
    error_message: String,
}

/// How this contract writes its error bodies.
const ERROR_STYLE: Style = Style { case: Case::Pascal, enums: Enums::Number, omit_defaults: true };

#[derive(ApiResponse)]
enum Refusal {
    /// The body is not JSON.
    #[oai(status = 400)]
    #[expect(dead_code, reason = "written by the error body, here only for the document")]
    Syntax(Styled<Failure>),
    /// No valid token.
    #[oai(status = 401)]
    #[expect(dead_code, reason = "written by the error body, here only for the document")]
    Unauthorised(Styled<Failure>),
    /// The request cannot be carried out.
    #[oai(status = 422)]
    Invalid(Styled<Failure>),
}

#[derive(SecurityScheme)]
#[oai(ty = "bearer", checker = "known")]
struct Caller(());

async fn known(_: &Request, bearer: Bearer) -> Option<()> {
    (bearer.token == "good").then_some(())
}

struct Api;

#[OpenApi]
impl Api {
    /// Charges a payer.
    #[oai(path = "/Payment", method = "post", operation_id = "charge")]
    async fn charge(&self, _caller: Caller, body: Body<Charge>) -> Result<Body<Charge>, Refusal> {
        let refuse = |code, text: String| {
            Refusal::Invalid(Styled(Failure { error_code: Some(code), error_message: text }, ERROR_STYLE))
        };
        let currency = Currency::parse(&body.0.currency)
            .ok_or_else(|| refuse(ErrorCode::InvalidData, "currency: is not known".to_owned()))?;
        let money = body.0.requested_amount.to_money(currency);
        let money = money.map_err(|e| refuse(ErrorCode::InvalidAmount, format!("requestedAmount: {e}")))?;
        Ok(Body(Charge { requested_amount: money.into(), ..body.0 }))
    }

    /// Shows a payment.
    #[oai(path = "/Payment/:id", method = "get", operation_id = "show")]
    async fn show(&self, _caller: Caller, id: Path<String>) -> Result<Body<Failure>, Refusal> {
        assert_ne!(id.0, "panic", "as asked");
        Ok(Body(Failure { error_code: None, error_message: id.0 }))
    }
}

struct Errors;

impl ErrorBody for Errors {
    fn render(&self, problem: &Problem) -> Response {
        let field = problem.field.as_ref().map(|field| format!("{field}: ")).unwrap_or_default();
        let code = (problem.kind == Kind::Shape).then_some(ErrorCode::InvalidData);
        let failure = Failure { error_code: code, error_message: field + &problem.text };
        respond(problem.status, &failure, ERROR_STYLE)
    }
}

fn service() -> OpenApiService<Api, ()> {
    OpenApiService::new(Api, "t", "1").server("/api")
}

fn app() -> impl Endpoint {
    let edge = Edge::new(Limits::default(), || "id-1".to_owned());
    let front = Front::new(service(), Mount::API_OR_BARE);
    let switch = Switch::new(make_sync(|_| Err::<(), poem::Error>(Problem::not_found().into())));
    edge.observed(switch.front("test", front.routes(), mapped(edge.detached(front), Errors)))
}

async fn send(app: &impl Endpoint, method: Method, path: &str, token: &str, body: &'static str) -> (u16, String) {
    let request = Request::builder().method(method).uri_str(path).header(header::AUTHORIZATION, token);
    let response = app.get_response(request.body(body)).await;
    assert!(response.header("x-request-id").is_some());
    (response.status().as_u16(), response.into_body().into_string().await.expect("text"))
}

#[tokio::test]
async fn everything_together() {
    let app = Arc::new(app());
    let good = r#"{"TransactionID":"A","requestedAmount":19.990,"currency":"eur",}"#;
    let rows = [
        ("/API/payment/", good, 200, r#"{"transactionId":"A","requestedAmount":19.99,"currency":"eur"}"#),
        (
            "/Payment",
            r#"{"transactionId":"A","requestedAmount":19.991,"currency":"EUR"}"#,
            422,
            r#"{"ErrorCode":9,"ErrorMessage":"requestedAmount: has more than 2 decimal places"}"#,
        ),
        (
            "/Payment",
            r#"{"transactionId":"12345678901","requestedAmount":1,"currency":"EUR"}"#,
            422,
            r#"{"ErrorCode":8,"ErrorMessage":"transactionId: must not be longer than 10 characters"}"#,
        ),
        ("/api/Payment/x", "", 405, r#"{"ErrorMessage":"this address does not know the method"}"#),
        ("/api/Payments", "", 404, "there is nothing at this address"),
    ];
    for (path, body, status, answer) in rows {
        assert_eq!(send(&*app, Method::POST, path, "Bearer good", body).await, (status, answer.to_owned()), "{path}");
    }
    let (status, answer) = send(&*app, Method::POST, "/api/Payment", "Bearer good", "{").await;
    assert_eq!(status, 400);
    assert!(answer.starts_with(r#"{"ErrorMessage":"the body is not valid JSON"#), "{answer}");
    // The credential is looked at before the body.
    assert_eq!(send(&*app, Method::POST, "/api/Payment", "Bearer bad", "{").await.0, 401);
    let (status, answer) = send(&*app, Method::GET, "/api/payment/panic", "Bearer good", "").await;
    assert_eq!((status, answer.as_str()), (500, r#"{"ErrorMessage":"internal error"}"#));
    let (status, _) = send(&*app, Method::GET, "/api/payment/AbC", "Bearer good", "").await;
    assert_eq!(status, 200);
}

#[test]
fn its_document_is_complete() {
    let value = serde_json::json!({ "transactionId": "A", "requestedAmount": 19.99, "currency": "EUR" });
    let at = |at| Example { operation_id: "charge", at, name: "small", value: value.clone() };
    let document = finish(&service().spec(), &[at(At::Request), at(At::Response(StatusCode::OK))]).expect("finished");
    let documented = Documented { always: &[401], with_body: &[400, 422], with_id: &[] };
    assert_eq!(complaints(&document, documented), Vec::<String>::new());
}
