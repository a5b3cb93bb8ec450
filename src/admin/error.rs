//! Errors of the admin API: problem documents (RFC 9457).

use poem::Response;
use poem_openapi::{ApiResponse, Object};

use crate::flow::FlowError;
use crate::flow::tenants::SetupError;
use crate::http::body::{Body, Style, respond};
use crate::http::error::{ErrorBody, Kind, Problem};
use crate::store::StoreError;

const MEDIA_TYPE: &str = "application/problem+json";

/// What is wrong, as RFC 9457 writes it.
#[derive(Clone, Debug, Object)]
#[oai(rename = "Problem")]
pub struct ProblemBody {
    /// `about:blank`: the status says the kind.
    #[oai(rename = "type")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    /// What is wrong, for a person.
    pub detail: String,
    /// The field or parameter that is wrong.
    #[oai(skip_serializing_if_is_none)]
    pub field: Option<String>,
}

impl From<&Problem> for ProblemBody {
    fn from(problem: &Problem) -> ProblemBody {
        ProblemBody {
            kind: "about:blank".to_owned(),
            title: problem.status.canonical_reason().unwrap_or("Error").to_owned(),
            status: problem.status.as_u16(),
            detail: problem.text.clone(),
            field: problem.field.clone(),
        }
    }
}

/// Writes problems that no handler wrote itself.
pub struct Problems;

impl ErrorBody for Problems {
    fn render(&self, problem: &Problem) -> Response {
        let mut response = respond(problem.status, &ProblemBody::from(problem), Style::default());
        response.headers_mut().insert("content-type", poem::http::HeaderValue::from_static(MEDIA_TYPE));
        response
    }
}

/// What an operation refuses, and what the framework refuses before it; the latter here only for the document.
#[derive(ApiResponse)]
pub enum Refused {
    /// The body is not JSON, or a parameter cannot be read.
    #[oai(status = 400, content_type = "application/problem+json")]
    Syntax(Body<ProblemBody>),
    /// No operator's key, or one that is unknown or revoked.
    #[oai(status = 401, content_type = "application/problem+json")]
    Unauthorised(Body<ProblemBody>),
    /// The operator's right is not enough; `detail` names the one it needs.
    #[oai(status = 403, content_type = "application/problem+json")]
    Forbidden(Body<ProblemBody>),
    /// There is nothing of this id.
    #[oai(status = 404, content_type = "application/problem+json")]
    NotFound(Body<ProblemBody>),
    /// Not in the state it is in; `detail` names the state. Nothing was changed.
    #[oai(status = 409, content_type = "application/problem+json")]
    Conflict(Body<ProblemBody>),
    /// The body is too large.
    #[oai(status = 413, content_type = "application/problem+json")]
    TooLarge(Body<ProblemBody>),
    /// A field is missing or wrong; `field` names it.
    #[oai(status = 422, content_type = "application/problem+json")]
    Invalid(Body<ProblemBody>),
    /// A fault of ours.
    #[oai(status = 500, content_type = "application/problem+json")]
    Internal(Body<ProblemBody>),
    /// Too much to do at the moment; a retry is safe.
    #[oai(status = 503, content_type = "application/problem+json")]
    Busy(Body<ProblemBody>),
}

fn body(problem: &Problem) -> Body<ProblemBody> {
    Body(problem.into())
}

/// The answer to a problem that a handler found itself.
impl From<Problem> for Refused {
    fn from(problem: Problem) -> Refused {
        let body = body(&problem);
        match problem.kind {
            Kind::Syntax
            | Kind::Parameter
            | Kind::Cut
            | Kind::Method
            | Kind::Late
            | Kind::MediaType
            | Kind::Refused => Refused::Syntax(body),
            Kind::Unauthorised => Refused::Unauthorised(body),
            Kind::Forbidden => Refused::Forbidden(body),
            Kind::NotFound => Refused::NotFound(body),
            Kind::Conflict => Refused::Conflict(body),
            Kind::TooLarge => Refused::TooLarge(body),
            Kind::Shape => Refused::Invalid(body),
            Kind::Internal => Refused::Internal(body),
            Kind::TooMany | Kind::Busy => Refused::Busy(body),
        }
    }
}

impl From<SetupError> for Refused {
    fn from(error: SetupError) -> Refused {
        let text = error.to_string();
        match error {
            SetupError::Invalid { field, text } => Problem::field(Kind::Shape, field, text).into(),
            SetupError::NotFound { .. } => Problem::new(Kind::NotFound, text).into(),
            SetupError::Flow(error) => error.into(),
        }
    }
}

impl From<FlowError> for Refused {
    fn from(error: FlowError) -> Refused {
        match error {
            FlowError::Store(error) => error.into(),
            FlowError::Broken(_) => {
                tracing::error!(%error, "an operator's request failed");
                Problem::internal().into()
            }
        }
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Refused {
        trouble(&error).into()
    }
}

/// What the store's trouble is to a caller; its text goes to the log.
pub(super) fn trouble(error: &StoreError) -> Problem {
    match error {
        StoreError::Busy => Problem::new(Kind::Busy, "too many requests at the moment"),
        StoreError::Database(_) | StoreError::Corrupt(_) | StoreError::Sealed(_) => {
            tracing::error!(%error, "an operator's request failed");
            Problem::internal()
        }
    }
}
