//! Every error that is not a handler's own answer becomes a [`Problem`], and each contract writes problems in its own error
//! body. The mapping from the framework's errors stands here and nowhere else.

use std::time::Duration;

use poem::error::{MethodNotAllowedError, NotFoundError, ReadBodyError, ResponseError};
use poem::http::{HeaderValue, Method, StatusCode, header};
use poem::{Endpoint, IntoResponse, Request, Response};
use poem_openapi::error::{
    AuthorizationError, ContentTypeError, ParseParamError, ParsePathError, ParseRequestPayloadError,
};

use super::body::BodyError;

/// What kind of problem it is; each has one status of its own, from which a contract may depart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The body is not JSON, or names one field twice. 400
    Syntax,
    /// A path, query or header parameter is wrong. 400
    Parameter,
    /// The body was cut off. 400
    Cut,
    /// No credential, or a wrong one. 401
    Unauthorised,
    /// The credential may not do this. 403
    Forbidden,
    /// No such path, or no such thing. 404
    NotFound,
    /// The path exists, the method does not. 405
    Method,
    /// The body did not arrive in time. 408
    Late,
    /// The request contradicts what is stored. 409
    Conflict,
    /// The body is too large. 413
    TooLarge,
    /// The body is not declared as JSON. 415
    MediaType,
    /// The body is JSON, but not what the operation takes. 422
    Shape,
    /// Too many requests of this caller. 429
    TooMany,
    /// Another 4xx.
    Refused,
    /// A fault of ours. 500
    Internal,
    /// Too much to do at the moment; a retry is safe. 503
    Busy,
}

impl Kind {
    pub const ALL: [Kind; 16] = [
        Kind::Syntax,
        Kind::Parameter,
        Kind::Cut,
        Kind::Unauthorised,
        Kind::Forbidden,
        Kind::NotFound,
        Kind::Method,
        Kind::Late,
        Kind::Conflict,
        Kind::TooLarge,
        Kind::MediaType,
        Kind::Shape,
        Kind::TooMany,
        Kind::Refused,
        Kind::Internal,
        Kind::Busy,
    ];

    pub fn status(self) -> StatusCode {
        match self {
            Kind::Syntax | Kind::Parameter | Kind::Cut | Kind::Refused => StatusCode::BAD_REQUEST,
            Kind::Unauthorised => StatusCode::UNAUTHORIZED,
            Kind::Forbidden => StatusCode::FORBIDDEN,
            Kind::NotFound => StatusCode::NOT_FOUND,
            Kind::Method => StatusCode::METHOD_NOT_ALLOWED,
            Kind::Late => StatusCode::REQUEST_TIMEOUT,
            Kind::Conflict => StatusCode::CONFLICT,
            Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Kind::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Kind::Shape => StatusCode::UNPROCESSABLE_ENTITY,
            Kind::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Kind::Busy => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn of(status: StatusCode) -> Kind {
        let own = Kind::ALL.into_iter().find(|kind| kind.status() == status && *kind != Kind::Cut);
        match own {
            // A bare 400 says nothing about the body's syntax.
            Some(Kind::Syntax) => Kind::Refused,
            Some(kind) => kind,
            None if status.is_client_error() => Kind::Refused,
            None => Kind::Internal,
        }
    }
}

/// An error as every contract gets it for its own error body. Nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Problem {
    pub status: StatusCode,
    pub kind: Kind,
    /// Path of the field (`lineItems[1].totalGross`) or name of the parameter.
    pub field: Option<String>,
    /// A lower-case fragment for the caller.
    pub text: String,
    /// When another try makes sense.
    pub retry_after: Option<Duration>,
    /// For 405: the methods there are.
    pub allow: Vec<Method>,
}

impl ResponseError for Problem {
    fn status(&self) -> StatusCode {
        self.status
    }
}

impl Problem {
    pub fn new(kind: Kind, text: impl Into<String>) -> Problem {
        let status = kind.status();
        Problem { status, kind, field: None, text: text.into(), retry_after: None, allow: Vec::new() }
    }

    pub fn field(kind: Kind, field: impl Into<String>, text: impl Into<String>) -> Problem {
        Problem { field: Some(field.into()), ..Problem::new(kind, text) }
    }

    pub fn busy(retry_after: Duration) -> Problem {
        Problem { retry_after: Some(retry_after), ..Problem::new(Kind::Busy, "too many requests at the moment") }
    }

    pub fn internal() -> Problem {
        Problem::new(Kind::Internal, "internal error")
    }

    pub fn not_found() -> Problem {
        Problem::new(Kind::NotFound, "there is nothing at this address")
    }

    pub fn method(allow: Vec<Method>) -> Problem {
        Problem { allow, ..Problem::new(Kind::Method, "this address does not know the method") }
    }

    /// What a poem error means to the caller. The texts of faults of ours are not in it: log them before.
    pub fn of(error: &poem::Error) -> Problem {
        if let Some(problem) = error.downcast_ref::<Problem>() {
            return problem.clone();
        }
        if let Some(error) = error.downcast_ref::<BodyError>() {
            return Problem::of_body(error);
        }
        if let Some(error) = error.downcast_ref::<ParseParamError>() {
            return Problem::field(Kind::Parameter, error.name, error.reason.clone());
        }
        if let Some(error) = error.downcast_ref::<ParsePathError>() {
            // The library counts the parameters of a path instead of naming them.
            let name = if error.name.starts_with("param") { "id" } else { error.name };
            return Problem::field(Kind::Parameter, name, "cannot be read".to_owned());
        }
        if let Some(error) = error.downcast_ref::<ParseRequestPayloadError>() {
            return Problem::new(Kind::Shape, error.reason.clone());
        }
        if error.is::<ContentTypeError>() {
            return Problem::of_body(&BodyError::MediaType);
        }
        if error.is::<AuthorizationError>() {
            return Problem::new(Kind::Unauthorised, "no valid credential");
        }
        if error.is::<NotFoundError>() {
            return Problem::not_found();
        }
        if error.is::<MethodNotAllowedError>() {
            return Problem::method(Vec::new());
        }
        if let Some(ReadBodyError::PayloadTooLarge) = error.downcast_ref() {
            return Problem::new(Kind::TooLarge, "the body is too large");
        }
        Problem::of_status(error.status())
    }

    fn of_body(error: &BodyError) -> Problem {
        let text = error.to_string();
        match error {
            BodyError::Syntax { .. } => Problem::new(Kind::Syntax, text),
            BodyError::Twice { field } => Problem::field(Kind::Syntax, field, "is given twice"),
            BodyError::Shape { field, .. } if field.is_empty() => Problem::new(Kind::Shape, text),
            BodyError::Shape { field, text } => Problem::field(Kind::Shape, field, text),
            BodyError::TooLarge => Problem::new(Kind::TooLarge, text),
            BodyError::MediaType => Problem::new(Kind::MediaType, text),
            BodyError::Late => Problem::new(Kind::Late, text),
            BodyError::Cut => Problem::new(Kind::Cut, text),
        }
    }

    fn of_status(status: StatusCode) -> Problem {
        let kind = Kind::of(status);
        let text = status.canonical_reason().unwrap_or("refused").to_ascii_lowercase();
        match kind {
            Kind::Internal => Problem { status, ..Problem::internal() },
            _ => Problem { status, ..Problem::new(kind, text) },
        }
    }
}

/// Why a handler refused, for the log: `set_data` of the error it answers with. Never a value of the caller's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// The contract's own code.
    pub code: String,
    /// Path of the field it is about.
    pub field: Option<String>,
}

/// Longest name of a field that is logged, in characters.
const LOGGED_FIELD_MAX: usize = 100;

/// A request that is refused leaves a line that says why, whoever wrote the answer.
fn log_refusal(status: StatusCode, why: Option<&Why>) {
    let code = why.map(|why| why.code.as_str());
    let field: Option<String> = why.and_then(|why| why.field.as_ref()).map(|field| {
        let visible = field.chars().filter(|c| !c.is_control());
        visible.take(LOGGED_FIELD_MAX).collect()
    });
    tracing::info!(status = status.as_u16(), code, field, "refused");
}

/// How a contract writes errors that its handlers did not write themselves.
pub trait ErrorBody: Send + Sync {
    /// The answer in the contract's error body. Its status counts: a contract may turn 422 into 400. `Allow`,
    /// `WWW-Authenticate` and `Retry-After` are added afterwards.
    fn render(&self, problem: &Problem) -> Response;

    /// The authentication schemes to name in a 401.
    fn challenges(&self) -> &'static [&'static str] {
        &["Bearer"]
    }
}

/// Plain text, for addresses that belong to no contract.
pub struct Plain;

impl ErrorBody for Plain {
    fn render(&self, problem: &Problem) -> Response {
        let text = format!("{}\n", problem.text);
        Response::builder().status(problem.status).content_type("text/plain; charset=utf-8").body(text)
    }
}

/// An endpoint whose errors are all written by `body`. Answers of handlers, also those raised as errors, pass untouched.
pub fn mapped<E: Endpoint, B: ErrorBody>(endpoint: E, body: B) -> Mapped<E, B> {
    Mapped { endpoint, body }
}

pub struct Mapped<E, B> {
    endpoint: E,
    body: B,
}

impl<E: Endpoint, B: ErrorBody> Endpoint for Mapped<E, B> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let mut response = match self.endpoint.call(request).await {
            Ok(answer) => answer.into_response(),
            Err(error) if error.is_from_response() => error.into_response(),
            Err(error) => self.write(&error),
        };
        if response.status().is_client_error() {
            log_refusal(response.status(), response.extensions().get::<Why>());
        }
        let headers = response.headers();
        if response.status() == StatusCode::UNAUTHORIZED && !headers.contains_key(header::WWW_AUTHENTICATE) {
            for scheme in self.body.challenges() {
                response.headers_mut().append(header::WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
            }
        }
        Ok(response)
    }
}

impl<E, B: ErrorBody> Mapped<E, B> {
    fn write(&self, error: &poem::Error) -> Response {
        let problem = Problem::of(error);
        if problem.kind == Kind::Internal {
            tracing::error!(error = %chain(error), "a request failed");
        }
        let mut response = self.body.render(&problem);
        response.extensions_mut().insert(Why { code: format!("{:?}", problem.kind), field: problem.field.clone() });
        let headers = response.headers_mut();
        if !problem.allow.is_empty() {
            let methods = problem.allow.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
            headers.extend(HeaderValue::try_from(methods).ok().map(|value| (header::ALLOW, value)));
        }
        if let Some(wait) = problem.retry_after {
            // Whole seconds, and never "at once".
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        response
    }
}

/// An error with its causes, for the log.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    let mut text = error.to_string();
    for cause in causes.map(ToString::to_string) {
        if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use poem::endpoint::make_sync;
    use poem_openapi::error as oai;

    struct Terse;
    impl ErrorBody for Terse {
        fn render(&self, problem: &Problem) -> Response {
            // This contract knows no 422.
            let status = if problem.kind == Kind::Shape { StatusCode::BAD_REQUEST } else { problem.status };
            let text = format!("{:?}|{}|{}", problem.kind, problem.field.as_deref().unwrap_or("-"), problem.text);
            Response::builder().status(status).body(text)
        }
        fn challenges(&self) -> &'static [&'static str] {
            &["Bearer", "Basic realm=\"x\""]
        }
    }

    async fn answer(error: impl Fn() -> poem::Error + Send + Sync) -> Response {
        let endpoint = mapped(make_sync(move |_| Err::<Response, _>(error())), Terse);
        endpoint.call(Request::default()).await.expect("errors are mapped")
    }

    #[tokio::test]
    async fn every_error_of_the_framework_has_its_place() {
        let secret = || std::io::Error::other("password=1");
        let text = || "t".to_owned();
        type Make = Box<dyn Fn() -> poem::Error + Send + Sync>;
        let rows: Vec<(Make, u16, &str)> = vec![
            (Box::new(|| NotFoundError.into()), 404, "NotFound|-|there is nothing at this address"),
            (Box::new(|| MethodNotAllowedError.into()), 405, "Method|-|this address does not know the method"),
            (Box::new(|| AuthorizationError.into()), 401, "Unauthorised|-|no valid credential"),
            (Box::new(|| ReadBodyError::PayloadTooLarge.into()), 413, "TooLarge|-|the body is too large"),
            (
                Box::new(|| ContentTypeError::ExpectContentType.into()),
                415,
                "MediaType|-|the content type must be application/json",
            ),
            (Box::new(move || oai::ParseParamError { name: "limit", reason: text() }.into()), 400, "Parameter|limit|t"),
            (Box::new(move || ParseRequestPayloadError { reason: text() }.into()), 400, "Shape|-|t"),
            (Box::new(|| BodyError::Twice { field: "a.b".to_owned() }.into()), 400, "Syntax|a.b|is given twice"),
            (Box::new(move || BodyError::Shape { field: "a[0]".to_owned(), text: text() }.into()), 400, "Shape|a[0]|t"),
            (Box::new(|| BodyError::Late.into()), 408, "Late|-|the body did not arrive in time"),
            (Box::new(|| Problem::busy(Duration::from_secs(3)).into()), 503, "Busy|-|too many requests at the moment"),
            (Box::new(move || poem::error::InternalServerError(secret())), 500, "Internal|-|internal error"),
            (Box::new(move || poem::error::BadGateway(secret())), 502, "Internal|-|internal error"),
            (Box::new(|| StatusCode::IM_A_TEAPOT.into()), 418, "Refused|-|i'm a teapot"),
            (Box::new(|| StatusCode::BAD_REQUEST.into()), 400, "Refused|-|bad request"),
        ];
        for (make, status, body) in rows {
            let response = answer(make).await;
            assert_eq!(response.status().as_u16(), status, "{body}");
            assert_eq!(response.into_body().into_string().await.expect("text"), body);
        }
    }

    #[tokio::test]
    async fn headers_go_with_their_status() {
        let response = answer(|| Problem::method(vec![Method::GET, Method::PUT]).into()).await;
        assert_eq!(response.header(header::ALLOW), Some("GET, PUT"));
        let response = answer(|| Problem::busy(Duration::from_millis(20)).into()).await;
        assert_eq!(response.header(header::RETRY_AFTER), Some("1"));
        let response = answer(|| StatusCode::UNAUTHORIZED.into()).await;
        assert_eq!(response.headers().get_all(header::WWW_AUTHENTICATE).iter().count(), 2);
    }

    #[tokio::test]
    async fn a_handlers_own_answer_passes_untouched() {
        let own = || poem::Error::from_response(Response::builder().status(StatusCode::CONFLICT).body("mine"));
        let response = answer(own).await;
        assert_eq!(response.status(), StatusCode::CONFLICT);
        assert_eq!(response.into_body().into_string().await.expect("text"), "mine");
        let own = || poem::Error::from_response(Response::builder().status(StatusCode::UNAUTHORIZED).finish());
        assert!(answer(own).await.header(header::WWW_AUTHENTICATE).is_some());
    }
}
