//! Bodies of the contracts: [`Body`] in place of poem-openapi's `Json`.
//!
//! Reading: at most [`BODY_BYTES_MAX`] bytes; byte order mark and trailing commas tolerated; known names and enums in any
//! letter case, enums also by number; unknown fields ignored; numbers exact ([`Amount`](super::amount::Amount)); null for
//! an optional field is the same as leaving it out. Keys of free maps, and everything inside free-form values and unions,
//! are left as they came.
//!
//! A type of your own in a DTO should answer a JSON value of the wrong kind with `ParseError::expected_type`: its message
//! carries the value, which is how the refused field is found.

mod choice;
mod json;
mod read;
mod shape;
#[cfg(test)]
mod tests;
mod write;

use std::io;

use poem::error::{ReadBodyError, ResponseError};
use poem::http::{StatusCode, header};
use poem::{IntoResponse, Request, RequestBody, Response};
use poem_openapi::payload::{ParsePayload, Payload};
use poem_openapi::registry::{MetaMediaType, MetaRequest, MetaResponse, MetaResponses, MetaSchemaRef, Registry};
use poem_openapi::types::{ParseFromJSON, ToJSON, Type};
use poem_openapi::{ApiExtractor, ApiExtractorType, ApiResponse, ExtractParamOptions};

pub use json::{Json, parse, text};
pub use read::read;
pub use shape::remember_codes;
pub use write::{Case, Enums, Style, render};

/// Largest request body of a contract: a hundred times what the largest example of any of them needs.
pub const BODY_BYTES_MAX: usize = 256 * 1024;

const JSON: &str = "application/json";

/// A JSON body: in a request it is read and checked, as a response it is written in the plain [`Style`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body<T>(pub T);

/// A JSON response written in a style of the caller's choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Styled<T>(pub T, pub Style);

impl<T> Body<T> {
    pub fn styled(self, style: Style) -> Styled<T> {
        Styled(self.0, style)
    }
}

/// Why a request body was refused. Texts may be shown to the caller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("the body is not valid JSON: {text}")]
    Syntax { text: String },
    /// One field under two spellings, or twice under one.
    #[error("{field}: is given twice")]
    Twice { field: String },
    /// `field` is a path (`invoiceData.lineItems[1].totalGross`), empty for the document itself.
    #[error("{}{text}", prefix(field))]
    Shape { field: String, text: String },
    #[error("the body is larger than {BODY_BYTES_MAX} bytes")]
    TooLarge,
    #[error("the content type must be application/json")]
    MediaType,
    #[error("the body did not arrive in time")]
    Late,
    #[error("the body could not be read to its end")]
    Cut,
}

fn prefix(field: &str) -> String {
    if field.is_empty() { "the body ".to_owned() } else { format!("{field}: ") }
}

impl ResponseError for BodyError {
    fn status(&self) -> StatusCode {
        match self {
            BodyError::Syntax { .. } | BodyError::Twice { .. } | BodyError::Cut => StatusCode::BAD_REQUEST,
            BodyError::Shape { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            BodyError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            BodyError::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            BodyError::Late => StatusCode::REQUEST_TIMEOUT,
        }
    }
}

/// A JSON response outside poem-openapi: error bodies, pages that answer machines.
pub fn respond<T: ToJSON + 'static>(status: StatusCode, value: &T, style: Style) -> Response {
    Response::builder().status(status).content_type(JSON).body(render(value, style))
}

/// Reads at most `max` bytes, whether their number was announced or not.
///
/// # Errors
/// [`BodyError::TooLarge`], [`BodyError::Late`], [`BodyError::Cut`].
pub async fn read_bytes(request: &Request, body: &mut RequestBody, max: usize) -> Result<bytes::Bytes, BodyError> {
    let announced = request.header(header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    if announced.is_some_and(|length| usize::try_from(length).map_or(true, |length| length > max)) {
        return Err(BodyError::TooLarge);
    }
    let body = body.take().map_err(|_| BodyError::Cut)?;
    body.into_bytes_limit(max).await.map_err(|error| match error {
        ReadBodyError::PayloadTooLarge => BodyError::TooLarge,
        ReadBodyError::Io(error) if error.kind() == io::ErrorKind::TimedOut => BodyError::Late,
        ReadBodyError::Io(_) | ReadBodyError::Utf8(_) | ReadBodyError::BodyHasBeenTaken => BodyError::Cut,
    })
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let suffixed = essence.starts_with("application/") && essence.ends_with("+json");
    suffixed || essence == JSON || essence == "text/json"
}

impl<T: ParseFromJSON + 'static> ParsePayload for Body<T> {
    const IS_REQUIRED: bool = true;

    async fn from_request(request: &Request, body: &mut RequestBody) -> poem::Result<Self> {
        if request.content_type().is_some_and(|content_type| !is_json(content_type)) {
            return Err(BodyError::MediaType.into());
        }
        let bytes = read_bytes(request, body, BODY_BYTES_MAX).await?;
        Ok(Body(read(&bytes)?))
    }
}

impl<'a, T: ParseFromJSON + 'static> ApiExtractor<'a> for Body<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        Some(MetaRequest { description: None, content: content::<T>(), required: true })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        <Self as ParsePayload>::from_request(request, body).await
    }
}

fn content<T: Type>() -> Vec<MetaMediaType> {
    vec![MetaMediaType { content_type: JSON, schema: T::schema_ref() }]
}

fn success<T: Type>() -> MetaResponses {
    MetaResponses {
        responses: vec![MetaResponse {
            description: "Success",
            status: Some(200),
            status_range: None,
            content: content::<T>(),
            headers: Vec::new(),
        }],
    }
}

macro_rules! impl_response {
    ($payload:ident, $self:ident => $style:expr) => {
        impl<T: Type> Payload for $payload<T> {
            const CONTENT_TYPE: &'static str = JSON;

            fn check_content_type(content_type: &str) -> bool {
                is_json(content_type)
            }

            fn schema_ref() -> MetaSchemaRef {
                T::schema_ref()
            }

            fn register(registry: &mut Registry) {
                T::register(registry);
            }
        }

        impl<T: ToJSON + 'static> IntoResponse for $payload<T> {
            fn into_response($self) -> Response {
                respond(StatusCode::OK, &$self.0, $style)
            }
        }

        impl<T: ToJSON + 'static> ApiResponse for $payload<T> {
            fn meta() -> MetaResponses {
                success::<T>()
            }

            fn register(registry: &mut Registry) {
                T::register(registry);
            }
        }
    };
}

impl_response!(Body, self => Style::default());
impl_response!(Styled, self => self.1);
